"""Science windows and shared files from public archives into the local tree, several at a time."""

from __future__ import annotations

import contextlib
import fnmatch
import os
import shutil
import tarfile
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from integral_oda.archive.download import PATIENT, AbsentError, Policy, download, remote_size
from integral_oda.archive.events import read_events
from integral_oda.archive.fits_table import read_hdus
from integral_oda.archive.indexing import update_index
from integral_oda.archive.mirrors import Mirror, RemoteFile, TreeMirror
from integral_oda.archive.pointing_tables import read_pointings
from integral_oda.archive.requirements import EVENTS_FILE
from integral_oda.archive.scw import ScwId
from integral_oda.archive.tree import Archive
from integral_oda.errors import DataError, IntegralOdaError, OutputError, RequestError, UnavailableError

__all__ = ["FetchReport", "fetch_files", "fetch_mission_index", "fetch_windows"]

ASIDE = ".integral-oda-downloads"
_MISSION_FOLDER, _MISSION_INDEX = "idx/scw", "GNRL-SCWG-GRP-IDX.fits"
_SPARE = 1.05
_MEGABYTE = 1e6

Report = Callable[[str], None]


@dataclass
class FetchReport:
    """What came of a download.

    Attributes
    ----------
    fetched, already : list of str
        Science windows, or files, that are whole now, and those that were there before.
    failed : dict of str to str
        Those that could not be had, with the reason.
    bytes : int
        How much was received.
    """

    fetched: list[str] = field(default_factory=list)
    already: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    bytes: int = 0


def fetch_windows(
    root: Path,
    windows: Sequence[ScwId],
    mirrors: Sequence[Mirror],
    engine: str = "native",
    jobs: int = 4,
    report: Report | None = None,
    policy: Policy = PATIENT,
) -> FetchReport:
    """Get science windows that an archive lacks, with the files that they share, and bring its index up to date.

    A window's folder appears with all its needed files or not at all; what was received of it before an interruption
    is gone on with the next time.

    Parameters
    ----------
    root : Path
        Root of the archive.
    windows : sequence of ScwId
        What is wanted.
    mirrors : sequence of Mirror
        Asked one after the other, until one has the window.
    engine : str
        Only the files that this engine's steps read.
    jobs : int
        Downloads at a time.
    report : callable, optional
        Told a line now and then.
    policy : Policy
        How patient to be.

    Raises
    ------
    OutputError
        If the archive cannot be written, or its disk has no room.
    """
    fetcher = _Fetcher(root, policy, report or _tell_nobody)
    done = FetchReport()
    pending: dict[ScwId, str] = dict.fromkeys(windows, "")
    for mirror in mirrors:
        pending = fetcher.windows(pending, mirror, engine, jobs, done)
    done.failed |= {str(scw): reason for scw, reason in pending.items()}
    done.bytes = fetcher.received
    _sweep(fetcher.aside)
    if done.fetched:
        update_index(root)
    return done


def fetch_files(
    root: Path, files: Sequence[RemoteFile], jobs: int = 4, report: Report | None = None, policy: Policy = PATIENT
) -> FetchReport:
    """Get files of the tree, such as those of the IC tree; each appears whole or not at all.

    Parameters
    ----------
    root, jobs, report, policy
        As for `fetch_windows`.
    files : sequence of RemoteFile
        What is wanted; what is there and whole is not fetched again.

    Raises
    ------
    OutputError
        As for `fetch_windows`.
    """
    fetcher = _Fetcher(root, policy, report or _tell_nobody)
    done = FetchReport()
    missing = [file for file in files if not _is_whole(root / file.place)]
    done.already = [file.place for file in files if file not in missing]
    fetcher.refuse_full_disk(fetcher.sizes(missing, jobs))
    with ThreadPoolExecutor(max(1, jobs)) as pool:
        futures = {file: pool.submit(fetcher.get, file, root) for file in missing}
        for file, reason in _outcomes(futures).items():
            if reason:
                done.failed[file.place] = reason
            else:
                done.fetched.append(file.place)
    done.bytes = fetcher.received
    return done


def fetch_mission_index(root: Path, mirror: TreeMirror, policy: Policy = PATIENT) -> Path:
    """Get ISDC's index of all science windows, in place of one that is there; windows are chosen from it then.

    Raises
    ------
    UnavailableError
        If the archive cannot be reached or has none.
    DataError
        If what it has lists no pointings.
    OutputError
        As for `fetch_windows`.
    """
    files = mirror.below(_MISSION_FOLDER, (_MISSION_INDEX, f"{_MISSION_INDEX}.gz"))
    if not files:
        raise AbsentError(f"{mirror.name} has no {_MISSION_FOLDER}/{_MISSION_INDEX}")
    fetcher = _Fetcher(root, policy, _tell_nobody)
    fetcher.refuse_full_disk(fetcher.sizes(files[:1], 1))
    return download(files[0].url, root / files[0].place, fetcher.aside / "parts", policy, _lists_pointings)


def _lists_pointings(path: Path) -> None:
    try:
        read_pointings(path)
    except RequestError as exc:
        raise DataError(f"{path}: {exc.allowed}") from exc


def _sweep(folder: Path) -> None:
    """Remove the empty folders of what went to its place; what is not whole yet stays."""
    for below, _, _ in os.walk(folder, topdown=False):
        with contextlib.suppress(OSError):
            Path(below).rmdir()


def _tell_nobody(line: str) -> None:
    """Report to nobody."""


class _Fetcher:
    """Downloads into one archive: where their parts lie, and how much has come."""

    def __init__(self, root: Path, policy: Policy, report: Report) -> None:
        self.root, self.policy, self.report = root, policy, report
        self.aside = root / ASIDE
        self.received, self._lock = 0, threading.Lock()

    def windows(
        self, pending: Mapping[ScwId, str], mirror: Mirror, engine: str, jobs: int, done: FetchReport
    ) -> dict[ScwId, str]:
        """Get what one mirror has; gives what is missing still, with the reason."""
        failed: dict[ScwId, str] = {}
        with ThreadPoolExecutor(max(1, jobs)) as pool:
            asked = {scw: pool.submit(self._plan, scw, mirror, engine, done) for scw in pending}
            plans = {scw: future.result() for scw, future in asked.items() if _reason(future, scw, failed)}
            files = list({file.place: file for plan in plans.values() for file in plan}.values())
            self.refuse_full_disk(self.sizes(files, jobs))
            self._announce(mirror, plans, files)
            got = _outcomes({file: pool.submit(self.get, file, self.aside / "tree") for file in files})
        reasons = {file.place: reason for file, reason in got.items()}
        for scw, plan in plans.items():
            if plan and (reason := self._settle(scw, plan, reasons)):
                failed[scw] = reason
            elif plan:
                done.fetched.append(str(scw))
        before = dict(pending)
        return {scw: "; ".join(filter(None, (before[scw], f"{mirror.name}: {why}"))) for scw, why in failed.items()}

    def _plan(self, scw: ScwId, mirror: Mirror, engine: str, done: FetchReport) -> list[RemoteFile]:
        """Files of a window that are not here; none if it is whole."""
        wanted = mirror.files(scw, engine)
        missing = [file for file in wanted if not self._is_here(file)]
        if not missing:
            done.already.append(str(scw))
        return missing

    def _is_here(self, file: RemoteFile) -> bool:
        if file.members:
            return not Archive(self.root).problems_of(ScwId.parse(PurePosixPath(file.place).name))
        return _is_whole(self.root / file.place)

    def _announce(self, mirror: Mirror, plans: dict[ScwId, list[RemoteFile]], files: Sequence[RemoteFile]) -> None:
        wanted = sum(1 for plan in plans.values() if plan)
        if wanted:
            self.report(f"{wanted} science windows, {len(files)} files from {mirror.name}")

    def sizes(self, files: Sequence[RemoteFile], jobs: int) -> int:
        """Bytes that files will need; what a server does not say counts nothing."""
        with ThreadPoolExecutor(max(1, jobs)) as pool:
            return sum(pool.map(self._size, files))

    def _size(self, file: RemoteFile) -> int:
        try:
            return remote_size(file.url, self.policy) or 0
        except UnavailableError:
            return 0  # the download itself tells why

    def refuse_full_disk(self, needed: int) -> None:
        """Refuse to begin what the disk has no room for."""
        try:
            self.aside.mkdir(parents=True, exist_ok=True)
            free = shutil.disk_usage(self.aside).free
        except OSError as exc:
            raise OutputError(f"{self.root}: cannot be written to ({exc.strerror})") from exc
        if needed * _SPARE > free:
            sizes = f"{needed / _MEGABYTE:.0f} MB are to come, {free / _MEGABYTE:.0f} MB are free"
            raise OutputError(f"{self.root}: no room on its disk: {sizes}")

    def get(self, file: RemoteFile, below: Path) -> None:
        """Get one file to its place below a folder; of a tar, its members."""
        parts = self.aside / "parts"
        if not file.members:
            target = below / file.place
            if not _is_whole(target):
                download(file.url, target, parts, self.policy, _check_of(file.place), self._told)
                self.report(f"{file.place}: {target.stat().st_size / _MEGABYTE:.1f} MB")
            return
        packed = download(
            file.url, parts / f"{PurePosixPath(file.place).name}.tar", parts, self.policy, _is_tar, self._told
        )
        _unpack(packed, file, below / file.place)
        packed.unlink()

    def _told(self, count: int) -> None:
        with self._lock:
            self.received += count

    def _settle(self, scw: ScwId, plan: Sequence[RemoteFile], reasons: dict[str, str]) -> str:
        """Give a window's files their places if those that it must have are all there; says why not."""
        for file in plan:
            if file.must and reasons[file.place]:
                return reasons[file.place]
        folder = f"scw/{scw.revolution:04d}/{scw.swid}"
        shared = [file.place for file in plan if not file.place.startswith(folder) and not reasons[file.place]]
        own = [file.place for file in plan if file.place.startswith(folder) and not reasons[file.place]]
        try:
            for place in shared:
                _move(self.aside / "tree" / place, self.root / place)
            for top in {_window_folder(place) for place in own}:
                _move_folder(self.aside / "tree" / top, self.root / top)
        except OSError as exc:
            raise OutputError(f"{self.root}: cannot be written ({exc.strerror or exc})") from exc
        return ""


def _window_folder(place: str) -> str:
    return "/".join(place.split("/")[:3])


def _move(source: Path, target: Path) -> None:
    if source.exists():  # another window may have brought it
        target.parent.mkdir(parents=True, exist_ok=True)
        source.replace(target)


def _move_folder(source: Path, target: Path) -> None:
    """Move a folder as one where there is none yet, else file by file."""
    if not source.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.exists():
        source.rename(target)
        return
    for path in sorted(source.iterdir()):
        path.replace(target / path.name)
    source.rmdir()


def _reason(future: Future[list[RemoteFile]], scw: ScwId, failed: dict[ScwId, str]) -> bool:
    """Wait for a plan; one that failed is told why."""
    try:
        future.result()
    except OutputError:
        raise
    except IntegralOdaError as exc:
        failed[scw] = str(exc)
        return False
    return True


def _outcomes(futures: dict[RemoteFile, Future[None]]) -> dict[RemoteFile, str]:
    """Wait for downloads: empty for a good one, else why it failed."""
    reasons = {}
    for file, future in futures.items():
        try:
            future.result()
            reasons[file] = ""
        except OutputError:
            for other in futures.values():
                other.cancel()
            raise
        except IntegralOdaError as exc:
            reasons[file] = str(exc)
    return reasons


def _is_whole(path: Path) -> bool:
    """Say whether a file is there, packed or not, and opens as FITS."""
    other = (
        path.with_name(path.name.removesuffix(".gz"))
        if path.name.endswith(".gz")
        else path.with_name(f"{path.name}.gz")
    )
    for candidate in (path, other):
        if candidate.is_file():
            try:
                read_hdus(candidate)
            except DataError:
                continue
            return True
    return False


def _is_tar(path: Path) -> None:
    try:
        with tarfile.open(path) as packed:
            for _ in packed:
                continue
    except (tarfile.TarError, EOFError, OSError) as exc:
        raise DataError(f"no tar, or a damaged one ({exc})") from exc


def _unpack(packed: Path, file: RemoteFile, folder: Path) -> None:
    """Take the wanted members of a science window's folder out of a tar, each checked."""
    swid = PurePosixPath(file.place).name.partition(".")[0]
    taken = 0
    with tarfile.open(packed) as tar:
        for member in tar:
            path = PurePosixPath(member.name)
            if not member.isfile() or swid not in member.name or not _fits_one(path.name, file.members):
                continue
            stream = tar.extractfile(member)
            assert stream is not None
            folder.mkdir(parents=True, exist_ok=True)
            with (folder / path.name).open("wb") as copy:
                shutil.copyfileobj(stream, copy)
            _check_member(folder / path.name)
            taken += 1
    if not taken:
        raise AbsentError(f"{file.url}: the tar has none of {', '.join(file.members)} of {swid}")


def _check_of(place: str) -> Callable[[Path], None]:
    """What a file at a place of the tree must be like."""
    folder, name = PurePosixPath(place).parent.name, PurePosixPath(place).name

    def check(path: Path) -> None:
        if name.removesuffix(".gz") != EVENTS_FILE:
            read_hdus(path)
            return
        swid = folder.partition(".")[0]
        if (held := read_events(path).header.get("SWID", swid)) != swid:
            raise DataError(f"{path}: holds science window {held}")

    return check


def _check_member(path: Path) -> None:
    try:
        _check_of(path.as_posix())(path)
    except DataError:
        path.unlink()
        raise


def _fits_one(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
