"""Results on the page: figures with their controls, the source table, what was left out."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import ipywidgets as widgets

from integral_oda.products.source_list import Source
from integral_oda.results import SpectrumProducts

__all__ = ["SpectrumView", "left_out_html", "source_table_html"]


class SpectrumView:
    """Spectrum with its source to choose.

    Parameters
    ----------
    products : SpectrumProducts
        What the analysis gave.
    """

    def __init__(self, products: SpectrumProducts) -> None:
        self.products = products
        pictures = [path for path in products.files if path.name.startswith("spectrum_") and path.suffix == ".png"]
        names = [(path.stem.removeprefix("spectrum_"), number) for number, path in enumerate(pictures)]
        self.place = widgets.Image(format="png", layout=widgets.Layout(max_width="100%", width="640px"))
        self.source = widgets.Dropdown(description="Source", options=names)
        self.source.observe(lambda change: self._show(pictures[change["new"]]), names="value")
        if pictures:
            self._show(pictures[0])
        self.widget = widgets.VBox([*([self.source] if len(names) > 1 else []), self.place])
        self.widget.add_class("oda-spectrum")

    def _show(self, picture: Path) -> None:
        self.place.value = picture.read_bytes()


def source_table_html(sources: Sequence[Source]) -> str:
    """Sources, the most significant first, one row a source and band; names are text, never markup."""
    if not sources:
        return "<p class='oda-note'>No source above the threshold.</p>"
    rows = [
        _source_row(source, number)
        for source in sorted(sources, key=lambda s: -s.significance)
        for number in range(len(source.bands))
    ]
    titles = ("Source", "RA [deg]", "Dec [deg]", "90 % radius [′]", "Band [keV]", "Flux [counts/s]", "[mCrab]", "Sigma")
    head = "".join(f"<th>{title}</th>" for title in titles)
    return f"<div class='oda-wide'><table class='oda-sources'><tr>{head}</tr>{''.join(rows)}</table></div>"


def _source_row(source: Source, number: int) -> str:
    band = source.bands[number]
    mark = " (new)" if source.new else " (forced)" if source.forced else ""
    mcrab = f"{band.flux_mcrab:.1f}" if math.isfinite(band.flux_mcrab) else ""
    cells = (
        html.escape(source.name + mark),
        f"{source.ra_deg:.4f}",
        f"{source.dec_deg:+.4f}",
        f"{source.error_radius_arcmin:.2f}",
        f"{band.e1_kev:g}-{band.e2_kev:g}",
        f"{band.flux:.2f} ± {band.flux_error:.2f}",
        mcrab,
        f"{band.significance:.1f}",
    )
    kind = "oda-new" if source.new else "oda-known"
    return f"<tr class='{kind}'>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def left_out_html(summary: Mapping[str, Any]) -> str:
    """Science windows that were left out, with the reason, and how the result came about."""
    windows = summary.get("science_windows", {})
    lines = [f"{item['scw']} left out: {item['reason']}" for item in windows.get("left_out", ())]
    nodes = summary.get("nodes")
    if nodes:
        lines.append(f"{nodes['computed']} steps computed, {nodes['restored']} taken from the store")
    return "".join(f"<div class='oda-note'>{html.escape(line)}</div>" for line in lines)
