"""Commands of ``integral-oda`` that run the benchmark notebooks."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Annotated, Any

import typer

from integral_oda.cli.options import ArchiveRoot, OutFolder, StoreRoot
from integral_oda.errors import DataError, RequestError

__all__ = ["benchmark_app"]

benchmark_app = typer.Typer(help="Benchmark notebooks with verdicts.", no_args_is_help=True)


@benchmark_app.command("list")
def benchmark_list_command() -> None:
    """List the benchmarks."""
    for benchmark in importlib.import_module("integral_widgets.benchmarks").list_benchmarks():
        typer.echo(f"{benchmark.name:<16} {benchmark.title}")


@benchmark_app.command("run")
def benchmark_run_command(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Benchmarks, or all.")],
    out: OutFolder = Path("benchmark-reports"),
    archive: ArchiveRoot = None,
    store: StoreRoot = None,
    data: Annotated[str | None, typer.Option("--data", help="twin (simulated), archive or mmoda.")] = None,
    engine: Annotated[str | None, typer.Option("--engine", help="native, osa or mmoda.")] = None,
    windows: Annotated[int | None, typer.Option("--windows", min=1, help="Number of science windows.")] = None,
    seed: Annotated[int | None, typer.Option("--seed", min=0, help="Of simulated windows.")] = None,
    full: Annotated[bool, typer.Option("--full", help="As many science windows as were published.")] = False,
    jobs: Annotated[int, typer.Option("--jobs", min=1, help="Benchmarks that run at the same time.")] = 2,
    setting: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Parameter of the notebooks; repeatable.")
    ] = None,
) -> None:
    """Run benchmarks and write their reports and an index page; the exit status is 1 if a verdict fails."""
    from integral_oda.folders import archive_root, store_root

    given = {"data": data, "engine": engine, "windows": windows, "seed": seed, "full": full or None}
    parameters = {
        "archive": archive or archive_root(),
        "store": store or store_root(),
        **{name: value for name, value in given.items() if value is not None},
        **_settings(setting or []),
    }
    benchmarks = importlib.import_module("integral_widgets.benchmarks")
    reports = benchmarks.run_benchmarks(names, out, typer.echo, jobs=jobs, **parameters)
    typer.echo(f"index of all: {Path(out).resolve() / 'index.html'}")
    stopped = [f"{report.name} {report.failure}" for report in reports if report.failure]
    failed = [report.name for report in reports if not report.passed and not report.failure]
    if stopped or failed:
        raise DataError("; ".join([*stopped, *([f"verdicts failed: {', '.join(failed)}"] if failed else [])]))


def _settings(texts: list[str]) -> dict[str, Any]:
    """Names and values; a value is JSON where it can be read so, else text."""
    values = {}
    for text in texts:
        name, sign, value = text.partition("=")
        if not sign or not name.isidentifier():
            raise RequestError("set", text, "NAME=VALUE is needed")
        try:
            values[name] = json.loads(value)
        except ValueError:
            values[name] = value
    return values
