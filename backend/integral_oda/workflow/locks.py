"""Locks between threads and processes that die with their holder, and leases that keep results from being pruned."""

from __future__ import annotations

import fcntl
import os
import time
import uuid
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from integral_oda.errors import OutputError

__all__ = ["FileLock", "Lease", "is_locked", "leased_keys"]

_FIRST_WAIT_S = 0.002
_LONGEST_WAIT_S = 0.05


class FileLock:
    """Exclusive lock on a name in a folder, held by one thread of one process at a time.

    The file of the lock is removed when it is released, so that locks leave nothing behind; a killed holder leaves an
    empty file that the next one takes over.

    Parameters
    ----------
    path : Path
        File of the lock; its folder must be there.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor = -1

    @property
    def held(self) -> bool:
        """Whether this object holds the lock."""
        return self._descriptor >= 0

    def try_acquire(self) -> bool:
        """Take the lock if it is free; say whether it was."""
        descriptor = _open_locked(self.path)
        if descriptor is None:
            return False
        self._descriptor = descriptor
        return True

    def acquire(self, give_up: Callable[[], bool] = lambda: False) -> bool:
        """Wait for the lock until it is free or ``give_up()`` is true; say whether it is held now."""
        wait = _FIRST_WAIT_S
        while not self.try_acquire():
            if give_up():
                return False
            time.sleep(wait)
            wait = min(2 * wait, _LONGEST_WAIT_S)
        return True

    def release(self) -> None:
        """Let the lock go."""
        if self._descriptor >= 0:
            self.path.unlink(missing_ok=True)
            os.close(self._descriptor)
            self._descriptor = -1

    def detach(self) -> int:
        """Hand the held lock over as a file descriptor that the caller must close."""
        descriptor, self._descriptor = self._descriptor, -1
        return descriptor

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Hold the lock for the length of a ``with`` block."""
        self.acquire()
        try:
            yield
        finally:
            self.release()


def _open_locked(path: Path) -> int | None:
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o666)
    except OSError as exc:
        raise OutputError(f"lock {path} cannot be written: {exc.strerror}") from exc
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # The holder before may have removed the file between the two calls: then the lock is on a file without a name.
        if _same_file(descriptor, path):
            return descriptor
    except BlockingIOError:
        pass
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None


def _same_file(descriptor: int, path: Path) -> bool:
    try:
        named = path.stat()
    except FileNotFoundError:
        return False
    opened = os.fstat(descriptor)
    return (named.st_ino, named.st_dev) == (opened.st_ino, opened.st_dev)


def is_locked(path: Path) -> bool:
    """Whether somebody alive holds the lock on a file."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


class Lease:
    """Keys that one reader has in use; it ends when it is closed, collected as garbage, or its process ends.

    Parameters
    ----------
    folder : Path
        Folder of the leases; it must be there.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / f"{os.getpid()}-{uuid.uuid4().hex}"
        self._keys: set[str] = set()
        # Somebody who looks for leases of the dead may have a hand on the new file for a moment.
        lock = FileLock(self._path)
        lock.acquire()
        self._descriptor = lock.detach()
        self._end = weakref.finalize(self, _end_lease, self._path, self._descriptor)

    def add(self, key: str) -> None:
        """Put a key under the lease."""
        if key not in self._keys:
            try:
                os.write(self._descriptor, f"{key}\n".encode("ascii"))
            except OSError as exc:
                raise OutputError(f"lease {self._path} cannot be written: {exc.strerror}") from exc
            self._keys.add(key)

    def close(self) -> None:
        """End the lease."""
        self._end()


def _end_lease(path: Path, descriptor: int) -> None:
    path.unlink(missing_ok=True)
    os.close(descriptor)


def leased_keys(folder: Path) -> set[str]:
    """Every key that a living reader has in use; leases of the dead are removed."""
    keys: set[str] = set()
    for path in folder.iterdir():
        lock = FileLock(path)
        if lock.try_acquire():
            lock.release()
            continue
        try:
            keys.update(path.read_text(encoding="ascii").split())
        except FileNotFoundError:
            continue
    return keys
