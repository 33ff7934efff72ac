"""Progress of a query as a matrix of science windows and steps."""

from __future__ import annotations

import html
import time
from collections import deque
from collections.abc import Callable

import ipywidgets as widgets

from integral_oda.workflow.progress import State, StepEvent

__all__ = ["ProgressMatrix"]

_SIGNS: dict[State, str] = {"queued": "·", "running": "▶", "computed": "✓", "restored": "↺", "failed": "✗"}
_ENDED: tuple[State, ...] = ("computed", "restored", "failed")
_MOST_ROWS = 40
_LOG_CHARACTERS, _LOG_LINES = 4000, 60
_GATHERING = "all"
_MEANINGS = {
    "COR": "events corrected and selected",
    "GTI": "good time intervals",
    "DEAD": "dead time",
    "EFFI": "efficiency of the pixels",
    "REF_I": "structure of the detector plane",
    "BIN_I": "detector image of the band",
    "BKG_I": "background of the detector image",
    "CAT_I": "catalogue sources of the field",
    "IMA": "sky image and sources",
    "LCR": "light curve",
    "BIN_S": "detector images of all channels",
    "BIN_T": "events of the band in time bins",
    "BKG_S": "background of the channels",
    "BKG_T": "background in time",
    "SPE": "spectra of the field's sources",
    "RSP": "responses",
    "MOSAIC": "images joined",
    "SUM": "spectra added",
    "PACK": "files written",
    "SIMULATE": "events drawn",
    "FETCH": "file fetched and checked",
}


class ProgressMatrix:
    """What each step of each science window is doing.

    Parameters
    ----------
    clock : callable
        Seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._started: float | None = None
        self._ended: float | None = None
        self.label = self.note = ""
        self.steps: list[str] = []
        self.cells: dict[tuple[str, str], StepEvent] = {}
        self._lines: deque[str] = deque(maxlen=_LOG_LINES)
        self._stale = False
        self.bar = widgets.IntProgress(layout=widgets.Layout(width="220px", visibility="hidden"))
        self.line = widgets.HTML()
        self.table = widgets.HTML()
        self.log = widgets.HTML()
        self.widget = widgets.VBox([widgets.HBox([self.bar, self.line]), self.table, self.log])
        self.widget.add_class("oda-progress")

    def start(self, label: str, elapsed_s: float = 0.0) -> None:
        """Forget the last query and start the clock, of a query that has run for some time already."""
        self.label, self.note, self.steps, self.cells = label, "", [], {}
        self._started, self._ended = self._clock() - elapsed_s, None
        self.bar.layout.visibility = "visible"
        self.log.value = ""
        self._lines.clear()
        self._stale = True
        self.render()

    def listen(self, event: StepEvent) -> None:
        """Take note of an event; it is drawn with the next `render`."""
        if event.step not in self.steps:
            self.steps.append(event.step)
        self.cells[event.scope, event.step] = event
        if event.state != "queued":
            seconds = f" {event.seconds:.2f} s" if event.seconds else ""
            self._lines.append(f"{event.scope} {event.step} {event.state}{seconds} {event.message}".rstrip())
        self.note = event.message if event.state == "running" else ""
        self._stale = True

    def stop(self, label: str) -> None:
        """Stop the clock."""
        self.label, self.note, self._ended = label, "", self._clock()
        self._stale = True
        self.render()

    def count(self, state: State) -> int:
        """How many cells are in a state."""
        return len([event for event in list(self.cells.values()) if event.state == state])

    @property
    def elapsed_s(self) -> float:
        """Seconds since the start, or that the query took."""
        if self._started is None:
            return 0.0
        return (self._ended if self._ended is not None else self._clock()) - self._started

    @property
    def remaining_s(self) -> float | None:
        """Seconds that the steps still to come may take, going by the same steps of other windows.

        None until a step is computed, and when nothing is left.
        """
        cells = list(self.cells.values())
        known: dict[str, list[float]] = {}
        for event in cells:
            if event.state == "computed":
                known.setdefault(event.step, []).append(event.seconds)
        everything = [seconds for values in known.values() for seconds in values]
        left = [event for event in cells if event.state not in _ENDED]
        if not (everything and left) or self._ended is not None:
            return None
        usual = sum(everything) / len(everything)
        return sum(sum(known[e.step]) / len(known[e.step]) if e.step in known else usual for e in left)

    def show_log(self, text: str) -> None:
        """Show the last steps, the newest first, and the end of what the jobs wrote themselves; folded away."""
        written = text[-_LOG_CHARACTERS:].strip()
        shown = "\n".join([*([written, ""] if written else []), *reversed(self._lines)])
        pre = f"<pre>{html.escape(shown)}</pre>"
        self.log.value = f"<details class='oda-log'><summary>Log</summary>{pre}</details>" if shown else ""

    def render(self) -> None:
        """Draw. Called a few times a second while something runs; each property is one message."""
        if self._started is None:
            return
        ended = sum(self.count(state) for state in _ENDED)
        remaining = self.remaining_s
        rest = "" if remaining is None else f", about {max(1.0, remaining):.0f} s to go"
        text = html.escape(f"{self.label} {self.elapsed_s:.1f} s{rest} {self.note}".strip())
        self.line.value = f"<span class='oda-elapsed'>{text}</span>"
        if not self._stale:
            return
        self._stale = False
        self.bar.max, self.bar.value = max(1, len(self.cells)), ended
        self.table.value = self._markup()

    def _markup(self) -> str:
        if not self.cells:
            return ""
        scopes = self._scopes()
        steps = self._columns()
        hidden = len(scopes) - _MOST_ROWS
        head = "".join(f'<th title="{_MEANINGS.get(step, "")}">{html.escape(step)}</th>' for step in steps)
        body = "".join(
            f"<tr><th>{html.escape(scope)}</th>{''.join(self._cell(scope, step) for step in steps)}</tr>"
            for scope in scopes[-_MOST_ROWS:]
        )
        more = f"<caption>{hidden} science windows above are not shown</caption>" if hidden > 0 else ""
        return f"<table class='oda-matrix'>{more}<tr><th></th>{head}</tr>{body}</table>{self._failures()}"

    def _scopes(self) -> list[str]:
        """Science windows as they came, gathering last."""
        return sorted(dict.fromkeys(scope for scope, _ in self.cells), key=lambda scope: scope == _GATHERING)

    def _columns(self) -> list[str]:
        """Steps as they came, those of the gathering after those of science windows."""
        of_windows = {step for scope, step in self.cells if scope != _GATHERING}
        return sorted(self.steps, key=lambda step: step not in of_windows)

    def _cell(self, scope: str, step: str) -> str:
        event = self.cells.get((scope, step))
        if event is None:
            return "<td></td>"
        seconds = f" in {event.seconds:.2f} s" if event.seconds else ""
        title = html.escape(f"{step} {event.state}{seconds} {event.message}".strip())
        return f'<td class="oda-{event.state}" title="{title}">{_SIGNS[event.state]}</td>'

    def _failures(self) -> str:
        failed = {(e.scope, e.message) for e in self.cells.values() if e.state == "failed" and e.message}
        lines = "".join(f"<li>{html.escape(scope)}: {html.escape(why)}</li>" for scope, why in sorted(failed)[:10])
        return f"<ul class='oda-error'>{lines}</ul>" if lines else ""
