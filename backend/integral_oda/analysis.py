"""From a query to a product: which windows, which graph, what came of it."""

from __future__ import annotations

import importlib
import json
import shutil
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from integral_oda import __version__
from integral_oda.errors import (
    DataError,
    NothingLeftError,
    OutputError,
    RequestError,
    UnavailableError,
)
from integral_oda.folders import archive_root, store_root
from integral_oda.query import MJD_OF_IJD_0, ImageQuery, LightCurveQuery, QualityQuery, Query
from integral_oda.workflow.progress import Listener, StepEvent, silent

if TYPE_CHECKING:
    from integral_oda.catalog.reference import CatalogSource
    from integral_oda.engines.native.graph import TimeSelection
    from integral_oda.products.light_curve import LightCurve
    from integral_oda.products.sky_image import SkyImage
    from integral_oda.products.source_list import Source
    from integral_oda.workflow.execution import Execution
    from integral_oda.workflow.executor import Executor
    from integral_oda.workflow.graph import Node
    from integral_oda.workflow.locks import Lease
    from integral_oda.workflow.plan import Plan
    from integral_oda.workflow.store import Store

__all__ = ["ImageProducts", "LightCurveProducts", "Products", "QualityProducts", "analyse", "plan_query"]

Position = tuple[str, float, float]
SUMMARY_FILE, PROVENANCE_FILE, QUALITY_FILE = "summary.json", "provenance.json", "quality.json"
_PRODUCT_SUFFIXES = (".fits", ".png", ".reg", ".html")


@dataclass(frozen=True)
class Products:
    """What a query gave: files in the store, and what is known of how they came about.

    Attributes
    ----------
    folder : Path
        Where the product files lie in the store.
    summary, provenance : dict
        As written to ``summary.json`` and ``provenance.json`` (PROV-JSON).
    raw : dict
        sha256 of the raw files that the product was made from, by window and name.
    """

    folder: Path
    summary: dict[str, Any]
    provenance: dict[str, Any]
    raw: dict[str, str]
    held: object = field(default=None, repr=False, compare=False)
    """Keeps the folder from being pruned as long as the products are in use."""

    def write(self, out: str | Path) -> list[Path]:
        """Copy the product files to a folder, with ``summary.json`` and ``provenance.json``.

        Raises
        ------
        OutputError
            If the folder cannot be written.
        """
        out = Path(out)
        written = []
        try:
            out.mkdir(parents=True, exist_ok=True)
            for path in self.files:
                aside = out / f".{path.name}.part"
                shutil.copyfile(path, aside)
                written.append(aside.replace(out / path.name))
            for name, values in ((PROVENANCE_FILE, self.provenance), (SUMMARY_FILE, self.summary)):
                aside = out / f".{name}.part"
                aside.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
                written.append(aside.replace(out / name))
        except OSError as exc:
            raise OutputError(f"{out}: cannot be written to ({exc.strerror or exc})") from exc
        return written

    @property
    def files(self) -> list[Path]:
        """Product files in the store."""
        return [self.folder / name for name in self.summary["files"] if (self.folder / name).is_file()]


class ImageProducts(Products):
    """Sky images in every band, and the sources in them."""

    @cached_property
    def images(self) -> list[SkyImage]:
        """One image a band."""
        from integral_oda.products.sky_image import read_sky_images

        return read_sky_images(self.folder / "mosaic.fits")

    @cached_property
    def sources(self) -> list[Source]:
        """Sources found, and those asked for."""
        from integral_oda.products.source_list import source_from_dict

        return [source_from_dict(values) for values in self.summary["sources"]]


class LightCurveProducts(Products):
    """Light curves, one a source."""

    @cached_property
    def curves(self) -> list[LightCurve]:
        """One light curve a source."""
        from integral_oda.products.light_curve import read_light_curve

        return [read_light_curve(path) for path in self.files if path.suffix == ".fits"]


class QualityProducts(Products):
    """The quality page of a window."""

    @property
    def verdict(self) -> str:
        """``"keep"`` or ``"drop"``."""
        return str(self.summary["verdict"])

    @cached_property
    def numbers(self) -> dict[str, Any]:
        """All numbers of the page, as in ``quality.json``."""
        numbers: dict[str, Any] = json.loads((self.folder / QUALITY_FILE).read_text(encoding="utf-8"))
        return numbers


_KINDS: dict[type[Query], type[Products]] = {
    ImageQuery: ImageProducts,
    LightCurveQuery: LightCurveProducts,
    QualityQuery: QualityProducts,
}


@overload
def analyse(
    query: ImageQuery, archive: Path | None = ..., store: str | Path | None = ..., listener: Listener = ..., *,
    strict: bool = ..., executor: Executor | None = ..., cancel: threading.Event | None = ...,
) -> ImageProducts: ...  # fmt: skip
@overload
def analyse(
    query: LightCurveQuery, archive: Path | None = ..., store: str | Path | None = ..., listener: Listener = ..., *,
    strict: bool = ..., executor: Executor | None = ..., cancel: threading.Event | None = ...,
) -> LightCurveProducts: ...  # fmt: skip
@overload
def analyse(
    query: QualityQuery, archive: Path | None = ..., store: str | Path | None = ..., listener: Listener = ..., *,
    strict: bool = ..., executor: Executor | None = ..., cancel: threading.Event | None = ...,
) -> QualityProducts: ...  # fmt: skip
@overload
def analyse(
    query: Query, archive: Path | None = ..., store: str | Path | None = ..., listener: Listener = ..., *,
    strict: bool = ..., executor: Executor | None = ..., cancel: threading.Event | None = ...,
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
) -> Products:
    """Carry out a query.

    Parameters
    ----------
    query : ImageQuery, LightCurveQuery or QualityQuery
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

    Returns
    -------
    ImageProducts, LightCurveProducts or QualityProducts

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
    from integral_oda.workflow.provenance import lineage, prov_document
    from integral_oda.workflow.shared import open_store

    started = time.perf_counter()
    kept = open_store(store or store_root())
    request = _prepare(query, archive, listener, strict=strict)
    if executor is None and not kept.peek(request.target.key):
        _load_ahead()
    execution = (executor or execute)([request.target], kept, listener, cancel=cancel, strict=strict)
    if execution.cancelled:
        raise UnavailableError("the query was cancelled; the steps that were finished are kept")
    lease = kept.lease()
    folder = _product_folder(request, execution, kept, lease)
    summary = _summary(query, request.selection, execution, folder, time.perf_counter() - started)
    made = lineage(execution, request.target, kept)
    provenance = prov_document(made, _versions(), query.model_dump(mode="json"))
    raw = {f"{item.scope} {name}": digest for item in made for name, digest in item.raw.items()}
    kind = _KINDS[type(query)]
    return kind(folder, summary, provenance, raw, held=lease)


def plan_query(query: Query, archive: Path | None = None, store: str | Path | None = None) -> Plan:
    """Say what a query would do: its graph, what is in the store already and what would run.

    Parameters
    ----------
    query, archive, store
        As for `analyse`.
    """
    from integral_oda.workflow.plan import plan
    from integral_oda.workflow.shared import open_store

    request = _prepare(query, archive, silent, strict=False)
    return plan([request.target], open_store(store or store_root()))


@dataclass
class _Request:
    """A query with the windows it uses and the node that is its product."""

    selection: _Selection
    target: Node


def _prepare(query: Query, archive: Path | None, listener: Listener, *, strict: bool) -> _Request:
    known = _user_sources(query)
    selection = _select(query, archive or archive_root(), listener, strict=strict)
    return _Request(selection, _graph(query, selection, known))


def _load_ahead() -> None:
    """Import what the last steps need while the first ones wait for the disk and for zlib."""
    names = (
        "integral_oda.engines.native.image",
        "astropy.io.fits",
        "matplotlib.backends.backend_agg",
        "astropy.visualization.wcsaxes",
    )
    threading.Thread(target=lambda: [importlib.import_module(name) for name in names], daemon=True).start()


@dataclass
class _Selection:
    """Windows that the archive has, and those left out with the reason."""

    archive: Any
    used: list[str]
    left_out: list[dict[str, str]]


def _select(query: Query, root: Path, listener: Listener, *, strict: bool) -> _Selection:
    from integral_oda.archive.tree import Archive

    selection = _Selection(Archive(root), [], [])
    for scw in query.scw_list:
        try:
            selection.archive.events_file(scw)
            selection.used.append(scw)
        except DataError as exc:
            if strict or len(query.scw_list) == 1:
                raise
            listener(StepEvent(scw, "COR", "failed", message=str(exc)))
            selection.left_out.append({"scw": scw, "reason": str(exc)})
    if not selection.used:
        raise NothingLeftError(_nothing_left(selection.left_out))
    return selection


def _nothing_left(left_out: Sequence[Mapping[str, str]]) -> str:
    first = left_out[0]["reason"] if left_out else "none was selected"
    return f"no science window is left of {len(left_out)}: {first}"


def _user_sources(query: Query) -> tuple[CatalogSource, ...]:
    if query.catalog is None:
        return ()
    from integral_oda.catalog.reference import read_user_catalogue

    return read_user_catalogue(query.catalog)


def _asked_source(query: Query, extra: Sequence[CatalogSource]) -> Position | None:
    """Source or position that the query names; a position is called by its coordinates unless it is a source's."""
    from integral_oda.catalog.reference import reference_catalogue, resolve, sources_near

    if query.src_name is not None:
        source = resolve(query.src_name, extra)
        return source.name, source.ra_deg, source.dec_deg
    if query.RA is None or query.DEC is None:
        return None
    for source in sources_near(query.RA, query.DEC, 0.5 / 60, [*extra, *reference_catalogue()]):
        return source.name, query.RA, query.DEC
    return f"J{query.RA:.4f}{query.DEC:+.4f}", query.RA, query.DEC


def _position(text: str, extra: Sequence[CatalogSource]) -> Position:
    """Name and position of ``NAME`` or ``RA,DEC``."""
    from integral_oda.catalog.reference import resolve

    parts = text.split(",")
    try:
        ra, dec = (float(part) for part in parts)
    except ValueError:
        source = resolve(text, extra)
        return source.name, source.ra_deg, source.dec_deg
    if not (0 <= ra < 360 and -90 <= dec <= 90):
        raise RequestError("at", text, "RA from 0 to 360 and Dec from -90 to 90 degrees")
    return f"J{ra:.4f}{dec:+.4f}", ra, dec


def _graph(query: Query, selection: _Selection, known: Sequence[CatalogSource]) -> Node:
    from integral_oda.engines.native.graph import image_graph, light_curve_graph, quality_graph

    extra = [(s.name, s.ra_deg, s.dec_deg) for s in known]
    asked = _asked_source(query, known)
    time = _time_selection(query, asked)
    if isinstance(query, ImageQuery):
        at = [*([] if asked is None else [asked]), *(_position(text, known) for text in query.at)]
        bands, threshold = query.energy_bands, query.detection_threshold
        return image_graph(selection.archive, selection.used, bands, threshold, extra, at, time)
    if isinstance(query, QualityQuery):
        return quality_graph(selection.archive, selection.used[0], query.energy_bands, extra)
    assert isinstance(query, LightCurveQuery)
    return light_curve_graph(selection.archive, selection.used, query.band, query.time_bin, asked, extra, time)


def _time_selection(query: Query, asked: Position | None) -> TimeSelection:
    from integral_oda.engines.native.graph import EVERYTHING, TimeSelection

    if not (query.gti or query.phase or query.rate_range):
        return EVERYTHING
    from integral_oda.timing.good_time import union

    intervals = tuple((float(start), float(stop)) for start, stop in union(query.gti))
    phase = None if query.phase is None else (query.phase[0] - MJD_OF_IJD_0, *query.phase[1:])
    return TimeSelection(intervals, phase, query.rate_range, query.rate_bin, asked if query.rate_range else None)


def _product_folder(request: _Request, execution: Execution, store: Store, lease: Lease) -> Path:
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
        raise NothingLeftError(_nothing_left(selection.left_out))
    execution.value(target)
    raise DataError(f"the product of {target.step.name} is not in the store any more")


def _summary(query: Query, selection: _Selection, execution: Execution, folder: Path, seconds: float) -> dict[str, Any]:
    lists = json.loads((folder / "lists.json").read_text(encoding="utf-8"))
    files = sorted(p.name for p in folder.iterdir() if p.suffix in _PRODUCT_SUFFIXES or p.name == QUALITY_FILE)
    return {
        "query": query.model_dump(mode="json"),
        "science_windows": {"used": selection.used, "left_out": selection.left_out},
        "sources": lists.get("sources", []),
        "noise": lists.get("noise", []),
        **{name: lists[name] for name in ("verdict", "reasons") if name in lists},
        "nodes": {"computed": execution.computed, "restored": execution.restored, "failed": execution.failed},
        "seconds": round(seconds, 3),
        "versions": _versions(),
        "files": [*files, PROVENANCE_FILE, SUMMARY_FILE],
    }


def _versions() -> dict[str, str]:
    from importlib.metadata import version

    found = {name: version(name) for name in ("numpy", "scipy", "astropy")}
    return {"integral_oda": __version__, "python": sys.version.split()[0], **found}
