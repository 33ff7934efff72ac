"""The command ``lightcurve``."""

from __future__ import annotations

from typing import Annotated

import typer

from integral_oda.cli.options import HighEnergy, LowEnergy, Selection, with_shared_options
from integral_oda.cli.way import Way

__all__ = ["light_curve_command"]


@with_shared_options
def light_curve_command(
    selection: Selection,
    way: Way,
    e1: LowEnergy = 28.0,
    e2: HighEnergy = 80.0,
    time_bin: Annotated[float, typer.Option("--time-bin", help="Bin length, seconds.")] = 1000.0,
) -> None:
    """Make light curves: of one source, or of every source of the field."""
    from integral_oda.query import LightCurveQuery, make_query

    query = make_query(LightCurveQuery, E1_keV=e1, E2_keV=e2, time_bin=time_bin, **selection.parameters)
    summary = way.carry_out(query)
    if summary and not way.as_json:
        for name in summary["files"]:
            typer.echo(way.out / name)
