"""Commands of ``integral-oda jobs``: queries that run in processes of their own, whoever began them."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from integral_oda.errors import IntegralOdaError
from integral_oda.folders import store_root

if TYPE_CHECKING:
    from integral_oda.workflow.jobs import Jobs, JobState

__all__ = ["jobs_app"]

jobs_app = typer.Typer(help="List, show, cancel and await queries that run by themselves.", no_args_is_help=True)

StoreFolder = Annotated[
    str | None,
    typer.Option(
        "--store", metavar="DIR", help="Root of the store, or its URL.", show_default="the user's cache folder"
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Write JSON to standard output.")]
JobId = Annotated[str, typer.Argument(metavar="JOB", help="Id of the job, or its beginning.", show_default=False)]


def _jobs(root: str | None) -> Jobs:
    from integral_oda.workflow.jobs import Jobs
    from integral_oda.workflow.shared import open_store

    return Jobs(open_store(root or store_root()).root)


def _line(state: JobState) -> str:
    moment = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(state.submitted))
    reason = f": {state.reason}" if state.reason else ""
    return f"{state.id}  {moment} UTC  {state.status}{reason}"


def _answer(state: JobState, *, as_json: bool) -> None:
    typer.echo(json.dumps(asdict(state), indent=2) if as_json else _line(state))


@jobs_app.command("list")
def list_command(store: StoreFolder = None, as_json: AsJson = False) -> None:
    """List all jobs, the newest first."""
    states = _jobs(store).list()
    if as_json:
        typer.echo(json.dumps([asdict(state) for state in states], indent=2))
    else:
        typer.echo("\n".join(map(_line, states)) or "no jobs")


@jobs_app.command("show")
def show_command(job: JobId, store: StoreFolder = None, as_json: AsJson = False) -> None:
    """Show one job: what was asked, how far it is, what it wrote."""
    found = _jobs(store).get(job)
    state, steps = found.state(), found.steps()
    if as_json:
        record = {**asdict(state), "out": str(found.folder / "out"), "steps": [asdict(event) for event in steps]}
        typer.echo(json.dumps(record, indent=2))
        return
    finished = sum(event.state in ("computed", "restored", "failed") for event in steps)
    typer.echo(f"{_line(state)}\n{state.work} {json.dumps(dict(state.request))}")
    typer.echo(f"{finished} nodes finished, files in {found.folder / 'out'}\n{found.log()}".rstrip())


@jobs_app.command("cancel")
def cancel_command(job: JobId, store: StoreFolder = None, as_json: AsJson = False) -> None:
    """Stop a job; what it has computed stays in the store."""
    _answer(_jobs(store).get(job).cancel(), as_json=as_json)


@jobs_app.command("wait")
def wait_command(
    job: JobId,
    store: StoreFolder = None,
    timeout: Annotated[float | None, typer.Option("--timeout", metavar="SECONDS", help="Wait no longer.")] = None,
    as_json: AsJson = False,
) -> None:
    """Wait until a job has ended; the exit status is 0 only if it is done."""
    state = _jobs(store).get(job).wait(timeout)
    _answer(state, as_json=as_json)
    if state.status != "done":
        raise IntegralOdaError(f"job {state.id} is {state.status}{': ' if state.reason else ''}{state.reason}")
