"""What a query would do: its graph as text and as a Mermaid drawing, with what is in the store already."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from integral_oda.workflow.graph import Node, raw_files, walk
from integral_oda.workflow.perform import Performed, inherited_failure
from integral_oda.workflow.schedule import Cell, Schedule
from integral_oda.workflow.store import Store

__all__ = ["Plan", "PlannedNode", "plan"]

Prospect = Literal["stored", "to run", "not needed", "will fail"]

_SIGNS: dict[Prospect, str] = {"stored": "=", "to run": "+", "not needed": ".", "will fail": "!"}
_COLOURS: dict[Prospect, str] = {
    "stored": "fill:#cfe8cf,stroke:#2e7d32,color:#000",
    "to run": "fill:#cfe2f3,stroke:#1565c0,color:#000",
    "not needed": "fill:#eeeeee,stroke:#9e9e9e,color:#555",
    "will fail": "fill:#f8d0d0,stroke:#c62828,color:#000",
}
_MOST_LINES = 40
_MOST_BOXES = 40


@dataclass(frozen=True)
class PlannedNode:
    """One node and what would happen to it.

    Attributes
    ----------
    scope, step : str
        Science window, or ``"all"``, and OSA's name of the step.
    prospect : {"stored", "to run", "not needed", "will fail"}
        ``"not needed"``: something made from it is in the store.
    inputs : tuple of int
        Places of its inputs in `Plan.nodes`.
    reason : str
        Why it will fail, else empty.
    """

    scope: str
    step: str
    prospect: Prospect
    inputs: tuple[int, ...]
    reason: str = ""


@dataclass(frozen=True)
class Plan:
    """The graph of a query before it runs; as text by ``str()``, drawn where a notebook shows it.

    Attributes
    ----------
    nodes : tuple of PlannedNode
        Inputs come before what is made from them.
    """

    nodes: tuple[PlannedNode, ...]

    def counts(self) -> dict[Prospect, int]:
        """Number of nodes by what would happen to them."""
        found = Counter(node.prospect for node in self.nodes)
        return {prospect: found[prospect] for prospect in _SIGNS}

    def __str__(self) -> str:
        return self.text()

    def text(self) -> str:
        """One line a science window, one column a step, and the sums."""
        steps = list(dict.fromkeys(node.step for node in self.nodes))
        scopes = list(dict.fromkeys(node.scope for node in self.nodes))
        signs = {(node.scope, node.step): _SIGNS[node.prospect] for node in self.nodes}
        first = max(len(scope) for scope in ["science window", *scopes])
        lines = ["  ".join(["science window".ljust(first), *steps])]
        shown = _shortened(scopes)
        for scope in shown:
            marks = (signs.get((scope, step), " ").center(len(step)) for step in steps)
            lines.append("  ".join([scope.ljust(first), *marks]).rstrip())
        if len(shown) < len(scopes):
            lines.insert(-1, f"... and {len(scopes) - len(shown)} more")
        counts = self.counts()
        lines.append(", ".join(f"{_SIGNS[item]} {number} {item}" for item, number in counts.items() if number))
        lines += [f"{node.scope} {node.step}: {node.reason}" for node in self.nodes if node.reason]
        return "\n".join(lines)

    def mermaid(self) -> str:
        """A Mermaid flow chart; a large graph is drawn with one box a step and its numbers."""
        large = len(self.nodes) > _MOST_BOXES
        boxes, arrows = self._steps_as_boxes() if large else self._nodes_as_boxes()
        lines = ["flowchart LR", *boxes, *arrows]
        lines += [f"    classDef {_class(prospect)} {style}" for prospect, style in _COLOURS.items()]
        return "\n".join(lines)

    def _nodes_as_boxes(self) -> tuple[list[str], list[str]]:
        boxes = [
            f'    n{number}["{node.step}<br/>{node.scope}"]:::{_class(node.prospect)}'
            for number, node in enumerate(self.nodes)
        ]
        arrows = [f"    n{item} --> n{number}" for number, node in enumerate(self.nodes) for item in node.inputs]
        return boxes, arrows

    def _steps_as_boxes(self) -> tuple[list[str], list[str]]:
        steps = list(dict.fromkeys(node.step for node in self.nodes))
        boxes = []
        for number, step in enumerate(steps):
            found = Counter(node.prospect for node in self.nodes if node.step == step)
            label = "<br/>".join([step, *(f"{found[item]} {item}" for item in _SIGNS if found[item])])
            boxes.append(f'    n{number}["{label}"]:::{_class(_gravest(found))}')
        pairs = dict.fromkeys(
            (steps.index(self.nodes[item].step), steps.index(node.step)) for node in self.nodes for item in node.inputs
        )
        return boxes, [f"    n{start} --> n{end}" for start, end in pairs]

    def _repr_markdown_(self) -> str:
        return f"```mermaid\n{self.mermaid()}\n```"


def _shortened(scopes: list[str]) -> list[str]:
    return scopes if len(scopes) <= _MOST_LINES else [*scopes[: _MOST_LINES - 1], scopes[-1]]


def _class(prospect: Prospect) -> str:
    return prospect.replace(" ", "_")


def _gravest(found: Counter[Prospect]) -> Prospect:
    order: list[Prospect] = ["will fail", "to run", "stored", "not needed"]
    return next(prospect for prospect in order if found[prospect])


def plan(targets: Sequence[Node], store: Store | None = None) -> Plan:
    """Say what carrying out a graph would do, without doing it.

    Parameters
    ----------
    targets : sequence of Node
        What is wanted.
    store : Store, optional
        Where results are looked for; looking does not count as a use.
    """
    if store is not None:
        store.fingerprints.prime(raw_files(targets))
    schedule = Schedule(lambda key: _peek(store, key), _settle)
    schedule.add(targets)
    return Plan(tuple(_planned(schedule, list(walk(targets)))))


def _peek(store: Store | None, key: str) -> Performed | None:
    if store is None:
        return None
    if store.peek(key):
        return Performed("restored")
    known = store.known_failure(key)
    return None if known is None else Performed("failed", error=known)


def _settle(cell: Cell, known: Performed) -> None:
    cell.state, cell.error = known.state, known.error


def _planned(schedule: Schedule, nodes: list[Node]) -> Iterator[PlannedNode]:
    for waiting in schedule.to_do:
        waiting.error = inherited_failure(waiting.node, [item.error for item in waiting.inputs])
        waiting.inherited = waiting.error is not None
    cells = {schedule.identity(node): cell for node, cell in schedule.cells.items()}
    places: dict[Node, int] = {}
    by_identity: dict[str | Node, int] = {}
    for node in nodes:
        identity = schedule.identity(node)
        places[node] = by_identity.get(identity, len(by_identity))
        if identity in by_identity:
            continue
        by_identity[identity] = places[node]
        cell = cells.get(identity)
        inputs = tuple(dict.fromkeys(places[item] for item in node.inputs))
        yield PlannedNode(node.scope, node.step.name, _prospect(cell), inputs, _reason(cell))


def _reason(cell: Cell | None) -> str:
    return "" if cell is None or cell.error is None or cell.inherited else str(cell.error)


def _prospect(cell: Cell | None) -> Prospect:
    if cell is None:
        return "not needed"
    if cell.error is not None:
        return "will fail"
    return "stored" if cell.state == "restored" else "to run"
