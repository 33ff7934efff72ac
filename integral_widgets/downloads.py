"""Download links for result files, whoever serves the page."""

from __future__ import annotations

import base64
import html
import os
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

import ipywidgets as widgets

__all__ = ["DATA_URI_LIMIT", "SERVED_ROOT", "data_uri_link", "download_list", "file_link"]

DATA_URI_LIMIT = 5_000_000
SERVED_ROOT = "INTEGRAL_ODA_SERVED"

_TYPES = {".fits": "application/fits", ".gz": "application/gzip", ".json": "application/json", ".png": "image/png"}


def file_link(path: Path) -> str | None:
    """Address under which Voila serves a file, or None where this page's server does not serve it.

    The launcher passes the served folder on in the environment; the page's own address is no guide to it.
    """
    served, base = os.environ.get(SERVED_ROOT), os.environ.get("VOILA_BASE_URL")
    if served is None or base is None or not path.is_relative_to(served):
        return None
    return f"{base.rstrip('/')}/voila/files/{quote(path.relative_to(served).as_posix())}"


def data_uri_link(path: Path) -> str:
    """Anchor that holds the whole file, so that it needs no server."""
    content = base64.b64encode(path.read_bytes()).decode("ascii")
    return _anchor(f"data:{_TYPES.get(path.suffix, 'application/octet-stream')};base64,{content}", path)


def download_list(paths: Sequence[Path]) -> widgets.HBox:
    """One item a file: a link where the server serves the file, else a button that makes one on demand.

    Parameters
    ----------
    paths : sequence of Path
        Files as they are now; a file above 5 MB that no server serves is named with its place on disk.
    """
    box = widgets.HBox([_line(path) for path in paths], layout=widgets.Layout(flex_flow="row wrap"))
    box.add_class("oda-downloads")
    return box


def _line(path: Path) -> widgets.Widget:
    address = file_link(path)
    if address is not None:
        return widgets.HTML(f"{_anchor(address, path)} {_size(path)}")
    if path.stat().st_size > DATA_URI_LIMIT:
        return widgets.HTML(f"{html.escape(str(path))} {_size(path)}")
    return _on_demand(path)


def _on_demand(path: Path) -> widgets.HBox:
    """Button that turns into a link; the link goes when another click asks for it, so no copy stays for ever."""
    place = widgets.HTML(_size(path))
    button = widgets.Button(description=path.name, icon="download", layout=widgets.Layout(width="auto"))

    def toggle(_: widgets.Button) -> None:
        shown = "data:" in place.value
        place.value = _size(path) if shown else f"{data_uri_link(path)} {_size(path)}"

    button.on_click(toggle)
    return widgets.HBox([button, place])


def _anchor(address: str, path: Path) -> str:
    name = html.escape(path.name, quote=True)
    return f'<a class="oda-download" href="{html.escape(address, quote=True)}" download="{name}">{name}</a>'


def _size(path: Path) -> str:
    size = path.stat().st_size
    text = f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size / 1e3:.1f} kB"
    return f"<span class='oda-size'>{text}</span>"
