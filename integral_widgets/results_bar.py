"""What stands under every result: its files, how to get it again, and how it came about."""

from __future__ import annotations

import html
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import ipywidgets as widgets

from integral_oda.errors import OutputError
from integral_oda.query import Query
from integral_oda.results import Products
from integral_widgets.downloads import data_uri_link, download_list
from integral_widgets.folds import Fold
from integral_widgets.reproduce import command_line, python_code, query_notebook

__all__ = ["ResultBar", "provenance_html", "with_zip"]


class ResultBar:
    """Downloads, command line, Python code, notebook, link and provenance of one result.

    Parameters
    ----------
    products : Products
        Their files lie where the page's server serves them, if it has one.
    query : Query
        What was asked.
    archive, store : Path
        Roots that the command and the code name.
    kind : str
        ``"image"``, ``"lightcurve"`` or ``"spectrum"``: names the zip and the notebook.
    out : Path
        Folder for these two.
    address : str
        Link to this query; empty where the page has no address.
    """

    def __init__(
        self, products: Products, query: Query, archive: Path, store: Path, kind: str, out: Path, address: str = ""
    ) -> None:
        self.query, self.kind, self.out = query, kind, out
        self.archive, self.store = archive, store
        everything = with_zip(products.files, out / f"{kind}.zip")
        self.files = download_list([everything, *products.files])
        self.notebook_place = widgets.HTML()
        notebook = widgets.Button(
            description="Open as notebook",
            tooltip="this query as a notebook, for JupyterLab and papermill",
            layout=widgets.Layout(width="auto"),
        )
        notebook.on_click(lambda _: self.make_notebook())
        link = f"<a class='oda-download oda-link' href='{html.escape(address, quote=True)}'>Link to this result</a>"
        line = widgets.HBox([notebook, self.notebook_place, widgets.HTML(link if address else "")])
        line.layout.flex_flow = "row wrap"
        again = Fold(widgets.HTML(self._texts()), "The same from the shell or from Python")
        origin = Fold(widgets.HTML(provenance_html(products.provenance)), "How it was made")
        self.widget = widgets.VBox([self.files, line, again.widget, origin.widget])
        self.widget.add_class("oda-result-bar")

    def make_notebook(self) -> Path:
        """Write the query as a notebook and offer it."""
        path = self.out / f"{self.kind}.ipynb"
        try:
            self.out.mkdir(parents=True, exist_ok=True)
            path.write_text(query_notebook(self.query, self.archive, self.store), encoding="utf-8")
        except OSError as exc:
            raise OutputError(f"{path}: cannot be written ({exc.strerror or exc})") from exc
        # Not through the server: Voila serves no notebooks.
        self.notebook_place.value = data_uri_link(path)
        return path

    def _texts(self) -> str:
        roots = self.archive, self.store
        texts = ("Command line", command_line(self.query, *roots)), ("Python code", python_code(self.query, *roots))
        return "".join(f"<b>{title}</b><pre class='oda-code'>{html.escape(text)}</pre>" for title, text in texts)


def with_zip(files: Sequence[Path], path: Path) -> Path:
    """Put files into one that holds them all.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Not compressed: floats hardly shrink, and the page would wait for it.
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as packed:
            for file in files:
                packed.write(file, file.name)
    except OSError as exc:
        raise OutputError(f"{path}: cannot be written ({exc.strerror or exc})") from exc
    return path


_MOST_ACTIVITIES = 400


def provenance_html(document: Mapping[str, Any]) -> str:
    """Steps of a PROV-JSON document, one a row with its parameters and what it was made from, and the raw files."""
    activities, entities = document.get("activity", {}), document.get("entity", {})
    used: dict[str, list[str]] = {}
    for relation in document.get("used", {}).values():
        entity = relation["prov:entity"]
        label = entities.get(entity, {}).get("prov:label", entity)
        used.setdefault(relation["prov:activity"], []).append(label)
    shown = list(activities.items())[:_MOST_ACTIVITIES]
    rows = "".join(_activity_row(activity, used.get(name, ())) for name, activity in shown)
    raw = sorted(
        f"{entity['prov:label'].removeprefix('raw file: ')} {name}"
        for name, entity in entities.items()
        if name.startswith("sha256:")
    )
    software = {name.removeprefix("oda:"): version for name, version in
                document.get("agent", {}).get("oda:software", {}).items() if name.startswith("oda:")}  # fmt: skip
    versions = ", ".join(f"{name} {version}" for name, version in software.items())
    more = (
        f"<p>{len(activities) - len(shown)} more steps: see provenance.json</p>" if len(activities) > len(shown) else ""
    )
    head = "<tr><th>Step</th><th>Engine</th><th>Made from</th><th>Parameters</th></tr>"
    return (
        f"<div class='oda-wide'><table class='oda-provenance'>{head}{rows}</table></div>{more}"
        f"<b>Raw files</b><pre class='oda-code'>{html.escape(chr(10).join(raw) or 'none')}</pre>"
        f"<b>Software</b><p class='oda-note'>{html.escape(versions)}</p>"
    )


def _activity_row(activity: Mapping[str, Any], inputs: Sequence[str]) -> str:
    cells = (
        activity.get("prov:label", ""),
        " ".join(str(activity.get(f"oda:{name}", "")) for name in ("engine", "engine_version")),
        "; ".join(inputs[:6]) + (f"; {len(inputs) - 6} more" if len(inputs) > 6 else ""),
    )
    parameters = html.escape(str(activity.get("oda:parameters", "")))
    folded = f"<details><summary>show</summary><pre class='oda-code'>{parameters}</pre></details>"
    return f"<tr>{''.join(f'<td>{html.escape(str(cell))}</td>' for cell in cells)}<td>{folded}</td></tr>"
