"""The command ``integral-oda``."""

from __future__ import annotations

import atexit
import gc
import re
import sys
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.exceptions import TyperException

from integral_oda import __version__
from integral_oda.errors import IntegralOdaError

__all__ = ["main", "make_app"]

_GROUPS = {
    "archive": "archive:archive_app",
    "cache": "cache:cache_app",
    "calibrate": "calibrate:calibrate_app",
    "catalog": "catalog:catalog_app",
    "jobs": "jobs:jobs_app",
    "ic": "instrument:ic_app",
    "benchmark": "benchmark:benchmark_app",
    "osa": "osa:osa_app",
}
_COMMANDS = {
    "simulate": "archive:simulate_command",
    "image": "image:image_command",
    "mosaic": "mosaic:mosaic_command",
    "lightcurve": "light_curve:light_curve_command",
    "spectrum": "spectrum:spectrum_command",
    "fit": "fit:fit_command",
    "inspect": "quality:inspect_command",
    "compare": "compare:compare_command",
    "import": "osa:import_command",
    "rerun": "crate:rerun_command",
    "app": "page:app_command",
    "serve": "serve:serve_command",
}


_OBJECTS_A_COLLECTION = 50_000


def make_app(asked: str = "") -> typer.Typer:
    """The command line with all its commands, or with the one asked for: each takes time to make.

    Parameters
    ----------
    asked : str
        First word of the command line.
    """
    app = typer.Typer(
        help="INTEGRAL/ISGRI sky images, spectra and light curves.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        add_completion=False,
    )
    app.callback()(top)
    every = asked not in {**_GROUPS, **_COMMANDS}
    for name, place in _GROUPS.items():
        if every or name == asked:
            app.add_typer(_found(place), name=name)
    for name, place in _COMMANDS.items():
        if every or name == asked:
            app.command(name)(_found(place))
    return app


def _found(place: str) -> Any:
    module, _, name = place.partition(":")
    return getattr(import_module(f"integral_oda.cli.{module}"), name)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


def top(version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True)] = False) -> None:
    """INTEGRAL/ISGRI sky images, spectra and light curves."""


def main() -> None:
    """Run the command; every error a user can meet is one line."""
    _collect_seldom()
    try:
        sys.exit(make_app(*sys.argv[1:2])(standalone_mode=False) or 0)
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


def _collect_seldom() -> None:
    """Look for unreachable cycles seldom, and not at all when the process ends, which frees them all at once.

    What takes room are arrays, and those go with their last reference.
    """
    gc.set_threshold(_OBJECTS_A_COLLECTION)
    atexit.register(gc.freeze)


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
