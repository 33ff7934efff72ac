"""The command ``integral-oda``."""

from __future__ import annotations

import re
import sys
from typing import Annotated

import typer
from typer.exceptions import TyperException

from integral_oda import __version__
from integral_oda.cli.archive import archive_app, simulate_command
from integral_oda.cli.benchmark import benchmark_app
from integral_oda.cli.cache import cache_app
from integral_oda.cli.calibrate import calibrate_app
from integral_oda.cli.catalog import catalog_app
from integral_oda.cli.compare import compare_command
from integral_oda.cli.crate import rerun_command
from integral_oda.cli.fit import fit_command
from integral_oda.cli.image import image_command
from integral_oda.cli.instrument import ic_app
from integral_oda.cli.jobs import jobs_app
from integral_oda.cli.light_curve import light_curve_command
from integral_oda.cli.mosaic import mosaic_command
from integral_oda.cli.osa import import_command, osa_app
from integral_oda.cli.page import app_command
from integral_oda.cli.quality import inspect_command
from integral_oda.cli.serve import serve_command
from integral_oda.cli.spectrum import spectrum_command
from integral_oda.errors import IntegralOdaError

__all__ = ["app", "main"]

app = typer.Typer(
    help="INTEGRAL/ISGRI sky images, spectra and light curves.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    add_completion=False,
)
app.add_typer(archive_app, name="archive")
app.add_typer(cache_app, name="cache")
app.add_typer(calibrate_app, name="calibrate")
app.add_typer(catalog_app, name="catalog")
app.add_typer(jobs_app, name="jobs")
app.add_typer(ic_app, name="ic")
app.add_typer(benchmark_app, name="benchmark")
app.add_typer(osa_app, name="osa")
app.command("simulate")(simulate_command)
app.command("image")(image_command)
app.command("mosaic")(mosaic_command)
app.command("lightcurve")(light_curve_command)
app.command("spectrum")(spectrum_command)
app.command("fit")(fit_command)
app.command("inspect")(inspect_command)
app.command("compare")(compare_command)
app.command("import")(import_command)
app.command("rerun")(rerun_command)
app.command("app")(app_command)
app.command("serve")(serve_command)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def top(version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True)] = False) -> None:
    """INTEGRAL/ISGRI sky images, spectra and light curves."""


def main() -> None:
    """Run the command; every error a user can meet is one line."""
    try:
        sys.exit(app(standalone_mode=False) or 0)
    except IntegralOdaError as exc:
        _fail(str(exc), exc.exit_status)
    except (KeyboardInterrupt, typer.Abort):
        _fail("interrupted", 130)
    except TyperException as exc:
        message = getattr(exc, "format_message", exc.__str__)()
        if message.startswith("Usage:"):
            typer.echo(message, err=True)
            sys.exit(2)
        _fail(_with_value(message), 2)


def _with_value(message: str) -> str:
    """Put what was typed into a message that names an option alone."""
    option = re.search(r"'(--[\w-]+)'", message)
    following = dict(zip(sys.argv, sys.argv[1:], strict=False))
    if option and option[1] in following and message.startswith("Invalid value"):
        return f"{option[1]} = {following[option[1]]}: {message.partition(': ')[2]}"
    return message


def _fail(message: str, status: int) -> None:
    typer.echo(f"integral-oda: {' '.join(message.split())}", err=True)
    sys.exit(status)
