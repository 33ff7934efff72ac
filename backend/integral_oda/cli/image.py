"""The command ``image``."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from integral_oda.cli.options import BackgroundMaps, HighEnergy, LowEnergy, Selection, with_shared_options
from integral_oda.cli.way import Way

__all__ = ["image_command", "source_line"]


@with_shared_options
def image_command(
    selection: Selection,
    way: Way,
    e1: LowEnergy = 28.0,
    e2: HighEnergy = 80.0,
    band: Annotated[
        list[str] | None, typer.Option("--band", help="Band such as 20-40, in place of --e1, --e2.")
    ] = None,
    threshold: Annotated[float, typer.Option("--threshold", help="Significance of new sources.")] = 7.0,
    at: Annotated[list[str] | None, typer.Option("--at", help="Measure at a NAME or RA,DEC in degrees.")] = None,
    background: BackgroundMaps = None,
) -> None:
    """Make a sky image of science windows and list the sources in it."""
    from integral_oda.query import ImageQuery, make_query, parse_band

    bands = [parse_band(text) for text in band] if band else [(e1, e2)]
    query = make_query(
        ImageQuery,
        bands=bands,
        background=background,
        detection_threshold=threshold,
        at=at or None,
        **selection.parameters,
    )
    summary = way.carry_out(query)
    if summary and not way.as_json:
        for found in summary["sources"]:
            typer.echo(source_line(found))


def source_line(source: dict[str, Any]) -> str:
    """One line a source: name, position, fluxes."""
    fluxes = "; ".join(
        f"{b['e1_kev']:g}-{b['e2_kev']:g} keV {b['flux']:.2f} +- {b['flux_error']:.2f} counts/s "
        f"({b['significance']:.1f} sigma, {b['flux_mcrab']:.0f} mCrab)"
        for b in source["bands"]
    )
    kind = " new" if source["new"] else " forced" if source["forced"] else ""
    return f"{source['name']:<20} {source['ra_deg']:9.4f} {source['dec_deg']:+9.4f}{kind}  {fluxes}"
