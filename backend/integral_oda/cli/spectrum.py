"""The command ``spectrum``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from integral_oda.cli.options import BackgroundMaps, Selection, with_shared_options
from integral_oda.cli.way import Way

__all__ = ["spectrum_command"]


@with_shared_options
def spectrum_command(
    selection: Selection,
    way: Way,
    channels: Annotated[
        str | None,
        typer.Option("--channels", metavar="62|256|16|13|FILE", help="Channels by number, or a file of edges in keV."),
    ] = None,
    method: Annotated[
        str,
        typer.Option(
            "--method", help="fit: every channel on the detector; mosaic: fluxes in images, for faint sources."
        ),
    ] = "fit",
    group: Annotated[
        float, typer.Option("--group", help="Significance that GROUPING gives every bin; 0 leaves channels alone.")
    ] = 0.0,
    background: BackgroundMaps = None,
) -> None:
    """Make spectra with their responses: of one source, or of every source of the field."""
    from integral_oda.query import SpectrumQuery, make_query

    query = make_query(
        SpectrumQuery, channels=_channels(channels), method=method, group=group, background=background,
        **selection.parameters,
    )  # fmt: skip
    summary = way.carry_out(query)
    if summary and not way.as_json:
        for name in summary["files"]:
            typer.echo(way.out / name)


def _channels(text: str | None) -> str | tuple[float, ...] | None:
    """What is asked for, a file read."""
    if text is None or not Path(text).is_file():
        return text
    from integral_oda.products.channel_file import read_channel_edges

    return tuple(float(edge) for edge in read_channel_edges(text))
