"""What leaves a science window out: bad time intervals, drop verdicts and lists of windows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from integral_oda.archive.fits_table import Hdu, read_hdus
from integral_oda.archive.scw import ScwId
from integral_oda.errors import DataError, RequestError

__all__ = ["BAD_TIME_NAMES", "Exclusions", "newest_bad_time_file", "read_bad_time", "read_exclusions"]

BAD_TIME_NAMES = frozenset(
    ("IBIS_CONFIGURATION", "IBIS_BOOT", "ISGRI_RISE_TIME", "VETO_PROBLEM", "SOLAR_FLARE", "BELT_CROSSING")
)
"""Kinds of bad time that OSA leaves out unless told otherwise (GTI_BTI_Names)."""

_RULE = (
    "bti (the newest table of the IC tree), a FITS table of bad time intervals, a quality.json or a folder of them, "
    "or a text file with a science window a line"
)
_NAME_COLUMNS = ("BTI_NAME", "NAME", "BTI_TYPE", "TYPE")
_START_COLUMNS, _STOP_COLUMNS = ("START", "TSTART", "VSTART"), ("STOP", "TSTOP", "VSTOP")


@dataclass
class Exclusions:
    """What is left out.

    Attributes
    ----------
    windows : dict of str to str
        Science windows (12 digits) with the reason.
    bad_time_ijd : list of (float, float, str)
        Start, stop (IJD) and name.
    """

    windows: dict[str, str] = field(default_factory=dict)
    bad_time_ijd: list[tuple[float, float, str]] = field(default_factory=list)


def read_exclusions(sources: Sequence[str], archive: Path) -> Exclusions:
    """Read everything that science windows are left out by.

    Parameters
    ----------
    sources : sequence of str
        Each ``"bti"``, a FITS table of bad time intervals, a ``quality.json`` or a folder with some, or a text file
        with a science window a line.
    archive : Path
        Root of the archive, where the IC tree is.

    Raises
    ------
    RequestError
        If one of them is not there or none of these.
    """
    found = Exclusions()
    for source in sources:
        path = newest_bad_time_file(archive) if source == "bti" else Path(source)
        if path is None:
            raise RequestError("exclude", source, f"{archive}/ic/ibis/lim has no isgr_gnrl_bti_NNNN.fits")
        try:
            _read(path, found)
        except (OSError, UnicodeDecodeError, DataError, ValueError, KeyError) as exc:
            raise RequestError("exclude", source, f"{_RULE} ({exc})") from None
    return found


def newest_bad_time_file(archive: Path) -> Path | None:
    """Bad time table of the highest version in the archive's IC tree, or None."""
    files = {path.name.removesuffix(".gz"): path for path in archive.glob("ic/ibis/lim/isgr_gnrl_bti_*.fits*")}
    return files[max(files)] if files else None


def _read(path: Path, found: Exclusions) -> None:
    if path.is_dir():
        pages = sorted(path.rglob("quality.json"))
        if not pages:
            raise ValueError("the folder has no quality.json")
        for page in pages:
            _read_verdict(page, found)
    elif path.suffix == ".json":
        _read_verdict(path, found)
    elif path.read_bytes()[:6].startswith((b"SIMPLE", b"\x1f\x8b")):
        found.bad_time_ijd += read_bad_time(path)
    else:
        for line in path.read_text(encoding="utf-8").splitlines():
            if words := line.partition("#")[0].split(maxsplit=1):
                found.windows[_swid(words[0])] = words[1].strip() if len(words) > 1 else f"listed in {path.name}"


def _swid(text: str) -> str:
    try:
        return ScwId.parse(text).swid
    except RequestError as exc:
        raise ValueError(str(exc)) from None


def _read_verdict(page: Path, found: Exclusions) -> None:
    values = json.loads(page.read_text(encoding="utf-8"))
    if values["verdict"] == "drop":
        reasons = [reason["text"] for reason in values.get("reasons", []) if reason.get("level") == "drop"]
        found.windows[_swid(str(values["science_window"]))] = "; ".join(["verdict drop", *reasons[:1]])


def read_bad_time(path: Path) -> list[tuple[float, float, str]]:
    """Read a table of bad time: start, stop (IJD) and name of the intervals that `BAD_TIME_NAMES` has, or of no name.

    Raises
    ------
    DataError
        If the file has no columns of starts and stops.
    """
    intervals = []
    tables = [
        hdu
        for hdu in read_hdus(path)
        if hdu.header.get("XTENSION") == "BINTABLE" and _first(hdu, _START_COLUMNS) and _first(hdu, _STOP_COLUMNS)
    ]
    if not tables:
        raise DataError(f"{path}: no table of it has columns START and STOP")
    for table in tables:
        start, stop = table.column(_first(table, _START_COLUMNS)), table.column(_first(table, _STOP_COLUMNS))
        rows = zip(start.tolist(), stop.tolist(), _names(table, len(start)), strict=True)
        intervals += [(begin, end, name) for begin, end, name in rows if name in BAD_TIME_NAMES or not name]
    return intervals


def _names(table: Hdu, count: int) -> list[str]:
    column = _first(table, _NAME_COLUMNS)
    if not column:
        return [str(table.header.get("BTI_NAME", ""))] * count
    return [name.decode("ascii", "replace").strip() for name in table.column(column).tolist()]


def _first(table: Hdu, candidates: tuple[str, ...]) -> str:
    return next((name for name in candidates if name in table.columns), "")
