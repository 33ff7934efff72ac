"""Carries a graph out in this process: pulls from the targets, takes what is known, computes the rest."""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from integral_oda.errors import DataError, UnavailableError
from integral_oda.workflow.graph import Node, is_tolerant, raw_files
from integral_oda.workflow.perform import (
    Ending,
    Performed,
    inherited_failure,
    look_up_in,
    perform,
    task_on_survivors,
)
from integral_oda.workflow.progress import Listener, State, StepEvent, silent
from integral_oda.workflow.schedule import Cell, Schedule
from integral_oda.workflow.store import Store

__all__ = ["Execution", "Executor", "Outcome", "execute"]

_BUSY_WAIT_S = 0.02
# Computed inputs of a gathering node that stay in memory; the others are read back from the store one by one.
_KEPT_FOR_GATHERING = 8


@dataclass(frozen=True)
class Outcome:
    """How one node ended.

    Attributes
    ----------
    value : object
        Its result; None where it failed.
    state : {"computed", "restored", "failed"}
        Whether it was computed by this call, found in the store, or failed.
    reason : str
        Why it failed, else empty.
    seconds : float
        What it cost to compute, 0 unless this call did.
    """

    value: Any
    state: Ending
    reason: str
    seconds: float


class Executor(Protocol):
    """What every way of carrying out a graph offers."""

    def __call__(
        self,
        targets: Sequence[Node],
        store: Store | None = None,
        listener: Listener = silent,
        *,
        cancel: threading.Event | None = None,
        strict: bool = False,
    ) -> Execution:
        """Carry out a graph, see `execute`."""


class Execution:
    """What came of a graph.

    Attributes
    ----------
    values : mapping of Node to object
        Results, loaded from the store when they are asked for. A failed node raises its error.
    cancelled : bool
        Whether it was stopped before it was done.
    """

    def __init__(self, cells: Mapping[Node, Cell], loader: Callable[[Cell], Any], *, cancelled: bool) -> None:
        self._cells, self._loader, self.cancelled = cells, loader, cancelled
        self._distinct = list({id(cell): cell for cell in cells.values()}.values())

    @property
    def values(self) -> Mapping[Node, Any]:
        """Results by node."""
        return _Values(self._cells, self.value)

    def value(self, node: Node) -> Any:
        """Give the result of one node.

        Raises
        ------
        IntegralOdaError
            The error with which the node failed; `UnavailableError` where the execution was cancelled before it.
        """
        cell = self._cells[node]
        if cell.error is not None:
            raise cell.error
        if not cell.settled:
            raise UnavailableError(f"{cell.node.step.name} of {cell.node.scope} was not done: the query was cancelled")
        return self._loader(cell)

    def key(self, node: Node) -> str | None:
        """Key of the result of a node on the inputs that it really had; None where there is no result."""
        return self._cells[node].key

    def outcome(self, node: Node) -> Outcome:
        """How one node ended; a node that was not needed, or not reached, is not known."""
        cell = self._cells[node]
        if cell.error is not None:
            return Outcome(None, "failed", str(cell.error), cell.seconds)
        return Outcome(self.value(node), _ending(cell), "", cell.seconds)

    def _count(self, state: State) -> int:
        return sum(cell.state == state for cell in self._distinct)

    @property
    def computed(self) -> int:
        """Number of distinct nodes that this call computed."""
        return self._count("computed")

    @property
    def restored(self) -> int:
        """Number of distinct nodes that were found in the store."""
        return self._count("restored")

    @property
    def failed(self) -> int:
        """Number of distinct nodes that failed, those included whose inputs failed."""
        return self._count("failed")

    @property
    def failures(self) -> list[tuple[str, str, str]]:
        """Scope, step and reason of the nodes that failed by themselves, not by an input."""
        own = (cell for cell in self._distinct if cell.error is not None and not cell.inherited)
        return [(cell.node.scope, cell.node.step.name, str(cell.error)) for cell in own]


def _ending(cell: Cell) -> Ending:
    return "computed" if cell.state == "computed" else "restored"


class _Values(Mapping[Node, Any]):
    def __init__(self, nodes: Mapping[Node, Cell], value: Callable[[Node], Any]) -> None:
        self._nodes, self._value = nodes, value

    def __getitem__(self, node: Node) -> Any:
        return self._value(node)

    def __iter__(self) -> Iterator[Node]:
        return iter(self._nodes)

    def __len__(self) -> int:
        return len(self._nodes)


def execute(
    targets: Sequence[Node],
    store: Store | None = None,
    listener: Listener = silent,
    *,
    cancel: threading.Event | None = None,
    strict: bool = False,
) -> Execution:
    """Carry out a graph in this process, one node after the other.

    What is in the store is not computed, and nothing that it was made from is looked at. A node that another process is
    computing is left to it; meanwhile others are done. A node that fails fails alone: those that depend on it fail for
    the same reason, but a gathering (tolerant) step goes on with the inputs that are left, under the key of these.

    Parameters
    ----------
    targets : sequence of Node
        What is wanted.
    store : Store, optional
        Where results are looked for and kept.
    listener : callable
        Told of every change of a node.
    cancel : threading.Event, optional
        Set it to stop before the next node; finished ones stay in the store.
    strict : bool
        Raise the error of the first node that fails.

    Raises
    ------
    OutputError
        When the store cannot be written.
    IntegralOdaError
        With ``strict``, the error of the first node that failed.
    """
    run = InProcessRun(store, listener, cancel or threading.Event(), strict=strict)
    return run.execute(targets)


class InProcessRun:
    """One execution in this process."""

    def __init__(self, store: Store | None, listener: Listener, cancel: threading.Event, *, strict: bool) -> None:
        self._store, self._listener, self._cancel, self._strict = store, listener, cancel, strict
        self._lease = store.lease() if store is not None else None
        self._gathering: set[Cell] = set()

    def execute(self, targets: Sequence[Node]) -> Execution:
        """Carry out what is needed for some targets."""
        if self._store is not None:
            self._store.fingerprints.prime(raw_files(targets))
        plan = Schedule(look_up_in(self._store, self._lease), self._settle)
        plan.add(targets)
        for cell in plan.to_do:
            self._tell(cell, "queued")
        self._work(plan.to_do)
        return Execution(plan.cells, self._load, cancelled=any(not cell.settled for cell in plan.to_do))

    def _work(self, to_do: Sequence[Cell]) -> None:
        ready = [(cell.order, cell) for cell in to_do if not cell.waiting]
        heapq.heapify(ready)
        busy: list[tuple[int, Cell]] = []
        while (ready or busy) and not self._cancel.is_set():
            if not ready:
                self._cancel.wait(_BUSY_WAIT_S)
                ready, busy = busy, []
                heapq.heapify(ready)
            order, cell = heapq.heappop(ready)
            if not self._attempt(cell):
                busy.append((order, cell))
                continue
            for user in cell.users:
                user.waiting -= 1
                if not user.waiting:
                    heapq.heappush(ready, (user.order, user))
            self._release_inputs(cell)

    def _attempt(self, cell: Cell) -> bool:
        """Carry one node out; say false if another process is at it."""
        error = inherited_failure(cell.node, [item.error for item in cell.inputs])
        if error is not None:
            cell.inherited = True
            self._settle(cell, Performed("failed", error=error))
            return True
        try:
            task = task_on_survivors(cell.node, [item.key for item in cell.inputs])
        except DataError as exc:
            self._settle(cell, Performed("failed", error=exc))
            return True
        lock = self._store.lock(task.key) if self._store is not None else None
        if lock is not None and not lock.try_acquire():
            return False
        try:
            done = perform(
                task, lambda: self._inputs(cell), self._store, self._lease, lambda: self._tell(cell, "running")
            )
        finally:
            if lock is not None:
                lock.release()
        cell.key = task.key if done.error is None else None
        self._settle(cell, done)
        return True

    def _settle(self, cell: Cell, done: Performed) -> None:
        cell.state, cell.seconds, cell.error, cell.folder = done.state, done.seconds, done.error, done.folder
        if done.state == "computed":
            cell.value, cell.has_value = done.value, self._keeps(cell)
            if not cell.has_value:
                cell.value = None
        self._tell(cell, done.state)
        if self._strict and done.error is not None:
            raise done.error

    def _keeps(self, cell: Cell) -> bool:
        gathered = bool(cell.users) and all(is_tolerant(user.node.step) for user in cell.users)
        if self._store is None or cell.is_target or not gathered:
            return True
        self._gathering.add(cell)
        return len(self._gathering) <= _KEPT_FOR_GATHERING

    def _release_inputs(self, cell: Cell) -> None:
        for item in cell.inputs:
            if not item.is_target and all(user.settled for user in item.users):
                item.value, item.has_value = None, False
                self._gathering.discard(item)

    def _tell(self, cell: Cell, state: State) -> None:
        message = "" if cell.error is None else str(cell.error)
        seconds = cell.seconds if state == "computed" else 0.0
        self._listener(StepEvent(cell.node.scope, cell.node.step.name, state, seconds, message))

    def _inputs(self, cell: Cell) -> Sequence[Any]:
        if is_tolerant(cell.node.step):
            pairs = zip(cell.node.inputs, cell.inputs, strict=True)
            return _Gathered([(node.scope, item) for node, item in pairs if item.error is None], self._load_once)
        return [self._load(item) for item in cell.inputs]

    def _load(self, cell: Cell) -> Any:
        """Value of a node that ended well; kept as long as others need it."""
        if not cell.has_value:
            cell.value, cell.has_value = self._load_once(cell), True
        return cell.value

    def _load_once(self, cell: Cell) -> Any:
        if cell.has_value:
            return cell.value
        if cell.folder is None:
            raise UnavailableError(f"the result of {cell.node.step.name} of {cell.node.scope} was not kept")
        try:
            return cell.node.step.load(cell.folder)
        except (OSError, DataError) as exc:
            return self._make_again(cell, f"cannot be loaded: {exc}")

    def _make_again(self, cell: Cell, reason: str) -> Any:
        assert self._store is not None
        assert cell.key is not None
        with self._store.lock(cell.key).hold():
            self._store.set_aside(cell.key, reason)
        again = InProcessRun(self._store, self._listener, threading.Event(), strict=False).execute([cell.node])
        return again.value(cell.node)


class _Gathered(Sequence[tuple[str, Any]]):
    """Scope and value of what is gathered, each loaded when it is asked for and not kept."""

    def __init__(self, cells: list[tuple[str, Cell]], load: Callable[[Cell], Any]) -> None:
        self._cells, self._load = cells, load

    def __len__(self) -> int:
        return len(self._cells)

    def __getitem__(self, number: Any) -> Any:
        if isinstance(number, slice):
            return [(scope, self._load(cell)) for scope, cell in self._cells[number]]
        scope, cell = self._cells[number]
        return scope, self._load(cell)
