"""SQLite index of the product store: what is kept, how large it is, and when it was last of use."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any, TypeVar

from integral_oda.errors import OutputError
from integral_oda.workflow.locks import FileLock

__all__ = ["Entry", "Index"]

Result = TypeVar("Result")

_SCHEMA = """
CREATE TABLE IF NOT EXISTS entries (
    key TEXT PRIMARY KEY, step TEXT NOT NULL, step_version TEXT NOT NULL, scope TEXT NOT NULL,
    engine TEXT NOT NULL, engine_version TEXT NOT NULL, parameters TEXT NOT NULL, inputs TEXT NOT NULL,
    size INTEGER NOT NULL, files INTEGER NOT NULL, seconds REAL NOT NULL,
    created REAL NOT NULL, used REAL NOT NULL, hits INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS entries_by_use ON entries (used);
CREATE INDEX IF NOT EXISTS entries_by_step ON entries (step, scope);
CREATE TABLE IF NOT EXISTS totals (
    step TEXT PRIMARY KEY, entries INTEGER NOT NULL, bytes INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TRIGGER IF NOT EXISTS entry_comes AFTER INSERT ON entries BEGIN
    INSERT INTO totals VALUES (new.step, 1, new.size)
        ON CONFLICT (step) DO UPDATE SET entries = entries + 1, bytes = bytes + new.size;
END;
CREATE TRIGGER IF NOT EXISTS entry_goes AFTER DELETE ON entries BEGIN
    UPDATE totals SET entries = entries - 1, bytes = bytes - old.size WHERE step = old.step;
END;
CREATE TABLE IF NOT EXISTS failures (
    key TEXT PRIMARY KEY, step TEXT NOT NULL, scope TEXT NOT NULL, kind TEXT NOT NULL, reason TEXT NOT NULL,
    created REAL NOT NULL
) WITHOUT ROWID;
"""


# Connections that a forked process inherited: they are neither used nor closed there.
_inherited: list[sqlite3.Connection] = []


@dataclass(frozen=True)
class Entry:
    """One result in the index.

    Attributes
    ----------
    key : str
        Provenance key.
    step, step_version, scope, engine, engine_version : str
        What made it, and the scope it was first made for.
    parameters, inputs : str
        Canonical JSON.
    size, files : int
        Bytes of its files, and their number.
    seconds : float
        What it cost to compute.
    created, used : float
        Unix times.
    hits : int
        How often it was found again.
    """

    key: str
    step: str
    step_version: str
    scope: str
    engine: str
    engine_version: str
    parameters: str
    inputs: str
    size: int
    files: int
    seconds: float
    created: float
    used: float
    hits: int


# The columns stand in the order of `Entry`.
_INSERT = "INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO NOTHING"


class Index:
    """The index of one store; safe for many threads and processes.

    Parameters
    ----------
    root : Path
        Root of the store; the index is ``index.sqlite`` in it.
    """

    def __init__(self, root: Path) -> None:
        self.path = root / "index.sqlite"
        self._root = root
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._pid = 0
        self._end: Callable[[], object] = _nothing

    def close(self) -> None:
        """Close the connection; the next use opens another."""
        with self._lock:
            self._end()
            self._connection = None

    def _do(self, action: Callable[[sqlite3.Connection], Result]) -> Result:
        with self._lock:
            try:
                return self._attempt(action)
            except sqlite3.OperationalError as exc:
                raise OutputError(f"the index {self.path} cannot be used: {exc}") from exc
            except sqlite3.DatabaseError as exc:
                if type(exc) is not sqlite3.DatabaseError:
                    raise
                # It holds nothing that the manifests do not: a damaged one is begun anew.
                self._discard()
                return self._attempt(action)

    def _attempt(self, action: Callable[[sqlite3.Connection], Result]) -> Result:
        connection = self._connected()
        with connection:
            return action(connection)

    def _discard(self) -> None:
        self.close()
        for suffix in ("", "-wal", "-shm"):
            Path(f"{self.path}{suffix}").unlink(missing_ok=True)

    def _connected(self) -> sqlite3.Connection:
        if self._connection is not None and self._pid != os.getpid():
            self._connection = None
        if self._connection is None:
            self._connection = self._open()
            self._pid = os.getpid()
            self._end = weakref.finalize(self, _close, self._connection, self._pid)
        return self._connection

    def _open(self) -> sqlite3.Connection:
        is_new = not self.path.exists()
        connection = sqlite3.connect(self.path, timeout=60, isolation_level=None, check_same_thread=False)
        try:
            # Nothing waits for the disk while the index is empty: there is nothing in it to lose.
            connection.execute("PRAGMA synchronous = OFF")
            if is_new or not connection.execute("PRAGMA user_version").fetchone()[0]:
                # Several processes that change to WAL at once would meet "database is locked" in spite of the timeout.
                with FileLock(self._root / "locks" / "index").hold():
                    connection.execute("PRAGMA journal_mode = WAL")
                    connection.executescript(_SCHEMA)
                    connection.execute("PRAGMA user_version = 1")
            connection.execute("PRAGMA synchronous = NORMAL")
        except BaseException:
            connection.close()
            raise
        return connection

    def add(self, entries: Iterable[Entry]) -> None:
        """Enter results; those that are known already stay as they are."""
        self._do_many(_INSERT, [astuple(entry) for entry in entries])

    def remove(self, keys: Iterable[str]) -> None:
        """Take results out."""
        self._do_many("DELETE FROM entries WHERE key = ?", [(key,) for key in keys])

    def _do_many(self, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
        def action(connection: sqlite3.Connection) -> None:
            if len(rows) > 1:
                connection.execute("BEGIN IMMEDIATE")
            connection.executemany(statement, rows)

        if rows:
            self._do(action)

    def _rows(self, query: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        return self._do(lambda connection: connection.execute(query, values).fetchall())

    def _change(self, statement: str, values: Sequence[Any] = ()) -> int:
        return self._do(lambda connection: connection.execute(statement, values).rowcount)

    def get(self, key: str) -> Entry | None:
        """Look one result up."""
        rows = self._rows("SELECT * FROM entries WHERE key = ?", (key,))
        return Entry(*rows[0]) if rows else None

    def touch(self, key: str) -> bool:
        """Count one more use; say whether the result is in the index."""
        return self._change("UPDATE entries SET used = ?, hits = hits + 1 WHERE key = ?", (time.time(), key)) > 0

    def keys(self) -> set[str]:
        """Every key in the index."""
        return {row[0] for row in self._rows("SELECT key FROM entries")}

    def search(self, step: str, scope: str | None = None) -> list[Entry]:
        """Results of one step, of one scope or of all, the last used first."""
        if scope is None:
            rows = self._rows("SELECT * FROM entries WHERE step = ? ORDER BY used DESC", (step,))
        else:
            rows = self._rows("SELECT * FROM entries WHERE step = ? AND scope = ? ORDER BY used DESC", (step, scope))
        return [Entry(*row) for row in rows]

    def least_recently_used(self, number: int, after: tuple[float, str] = (-1.0, "")) -> list[tuple[float, str, int]]:
        """Give used time, key and size of results in the order of last use, from behind a given one."""
        query = "SELECT used, key, size FROM entries WHERE (used, key) > (?, ?) ORDER BY used, key LIMIT ?"
        return [(row[0], row[1], row[2]) for row in self._rows(query, (*after, number))]

    def totals(self) -> list[tuple[str, int, int]]:
        """Give the number of results and their bytes, a step each."""
        query = "SELECT step, entries, bytes FROM totals WHERE entries > 0 ORDER BY step"
        return [(row[0], row[1], row[2]) for row in self._rows(query)]

    def remember_failure(self, key: str, step: str, scope: str, kind: str, reason: str) -> None:
        """Keep why a node can never succeed: the kind of the error and its sentence."""
        row = (key, step, scope, kind, reason, time.time())
        self._change("INSERT OR REPLACE INTO failures VALUES (?, ?, ?, ?, ?, ?)", row)

    def known_failure(self, key: str) -> tuple[str, str] | None:
        """Why a node can never succeed, if that is known: kind and sentence."""
        rows = self._rows("SELECT kind, reason FROM failures WHERE key = ?", (key,))
        return (rows[0][0], rows[0][1]) if rows else None

    def forget_failures(self) -> int:
        """Forget every failure; give their number."""
        return self._change("DELETE FROM failures")


def _nothing() -> None:
    """End a connection that was never opened."""


def _close(connection: sqlite3.Connection, pid: int) -> None:
    # A process that inherited a connection must not close it.
    if os.getpid() == pid:
        connection.close()
    else:
        _inherited.append(connection)
