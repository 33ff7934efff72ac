"""The graph of an analysis: named steps, what each is made from, and the key that follows from it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol
from zlib import crc32

from integral_oda.workflow.keys import digest, fingerprint

__all__ = ["Input", "Node", "Step", "Task", "gather_as_tree", "is_tolerant", "raw_files", "walk"]


class Step(Protocol):
    """One step of the analysis, such as COR or IMA, as one engine carries it out.

    A step whose attribute ``tolerant`` is true gathers: it is given ``(scope, value)`` pairs of the inputs that
    succeeded, each loaded when it is asked for, and fails only if none did. A step whose attribute ``retries`` is n is
    tried again n times when something outside is not there (`UnavailableError`). A step that is to run on a cluster
    must be picklable. A step that makes what users get may have ``sign(folder, made)``: it is called after `save` with
    all that the result was made from (`integral_oda.workflow.provenance.Made`, the result last), to write that into the
    files. `load` must give exactly what `save` was given: whether a value comes from memory or from the
    store must make no difference to what is made from it.

    Attributes
    ----------
    name : str
        OSA's name of the step.
    version : str
        To be changed whenever the step's results change.
    """

    @property
    def name(self) -> str:
        """OSA's name of the step."""

    @property
    def version(self) -> str:
        """Version of the step's results."""

    def compute(self, inputs: Sequence[Any], parameters: Mapping[str, Any], raw: Mapping[str, Path]) -> Any:
        """Make the result from the values of the inputs, the parameters and the raw files."""

    def save(self, value: Any, folder: Path) -> None:
        """Write a result as files into an empty folder."""

    def load(self, folder: Path) -> Any:
        """Read a result that `save` has written."""


def is_tolerant(step: Step) -> bool:
    """Whether a step goes on with the inputs that are left when some have failed."""
    return bool(getattr(step, "tolerant", False))


@dataclass(frozen=True)
class Input:
    """Reference to the result of another node: its scope and its key."""

    scope: str
    key: str


@dataclass(frozen=True, eq=False)
class Task:
    """A node cut loose from the graph: all that is needed to carry it out once its inputs are there.

    Attributes
    ----------
    step, scope, parameters, raw, engine, engine_version
        As in `Node`.
    inputs : tuple of Input
        Where each input's result is found.
    fingerprints : mapping
        Fingerprint of each raw file, by its name in ``raw``.
    """

    step: Step
    scope: str
    parameters: Mapping[str, Any]
    inputs: tuple[Input, ...]
    raw: Mapping[str, Path]
    fingerprints: Mapping[str, str]
    engine: str
    engine_version: str

    @cached_property
    def recipe(self) -> dict[str, Any]:
        """Everything that the result depends on, as plain JSON; the key is its digest.

        The scopes of the inputs belong to it only where the step is given them.
        """
        gathers = is_tolerant(self.step)
        return {
            "step": self.step.name,
            "step_version": self.step.version,
            "engine": self.engine,
            "engine_version": self.engine_version,
            "parameters": dict(self.parameters),
            "inputs": [[item.scope, item.key] if gathers else item.key for item in self.inputs],
            "raw": dict(self.fingerprints),
        }

    @cached_property
    def key(self) -> str:
        """64 hexadecimal digits: same key, same result."""
        return digest(self.recipe)


@dataclass(frozen=True, eq=False)
class Node:
    """One step of one science window, or of all of them together.

    Attributes
    ----------
    step : Step
        What is done.
    scope : str
        Science-window identifier, or ``"all"``. A label: it is not part of the key.
    parameters : mapping
        The parameters that matter to the step, JSON-able; part of the key.
    inputs : tuple of Node
        Nodes whose results the step takes, in this order.
    raw : mapping
        Raw files that the step reads, by a name of the step's choice. Name and content are part of the key, the path
        is not.
    engine, engine_version : str
        Who carries the step out; part of the key.
    """

    step: Step
    scope: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    inputs: tuple[Node, ...] = ()
    raw: Mapping[str, Path] = field(default_factory=dict)
    engine: str = "native"
    engine_version: str = ""

    def task_on(self, inputs: Iterable[Input]) -> Task:
        """Cut the node loose from the graph, on the inputs that are really there.

        Raises
        ------
        DataError
            When a raw file of this node cannot be read.
        """
        return Task(
            step=self.step,
            scope=self.scope,
            parameters=self.parameters,
            inputs=tuple(inputs),
            raw=self.raw,
            fingerprints={name: fingerprint(path) for name, path in self.raw.items()},
            engine=self.engine,
            engine_version=self.engine_version,
        )

    @cached_property
    def task(self) -> Task:
        """The node cut loose from the graph, on all its inputs.

        Raises
        ------
        DataError
            When a raw file of this node, or of one that it depends on, cannot be read.
        """
        return self.task_on(Input(node.scope, node.key) for node in self.inputs)

    @property
    def key(self) -> str:
        """Provenance key, see `Task.key`."""
        return self.task.key


def walk(targets: Iterable[Node]) -> Iterator[Node]:
    """Go through a graph, every node once and after all its inputs.

    A science window's chain is finished before the next one begins.
    """
    seen: set[Node] = set()
    for target in targets:
        pending = [(target, iter(target.inputs))] if target not in seen else []
        seen.add(target)
        while pending:
            node, rest = pending[-1]
            child = next((item for item in rest if item not in seen), None)
            if child is None:
                yield node
                pending.pop()
            else:
                seen.add(child)
                pending.append((child, iter(child.inputs)))


def raw_files(targets: Iterable[Node]) -> list[Path]:
    """Every raw file that a graph reads, each once."""
    return list(dict.fromkeys(path for node in walk(targets) for path in node.raw.values()))


def gather_as_tree(
    nodes: Sequence[Node],
    gather: Callable[[tuple[Node, ...]], Node],
    width: int = 16,
    finish: Callable[[tuple[Node, ...]], Node] | None = None,
) -> Node:
    """Reduce many nodes to one by a tree of gathering nodes, so that none takes more than ``width`` inputs.

    Neighbours are gathered together. Where a group ends follows from the scopes in it, so that a node more or less
    changes its own group and those above it, and the others are the same as before.

    Parameters
    ----------
    nodes : sequence of Node
        What is to be gathered, at least one.
    gather : callable
        Makes the node that gathers some nodes. Its step must take its own results as inputs too.
    width : int
        Largest number of inputs, at least 2.
    finish : callable, optional
        Makes the last node of those left over, at most ``width``; ``gather`` unless given.
    """
    if width < 2 or not nodes:
        raise ValueError(f"width = {width} for {len(nodes)} nodes: at least 2 and at least one node")
    level = [(node.scope, node) for node in nodes]
    while len(level) > width:
        groups = list(_groups(level, width))
        if len(groups) == len(level):
            groups = [level[start : start + width] for start in range(0, len(level), width)]
        level = [(group[0][0], _gathered(group, gather)) for group in groups]
    return (finish or gather)(tuple(node for _, node in level))


def _gathered(group: Sequence[tuple[str, Node]], gather: Callable[[tuple[Node, ...]], Node]) -> Node:
    return group[0][1] if len(group) == 1 else gather(tuple(node for _, node in group))


def _groups(level: Sequence[tuple[str, Node]], width: int) -> Iterator[Sequence[tuple[str, Node]]]:
    """Cut where the checksum of a scope says so, at one in half the width on the average, and at the width."""
    start = 0
    for place, (scope, _) in enumerate(level, start=1):
        if place - start == width or crc32(scope.encode()) % max(2, width // 2) == 0 or place == len(level):
            yield level[start:place]
            start = place
