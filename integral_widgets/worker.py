"""A process beside the kernel that does the analysis, so that the page never freezes.

That process runs `main`: pickled tasks come in on standard input, pickled messages go out on standard
output, and the end of the input ends it, whatever it does. So it never outlives the kernel.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import pickle
import queue
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

from integral_oda.errors import IntegralOdaError, RequestError
from integral_oda.workflow.progress import StepEvent

__all__ = ["Done", "Failed", "Message", "TaskError", "Worker", "main"]

_PROGRAM = "from integral_widgets.worker import main; main()"


@dataclass(frozen=True)
class TaskError:
    """Why a task failed: the sentence, the class of the error, and the parameter it is about."""

    sentence: str
    kind: str
    parameter: str | None = None

    @classmethod
    def of(cls, error: IntegralOdaError) -> TaskError:
        """The same for an exception; it must travel without its constructor's arguments."""
        parameter = error.parameter if isinstance(error, RequestError) else None
        return cls(str(error), type(error).__name__, parameter)


@dataclass(frozen=True)
class Done:
    """A task has ended well."""

    number: int
    result: Any


@dataclass(frozen=True)
class Failed:
    """A task has failed."""

    number: int
    error: TaskError


@dataclass(frozen=True)
class Step:
    """A step of a task has changed its state."""

    number: int
    event: StepEvent


Message = Done | Failed | Step


class Worker:
    """The process as the kernel sees it. Tasks are done one after the other.

    Parameters
    ----------
    on_message : callable
        Called in a thread of the kernel with every `Message`; a process that dies fails its tasks.
    log : Path
        Where its standard error goes.
    """

    def __init__(self, on_message: Callable[[Message], None], log: Path) -> None:
        self._on_message = on_message
        self.log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._pending: set[int] = set()
        self._last = 0
        self._lock = threading.RLock()
        self._reader: threading.Thread

    @property
    def pid(self) -> int | None:
        """Its process id while it lives."""
        return self._process.pid if self._process and self._process.poll() is None else None

    @property
    def busy(self) -> bool:
        """Whether a task waits or runs."""
        return bool(self._pending)

    def start(self) -> None:
        """Start the process ahead of the first task, so that its imports are done by then."""
        with self._lock:
            if self.pid is not None:
                return
            self.log.parent.mkdir(parents=True, exist_ok=True)
            with self.log.open("ab") as log:
                self._process = subprocess.Popen(
                    [sys.executable, "-c", _PROGRAM],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                )
            self._reader = threading.Thread(target=self._read, args=(self._process,), daemon=True, name="oda-worker")
            self._reader.start()

    def submit(self, task: Any) -> int:
        """Hand over a task; its messages carry the number returned."""
        with self._lock:
            self.start()
            assert self._process is not None
            assert self._process.stdin is not None
            self._last += 1
            self._pending.add(self._last)
            # A process that is dying takes nothing; `_lost` then fails this task with the others.
            with contextlib.suppress(BrokenPipeError):
                pickle.dump((self._last, task), self._process.stdin)
                self._process.stdin.flush()
            return self._last

    def cancel(self) -> None:
        """End the process and with it every task; what the store has already stays there."""
        with self._lock:
            self._pending.clear()
            process, self._process = self._process, None
        if process is not None and process.poll() is None:
            process.terminate()

    def close(self) -> None:
        """End the process and wait until it is gone."""
        process = self._process
        self.cancel()
        if process is not None:
            process.wait(timeout=10)
            self._reader.join(timeout=10)

    def _read(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        with contextlib.suppress(EOFError, pickle.UnpicklingError), process.stdout:
            while True:
                message = pickle.load(process.stdout)  # noqa: S301  our own child
                with self._lock:
                    wanted = message.number in self._pending
                    if not isinstance(message, Step):
                        self._pending.discard(message.number)
                if wanted:
                    self._on_message(message)
        self._lost(process)

    def _lost(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None
        status = process.wait()
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
        with self._lock:
            if process is not self._process:
                return
            lost, self._process = sorted(self._pending), None
            self._pending.clear()
        sentence = f"the analysis process ended with status {status}{self._last_words()}"
        for number in lost:
            self._on_message(Failed(number, TaskError(sentence, "Lost")))

    def _last_words(self) -> str:
        lines = [line for line in self.log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
        return f": {lines[-1].strip()} (all of it in {self.log})" if lines else ""


def main() -> None:
    """Do tasks from standard input until it ends; a fault ends the process with its traceback on standard error."""
    sys.excepthook = _end
    out, tasks = _claim_output(), queue.Queue[tuple[int, Any]]()
    threading.Thread(target=_feed, args=(sys.stdin.buffer, tasks), daemon=True).start()
    _preload()
    while True:
        number, task = tasks.get()
        try:
            message: Message = Done(number, task.run(lambda event, n=number: _send(out, Step(n, event))))
        except IntegralOdaError as exc:
            message = Failed(number, TaskError.of(exc))
        _send(out, message)


def _claim_output() -> BinaryIO:
    """Keep standard output for messages: anything printed goes to standard error instead."""
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return out


def _feed(source: BinaryIO, tasks: queue.Queue[tuple[int, Any]]) -> None:
    with contextlib.suppress(EOFError):
        while True:
            tasks.put(pickle.load(source))  # noqa: S301  our own parent
    os._exit(0)


def _end(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Leave at once: Python's own way out would wait for the thread that reads standard input."""
    sys.__excepthook__(kind, error, trace)
    sys.stderr.flush()
    os._exit(1)


def _preload() -> None:
    """Import what every task needs while the user still looks at the form."""
    for module in ("integral_oda.analysis", "integral_widgets.tasks"):
        importlib.import_module(module)


def _send(out: BinaryIO, message: Message) -> None:
    pickle.dump(message, out, protocol=pickle.HIGHEST_PROTOCOL)
    out.flush()
