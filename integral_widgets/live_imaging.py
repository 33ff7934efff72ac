"""A process that images one science window in whatever band is asked for, beside the kernel and not in it."""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from integral_oda.errors import IntegralOdaError
from integral_oda.folders import is_lean
from integral_oda.query import ImageQuery

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

__all__ = ["SLIDER_KEV", "LiveImaging", "WindowToImage", "live_imaging_of"]

_ENERGIES_KEV = (*range(15, 60), *range(60, 120, 2), *range(120, 200, 5), *range(200, 420, 20), 500, 600, 800, 1000)
SLIDER_KEV = tuple(map(float, _ENERGIES_KEV))
"""Ends of bands that are prepared while nothing is asked."""
_IDLE_S = 0.02
UNUSED_S = 900.0
"""A process that nobody asks for so long ends; the next question starts another."""


@dataclass(frozen=True)
class WindowToImage:
    """Which window, and what is known of it.

    Attributes
    ----------
    query : ImageQuery
        Of one science window and the native engine.
    archive, store : Path
    band : (float, float)
        Band of the image that is on the page, keV.
    sources : tuple
        Name, RA, Dec (degrees, FK5) of the sources found.
    """

    query: ImageQuery
    archive: Path
    store: Path
    band: tuple[float, float]
    sources: tuple[tuple[str, float, float], ...] = ()


@dataclass
class _Question:
    """Method of `LiveWindow`, its arguments, and who gets the answer and the seconds that it took."""

    method: str
    arguments: tuple[float, ...]
    answer: Callable[[Any, float], None]
    refuse: Callable[[str], None]
    asked: float = field(default_factory=time.perf_counter)


class LiveImaging:
    """Asks the process for images and fluxes; of several images asked for meanwhile only the last is made.

    Parameters
    ----------
    window : WindowToImage

    Notes
    -----
    The process starts with the first question, or with `start`; answers come in a thread of their own.
    """

    def __init__(self, window: WindowToImage) -> None:
        self.window = window
        self._waiting: dict[str, _Question] = {}
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._process: Any = None
        self._closed = False

    def start(self) -> None:
        """Start the process, so that the first question need not wait for it."""
        if self._thread is None and not self._closed:
            self._thread = threading.Thread(target=self._run, daemon=True, name="oda-live-imaging")
            self._thread.start()

    def ask_image(
        self, e1_kev: float, e2_kev: float, answer: Callable[[Any, float], None], refuse: Callable[[str], None]
    ) -> None:
        """Ask for the image of a band; ``answer`` gets the SkyImage and the seconds since the question."""
        self._ask(_Question("image", (e1_kev, e2_kev), answer, refuse))

    def ask_flux(
        self,
        position: tuple[float, float],
        band: tuple[float, float],
        answer: Callable[[Any, float], None],
        refuse: Callable[[str], None],
    ) -> None:
        """Ask for the forced flux at a position (RA, Dec, degrees, FK5); ``answer`` gets a SourceBand."""
        self._ask(_Question("flux_at", (*position, *band), answer, refuse))

    def close(self) -> None:
        """End the process; what was asked is not answered any more."""
        with self._changed:
            self._closed = True
            self._waiting.clear()
            self._changed.notify_all()
        if self._process is not None:
            self._process.terminate()
            self._process.join(5)

    def _ask(self, question: _Question) -> None:
        self.start()
        with self._changed:
            self._waiting[question.method] = question
            self._changed.notify_all()

    def _run(self) -> None:
        ours = self._begin()
        while (question := self._next()) is not None:
            if not self._process.is_alive():
                ours = self._begin()
            try:
                ours.send((question.method, question.arguments))
                kind, result = ours.recv()
            except (EOFError, OSError):
                if self._closed:
                    return
                question.refuse("the process that makes images of other bands has ended; the next one starts it anew")
                continue
            if kind == "refused":
                question.refuse(result)
            else:
                question.answer(result, time.perf_counter() - question.asked)

    def _begin(self) -> Connection:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        self._process = context.Process(target=serve, args=(theirs, self.window), daemon=True, name="oda-live-imaging")
        self._process.start()
        theirs.close()
        return ours

    def _next(self) -> _Question | None:
        with self._changed:
            while not (self._waiting or self._closed):
                self._changed.wait()
            if self._closed:
                return None
            first = min(self._waiting, key=lambda method: self._waiting[method].asked)
            return self._waiting.pop(first)


def live_imaging_of(products: Any, archive: Path, store: Path) -> LiveImaging | None:
    """What makes other bands of an image product; None where it is not of one window by the native engine.

    Parameters
    ----------
    products : ImageProducts or alike
        With ``images``, ``sources`` and ``summary``.
    archive, store : Path
    """
    query = ImageQuery(**products.summary["query"])
    if query.engine != "native" or len(products.summary["science_windows"]["used"]) != 1:
        return None
    found = tuple((s.name, s.ra_deg, s.dec_deg) for s in products.sources if not s.forced)
    return LiveImaging(WindowToImage(query, archive, store, tuple(products.images[0].band), found))


def serve(connection: Connection, window: WindowToImage) -> None:
    """What the process does: open the window, then answer; while nothing is asked, prepare other bands."""
    from integral_oda.live_imaging import live_window

    try:
        live = live_window(window.query, window.archive, window.store, window.sources)
    except IntegralOdaError as exc:
        _answer_all(connection, str(exc))
        return
    live.image(*window.band)
    ahead = [] if is_lean() else list(SLIDER_KEV[1:])
    while True:
        while ahead and not connection.poll(_IDLE_S):
            live.prepare(ahead.pop(0))
        if not connection.poll(UNUSED_S):
            return
        try:
            method, arguments = connection.recv()
        except EOFError:
            return
        try:
            connection.send(("done", getattr(live, method)(*arguments)))
        except IntegralOdaError as exc:
            connection.send(("refused", str(exc)))


def _answer_all(connection: Connection, sentence: str) -> None:
    while True:
        try:
            connection.recv()
        except EOFError:
            return
        connection.send(("refused", sentence))
