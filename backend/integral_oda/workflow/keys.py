"""Provenance keys: a name for a result made from everything that the result depends on."""

from __future__ import annotations

import hashlib
import json
import math
import sqlite3
import threading
import time
import weakref
from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from integral_oda.errors import DataError, OutputError

__all__ = ["FingerprintCache", "canonical_json", "digest", "file_sha256", "fingerprint"]

# A file that changed this short a time ago may change again without a visible change of its times.
_SETTLED_SECONDS = 2.0

Signature = tuple[str, int, int, int, int]

_TABLE = (
    "CREATE TABLE IF NOT EXISTS fingerprints (path TEXT, size INTEGER, mtime_ns INTEGER, ctime_ns INTEGER,"
    " inode INTEGER, sha256 TEXT NOT NULL, PRIMARY KEY (path)) WITHOUT ROWID"
)

_memory: dict[Signature, str] = {}
_memory_lock = threading.Lock()


def canonical_json(value: Any) -> str:
    """Write a value as the one JSON text that stands for it.

    The text is the same in every process, on every machine and in every Python version: ASCII only, mappings sorted by
    key, tuples as lists, floats as their shortest exact decimal form, minus zero as zero.

    Parameters
    ----------
    value : None, bool, int, float, str, mapping with str keys, list or tuple
        Nested as deep as wanted.

    Raises
    ------
    TypeError
        For a path (a key never depends on where a file lies) and for every type that is not listed above.
    ValueError
        For NaN and infinity.
    """
    return json.dumps(_plain(value, "value"), sort_keys=True, ensure_ascii=True, allow_nan=False, separators=(",", ":"))


def _plain(value: Any, where: str) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return _plain_float(value, where)
    if isinstance(value, Mapping):
        return {_plain_name(name, where): _plain(item, f"{where}.{name}") for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item, f"{where}[{number}]") for number, item in enumerate(value)]
    raise TypeError(
        f"{where} = {value!r} ({type(value).__name__}) cannot be part of a key: "
        "allowed are None, bool, int, float, str, and mappings, lists and tuples of them"
    )


def _plain_float(value: float, where: str) -> float:
    if not math.isfinite(value):
        raise ValueError(f"{where} = {value!r} cannot be part of a key: a number must be finite")
    return float(value) + 0.0


def _plain_name(name: Any, where: str) -> str:
    if not isinstance(name, str):
        raise TypeError(f"{where} has the name {name!r} ({type(name).__name__}): names in a key must be str")
    return str.__str__(name)


def digest(value: Any) -> str:
    """Give the sha256 of the canonical JSON of a value, 64 hexadecimal digits."""
    return hashlib.sha256(canonical_json(value).encode("ascii")).hexdigest()


def file_sha256(path: Path) -> str:
    """Give the sha256 of the content of a file, 64 hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def fingerprint(path: Path) -> str:
    """Give the sha256 of a raw file's content.

    A file that has not changed is read once in a process; once at all, while a `FingerprintCache` is there (as every
    store has one).

    Parameters
    ----------
    path : Path
        The file. Its name and folder have no influence on the result.

    Returns
    -------
    str
        64 hexadecimal digits.

    Raises
    ------
    DataError
        When the file cannot be read.
    """
    signature = _signature(path)
    if signature not in _memory:
        for cache in list(_caches):
            cache.prime([path])
    return _memory.get(signature) or _measure(path, signature)


def _signature(path: Path) -> Signature:
    try:
        full = path.resolve()
        stat = full.stat()
    except OSError as exc:
        raise DataError(f"raw file {path} cannot be read: {exc.strerror or exc}") from exc
    return str(full), stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino


def _measure(path: Path, signature: Signature) -> str:
    try:
        result = file_sha256(path)
    except OSError as exc:
        raise DataError(f"raw file {path} cannot be read: {exc.strerror or exc}") from exc
    if _is_settled(signature) and _signature(path) == signature:
        with _memory_lock:
            _memory[signature] = result
    return result


def _is_settled(signature: Signature) -> bool:
    newest = max(signature[2], signature[3]) / 1e9
    return abs(time.time() - newest) > _SETTLED_SECONDS


class FingerprintCache:
    """Fingerprints that outlive the process, in a small SQLite file; `fingerprint` asks every one that is there.

    Parameters
    ----------
    root : Path
        Folder of the file ``fingerprints.sqlite``; it is made if it is not there.
    """

    def __init__(self, root: Path) -> None:
        self.path = Path(root) / "fingerprints.sqlite"
        _caches.add(self)

    def prime(self, paths: Iterable[Path]) -> None:
        """Make the fingerprints of files known to this process, and those that are new to later ones.

        A file that cannot be read is passed over: `fingerprint` tells of it where it is asked for.
        """
        unknown = dict(self._unknown(paths))
        if not unknown:
            return
        try:
            with closing(self._connect()) as connection:
                connection.execute("PRAGMA synchronous = OFF")  # what a power cut takes away is measured anew
                connection.execute(_TABLE)
                self._recall(connection, unknown)
                self._learn(connection, {sign: path for sign, path in unknown.items() if sign not in _memory})
        except sqlite3.OperationalError as exc:
            raise OutputError(f"{self.path} cannot be written: {exc}") from exc
        except sqlite3.DatabaseError:
            # It only saves time: a damaged one is begun anew.
            self.path.unlink(missing_ok=True)

    @staticmethod
    def _unknown(paths: Iterable[Path]) -> Iterable[tuple[Signature, Path]]:
        for path in dict.fromkeys(paths):
            try:
                signature = _signature(path)
            except DataError:
                continue
            if signature not in _memory and _is_settled(signature):
                yield signature, path

    def _connect(self) -> sqlite3.Connection:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as exc:
            raise OutputError(f"the store {self.path.parent} cannot be made: {exc.strerror}") from exc
        return sqlite3.connect(self.path, timeout=30, isolation_level=None)

    @staticmethod
    def _recall(connection: sqlite3.Connection, unknown: Iterable[Signature]) -> None:
        query = (
            "SELECT sha256 FROM fingerprints"
            " WHERE path = ? AND size = ? AND mtime_ns = ? AND ctime_ns = ? AND inode = ?"
        )
        for signature in unknown:
            row = connection.execute(query, signature).fetchone()
            if row is not None:
                with _memory_lock:
                    _memory[signature] = row[0]

    @staticmethod
    def _learn(connection: sqlite3.Connection, unknown: Mapping[Signature, Path]) -> None:
        for signature, path in unknown.items():
            try:
                result = _measure(path, signature)
            except DataError:
                continue
            if signature in _memory:
                statement = "INSERT OR REPLACE INTO fingerprints VALUES (?, ?, ?, ?, ?, ?)"
                connection.execute(statement, (*signature, result))


_caches: weakref.WeakSet[FingerprintCache] = weakref.WeakSet()
