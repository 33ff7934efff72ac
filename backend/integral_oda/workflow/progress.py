"""Progress of a query as a stream of events that any front end can listen to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

__all__ = ["Listener", "State", "StepEvent", "silent"]

State = Literal["queued", "running", "computed", "restored", "failed"]


@dataclass(frozen=True)
class StepEvent:
    """One step of one science window has changed its state.

    Attributes
    ----------
    scope : str
        Science-window identifier, or ``"all"`` for a gathering step.
    step : str
        OSA's name of the step (``"COR"``, ``"BIN_I"``, ``"IMA"``, ...).
    state : {"queued", "running", "computed", "restored", "failed"}
        The state it is in now.
    seconds : float
        Time the step took, 0 unless it is computed.
    message : str
        Why it failed, else empty.
    """

    scope: str
    step: str
    state: State
    seconds: float = 0.0
    message: str = ""


Listener = Callable[[StepEvent], None]


def silent(event: StepEvent) -> None:
    """Listen to nothing."""
