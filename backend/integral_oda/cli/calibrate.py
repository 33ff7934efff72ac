"""The commands ``calibrate``."""

from __future__ import annotations

from typing import Annotated

import typer

from integral_oda.cli.options import (
    ArchiveRoot,
    AsJson,
    CatalogFile,
    JobCount,
    OutFolder,
    Scheduler,
    StoreRoot,
    Strict,
)
from integral_oda.cli.way import Way

__all__ = ["calibrate_app"]

calibrate_app = typer.Typer(help="Make calibration of the science windows of an archive.", no_args_is_help=True)


@calibrate_app.callback()
def top() -> None:
    """Make calibration of the science windows of an archive."""


@calibrate_app.command("background")
def background_command(
    out: OutFolder,
    scw_list: Annotated[
        str | None,
        typer.Option("--scw-list", help="Science windows: ID,ID,... or @FILE; all of the archive if not given."),
    ] = None,
    band: Annotated[list[str] | None, typer.Option("--band", help="Band such as 20-40; repeatable.")] = None,
    catalog: CatalogFile = None,
    archive: ArchiveRoot = None,
    store: StoreRoot = None,
    as_json: AsJson = False,
    strict: Strict = False,
    jobs: JobCount = None,
    scheduler: Scheduler = None,
) -> None:
    """Make background maps, by epoch and band, of science windows whose sources lie on different pixels."""
    from integral_oda.archive.tree import Archive
    from integral_oda.errors import RequestError
    from integral_oda.folders import archive_root
    from integral_oda.query import BackgroundQuery, make_query, parse_band

    root = archive or archive_root()
    windows = scw_list or ",".join(map(str, Archive(root).windows()))
    if not windows:
        raise RequestError("archive", root, "an archive with science windows")
    bands = [parse_band(text) for text in band] if band else None
    query = make_query(BackgroundQuery, scw_list=windows, bands=bands, catalog=catalog)
    way = Way(out, archive, store, as_json, strict=strict, jobs=jobs, scheduler=scheduler)
    summary = way.carry_out(query)
    if summary and not as_json:
        for name in summary["files"]:
            typer.echo(out / name)
