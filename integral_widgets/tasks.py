"""What the page asks of a job beside its queries: to get a science window into the archive."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from integral_oda.workflow.progress import Listener, StepEvent

__all__ = ["FETCH", "SIMULATE", "fetch", "simulate"]

FETCH, SIMULATE = "integral_widgets.tasks:fetch", "integral_widgets.tasks:simulate"


def simulate(request: Mapping[str, Any], _folder: Path, listener: Listener, _cancel: threading.Event) -> str:
    """Simulate one science window into an archive; gives its identifier."""
    from integral_oda.simulation.window import simulate_demo_window

    listener(StepEvent("all", "SIMULATE", "running"))
    scw = simulate_demo_window(Path(request["archive"]))
    listener(StepEvent("all", "SIMULATE", "computed"))
    return str(scw)


def fetch(request: Mapping[str, Any], _folder: Path, listener: Listener, _cancel: threading.Event) -> str:
    """Fetch the real sample window into an archive, from a package index; gives its identifier."""
    from integral_oda.archive.sample import fetch_sample

    def report(text: str) -> None:
        listener(StepEvent("all", "FETCH", "running", message=text))

    report("")
    folder = fetch_sample(Path(request["archive"]), report)
    listener(StepEvent("all", "FETCH", "computed"))
    return folder.name
