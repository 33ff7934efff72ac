"""The explorer: ask for a sky image, light curves and spectra, see them, take them away.

Every button of the page is a method of `Explorer`, so that a notebook does the same without the page. The work is done
by jobs of the workflow: they know nothing of the page, outlive it, and are found again by whoever opens it next.
"""

from __future__ import annotations

import html
import os
import secrets
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qsl, urlencode

import ipywidgets as widgets

from integral_oda.background import find, jobs_of, products_of, query_of, submit
from integral_oda.catalog.source_list import SourceCatalogue, read_sources, write_sources
from integral_oda.errors import DataError, IntegralOdaError, OutputError, RequestError
from integral_oda.folders import archive_root, store_root
from integral_oda.query import ImageQuery, LightCurveQuery, Query, SpectrumQuery
from integral_oda.results import ImageProducts, Products
from integral_oda.workflow.jobs import Job
from integral_oda.workflow.progress import StepEvent
from integral_widgets import tasks
from integral_widgets.archive_offer import ArchiveOffer, is_simulated
from integral_widgets.callbacks import error_html, safe_callback
from integral_widgets.catalogue_editor import CatalogueEditor
from integral_widgets.downloads import SERVED_ROOT
from integral_widgets.following import Followed, Follower
from integral_widgets.forms import QueryForm
from integral_widgets.growing import Growing, PartialImage
from integral_widgets.history import History
from integral_widgets.identity import owner
from integral_widgets.inputs import CatalogInput, Uploads
from integral_widgets.layout import PageLayout
from integral_widgets.live_imaging import LiveImaging
from integral_widgets.planner import PlanView
from integral_widgets.presets import PRESETS
from integral_widgets.progress import ProgressMatrix
from integral_widgets.query_access import QueryAccess
from integral_widgets.results_bar import ResultBar

__all__ = ["KINDS", "Explorer"]

KINDS: Mapping[str, type[Query]] = {"image": ImageQuery, "lightcurve": LightCurveQuery, "spectrum": SpectrumQuery}
LABELS = {
    "image": "Sky image",
    "lightcurve": "Light curve",
    "spectrum": "Spectrum",
    "simulate": "Simulation of one science window",
    "fetch": "Fetching the sample",
}
GROWS_AFTER_S = 3.0
_PAGE_LIMIT_S = 60.0
_SAME_SUBJECT = ("scw_list", "T1", "T2")


class Explorer:
    """Query form, window plan, progress, products, catalogue editor and history.

    Parameters
    ----------
    archive, store : Path, optional
        Roots of archive and store; the defaults of `integral_oda.folders` otherwise.
    out : Path, optional
        Where files of this page go; a folder of its own otherwise. Products lie with their jobs in the store.
    query_string : str
        Query part of the page's address, such as ``"scw_list=255900280010.001&bands=20-40"``. Without one, the last
        query of the user is brought back with its results, at work or done.

    Attributes
    ----------
    query : QueryAccess
        What is asked: ``app.query.e1 = 20``.
    products : dict
        The last product of each kind: ``"image"``, ``"lightcurve"``, ``"spectrum"``.
    editor : CatalogueEditor
        The list of sources for the next products.
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
        self.owner = owner()
        self.jobs = jobs_of(self.store, self.owner)
        self.products: dict[str, Products] = {}
        self.views: dict[str, Any] = {}
        self.error = ""
        self.progress = ProgressMatrix()
        ended = safe_callback(self.tell)(self._on_end)
        self.follower = Follower(self._on_steps, ended, self._on_tick, self._wait_for_page)
        self._growing: dict[str, Growing] = {}
        self._live: LiveImaging | None = None
        uploads = Uploads(self.store.absolute() / "uploads")
        self.form = QueryForm(tuple(KINDS.values()), uploads)
        self.query = QueryAccess(self.form)
        self.editor = CatalogueEditor(self.use_catalogue, uploads, self.out)
        self.plan_view = PlanView(self.use_windows)
        self.history = History(self.jobs.list, safe_callback(self.tell)(self.show_job))
        self.offer = ArchiveOffer(self.archive, self._guarded(self.fetch_sample), self._guarded(self.simulate_window))
        self.page = PageLayout(self)
        self.widget = self.page.widget
        self._begin(query_string)

    def run(self, *kinds: str, wait: bool = True, timeout_s: float = 3600.0) -> None:
        """Make products and, unless told otherwise, wait for them: for scripts and cells.

        Parameters
        ----------
        *kinds : str
            Of ``"image"``, ``"lightcurve"``, ``"spectrum"``; all of them if none is named.
        wait : bool
            Whether to block until they are there.
        timeout_s : float
            How long at most.

        Raises
        ------
        RequestError
            If something in the form is wrong; it also stands beside its field.
        DataError
            If a product could not be made.
        TimeoutError
            If it takes longer.
        """
        self._submit(kinds or tuple(KINDS))
        if wait:
            self.wait(timeout_s)
            if self.error:
                raise DataError(self.error)

    def explore(self) -> None:
        """Make the sky image, the light curve and the spectrum."""
        self._submit(tuple(KINDS))

    def make_image(self) -> None:
        """Make the sky image."""
        self._submit(("image",))

    def make_light_curve(self) -> None:
        """Make the light curve."""
        self._submit(("lightcurve",))

    def make_spectrum(self) -> None:
        """Make the spectrum."""
        self._submit(("spectrum",))

    @property
    def image(self) -> Any:
        """Products of the last sky image, None before there is one."""
        return self.products.get("image")

    @property
    def light_curve(self) -> Any:
        """Products of the last light curve."""
        return self.products.get("lightcurve")

    @property
    def spectrum(self) -> Any:
        """Products of the last spectrum."""
        return self.products.get("spectrum")

    def measure_at(self, ra_deg: float, dec_deg: float) -> None:
        """Make the sky image again, with the flux at one more position (FK5)."""
        known = self.form.fields["at"].text
        self.form.set(at="; ".join(part for part in (known, f"{ra_deg:.4f},{dec_deg:.4f}") if part))
        self.make_image()

    def image_between(self, start_ijd: float, stop_ijd: float) -> None:
        """Make the sky image of one interval (IJD) alone."""
        self.form.set(gti=((start_ijd, stop_ijd),))
        self.make_image()

    def spectrum_between(self, start_ijd: float, stop_ijd: float) -> None:
        """Make the spectrum of one interval (IJD) alone."""
        self.form.set(gti=((start_ijd, stop_ijd),))
        self.make_spectrum()

    def image_of_band(self, e1_kev: float, e2_kev: float) -> None:
        """Make the sky image of another band."""
        self.form.set(bands=((e1_kev, e2_kev),))
        self.make_image()

    def resolve(self) -> None:
        """Say where the source of the form is and what it is called."""
        from integral_oda.catalog.names import resolve_name
        from integral_oda.catalog.reference import read_user_catalogue

        catalogue = self.form.fields["catalog"].text
        known = read_user_catalogue(catalogue) if catalogue else ()
        name = self.form.fields["src_name"].text
        try:
            found = resolve_name(name, known, self.archive)
        except RequestError as exc:
            self.page.resolved.value = ""
            self.form.show_error(str(exc), "src_name")
            return
        self.form.fields["src_name"].show("")
        place = f"{found.source.name}: RA {found.source.ra_deg:.4f}°, Dec {found.source.dec_deg:+.4f}°"
        origin = found.origin if found.origin in ("catalogue", "Sesame", "designation") else Path(found.origin).name
        self.page.resolved.value = f"<span class='oda-note'>{html.escape(f'{place} ({origin})')}</span>"

    def plan(self) -> None:
        """Show which science windows the query would use, on the sky and in time."""
        from integral_oda.selection import plan_selection

        query = self.form.query(ImageQuery)
        self.plan_view.show(plan_selection(query, self.archive))

    def use_windows(self, windows: Sequence[str]) -> None:
        """Put science windows into the form."""
        self.form.set(scw_list=tuple(windows))

    def use_preset(self, name: str) -> None:
        """Fill the form with one of the benchmark sources; see `integral_widgets.presets`."""
        if name not in PRESETS:
            raise RequestError("preset", name, f"one of {', '.join(PRESETS)}")
        for field in self.form.fields.values():
            field.put(field.default)
        self.form.set(**PRESETS[name].fields)

    def use_catalogue(self, catalogue: SourceCatalogue) -> None:
        """Make a list of sources those of the next products: they and no others are fitted."""
        self.out.mkdir(parents=True, exist_ok=True)
        path = write_sources(self.out / "selected.fits", catalogue)
        self.form.set(catalog=self.form.uploads.keep("catalogue.fits", path.read_bytes()), only_catalog=True)

    def show_job(self, name: str) -> None:
        """Bring a query of the user back, with its result or its progress."""
        job = self.jobs.get(name)
        request = job.state().request
        self.form.fill(query_of(request["kind"], request["query"]))
        self._follow(job)

    def cancel(self) -> None:
        """End what runs; steps that are done stay in the store."""
        for followed in self.follower.jobs:
            followed.job.cancel()

    def simulate_window(self) -> None:
        """Simulate one science window into the archive, for a page without data."""
        self._follow(self.jobs.submit(tasks.SIMULATE, {"archive": str(self.archive.absolute())}))

    def fetch_sample(self) -> None:
        """Fetch the real sample window into the archive; needs a package index."""
        self._follow(self.jobs.submit(tasks.FETCH, {"archive": str(self.archive.absolute())}))

    def wait(self, timeout_s: float = 600.0) -> None:
        """Block until nothing runs, for scripts; never called by the page.

        Raises
        ------
        TimeoutError
            If something still runs then.
        """
        self.page.heartbeat.page_is_there()  # a script shows things to itself
        if not self.follower.wait(timeout_s):
            raise TimeoutError(f"still running after {timeout_s} s")

    def close(self) -> None:
        """Follow nothing any more; jobs at work go on."""
        self.follower.leave()
        for growing in self._growing.values():
            growing.stop()
        if self._live is not None:
            self._live.close()

    def _begin(self, query_string: str) -> None:
        """Fill the form from the link, else from the user's last query, else from the archive."""
        catalog = self.form.fields["catalog"]
        assert isinstance(catalog, CatalogInput)
        catalog.on_upload = self._as_catalogue
        keys = parse_qsl(query_string.removeprefix("?"), keep_blank_values=True)
        self.other_theme = "light" if ("theme", "dark") in keys else "dark"
        wanted = [kind for name, text in keys if name == "product" for kind in text.split(",")]
        refused = self.form.read_query_string(urlencode([(n, text) for n, text in keys if n != "product"]))
        refused += [f"product = {kind}: one of {', '.join(KINDS)}" for kind in wanted if kind not in KINDS]
        if not self.form.query_string():
            self._bring_back()
        else:
            self._find_results([kind for kind in wanted if kind in KINDS] or list(KINDS))
        self.offer.refresh(self.form)
        self.page.status.value = "".join(error_html(sentence) for sentence in refused)
        self.form.on_change = self._changed
        self._changed()

    def _bring_back(self) -> None:
        """The user's last query and what goes with it: the last job of each kind about the same windows."""
        last: dict[str, Job] = {}
        subject = None
        for state in self.jobs.list():
            kind = str(state.request.get("kind"))
            if kind not in KINDS or kind in last or state.request["archive"] != str(self.archive.absolute()):
                continue
            about = [state.request["query"].get(name) for name in _SAME_SUBJECT]
            if subject is None or about == subject:
                subject, last[kind] = about, self.jobs.get(state.id)
        for kind, job in reversed(last.items()):
            try:
                self.form.fill(query_of(kind, job.state().request["query"]))
            except RequestError:  # of another version, whose queries were others
                continue
            self._follow(job)

    def _wait_for_page(self) -> None:
        """Show nothing new to a page that is still loading; in a cell there is nothing to wait for."""
        if _has_address():
            self.page.heartbeat.wait_for_page(_PAGE_LIMIT_S)

    def _find_results(self, kinds: Sequence[str]) -> None:
        """Results that the user has of the form's query already."""
        for kind in kinds:
            try:
                job = find(self.form.query(KINDS[kind]), self.archive, self.store, owner=self.owner)
            except RequestError:  # stands beside its field
                return
            if job is not None:
                self._follow(job)

    def _submit(self, kinds: Sequence[str]) -> None:
        for kind in kinds:
            if kind not in KINDS:
                raise RequestError("product", kind, f"one of {', '.join(KINDS)}")
        queries = [self.form.query(KINDS[kind]) for kind in kinds]
        for query in queries:
            self.offer.check_windows(query, self.form)
        self.error = self.page.status.value = ""
        for query in queries:
            self._follow(submit(query, self.archive, self.store, owner=self.owner))
        self.history.refresh()

    def _follow(self, job: Job) -> None:
        state = job.state()
        if not state.is_over:
            if not any(not followed.state.is_over for followed in self.follower.jobs):
                kind = str(state.request.get("kind") or state.work.rpartition(":")[2])
                self.progress.start(LABELS[kind], max(0.0, time.time() - state.submitted))
            self.page.set_busy(True)
        self.follower.follow(job)

    def _on_steps(self, followed: Followed, events: Sequence[StepEvent]) -> None:
        if followed.state.is_over and not self.page.busy:
            return
        self.progress.label = LABELS[followed.kind]
        for event in events:
            self.progress.listen(event)

    def _on_end(self, followed: Followed) -> None:
        state, growing = followed.state, self._growing.pop(followed.job.id, None)
        if growing is not None:
            growing.stop()
        try:
            if state.status != "done":
                self._show_failure(followed)
            elif followed.kind in KINDS:
                self._show_result(followed)
            else:
                self.offer.refresh(self.form)
        finally:
            if len(self.follower.jobs) <= 1 and self.page.busy:
                ended = {"cancelled": "Cancelled after", "done": "Done in"}.get(state.status, "Failed after")
                self.progress.stop("Failed after" if self.error and state.status == "done" else ended)
                self.page.set_busy(False)
                self.history.refresh()

    def _on_tick(self) -> None:
        followed = self.follower.jobs
        if not followed:
            return
        self.progress.render()
        self.progress.show_log("".join(f.job.log() for f in followed))
        for item in followed:
            self._grow(item)

    def _grow(self, followed: Followed) -> None:
        """Show the mosaic of what an image of several windows has by now."""
        state = followed.state
        windows = state.request.get("query", {}).get("scw_list", ())
        if followed.kind != "image" or state.is_over or len(windows) == 1:
            return
        if followed.job.id not in self._growing:
            if time.time() - state.submitted > GROWS_AFTER_S:
                growing = Growing(followed.job, self.out / "partial" / followed.job.id)
                self._growing[followed.job.id] = growing
                growing.start()
            return
        partial = self._growing[followed.job.id].news()
        if partial is not None:
            self._show_partial(partial)

    def _show_partial(self, partial: PartialImage) -> None:
        from integral_widgets.bokeh_views import figure_widget, sky_image_figure

        text = f"<h2>Sky image so far</h2><p class='oda-note'>{partial.windows} of {partial.asked} science windows</p>"
        figure = figure_widget(sky_image_figure(partial.image, partial.sources))
        self.page.places["image"].children = (widgets.HTML(text), figure)
        self.page.empty.layout.display = "none"

    def _show_result(self, followed: Followed) -> None:
        from integral_widgets.views import left_out_html, source_table_html

        kind = followed.kind
        products = replace(products_of(followed.job), folder=self._served(followed.job))
        try:
            view = self._view(kind, products)
        except IntegralOdaError as exc:  # the files are there all the same
            view = SimpleNamespace(widget=widgets.HTML(error_html(str(exc))))
        self.products[kind], self.views[kind] = products, view
        table = source_table_html(products.sources) if isinstance(products, ImageProducts) else ""
        about = widgets.HTML(table + left_out_html(products.summary))
        shown = (self._heading(LABELS[kind], products), view.widget, about)
        # The picture first: to pack the files of a mosaic takes as long as to draw it.
        self.page.places[kind].children = shown
        self.page.empty.layout.display = "none"
        self.page.places[kind].children = (*shown, self._bar(followed, products).widget)
        if kind == "image":
            self.editor.show(products.summary)
            self.page.editor_place.layout.display = ""

    def _bar(self, followed: Followed, products: Products) -> ResultBar:
        """Files of a result, and how to get it again."""
        kind, query = followed.kind, query_of(followed.kind, followed.state.request["query"])
        address = f"?{self.form.query_string_of(query)}&product={kind}" if _has_address() else ""
        out = self.out / "results" / followed.job.id
        return ResultBar(products, query, self.archive, self.store, kind, out, address)

    def _view(self, kind: str, products: Any) -> Any:
        """What shows a product; its buttons ask for more of it."""
        from integral_widgets.image_view import ImageView
        from integral_widgets.light_curve_view import LightCurveView
        from integral_widgets.live_imaging import live_imaging_of
        from integral_widgets.spectrum_view import SpectrumView

        if kind == "image":
            if self._live is not None:
                self._live.close()
            self._live = live_imaging_of(products, self.archive, self.store)
            return ImageView(products, self._guarded(self.measure_at), self._guarded(self.image_of_band), self._live)
        if kind == "lightcurve":
            between = self._guarded(self.image_between), self._guarded(self.spectrum_between)
            return LightCurveView(products, *between)
        # In the page's own folder, from where fits are downloaded.
        return SpectrumView(products, self.out / "fits" / products.summary["key"][:16])

    def _show_failure(self, followed: Followed) -> None:
        state = followed.state
        if state.status == "cancelled":
            return
        self.error = state.reason or f"{LABELS[followed.kind]}: the job is {state.status}"
        if state.status == "lost":
            self.error = f"{LABELS[followed.kind]}: its process was ended from outside; ask again to go on"
        parameter = self.error.partition(" = ")[0] if state.exit_status == RequestError.exit_status else None
        if not self.form.show_error(self.error, parameter) and not (
            followed.kind in KINDS and state.status == "failed" and self._about_windows(self.error)
        ):
            self.tell(self.error)

    def _about_windows(self, sentence: str) -> bool:
        """Show an error of the data beside the windows that were asked for; says whether it is one."""
        if "error in the program" in sentence:
            return False
        return self.form.show_error(sentence, "scw_list")

    def _served(self, job: Job) -> Path:
        """The job's products where this page's server finds them: it follows no links out of its own folder."""
        place = self.out / "jobs" / job.id
        try:
            shutil.copytree(job.folder / "out", place, copy_function=_link_or_copy, dirs_exist_ok=True)
        except (OSError, shutil.Error) as exc:
            raise OutputError(f"{place}: cannot be written to ({exc})") from exc
        return place

    def _as_catalogue(self, path: Path) -> Path:
        """A list of sources in the form that queries take."""
        from integral_oda.catalog.reference import read_user_catalogue

        try:
            read_user_catalogue(path)
        except IntegralOdaError:
            self.out.mkdir(parents=True, exist_ok=True)
            made = write_sources(self.out / "uploaded.fits", read_sources(path))
            return self.form.uploads.keep(f"{path.stem}.fits", made.read_bytes())
        return path

    def _heading(self, title: str, products: Products) -> widgets.HTML:
        used = products.summary.get("science_windows", {}).get("used", ())
        simulated = [scw for scw in used if is_simulated(self.archive, scw)]
        label = ""
        if simulated:
            names = html.escape(", ".join(simulated[:8]) + (" …" if len(simulated) > 8 else ""))
            label = (
                f"<span class='oda-simulated'>SIMULATED: {names} was drawn on this machine, it is no observation</span>"
            )
        return widgets.HTML(f"<h2>{title}</h2>{label}")

    def _changed(self) -> None:
        if _has_address():
            address = html.escape("?" + self.form.query_string(), quote=True)
            theme = html.escape(f"?{self.form.query_string()}&theme={self.other_theme}", quote=True)
            self.page.link.value = (
                f"<a class='oda-download oda-link' href='{address}'>Link to this query</a> "
                f"<a class='oda-download oda-theme' href='{theme}'>{self.other_theme.capitalize()} page</a>"
            )

    def tell(self, sentence: str) -> None:
        """Tell an error; what already stands beside its field is not said twice."""
        if not self.form.shows(error_html(sentence)):
            self.page.status.value = error_html(sentence)

    def _guarded(self, method: Callable[..., None]) -> Callable[..., None]:
        return safe_callback(self.tell)(method)

    def in_background(self, method: Callable[[], None], button: widgets.Button) -> None:
        """Do what may take long beside the page, with its button out of use meanwhile."""

        def work() -> None:
            try:
                self._guarded(method)()
            finally:
                self.page.free(button)

        button.disabled = True
        threading.Thread(target=work, daemon=True, name="oda-page").start()

    def _own_folder(self) -> Path:
        """A folder that nobody else guesses, below the one that the launcher serves if there is one."""
        served = os.environ.get(SERVED_ROOT)
        if served:
            return Path(served) / "out" / secrets.token_hex(12)
        self._temporary = tempfile.TemporaryDirectory(prefix="integral-oda-", ignore_cleanup_errors=True)
        return Path(self._temporary.name)


def _has_address() -> bool:
    return "VOILA_BASE_URL" in os.environ


def _link_or_copy(source: str, target: str) -> None:
    """One more name for a file; another copy where the target is on another disk."""
    if Path(target).exists():
        return
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
