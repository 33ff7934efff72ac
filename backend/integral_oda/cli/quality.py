"""The command ``inspect``."""

from __future__ import annotations

from typing import Annotated

import typer

from integral_oda.cli.options import ArchiveRoot, AsJson, CatalogFile, GoodTime, OutFolder, StoreRoot, good_time
from integral_oda.cli.way import Way

__all__ = ["inspect_command"]


def inspect_command(
    scw: Annotated[str, typer.Argument(metavar="SCW", help="Science window.", show_default=False)],
    out: OutFolder,
    archive: ArchiveRoot = None,
    store: StoreRoot = None,
    as_json: AsJson = False,
    gti: GoodTime = None,
    catalog: CatalogFile = None,
) -> None:
    """Make the quality page of a science window, with a verdict: keep or drop."""
    from integral_oda.query import QualityQuery, make_query

    query = make_query(QualityQuery, scw_list=(scw,), gti=good_time(gti), catalog=catalog)
    summary = Way(out, archive, store, as_json, strict=True).carry_out(query)
    if summary and not as_json:
        typer.echo(f"{query.scw_list[0]}: {summary['verdict']}")
        for reason in summary["reasons"]:
            typer.echo(f"{reason['level']}: {reason['text']}")
