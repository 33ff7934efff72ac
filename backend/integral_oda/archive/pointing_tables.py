"""Pointings from files of other origins: ISDC's index, tables of archives, pointings of light curves, lists."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from integral_oda.archive.fits_table import Hdu, read_hdus
from integral_oda.archive.pointings import INDEX_TABLE, PointingIndex, read_index
from integral_oda.archive.scw import ScwId, ScwKind
from integral_oda.arrays import Array
from integral_oda.errors import DataError, RequestError

__all__ = ["ALIASES", "index_of_columns", "read_pointings"]

_MJD_OF_IJD_0 = 51544.0
_LEAST_MJD = 40000.0
_SECONDS_A_DAY = 86400.0
_RULE = (
    "an index of this program, ISDC's GNRL-SCWG-GRP-IDX, a FITS, VOTable, ECSV or CSV table with science window, RA "
    "and Dec, the POINTINGS of a light curve, an attitude table, or a text list of science windows or observations"
)
ALIASES = {
    "name": ("SWID", "SCW", "SCW_ID", "SCWID", "OBSID", "OBS_ID", "OBSERVATION_ID"),
    "version": ("SCW_VER", "VERSION"),
    "kind": ("SW_TYPE", "SCW_TYPE", "TYPE"),
    "ra_x": ("RA_SCX", "RA_X", "RA", "S_RA"),
    "dec_x": ("DEC_SCX", "DEC_X", "DEC", "S_DEC"),
    "ra_z": ("RA_SCZ", "RA_Z"),
    "dec_z": ("DEC_SCZ", "DEC_Z"),
    "tstart": ("TSTART", "START_DATE", "STARTTIME", "START_TIME", "T_MIN", "START"),
    "tstop": ("TSTOP", "END_DATE", "ENDTIME", "END_TIME", "STOP_TIME", "T_MAX", "STOP"),
    "good_s": ("GOOD_ISGRI", "GOOD_TIME_ISGRI"),
}
_WINDOW_TITLES = ("SWID", "SCW", "SCW_ID", "SCWID")
_KINDS = {"POINTING": ScwKind.POINTING, "SLEW": ScwKind.SLEW, "ENGINEERING": ScwKind.ENGINEERING}
_FOLDER = re.compile(r"(\d{12})\.(\d{3})")


def read_pointings(path: str | Path) -> PointingIndex:
    """Read pointings from any file that tells of some.

    Parameters
    ----------
    path : str or Path
        An index of `integral_oda.archive.pointings.write_index`; ISDC's ``GNRL-SCWG-GRP-IDX``; a FITS, VOTable, ECSV
        or CSV table whose columns have the names of ISDC's, HEASARC's or ESA's; a FITS light curve with one point a
        pointing and its extension POINTINGS; the attitude table of a science window; text with a science window a
        line; text with observation, RA, Dec, start (ISO, UTC) and length in seconds.

    Raises
    ------
    RequestError
        If the file cannot be read or is none of these.
    """
    path = Path(path)
    try:
        start = path.read_bytes()[:512]
        if start.startswith((b"SIMPLE", b"\x1f\x8b")) and not _is_packed_text(path):
            return _from_fits(path)
        if b"<VOTABLE" in start or b"<?xml" in start or path.suffix.lower() in (".ecsv", ".csv"):
            return _from_table_text(path)
        return _from_lines(_text(path).splitlines())
    except (OSError, UnicodeDecodeError, DataError, RequestError, ValueError, KeyError, IndexError) as exc:
        raise RequestError("index", path, f"{_RULE} ({' '.join(str(exc).split())})") from None


def _is_packed_text(path: Path) -> bool:
    import gzip

    with path.open("rb") as raw:
        if raw.read(2) != b"\x1f\x8b":
            return False
    with gzip.open(path) as stream:
        return not stream.read(6).startswith(b"SIMPLE")


def _text(path: Path) -> str:
    import gzip

    content = path.read_bytes()
    return (gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content).decode("utf-8")


def _from_fits(path: Path) -> PointingIndex:
    tables = {hdu.name: hdu for hdu in read_hdus(path) if hdu.header.get("XTENSION") == "BINTABLE"}
    if INDEX_TABLE in tables:
        return read_index(path)
    if {"POINTINGS", "RATES"} <= tables.keys():
        return _from_light_curve(tables["POINTINGS"], tables["RATES"], tables.get("GTI"))
    for table in tables.values():
        if "SWID" in table.header and "RA_SCX" in table.columns and "SWID" not in table.columns:
            return _from_attitude(table)
        if _find("ra_x", table.columns) and (_find("name", table.columns) or "MEMBER_LOCATION" in table.columns):
            return index_of_columns(table.columns, table.column)
    raise DataError(f"none of its tables ({', '.join(tables) or 'it has none'}) lists pointings")


def _find(field: str, columns: Any) -> str | None:
    return next((name for name in ALIASES[field] if name in columns), None)


def index_of_columns(columns: Any, column: Callable[[str], Any]) -> PointingIndex:
    """Index of a table with ISDC's, HEASARC's or ESA's column names.

    Parameters
    ----------
    columns : container of str
        Names of its columns, in capitals.
    column : callable
        Gives the values of a column.
    """
    known: dict[str, Any] = {"name": _names(columns, column)}
    for field in ("ra_x", "dec_x", "ra_z", "dec_z", "good_s"):
        if name := _find(field, columns):
            known[field] = np.asarray(column(name), np.float64)
    for field in ("tstart", "tstop"):
        if name := _find(field, columns):
            known[field] = _ijd(np.asarray(column(name)))
    if name := _find("kind", columns):
        titles = [_as_text(value).upper() for value in np.asarray(column(name)).tolist()]
        known["kind"] = [_KINDS.get(title, ScwKind.ENGINEERING) for title in titles]
    return PointingIndex.build(known)


def _names(columns: Any, column: Callable[[str], Any]) -> list[str]:
    """Names with versions: of the column of its own, of the files' folders, else 001."""
    title = _find("name", columns)
    version = _find("version", columns)
    folders = (
        [_FOLDER.search(_as_text(v)) for v in column("MEMBER_LOCATION").tolist()]
        if "MEMBER_LOCATION" in columns
        else []
    )
    if title is None:
        return ["".join(match[0]) if match else f"row {n}" for n, match in enumerate(folders, start=1)]
    cells = np.asarray(column(title))
    names = [_as_text(value) for value in cells.tolist()]
    if cells.dtype.kind in "iu" and title in _WINDOW_TITLES:  # a table that has lost the zeros
        names = [name.zfill(12) for name in names]
    if version is not None:
        versions = [int(_as_text(value) or 1) for value in np.asarray(column(version)).tolist()]
    elif folders:
        versions = [int(match[2]) if match else 1 for match in folders]
    else:
        versions = [1] * len(names)
    return [_full_name(name, number) for name, number in zip(names, versions, strict=True)]


def _full_name(name: str, version: int = 1) -> str:
    try:
        scw = ScwId.parse(name)
    except RequestError:
        return name
    return str(scw if "." in name else scw.with_version(version))


def _as_text(value: Any) -> str:
    return (value.decode("ascii", "replace") if isinstance(value, bytes) else str(value)).strip()


def _ijd(values: NDArray[Any]) -> Array:
    """Times as IJD: numbers are IJD or MJD, text is ISO in UTC."""
    if values.dtype.kind in "iuf":
        numbers = values.astype(np.float64)
        return np.where(numbers > _LEAST_MJD, numbers - _MJD_OF_IJD_0, numbers)
    from astropy.time import Time

    texts = [_as_text(value).replace(" ", "T") for value in values.tolist()]
    return np.asarray(Time(texts, scale="utc").tt.mjd) - _MJD_OF_IJD_0


def _from_light_curve(pointings: Hdu, rates: Hdu, gti: Hdu | None) -> PointingIndex:
    """Pointings of a light curve with one point each; TIME is the middle, s from TIMEZERO (s of MJD)."""
    middle = (rates.column("TIME") + float(rates.header["TIMEZERO"])) / _SECONDS_A_DAY - _MJD_OF_IJD_0
    half = rates.column("TIMEDEL") / 2 / _SECONDS_A_DAY
    columns = {"ra_x": pointings.column("RA") % 360, "dec_x": pointings.column("DEC")}
    if (
        gti is not None and "ONTIME" in gti.columns
    ):  # EXPOSURE of the pointings is at the source: coded fraction applied
        columns["good_s"] = gti.column("ONTIME")
    return _numbered(columns | {"tstart": middle - half, "tstop": middle + half})


def _numbered(columns: dict[str, Any]) -> PointingIndex:
    count = len(columns["ra_x"])
    return PointingIndex.build(columns | {"name": [f"pointing {n:07d}" for n in range(1, count + 1)]})


def _from_attitude(table: Hdu) -> PointingIndex:
    """One pointing of the mean attitude of a science window."""
    from integral_oda.instrument.attitude import unit_vector

    columns: dict[str, Any] = {"name": [_full_name(str(table.header["SWID"]))]}
    for axis in "XZ":
        mean = unit_vector(table.column(f"RA_SC{axis}"), table.column(f"DEC_SC{axis}")).mean(axis=0)
        columns[f"ra_{axis.lower()}"] = [np.rad2deg(np.arctan2(mean[1], mean[0])) % 360]
        columns[f"dec_{axis.lower()}"] = [np.rad2deg(np.arcsin(mean[2] / np.linalg.norm(mean)))]
    for field, key in (("tstart", "TSTART"), ("tstop", "TSTOP")):
        if isinstance(value := table.header.get(key), float):
            columns[field] = [value]
    columns["kind"] = [_KINDS.get(str(table.header.get("SW_TYPE", "POINTING")), ScwKind.ENGINEERING)]
    return PointingIndex.build(columns)


def _from_table_text(path: Path) -> PointingIndex:
    from astropy.table import Table

    text = _text(path)
    kind = "votable" if "<VOTABLE" in text[:2000] else "ascii.ecsv" if text.startswith("# %ECSV") else "ascii.csv"
    table = Table.read(path, format=kind)
    titles = {name.upper(): name for name in table.colnames}
    if not (_find("name", titles) and _find("ra_x", titles)):
        raise DataError(f"its columns are {', '.join(table.colnames)}")
    return index_of_columns(titles, lambda name: np.asarray(table[titles[name]]))


def _from_lines(lines: Sequence[str]) -> PointingIndex:
    rows = [words for line in lines if (words := line.partition("#")[0].split())]
    if not rows:
        raise DataError("it has no line")
    if all(len(words) == 1 for words in rows):
        return PointingIndex.build({"name": [str(ScwId.parse(words[0])) for words in rows]})
    if any(len(words) != 5 for words in rows):
        raise DataError("a line needs observation, RA, Dec, start and seconds")
    name, ra, dec, start, seconds = (np.array(column) for column in zip(*rows, strict=True))
    begin = _ijd(start)
    length = seconds.astype(np.float64)
    positions = {"ra_x": ra.astype(np.float64) % 360, "dec_x": dec.astype(np.float64)}
    return PointingIndex.build(
        {"name": name.tolist(), **positions, "tstart": begin, "tstop": begin + length / _SECONDS_A_DAY}
    )
