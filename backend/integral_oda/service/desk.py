"""Where requests over HTTP are taken in, wait their turn, and are found again.

A ticket is one request of one user, a file under the store's root. Its work is a job of the workflow: the same query
from the page, the command line or from here is one job and one product. Tickets and jobs are on disk, so that a
server that was stopped goes on where it was.
"""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Self

from integral_oda import __version__
from integral_oda.archive.tree import EVENTS_FILE, Archive
from integral_oda.background import query_of, submit
from integral_oda.engines.native import ENGINE_VERSION
from integral_oda.errors import DataError, OutputError, RequestError, UnavailableError
from integral_oda.workflow.jobs import Job, JobState
from integral_oda.workflow.keys import digest

__all__ = ["Desk", "ForbiddenError", "Limits", "Standing", "Ticket"]

Status = Literal["submitted", "progress", "done", "failed"]
_FOLDER = "service"
_VERSIONS = f"{__version__} {ENGINE_VERSION}"


class ForbiddenError(RequestError):
    """A request that this user may not make."""


@dataclass(frozen=True)
class Limits:
    """What one user may ask for.

    Attributes
    ----------
    windows : int
        Largest number of science windows in a request.
    running : int
        Requests of one user that are worked on at a time; more wait their turn.
    waiting : int
        Requests of one user that may wait.
    workers : int
        Requests of all users that are worked on at a time.
    """

    windows: int = 500
    running: int = 2
    waiting: int = 200
    workers: int = 2


@dataclass(frozen=True)
class Ticket:
    """One request of one user.

    Attributes
    ----------
    id : str
        16 hex digits that follow from owner, product and parameters.
    owner : str
    product : str
        Name of the product as in the request.
    parameters : mapping
        The parameters with their defaults filled in.
    kind, query : str, mapping
        The query as the workflow knows it.
    keep : tuple of str
        Names of the sources that are wanted; all of them if empty.
    job : str
        Id of its job, empty as long as it waits.
    asked : float
        Unix time.
    made_with : str
        Versions of the programs; what other versions have made is made anew.
    """

    id: str
    owner: str
    product: str
    parameters: Mapping[str, Any]
    kind: str
    query: Mapping[str, Any]
    keep: tuple[str, ...] = ()
    job: str = ""
    asked: float = 0.0
    made_with: str = ""

    @property
    def windows(self) -> list[str]:
        """The science windows."""
        return list(self.query["scw_list"])

    @classmethod
    def without_windows(cls, owner: str, product: str, parameters: Mapping[str, Any], kind: str) -> Self:
        """Ticket of a request that no science window fits; it is not kept."""
        return cls(_ticket_id(owner, product, parameters), owner, product, parameters, kind, {"scw_list": []})


@dataclass(frozen=True)
class Standing:
    """How a ticket stands."""

    status: Status
    reason: str = ""
    steps: tuple[Mapping[str, Any], ...] = ()


@dataclass
class Desk:
    """The tickets of one store.

    Parameters
    ----------
    archive, store : Path
        Roots of the archive and of the store.
    limits : Limits
    """

    archive: Path
    store: Path
    limits: Limits = Limits()
    _lock: threading.RLock = field(default_factory=threading.RLock, repr=False)
    _open: dict[str, Ticket] = field(default_factory=dict, repr=False)
    """Tickets that are not known to be over."""

    def __post_init__(self) -> None:
        self.folder = self.store / _FOLDER
        try:
            (self.folder / "tickets").mkdir(parents=True, exist_ok=True)
        except OSError as exc:
            raise OutputError(f"the folder of requests {self.folder} cannot be made: {exc.strerror}") from exc
        self._open = {t.id: t for t in self._tickets() if not self._state_is_over(t)}

    def ask(
        self, owner: str, product: str, parameters: Mapping[str, Any], kind: str, query: Mapping[str, Any],
        keep: tuple[str, ...] = (),
    ) -> Ticket:  # fmt: skip
        """Take a request in; the same one that waits or is worked on is shared, one that is over begins anew.

        Raises
        ------
        ForbiddenError
            If it holds more windows than one may ask for.
        UnavailableError
            If too many requests wait already.
        """
        name = _ticket_id(owner, product, parameters)
        ticket = Ticket(name, owner, product, parameters, kind, query, keep, "", time.time(), _VERSIONS)
        with self._lock:
            known = self._open.get(name) or self._read(name)
            if known is not None and replace(known, job="", asked=ticket.asked) == ticket and self._stands(known):
                return known
            self._check(ticket)
            self._keep(ticket)
            self.advance()
            return self._open.get(name, ticket)

    def look(self, name: str, owner: str) -> Ticket:
        """Give a ticket of a user.

        Raises
        ------
        RequestError
            If there is none of that name.
        ForbiddenError
            If it is somebody else's.
        """
        if not (len(name) == 16 and set(name) <= set("0123456789abcdef")):
            raise RequestError("job_id", name[:40], "16 hex digits, as the first reply gave them")
        with self._lock:
            ticket = self._open.get(name) or self._read(name)
        if ticket is None:
            raise RequestError("job_id", name, "a request that was made here before")
        if ticket.owner != owner:
            raise ForbiddenError("job_id", name, "a request of your own")
        return ticket

    def standing(self, ticket: Ticket) -> Standing:
        """How a ticket stands; a job that was killed with the machine is begun anew."""
        with self._lock:
            self.advance()
            ticket = self._open.get(ticket.id) or self._read(ticket.id) or ticket
        if not ticket.job:
            return Standing("submitted")
        job = self.job(ticket)
        if job is None:
            return self._again(ticket)
        state = job.state()
        if state.status == "lost":
            return self._again(ticket)
        steps = tuple(asdict(event) for event in job.steps())
        return Standing(_status(state), state.reason, steps)

    def advance(self) -> None:
        """Begin the work of those whose turn it is: the user with the least at work first, then who asked first."""
        with self._lock:
            for ticket in list(self._open.values()):
                if ticket.job and self._state_is_over(ticket):
                    del self._open[ticket.id]
            while (turn := self._next()) is not None:
                self._begin(turn)

    def tickets_of(self, owner: str) -> list[Ticket]:
        """The requests of a user, the newest first."""
        own = [ticket for ticket in self._tickets() if ticket.owner == owner]
        return sorted(own, key=lambda ticket: ticket.asked, reverse=True)

    def job(self, ticket: Ticket) -> Job | None:
        """The job of a ticket; None if it is not there any more."""
        folder = self.store / "jobs" / ticket.job
        return Job(folder) if ticket.job and (folder / "request.json").exists() else None

    def result(self, ticket: Ticket) -> tuple[Path, dict[str, Any]]:
        """Folder of the products and their summary.

        Raises
        ------
        DataError
            If it is not done.
        """
        job = self.job(ticket)
        if job is None:
            raise DataError(f"request {ticket.id} has no result any more")
        return job.folder / "out", job.result()

    def _stands(self, ticket: Ticket) -> bool:
        """Whether a ticket waits, is worked on, or is done from events that have not changed since."""
        if not ticket.job:
            return ticket.id in self._open
        job = self.job(ticket)
        state = job.state() if job else None
        if state is None or (state.is_over and state.status != "done"):
            return False
        return not state.is_over or not _changed_since(state.started, self.archive, ticket.windows)

    def _again(self, ticket: Ticket) -> Standing:
        with self._lock:
            self._keep(replace(ticket, job=""))
            self.advance()
        return Standing("submitted")

    def check_windows(self, windows: Sequence[str]) -> None:
        """Refuse more science windows than one may ask for.

        Raises
        ------
        ForbiddenError
        """
        if len(windows) > self.limits.windows:
            most = f"at most {self.limits.windows} in a request"
            raise ForbiddenError("scw_list", f"{len(windows)} science windows", most)

    def _check(self, ticket: Ticket) -> None:
        self.check_windows(ticket.windows)
        with self._lock:
            waiting = sum(1 for t in self._open.values() if t.owner == ticket.owner and not t.job)
        if waiting >= self.limits.waiting:
            raise UnavailableError(f"{waiting} requests of yours wait already; at most {self.limits.waiting} may")

    def _next(self) -> Ticket | None:
        at_work = Counter(ticket.owner for ticket in self._open.values() if ticket.job)
        if at_work.total() >= self.limits.workers:
            return None
        waiting = [t for t in self._open.values() if not t.job and at_work[t.owner] < self.limits.running]
        return min(waiting, key=lambda t: (at_work[t.owner], t.asked), default=None)

    def _begin(self, ticket: Ticket) -> None:
        job = submit(query_of(ticket.kind, ticket.query), self.archive, self.store, owner=ticket.owner)
        self._keep(replace(ticket, job=job.id))

    def _state_is_over(self, ticket: Ticket) -> bool:
        if not ticket.job:
            return False
        job = self.job(ticket)
        return job is None or job.state().is_over

    def _keep(self, ticket: Ticket) -> None:
        """Write a ticket aside and rename it, and know it as open."""
        path = self.folder / "tickets" / f"{ticket.id}.json"
        aside = path.with_suffix(".part")
        try:
            aside.write_text(json.dumps(asdict(ticket)), encoding="utf-8")
            aside.replace(path)
        except OSError as exc:
            raise OutputError(f"{path}: cannot be written ({exc.strerror})") from exc
        self._open[ticket.id] = ticket

    def _read(self, name: str) -> Ticket | None:
        path = self.folder / "tickets" / f"{name}.json"
        if not path.exists():
            return None
        values = json.loads(path.read_text(encoding="utf-8"))
        return Ticket(**{**values, "keep": tuple(values["keep"])})

    def _tickets(self) -> Iterator[Ticket]:
        for path in (self.folder / "tickets").glob("*.json"):
            ticket = self._read(path.stem)
            if ticket is not None:
                yield ticket


def _ticket_id(owner: str, product: str, parameters: Mapping[str, Any]) -> str:
    return digest({"owner": owner, "product": product, "parameters": parameters})[:16]


def _changed_since(moment: float, root: Path, windows: list[str]) -> bool:
    """Whether the events of a window were written after a Unix time."""
    archive = Archive(root)
    files = (archive.find(scw, EVENTS_FILE) for scw in windows)
    return any(path.stat().st_ctime > moment for path in files if path is not None)


def _status(state: JobState) -> Status:
    if state.status == "done":
        return "done"
    return "failed" if state.is_over else "progress"
