"""From a query to a product: which windows, which graph, what came of it."""

from __future__ import annotations

import importlib
import json
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from integral_oda.engine_choice import EngineName
from integral_oda.errors import DataError, NothingLeftError, UnavailableError
from integral_oda.folders import store_root
from integral_oda.query import ImageQuery, LightCurveQuery, QualityQuery, Query, SpectrumQuery
from integral_oda.request import Request, Selection, nothing_left, prepare
from integral_oda.results import (
    PRODUCTS,
    PROVENANCE_FILE,
    QUALITY_FILE,
    SUMMARY_FILE,
    ImageProducts,
    LightCurveProducts,
    Products,
    QualityProducts,
    SpectrumProducts,
)
from integral_oda.versions import software_versions
from integral_oda.workflow.progress import Listener, silent

if TYPE_CHECKING:
    from integral_oda.workflow.execution import Execution
    from integral_oda.workflow.executor import Executor
    from integral_oda.workflow.locks import Lease
    from integral_oda.workflow.plan import Plan
    from integral_oda.workflow.store import Store

__all__ = [
    "ImageProducts",
    "LightCurveProducts",
    "Products",
    "QualityProducts",
    "SoFar",
    "SpectrumProducts",
    "analyse",
    "plan_query",
    "result_so_far",
]

_PRODUCT_SUFFIXES = (".fits", ".ecsv", ".png", ".reg", ".html")


@overload
def analyse(
    query: ImageQuery, archive: Path | None = ..., store: str | Path | None = ..., listener: Listener = ..., *,
    strict: bool = ..., executor: Executor | None = ..., cancel: threading.Event | None = ...,
    engine: EngineName | None = ...,
) -> ImageProducts: ...  # fmt: skip
@overload
def analyse(
    query: LightCurveQuery, archive: Path | None = ..., store: str | Path | None = ..., listener: Listener = ..., *,
    strict: bool = ..., executor: Executor | None = ..., cancel: threading.Event | None = ...,
    engine: EngineName | None = ...,
) -> LightCurveProducts: ...  # fmt: skip
@overload
def analyse(
    query: SpectrumQuery, archive: Path | None = ..., store: str | Path | None = ..., listener: Listener = ..., *,
    strict: bool = ..., executor: Executor | None = ..., cancel: threading.Event | None = ...,
) -> SpectrumProducts: ...  # fmt: skip
@overload
def analyse(
    query: QualityQuery, archive: Path | None = ..., store: str | Path | None = ..., listener: Listener = ..., *,
    strict: bool = ..., executor: Executor | None = ..., cancel: threading.Event | None = ...,
    engine: EngineName | None = ...,
) -> QualityProducts: ...  # fmt: skip
@overload
def analyse(
    query: Query, archive: Path | None = ..., store: str | Path | None = ..., listener: Listener = ..., *,
    strict: bool = ..., executor: Executor | None = ..., cancel: threading.Event | None = ...,
    engine: EngineName | None = ...,
) -> Products: ...  # fmt: skip
def analyse(
    query: Query,
    archive: Path | None = None,
    store: str | Path | None = None,
    listener: Listener = silent,
    *,
    strict: bool = False,
    executor: Executor | None = None,
    cancel: threading.Event | None = None,
    engine: EngineName | None = None,
) -> Products:
    """Carry out a query.

    Parameters
    ----------
    query : ImageQuery, LightCurveQuery, SpectrumQuery or QualityQuery
    archive : Path, optional
        Root of the local archive, else the user's.
    store : str or Path, optional
        Root of the product store, a folder or any URL that fsspec knows; else the user's.
    listener : callable
        Told of every step.
    strict : bool
        Fail with the first window that fails, in place of leaving it out.
    executor : Executor, optional
        How the steps are carried out: in this process unless a cluster's is given.
    cancel : threading.Event, optional
        Set it to stop; finished steps stay in the store.
    engine : {"native", "osa", "mmoda"}, optional
        Who carries the query out, in place of the query's own choice.

    Returns
    -------
    ImageProducts, LightCurveProducts, SpectrumProducts or QualityProducts

    Raises
    ------
    RequestError
        If the query names something that does not exist.
    NothingLeftError, DataError
        If no window is left.
    UnavailableError
        If it was cancelled.
    """
    from integral_oda.workflow.executor import execute
    from integral_oda.workflow.shared import open_store

    started = time.perf_counter()
    if engine is not None:
        query = query.model_copy(update={"engine": engine})
    kept = open_store(store or store_root())
    request = prepare(query, archive, listener, strict=strict)
    query = request.query
    if executor is None and not kept.peek(request.target.key):
        _load_ahead()
    execution = (executor or execute)([request.target], kept, listener, cancel=cancel, strict=strict)
    if execution.cancelled:
        raise UnavailableError("the query was cancelled; the steps that were finished are kept")
    return _products(query, request, execution, kept, started)


def _products(query: Query, request: Request, execution: Execution, store: Store, started: float) -> Products:
    from integral_oda.workflow.provenance import lineage, prov_document

    lease = store.lease()
    folder = _product_folder(request, execution, store, lease)
    summary = _summary(query, request, execution, folder, time.perf_counter() - started)
    made = lineage(execution, request.target, store)
    provenance = prov_document(made, software_versions(), query.model_dump(mode="json"))
    raw = {f"{item.scope} {name}": digest for item in made for name, digest in item.raw.items()}
    return PRODUCTS[type(query)](folder, summary, provenance, raw, held=lease)


@dataclass(frozen=True)
class SoFar:
    """What a query has by now.

    Attributes
    ----------
    value : WindowImage, list of LightCurve or other
        Mosaic, sources and noise; the light curves; what the product files are written from.
    windows : tuple of str
        Science windows in it.
    asked : int
        How many were asked for.
    """

    value: Any
    windows: tuple[str, ...]
    asked: int


def result_so_far(query: Query, archive: Path | None = None, store: str | Path | None = None) -> SoFar | None:
    """Gather what a query has in the store by now, while the rest still runs here, in a job or on a cluster.

    Parameters
    ----------
    query, archive, store
        As for `analyse`.

    Returns
    -------
    SoFar or None
        None as long as no science window is done. Nothing of it is kept.
    """
    from integral_oda.workflow.graph import is_tolerant
    from integral_oda.workflow.partial import value_so_far
    from integral_oda.workflow.shared import open_store

    request = prepare(query, archive, silent, strict=False)
    target = request.target
    found = value_so_far(target if is_tolerant(target.step) else target.inputs[0], open_store(store or store_root()))
    return None if found is None else SoFar(*found, asked=len(request.selection.used))


def plan_query(query: Query, archive: Path | None = None, store: str | Path | None = None) -> Plan:
    """Say what a query would do: its graph, what is in the store already and what would run.

    Parameters
    ----------
    query, archive, store
        As for `analyse`.
    """
    from integral_oda.workflow.plan import plan
    from integral_oda.workflow.shared import open_store

    request = prepare(query, archive, silent, strict=False)
    return plan([request.target], open_store(store or store_root()))


def _load_ahead() -> None:
    """Import what the last steps need while the first ones wait for the disk and for zlib."""
    names = (
        "integral_oda.engines.native.image",
        "integral_oda.engines.native.pack",
    )
    threading.Thread(target=lambda: [importlib.import_module(name) for name in names], daemon=True).start()


def _product_folder(request: Request, execution: Execution, store: Store, lease: Lease) -> Path:
    """Folder of the product in the store; a failed query raises its reason."""
    target, selection = request.target, request.selection
    failures = {scope: reason for scope, _, reason in execution.failures}
    selection.left_out += [{"scw": s, "reason": failures[s]} for s in selection.used if s in failures]
    selection.used = [s for s in selection.used if s not in failures]
    key = execution.key(target)
    folder = None if key is None else store.find(key, lease)
    if folder is not None:
        return Path(folder)
    if len(selection.left_out) == 1 and not selection.used:
        raise DataError(selection.left_out[0]["reason"])
    if not selection.used:
        raise NothingLeftError(nothing_left(selection.left_out))
    execution.value(target)
    raise DataError(f"the product of {target.step.name} is not in the store any more")


def _summary(query: Query, request: Request, execution: Execution, folder: Path, seconds: float) -> dict[str, Any]:
    selection = request.selection
    lists = json.loads((folder / "lists.json").read_text(encoding="utf-8"))
    files = sorted(p.name for p in folder.iterdir() if p.suffix in _PRODUCT_SUFFIXES or p.name == QUALITY_FILE)
    return {
        "query": query.model_dump(mode="json"),
        "key": execution.key(request.target),
        "science_windows": _windows(selection, lists.get("left_out", [])),
        **({} if request.plan is None else {"selection": request.plan.summary()}),
        "sources": lists.get("sources", []),
        "noise": lists.get("noise", []),
        **{
            name: lists[name]
            for name in ("suppressed", "references", "verdict", "reasons", "bursts", "timing")
            if name in lists
        },
        "nodes": {"computed": execution.computed, "restored": execution.restored, "failed": execution.failed},
        "seconds": round(seconds, 3),
        "versions": software_versions(),
        "files": [*files, PROVENANCE_FILE, SUMMARY_FILE],
    }


def _windows(selection: Selection, without: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """Windows used and left out, those that the mosaic goes without among them."""
    names = tuple(item["scw"] for item in without if item["scw"])
    used = [scw for scw in selection.used if not names or not scw.startswith(names)]
    return {"used": used, "left_out": [*selection.left_out, *without]}
