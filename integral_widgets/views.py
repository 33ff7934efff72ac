"""Results on the page: figures with their controls, the source table, what was left out."""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ipywidgets as widgets

from integral_oda.products.source_list import Source
from integral_oda.query import Query
from integral_widgets import image_view, light_curve_view
from integral_widgets.downloads import download_list
from integral_widgets.live_imaging import LiveImaging
from integral_widgets.reproduce import command_line, python_code
from integral_widgets.tasks import ImageResult, LightCurveResult

__all__ = ["ImageView", "LightCurveView", "left_out_html", "source_table_html"]


class ImageView(image_view.ImageView):
    """Sky image with its source table, downloads and how to make them again.

    Parameters
    ----------
    result : ImageResult
        What the analysis gave.
    measure : callable
        Given right ascension and declination (degrees, FK5) where the user wants a flux.
    on_band, live
        As for `integral_widgets.image_view.ImageView`.
    """

    def __init__(
        self,
        result: ImageResult,
        measure: Callable[[float, float], None],
        on_band: Callable[[float, float], None] | None = None,
        live: LiveImaging | None = None,
    ) -> None:
        super().__init__(result, on_measure=measure, on_band=on_band, live=live)
        table = widgets.HTML(source_table_html(result.sources))
        self.widget = widgets.VBox([self.widget, table, *_about(result)])


class LightCurveView(light_curve_view.LightCurveView):
    """Light curves with downloads and how to make them again.

    Parameters
    ----------
    result : LightCurveResult
        What the analysis gave.
    image_between : callable
        Given the start and stop (IJD) of the time that the user wants an image of.
    """

    def __init__(self, result: LightCurveResult, image_between: Callable[[float, float], None]) -> None:
        super().__init__(result, on_interval=image_between)
        self.widget = widgets.VBox([self.widget, *_about(result)])


def _about(result: ImageResult | LightCurveResult) -> list[widgets.Widget]:
    return [widgets.HTML(left_out_html(result.summary)), download_list(result.files), reproduction(result.query)]


def reproduction(query: Query) -> widgets.Accordion:
    """The query as a command and as Python code, folded away."""
    texts = ("Command line", command_line(query)), ("Python", python_code(query))
    blocks = [widgets.HTML(f"<b>{title}</b><pre class='oda-code'>{html.escape(text)}</pre>") for title, text in texts]
    folded = widgets.Accordion([widgets.VBox(blocks)], titles=("The same from the shell or from Python",))
    folded.add_class("oda-reproduction")
    return folded


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
