"""Jobs that outlive the page: each runs in a process of its own, with its state on disk under the store's root.

A job's folder ``jobs/<id>/`` holds ``request.json``, ``state.jsonl`` (its life, one event a line), ``steps.jsonl``
(progress of the nodes), ``log.txt``, ``result.json`` and ``out/``. The process holds a lock on ``alive`` from before it
begins until it ends, however it ends; so a job that was killed is known as lost.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from importlib import import_module
from pathlib import Path
from shutil import Error, copytree, rmtree
from typing import Any, Literal

from integral_oda.errors import DataError, IntegralOdaError, OutputError, RequestError
from integral_oda.folders import is_lean
from integral_oda.workflow.keys import canonical_json, digest
from integral_oda.workflow.locks import FileLock, is_locked
from integral_oda.workflow.progress import Listener, StepEvent

__all__ = ["MOST_DAYS", "MOST_ENDED", "Job", "JobState", "Jobs", "Work", "advance"]

Status = Literal["queued", "running", "done", "failed", "cancelled", "lost"]
# What a job calls: request, folder for files, listener, the event that tells it to stop; it gives a JSON-able result.
Work = Callable[[Mapping[str, Any], Path, Listener, threading.Event], Any]

MOST_DAYS, MOST_ENDED = 30.0, 500
_POLL_S = 0.05
_GRACE_S = 1.0
_ENDED: tuple[Status, ...] = ("done", "failed", "cancelled", "lost")


@dataclass(frozen=True)
class JobState:
    """All that is known of a job.

    Attributes
    ----------
    id : str
        Its name: digits that follow from the request, a hyphen, and which try it is.
    work : str
        What it calls, ``"module:function"``.
    request : mapping
        What was asked.
    status : {"queued", "running", "done", "failed", "cancelled", "lost"}
        ``"lost"``: its process was killed.
    asked : int
        How many requests share it.
    pid : int
        Its process, 0 before it runs.
    submitted, started, ended : float
        Unix times, 0 where that did not happen yet.
    reason : str
        Why it failed, else empty.
    exit_status : int
        What the command line would have ended with.
    owner : str
        Whose it is; empty for whoever has the store.
    outs : tuple of str
        Folders that its files are copied to when it is done.
    """

    id: str
    work: str
    request: Mapping[str, Any]
    status: Status = "queued"
    asked: int = 1
    pid: int = 0
    submitted: float = 0.0
    started: float = 0.0
    ended: float = 0.0
    reason: str = ""
    exit_status: int = 0
    owner: str = ""
    outs: tuple[str, ...] = ()

    @property
    def is_over(self) -> bool:
        """Whether it has ended, in whatever way."""
        return self.status in _ENDED


def advance(state: JobState, event: Mapping[str, Any]) -> JobState:
    """Follow a job by one event of its life.

    Parameters
    ----------
    state : JobState
        What it was.
    event : mapping
        ``happened`` ("submitted", "asked", "started", "done", "failed", "cancelled"), ``time``, and what belongs to it.
        What comes after the end changes nothing but the number of requests.
    """
    happened, moment = event["happened"], float(event["time"])
    outs = tuple(dict.fromkeys([*state.outs, *([event["out"]] if event.get("out") else [])]))
    if happened == "asked":
        return replace(state, asked=state.asked + 1, outs=outs)
    if state.is_over:
        return state
    if happened == "submitted":
        return replace(state, submitted=moment, outs=outs)
    if happened == "started":
        return replace(state, status="running", started=moment, pid=int(event["pid"]))
    reason, exit_status = str(event.get("reason", "")), int(event.get("exit_status", 0))
    return replace(state, status=happened, ended=moment, reason=reason, exit_status=exit_status)


class Jobs:
    """The jobs of one store, or of one user of it.

    Jobs that have ended are removed when others begin: after `MOST_DAYS`, and the oldest beyond `MOST_ENDED`. Their
    results stay in the store.

    Parameters
    ----------
    root : Path
        Root of the store; jobs lie in ``jobs`` under it.
    owner : str
        Whose jobs are meant: only these are shared, listed and found. Empty for whoever has the store.

    Raises
    ------
    OutputError
        When the folder cannot be made.
    """

    def __init__(self, root: str | Path, owner: str = "") -> None:
        self.folder, self.owner = Path(root).absolute() / "jobs", owner
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as exc:
            raise OutputError(f"the folder of jobs {self.folder} cannot be made: {exc.strerror}") from exc

    def submit(
        self, work: str, request: Mapping[str, Any], *, way: Mapping[str, Any] | None = None, out: Path | None = None
    ) -> Job:
        """Begin a job, or share the one that is at the same request.

        Parameters
        ----------
        work : str
            What to call, ``"module:function"``, see `Work`.
        request : mapping
            What is asked, JSON-able; the same request is the same job while that runs.
        way : mapping, optional
            What the work is told too, but does not make it another: with how many processes, say.
        out : Path, optional
            Folder to copy its files to when it is done.
        """
        self.prune()
        name = self._name(work, request)
        with FileLock(self.folder / f"{name}.lock").hold():
            tries = self._tries(name)
            if tries and not (job := Job(tries[-1])).state().is_over:
                job.note("asked", out=None if out is None else str(out.absolute()))
                return job
            job = Job(self.folder / f"{name}-{self._last_number(name) + 1}")
            job.begin({"work": work, "request": request, "way": way or {}, "owner": self.owner}, out)
            return job

    def _name(self, work: str, request: Mapping[str, Any]) -> str:
        whose = {"owner": self.owner} if self.owner else {}
        return digest({"work": work, "request": request, **whose})[:16]

    def _tries(self, name: str) -> list[Path]:
        return sorted((path for path in self.folder.glob(f"{name}-*") if _is_job(path)), key=_number)

    def _last_number(self, name: str) -> int:
        return max((_number(path) for path in self.folder.glob(f"{name}-*")), default=0)

    def find(self, work: str, request: Mapping[str, Any]) -> Job | None:
        """The last job that is or was at a request; None if there is none."""
        tries = self._tries(self._name(work, request))
        return Job(tries[-1]) if tries else None

    def prune(self, max_days: float = MOST_DAYS, keep: int = MOST_ENDED) -> list[str]:
        """Remove jobs that have ended, of every owner; give their ids.

        Parameters
        ----------
        max_days : float
            Those that ended longer ago.
        keep : int
            The oldest beyond this number.
        """
        ended = [(state.ended or state.submitted, path) for path, state in self._states() if state.is_over]
        ended.sort(key=lambda item: item[0], reverse=True)
        limit = time.time() - max_days * 86400
        gone = [path for place, (moment, path) in enumerate(ended) if place >= keep or moment < limit]
        return [path.name for path in gone if self._remove(path)]

    def _remove(self, path: Path) -> bool:
        """Remove a job unless it is just beginning, which looks as if it had been killed."""
        lock = FileLock(self.folder / f"{path.name.rpartition('-')[0]}.lock")
        if not lock.try_acquire():
            return False
        try:
            over = _is_job(path) and Job(path).state().is_over
            if over:
                rmtree(path, ignore_errors=True)
        finally:
            lock.release()
        return over

    def _states(self) -> Iterator[tuple[Path, JobState]]:
        for path in list(self.folder.iterdir()):
            if _is_job(path):
                # Another process may remove it meanwhile.
                with suppress(FileNotFoundError):
                    yield path, Job(path).state()

    def list(self) -> list[JobState]:
        """All jobs of the owner, the newest first."""
        found = [state for _, state in self._states() if state.owner == self.owner]
        return sorted(found, key=lambda state: state.submitted, reverse=True)

    def get(self, name: str) -> Job:
        """One job by its id, or by a beginning of it that no other job has.

        Raises
        ------
        RequestError
            When there is none or several.
        """
        found = [path for path, state in self._states() if state.owner == self.owner]
        matching = [path for path in found if path.name == name] or [
            path for path in found if path.name.startswith(name)
        ]
        if len(matching) != 1 or not name:
            known = ", ".join(sorted(path.name for path in found)) or "none"
            raise RequestError("job", name, f"the id of one job, or its beginning; there are: {known}")
        return Job(matching[0])


def _is_job(path: Path) -> bool:
    """Whether a folder is that of a job; one whose beginning was interrupted is not."""
    return (path / "request.json").exists()


def _number(path: Path) -> int:
    return int(path.name.rpartition("-")[2])


class Job:
    """Handle of one job; any process may hold one.

    Parameters
    ----------
    folder : Path
        Its folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.id = folder, folder.name

    def begin(self, asked: Mapping[str, Any], out: Path | None) -> None:
        """Start the process; see `Jobs.submit`."""
        try:
            (self.folder / "out").mkdir(parents=True)
            text = canonical_json(asked)
            aside = self.folder / ".request.json"
            aside.write_text(text + "\n", encoding="utf-8")
            aside.rename(self.folder / "request.json")
            self.note("submitted", out=None if out is None else str(out.absolute()))
            alive = FileLock(self.folder / "alive")
            alive.acquire()
            descriptor = alive.detach()
            try:
                _start(self.folder, descriptor)
            finally:
                os.close(descriptor)
        except OSError as exc:
            raise OutputError(f"job {self.folder} cannot be started: {exc.strerror or exc}") from exc

    def note(self, happened: str, **details: Any) -> None:
        """Add an event to the job's life."""
        _append(self.folder / "state.jsonl", {"happened": happened, "time": time.time(), **details})

    def state(self) -> JobState:
        """What has become of it."""
        asked = json.loads((self.folder / "request.json").read_text(encoding="utf-8"))
        alive = is_locked(self.folder / "alive")
        state = JobState(self.id, asked["work"], asked["request"], owner=asked.get("owner", ""))
        for event in _lines(self.folder / "state.jsonl"):
            state = advance(state, event)
        if alive or state.is_over:
            return state
        return replace(state, status="lost", reason="its process was killed", exit_status=1)

    def steps(self, after: int = 0) -> list[StepEvent]:
        """Progress of its nodes, from behind a given number of events."""
        return [StepEvent(**event) for event in _lines(self.folder / "steps.jsonl", after)]

    def follow(self) -> Iterator[StepEvent]:
        """Give the progress of its nodes from the first one on, each as it comes, until it has ended."""
        place, over = 0, False
        while not over:
            over = self.state().is_over
            events = self.steps(place)
            yield from events
            place += len(events)
            if not over:
                time.sleep(_POLL_S)

    def log(self) -> str:
        """What it wrote."""
        path = self.folder / "log.txt"
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    def result(self) -> Any:
        """What its work gave.

        Raises
        ------
        DataError
            When it is not done.
        """
        state = self.state()
        if state.status != "done":
            raise DataError(f"job {self.id} has no result: it is {state.status}{_because(state)}")
        return json.loads((self.folder / "result.json").read_text(encoding="utf-8"))

    def wait(self, timeout: float | None = None) -> JobState:
        """Wait until it has ended, or for some seconds; give what has become of it."""
        deadline = time.monotonic() + timeout if timeout is not None else float("inf")
        while not (state := self.state()).is_over and time.monotonic() < deadline:
            time.sleep(_POLL_S)
        return state

    def cancel(self) -> JobState:
        """Ask it to stop, and end its processes if it has not stopped after a second."""
        state = self.state()
        if state.is_over:
            return state
        (self.folder / "cancel").touch()
        state = self.wait(_GRACE_S)
        while not state.is_over:
            # As long as the lock is held the process is the job's own.
            if state.pid:
                _kill_session(state.pid)
            state = self.wait(_POLL_S)
        if state.status == "lost":
            self.note("cancelled")
        return self.state()


def _because(state: JobState) -> str:
    return f" ({state.reason})" if state.reason else ""


def _append(path: Path, record: Mapping[str, Any]) -> None:
    with path.open("ab", buffering=0) as stream:
        stream.write(json.dumps(record).encode("ascii") + b"\n")


def _lines(path: Path, after: int = 0) -> Iterator[dict[str, Any]]:
    if not path.exists():
        return
    for line in path.read_bytes().splitlines(keepends=True)[after:]:
        # The last line may be half written yet.
        if line.endswith(b"\n"):
            yield json.loads(line)


def _start(folder: Path, alive: int) -> None:
    """Start the process of a job so that it belongs to nobody; it inherits the lock that shows it alive."""
    command = [sys.executable, "-m", "integral_oda.workflow.jobs", str(folder), str(alive)]
    subprocess.run(
        ["/bin/sh", "-c", '"$@" < /dev/null >> "$0" 2>&1 &', str(folder / "log.txt"), *command],
        pass_fds=[alive],
        start_new_session=True,
        check=True,
    )


def _kill_session(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _run(folder: Path) -> int:
    """Do the work of a job, in its own process."""
    job, stop, over = Job(folder), threading.Event(), threading.Event()
    threading.Thread(target=_watch, args=(folder / "cancel", stop, over), daemon=True).start()
    turn = FileLock(folder.parent / "turn.lock")
    if is_lean():
        turn.acquire(stop.is_set)
    job.note("started", pid=os.getpid())
    asked = json.loads((folder / "request.json").read_text(encoding="utf-8"))
    outcome: dict[str, Any] = {"happened": "failed", "reason": "error in the program, see its log", "exit_status": 1}
    try:
        request = {**asked["way"], **asked["request"]}
        result = _resolve(asked["work"])(request, folder / "out", _writer(folder), stop)
        (folder / "result.json").write_text(json.dumps(result), encoding="utf-8")
        outcome = {"happened": "cancelled" if stop.is_set() else "done"}
    except IntegralOdaError as exc:
        outcome = {"happened": "failed", "reason": str(exc), "exit_status": exc.exit_status}
        if stop.is_set():
            outcome = {"happened": "cancelled"}
    finally:
        over.set()
        turn.release()
        # Who asks meanwhile waits, and finds it over.
        with FileLock(folder.parent / f"{folder.name.rpartition('-')[0]}.lock").hold():
            if outcome["happened"] == "done":
                outcome["reason"] = _copy_to_all(job)
            job.note(**outcome)
    return int(outcome.get("exit_status", 0))


def _copy_to_all(job: Job) -> str:
    """Copy the files to every folder that was asked for; say what could not be."""
    problems = []
    for out in job.state().outs:
        try:
            copytree(job.folder / "out", out, dirs_exist_ok=True)
        except (OSError, Error) as exc:
            problems.append(f"{out}: cannot be written to ({exc})")
    return "; ".join(problems)


def _watch(cancel: Path, stop: threading.Event, over: threading.Event) -> None:
    while not over.wait(_POLL_S):
        if cancel.exists():
            stop.set()
            return


def _resolve(work: str) -> Work:
    module, _, name = work.partition(":")
    try:
        function: Work = getattr(import_module(module), name)
    except (ImportError, AttributeError) as exc:
        raise RequestError("work", work, f"module:function ({exc})") from exc
    return function


def _writer(folder: Path) -> Listener:
    def write(event: StepEvent) -> None:
        _append(folder / "steps.jsonl", asdict(event))

    return write


def main(arguments: Sequence[str]) -> int:
    """Run the job of a folder; the second argument is the descriptor of its lock."""
    folder, alive = Path(arguments[0]), int(arguments[1])
    os.set_inheritable(alive, False)
    if os.getpgrp() != os.getpid():
        os.setsid()
    return _run(folder)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
