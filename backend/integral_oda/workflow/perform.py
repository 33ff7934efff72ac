"""One node carried out: taken from the store, or computed and kept there."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from integral_oda.errors import IntegralOdaError, NothingLeftError, OutputError, UnavailableError
from integral_oda.workflow.graph import Input, Node, Task, is_tolerant
from integral_oda.workflow.locks import Lease
from integral_oda.workflow.store import Signer, Store

__all__ = ["Ending", "LookUp", "Performed", "inherited_failure", "look_up_in", "perform", "task_on_survivors"]

Ending = Literal["computed", "restored", "failed"]

_RETRY_WAIT_S = 0.5


@dataclass
class Performed:
    """How a node ended.

    Attributes
    ----------
    state : {"computed", "restored", "failed"}
        Whether it was computed, found in the store, or neither.
    value : object
        Its result where it was computed.
    folder : Path or None
        Where the store keeps the result.
    seconds : float
        What it cost to compute.
    error : IntegralOdaError or None
        Why it failed.
    """

    state: Ending
    value: Any = None
    folder: Path | None = None
    seconds: float = 0.0
    error: IntegralOdaError | None = None


LookUp = Callable[[str], Performed | None]


def inherited_failure(node: Node, errors: Sequence[IntegralOdaError | None]) -> IntegralOdaError | None:
    """Give the error with which a node fails because of its inputs, if it does.

    Parameters
    ----------
    node : Node
        The node.
    errors : sequence of IntegralOdaError or None
        Why each of its inputs failed, or None.
    """
    failed = [error for error in errors if error is not None]
    if not failed:
        return None
    if not is_tolerant(node.step):
        return failed[0]
    if len(failed) < len(errors):
        return None
    left_out = f"each of its {len(errors)} inputs failed ({failed[0]})"
    return NothingLeftError(f"nothing is left for {node.step.name}: {left_out}")


def task_on_survivors(node: Node, keys: Sequence[str | None]) -> Task:
    """Cut a node loose on those of its inputs that have a key, that is, have not failed."""
    pairs = zip(node.inputs, keys, strict=True)
    return node.task_on(Input(item.scope, key) for item, key in pairs if key is not None)


def look_up_in(store: Store | None, lease: Lease | None) -> LookUp:
    """Look keys up in a store; what is found stays under a lease."""

    def look_up(key: str) -> Performed | None:
        if store is None:
            return None
        folder = store.find(key, lease)
        if folder is not None:
            return Performed("restored", folder=folder)
        known = store.known_failure(key)
        return None if known is None else Performed("failed", error=known)

    return look_up


def perform(
    task: Task,
    inputs: Callable[[], Sequence[Any]],
    store: Store | None,
    lease: Lease | None,
    announce: Callable[[], None],
    sign: Signer | None = None,
) -> Performed:
    """Carry a node out; with a store, the caller holds the lock of its key.

    Parameters
    ----------
    task : Task
        What is to be done.
    inputs : callable
        Gives the values of the inputs; called only if they are needed.
    store : Store or None
        Where the result is looked for and kept.
    lease : Lease or None
        Keeps the result from being pruned.
    announce : callable
        Called when the computation begins.
    sign : callable, optional
        Completes the files of the result before they are kept.

    Raises
    ------
    OutputError
        When the result cannot be written: that is no fault of this node, and the next one would meet it too.
    """
    known = look_up_in(store, lease)(task.key)
    if known is not None:
        return known
    announce()
    begin = time.perf_counter()
    try:
        value = _compute(task, inputs())
        seconds = time.perf_counter() - begin
        folder = store.save(task, value, seconds, lease, sign) if store is not None else None
    except OutputError:
        raise
    except IntegralOdaError as exc:
        if store is not None:
            store.remember_failure(task, exc)
        return Performed("failed", seconds=time.perf_counter() - begin, error=exc)
    return Performed("computed", value, folder, seconds)


def _compute(task: Task, inputs: Sequence[Any]) -> Any:
    """Compute, and try again as often as the step's ``retries`` says when something outside is not there."""
    for attempt in range(getattr(task.step, "retries", 0)):
        try:
            return task.step.compute(inputs, task.parameters, task.raw)
        except UnavailableError:
            time.sleep(_RETRY_WAIT_S * 2**attempt)
    return task.step.compute(inputs, task.parameters, task.raw)
