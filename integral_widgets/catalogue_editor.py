"""Edit a list of sources on the page: what an image found, a file, or both; then use it for the next products."""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import ipywidgets as widgets

from integral_oda.catalog.source_list import ListedSource, SourceCatalogue, read_sources, write_sources
from integral_oda.errors import RequestError
from integral_widgets.callbacks import error_html, safe_callback
from integral_widgets.downloads import download_list
from integral_widgets.inputs import Uploads

__all__ = ["CatalogueEditor", "catalogue_of"]

PAGE_ROWS = 25
FORMS = (".fits", ".ecsv", ".reg", ".json")
_DUPLICATE_ARCMIN = 3.0


def catalogue_of(sources: Sequence[Mapping[str, Any]]) -> SourceCatalogue:
    """List of the sources in a ``summary.json``.

    Parameters
    ----------
    sources : sequence of mapping
        Its ``sources``.
    """
    listed = [
        ListedSource(
            name=source["name"],
            ra=source["ra_deg"],
            dec=source["dec_deg"],
            significance=max((_number(band["significance"]) for band in source["bands"]), default=math.nan),
            err_rad=_number(source["error_radius_arcmin"]) / 60,
            new_source=1 if source["new"] else 0,
        )
        for source in sources
        if not source["forced"]
    ]
    return SourceCatalogue().add(*listed)


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)


class CatalogueEditor:
    """Table of sources to add to, edit, delete from, merge, read and write.

    Every button is a method. The table shows `PAGE_ROWS` sources at a time.

    Parameters
    ----------
    use : callable
        Given the list that the user wants for the next spectra and light curves.
    uploads : Uploads
        Where imported files go.
    folder : Path
        Where exported files go.

    Attributes
    ----------
    catalogue : SourceCatalogue
        The list as it is now.
    ghosts : tuple of mapping
        Excesses that the image search has rejected, with the reason; one is kept by adding it.
    """

    def __init__(self, use: Callable[[SourceCatalogue], None], uploads: Uploads, folder: Path) -> None:
        self._use, self.uploads, self.folder = use, uploads, folder
        self.catalogue = SourceCatalogue()
        self.ghosts: tuple[Mapping[str, Any], ...] = ()
        self._reasons: dict[str, str] = {}
        self._picked: set[str] = set()
        self._page, self._filling = 0, False
        self._build()
        self._refresh()

    def show(self, summary: Mapping[str, Any]) -> None:
        """Begin with the sources of an image, and the ghosts of its search."""
        self.catalogue = catalogue_of(summary["sources"])
        self.ghosts = tuple(summary.get("suppressed", ()))
        self._reasons = {s["name"]: _why_new(s) for s in summary["sources"] if s["new"]}
        self._picked, self._page = set(), 0
        self._refresh()

    def add(self, name: str, ra: float, dec: float) -> None:
        """Add a source; position in degrees (J2000).

        Raises
        ------
        RequestError
            If there is one of that name, or the name or the position is impossible.
        """
        if any(known.casefold() == name.casefold() for known in self.catalogue.names):
            raise RequestError("name", name, "a name that the list does not have yet")
        self._change(self.catalogue.add(ListedSource(name, ra, dec, new_source=0)))
        self._page = (len(self.catalogue) - 1) // PAGE_ROWS
        self._refresh()

    def edit(self, name: str, /, **changes: Any) -> None:
        """Change ``name``, ``ra``, ``dec`` or ``err_rad`` of a source; see `SourceCatalogue.edit`."""
        self._change(self.catalogue.edit(name, **changes))

    def select(self, *names: str) -> None:
        """Tick these sources and no others."""
        self._picked = {self.catalogue[name].name for name in names}
        self._refresh()

    @property
    def selected(self) -> tuple[str, ...]:
        """Names of the sources that are ticked."""
        return tuple(name for name in self.catalogue.names if name in self._picked)

    def delete(self, *names: str) -> None:
        """Delete sources; those that are ticked unless named."""
        gone = names or self.selected
        if not gone:
            raise RequestError("selection", "nothing", "at least one source that is ticked")
        self._change(self.catalogue.remove(*gone))

    def delete_new(self) -> None:
        """Delete every source that no catalogue knows."""
        self._change(self.catalogue.select(new=False))

    def merge_duplicates(self, radius_arcmin: float = _DUPLICATE_ARCMIN) -> None:
        """Keep one row of each source; see `SourceCatalogue.without_duplicates`."""
        before = len(self.catalogue)
        self._change(self.catalogue.without_duplicates(radius_arcmin / 60))
        self._tell(f"{before - len(self.catalogue)} duplicates merged")

    def read(self, path: str | Path) -> None:
        """Add the sources of a file that the list does not have; see `read_sources`."""
        before = len(self.catalogue)
        self._change(self.catalogue.merge(read_sources(path)))
        self._tell(f"{len(self.catalogue) - before} sources added of {Path(path).name}")

    def write(self, path: str | Path) -> Path:
        """Write the list in the form of the name's ending; see `write_sources`."""
        return write_sources(path, self.catalogue)

    def export(self) -> None:
        """Offer the list as a file in the form that is chosen."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.write(self.folder / f"catalogue{self.form.value}")
        self.exported.children = (download_list([path]),)

    def use(self) -> None:
        """Carry the sources that are ticked, or all, to the next spectra and light curves."""
        if not len(self.catalogue):
            raise RequestError("catalogue", "empty", "a list with at least one source")
        kept = set(self.selected) or set(self.catalogue.names)
        self._use(SourceCatalogue(tuple(source for source in self.catalogue.sources if source.name in kept)))
        self._tell(f"{len(kept)} sources go into the next products")

    def _change(self, catalogue: SourceCatalogue) -> None:
        self.catalogue = catalogue
        self._picked &= set(catalogue.names)
        self._page = min(self._page, max(0, len(catalogue) - 1) // PAGE_ROWS)
        self._refresh()

    def _build(self) -> None:
        self.status = widgets.HTML()
        self.rows: list[_Row] = []
        self.table = widgets.VBox([_head()])
        self.table.add_class("oda-catalogue")
        self.count, self.ghost_list = widgets.HTML(), widgets.HTML()
        self.previous = self._button("Previous", lambda: self._turn(-1), "sources before these")
        self.next = self._button("Next", lambda: self._turn(1), "sources after these")
        self.name, self.ra, self.dec = (
            _cell(width, f"New source: {text}", placeholder=text, continuous_update=True)
            for text, width in (("Name", "160px"), ("RA [deg]", "90px"), ("Dec [deg]", "90px"))
        )
        for part, title in ((self.name, "name"), (self.ra, "ra"), (self.dec, "dec")):
            part.add_class(f"oda-new-{title}")
        self.form = widgets.Dropdown(
            options=FORMS,
            tooltip="form of the file",
            description="Form of the file",
            layout=widgets.Layout(width="80px"),
        )
        self.form.add_class("oda-quiet")
        self.upload = widgets.FileUpload(accept=",".join((*FORMS, ".gz", ".txt")), description="Import a file")
        self.upload.observe(self._received, names="value")
        self.exported = widgets.Box()
        use = self._button("Use for spectra and light curves", self.use, "the ticked ones, or all", "primary")
        self.widget = widgets.VBox([
            self.count, self.table, widgets.HBox([self.previous, self.next]),
            _line(self._button("Delete ticked", self.delete, "leave the ticked sources out"),
                  self._button("Delete NEW", self.delete_new, "leave out what no catalogue knows"),
                  self._button("Merge duplicates", self.merge_duplicates,
                               f"same name, or closer than the error radius or {_DUPLICATE_ARCMIN:g} arcmin")),
            _line(self.name, self.ra, self.dec, self._button("Add", self._add_typed, "add this source")),
            _line(self.upload, self._button("Export", self.export, "the list as a file"), self.form, self.exported),
            self.ghost_list, _line(use), self.status,
        ])  # fmt: skip
        self.widget.add_class("oda-editor")

    def _button(self, text: str, method: Callable[[], None], hint: str, style: str = "") -> widgets.Button:
        made = widgets.Button(description=text, tooltip=hint, button_style=style, layout=widgets.Layout(width="auto"))
        guarded = safe_callback(self._fail)(method)
        made.on_click(lambda _: guarded())
        return made

    def _add_typed(self) -> None:
        self.add(self.name.value.strip(), _degrees("ra", self.ra.value), _degrees("dec", self.dec.value))
        for part in (self.name, self.ra, self.dec):
            part.value = ""

    def _turn(self, pages: int) -> None:
        self._page += pages
        self._refresh()

    def _received(self, _: Any) -> None:
        for item in self.upload.value:
            safe_callback(self._fail)(self.read)(self.uploads.keep(item["name"], bytes(item["content"])))
        if self.upload.value:
            self.upload.value = ()

    def _edited(self, name: str, attribute: str, text: str) -> None:
        if self._filling:
            return
        value: Any = text.strip() if attribute == "name" else None
        try:
            if value is None:
                value = _degrees(attribute, text)
            self.edit(name, **{attribute: value})
            self.status.value = ""
        except RequestError as exc:
            self._fail(str(exc))
            self._refresh()

    def _ticked(self, name: str, on: bool) -> None:
        if not self._filling:
            self._picked = self._picked | {name} if on else self._picked - {name}

    def _refresh(self) -> None:
        first = self._page * PAGE_ROWS
        shown = self.catalogue.sources[first : first + PAGE_ROWS]
        self._filling = True
        if len(shown) > len(self.rows):
            self.rows += [_Row(self._edited, self._ticked) for _ in range(len(shown) - len(self.rows))]
            self.table.children = (self.table.children[0], *(row.widget for row in self.rows))
        try:
            for number, row in enumerate(self.rows):
                source = shown[number] if number < len(shown) else None
                row.fill(source, source is not None and source.name in self._picked, self._flag(source))
        finally:
            self._filling = False
        total = len(self.catalogue)
        pages = f", {first + 1} to {first + len(shown)} shown" if total > PAGE_ROWS else ""
        self.count.value = f"<span class='oda-note'>{total} sources{pages}</span>"
        self.previous.disabled, self.next.disabled = self._page == 0, first + PAGE_ROWS >= total
        for button in (self.previous, self.next):
            button.layout.display = "" if total > PAGE_ROWS else "none"
        self.ghost_list.value = _ghost_table(self.ghosts)

    def _flag(self, source: ListedSource | None) -> str:
        if source is None or not source.is_new:
            return ""
        return self._reasons.get(source.name, "no catalogue knows it")

    def _tell(self, sentence: str) -> None:
        self.status.value = f"<span role='status' class='oda-note'>{html.escape(sentence)}</span>"

    def _fail(self, sentence: str) -> None:
        self.status.value = error_html(sentence)


_COLUMNS = (("name", "Source"), ("ra", "RA [deg]"), ("dec", "Dec [deg]"), ("err_rad", "90 % [′]"))
_WIDTHS = ("150px", "90px", "90px", "70px")


class _Row:
    """Inputs of one source, filled with another one as the pages turn."""

    def __init__(self, edited: Callable[[str, str, str], None], ticked: Callable[[str, bool], None]) -> None:
        self.shown: ListedSource | None = None
        self.tick = widgets.Checkbox(indent=False, tooltip="choose", layout=widgets.Layout(width="26px"))
        self.tick.add_class("oda-quiet")
        self.tick.observe(lambda change: self.shown and ticked(self.shown.name, change["new"]), names="value")
        self.inputs = {attribute: _cell(width) for (attribute, _), width in zip(_COLUMNS, _WIDTHS, strict=True)}
        for attribute, made in self.inputs.items():
            made.add_class(f"oda-cell-{attribute}")
            made.observe(
                lambda change, a=attribute: self.shown and edited(self.shown.name, a, change["new"]), names="value"
            )
        self.note = widgets.HTML()
        self.widget = widgets.HBox([self.tick, *self.inputs.values(), self.note])

    def fill(self, source: ListedSource | None, picked: bool, flag: str) -> None:
        self.shown = source
        self.widget.layout.display = "none" if source is None else ""
        if source is None:
            return
        self.tick.value, self.tick.description = picked, f"Choose {source.name}"
        texts = {"name": source.name, "ra": f"{source.ra:.5f}", "dec": f"{source.dec:+.5f}",
                 "err_rad": "" if math.isnan(source.err_rad) else f"{source.err_rad * 60:.2f}"}  # fmt: skip
        for (attribute, title), made in zip(_COLUMNS, self.inputs.values(), strict=True):
            made.value, made.description = texts[attribute], f"{title} of {source.name}"
        sigma = "" if math.isnan(source.significance) else f"{source.significance:.1f} sigma"
        new = f" <span class='oda-flag' title='{html.escape(flag, quote=True)}'>NEW</span>" if flag else ""
        self.note.value = f"<span class='oda-note'>{sigma}{new} {html.escape(flag)}</span>"


def _cell(width: str, label: str = "", **more: Any) -> widgets.Text:
    """Input of a table: its label is for screen readers, the eye sees the head of the column."""
    made = widgets.Text(
        **{"continuous_update": False, **more}, description=label, tooltip=label, layout=widgets.Layout(width=width)
    )
    made.add_class("oda-quiet")
    return made


def _head() -> widgets.HBox:
    titles = (("", "26px"), *((title, width) for (_, title), width in zip(_COLUMNS, _WIDTHS, strict=True)))
    return widgets.HBox([widgets.HTML(f"<b>{title}</b>", layout=widgets.Layout(width=w)) for title, w in titles])


def _line(*parts: widgets.Widget) -> widgets.HBox:
    return widgets.HBox(list(parts), layout=widgets.Layout(flex_flow="row wrap"))


def _degrees(attribute: str, text: str) -> float:
    """Number that was typed; an error radius in arcmin becomes degrees."""
    try:
        value = float(text)
    except ValueError:
        raise RequestError(
            attribute, text[:40] or "nothing", "a number of degrees; the error radius in arcmin"
        ) from None
    return value / 60 if attribute == "err_rad" else value


def _why_new(source: Mapping[str, Any]) -> str:
    best = max((_number(band["significance"]) for band in source["bands"]), default=math.nan)
    radius = _number(source["error_radius_arcmin"])
    return f"an excess of {best:.1f} sigma, no catalogue source within {radius:.1f} arcmin"


def _ghost_table(ghosts: Sequence[Mapping[str, Any]]) -> str:
    """Rejected excesses with their reasons, folded away."""
    if not ghosts:
        return ""
    rows = "".join(
        f"<tr><td>{g['ra_deg']:.4f}</td><td>{g['dec_deg']:+.4f}</td><td>{g['e1_kev']:g}-{g['e2_kev']:g}</td>"
        f"<td>{g['significance']:.1f}</td><td>{html.escape(str(g['reason']))}</td></tr>"
        for g in ghosts
    )
    head = "<tr><th>RA [deg]</th><th>Dec [deg]</th><th>Band [keV]</th><th>Sigma</th><th>Why it is no source</th></tr>"
    return (
        f"<details class='oda-ghosts'><summary>{len(ghosts)} ghosts that the search has rejected</summary>"
        f"<div class='oda-wide'><table class='oda-sources'>{head}{rows}</table></div></details>"
    )
