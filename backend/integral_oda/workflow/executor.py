"""Carries a graph out in this process: pulls from the targets, takes what is known, computes the rest."""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol

from integral_oda.errors import DataError
from integral_oda.workflow.execution import Execution, Outcome, Run
from integral_oda.workflow.graph import Node, is_tolerant
from integral_oda.workflow.perform import Performed, inherited_failure, perform, task_on_survivors
from integral_oda.workflow.progress import Listener, silent
from integral_oda.workflow.provenance import lineage
from integral_oda.workflow.schedule import Cell
from integral_oda.workflow.store import Signer, Store

__all__ = ["Execution", "Executor", "InProcessRun", "Outcome", "execute"]

_BUSY_WAIT_S = 0.02
# Computed inputs of a gathering node that stay in memory; the others are read back from the store one by one.
_KEPT_FOR_GATHERING = 8


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


class InProcessRun(Run):
    """One execution in this process, one node after the other."""

    def work(self, to_do: Sequence[Cell]) -> None:
        """Do first what comes first, and leave to others what they are at."""
        self._gathering: set[Cell] = set()
        ready = [(cell.order, cell) for cell in to_do if not cell.waiting]
        heapq.heapify(ready)
        busy: list[tuple[int, Cell]] = []
        while (ready or busy) and not self.cancel.is_set():
            if not ready:
                self.cancel.wait(_BUSY_WAIT_S)
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
            self.settle(cell, Performed("failed", error=error))
            return True
        try:
            task = task_on_survivors(cell.node, [item.key for item in cell.inputs])
        except DataError as exc:
            self.settle(cell, Performed("failed", error=exc))
            return True
        lock = self.store.lock(task.key) if self.store is not None else None
        if lock is not None and not lock.try_acquire():
            return False
        cell.key = task.key
        announce, sign = partial(self.tell, cell, "running"), self._signer(cell)
        try:
            done = perform(task, lambda: self._inputs(cell), self.store, self.lease, announce, sign)
        finally:
            if lock is not None:
                lock.release()
        if done.error is not None:
            cell.key = None
        self.settle(cell, done)
        return True

    def _signer(self, cell: Cell) -> Signer | None:
        sign = getattr(cell.node.step, "sign", None)
        return None if sign is None else lambda folder: sign(folder, lineage(self, cell.node))

    def again(self) -> InProcessRun:
        """Another execution on the same store, for what was lost."""
        return InProcessRun(self.store, self.listener, threading.Event(), strict=False)

    def keeps(self, cell: Cell) -> bool:
        """Whether a value stays in memory: as long as it is needed, but of many that are gathered only a few."""
        gathered = bool(cell.users) and all(is_tolerant(user.node.step) for user in cell.users)
        if self.store is None or cell.is_target or not gathered:
            return True
        self._gathering.add(cell)
        return len(self._gathering) <= _KEPT_FOR_GATHERING

    def _release_inputs(self, cell: Cell) -> None:
        for item in cell.inputs:
            if not item.is_target and all(user.settled for user in item.users):
                item.value, item.has_value = None, False
                self._gathering.discard(item)

    def _inputs(self, cell: Cell) -> Sequence[Any]:
        if is_tolerant(cell.node.step):
            pairs = zip(cell.node.inputs, cell.inputs, strict=True)
            return _Gathered([(node.scope, item) for node, item in pairs if item.error is None], self.load_once)
        return [self.load(item) for item in cell.inputs]


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
