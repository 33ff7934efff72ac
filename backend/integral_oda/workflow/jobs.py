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
from dataclasses import asdict, dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

from integral_oda.errors import DataError, IntegralOdaError, OutputError, RequestError
from integral_oda.workflow.keys import canonical_json, digest
from integral_oda.workflow.locks import FileLock, is_locked
from integral_oda.workflow.progress import Listener, StepEvent

__all__ = ["Job", "JobState", "Jobs", "Work", "advance"]

Status = Literal["queued", "running", "done", "failed", "cancelled", "lost"]
# What a job calls: request, folder for files, listener, the event that tells it to stop; it gives a JSON-able result.
Work = Callable[[Mapping[str, Any], Path, Listener, threading.Event], Any]

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
    if happened == "asked":
        return replace(state, asked=state.asked + 1)
    if state.is_over:
        return state
    if happened == "submitted":
        return replace(state, submitted=moment)
    if happened == "started":
        return replace(state, status="running", started=moment, pid=int(event["pid"]))
    reason, exit_status = str(event.get("reason", "")), int(event.get("exit_status", 0))
    return replace(state, status=happened, ended=moment, reason=reason, exit_status=exit_status)


class Jobs:
    """The jobs of one store.

    Parameters
    ----------
    root : Path
        Root of the store; jobs lie in ``jobs`` under it.

    Raises
    ------
    OutputError
        When the folder cannot be made.
    """

    def __init__(self, root: str | Path) -> None:
        self.folder = Path(root).absolute() / "jobs"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as exc:
            raise OutputError(f"the folder of jobs {self.folder} cannot be made: {exc.strerror}") from exc

    def submit(self, work: str, request: Mapping[str, Any]) -> Job:
        """Begin a job, or share the one that is at the same request.

        Parameters
        ----------
        work : str
            What to call, ``"module:function"``, see `Work`.
        request : mapping
            What is asked, JSON-able; the same request is the same job while that runs.
        """
        name = digest({"work": work, "request": request})[:16]
        with FileLock(self.folder / f"{name}.lock").hold():
            tries = sorted(self.folder.glob(f"{name}-*"), key=_number)
            if tries and _is_job(tries[-1]) and not (job := Job(tries[-1])).state().is_over:
                job.note("asked")
                return job
            job = Job(self.folder / f"{name}-{_number(tries[-1]) + 1 if tries else 1}")
            job.begin(work, request)
            return job

    def list(self) -> list[JobState]:
        """All jobs, the newest first."""
        found = [Job(path).state() for path in self.folder.iterdir() if _is_job(path)]
        return sorted(found, key=lambda state: state.submitted, reverse=True)

    def get(self, name: str) -> Job:
        """One job by its id, or by a beginning of it that no other job has.

        Raises
        ------
        RequestError
            When there is none or several.
        """
        found = [path for path in self.folder.iterdir() if _is_job(path)]
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

    def begin(self, work: str, request: Mapping[str, Any]) -> None:
        """Start the process; see `Jobs.submit`."""
        try:
            (self.folder / "out").mkdir(parents=True)
            text = canonical_json({"work": work, "request": request})
            aside = self.folder / ".request.json"
            aside.write_text(text + "\n", encoding="utf-8")
            aside.rename(self.folder / "request.json")
            self.note("submitted")
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
        state = JobState(self.id, asked["work"], asked["request"])
        for event in _lines(self.folder / "state.jsonl"):
            state = advance(state, event)
        if alive or state.is_over:
            return state
        return replace(state, status="lost", reason="its process was killed", exit_status=1)

    def steps(self, after: int = 0) -> list[StepEvent]:
        """Progress of its nodes, from behind a given number of events."""
        return [StepEvent(**event) for event in _lines(self.folder / "steps.jsonl")][after:]

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


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    if not path.exists():
        return
    for line in path.read_bytes().splitlines(keepends=True):
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
    job.note("started", pid=os.getpid())
    threading.Thread(target=_watch, args=(folder / "cancel", stop, over), daemon=True).start()
    asked = json.loads((folder / "request.json").read_text(encoding="utf-8"))
    outcome: dict[str, Any] = {"happened": "failed", "reason": "error in the program, see its log", "exit_status": 1}
    try:
        result = _resolve(asked["work"])(asked["request"], folder / "out", _writer(folder), stop)
        (folder / "result.json").write_text(json.dumps(result), encoding="utf-8")
        outcome = {"happened": "cancelled" if stop.is_set() else "done"}
    except IntegralOdaError as exc:
        outcome = {"happened": "failed", "reason": str(exc), "exit_status": exc.exit_status}
        if stop.is_set():
            outcome = {"happened": "cancelled"}
    finally:
        over.set()
        job.note(**outcome)
    return int(outcome.get("exit_status", 0))


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
