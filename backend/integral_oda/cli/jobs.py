"""Commands of ``integral-oda jobs``: queries at work in the background."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from integral_oda.errors import DataError

if TYPE_CHECKING:
    from integral_oda.workflow.jobs import Jobs, JobState

__all__ = ["jobs_app"]

jobs_app = typer.Typer(help="Queries at work in the background.", no_args_is_help=True)

StoreFolder = Annotated[
    str | None,
    typer.Option("--store", metavar="DIR", help="Root of the store.", show_default="the user's cache folder"),
]
JobName = Annotated[str, typer.Argument(metavar="ID", help="Job, or the beginning of its id.")]
AsJson = Annotated[bool, typer.Option("--json", help="Write JSON to standard output.")]


def _jobs(store: str | None) -> Jobs:
    from integral_oda.background import jobs_of

    return jobs_of(store)


def _line(state: JobState) -> str:
    when = datetime.fromtimestamp(state.submitted, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    reason = f"  {state.reason}" if state.reason else ""
    return f"{state.id}  {state.status:<9}  {when}  {state.request.get('kind', '')}{reason}"


@jobs_app.command("list")
def list_command(store: StoreFolder = None, as_json: AsJson = False) -> None:
    """List the jobs, the newest first."""
    states = _jobs(store).list()
    typer.echo(json.dumps([asdict(s) for s in states], indent=2) if as_json else "\n".join(map(_line, states)))


@jobs_app.command("show")
def show_command(name: JobName, store: StoreFolder = None, as_json: AsJson = False) -> None:
    """Show a job, the steps it has done and the end of its log."""
    job = _jobs(store).get(name)
    state = job.state()
    if as_json:
        typer.echo(json.dumps({**asdict(state), "steps": [asdict(event) for event in job.steps()]}, indent=2))
        return
    typer.echo(_line(state))
    last = {(event.scope, event.step): event for event in job.steps()}
    for event in last.values():
        typer.echo(f"  {event.scope} {event.step} {event.state} {event.message}".rstrip())
    typer.echo(job.log()[-2000:])


@jobs_app.command("cancel")
def cancel_command(name: JobName, store: StoreFolder = None) -> None:
    """Stop a job; what it has finished stays in the store."""
    typer.echo(_line(_jobs(store).get(name).cancel()))


@jobs_app.command("wait")
def wait_command(
    name: JobName,
    store: StoreFolder = None,
    timeout: Annotated[float | None, typer.Option("--timeout", help="Longest time to wait, seconds.")] = None,
) -> None:
    """Wait until a job is over; the exit status is 0 if it is done."""
    state = _jobs(store).get(name).wait(timeout)
    typer.echo(_line(state))
    if state.status != "done":
        raise DataError(f"job {state.id} is {state.status}{': ' + state.reason if state.reason else ''}")


@jobs_app.command("prune")
def prune_command(
    store: StoreFolder = None,
    days: Annotated[float, typer.Option("--days", min=0, help="Remove jobs that ended longer ago.")] = 30.0,
    keep: Annotated[int, typer.Option("--keep", min=0, help="Remove the oldest beyond this number.")] = 500,
) -> None:
    """Remove jobs that have ended; their results stay in the store. It happens by itself when a job begins."""
    typer.echo("\n".join(_jobs(store).prune(days, keep)))
