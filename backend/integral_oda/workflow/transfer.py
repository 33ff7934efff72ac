"""A store in one file: results written into a tar archive, and taken from one into another store."""

from __future__ import annotations

import lzma
import re
import tarfile
import uuid
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path, PurePosixPath
from typing import IO, Any

from integral_oda.errors import DataError, OutputError
from integral_oda.workflow.store import Store

__all__ = ["Transferred", "export_store", "import_store"]

_COMPRESSIONS = ("gz", "bz2", "xz")
_KEY = re.compile("[0-9a-f]{64}")
_PIECE = 1 << 20


@dataclass(frozen=True)
class Transferred:
    """Number of results written or taken, of those that were there already, and of those that are damaged."""

    moved: int
    already_there: int
    damaged: int


def export_store(store: Store, path: Path, keys: Iterable[str] | None = None) -> Transferred:
    """Write results into a tar archive, aside first and then renamed.

    Parameters
    ----------
    store : Store
        Where they are.
    path : Path
        The archive; it is compressed where its name ends in ``gz``, ``bz2`` or ``xz``.
    keys : iterable of str, optional
        Which results; all by default. Damaged ones are left out and counted.

    Raises
    ------
    OutputError
        When the archive cannot be written.
    """
    kind = path.suffix.removeprefix(".")
    mode: Any = f"w:{kind}" if kind in _COMPRESSIONS else "w"
    aside = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        with tarfile.open(aside, mode) as archive:
            moved, damaged = _pack(store, archive, store.keys() if keys is None else keys)
        aside.rename(path)
    except OSError as exc:
        raise OutputError(f"{path} cannot be written: {exc.strerror or exc}") from exc
    finally:
        aside.unlink(missing_ok=True)
    return Transferred(moved, 0, damaged)


def _pack(store: Store, archive: tarfile.TarFile, keys: Iterable[str]) -> tuple[int, int]:
    moved = damaged = 0
    lease = store.lease()
    try:
        for key in keys:
            folder = store.find(key, lease)
            if folder is None:
                damaged += 1
            else:
                archive.add(folder, arcname=key)
                moved += 1
    finally:
        lease.close()
    return moved, damaged


def import_store(store: Store, path: Path) -> Transferred:
    """Take the results of a tar archive that `export_store` wrote; what is there already stays.

    Each result is checked before it becomes visible; damaged ones are left out and counted.

    Raises
    ------
    DataError
        When the archive cannot be read or is not that of a store.
    OutputError
        When the store cannot be written.
    """
    counts = {"moved": 0, "there": 0, "damaged": 0}
    for key, files in _results(path):
        try:
            taken = store.receive(key, files.unpack)
        except DataError:
            if files.unreadable:
                raise
            counts["damaged"] += 1
        else:
            counts["moved" if taken else "there"] += 1
    return Transferred(counts["moved"], counts["there"], counts["damaged"])


def _results(path: Path) -> Iterator[tuple[str, _Files]]:
    try:
        with tarfile.open(path) as archive:
            for key, members in groupby(archive, key=lambda member: _safe_parts(path, member)[0]):
                yield key, _Files(path, archive, members)
    except (tarfile.TarError, EOFError, OSError, zlib.error, lzma.LZMAError) as exc:
        raise DataError(f"{path} cannot be read as an exported store: {exc}") from exc


def _safe_parts(path: Path, member: tarfile.TarInfo) -> tuple[str, ...]:
    parts = PurePosixPath(member.name).parts
    if not parts or not _KEY.fullmatch(parts[0]) or ".." in parts or not (member.isfile() or member.isdir()):
        raise DataError(f"{path} is not an exported store: it has a member {member.name!r}")
    return parts


class _Files:
    """The files of one result in an archive; to be unpacked before the next result is asked for."""

    def __init__(self, path: Path, archive: tarfile.TarFile, members: Iterator[tarfile.TarInfo]) -> None:
        self._path, self._archive, self._members = path, archive, members
        self.unreadable = False

    def unpack(self, folder: Path) -> None:
        """Write the files into a folder."""
        for member in self._read(self._members):
            parts = _safe_parts(self._path, member)
            target = folder.joinpath(*parts[1:])
            source = self._archive.extractfile(member)
            if source is None:
                target.mkdir(parents=True, exist_ok=True)
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("wb") as stream:
                for piece in self._read(_pieces(source)):
                    stream.write(piece)

    def _read(self, items: Iterator[Any]) -> Iterator[Any]:
        """Tell an archive that cannot be read from a store that cannot be written."""
        while True:
            try:
                item = next(items, None)
            except (tarfile.TarError, EOFError, OSError, zlib.error, lzma.LZMAError) as exc:
                self.unreadable = True
                raise DataError(f"{self._path} cannot be read as an exported store: {exc}") from exc
            except DataError:
                self.unreadable = True
                raise
            if item is None:
                return
            yield item


def _pieces(source: IO[bytes]) -> Iterator[bytes]:
    while piece := source.read(_PIECE):
        yield piece
