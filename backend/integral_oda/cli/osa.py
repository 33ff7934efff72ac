"""The commands ``osa check`` and what reads OSA's files."""

from __future__ import annotations

from typing import Annotated

import typer

from integral_oda.cli.options import ArchiveRoot
from integral_oda.errors import UnavailableError

__all__ = ["osa_app"]

osa_app = typer.Typer(help="The Offline Science Analysis, where it is installed.", no_args_is_help=True)


@osa_app.callback()
def osa_group() -> None:
    """The Offline Science Analysis, where it is installed."""


@osa_app.command("check")
def check_command(
    archive: ArchiveRoot = None,
    osa_version: Annotated[
        str | None, typer.Option("--osa-version", help="OSA that is looked for; any unless given.")
    ] = None,
) -> None:
    """Say what the engine osa needs, found or missing, and how to get it; the exit status is 1 if it cannot run."""
    from integral_oda.engines.osa.requirements import check_osa
    from integral_oda.folders import archive_root

    requirements = check_osa(archive or archive_root(), osa_version)
    for item in requirements:
        typer.echo(str(item))
    missing = [item for item in requirements if item.needed and not item.found]
    if missing:
        raise UnavailableError(f"engine osa cannot run: {len(missing)} of {len(requirements)} things are missing")
    typer.echo("engine osa can run")
