"""Results on the page: figures with their controls, the source table, what was left out."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from typing import Any

from integral_oda.products.source_list import Source

__all__ = ["left_out_html", "source_table_html"]


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
