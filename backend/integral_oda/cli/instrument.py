"""Commands ``integral-oda ic``: the instrument characteristics that a user has."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from integral_oda.cli.options import ArchiveRoot

__all__ = ["ic_app"]

ic_app = typer.Typer(help="Instrument characteristics (IC tree).", no_args_is_help=True)


@ic_app.command("info")
def info_command(
    tree: Annotated[
        Path | None,
        typer.Option("--ic", metavar="DIR", help="Root of the tree, else INTEGRAL_ODA_IC or the archive's."),
    ] = None,
    archive: ArchiveRoot = None,
    time: Annotated[str | None, typer.Option("--time", help="For this time: IJD, MJD (TT) or ISO UTC.")] = None,
) -> None:
    """Say, kind by kind, which file of the IC tree holds for a time, or what stands in its place."""
    from integral_oda.archive.calibration import ic_use
    from integral_oda.archive.ic_tree import IC_KINDS, IcTree, checked_tree
    from integral_oda.errors import RequestError
    from integral_oda.folders import archive_root, ic_root
    from integral_oda.query import parse_time

    try:
        time_ijd = None if time is None else parse_time(time)
    except ValueError as exc:
        raise RequestError("time", time, str(exc)) from None
    found = checked_tree(tree) if tree else IcTree(ic_root(archive or archive_root()))
    typer.echo(f"IC tree {found.root}" + ("" if found else ": no folder ic/ibis in it, everything is nominal"))
    for kind in IC_KINDS.values():
        files = found.files(kind.name) if time_ijd is None else [found.find(kind.name, time_ijd)]
        typer.echo(f"{kind.name:<5} {kind.structure:<14} {ic_use(kind, [file for file in files if file])}")
