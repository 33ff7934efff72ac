"""Commands of ``integral-oda`` that fill, list and check an archive."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from integral_oda.errors import DataError
from integral_oda.folders import archive_root

__all__ = ["archive_app", "simulate_command"]

archive_app = typer.Typer(help="Fill, list and check the local archive of science windows.", no_args_is_help=True)

ArchiveFolder = Annotated[
    Path | None,
    typer.Option("--archive", metavar="DIR", help="Root of the archive.", show_default="the user's data folder"),
]


@archive_app.command("sample")
def sample_command(archive: ArchiveFolder = None) -> None:
    """Fetch the real science window 255900280010 (SGR 1935+2154, 12 October 2022)."""
    from integral_oda.archive.sample import fetch_sample

    typer.echo(fetch_sample(archive or archive_root(), report=typer.echo))


@archive_app.command("list")
def list_command(archive: ArchiveFolder = None) -> None:
    """List the science windows of the archive."""
    from integral_oda.archive.tree import Archive

    for scw in Archive(archive or archive_root()).windows():
        typer.echo(scw)


@archive_app.command("verify")
def verify_command(archive: ArchiveFolder = None) -> None:
    """Read every science window of the archive and say what is missing or damaged."""
    from integral_oda.archive.tree import Archive

    root = archive or archive_root()
    found = Archive(root).verify()
    for scw, problems in found.items():
        typer.echo(f"{scw}: {'; '.join(problems) or 'whole'}")
    damaged = sum(1 for problems in found.values() if problems)
    if damaged:
        raise DataError(f"{damaged} of {len(found)} science windows in {root} are damaged")


def simulate_command(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE.yaml", help="What to simulate.", show_default=False)],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Root of the archive to write.")],
) -> None:
    """Simulate science windows with known truth and write them as an archive.

    A recipe names pointings or a dither pattern, sources with spectrum and behaviour, background, the state of
    the detector and nuisances; integral_oda.simulation.recipe.Recipe describes every field.
    """
    from integral_oda.simulation.recipe import read_recipe
    from integral_oda.simulation.window import simulate

    for scw in simulate(read_recipe(recipe), out, report=typer.echo):
        typer.echo(scw)
