"""The product store: every result of every step, found again by the key of what it was made from.

A result is a folder of files with a manifest, ``objects/<first two digits>/<key>/``. It is written aside on the same
file system and renamed when it is whole, so that a result is either there or not. The index only serves speed and
statistics: it can be lost at any time and follows from the manifests.
"""

from __future__ import annotations

import json
import shutil
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from integral_oda.errors import DataError, IntegralOdaError, NothingLeftError, OutputError
from integral_oda.workflow.graph import Task
from integral_oda.workflow.index import Entry, Index
from integral_oda.workflow.keys import FingerprintCache, canonical_json
from integral_oda.workflow.locks import FileLock, Lease, leased_keys
from integral_oda.workflow.manifest import Manifest, describe, find_damage, read_manifest, write_manifest

__all__ = ["Pruned", "Signer", "Store", "StoreInfo", "Verification", "remove_tree"]

# Completes the files of a result in their folder.
Signer = Callable[[Path], None]

_FOLDERS = ("objects", "aside", "locks", "leases", "quarantine")
_BATCH = 100
# Errors that say something of the data, and so come again whenever the same node is tried.
_PERMANENT: dict[str, type[IntegralOdaError]] = {kind.__name__: kind for kind in (DataError, NothingLeftError)}


@dataclass(frozen=True)
class StoreInfo:
    """What a store holds.

    Attributes
    ----------
    root : str
        Where it lies.
    entries, bytes : int
        Number of results and the size of their files.
    steps : list of (str, int, int)
        Step, number of results, bytes.
    in_use : int
        Results that somebody reads just now.
    quarantined, quarantined_bytes : int
        Damaged results that were set aside.
    """

    root: str
    entries: int
    bytes: int
    steps: list[tuple[str, int, int]]
    in_use: int
    quarantined: int
    quarantined_bytes: int


@dataclass(frozen=True)
class Verification:
    """Number of results checked, and what is wrong: key and reason of each damaged one."""

    checked: int
    damaged: list[tuple[str, str]]


@dataclass(frozen=True)
class Pruned:
    """Number and bytes of the results that were removed, and the bytes that are left."""

    removed: int
    removed_bytes: int
    bytes_left: int


class Store:
    """Results of steps by key; safe for many threads and processes at once.

    Parameters
    ----------
    root : str or Path
        Its folder, made if it is not there. Its file system must know ``flock`` (every local one, NFS 4, Lustre) and
        rename within itself.

    Attributes
    ----------
    fingerprints : FingerprintCache
        Fingerprints of raw files.
    index : Index
        What is kept, with sizes and times of use.

    Raises
    ------
    OutputError
        When the folder cannot be made or written.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root).absolute()
        try:
            for name in _FOLDERS:
                (self.root / name).mkdir(parents=True, exist_ok=True)
        except OSError as exc:
            raise OutputError(f"the store {self.root} cannot be made: {exc.strerror or exc}") from exc
        self.index = Index(self.root)
        self.fingerprints = FingerprintCache(self.root)
        self._verified: dict[str, str] = {}
        self._verified_lock = threading.Lock()

    def __reduce__(self) -> tuple[Any, ...]:
        return Store, (self.root,)

    def close(self) -> None:
        """Close the index; the store can be used again."""
        self.index.close()

    def folder(self, key: str) -> Path:
        """Where the result of a key is kept, whether it is there or not."""
        return self.root / "objects" / key[:2] / key

    def lock(self, key: str) -> FileLock:
        """Lock under which a result is made, so that of several who want it one makes it."""
        return FileLock(self.root / "locks" / key)

    def lease(self) -> Lease:
        """Begin to read: what is found with this lease is not pruned until it ends."""
        return Lease(self.root / "leases")

    def _gate(self) -> FileLock:
        return FileLock(self.root / "locks" / "gate")

    # -- one result --------------------------------------------------------------------------------------------------

    def find(self, key: str, lease: Lease | None = None) -> Path | None:
        """Find a result.

        Sizes are compared with the manifest each time, checksums when this process first meets the result. A damaged
        result is set aside and counts as not there.

        Parameters
        ----------
        key : str
            Provenance key.
        lease : Lease, optional
            Keeps the result from being pruned as long as the lease lasts.

        Returns
        -------
        Path or None
            Folder of its files.
        """
        folder = self.folder(key)
        if not folder.exists() or not self._take(key, folder, lease):
            return None
        try:
            manifest = self._checked(key, folder)
        except DataError as exc:
            self._set_aside_if_free(key, str(exc))
            return None
        if not self.index.touch(key):
            self.index.add([_entry(manifest)])
        return folder

    def _take(self, key: str, folder: Path, lease: Lease | None) -> bool:
        if lease is None:
            return True
        with self._gate().hold():
            lease.add(key)
            return folder.exists()

    def _checked(self, key: str, folder: Path) -> Manifest:
        manifest = read_manifest(folder)
        if manifest.key != key:
            raise DataError(f"manifest of {key} belongs to {manifest.key}")
        checksum = manifest.checksum
        contents = self._verified.get(key) != checksum
        damage = find_damage(manifest, folder, contents=contents)
        if damage:
            raise DataError(damage)
        with self._verified_lock:
            self._verified[key] = checksum
        return manifest

    def peek(self, key: str) -> bool:
        """Whether a result is there and whole, without counting that as a use."""
        try:
            self._checked(key, self.folder(key))
        except DataError:
            return False
        return True

    def manifest(self, key: str) -> Manifest:
        """Read what a stored result was made from.

        Raises
        ------
        DataError
            When it is not there or damaged.
        """
        return read_manifest(self.folder(key))

    def lineage(self, key: str) -> Iterator[Manifest]:
        """Manifests of a result and of all that it was made from, as far as they are still in the store."""
        pending, seen = [key], {key}
        while pending:
            with suppress(DataError):
                manifest = self.manifest(pending.pop())
                yield manifest
                pending += [item for item in manifest.input_keys if item not in seen]
                seen.update(manifest.input_keys)

    def save(
        self, task: Task, value: Any, seconds: float, lease: Lease | None = None, sign: Signer | None = None
    ) -> Path:
        """Keep a result; the caller holds `lock` of its key.

        Parameters
        ----------
        task : Task
            What made it; its step writes the files.
        value : object
            The result.
        seconds : float
            What it cost.
        lease : Lease, optional
            Keeps it from being pruned as long as the lease lasts.
        sign : callable, optional
            Completes the files that the step has written.

        Returns
        -------
        Path
            Folder of its files.

        Raises
        ------
        OutputError
            When there is no space or the store cannot be written; nothing is left behind.
        """

        def write(aside: Path) -> Manifest:
            task.step.save(value, aside)
            if sign is not None:
                sign(aside)
            manifest = describe(task, aside, seconds)
            write_manifest(manifest, aside)
            return manifest

        return self._place(task.key, write, lease)

    def receive(self, key: str, unpack: Callable[[Path], None]) -> bool:
        """Take a result that comes with its manifest, unless it is there already; say whether it was taken.

        Parameters
        ----------
        key : str
            Its key.
        unpack : callable
            Puts its files into an empty folder.

        Raises
        ------
        DataError
            When it is damaged; nothing is left behind.
        OutputError
            When the store cannot be written.
        """

        def write(aside: Path) -> Manifest:
            unpack(aside)
            return self._checked(key, aside)

        with self.lock(key).hold():
            if self.find(key) is not None:
                return False
            self._place(key, write, None)
        return True

    def _place(self, key: str, write: Callable[[Path], Manifest], lease: Lease | None) -> Path:
        aside = self.root / "aside" / key
        try:
            remove_tree(aside)
            aside.mkdir()
            manifest = write(aside)
            folder = self._put(aside, key, lease)
        except OSError as exc:
            remove_tree(aside)
            raise OutputError(f"the store {self.root} cannot be written: {exc.strerror or exc}") from exc
        except BaseException:
            remove_tree(aside)
            raise
        with self._verified_lock:
            self._verified[key] = manifest.checksum
        self.index.add([_entry(manifest)])
        return folder

    def _put(self, aside: Path, key: str, lease: Lease | None) -> Path:
        folder = self.folder(key)
        folder.parent.mkdir(exist_ok=True)
        if folder.exists():
            self.set_aside(key, "made again")
        if lease is not None:
            with self._gate().hold():
                lease.add(key)
                aside.rename(folder)
        else:
            aside.rename(folder)
        return folder

    def set_aside(self, key: str, reason: str) -> None:
        """Move a damaged result to ``quarantine``, with the reason beside it; the caller holds `lock` of its key."""
        name = f"{key}.{uuid.uuid4().hex[:8]}"
        with suppress(FileNotFoundError):
            self.folder(key).rename(self.root / "quarantine" / name)
            with suppress(OSError):
                (self.root / "quarantine" / f"{name}.txt").write_text(reason + "\n", encoding="utf-8")
        with self._verified_lock:
            self._verified.pop(key, None)
        self.index.remove([key])

    def _set_aside_if_free(self, key: str, reason: str) -> bool:
        lock = self.lock(key)
        if not lock.try_acquire():
            return False
        try:
            self._checked(key, self.folder(key))
        except DataError:
            self.set_aside(key, reason)
            return True
        finally:
            lock.release()
        return False

    def remember_failure(self, task: Task, error: IntegralOdaError) -> None:
        """Keep an error that lies in the data, so that the same node on the same data is not tried again."""
        kind = type(error).__name__
        if kind in _PERMANENT:
            self.index.remember_failure(task.key, task.step.name, task.scope, kind, str(error))

    def known_failure(self, key: str) -> IntegralOdaError | None:
        """Give the error with which a node is known to fail; `prune` forgets it."""
        known = self.index.known_failure(key)
        return _PERMANENT[known[0]](known[1]) if known else None

    # -- all results -------------------------------------------------------------------------------------------------

    def keys(self) -> Iterator[str]:
        """Keys of all results on disk."""
        for shelf in sorted((self.root / "objects").iterdir()):
            yield from sorted(path.name for path in shelf.iterdir())

    def reconcile(self) -> int:
        """Bring the index in line with the manifests; give the number of changes."""
        stored, known = set(self.keys()), self.index.keys()
        gone = [key for key in known - stored if not self.folder(key).exists()]
        self.index.remove(gone)
        new = []
        for key in stored - known:
            with suppress(DataError):
                new.append(_entry(self.manifest(key)))
        self.index.add(new)
        return len(gone) + len(new)

    def info(self) -> StoreInfo:
        """Sum up what the store holds."""
        steps = self.index.totals()
        quarantine = self.root / "quarantine"
        return StoreInfo(
            root=str(self.root),
            entries=sum(number for _, number, _ in steps),
            bytes=sum(size for _, _, size in steps),
            steps=steps,
            in_use=len(leased_keys(self.root / "leases")),
            quarantined=sum(path.is_dir() for path in quarantine.iterdir()),
            quarantined_bytes=_size(quarantine),
        )

    def verify(self, *, repair: bool = False) -> Verification:
        """Compare every file with its checksum and every key with what it stands for.

        The index is brought in line, and what killed processes have left is removed.

        Parameters
        ----------
        repair : bool
            Set damaged results aside, so that they are made anew when they are asked for.
        """
        self._sweep()
        damaged, checked = [], 0
        for key in self.keys():
            checked += 1
            with self._verified_lock:
                self._verified.pop(key, None)
            try:
                self._checked(key, self.folder(key))
            except DataError as exc:
                # Pruned or set aside by somebody else in the meantime is not damaged.
                if self.folder(key).exists():
                    damaged.append((key, str(exc)))
        if repair:
            for key, reason in damaged:
                self._set_aside_if_free(key, reason)
        self.reconcile()
        return Verification(checked, damaged)

    def _sweep(self) -> None:
        for path in (self.root / "aside").iterdir():
            lock = self.lock(path.name)
            if lock.try_acquire():
                try:
                    remove_tree(path)
                finally:
                    lock.release()
        for path in (self.root / "locks").iterdir():
            left = FileLock(path)
            if left.try_acquire():
                left.release()

    def prune(self, max_bytes: int) -> Pruned:
        """Remove results, the least recently used first and never one in use, until the store is small enough.

        What was set aside as damaged goes first, and failures are forgotten.

        Parameters
        ----------
        max_bytes : int
            Size that the results may have together, at least 0.
        """
        self._sweep()
        for path in (self.root / "quarantine").iterdir():
            remove_tree(path)
        self.index.forget_failures()
        self.reconcile()
        total = self.info().bytes
        removed, removed_bytes, after = 0, 0, (-1.0, "")
        while total - removed_bytes > max_bytes:
            batch = self.index.least_recently_used(_BATCH, after)
            if not batch:
                break
            gone = self._remove_batch(batch, total - removed_bytes - max_bytes)
            removed, removed_bytes, after = removed + len(gone), removed_bytes + sum(gone.values()), batch[-1][:2]
        return Pruned(removed, removed_bytes, total - removed_bytes)

    def _remove_batch(self, batch: list[tuple[float, str, int]], surplus: int) -> dict[str, int]:
        gone: dict[str, int] = {}
        moved = []
        with self._gate().hold():
            in_use = leased_keys(self.root / "leases")
            for _, key, size in batch:
                if surplus <= sum(gone.values()):
                    break
                if key not in in_use:
                    moved.append(self.root / "aside" / f"pruned-{uuid.uuid4().hex}")
                    with suppress(FileNotFoundError):
                        self.folder(key).rename(moved[-1])
                    gone[key] = size
            self.index.remove(list(gone))
        for path in moved:
            remove_tree(path)
        return gone


def _entry(manifest: Manifest) -> Entry:
    recipe = manifest.recipe
    return Entry(
        key=manifest.key,
        step=recipe["step"],
        step_version=recipe["step_version"],
        scope=manifest.scope,
        engine=recipe["engine"],
        engine_version=recipe["engine_version"],
        parameters=canonical_json(recipe["parameters"]),
        inputs=json.dumps(manifest.input_keys),
        size=manifest.size,
        files=len(manifest.files),
        seconds=manifest.seconds,
        created=manifest.created,
        used=time.time(),
        hits=0,
    )


def remove_tree(path: Path) -> None:
    """Remove a file or a folder with all that is in it, if it is there."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
