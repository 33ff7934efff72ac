"""Results of the science windows done so far, while the rest still runs, here or in another process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from integral_oda.errors import DataError
from integral_oda.workflow.graph import Node, is_tolerant, walk
from integral_oda.workflow.store import Store

__all__ = ["so_far", "value_so_far"]


def so_far(target: Node, store: Store) -> Node | None:
    """Narrow a target to what is in the store by now.

    Carrying out the node that is given costs only the gathering, and its key is that of what it is made from: a partial
    result never takes the place of the whole one.

    Parameters
    ----------
    target : Node
        A gathering (tolerant) node, or one that is made from such.
    store : Store
        Where an execution of the target leaves its nodes.

    Returns
    -------
    Node or None
        The target itself once all its inputs are there, None as long as nothing is.
    """
    gathers: set[Node] = set()
    for node in walk([target]):
        if is_tolerant(node.step) or not gathers.isdisjoint(node.inputs):
            gathers.add(node)
    return _narrow(target, store, gathers, {})


def _narrow(node: Node, store: Store, gathers: set[Node], known: dict[Node, Node | None]) -> Node | None:
    if node not in known:
        known[node] = node if _is_stored(node, store) else _made_of_the_rest(node, store, gathers, known)
    return known[node]


def _made_of_the_rest(node: Node, store: Store, gathers: set[Node], known: dict[Node, Node | None]) -> Node | None:
    if node not in gathers:
        return None
    narrowed = [_narrow(item, store, gathers, known) for item in node.inputs]
    inputs = tuple(item for item in narrowed if item is not None)
    if not inputs or (len(inputs) < len(narrowed) and not is_tolerant(node.step)):
        return None
    return node if inputs == node.inputs else replace(node, inputs=inputs)


def _is_stored(node: Node, store: Store) -> bool:
    try:
        return store.peek(node.key)
    except DataError:
        return False


def value_so_far(target: Node, store: Store) -> tuple[Any, tuple[str, ...]] | None:
    """Work out a gathering node on what is in the store by now, and keep nothing of it.

    Parameters
    ----------
    target, store
        As for `so_far`.

    Returns
    -------
    tuple or None
        The value, and the scopes that went into it, in order; None as long as nothing is there.
    """
    partial = so_far(target, store)
    if partial is None:
        return None
    gathered = [node for node in walk([partial]) if is_tolerant(node.step)]
    scopes = [item.scope for node in gathered for item in node.inputs if not is_tolerant(item.step)]
    return _value(partial, store), tuple(dict.fromkeys(scopes))


def _value(node: Node, store: Store) -> Any:
    lease = store.lease()
    folder = store.find(node.key, lease)
    if folder is not None:
        return node.step.load(folder)
    inputs: Sequence[Any] = _Loaded(node, store)
    return node.step.compute(inputs, node.parameters, node.raw)


class _Loaded(Sequence[Any]):
    """Inputs of a node, each loaded or worked out when it is asked for."""

    def __init__(self, node: Node, store: Store) -> None:
        self._node, self._store = node, store

    def __len__(self) -> int:
        return len(self._node.inputs)

    def __getitem__(self, number: Any) -> Any:
        if isinstance(number, slice):
            return [self[place] for place in range(*number.indices(len(self)))]
        item = self._node.inputs[number]
        value = _value(item, self._store)
        return (item.scope, value) if is_tolerant(self._node.step) else value
