"""Commands of ``integral-oda`` that run the benchmark notebooks."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Annotated

import typer

from integral_oda.cli.options import ArchiveRoot, OutFolder, StoreRoot
from integral_oda.errors import DataError

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
) -> None:
    """Run benchmarks and write their reports; the exit status is 1 if a verdict fails."""
    from integral_oda.folders import archive_root, store_root

    benchmarks = importlib.import_module("integral_widgets.benchmarks")
    wanted = [b.name for b in benchmarks.list_benchmarks()] if names == ["all"] else names
    roots = {"archive": archive or archive_root(), "store": store or store_root()}
    reports = [benchmarks.run_benchmark(name, out, typer.echo, **roots) for name in wanted]
    failed = [report.name for report in reports if not report.passed]
    if failed:
        raise DataError(f"verdicts failed: {', '.join(failed)}")
