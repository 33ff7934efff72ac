"""The commands ``osa check`` and what reads OSA's files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from integral_oda.cli.options import ArchiveRoot, AsJson, OutFolder, StoreRoot
from integral_oda.engine_choice import OSA_VERSIONS
from integral_oda.errors import RequestError, UnavailableError

__all__ = ["import_command", "osa_app"]

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

    if osa_version is not None and osa_version not in OSA_VERSIONS:
        raise RequestError("osa_version", osa_version, f"one of {', '.join(OSA_VERSIONS)}")
    requirements = check_osa(archive or archive_root(), osa_version)
    for item in requirements:
        typer.echo(str(item))
    missing = [item for item in requirements if item.needed and not item.found]
    if missing:
        raise UnavailableError(f"engine osa cannot run: {len(missing)} of {len(requirements)} things are missing")
    typer.echo("engine osa can run")


def import_command(
    observation: Annotated[Path, typer.Argument(metavar="OBS", help="OSA observation directory, or one file of it.")],
    out: OutFolder,
    store: StoreRoot = None,
    as_json: AsJson = False,
) -> None:
    """Read the products of an existing OSA observation directory: images, source lists, spectra, light curves, PIFs."""
    from integral_oda.cli.way import check_output
    from integral_oda.observation_import import import_observation

    check_output(out)
    summary = import_observation(observation, out, store)
    for left in summary["left_out"]:
        typer.echo(f"left out: {left['folder']}: {left['reason']}", err=True)
    if as_json:
        typer.echo(json.dumps(summary, indent=2))
        return
    for name in summary["files"]:
        typer.echo(out / name)
