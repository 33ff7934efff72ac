"""The pointing index of a local archive: made from its science windows' own headers, and kept up to date."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from integral_oda.archive.events import read_events
from integral_oda.archive.fits_table import find_header
from integral_oda.archive.pointings import PointingIndex, read_index, write_index
from integral_oda.archive.scw import ScwId
from integral_oda.archive.tree import EVENTS_FILE, GROUP_FILE
from integral_oda.errors import DataError, OutputError, RequestError

__all__ = ["IndexReport", "archive_index", "index_path", "take_pointings", "update_index"]

INDEX_FILE = "idx/integral-oda-pointings.fits"
TAKEN_FILE = "idx/pointings-taken.fits"
OTHER_INDEX_FILES = (TAKEN_FILE, "idx/scw/GNRL-SCWG-GRP-IDX.fits", "idx/scw/GNRL-SCWG-GRP-IDX.fits.gz")

_KEYWORDS = ("RA_SCX", "DEC_SCX", "RA_SCZ", "DEC_SCZ", "TSTART", "TSTOP")
_FIELDS = ("ra_x", "dec_x", "ra_z", "dec_z", "tstart", "tstop")
_BATCH = 500
_FEW_WINDOWS = 2000

Row = tuple[str, int, tuple[float, ...], float]


@dataclass(frozen=True)
class IndexReport:
    """What an update of the index did.

    Attributes
    ----------
    path : Path
        The index.
    windows, read, removed : int
        Science windows in it, how many were read now, how many are gone.
    problems : tuple of str
        One line for each window that could not be read; it is not in the index.
    """

    path: Path
    windows: int
    read: int
    removed: int
    problems: tuple[str, ...]


def index_path(root: Path) -> Path:
    """Where the index of an archive is kept."""
    return root / INDEX_FILE


def archive_index(root: Path) -> PointingIndex:
    """Pointings of an archive: its own index, brought up to date if windows have come or gone, and ISDC's if there.

    Raises
    ------
    DataError
        If there is neither an index nor a science window.
    """
    known = _other_indices(root)
    if (root / "scw").is_dir():
        known.append(_own_index(root))
    found = [index for index in known if len(index)]
    if not found:
        raise DataError(
            f"{root}: no science window and no index to choose from; `integral-oda archive` says how to fill it"
        )
    return PointingIndex.merge(found) if len(found) > 1 else found[0]


def take_pointings(root: Path, source: str | Path | PointingIndex) -> Path:
    """Keep the pointings of a file beside the archive's own, so that windows are chosen from both.

    Parameters
    ----------
    root : Path
        Root of the archive.
    source : str, Path or PointingIndex
        Anything that `read_pointings` reads, or pointings.

    Raises
    ------
    RequestError
        If the file cannot be read.
    OutputError
        If the archive cannot be written.
    """
    from integral_oda.archive.pointing_tables import read_pointings

    write_index(root / TAKEN_FILE, source if isinstance(source, PointingIndex) else read_pointings(source))
    return root / TAKEN_FILE


def _other_indices(root: Path) -> list[PointingIndex]:
    from integral_oda.archive.pointing_tables import read_pointings

    return [read_pointings(root / name) for name in OTHER_INDEX_FILES if (root / name).is_file()]


def _own_index(root: Path) -> PointingIndex:
    path = index_path(root)
    if path.is_file():
        written = path.stat().st_mtime_ns
        if all(folder.stat().st_mtime_ns < written for folder in _revolutions(root)):
            return read_index(path)
    try:
        update_index(root)
    except OutputError:  # an archive that may only be read
        return _scan(root, _known(path), None, good_time=False)[0]
    return read_index(path)


def update_index(
    root: Path, jobs: int | None = None, report: Callable[[str], None] | None = None, *, good_time: bool = False
) -> IndexReport:
    """Read the science windows of an archive that are new or changed, and write its index.

    Parameters
    ----------
    root : Path
        Root of the archive.
    jobs : int, optional
        Processes that read; all cores unless given.
    report : callable, optional
        Told a line now and then.
    good_time : bool
        Read the good time too: that takes the whole event file, a second a window.

    Raises
    ------
    OutputError
        If the index cannot be written.
    """
    path = index_path(root)
    index, read, removed, problems = _scan(root, _known(path), jobs, report, good_time=good_time)
    write_index(path, index)
    return IndexReport(path, len(index), read, removed, tuple(problems))


def _known(path: Path) -> PointingIndex | None:
    try:
        return read_index(path)
    except DataError:
        return None


def _scan(
    root: Path,
    known: PointingIndex | None,
    jobs: int | None,
    report: Callable[[str], None] | None = None,
    *,
    good_time: bool,
) -> tuple[PointingIndex, int, int, list[str]]:
    files = dict(_header_files(root))
    kept = _unchanged(known, files, good_time=good_time)
    names = set() if kept is None else set(kept.names)
    wanted = [(name, path) for name, (path, _) in files.items() if name not in names]
    rows: list[Row] = []
    problems: list[str] = []
    for done, (row, problem) in enumerate(_read_all(wanted, jobs, good_time=good_time), start=1):
        if row is not None:
            rows.append(row)
        else:
            problems.append(problem)
        if report is not None and done % (20 * _BATCH) == 0:
            report(f"{done} of {len(wanted)} science windows read")
    parts = [part for part in (kept, _from_rows(rows)) if part is not None]
    removed = 0 if known is None else len(set(known.names) - files.keys())
    return PointingIndex.merge(parts), len(rows), removed, problems


def _header_files(root: Path) -> Iterator[tuple[str, tuple[str, int]]]:
    """Each science window with the file that its row is read from, and when that was written."""
    for revolution in _revolutions(root):
        with os.scandir(revolution) as folders:
            for folder in sorted(folders, key=lambda entry: entry.name):
                if _is_window(folder.name, revolution.name):
                    found = _header_file(folder.path)
                    if found is not None:
                        yield folder.name, found


def _revolutions(root: Path) -> list[Path]:
    return sorted(root.glob("scw/[0-9][0-9][0-9][0-9]"))


def _is_window(name: str, revolution: str) -> bool:
    try:
        return str(ScwId.parse(name)) == name and name.startswith(revolution)
    except RequestError:
        return False


def _header_file(folder: str) -> tuple[str, int] | None:
    for name in (GROUP_FILE, f"{GROUP_FILE}.gz", EVENTS_FILE, f"{EVENTS_FILE}.gz"):
        path = f"{folder}/{name}"
        try:
            return path, os.stat(path).st_mtime_ns  # noqa: PTH116 - a Path a window would double the time
        except OSError:
            continue
    return None


def _unchanged(
    known: PointingIndex | None, files: dict[str, tuple[str, int]], *, good_time: bool
) -> PointingIndex | None:
    if known is None or not len(known):
        return None
    stamps = [files.get(name, ("", -1))[1] for name in known.names]
    same = known.stamp == np.array(stamps, np.int64)
    if good_time:
        same &= ~np.isnan(known.good_s)
    return known.rows(same) if same.any() else None


def _read_all(wanted: list[tuple[str, str]], jobs: int | None, *, good_time: bool) -> Iterator[tuple[Row | None, str]]:
    batches = [(wanted[at : at + _BATCH], good_time) for at in range(0, len(wanted), _BATCH)]
    jobs = jobs or os.cpu_count() or 1
    if jobs == 1 or (len(wanted) < _FEW_WINDOWS and not good_time):
        for batch in batches:
            yield from _read_batch(batch)
        return
    with ProcessPoolExecutor(jobs) if batches else nullcontext() as pool:
        for found in pool.map(_read_batch, batches) if pool else ():
            yield from found


def _read_batch(batch: tuple[list[tuple[str, str]], bool]) -> list[tuple[Row | None, str]]:
    windows, good_time = batch
    return [_read_window(name, Path(path), good_time=good_time) for name, path in windows]


def _read_window(name: str, path: Path, *, good_time: bool) -> tuple[Row | None, str]:
    try:
        header = find_header(path, _KEYWORDS)
        values = tuple(float(header[key]) for key in _KEYWORDS)
        stamp = path.stat().st_mtime_ns
        return (name, stamp, values, _good_time(path.parent) if good_time else np.nan), ""
    except (DataError, TypeError, ValueError, OSError) as exc:
        return None, f"{name}: {exc}"


def _good_time(folder: Path) -> float:
    for name in (EVENTS_FILE, f"{EVENTS_FILE}.gz"):
        if (folder / name).is_file():
            return read_events(folder / name).ontime_s
    return 0.0


def _from_rows(rows: Iterable[Row]) -> PointingIndex:
    columns: dict[str, Any] = {"name": [], "stamp": [], "values": [], "good_s": []}
    for row in rows:
        for column, value in zip(columns.values(), row, strict=True):
            column.append(value)
    values = np.array(columns.pop("values"), np.float64).reshape(-1, len(_FIELDS))
    return PointingIndex.build(columns | dict(zip(_FIELDS, values.T, strict=True)))
