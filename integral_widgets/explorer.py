"""The explorer: ask for a sky image and a light curve, see them, take them away.

Every button of the page is a method of `Explorer`, so that a notebook does the same without the page.
"""

from __future__ import annotations

import gzip
import html
import os
import re
import secrets
import tempfile
import threading
import time
import zlib
from pathlib import Path
from typing import Any

import ipywidgets as widgets

from integral_oda.errors import DataError
from integral_oda.folders import archive_root, store_root
from integral_oda.query import ImageQuery, LightCurveQuery, Query
from integral_widgets.callbacks import error_html, safe_callback
from integral_widgets.downloads import SERVED_ROOT
from integral_widgets.forms import QueryForm
from integral_widgets.heartbeat import Heartbeat
from integral_widgets.progress import ProgressMatrix
from integral_widgets.style import STYLE
from integral_widgets.worker import Done, Failed, Message, Step, TaskError, Worker

__all__ = ["Explorer"]

SAMPLE_SOURCES = {"255900280010": "SGR 1935+2154", "255990010010": "SGR 1935+2154"}
"""What to look at in the real sample and in the window simulated in its place."""

RENDER_INTERVAL_S = 0.2
_SIMULATED = re.compile(rb"SIMULATE=\s+T")
_HEADERS_BYTES = 64 * 2880
_ABOUT_THE_WINDOWS = ("DataError", "NothingLeftError")
_LABELS = {
    "MakeImage": "Sky image",
    "MakeLightCurve": "Light curve",
    "SimulateWindow": "Simulation of one science window",
    "FetchSample": "Fetching the sample",
}


class Explorer:
    """Query form, progress, sky image, light curve and downloads.

    Parameters
    ----------
    archive, store : Path, optional
        Roots of archive and store; the defaults of `integral_oda.folders` otherwise.
    out : Path, optional
        Where result files go; a folder of this explorer's own otherwise.
    query_string : str
        Query part of the page's address, such as ``"scw_list=255900280010.001&bands=20-40"``.

    Attributes
    ----------
    form : QueryForm
        What is asked: ``explorer.form.set(bands="20-40")``.
    image : ImageResult or None
        The last sky image, in full resolution.
    light_curve : LightCurveResult or None
        The last light curve.
    widget : ipywidgets.Widget
        The page.
    """

    def __init__(
        self,
        archive: Path | None = None,
        store: Path | None = None,
        out: Path | None = None,
        query_string: str = "",
    ) -> None:
        self.archive = Path(archive) if archive else archive_root()
        self.store = Path(store) if store else store_root()
        self.out = Path(out) if out else self._own_folder()
        self.image: Any = None
        self.light_curve: Any = None
        self.error: TaskError | None = None
        self.progress = ProgressMatrix()
        self.worker = Worker(self._on_message, self.out / "worker.log")
        self._running: dict[int, str] = {}
        self._runs = 0
        self._lock = threading.Lock()
        self._idle = threading.Event()
        self._idle.set()
        self.form = QueryForm((ImageQuery, LightCurveQuery), self.out / "uploads")
        self._build()
        self._offer_windows()
        refused = self.form.read_query_string(query_string)
        self.status.value = "".join(error_html(sentence) for sentence in refused)
        self.form.on_change = self._changed
        self._changed()
        self.worker.start()

    def explore(self) -> None:
        """Make the sky image and, after it, the light curve."""
        image, curve = self.form.query(ImageQuery), self.form.query(LightCurveQuery)
        self._check_windows(image.scw_list)
        self._submit_query(image)
        self._submit_query(curve)

    def make_image(self) -> None:
        """Make the sky image."""
        query = self.form.query(ImageQuery)
        self._check_windows(query.scw_list)
        self._submit_query(query)

    def measure_at(self, ra_deg: float, dec_deg: float) -> None:
        """Make the sky image again, with the flux at one more position (FK5)."""
        field = self.form.fields["at"]
        self.form.set(at="; ".join(part for part in (field.text, f"{ra_deg:.4f},{dec_deg:.4f}") if part))
        self.make_image()

    def image_between(self, start_ijd: float, stop_ijd: float) -> None:
        """Make the sky image of one interval (IJD) alone."""
        self.form.set(gti=((start_ijd, stop_ijd),))
        self.make_image()

    def make_light_curve(self) -> None:
        """Make the light curve."""
        query = self.form.query(LightCurveQuery)
        self._check_windows(query.scw_list)
        self._submit_query(query)

    def cancel(self) -> None:
        """End what runs; steps that are done stay in the store."""
        self.worker.cancel()
        self._running.clear()
        self.progress.stop("Cancelled after")
        self._set_busy(False)
        self.worker.start()

    def simulate_window(self) -> None:
        """Simulate one science window into the archive, for a page without data."""
        from integral_widgets.tasks import SimulateWindow

        self._submit(SimulateWindow(self.archive))

    def fetch_sample(self) -> None:
        """Fetch the real sample window into the archive; needs a package index."""
        from integral_widgets.tasks import FetchSample

        self._submit(FetchSample(self.archive))

    def wait(self, timeout_s: float = 600.0) -> None:
        """Block until nothing runs, for scripts; never called by the page.

        Raises
        ------
        TimeoutError
            If something still runs then.
        """
        if not self._idle.wait(timeout_s):
            raise TimeoutError(f"still running after {timeout_s} s")

    def close(self) -> None:
        """End the worker process."""
        self.worker.close()
        self._set_busy(False)

    def _submit_query(self, query: ImageQuery | LightCurveQuery) -> None:
        from integral_widgets.tasks import MakeImage, MakeLightCurve

        self._runs += 1
        out = self.out / str(self._runs)
        if isinstance(query, ImageQuery):
            self._submit(MakeImage(query, self.archive, self.store, out / "image"))
        else:
            self._submit(MakeLightCurve(query, self.archive, self.store, out / "lightcurve"))

    def _submit(self, task: Any) -> None:
        kind = type(task).__name__
        if not self._running:
            self.error = None
            self.status.value = ""
            self.progress.start(_LABELS[kind])
            self._set_busy(True)
            threading.Thread(target=self._keep_rendering, daemon=True, name="oda-progress").start()
        with self._lock:
            self._running[self.worker.submit(task)] = kind

    def _check_windows(self, scw_list: tuple[str, ...]) -> None:
        """Tell a wrong window beside its field before anything runs."""
        from integral_oda.archive.tree import Archive

        archive = Archive(self.archive)
        missing = []
        for scw in scw_list:
            try:
                archive.events_file(scw)
            except DataError as exc:
                missing.append(exc)
        if len(missing) == len(scw_list):
            self.form.show_error(str(missing[0]), "scw_list")
            raise missing[0]

    def _on_message(self, message: Message) -> None:
        if isinstance(message, Step):
            self.progress.label = _LABELS.get(self._running.get(message.number, ""), "")
            self.progress.listen(message.event)
            return
        with self._lock:
            kind = self._running.pop(message.number, "")
        if isinstance(message, Done):
            safe_callback(self._tell)(self._show_result)(kind, message.result)
        else:
            self._show_failure(message)
        if not self._running:
            self.progress.stop("Failed after" if self.error else "Done in")
            self._set_busy(False)

    def _show_result(self, kind: str, result: Any) -> None:
        from integral_widgets.views import ImageView, LightCurveView

        if kind == "MakeImage":
            self.image, self.image_view = result, ImageView(result, safe_callback(self._tell_once)(self.measure_at))
            self.image_place.children = (self._heading("Sky image", result), self.image_view.widget)
        elif kind == "MakeLightCurve":
            self.light_curve, self.light_curve_view = (
                result,
                LightCurveView(result, safe_callback(self._tell_once)(self.image_between)),
            )
            self.curve_place.children = (self._heading("Light curve", result), self.light_curve_view.widget)
        else:
            self._offer_windows()
            return
        self.empty.layout.display = "none"

    def _show_failure(self, message: Failed) -> None:
        self.error = message.error
        about_windows = message.error.kind in _ABOUT_THE_WINDOWS
        parameter = message.error.parameter or ("scw_list" if about_windows else None)
        if not self.form.show_error(message.error.sentence, parameter):
            self._tell(message.error.sentence)

    def _keep_rendering(self) -> None:
        while not self._idle.is_set():
            self.progress.render()
            time.sleep(RENDER_INTERVAL_S)

    def _set_busy(self, busy: bool) -> None:
        for button in self.run_buttons:
            button.disabled = busy
        self.cancel_button.disabled = not busy
        if busy:
            self._idle.clear()
        else:
            self._idle.set()

    def _tell(self, sentence: str) -> None:
        self.status.value = error_html(sentence)

    def _changed(self) -> None:
        if "VOILA_BASE_URL" not in os.environ:
            return
        address = html.escape("?" + self.form.query_string(), quote=True)
        self.link.value = f"<a class='oda-download oda-link' href='{address}'>Link to this query</a>"

    def _heading(self, title: str, result: Any) -> widgets.HTML:
        used = result.summary.get("science_windows", {}).get("used", ())
        simulated = [scw for scw in used if is_simulated(self.archive, scw)]
        label = ""
        if simulated:
            names = html.escape(", ".join(simulated))
            label = (
                f"<span class='oda-simulated'>SIMULATED: {names} was drawn on this machine, it is no observation</span>"
            )
        return widgets.HTML(f"<h2>{title}</h2>{label}")

    def _offer_windows(self) -> None:
        """Name the archive's windows, or offer to get one where it has none; fill the form with the first."""
        from integral_oda.archive.tree import Archive

        windows = Archive(self.archive).windows()
        self.offer.layout.display = "none" if windows else ""
        if not windows:
            return
        first = windows[0]
        if not self.form.fields["scw_list"].text:
            self.form.set(scw_list=str(first), src_name=SAMPLE_SOURCES.get(first.swid, ""))
        names = ", ".join(self._window_name(str(scw)) for scw in windows[:8]) + (" …" if len(windows) > 8 else "")
        self.windows.value = f"<span class='oda-note'>In the archive: {html.escape(names)}</span>"

    def _own_folder(self) -> Path:
        """A folder that nobody else guesses, below the one that the launcher serves if there is one."""
        served = os.environ.get(SERVED_ROOT)
        if served:
            return Path(served) / "out" / secrets.token_hex(12)
        self._temporary = tempfile.TemporaryDirectory(prefix="integral-oda-", ignore_cleanup_errors=True)
        return Path(self._temporary.name)

    def _window_name(self, scw: str) -> str:
        return f"{scw} (simulated)" if is_simulated(self.archive, scw) else scw

    def _build(self) -> None:
        self.status, self.windows, self.link = widgets.HTML(), widgets.HTML(), widgets.HTML()
        self.status.add_class("oda-status")
        self.empty = widgets.HTML(
            "<p class='oda-note'>Nothing made yet. <b>Image and light curve</b> shows the sky in the energy band asked "
            "for, the sources in it, and how the chosen source varies.</p>"
        )
        self.image_place, self.curve_place = widgets.VBox(), widgets.VBox()
        self.explore_button = self._button("Image and light curve", self.explore, "primary")
        self.image_button = self._button("Image", self.make_image)
        self.curve_button = self._button("Light curve", self.make_light_curve)
        self.cancel_button = self._button("Cancel", self.cancel, "warning")
        self.cancel_button.disabled = True
        self.simulate_button = self._button("Simulate one science window here", self.simulate_window)
        self.fetch_button = self._button("Fetch the real sample (49 MB)", self.fetch_sample)
        self.run_buttons = (
            self.explore_button, self.image_button, self.curve_button, self.simulate_button, self.fetch_button,
        )  # fmt: skip
        self.offer = widgets.VBox([self._no_data_note(), self.fetch_button, self.simulate_button])
        self.widget = self._page()

    def _no_data_note(self) -> widgets.HTML:
        place = html.escape(str(self.archive))
        return widgets.HTML(f"<p class='oda-note'>The archive {place} holds no science window yet.</p>")

    def _button(self, text: str, method: Any, style: str = "") -> widgets.Button:
        button = widgets.Button(description=text, button_style=style, layout=widgets.Layout(width="auto"))
        guarded = safe_callback(self._tell_once)(method)
        button.on_click(lambda _: guarded())
        return button

    def _tell_once(self, sentence: str) -> None:
        """What already stands beside its field is not said twice."""
        beside = [field.error.value for field in self.form.fields.values()]
        if error_html(sentence) not in beside:
            self._tell(sentence)

    def _page(self) -> widgets.VBox:
        form = widgets.VBox(
            [
                self.offer,
                widgets.HTML("<h2>What to look at</h2>"),
                *self.form.group(Query),
                self.windows,
                widgets.HTML("<h2>Sky image</h2>"),
                *self.form.group(ImageQuery),
                widgets.HTML("<h2>Light curve</h2>"),
                *self.form.group(LightCurveQuery),
                self.explore_button,
                widgets.HBox([self.image_button, self.curve_button, self.cancel_button]),
                self.link,
            ]
        )
        form.add_class("oda-form")
        results = widgets.VBox([self.status, self.progress.widget, self.empty, self.image_place, self.curve_place])
        results.add_class("oda-results")
        title = widgets.HTML(f"{STYLE}<h1>INTEGRAL/ISGRI: sky image and light curve</h1>")
        body = widgets.Box([form, results], layout=widgets.Layout(flex_flow="row wrap", align_items="flex-start"))
        page = widgets.VBox([title, Heartbeat().widget, body])
        page.add_class("oda-page")
        return page


def is_simulated(archive: Path, scw: str) -> bool:
    """Whether the event file of a science window says that it was simulated; one that cannot be read does not."""
    from integral_oda.archive.tree import Archive

    try:
        path = Archive(archive).events_file(scw)
    except DataError:
        return False
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rb") as stream:
        try:
            return _SIMULATED.search(stream.read(_HEADERS_BYTES)) is not None
        except (OSError, EOFError, zlib.error):
            return False
