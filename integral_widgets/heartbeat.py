"""Tell on the page that the kernel behind it is gone; Voila itself says nothing."""

from __future__ import annotations

import os
import threading
from typing import Any

import ipywidgets as widgets

__all__ = ["HEARTBEAT_S", "Heartbeat"]

HEARTBEAT_S = "INTEGRAL_ODA_HEARTBEAT_S"
"""Environment variable: seconds between two beats, 10 unless it is set."""

_BEATS_MISSED = 7.5
_START_EVERY_S, _START_TRIES = 2.0, 60


class Heartbeat:
    """The browser asks every few seconds; an answer that does not come uncovers a banner.

    The browser beats, not the kernel: so a kernel whose page is gone falls idle and is culled. Browsers
    slow the timers of hidden pages down to one a minute, which the default of 75 s to the banner allows for.

    Parameters
    ----------
    interval_s : float, optional
        Seconds between two beats.
    """

    def __init__(self, interval_s: float | None = None) -> None:
        self.interval_s = interval_s or float(os.environ.get(HEARTBEAT_S, "10"))
        self.play = widgets.Play(
            min=0,
            max=2**30,
            interval=round(1000 * self.interval_s),
            playing=True,
            layout=widgets.Layout(display="none"),
        )
        self.banner = widgets.HTML(self._markup(0))
        self.play.observe(self._answer, names="value")
        self.widget = widgets.VBox([self.play, self.banner])
        self._beating = threading.Event()
        threading.Thread(target=self._start, daemon=True, name="oda-heartbeat").start()

    def wait_for_page(self, timeout_s: float) -> bool:
        """Wait until a page has shown that it is there; says whether one has.

        Widgets that are made while a page still loads those that are there can leave it loading for ever.
        """
        return self._beating.wait(timeout_s)

    def page_is_there(self) -> None:
        """What a first beat says."""
        self._beating.set()

    def _start(self) -> None:
        """Switch the beat on until the first one arrives: a page that is not there yet would not notice."""
        for _ in range(_START_TRIES):
            if self._beating.wait(_START_EVERY_S):
                return
            self.play.playing = False
            self.play.playing = True

    def _answer(self, change: dict[str, Any]) -> None:
        self.page_is_there()
        self.banner.value = self._markup(change["new"])

    def _markup(self, beat: int) -> str:
        """A banner that CSS shows late; each answer replaces it and with it the time it has waited."""
        delay = _BEATS_MISSED * self.interval_s
        return (
            "<style>@keyframes oda-lost { to { visibility: visible; height: auto; } }</style>"
            f"<div class='oda-lost' data-beat='{beat}' role='alert' style='visibility: hidden; height: 0; "
            f"animation: {'oda-lost' if beat else 'none'} 0s {delay:g}s forwards'>"
            "The session behind this page has ended. <a class='oda-download' href=''>Reload the page</a> "
            "to begin anew; what was computed is still in the store.</div>"
        )
