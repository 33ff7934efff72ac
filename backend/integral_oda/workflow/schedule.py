"""Which nodes of a graph are to be done and in which order: the plan that every executor follows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from integral_oda.errors import DataError, IntegralOdaError
from integral_oda.workflow.graph import Node, is_tolerant, walk
from integral_oda.workflow.perform import LookUp, Performed
from integral_oda.workflow.progress import State

__all__ = ["Cell", "Schedule", "key_or_error"]


@dataclass(eq=False)
class Cell:
    """State of one distinct node while a graph is carried out; nodes with the same key share one."""

    node: Node
    order: int
    inputs: list[Cell] = field(default_factory=list)
    users: list[Cell] = field(default_factory=list)
    waiting: int = 0
    is_target: bool = False
    key: str | None = None
    state: State = "queued"
    value: Any = None
    has_value: bool = False
    folder: Path | None = None
    seconds: float = 0.0
    error: IntegralOdaError | None = None
    inherited: bool = False

    @property
    def settled(self) -> bool:
        """Whether it has ended, well or not."""
        return self.state in ("computed", "restored", "failed")


class Schedule:
    """Which nodes of a graph are known already, which are to be done, and who waits for whom.

    Parameters
    ----------
    look_up : callable
        Tells how a key is known to end, or None; see `look_up_in`.
    settled : callable
        Told of every node that needs no work, because it is known or is bound to fail.

    Attributes
    ----------
    cells : dict of Node to Cell
        Every node that was looked at. What a known result was made from is not.
    to_do : list of Cell
        What is to be done, inputs first, a science window after the other.
    """

    def __init__(self, look_up: LookUp, settled: Callable[[Cell, Performed], None]) -> None:
        self._look_up, self._settled = look_up, settled
        self.cells: dict[Node, Cell] = {}
        self.to_do: list[Cell] = []
        self._by_key: dict[str, Cell] = {}
        self._keys: dict[Node, str | IntegralOdaError] = {}

    def identity(self, node: Node) -> str | Node:
        """What equal nodes share: the key, or the node itself where it has none because a raw file cannot be read."""
        key = self._keys[node]
        return key if isinstance(key, str) else node

    def add(self, targets: Iterable[Node]) -> None:
        """Plan what is needed for some targets."""
        targets = list(targets)
        self._keys.update((node, key_or_error(node)) for node in walk(targets))
        for target in targets:
            self._need(target).is_target = True

    def _need(self, target: Node) -> Cell:
        # Depth first without recursion: inputs come before what needs them, and a window's chain is not interrupted.
        pending = [(target, self._enter(target))]
        while pending:
            node, rest = pending[-1]
            child = next(rest, None)
            if child is None:
                pending.pop()
                self._connect(self.cells[node], node)
            elif child not in self.cells:
                pending.append((child, self._enter(child)))
        return self.cells[target]

    def _enter(self, node: Node) -> Iterator[Node]:
        key = self._keys[node]
        twin = self._by_key.get(key) if isinstance(key, str) else None
        if twin is not None:
            self.cells[node] = twin
            return iter(())
        cell = self.cells[node] = Cell(node, order=0)
        if isinstance(key, str):
            self._by_key[key] = cell
            return self._begin(cell, key)
        broken = [item for item in node.inputs if not isinstance(self._keys[item], str)]
        if not broken:
            self._settled(cell, Performed("failed", error=key))
        # What is bound to fail does not need its other inputs, unless it gathers what is left.
        return iter(node.inputs if is_tolerant(node.step) else broken)

    def _begin(self, cell: Cell, key: str) -> Iterator[Node]:
        known = self._look_up(key)
        if known is None:
            return iter(cell.node.inputs)
        cell.key = key if known.error is None else None
        self._settled(cell, known)
        return iter(())

    def _connect(self, cell: Cell, node: Node) -> None:
        if cell.settled or cell.node is not node:
            return
        cell.order = len(self.to_do)
        self.to_do.append(cell)
        cell.inputs = [self.cells[item] for item in node.inputs if item in self.cells]
        for item in dict.fromkeys(cell.inputs):
            item.users.append(cell)
            cell.waiting += not item.settled


def key_or_error(node: Node) -> str | IntegralOdaError:
    """Key of a node, or why it has none: a raw file cannot be read."""
    try:
        return node.key
    except DataError as exc:
        return exc
