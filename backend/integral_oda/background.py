"""Queries as jobs: carried out in a process of their own, shared, and found again from anywhere."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from integral_oda.folders import archive_root, store_root
from integral_oda.query import (
    BackgroundQuery,
    ImageQuery,
    LightCurveQuery,
    QualityQuery,
    Query,
    SpectrumQuery,
    make_query,
)
from integral_oda.workflow.jobs import Job, Jobs
from integral_oda.workflow.progress import Listener

__all__ = ["carry_out", "kind_of", "query_of", "submit"]

_KINDS: dict[str, type[Query]] = {
    "image": ImageQuery,
    "lightcurve": LightCurveQuery,
    "spectrum": SpectrumQuery,
    "inspect": QualityQuery,
    "background": BackgroundQuery,
}
_WORK = "integral_oda.background:carry_out"


def submit(query: Query, archive: Path | None = None, store: str | Path | None = None, out: Path | None = None) -> Job:
    """Begin a query as a job, or share the job that is at the same query.

    Parameters
    ----------
    query : Query
    archive : Path, optional
        Root of the local archive, else the user's.
    store : str or Path, optional
        Root of the product store; jobs lie in it, or in the user's own where it is a URL.
    out : Path, optional
        Folder for the products too, beside the job's own.
    """
    place = str(store or store_root())
    shared = "://" in place
    request = {
        "kind": kind_of(query),
        "query": query.model_dump(mode="json"),
        "archive": str((archive or archive_root()).absolute()),
        "store": place if shared else str(Path(place).absolute()),
        "out": None if out is None else str(out.absolute()),
    }
    return Jobs(store_root() if shared else place).submit(_WORK, request)


def kind_of(query: Query) -> str:
    """Name of the product that a query asks for, as on the command line."""
    return next(name for name, model in _KINDS.items() if isinstance(query, model))


def query_of(kind: str, values: Mapping[str, Any]) -> Query:
    """Query from its plain values."""
    return make_query(_KINDS[kind], **values)


def carry_out(request: Mapping[str, Any], folder: Path, listener: Listener, cancel: threading.Event) -> dict[str, Any]:
    """Carry out the query of a job, in the job's own process; its products go to ``folder``."""
    from integral_oda.analysis import analyse

    query = query_of(request["kind"], request["query"])
    products = analyse(query, Path(request["archive"]), request["store"], listener, cancel=cancel)
    products.write(folder)
    if request.get("out"):
        products.write(Path(request["out"]))
    return products.summary
