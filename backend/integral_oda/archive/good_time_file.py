"""Good time from files: a user's FITS table or text of START and STOP, and OSA's tables by their names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from integral_oda.archive.events import GTI_TABLE, MERGED_GTI
from integral_oda.archive.fits_table import Hdu, read_hdus
from integral_oda.errors import DataError, RequestError
from integral_oda.query import parse_time

__all__ = ["read_good_time", "read_named_good_time"]

_ALLOWED = "START,STOP, or a file: FITS with columns START and STOP in IJD, or text with two columns of times"
_FITS_OR_GZIP = (b"SIMPLE", b"\x1f\x8b")


def read_good_time(path: str | Path) -> tuple[tuple[float, float], ...]:
    """Read good time intervals from a file.

    Parameters
    ----------
    path : str or Path
        FITS, plain or gzipped: its IBIS-GNRL-GTI (MERGED_ISGRI where there are several), else the first table with
        columns START and STOP. Anything else is text: a start and a stop a line, blanks or a comma between
        them, each as `parse_time` reads it; # begins a comment.

    Returns
    -------
    tuple of (float, float)
        Start and stop, IJD.

    Raises
    ------
    RequestError
        If there is no such file, or it holds no good time.
    """
    path = Path(path)
    try:
        intervals = _from_fits(path) if path.read_bytes()[:6].startswith(_FITS_OR_GZIP) else _from_text(path)
    except (OSError, UnicodeDecodeError):
        raise RequestError("gti", path, f"not readable; it may be {_ALLOWED}") from None
    except (DataError, ValueError) as exc:
        raise RequestError("gti", path, str(exc)) from None
    if not intervals:
        raise RequestError("gti", path, f"holds no interval; it may be {_ALLOWED}")
    return intervals


def read_named_good_time(path: str | Path) -> dict[str, NDArray[np.float64]]:
    """Good time of OSA's step GTI (``ibis_gti.fits``), by the names of its tables.

    Returns
    -------
    dict of str to ndarray
        Intervals ``(n, 2)`` in IJD, in order: ``MERGED_ISGRI``, ``ISGRI_MCE0`` .., ``ATTITUDE`` and what else there is.

    Raises
    ------
    DataError
        If the file holds no merged good time, or an interval that does not end after its start.
    """
    found = {}
    for table in read_hdus(path):
        if table.name == GTI_TABLE:
            intervals = np.column_stack([table.column("START"), table.column("STOP")]).astype(float).reshape(-1, 2)
            if not (np.isfinite(intervals).all() and (intervals[:, 0] < intervals[:, 1]).all()):
                raise DataError(f"{path}: {GTI_TABLE} has an interval that does not end after its start")
            name = str(table.header.get("GTI_NAME", "")).strip()
            found[name] = intervals[np.argsort(intervals[:, 0], kind="stable")]
    if MERGED_GTI not in found:
        raise DataError(f"{path}: no {GTI_TABLE} named {MERGED_GTI}")
    return found


def _from_fits(path: Path) -> tuple[tuple[float, float], ...]:
    hdus = [hdu for hdu in read_hdus(path) if hdu.header.get("XTENSION") == "BINTABLE"]
    tables = [hdu for hdu in hdus if {"START", "STOP"} <= hdu.columns.keys()]
    if not tables:
        raise DataError("no table of it has columns START and STOP")
    table = min(tables, key=_rank)
    columns = np.stack([table.column("START"), table.column("STOP")], axis=1).astype(float)
    return tuple((parse_time(str(start)), parse_time(str(stop))) for start, stop in columns.reshape(-1, 2))


def _rank(table: Hdu) -> tuple[bool, bool]:
    return table.name != GTI_TABLE, table.header.get("GTI_NAME") != MERGED_GTI


def _from_text(path: Path) -> tuple[tuple[float, float], ...]:
    intervals = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        words = line.partition("#")[0].replace(",", " ").split()
        if not words:
            continue
        if len(words) != 2:
            raise ValueError(f"line {number} has {len(words)} values; a start and a stop are needed")
        intervals.append((parse_time(words[0]), parse_time(words[1])))
    return tuple(intervals)
