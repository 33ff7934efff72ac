"""LCR: light curves of the sources of one window, and of all windows joined."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from integral_oda.arrays import Array, IntArray
from integral_oda.catalog.designations import joined_names
from integral_oda.engines.native.barycentre import at_barycentre
from integral_oda.engines.native.events import DeadTime, GoodTime, SelectedEvents
from integral_oda.engines.native.field import live_time_map
from integral_oda.engines.native.photometry import support_of
from integral_oda.engines.native.window_fit import WindowFit, live_in_bins, modules_on, select_band
from integral_oda.engines.storage import load_record, save_record
from integral_oda.errors import DataError
from integral_oda.instrument.attitude import Attitude
from integral_oda.instrument.energy import EnergyBand
from integral_oda.instrument.epochs import OSA_SEAM_IJD, SENSITIVITY_SOURCE, sensitivity_factor
from integral_oda.instrument.response import crab_rate
from integral_oda.instrument.transmission import SupportTransmission
from integral_oda.products.joining import join_curves
from integral_oda.products.light_curve import (
    FLAG_FEW_COUNTS,
    FLAG_GAP,
    FLAG_LOSSES,
    LightCurve,
    bin_columns,
)
from integral_oda.timing.binning import block_edges, fixed_edges, good_time_per_bin, silences, touches
from integral_oda.timing.good_time import DAY_S, gaps, union
from integral_oda.timing.intervals import FEW_COUNTS, LEVELS, poisson_intervals
from integral_oda.timing.light_curve import BinnedRates, PartialPlane, fit_bins

__all__ = [
    "BinnedCounts",
    "JoinLcr",
    "Lcr",
    "State",
    "Window",
    "fit_counts",
    "load_light_curves",
    "save_light_curves",
    "through_support",
    "window_keywords",
]

_TOUCHING_S = 1e-3
_CURVES_FILE = "curves.json"
_BURST_LOSSES = 0.05
MOST_BINS = 20_000_000
"""Bins times sources that one window's light curves may have: some 3 GB."""
BINS_AT_ONCE = 200_000
MOST_BLOCK_BINS = 20000
"""Fine bins that Bayesian blocks are sought in; the search takes the square of their number."""


@dataclass(frozen=True)
class Window:
    """What the light curves of one window are made from."""

    events: SelectedEvents
    good: GoodTime
    dead: DeadTime

    @property
    def intervals(self) -> Array:
        """Good time, ``(m, 2)`` IJD."""
        return np.asarray(self.good.intervals_ijd)

    @property
    def span(self) -> tuple[float, float]:
        """Start of the first and stop of the last good time interval, IJD."""
        return float(self.intervals[0, 0]), float(self.intervals[-1, 1])


class Lcr:
    """Light curve of every source of the field, or of the one asked for, in one or several bands."""

    def compute(
        self, inputs: Sequence[Any], parameters: Mapping[str, Any], raw: Mapping[str, Path]
    ) -> list[LightCurve]:
        """Fit the bins of one window.

        Parameters are ``bands``, ``bins`` (see `_edges`), ``source`` (or None) and, where it is asked, ``barycentre``;
        with it ``raw["orbit"]`` is the spacecraft's orbit, if the archive has one.
        """
        events, good, dead, field, *pairs = inputs
        window = Window(events, good, dead)
        bands = [EnergyBand(*band) for band in parameters["bands"]]
        attitude, asked = Attitude.from_keywords(events.header), parameters.get("source")
        curves, edges = [], None
        for band, shadowgram, widths in zip(bands, pairs[: len(bands)], pairs[len(bands) :], strict=True):
            fit = WindowFit(shadowgram, widths, field, band, asked, attitude, live_time_map(good, dead))
            edges = _edges(window, fit, parameters["bins"]) if edges is None else edges
            curves += fit_window(window, fit, edges)
        curves = through_support(curves, raw, attitude)
        if parameters.get("barycentre"):
            curves = [at_barycentre(curve, raw.get("orbit"), events.header) for curve in curves]
        return curves

    def save(self, value: list[LightCurve], folder: Path) -> None:
        """Write the curves."""
        save_light_curves(value, folder)

    def load(self, folder: Path) -> list[LightCurve]:
        """Read the curves."""
        return load_light_curves(folder)


def through_support(curves: Sequence[LightCurve], raw: Mapping[str, Path], attitude: Attitude) -> list[LightCurve]:
    """Light curves corrected for what the mask's support takes; as they are without off-axis maps."""
    if "ic_effi" not in raw:
        return list(curves)
    bands = list(dict.fromkeys(curve.band for curve in curves))
    support = dict(zip(bands, support_of(raw, bands), strict=True))
    return [_through(support[curve.band], curve, attitude) for curve in curves]


def _through(support: SupportTransmission, curve: LightCurve, attitude: Attitude) -> LightCurve:
    """The light curve corrected for what the mask's support takes."""
    ty, tz = attitude.tangents(curve.ra_deg, curve.dec_deg)
    share = support.at(float(ty), float(tz))
    return replace(curve, rate=curve.rate / share, error=curve.error / share)


class State:
    """Times at which the source of a light curve has a rate in a range, bin by bin."""

    def compute(self, inputs: Sequence[Any], parameters: Mapping[str, Any], raw: Mapping[str, Path]) -> GoodTime:
        """Join the bins whose rate lies in ``rate_range``."""
        ((curve,),) = inputs
        low, high = parameters["rate_range"]
        kept = (np.asarray(curve.rate) >= low) & (np.asarray(curve.rate) <= high)
        if not kept.any():
            swid = curve.keywords.get("SWID", "")
            raise DataError(f"science window {swid}: no bin of {curve.name} has {low:g} to {high:g} counts/s")
        return GoodTime(union(curve.edges_ijd[kept], closer_than_s=_TOUCHING_S))

    def save(self, value: GoodTime, folder: Path) -> None:
        """Write the intervals."""
        save_record(value, folder)

    def load(self, folder: Path) -> GoodTime:
        """Read the intervals."""
        return load_record(GoodTime, folder)


class JoinLcr:
    """Light curves of all windows, joined by source and band; gaps between windows stay gaps."""

    def compute(
        self, inputs: Sequence[tuple[str, list[LightCurve]]], parameters: Mapping[str, Any], raw: Mapping[str, Path]
    ) -> list[LightCurve]:
        """Put bins of the same source and band in order of time; ``together`` says which of them become one."""
        groups: dict[tuple[str, EnergyBand], list[LightCurve]] = {}
        found = [curve for _, curves in inputs for curve in curves]
        names = joined_names([(curve.name, curve.ra_deg, curve.dec_deg) for curve in found])
        for name, curve in zip(names, found, strict=True):
            groups.setdefault((name, curve.band), []).append(curve)
        joined = [join_curves(curves, parameters.get("together")) for curves in groups.values()]
        return [_of_epochs(curve, correct=bool(parameters.get("epoch_correction"))) for curve in joined]

    def save(self, value: list[LightCurve], folder: Path) -> None:
        """Write the curves."""
        save_light_curves(value, folder)

    def load(self, folder: Path) -> list[LightCurve]:
        """Read the curves."""
        return load_light_curves(folder)


def _of_epochs(curve: LightCurve, *, correct: bool) -> LightCurve:
    """Light curve with its rates made comparable between epochs where that is asked, and a seam between OSAs told."""
    if not len(curve):
        return curve
    keywords = dict(curve.keywords)
    if curve.time_ijd[0] < OSA_SEAM_IJD < curve.time_ijd[-1]:
        keywords["OSASEAM"] = OSA_SEAM_IJD
    if correct:
        keywords |= {"EPOCHCOR": True, "EPOCHSRC": SENSITIVITY_SOURCE}
        curve = curve.scaled(sensitivity_factor(curve.time_ijd))
    return replace(curve, keywords=keywords)


def save_light_curves(curves: Sequence[LightCurve], folder: Path) -> None:
    """Write light curves as they are, in their order."""
    entries = []
    for number, curve in enumerate(curves):
        columns = np.column_stack([np.asarray(getattr(curve, name), dtype=float) for name in bin_columns()])
        np.save(folder / f"curve_{number:04d}.npy", columns, allow_pickle=False)
        rest = {"name": curve.name, "ra_deg": curve.ra_deg, "dec_deg": curve.dec_deg, "band": list(curve.band)}
        entries.append({**rest, "keywords": dict(curve.keywords)})
    (folder / _CURVES_FILE).write_text(json.dumps(entries), encoding="utf-8")


def load_light_curves(folder: Path) -> list[LightCurve]:
    """Read what `save_light_curves` has written."""
    curves = []
    for number, entry in enumerate(json.loads((folder / _CURVES_FILE).read_text(encoding="utf-8"))):
        columns = np.load(folder / f"curve_{number:04d}.npy", allow_pickle=False)
        values: dict[str, Any] = dict(zip(bin_columns(), columns.T, strict=True))
        values["flag"] = values["flag"].astype(np.int64)
        curves.append(LightCurve(**{**entry, "band": EnergyBand(*entry["band"])}, **values))
    return curves


def _edges(window: Window, fit: WindowFit, bins: Mapping[str, Any]) -> Array:
    """Edges of the bins of a window.

    ``{"width_s": s}`` are equal bins, ``{"whole": True}`` is one bin, ``{"edges_ijd": [...]}`` are those given and
    ``{"blocks_of_s": s}`` Bayesian blocks of the source in bins of that length.
    """
    start, stop = window.span
    if "whole" in bins:
        return np.array([start, stop])
    if "edges_ijd" in bins:
        given = np.asarray(bins["edges_ijd"], dtype=float)
        inside = (given[1:] > start) & (given[:-1] < stop)
        if not inside.any():
            raise DataError(f"science window {window.events.header.get('SWID', '')}: no time bin lies in its good time")
        first, last = np.flatnonzero(inside)[[0, -1]]
        return given[first : last + 2]
    edges = fixed_edges(start, stop, bins.get("width_s") or bins["blocks_of_s"])
    return edges if "width_s" in bins else _block_edges(window, fit, edges)


def _block_edges(window: Window, fit: WindowFit, edges: Array) -> Array:
    if len(edges) > MOST_BLOCK_BINS + 1:
        raise DataError(
            f"science window {window.events.header.get('SWID', '')}: {len(edges) - 1} bins to seek blocks in; "
            f"time_bin must leave at most {MOST_BLOCK_BINS}"
        )
    fine = fit_window(window, fit, edges)[0]
    number = np.searchsorted(edges, fine.time_ijd) - 1
    rate, error = np.full((2, len(edges) - 1), np.nan)
    rate[number], error[number] = fine.rate, fine.own_error
    return block_edges(edges, rate, error)


def fit_window(window: Window, fit: WindowFit, edges: Array) -> list[LightCurve]:
    """Light curves of the wanted sources of a fit in the bins of one window."""
    if (len(edges) - 1) * len(fit.wanted) > MOST_BINS:
        raise DataError(
            f"science window {window.events.header.get('SWID', '')}: {len(edges) - 1} bins of {len(fit.wanted)} "
            f"sources are more than {MOST_BINS}; name one source, or take longer bins"
        )
    starts = range(0, len(edges) - 1, BINS_AT_ONCE)
    pieces = [_fit_some_bins(window, fit, edges[k : k + BINS_AT_ONCE + 1]) for k in starts]
    return [_one_behind_another(list(parts)) for parts in zip(*pieces, strict=True)]


def _one_behind_another(pieces: Sequence[LightCurve]) -> LightCurve:
    if len(pieces) == 1:
        return pieces[0]
    columns: dict[str, Any] = {name: np.concatenate([getattr(p, name) for p in pieces]) for name in bin_columns()}
    return replace(pieces[0], **columns)


@dataclass(frozen=True)
class BinnedCounts:
    """Events of a band in time bins, one entry an event unless said otherwise.

    Attributes
    ----------
    bins, pixel : ndarray
        ``(n_events,)`` number of the bin, and of the pixel among those used.
    relative : ndarray
        ``(n_events,)`` live time of its pixel in its bin over the bin's.
    good_s, live_s : ndarray
        ``(n_bins,)`` good time and mean live time.
    partial : PartialPlane or None
        Which modules were on in which bins, where not all of them were.
    """

    bins: IntArray
    pixel: IntArray
    relative: Array
    good_s: Array
    live_s: Array
    partial: PartialPlane | None


def _fit_some_bins(window: Window, fit: WindowFit, edges: Array) -> list[LightCurve]:
    good_s = good_time_per_bin(edges, window.intervals)
    fraction = live_in_bins(window.events, window.good, window.dead, edges)
    mean = fraction.mean(axis=0)
    chosen = select_band(window.events, window.good, fit.shadowgram, fit.band)
    bins = np.searchsorted(edges, chosen.time_ijd, side="right") - 1
    inside = (bins >= 0) & (bins < len(good_s))
    bins, pixel, module = bins[inside], chosen.pixel[inside], chosen.module[inside]
    relative = (fraction / np.maximum(mean, 1e-9))[module, bins]
    partial = modules_on(window.events, fit, edges)
    return fit_counts(window, fit, edges, BinnedCounts(bins, pixel, relative, good_s, good_s * mean, partial))


def fit_counts(window: Window, fit: WindowFit, edges: Array, counts: BinnedCounts) -> list[LightCurve]:
    """Light curves of the wanted sources of a fit from the events of its bins, between the edges (IJD)."""
    binned = fit_bins(
        fit.estimator, counts.bins, counts.pixel, counts.live_s, counts.relative, fit.wanted, counts.partial
    )
    binned = _with_few_counts(fit, binned, counts.bins, counts.pixel, counts.live_s)
    live = np.divide(counts.live_s, counts.good_s, out=np.zeros(len(counts.good_s)), where=counts.good_s > 0)
    flag = _flags(window, edges, binned.counts, live)
    return [_curve(window, fit, binned, k, edges, counts.good_s, counts.live_s, flag) for k in range(len(fit.wanted))]


def _with_few_counts(
    fit: WindowFit, binned: BinnedRates, bins: IntArray, pixel: IntArray, live_s: Array
) -> BinnedRates:
    """Intervals of the Poisson likelihood where a bin has few events to expect."""
    few = _few(binned.counts) & (live_s > 0)
    if not few.any():
        return binned
    low, high = binned.low.copy(), binned.high.copy()
    of_few = few[bins]
    number = np.cumsum(few) - 1
    bins, pixel = number[bins[of_few]], pixel[of_few]
    mean = np.clip(fit.fluxes, 0.0, None)
    for place, k in enumerate(fit.wanted):
        others = fit.estimator.background + fit.estimator.shadows @ np.where(np.arange(len(mean)) == k, 0.0, mean)
        signal = fit.estimator.shadows[:, k]
        totals = (float(signal.sum()), others.sum() * np.ones(int(few.sum())))
        low[:, few, place], high[:, few, place] = poisson_intervals(
            signal[pixel], others[pixel], bins, live_s[few], totals
        )
    return replace(binned, low=low, high=high)


def _few(counts: Array) -> NDArray[np.bool_]:
    """Bins with few events in a light curve whose bins have few."""
    return (counts < FEW_COUNTS) & (np.median(counts) < FEW_COUNTS)


def _flags(window: Window, edges: Array, counts: Array, live: Array) -> NDArray[np.int64]:
    lost = gaps(window.intervals, edges[0], edges[-1])
    quiet = silences(window.events.of_all_kinds[0])
    flag = FLAG_GAP * (touches(edges, union(np.concatenate([lost, quiet]))))
    flag = flag + FLAG_FEW_COUNTS * _few(counts)
    return flag + FLAG_LOSSES * (live < (1 - _BURST_LOSSES) * window.dead.deadc)


def _curve(
    window: Window,
    fit: WindowFit,
    binned: BinnedRates,
    place: int,
    edges: Array,
    good_s: Array,
    live_s: Array,
    flag: NDArray[np.int64],
) -> LightCurve:
    seen = good_s > 0
    width = np.diff(edges) * DAY_S
    level = float(fit.estimator.background.sum())
    k = fit.wanted[place]
    common, rate = fit.common_error[k], binned.rate[:, place]
    low, high = _widened(rate, binned.low[:, :, place], common), _widened(rate, binned.high[:, :, place], common)
    error = np.hypot(binned.error[:, place], common)
    mcrab = 1000 / crab_rate(fit.band)
    columns = {
        "time_ijd": (edges[:-1] + edges[1:]) / 2,
        "width_s": width,
        "rate": rate + fit.offset[k],
        "error": error,
        "fractional_exposure": good_s / width,
        "counts": binned.counts,
        "background": level * binned.background,
        "background_error": level * binned.background_error,
        "low": low[0] + fit.offset[k],
        "high": high[0] + fit.offset[k],
        "low_95": low[1] + fit.offset[k],
        "high_95": high[1] + fit.offset[k],
        "common_error": np.full(len(rate), common),
        "live_time_s": live_s,
        "mcrab": (rate + fit.offset[k]) * mcrab,
        "mcrab_error": error * mcrab,
        "flag": flag,
    }
    columns = {name: values[seen] for name, values in columns.items()}
    keywords = window_keywords(window.events, window.good, window.dead)
    return LightCurve(fit.names[k], fit.ra[k], fit.dec[k], fit.band, **columns, keywords=keywords)


def _widened(rate: Array, ends: Array, common: float) -> Array:
    """Ends of the two intervals, ``(2, n_bins)``, with an error that all bins share."""
    sigmas = np.array(LEVELS)[:, None]
    away = ends - rate
    return rate + np.sign(away) * np.hypot(away, sigmas * common)


def window_keywords(events: SelectedEvents, good: GoodTime, dead: DeadTime) -> dict[str, Any]:
    """Keywords that the products of one window carry."""
    carried = {key: value for key, value in events.header.items() if not key.endswith(("_SCX", "_SCZ"))}
    return {
        **carried,
        "ONTIME": good.ontime_s,
        "DEADC": dead.deadc,
        "EXPOSURE": good.ontime_s * dead.deadc,
        "CREATOR": "integral-oda native",
        "DEADORIG": dead.origin,
    }
