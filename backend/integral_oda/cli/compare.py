"""The command ``compare``."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from integral_oda.cli.options import HighEnergy, LowEnergy, Selection, with_shared_options
from integral_oda.cli.way import Way, check_output
from integral_oda.errors import RequestError

__all__ = ["compare_command"]

_PRODUCTS = ("image", "spectrum", "lightcurve")


@with_shared_options
def compare_command(
    selection: Selection,
    way: Way,
    engines: Annotated[str, typer.Option("--engines", help="Engines, with commas; the first is the reference.")] = (
        "native,osa"
    ),
    product: Annotated[
        list[str] | None,
        typer.Option("--product", help="image, spectrum or lightcurve; repeatable; all with a source, else the image."),
    ] = None,
    e1: LowEnergy = 28.0,
    e2: HighEnergy = 80.0,
    threshold: Annotated[float, typer.Option("--threshold", help="Significance of new sources.")] = 7.0,
    time_bin: Annotated[float, typer.Option("--time-bin", help="Bin length of light curves, seconds.")] = 1000.0,
) -> None:
    """Run several engines on one query and write how their products differ."""
    from integral_oda.engine_comparison import compare_engines, parse_engines
    from integral_oda.query import ImageQuery, LightCurveQuery, SpectrumQuery, make_query

    named = parse_engines(engines)
    values = {name: value for name, value in selection.parameters.items() if name != "engine"}
    asked = product or (_PRODUCTS if selection.source or selection.ra is not None else _PRODUCTS[:1])
    made: dict[str, Any] = {
        "image": lambda: make_query(ImageQuery, bands=[(e1, e2)], detection_threshold=threshold, **values),
        "spectrum": lambda: make_query(SpectrumQuery, **values),
        "lightcurve": lambda: make_query(LightCurveQuery, E1_keV=e1, E2_keV=e2, time_bin=time_bin, **values),
    }
    for name in asked:
        if name not in made:
            raise RequestError("product", name, f"one of {', '.join(_PRODUCTS)}")
    check_output(way.out)
    with way.executor() as executor:
        report = compare_engines(
            [made[name]() for name in asked], named, way.out, way.archive, way.store, way.listener(), executor
        )
    if way.as_json:
        typer.echo(json.dumps(report, indent=2))
        return
    for item in report["comparisons"]:
        typer.echo(f"{item['product']}: {item['first']} and {item['second']}")
    typer.echo(way.out / "compare.html")
