"""The queries that a user has made, the newest first, with their results at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import ipywidgets as widgets

from integral_oda.workflow.jobs import JobState

__all__ = ["History", "job_line"]

MOST_SHOWN = 200
_KINDS = {"image": "sky image", "lightcurve": "light curve", "spectrum": "spectrum"}


class History:
    """List of jobs with what can be done with one.

    Parameters
    ----------
    jobs : callable
        Gives the user's jobs, the newest first.
    show : callable
        Given the id of the job whose query and result are wanted on the page.
    """

    def __init__(self, jobs: Callable[[], Sequence[JobState]], show: Callable[[str], None]) -> None:
        self._jobs = jobs
        self.list = widgets.Select(options=[], rows=7, layout=widgets.Layout(width="auto"), description="Your queries")
        self.list.add_class("oda-history-list")
        self.list.add_class("oda-quiet")
        self.show_button = widgets.Button(
            description="Show", tooltip="bring back the query and its result", layout=widgets.Layout(width="auto")
        )
        self.refresh_button = widgets.Button(
            description="Refresh", tooltip="look for newer queries", layout=widgets.Layout(width="auto")
        )
        self.show_button.on_click(lambda _: show(self.list.value) if self.list.value else None)
        self.refresh_button.on_click(lambda _: self.refresh())
        self.widget = widgets.VBox([self.list, widgets.HBox([self.show_button, self.refresh_button])])
        self.widget.add_class("oda-history")
        self.refresh()

    def refresh(self) -> None:
        """Look what there is now; the choice stays."""
        chosen = self.list.value
        states = [state for state in self._jobs() if state.request.get("kind") in _KINDS][:MOST_SHOWN]
        self.list.options = [(job_line(state), state.id) for state in states]
        ids = [state.id for state in states]
        self.list.value = chosen if chosen in ids else ids[0] if ids else None
        self.show_button.disabled = not ids


def job_line(state: JobState) -> str:
    """A job in one line: when, what, of which source and windows, and what became of it."""
    when = datetime.fromtimestamp(state.submitted, UTC).strftime("%Y-%m-%d %H:%M:%S")
    query: Mapping[str, Any] = state.request.get("query", {})
    windows = query.get("scw_list") or ()
    where = f"{len(windows)} window{'s' if len(windows) != 1 else ''}" if windows else f"{query['T1']} to {query['T2']}"
    source = query.get("src_name") or (
        f"RA {query['RA']:g} Dec {query['DEC']:g}" if query.get("RA") is not None else ""
    )
    parts = [when, state.status, _KINDS[state.request["kind"]], source or "all sources", _bands(query), where]
    return "  ".join(part for part in parts if part)


def _bands(query: Mapping[str, Any]) -> str:
    if "bands" in query:
        return ", ".join(f"{e1:g}-{e2:g}" for e1, e2 in query["bands"]) + " keV"
    return f"{query['E1_keV']:g}-{query['E2_keV']:g} keV" if "E1_keV" in query else ""
