"""Follow jobs from a page: their steps as they come, and their end. The jobs know nothing of the page."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from integral_oda.workflow.jobs import Job, JobState
from integral_oda.workflow.progress import StepEvent

__all__ = ["Followed", "Follower"]

POLL_S = 0.2


@dataclass
class Followed:
    """A job at work, as far as the page has seen it."""

    job: Job
    state: JobState
    seen: int = field(default=0)

    @property
    def kind(self) -> str:
        """What it makes: ``"image"``, ``"lightcurve"``, ``"spectrum"``, or the name of another work."""
        return str(self.state.request.get("kind") or self.state.work.rpartition(":")[2])


class Follower:
    """One thread that looks at the jobs followed a few times a second, and ends when none is left.

    Parameters
    ----------
    on_steps : callable
        Given the job and its new events.
    on_end : callable
        Given the job once it is over.
    on_tick : callable
        Called after each look.
    until_seen : callable, optional
        Returns once there is somebody to show things to; the first look waits for it.
    """

    def __init__(
        self,
        on_steps: Callable[[Followed, Sequence[StepEvent]], None],
        on_end: Callable[[Followed], None],
        on_tick: Callable[[], None],
        until_seen: Callable[[], object] | None = None,
    ) -> None:
        self._until_seen = until_seen
        self._on_steps, self._on_end, self._on_tick = on_steps, on_end, on_tick
        self._lock = threading.Lock()
        self._followed: dict[str, Followed] = {}
        self._wake = threading.Event()
        self._idle = threading.Event()
        self._idle.set()

    @property
    def jobs(self) -> list[Followed]:
        """Those that are not over."""
        with self._lock:
            return list(self._followed.values())

    def follow(self, job: Job) -> Followed:
        """Follow one more job; one that is followed already is left alone."""
        with self._lock:
            known = self._followed.get(job.id)
            if known is not None:
                return known
            followed = self._followed[job.id] = Followed(job, job.state())
            if self._idle.is_set():
                self._idle.clear()
                self._wake.clear()
                threading.Thread(target=self._look, daemon=True, name="oda-follower").start()
        return followed

    def leave(self) -> None:
        """Follow nothing any more; the jobs go on."""
        with self._lock:
            self._followed.clear()
        self._wake.set()

    def wait(self, timeout_s: float) -> bool:
        """Wait until nothing is followed; says whether that is so."""
        return self._idle.wait(timeout_s)

    def _look(self) -> None:
        if self._until_seen is not None:
            self._until_seen()
        while True:
            for followed in self.jobs:
                self._advance(followed)
            self._on_tick()
            with self._lock:
                if not self._followed:
                    self._idle.set()
                    return
            self._wake.wait(POLL_S)

    def _advance(self, followed: Followed) -> None:
        # The state first: what is written before the end is then seen before the end.
        followed.state = followed.job.state()
        events = followed.job.steps(followed.seen)
        if events:
            followed.seen += len(events)
            self._on_steps(followed, events)
        if followed.state.is_over:
            self._on_end(followed)
            with self._lock:
                self._followed.pop(followed.job.id, None)
