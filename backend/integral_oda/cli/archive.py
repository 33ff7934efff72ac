"""Commands of ``integral-oda`` that fill, list and check an archive."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from integral_oda.cli.instrument import ic_app
from integral_oda.cli.options import ArchiveRoot, OutFolder, Pointings, with_shared_options
from integral_oda.errors import DataError, RequestError, UnavailableError
from integral_oda.folders import archive_root

if TYPE_CHECKING:
    from integral_oda.archive.fetch import FetchReport

__all__ = ["archive_app", "simulate_command"]

archive_app = typer.Typer(help="Fill, list and check the local archive of science windows.", no_args_is_help=True)

ArchiveFolder = Annotated[
    Path | None,
    typer.Option("--archive", metavar="DIR", help="Root of the archive.", show_default="the user's data folder"),
]
Mirrors = Annotated[
    list[str] | None,
    typer.Option("--from", help="heasarc, isdc, esa, or the URL of a tree; repeatable, asked one after the other."),
]


def _existing(archive: Path | None) -> Path:
    """Root of the archive; one that was named has to be there, the user's own may be empty yet."""
    if archive is not None and not archive.is_dir():
        raise RequestError("archive", archive, "a folder, the root of an archive")
    return archive or archive_root()


@archive_app.command("sample")
def sample_command(archive: ArchiveFolder = None) -> None:
    """Fetch the real science window 255900280010 (SGR 1935+2154, 12 October 2022)."""
    from integral_oda.archive.sample import fetch_sample

    typer.echo(fetch_sample(archive or archive_root(), report=typer.echo))


@archive_app.command("list")
def list_command(archive: ArchiveFolder = None) -> None:
    """List the science windows of the archive."""
    from integral_oda.archive.tree import Archive

    for scw in Archive(_existing(archive)).windows():
        typer.echo(scw)


@archive_app.command("index")
def index_command(
    archive: ArchiveFolder = None,
    jobs: Annotated[
        int | None, typer.Option("--jobs", min=1, help="Processes that read; all cores unless given.")
    ] = None,
    good_time: Annotated[
        bool, typer.Option("--good-time", help="Read the good time too, from whole event files: a second a window.")
    ] = False,
    source: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="isdc|heasarc|isla|FILE",
            help="Take the pointings of the whole mission from there, or those of a file.",
        ),
    ] = None,
) -> None:
    """Bring the pointing index of the archive up to date: only new and changed science windows are read."""
    from integral_oda.archive.indexing import update_index

    root = archive or archive_root()
    if source is not None:
        typer.echo(f"{_take_pointings(root, source)}: pointings taken from {source}")
        return
    done = update_index(_existing(archive), jobs, lambda line: typer.echo(line, err=True), good_time=good_time)
    for problem in done.problems:
        typer.echo(f"not in the index: {problem}", err=True)
    typer.echo(f"{done.path}: {done.windows} science windows, {done.read} read now, {done.removed} gone")


def _take_pointings(root: Path, source: str) -> Path:
    from integral_oda.archive.indexing import take_pointings

    if source == "isla":
        from integral_oda.archive.isla import isla_pointings

        return take_pointings(root, isla_pointings())
    if source not in ("isdc", "heasarc") and not source.startswith(("http://", "https://")):
        return take_pointings(root, source)
    from integral_oda.archive.fetch import fetch_mission_index
    from integral_oda.archive.mirrors import TreeMirror, open_mirror

    mirror = open_mirror(source)
    assert isinstance(mirror, TreeMirror)
    return fetch_mission_index(root, mirror)


@archive_app.command("plan")
@with_shared_options
def plan_command(
    pointings: Pointings,
    out: OutFolder | None = None,
    archive: ArchiveRoot = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write the plan to standard output as JSON.")] = False,
) -> None:
    """Show which science windows a query would take, and why not the others; nothing is computed.

    With --out, plan.json and plan.png (sky map and time line) are written there.
    """
    from integral_oda.query import Query, make_query
    from integral_oda.selection import plan_selection

    plan = plan_selection(make_query(Query, **pointings.parameters), archive)
    values = json.dumps(plan.as_dict(), indent=2)
    typer.echo(values if as_json else plan.text())
    if out is not None:
        from integral_oda.products.fits_io import write_aside
        from integral_oda.products.plan_picture import draw_plan

        with write_aside(out / "plan.json") as aside:
            aside.write_text(values + "\n", encoding="utf-8")
        draw_plan(out / "plan.png", plan)


@archive_app.command("fetch")
@with_shared_options
def fetch_command(
    pointings: Pointings,
    scw: Annotated[
        list[str] | None, typer.Argument(metavar="SCW...", help="Science windows; else those of the options below.")
    ] = None,
    mirrors: Mirrors = None,
    engine: Annotated[
        str, typer.Option("--engine", help="native or osa: only the files that its steps read.")
    ] = "native",
    jobs: Annotated[int, typer.Option("--jobs", min=1, max=32, help="Downloads at a time.")] = 4,
    archive: ArchiveFolder = None,
) -> None:
    """Fetch science windows from the public archives of HEASARC, ISDC and ESA.

    What breaks off is gone on with the next time; a window appears in the archive when all of it is whole.
    """
    from integral_oda.archive.fetch import fetch_windows
    from integral_oda.archive.mirrors import MIRRORS, open_mirror
    from integral_oda.archive.requirements import ENGINES
    from integral_oda.archive.scw import ScwId
    from integral_oda.query import Query, make_query
    from integral_oda.selection import plan_selection

    root = archive or archive_root()
    if engine not in ENGINES:
        raise RequestError("engine", engine, " or ".join(ENGINES))
    query = make_query(Query, **pointings.parameters | ({"scw_list": tuple(scw)} if scw else {}))
    wanted = [ScwId.parse(name) for name in query.scw_list or plan_selection(query, root).chosen]
    places = [open_mirror(name) for name in mirrors or MIRRORS]
    _tell(fetch_windows(root, wanted, places, engine, jobs, lambda line: typer.echo(line, err=True)), "science windows")


def _tell(done: FetchReport, what: str) -> None:
    """Say what came of a download; a failure is an error of its first reason."""
    typer.echo(
        f"{len(done.fetched)} {what} fetched ({done.bytes / 1e6:.1f} MB), {len(done.already)} were there already"
    )
    for name, reason in done.failed.items():
        typer.echo(f"not fetched: {name}: {reason}", err=True)
    if done.failed:
        name, reason = next(iter(done.failed.items()))
        raise UnavailableError(f"{len(done.failed)} {what} could not be fetched; {name}: {reason}")


@ic_app.command("fetch")
def ic_fetch_command(
    source: Annotated[str, typer.Option("--from", help="heasarc, isdc, or the URL of a tree.")] = "heasarc",
    catalogue: Annotated[
        str | None,
        typer.Option("--catalogue", metavar="NNNN", help="Version of the reference catalogue, else the newest."),
    ] = None,
    engine: Annotated[
        str, typer.Option("--engine", help="native or osa: only the files that its steps read.")
    ] = "native",
    jobs: Annotated[int, typer.Option("--jobs", min=1, max=32, help="Downloads at a time.")] = 4,
    archive: ArchiveFolder = None,
) -> None:
    """Fetch the IC tree, its indices and the reference catalogue into the archive."""
    from integral_oda.archive.fetch import fetch_files
    from integral_oda.archive.ic_fetch import ic_mirror, list_ic_files
    from integral_oda.archive.requirements import ENGINES

    if engine not in ENGINES:
        raise RequestError("engine", engine, " or ".join(ENGINES))
    files = list_ic_files(ic_mirror(source), engine, catalogue)
    _tell(fetch_files(archive or archive_root(), files, jobs, lambda line: typer.echo(line, err=True)), "files")


@archive_app.command("verify")
def verify_command(
    archive: ArchiveFolder = None,
    engine: Annotated[
        str, typer.Option("--engine", help="native or osa: for whose steps nothing may be missing.")
    ] = "native",
) -> None:
    """Read every science window of the archive and say what is missing or damaged, and for which steps."""
    from integral_oda.archive.tree import Archive

    root = _existing(archive)
    tree = Archive(root)
    found = tree.verify(engine)
    for scw, problems in found.items():
        typer.echo(f"{scw}: {'; '.join(problems) or 'whole'}")
    shared = tree.verify_shared()
    for problem in shared:
        typer.echo(problem)
    damaged = sum(1 for problems in found.values() if problems)
    if damaged or shared:
        others = f" and {len(shared)} shared files" if shared else ""
        raise DataError(f"{damaged} of {len(found)} science windows{others} in {root} are damaged")


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
