"""How a command carries its query out."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from integral_oda.cli.options import (
    ArchiveRoot,
    AsJson,
    Crate,
    Detach,
    DryRun,
    JobCount,
    OutFolder,
    Scheduler,
    StoreRoot,
    Strict,
)
from integral_oda.errors import OutputError

if TYPE_CHECKING:
    from integral_oda.query import Query
    from integral_oda.workflow.executor import Executor
    from integral_oda.workflow.progress import Listener, StepEvent

__all__ = ["Way", "check_output"]


@dataclass(frozen=True)
class Way:
    """How a query is to be carried out, and where its results go."""

    out: OutFolder
    archive: ArchiveRoot = None
    store: StoreRoot = None
    as_json: AsJson = False
    strict: Strict = False
    jobs: JobCount = None
    scheduler: Scheduler = None
    dry_run: DryRun = False
    detach: Detach = False
    crate: Crate = False

    def carry_out(self, query: Query) -> dict[str, Any] | None:
        """Carry a query out and write its products; None where nothing was computed here, or there are several."""
        if query.engine == "osa":
            from integral_oda.request import parts_of

            parts = parts_of(query, self.archive)
            if len(parts) > 1:
                self._carry_out_each(parts)
                return None
        if self.dry_run:
            from integral_oda.analysis import plan_query
            from integral_oda.selection import plan_selection

            if not query.scw_list:
                typer.echo(plan_selection(query, self.archive).text())
            typer.echo(plan_query(query, self.archive, self.store).text())
            return None
        check_output(self.out)
        if self.detach:
            from integral_oda.background import submit

            job = submit(query, self.archive, self.store, self.out, strict=self.strict, jobs=self.jobs,
                         scheduler=self.scheduler, crate=self.crate)  # fmt: skip
            typer.echo(job.state().id)
            return None
        return self._write(query)

    def _carry_out_each(self, parts: Sequence[Query]) -> None:
        """One product for each version of OSA, in a folder each: their products are never summed."""
        summaries = {}
        for part in parts:
            name = f"osa{part.osa_version}"
            out = self.out / name
            typer.echo(f"OSA {part.osa_version}: {len(part.scw_list)} science windows, product in {out}", err=True)
            summaries[name] = replace(self, out=out, as_json=False).carry_out(part)
        if self.as_json:
            typer.echo(json.dumps({"parts": summaries}, indent=2))

    def _write(self, query: Query) -> dict[str, Any]:
        from integral_oda.analysis import analyse

        with self.executor() as executor:
            products = analyse(query, self.archive, self.store, self.listener(), strict=self.strict, executor=executor)
        products.write(self.out)
        if self.crate:
            from integral_oda.crate import make_crate

            make_crate(self.out, query, products)
        for window in products.summary["science_windows"]["left_out"]:
            typer.echo(f"left out: {window['scw']}: {window['reason']}", err=True)
        if self.as_json:
            typer.echo(json.dumps(products.summary, indent=2))
        return products.summary

    def listener(self) -> Listener:
        """What is told of every step."""
        from integral_oda.workflow.progress import silent

        return silent if self.as_json or not sys.stderr.isatty() else _progress_line

    @contextmanager
    def executor(self) -> Iterator[Executor | None]:
        """How the steps are carried out: None for this process, else a cluster's, closed afterwards."""
        if self.jobs is None and self.scheduler is None:
            yield None
            return
        from integral_oda.workflow.cluster import ClusterExecutor

        executor = ClusterExecutor(jobs=self.jobs, scheduler=self.scheduler)
        try:
            yield executor
        finally:
            executor.close()


def check_output(out: Path) -> None:
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
