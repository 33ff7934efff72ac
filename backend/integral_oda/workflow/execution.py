"""What comes of a graph, and what every way of carrying one out has in common."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from integral_oda.errors import DataError, IntegralOdaError, UnavailableError
from integral_oda.workflow.graph import Node, raw_files
from integral_oda.workflow.perform import Ending, Performed, look_up_in
from integral_oda.workflow.progress import Listener, State, StepEvent
from integral_oda.workflow.schedule import Cell, Schedule
from integral_oda.workflow.store import Store

__all__ = ["Execution", "Flag", "Outcome", "Run"]


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

    def cell(self, node: Node) -> Cell | None:
        """State of one node; None where it was not needed."""
        return self._cells.get(node)

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


class Flag(Protocol):
    """What of `threading.Event` an execution asks."""

    def is_set(self) -> bool:
        """Whether to stop."""

    def wait(self, timeout: float) -> bool:
        """Wait a little; say whether to stop."""


class Run:
    """One execution: what is known is taken from the store, the rest is done by the class that inherits.

    Parameters
    ----------
    store : Store or None
        Where results are looked for and kept.
    listener : callable
        Told of every change of a node.
    cancel : threading.Event or alike
        Asked before each node whether to stop.
    strict : bool
        Raise the error of the first node that fails.
    known : mapping of str to IntegralOdaError, optional
        Keys of nodes that are known to fail.
    """

    def __init__(
        self,
        store: Store | None,
        listener: Listener,
        cancel: Flag,
        *,
        strict: bool,
        known: Mapping[str, IntegralOdaError] | None = None,
    ) -> None:
        self.store, self.listener, self.cancel, self.strict = store, listener, cancel, strict
        self.lease = store.lease() if store is not None else None
        self.known = known or {}
        self._cells: Mapping[Node, Cell] = {}

    def execute(self, targets: Sequence[Node]) -> Execution:
        """Carry out what is needed for some targets."""
        if self.store is not None:
            self.store.fingerprints.prime(raw_files(targets))
        schedule = Schedule(self._look_up, self.settle)
        self._cells = schedule.cells
        schedule.add(targets)
        for cell in schedule.to_do:
            self.tell(cell, "queued")
        self.work(schedule.to_do)
        return Execution(schedule.cells, self.load, cancelled=any(not cell.settled for cell in schedule.to_do))

    def cell(self, node: Node) -> Cell | None:
        """State of one node; None where it was not needed."""
        return self._cells.get(node)

    def work(self, to_do: Sequence[Cell]) -> None:
        """Do what is to be done, inputs first."""
        raise NotImplementedError

    def again(self) -> Run:
        """Another execution on the same store, for what was lost."""
        raise NotImplementedError

    def _look_up(self, key: str) -> Performed | None:
        if key in self.known:
            return Performed("failed", error=self.known[key])
        return look_up_in(self.store, self.lease)(key)

    def keeps(self, cell: Cell) -> bool:
        """Whether the value of a node that was just computed stays in memory."""
        return self.store is None or cell.is_target

    def settle(self, cell: Cell, done: Performed) -> None:
        """Note how a node ended, and tell of it."""
        cell.state, cell.seconds, cell.error, cell.folder = done.state, done.seconds, done.error, done.folder
        if done.state == "computed" and self.keeps(cell):
            cell.value, cell.has_value = done.value, True
        self.tell(cell, done.state)
        if self.strict and done.error is not None:
            raise done.error

    def tell(self, cell: Cell, state: State) -> None:
        """Tell the listener of a change."""
        message = "" if cell.error is None else str(cell.error)
        seconds = cell.seconds if state == "computed" else 0.0
        self.listener(StepEvent(cell.node.scope, cell.node.step.name, state, seconds, message))

    def load(self, cell: Cell) -> Any:
        """Value of a node that ended well; it stays in memory."""
        if not cell.has_value:
            cell.value, cell.has_value = self.load_once(cell), True
        return cell.value

    def load_once(self, cell: Cell) -> Any:
        """Value of a node that ended well; what is lost by now is made again."""
        if cell.has_value:
            return cell.value
        if cell.folder is None:
            raise UnavailableError(f"the result of {cell.node.step.name} of {cell.node.scope} was not kept")
        try:
            return cell.node.step.load(cell.folder)
        except (OSError, DataError) as exc:
            return self._make_again(cell, f"cannot be loaded: {exc}")

    def _make_again(self, cell: Cell, reason: str) -> Any:
        assert self.store is not None
        assert cell.key is not None
        with self.store.lock(cell.key).hold():
            self.store.set_aside(cell.key, reason)
        return self.again().execute([cell.node]).value(cell.node)
