"""Queries as jobs: carried out in a process of their own, shared, and found again from anywhere."""

from __future__ import annotations

import getpass
import json
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from integral_oda.errors import DataError
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
from integral_oda.results import PRODUCTS, PROVENANCE_FILE, Products
from integral_oda.workflow.jobs import Job, Jobs
from integral_oda.workflow.progress import Listener

__all__ = ["account", "carry_out", "find", "jobs_of", "kind_of", "products_of", "query_of", "submit"]

_KINDS: dict[str, type[Query]] = {
    "image": ImageQuery,
    "lightcurve": LightCurveQuery,
    "spectrum": SpectrumQuery,
    "inspect": QualityQuery,
    "background": BackgroundQuery,
}
_WORK = "integral_oda.background:carry_out"


def submit(
    query: Query,
    archive: Path | None = None,
    store: str | Path | None = None,
    out: Path | None = None,
    *,
    strict: bool = False,
    jobs: int | None = None,
    scheduler: str | None = None,
    crate: bool = False,
    owner: str | None = None,
) -> Job:
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
    strict : bool
        Fail with the first window that fails, in place of leaving it out.
    jobs, scheduler
        How it is carried out, see `integral_oda.workflow.cluster.open_executor`.
    crate : bool
        Make the products an RO-Crate.
    owner : str, optional
        Whose job it is: nobody else shares or finds it. The account's unless a user is named.
    """
    way = {"jobs": jobs, "scheduler": scheduler}
    request = _request(query, archive, store, strict=strict, crate=crate)
    return jobs_of(store, owner).submit(_WORK, request, way=way, out=out)


def find(
    query: Query,
    archive: Path | None = None,
    store: str | Path | None = None,
    *,
    strict: bool = False,
    crate: bool = False,
    owner: str | None = None,
) -> Job | None:
    """The job that is or was at a query, as `submit` was asked for it; None if there is none (any more)."""
    return jobs_of(store, owner).find(_WORK, _request(query, archive, store, strict=strict, crate=crate))


def account() -> str:
    """Owner of jobs where nobody is named: the account that this process runs under."""
    return f"account {getpass.getuser()}"


def jobs_of(store: str | Path | None = None, owner: str | None = None) -> Jobs:
    """The jobs of a store, in the user's own where it is a URL; the account's unless a user is named."""
    place = str(store or store_root())
    return Jobs(store_root() if "://" in place else place, account() if owner is None else owner)


def _request(
    query: Query, archive: Path | None, store: str | Path | None, *, strict: bool, crate: bool
) -> dict[str, Any]:
    place = str(store or store_root())
    return {
        "kind": kind_of(query),
        "query": query.model_dump(mode="json"),
        "archive": str((archive or archive_root()).absolute()),
        "store": place if "://" in place else str(Path(place).absolute()),
        "strict": strict,
        "crate": crate,
    }


def kind_of(query: Query) -> str:
    """Name of the product that a query asks for, as on the command line."""
    return next(name for name, model in _KINDS.items() if isinstance(query, model))


def query_of(kind: str, values: Mapping[str, Any]) -> Query:
    """Query from its plain values."""
    return make_query(_KINDS[kind], **values)


def products_of(job: Job) -> Products:
    """Products of a job that is done, as they lie in its own folder.

    Raises
    ------
    DataError
        When it is not done, or its files are gone.
    """
    summary, folder = job.result(), job.folder / "out"
    try:
        provenance = json.loads((folder / PROVENANCE_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise DataError(f"the files of job {job.id} cannot be read: {exc}") from exc
    kind = PRODUCTS[_KINDS[job.state().request["kind"]]]
    return kind(folder, summary, provenance, _raw_files(provenance))


def _raw_files(provenance: Mapping[str, Any]) -> dict[str, str]:
    """sha256 of the raw files, by window and name, as `Products` has them."""
    entities, activities = provenance["entity"], provenance["activity"]
    raw = {}
    for used in provenance.get("used", {}).values():
        algorithm, _, digest = str(used["prov:entity"]).partition(":")
        if algorithm == "sha256":
            scope = activities[used["prov:activity"]]["prov:label"].partition(" of ")[2]
            name = entities[used["prov:entity"]]["prov:label"].removeprefix("raw file: ")
            raw[f"{scope} {name}"] = digest
    return raw


def carry_out(request: Mapping[str, Any], folder: Path, listener: Listener, cancel: threading.Event) -> dict[str, Any]:
    """Carry out the query of a job, in the job's own process; its products go to ``folder``."""
    from integral_oda.analysis import analyse
    from integral_oda.crate import make_crate
    from integral_oda.workflow.cluster import open_executor

    query = query_of(request["kind"], request["query"])
    archive, store, strict = Path(request["archive"]), request["store"], request["strict"]
    with open_executor(jobs=request["jobs"], scheduler=request["scheduler"]) as executor:
        products = analyse(query, archive, store, listener, strict=strict, cancel=cancel, executor=executor)
    products.write(folder)
    if request["crate"]:
        make_crate(folder, query, products)
    return products.summary
