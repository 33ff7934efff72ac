"""The command ``lightcurve``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from integral_oda.cli.options import BackgroundMaps, HighEnergy, LowEnergy, Selection, with_shared_options
from integral_oda.cli.way import Way
from integral_oda.errors import RequestError

__all__ = ["light_curve_command"]


@with_shared_options
def light_curve_command(
    selection: Selection,
    way: Way,
    e1: LowEnergy = 28.0,
    e2: HighEnergy = 80.0,
    band: Annotated[
        list[str] | None, typer.Option("--band", help="Band such as 20-40, in place of --e1, --e2; repeatable.")
    ] = None,
    time_bin: Annotated[float, typer.Option("--time-bin", help="Bin length, seconds.")] = 1000.0,
    binning: Annotated[
        str, typer.Option("--binning", help="fixed | scw | revolution | blocks, or bin edges: T,T,... or @FILE.")
    ] = "fixed",
    barycentre: Annotated[bool, typer.Option("--barycentre", help="Times at the solar system's barycentre.")] = False,
    bursts: Annotated[bool, typer.Option("--bursts", help="Search for bursts of --source.")] = False,
    events: Annotated[bool, typer.Option("--events", help="Write the events of --source with their weights.")] = False,
    fold: Annotated[
        str | None, typer.Option("--fold", metavar="PERIOD[,DERIVATIVE[,EPOCH]]", help="Fold: s, s/s, MJD of phase 0.")
    ] = None,
    period_search: Annotated[
        str | None, typer.Option("--period-search", metavar="LOW,HIGH", help="Search for a period, seconds.")
    ] = None,
    epoch_correction: Annotated[
        bool, typer.Option("--epoch-correction", help="Make rates of different epochs comparable.")
    ] = False,
    background: BackgroundMaps = None,
) -> None:
    """Make light curves: of one source, or of every source of the field."""
    from integral_oda.query import LightCurveQuery, make_query, parse_band

    first, *more = [parse_band(text) for text in band] if band else [(e1, e2)]
    bins = {"bin_edges": _bin_edges(binning)} if "," in binning or binning.startswith("@") else {"binning": binning}
    query = make_query(LightCurveQuery, E1_keV=first[0], E2_keV=first[1], more_bands=more or None, time_bin=time_bin,
                       barycentre=barycentre, bursts=bursts, events=events, fold=fold, period_search=period_search,
                       epoch_correction=epoch_correction, background=background, **bins,
                       **selection.parameters)  # fmt: skip
    summary = way.carry_out(query)
    if summary and not way.as_json:
        for name in summary["files"]:
            typer.echo(way.out / name)


def _bin_edges(text: str) -> str:
    """Times with commas, or those of ``@FILE``, one a line."""
    if not text.startswith("@"):
        return text
    try:
        lines = Path(text[1:]).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        raise RequestError("binning", text, "@FILE needs a readable text file, one bin edge a line") from None
    return ",".join(line.strip() for line in lines if line.strip() and not line.startswith("#"))
