"""Which science windows a query takes, which it leaves and why: a function of the index, the criteria and the seed."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from integral_oda.archive.pointings import PointingIndex
from integral_oda.archive.scw import ScwKind
from integral_oda.arrays import Array
from integral_oda.instrument.coding import field_position
from integral_oda.json_values import finite

__all__ = ["Criteria", "PlannedWindow", "PointingPlan", "Target", "plan_pointings", "plan_windows"]

_ALWAYS = (-math.inf, math.inf)


@dataclass(frozen=True)
class Target:
    """A position on the sky, degrees (J2000), with a name."""

    name: str
    ra_deg: float
    dec_deg: float


@dataclass(frozen=True)
class Criteria:
    """What a pointing must be like to be taken.

    Attributes
    ----------
    interval_ijd : tuple of float
        Pointings that share time with it are looked at.
    revolutions : tuple of int or None
        First and last revolution, in place of or beside the interval.
    radius_deg : float
        Largest angle of the spacecraft's X axis from the target.
    max_pointings : int or None
        How many are taken at most.
    seed : int or None
        Of the choice where there are more; None spreads them evenly over the list.
    readiness : str
        ``"cons"`` (consolidated, version 001 and up), ``"nrt"`` (000) or ``"any"`` (the highest version there is).
    min_good_isgri_s, min_ontime_s : float
        Least good time of ISGRI, where the index knows it, and least length of the pointing, s.
    max_off_axis_deg : float or None
        Largest angle of ISGRI's axis from the target.
    min_coded_fraction : float
        Least coded fraction at the target, 0 to 1.
    excluded : mapping of str to str
        Science windows (12 digits) that are left out, with the reason.
    bad_time_ijd : sequence of (float, float, str)
        Bad time: start, stop (IJD) and name; a pointing that shares time with it is left out.
    """

    interval_ijd: tuple[float, float] = _ALWAYS
    revolutions: tuple[int, int] | None = None
    radius_deg: float = 15.0
    max_pointings: int | None = 50
    seed: int | None = None
    readiness: str = "cons"
    min_good_isgri_s: float = 0.0
    min_ontime_s: float = 0.0
    max_off_axis_deg: float | None = None
    min_coded_fraction: float = 0.0
    excluded: Mapping[str, str] = field(default_factory=dict)
    bad_time_ijd: Sequence[tuple[float, float, str]] = ()


@dataclass(frozen=True)
class PlannedWindow:
    """One pointing of a plan; angles in degrees, times in IJD and s, None where something is unknown.

    Attributes
    ----------
    exposure_s : float or None
        Good time, else length, times the coded fraction at the target.
    reason : str
        Why it is not taken, empty if it is.
    """

    scw: str
    ra_deg: float | None
    dec_deg: float | None
    tstart_ijd: float | None
    tstop_ijd: float | None
    off_axis_deg: float | None
    coded_fraction: float | None
    ontime_s: float | None
    good_time_known: bool
    exposure_s: float | None
    chosen: bool
    reason: str

    def text(self) -> str:
        """For people, one line."""
        numbers = [
            _cell(self.off_axis_deg, "{:6.2f} deg off axis"),
            _cell(self.coded_fraction, "coded {:5.3f}"),
            _cell(self.ontime_s, "{:6.0f} s"),
        ]
        return f"{self.scw:<16}  {'  '.join(numbers)}  {self.reason or 'taken'}"


def _cell(value: float | None, form: str) -> str:
    return form.format(value) if value is not None else re.sub(r"\{.*?\}", "unknown", form)


@dataclass(frozen=True)
class PointingPlan:
    """What would be selected.

    Attributes
    ----------
    target : Target or None
        What is asked for.
    criteria : Criteria or None
        None for an explicit list.
    windows : tuple of PlannedWindow
        Those that were looked at, in order of time: taken or not.
    index_digest : str
        Of the pointings that were chosen from.
    index_size : int
        How many they were.
    """

    target: Target | None
    criteria: Criteria | None
    windows: tuple[PlannedWindow, ...]
    index_digest: str
    index_size: int

    @property
    def chosen(self) -> tuple[str, ...]:
        """The science windows that are taken."""
        return tuple(window.scw for window in self.windows if window.chosen)

    @property
    def exposure_s(self) -> float:
        """Exposure at the target, coded fraction applied, of those taken whose attitude is known."""
        return sum(window.exposure_s or 0.0 for window in self.windows if window.chosen)

    @property
    def ontime_s(self) -> float:
        """Time of those taken."""
        return sum(window.ontime_s or 0.0 for window in self.windows if window.chosen)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON, without the lists that criteria leave windows out by."""
        return {**self._head(), "windows": [asdict(window) for window in self.windows]}

    def summary(self) -> dict[str, Any]:
        """The same with no more of the windows than which were not taken and why."""
        return {**self._head(), "not_taken": [{"scw": w.scw, "reason": w.reason} for w in self.windows if not w.chosen]}

    def text(self) -> str:
        """For people: one line a window, and the sums."""
        lines = [window.text() for window in self.windows]
        where = "" if self.target is None else f" of {self.target.name}"
        unknown = sum(1 for window in self.windows if window.chosen and window.exposure_s is None)
        lines.append(
            f"{len(self.chosen)} of {len(self.windows)} science windows are taken: {self.ontime_s / 1000:.1f} ks, "
            f"exposure{where} {self.exposure_s / 1000:.1f} ks"
            + (f", without {unknown} whose time or attitude is not known" if unknown else "")
        )
        return "\n".join(lines)

    def _head(self) -> dict[str, Any]:
        criteria = None
        if self.criteria is not None:
            criteria = {k: finite(v) for k, v in vars(self.criteria).items() if k not in ("excluded", "bad_time_ijd")}
        return {
            "target": None if self.target is None else asdict(self.target),
            "criteria": criteria,
            "index": {"pointings": self.index_size, "sha256": self.index_digest},
            "found": len(self.windows),
            "chosen": list(self.chosen),
            "ontime_s": self.ontime_s,
            "exposure_s": self.exposure_s,
        }


def plan_pointings(index: PointingIndex, target: Target, criteria: Criteria) -> PointingPlan:
    """Choose pointings for a target.

    The choice depends on the pointings in the field and time asked for, the criteria and the seed, and on nothing
    else: not on the order of the index, the machine or the versions of libraries.

    Parameters
    ----------
    index : PointingIndex
        What there is.
    target : Target
        Position that the radius, the angles and the coded fraction are about.
    criteria : Criteria
        What a pointing must be like.
    """
    found = _in_time_order(index.rows(_looked_at(index, target, criteria)))
    off_axis, coded = field_position(found.attitudes, target.ra_deg, target.dec_deg)
    reasons = _reasons(found, off_axis, coded, criteria)
    fit = np.flatnonzero(reasons == "")
    chosen = fit[_picked(found.name[fit], criteria)]
    reasons[np.setdiff1d(fit, chosen)] = f"beyond max_pointings = {criteria.max_pointings}"
    return PointingPlan(target, criteria, _windows(found, off_axis, coded, reasons), index.digest, len(index))


def plan_windows(index: PointingIndex, names: Sequence[str], target: Target | None = None) -> PointingPlan:
    """Show an explicit list of science windows as a plan: all are taken, what the index does not know is None.

    Parameters
    ----------
    index : PointingIndex
        What is known of the windows; a window of another version stands in for one that is not there.
    names : sequence of str
        Science windows.
    target : Target, optional
        Where exposure and coded fraction are wanted.
    """
    by_name = {name: row for row, name in enumerate(index.names)}
    by_swid = {name.partition(".")[0]: row for name, row in by_name.items()}
    rows = [by_name.get(name, by_swid.get(name.partition(".")[0], -1)) for name in names]
    unknown = PointingIndex.build({"name": np.array([b"unknown"])})
    both = PointingIndex(*(np.concatenate([getattr(p, n) for p in (index, unknown)]) for n in index.__annotations__))
    found = both.rows(np.array(rows, np.int64) % len(both))
    position = (np.nan, np.nan) if target is None else (target.ra_deg, target.dec_deg)
    off_axis, coded = field_position(found.attitudes, *position)
    windows = _windows(found, off_axis, coded, np.full(len(found), "", object), list(names))
    return PointingPlan(target, None, windows, index.digest, len(index))


def _looked_at(index: PointingIndex, target: Target, criteria: Criteria) -> NDArray[np.int64]:
    """Rows of the pointings in the field and the time asked for, one version of each."""
    rows = index.near(target.ra_deg, target.dec_deg, criteria.radius_deg) & (index.kind == ScwKind.POINTING)
    if criteria.interval_ijd != _ALWAYS:
        rows &= index.overlapping(*criteria.interval_ijd)
    near = np.flatnonzero(rows)
    part = index.rows(near)
    fit = _ready(part.version, criteria.readiness)
    if criteria.revolutions is not None:
        fit &= (part.revolution >= criteria.revolutions[0]) & (part.revolution <= criteria.revolutions[1])
    near, part = near[fit], part.rows(fit)
    # Names are in order, so that the last of each science window is its highest version.
    swid = np.where(part.is_window, part.name.astype("S12"), part.name)
    last = np.ones(len(part), bool)
    last[:-1] = swid[1:] != swid[:-1]
    return near[last]


def _ready(version: NDArray[np.int64], readiness: str) -> NDArray[np.bool_]:
    """Versions that are allowed; -1 is a pointing that has none."""
    if readiness == "nrt":
        return (version == 0) | (version == -1)
    return version != 0 if readiness == "cons" else np.ones(len(version), bool)


def _in_time_order(index: PointingIndex) -> PointingIndex:
    return index.rows(np.lexsort((index.name, index.tstart)))


def _reasons(found: PointingIndex, off_axis: Array, coded: Array, criteria: Criteria) -> NDArray[np.object_]:
    """Why each pointing does not fit, empty for those that do; the first reason counts."""
    reasons = np.full(len(found), "", object)
    length = (found.tstop - found.tstart) * 86400.0
    good = found.ontime_s
    limits = [
        (length < criteria.min_ontime_s, length, "{:.0f} s long, less than min_ontime = {:g}", criteria.min_ontime_s),
        (good < criteria.min_good_isgri_s, good, "good time {:.0f} s, less than min_good_isgri = {:g}",
         criteria.min_good_isgri_s),
        (coded < criteria.min_coded_fraction, coded, "coded fraction {:.3f}, less than min_coded_fraction = {:g}",
         criteria.min_coded_fraction),
    ]  # fmt: skip
    if criteria.max_off_axis_deg is not None:
        limit = criteria.max_off_axis_deg
        limits.append((off_axis > limit, off_axis, "{:.2f} deg off axis, more than max_off_axis = {:g}", limit))
    for row, name in enumerate(found.names):
        reasons[row] = criteria.excluded.get(name.partition(".")[0], "")
    for start, stop, title in criteria.bad_time_ijd:
        _give(reasons, found.overlapping(start, stop), np.zeros(len(found)), f"bad time: {title}", 0.0)
    for outside, value, sentence, limit in limits:
        _give(reasons, outside, value, sentence, limit)
    return reasons


def _give(reasons: NDArray[np.object_], outside: Array, value: Array, sentence: str, limit: float) -> None:
    for row in np.flatnonzero(outside):
        reasons[row] = reasons[row] or sentence.format(value[row], limit)


def _picked(names: NDArray[np.bytes_], criteria: Criteria) -> NDArray[np.int64]:
    """Which of the pointings that fit are taken, in order.

    Without a seed they are spread evenly over the list; with one, each has a rank that depends on the seed and its
    own name alone, so that another pointing in the index moves at most one of the choice.
    """
    count, wanted = len(names), criteria.max_pointings
    if wanted is None or count <= wanted:
        return np.arange(count)
    if criteria.seed is None:
        return (2 * np.arange(wanted) + 1) * count // (2 * wanted)
    ranks = [hashlib.sha256(b"%d %s" % (criteria.seed, name.partition(b".")[0])).digest() for name in names.tolist()]
    return np.sort(np.array(sorted(range(count), key=ranks.__getitem__)[:wanted], np.int64))


def _windows(
    found: PointingIndex,
    off_axis: Array,
    coded: Array,
    reasons: NDArray[np.object_],
    names: Sequence[str] | None = None,
) -> tuple[PlannedWindow, ...]:
    ontime = found.ontime_s
    coded = np.where(np.isnan(off_axis), np.nan, coded)
    numbers = {
        "ra_deg": found.ra_x, "dec_deg": found.dec_x, "tstart_ijd": found.tstart, "tstop_ijd": found.tstop,
        "off_axis_deg": off_axis, "coded_fraction": coded, "ontime_s": ontime, "exposure_s": ontime * coded,
    }  # fmt: skip
    columns: dict[str, list[Any]] = {name: finite(column.tolist()) for name, column in numbers.items()}
    columns["scw"] = list(names or found.names)
    columns["good_time_known"] = (~np.isnan(found.good_s)).tolist()
    columns["reason"] = reasons.tolist()
    columns["chosen"] = [not reason for reason in columns["reason"]]
    rows = zip(*columns.values(), strict=True)
    return tuple(PlannedWindow(**dict(zip(columns, row, strict=True))) for row in rows)
