"""The command ``integral-oda``."""

from __future__ import annotations

import importlib
import json
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.exceptions import TyperException

from integral_oda import __version__
from integral_oda.cli_archive import archive_app, simulate_command
from integral_oda.cli_cache import cache_app
from integral_oda.cli_jobs import jobs_app
from integral_oda.errors import DataError, IntegralOdaError, OutputError, RequestError

if TYPE_CHECKING:
    from integral_oda.query import Query
    from integral_oda.workflow.executor import Executor
    from integral_oda.workflow.progress import Listener, StepEvent

__all__ = ["app", "main"]

app = typer.Typer(
    help="INTEGRAL/ISGRI sky images, spectra and light curves.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    add_completion=False,
)
benchmark_app = typer.Typer(help="Benchmark notebooks with verdicts.", no_args_is_help=True)
app.add_typer(archive_app, name="archive")
app.add_typer(cache_app, name="cache")
app.add_typer(jobs_app, name="jobs")
app.add_typer(benchmark_app, name="benchmark")
app.command("simulate")(simulate_command)

Windows = Annotated[str, typer.Option("--scw-list", help="Science windows: ID,ID,... or @FILE with one a line.")]
SourceName = Annotated[str | None, typer.Option("--source", help="Source, by any name that the catalogue knows.")]
RightAscension = Annotated[float | None, typer.Option("--ra", help="Right ascension of the source, degrees (J2000).")]
Declination = Annotated[float | None, typer.Option("--dec", help="Declination of the source, degrees (J2000).")]
CatalogFile = Annotated[
    Path | None, typer.Option("--catalog", help="Sources to add: FITS, or ECSV with name, ra, dec.")
]
ArchiveRoot = Annotated[Path | None, typer.Option("--archive", help="Root of the local archive.")]
StoreRoot = Annotated[str | None, typer.Option("--store", help="Root of the product store, a folder or a URL.")]
OutFolder = Annotated[Path, typer.Option("--out", help="Folder for the results.")]
GoodTime = Annotated[
    list[str] | None,
    typer.Option("--gti", metavar="FILE|START,STOP", help="Use only this time: IJD, MJD (TT) or ISO UTC; repeatable."),
]
Phase = Annotated[
    str | None, typer.Option("--phase", help="Use only these phases: EPOCH (MJD, TT),PERIOD (s),START,STOP (0 to 1).")
]
RateRange = Annotated[
    str | None, typer.Option("--rate-range", metavar="LOW,HIGH", help="Use only times at which --source has this rate.")
]
RateBin = Annotated[float, typer.Option("--rate-bin", help="Time bin of --rate-range, seconds.")]
LowEnergy = Annotated[float, typer.Option("--e1", help="Lower energy, keV.")]
HighEnergy = Annotated[float, typer.Option("--e2", help="Upper energy, keV.")]
AsJson = Annotated[bool, typer.Option("--json", help="Write summary.json to standard output, and nothing else.")]
Strict = Annotated[bool, typer.Option("--strict", help="Fail where a science window would be left out.")]
JobCount = Annotated[int | None, typer.Option("--jobs", help="Processes to work with, on a cluster of this machine.")]
Scheduler = Annotated[str | None, typer.Option("--scheduler", help="Dask scheduler to work with, tcp://HOST:PORT.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would be done, and do nothing.")]
Detach = Annotated[bool, typer.Option("--detach", help="Work in the background; see `integral-oda jobs`.")]
Crate = Annotated[bool, typer.Option("--crate", help="Make the output folder an RO-Crate that can be rerun.")]


@app.command("image")
def image_command(
    scw_list: Windows,
    out: OutFolder,
    e1: LowEnergy = 28.0,
    e2: HighEnergy = 80.0,
    band: Annotated[
        list[str] | None, typer.Option("--band", help="Band such as 20-40, in place of --e1, --e2.")
    ] = None,
    threshold: Annotated[float, typer.Option("--threshold", help="Significance of new sources.")] = 7.0,
    at: Annotated[list[str] | None, typer.Option("--at", help="Measure at a NAME or RA,DEC in degrees.")] = None,
    source: SourceName = None,
    ra: RightAscension = None,
    dec: Declination = None,
    catalog: CatalogFile = None,
    gti: GoodTime = None,
    phase: Phase = None,
    rate_range: RateRange = None,
    rate_bin: RateBin = 10.0,
    archive: ArchiveRoot = None,
    store: StoreRoot = None,
    as_json: AsJson = False,
    strict: Strict = False,
    jobs: JobCount = None,
    scheduler: Scheduler = None,
    dry_run: DryRun = False,
    detach: Detach = False,
    crate: Crate = False,
) -> None:
    """Make a sky image of science windows and list the sources in it."""
    from integral_oda.query import ImageQuery, make_query, parse_band

    bands = [parse_band(text) for text in band] if band else [(e1, e2)]
    query = make_query(ImageQuery, scw_list=scw_list, bands=bands, detection_threshold=threshold, at=at or None,
                       src_name=source, RA=ra, DEC=dec, catalog=catalog, gti=_good_time(gti),
                       phase=phase, rate_range=rate_range, rate_bin=rate_bin)  # fmt: skip
    way = _Way(archive, store, out, as_json, strict, jobs, scheduler, dry_run, detach, crate)
    summary = way.carry_out(query)
    if summary and not as_json:
        for found in summary["sources"]:
            typer.echo(_source_line(found))


def _good_time(texts: list[str] | None) -> Sequence[tuple[float, float]] | None:
    """Intervals of every ``--gti``, a file or START,STOP."""
    if not texts:
        return None
    from integral_oda.archive.good_time_file import read_good_time
    from integral_oda.query import parse_intervals

    try:
        return [
            pair
            for t in texts
            for pair in (parse_intervals(t) if "," in t and not Path(t).exists() else read_good_time(t))
        ]
    except ValueError as exc:
        raise RequestError("gti", " ".join(texts), str(exc)) from None


def _source_line(source: dict[str, Any]) -> str:
    fluxes = "; ".join(
        f"{b['e1_kev']:g}-{b['e2_kev']:g} keV {b['flux']:.2f} +- {b['flux_error']:.2f} counts/s "
        f"({b['significance']:.1f} sigma, {b['flux_mcrab']:.0f} mCrab)"
        for b in source["bands"]
    )
    kind = " new" if source["new"] else " forced" if source["forced"] else ""
    return f"{source['name']:<20} {source['ra_deg']:9.4f} {source['dec_deg']:+9.4f}{kind}  {fluxes}"


@app.command("lightcurve")
def light_curve_command(
    scw_list: Windows,
    out: OutFolder,
    e1: LowEnergy = 28.0,
    e2: HighEnergy = 80.0,
    time_bin: Annotated[float, typer.Option("--time-bin", help="Bin length, seconds.")] = 1000.0,
    source: SourceName = None,
    ra: RightAscension = None,
    dec: Declination = None,
    catalog: CatalogFile = None,
    gti: GoodTime = None,
    phase: Phase = None,
    rate_range: RateRange = None,
    rate_bin: RateBin = 10.0,
    archive: ArchiveRoot = None,
    store: StoreRoot = None,
    as_json: AsJson = False,
    strict: Strict = False,
    jobs: JobCount = None,
    scheduler: Scheduler = None,
    dry_run: DryRun = False,
    detach: Detach = False,
    crate: Crate = False,
) -> None:
    """Make light curves: of one source, or of every source of the field."""
    from integral_oda.query import LightCurveQuery, make_query

    query = make_query(LightCurveQuery, scw_list=scw_list, E1_keV=e1, E2_keV=e2, time_bin=time_bin,
                       src_name=source, RA=ra, DEC=dec, catalog=catalog, gti=_good_time(gti),
                       phase=phase, rate_range=rate_range, rate_bin=rate_bin)  # fmt: skip
    way = _Way(archive, store, out, as_json, strict, jobs, scheduler, dry_run, detach, crate)
    summary = way.carry_out(query)
    if summary and not as_json:
        for name in summary["files"]:
            typer.echo(out / name)


@app.command("inspect")
def inspect_command(
    scw: Annotated[str, typer.Argument(metavar="SCW", help="Science window.", show_default=False)],
    out: OutFolder,
    archive: ArchiveRoot = None,
    store: StoreRoot = None,
    as_json: AsJson = False,
) -> None:
    """Make the quality page of a science window, with a verdict: keep or drop."""
    from integral_oda.query import QualityQuery, make_query

    query = make_query(QualityQuery, scw_list=(scw,))
    way = _Way(
        archive, store, out, as_json, strict=True, jobs=None, scheduler=None, dry_run=False, detach=False, crate=False
    )
    summary = way.carry_out(query)
    if summary and not as_json:
        typer.echo(f"{query.scw_list[0]}: {summary['verdict']}")
        for reason in summary["reasons"]:
            typer.echo(f"{reason['level']}: {reason['text']}")


@dataclass(frozen=True)
class _Way:
    """How a query is to be carried out, and where its results go."""

    archive: Path | None
    store: str | None
    out: Path
    as_json: bool
    strict: bool
    jobs: int | None
    scheduler: str | None
    dry_run: bool
    detach: bool
    crate: bool

    def carry_out(self, query: Query) -> dict[str, Any] | None:
        """Carry a query out and write its products; None where nothing was to be computed here."""
        if self.dry_run:
            from integral_oda.analysis import plan_query

            typer.echo(plan_query(query, self.archive, self.store).text())
            return None
        _check_output(self.out)
        if self.detach:
            from integral_oda.background import submit

            typer.echo(submit(query, self.archive, self.store, self.out).state().id)
            return None
        return self._write(query)

    def _write(self, query: Query) -> dict[str, Any]:
        from integral_oda.analysis import analyse

        with self._executor() as executor:
            products = analyse(query, self.archive, self.store, self._listener(), strict=self.strict, executor=executor)
        products.write(self.out)
        if self.crate:
            from integral_oda.crate import make_crate

            make_crate(self.out, query, products)
        for window in products.summary["science_windows"]["left_out"]:
            typer.echo(f"left out: {window['scw']}: {window['reason']}", err=True)
        if self.as_json:
            typer.echo(json.dumps(products.summary, indent=2))
        return products.summary

    def _listener(self) -> Listener:
        from integral_oda.workflow.progress import silent

        return silent if self.as_json or not sys.stderr.isatty() else _progress_line

    @contextmanager
    def _executor(self) -> Iterator[Executor | None]:
        if self.jobs is None and self.scheduler is None:
            yield None
            return
        from integral_oda.workflow.cluster import ClusterExecutor

        executor = ClusterExecutor(jobs=self.jobs, scheduler=self.scheduler)
        try:
            yield executor
        finally:
            executor.close()


def _check_output(out: Path) -> None:
    """Refuse an output path that no folder can be made at, before anything is computed."""
    for path in (out, *out.absolute().parents):
        if path.exists():
            if not path.is_dir():
                raise OutputError(f"out = {out}: {path} is a file; a folder is needed")
            return


def _progress_line(event: StepEvent) -> None:
    if event.state != "queued":
        sys.stderr.write(f"\r\033[K{event.scope} {event.step} {event.state}")
        if event.scope == "all" and event.state in ("computed", "restored", "failed"):
            sys.stderr.write("\r\033[K")
        sys.stderr.flush()


@app.command("rerun")
def rerun_command(
    crate: Annotated[Path, typer.Argument(metavar="CRATE", help="Folder that --crate has written.")],
    out: OutFolder,
    archive: ArchiveRoot = None,
    store: StoreRoot = None,
) -> None:
    """Carry out the query of an RO-Crate again; the exit status is 0 if every file comes out the same."""
    from integral_oda.crate import rerun

    _check_output(out)
    different = rerun(crate, out, archive, store)
    if different:
        raise DataError(f"{out}: not the same as in {crate}: {', '.join(different)}")
    typer.echo(f"{out}: the same, byte for byte, as {crate}")


@app.command("app")
def app_command(
    port: Annotated[int | None, typer.Option("--port", help="Port; a free one unless given.")] = None,
    archive: ArchiveRoot = None,
    store: StoreRoot = None,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open a browser.")] = True,
) -> None:
    """Open the explorer page."""
    from integral_oda.folders import archive_root, store_root

    launcher = importlib.import_module("integral_widgets.launcher")
    launcher.launch(
        port=port, archive=archive or archive_root(), store=Path(store) if store else store_root(), browser=browser
    )


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
