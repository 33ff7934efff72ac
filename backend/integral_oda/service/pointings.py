"""The online system's small services about pointings and times."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from integral_oda.archive.pointings import PointingIndex
from integral_oda.errors import RequestError
from integral_oda.query import MJD_OF_IJD_0, parse_time

__all__ = ["TIME_FORMATS", "convert_time", "window_list"]

TIME_FORMATS = ("UTC", "IJD", "MJD", "SCWID", "REVNUM")
_READINESS = ("cons", "nrt", "any")
_COLUMNS = {"RA_SCX": "ra_x", "DEC_SCX": "dec_x", "TSTART": "tstart", "TSTOP": "tstop"}
_LENGTH_OF_SWID = 12


def window_list(
    index: PointingIndex, readiness: str, start: str, stop: str, fields: Mapping[str, Sequence[str]]
) -> list[str] | dict[str, list[Any]]:
    """Science windows of a time range, 12 digits each; with ``return_columns`` the columns that are named.

    Parameters
    ----------
    index : PointingIndex
    readiness : {"cons", "nrt", "any"}
    start, stop : str
        IJD, MJD or ISO UTC.
    fields : mapping of str to sequence of str
        ``ra``, ``dec``, ``radius`` in degrees, ``min_good_isgri`` in seconds, ``return_columns``.

    Raises
    ------
    RequestError
        Naming what cannot be read.
    """
    if readiness not in _READINESS:
        raise RequestError("readiness", readiness[:20], ", ".join(_READINESS))
    t1, t2 = _ijd("T1", start), _ijd("T2", stop)
    wanted = index.is_window & index.overlapping(t1, t2)
    if readiness != "any":
        wanted &= (index.version == 0) == (readiness == "nrt")
    ra, dec, radius, good = (_number(fields, name) for name in ("ra", "dec", "radius", "min_good_isgri"))
    if ra is not None and dec is not None:
        wanted &= index.near(ra, dec, 15.0 if radius is None else radius)
    if good is not None:
        wanted &= index.ontime_s >= good
    found = index.rows(np.flatnonzero(wanted))
    names = [name[:_LENGTH_OF_SWID] for name in found.names]
    columns = [name for name in ",".join(fields.get("return_columns", [])).split(",") if name]
    if not columns:
        return sorted(set(names))
    return {name: names if name == "SWID" else getattr(found, _column(name)).tolist() for name in columns}


def _column(name: str) -> str:
    if name not in _COLUMNS:
        raise RequestError("return_columns", name[:20], ", ".join(["SWID", *_COLUMNS]))
    return _COLUMNS[name]


def _number(fields: Mapping[str, Sequence[str]], name: str) -> float | None:
    text = fields.get(name, [""])[-1].strip()
    try:
        value = float(text) if text else None
    except ValueError:
        value = np.nan
    if value is not None and not np.isfinite(value):
        raise RequestError(name, text[:40], "a number")
    return value


def _ijd(name: str, text: str) -> float:
    try:
        return parse_time(text)
    except ValueError as exc:
        raise RequestError(name, text[:40], str(exc)) from None


def convert_time(index: Callable[[], PointingIndex], given: str, value: str, wanted: str) -> str:
    """Write a time in another form.

    Parameters
    ----------
    index : callable
        Gives the pointings, which tell revolutions and science windows from times.
    given, wanted : {"UTC", "IJD", "MJD", "SCWID", "REVNUM"}
        IJD and MJD are TT; a science window or a revolution stands for its start.
    value : str

    Raises
    ------
    RequestError
        If a form or the time is not understood, or no pointing is known there.
    """
    for name, kind in (("informat", given), ("outformat", wanted)):
        if kind not in TIME_FORMATS:
            raise RequestError(name, kind[:20], ", ".join(TIME_FORMATS))
    ijd = _start_of(index(), given, value) if given in ("SCWID", "REVNUM") else _ijd("intime", value)
    if wanted in ("SCWID", "REVNUM"):
        return _pointing_at(index(), ijd)[: 4 if wanted == "REVNUM" else _LENGTH_OF_SWID]
    from astropy.time import Time

    moment = Time(ijd + MJD_OF_IJD_0, format="mjd", scale="tt")
    return {"UTC": str(moment.utc.isot), "IJD": f"{ijd:.9f}", "MJD": f"{moment.mjd:.9f}"}[wanted]


def _start_of(index: PointingIndex, kind: str, value: str) -> float:
    length = _LENGTH_OF_SWID if kind == "SCWID" else 4
    digits = value.strip().zfill(4)
    names = np.array([name[:length] for name in index.names])
    if not (digits[:length].isdigit() and len(digits) >= length and (names == digits[:length]).any()):
        raise RequestError("intime", value[:40], f"a {kind} of the pointings that are known here")
    return float(index.tstart[names == digits[:length]].min())


def _pointing_at(index: PointingIndex, ijd: float) -> str:
    inside = np.flatnonzero(index.is_window & index.overlapping(ijd, np.nextafter(ijd, np.inf)))
    if not len(inside):
        raise RequestError("intime", f"IJD {ijd:.6f}", "a time of the pointings that are known here")
    return index.names[int(inside[0])]
