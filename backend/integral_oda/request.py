"""From a query to a request: which science windows, which source, which time, and the graph of its steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from integral_oda.background_files import check_folder
from integral_oda.engine_choice import FIRST_REVOLUTION_OF_OSA_11
from integral_oda.errors import DataError, NothingLeftError, RequestError
from integral_oda.folders import archive_root, background_root
from integral_oda.instrument.energy import ENERGY_RANGE_KEV
from integral_oda.pointing_query import PointingQuery
from integral_oda.query import (
    MJD_OF_IJD_0,
    BackgroundQuery,
    ImageQuery,
    LightCurveQuery,
    MappedQuery,
    QualityQuery,
    Query,
    SpectrumQuery,
)
from integral_oda.workflow.progress import Listener, StepEvent

if TYPE_CHECKING:
    from integral_oda.archive.plan import PointingPlan
    from integral_oda.archive.tree import Archive
    from integral_oda.catalog.reference import CatalogSource
    from integral_oda.engines.native.graph import TimeSelection
    from integral_oda.engines.osa.graph import OsaGraph
    from integral_oda.engines.remote.graph import RemoteGraph
    from integral_oda.instrument.energy import EnergyBand
    from integral_oda.workflow.graph import Node

__all__ = [
    "Request",
    "Selection",
    "asked_source",
    "nothing_left",
    "parse_position",
    "parts_of",
    "prepare",
    "refuse_engine",
    "split_by_osa_version",
    "user_sources",
]

Position = tuple[str, float, float]
QueryType = TypeVar("QueryType", bound=Query)


@dataclass
class Request:
    """A query with the windows it uses and the node that is its product."""

    query: Query
    selection: Selection
    target: Node
    plan: PointingPlan | None = None
    """How the windows were chosen, None for an explicit list."""


def prepare(query: Query, archive: Path | None, listener: Listener, *, strict: bool) -> Request:
    """Choose the windows of a query and make its graph."""
    refuse_engine(query)
    root = archive or archive_root()
    known = user_sources(query)
    asked = asked_source(query, known, root)
    plan = None
    if not query.scw_list and asked is not None:
        from integral_oda.archive.plan import Target
        from integral_oda.selection import select_windows

        query, plan = select_windows(query, root, Target(*asked))
    selection = _select(query, root, listener, strict=strict)
    time = _time_selection(query, asked)
    subject = _Subject(selection.archive, selection.used, known, asked, time, query.only_catalog)
    target = _GRAPHS[type(query)](query, subject)
    parameters = {**target.parameters, "query": _canonical(query, subject)}
    return Request(query, selection, replace(target, parameters=parameters), plan)


def _canonical(query: Query, subject: _Subject) -> dict[str, Any]:
    """What was asked, the same however it was said: it is written into the product, and is part of its key."""
    unsaid = {"catalog", "background", *PointingQuery.model_fields} | (set() if query.rate_range else {"rate_bin"})
    unsaid |= set() if query.only_catalog else {"only_catalog"}
    values = query.model_dump(mode="json", exclude=unsaid)
    if query.src_name is not None and subject.asked is not None:
        values["src_name"] = subject.asked[0]
    if subject.known:
        values["catalog"] = [list(position) for position in subject.extra]
    return values


@dataclass
class Selection:
    """Windows that the archive has, and those left out with the reason."""

    archive: Any
    used: list[str]
    left_out: list[dict[str, str]]


def _select(query: Query, root: Path, listener: Listener, *, strict: bool) -> Selection:
    from integral_oda.archive.tree import Archive

    selection = Selection(Archive(root), [], [])
    if query.engine == "mmoda":
        selection.used = list(query.scw_list)
        return selection
    for scw in query.scw_list:
        try:
            selection.archive.events_file(scw)
            if query.engine == "osa":
                from integral_oda.engines.osa.raw_files import require_raw_files

                require_raw_files(selection.archive, scw)
            selection.used.append(scw)
        except DataError as exc:
            if strict or len(query.scw_list) == 1:
                raise
            listener(StepEvent(scw, "COR", "failed", message=str(exc)))
            selection.left_out.append({"scw": scw, "reason": str(exc)})
    if not selection.used:
        raise NothingLeftError(nothing_left(selection.left_out))
    return selection


def nothing_left(left_out: Sequence[Mapping[str, str]]) -> str:
    """Say why no window is left."""
    first = left_out[0]["reason"] if left_out else "none was selected"
    return f"no science window is left of {len(left_out)}: {first}"


def user_sources(query: Query) -> tuple[CatalogSource, ...]:
    """Sources of the user's own catalogue."""
    if query.catalog is None:
        return ()
    from integral_oda.catalog.reference import read_user_catalogue

    return read_user_catalogue(query.catalog)


def asked_source(query: Query, extra: Sequence[CatalogSource], root: Path) -> Position | None:
    """Source or position that the query names; a position is called by its coordinates unless it is a source's."""
    from integral_oda.catalog.names import resolve_name
    from integral_oda.catalog.reference import reference_catalogue, sources_near

    if query.src_name is not None:
        source = resolve_name(query.src_name, extra, root).source
        return source.name, source.ra_deg, source.dec_deg
    if query.RA is None or query.DEC is None:
        return None
    for source in sources_near(query.RA, query.DEC, 0.5 / 60, [*extra, *reference_catalogue()]):
        return source.name, query.RA, query.DEC
    return f"J{query.RA:.4f}{query.DEC:+.4f}", query.RA, query.DEC


def parse_position(text: str, extra: Sequence[CatalogSource], root: Path, parameter: str = "at") -> Position:
    """Name and position of ``NAME`` or ``RA,DEC``."""
    from integral_oda.catalog.names import resolve_name

    parts = text.split(",")
    try:
        ra, dec = (float(part) for part in parts)
    except ValueError:
        source = resolve_name(text, extra, root).source
        return source.name, source.ra_deg, source.dec_deg
    if not (0 <= ra < 360 and -90 <= dec <= 90):
        raise RequestError(parameter, text, "RA from 0 to 360 and Dec from -90 to 90 degrees")
    return f"J{ra:.4f}{dec:+.4f}", ra, dec


def _time_selection(query: Query, asked: Position | None) -> TimeSelection:
    from integral_oda.engines.native.graph import EVERYTHING, TimeSelection

    if not (query.gti or query.phase or query.rate_range):
        return EVERYTHING
    from integral_oda.timing.good_time import union

    intervals = tuple((float(start), float(stop)) for start, stop in union(query.gti))
    phase = None if query.phase is None else (query.phase[0] - MJD_OF_IJD_0, *query.phase[1:])
    return TimeSelection(intervals, phase, query.rate_range, query.rate_bin, asked if query.rate_range else None)


@dataclass(frozen=True)
class _Subject:
    """What the graphs of all kinds of query are made of."""

    archive: Archive
    windows: Sequence[str]
    known: Sequence[CatalogSource]
    asked: Position | None
    time: TimeSelection
    only: bool = False

    @property
    def extra(self) -> Sequence[Position]:
        """The user's sources."""
        from integral_oda.engines.native.graph import OnlyThese

        places = [(s.name, s.ra_deg, s.dec_deg) for s in self.known]
        return OnlyThese(places) if self.only else places


def _image(query: ImageQuery, subject: _Subject) -> Node:
    from integral_oda.engines.native.graph import NONE_FOUND, image_graph

    asked = [] if subject.asked is None else [subject.asked]
    at = [*asked, *(parse_position(text, subject.known, subject.archive.root) for text in query.at)]
    bands, threshold = query.energy_bands, query.detection_threshold
    if query.engine == "osa":
        return _osa(query, subject).image(bands, threshold, at)
    if query.engine == "mmoda":
        return _remote(query, subject, subject.extra).image(bands, threshold, at)
    maps = _background_maps(query, bands)
    threshold = NONE_FOUND if query.only_catalog else threshold
    return image_graph(subject.archive, subject.windows, bands, threshold, subject.extra, at, subject.time, maps)


def _light_curve(query: LightCurveQuery, subject: _Subject) -> Node:
    from integral_oda.engines.native.graph import Curves, light_curve_graph

    if query.engine == "osa":
        query.check_osa()
        return _osa(query, subject).light_curves(query.band, query.time_bin, subject.asked)
    if query.engine == "mmoda":
        wanted = [*subject.extra, *([] if subject.asked is None else [subject.asked])]
        return _remote(query, subject, wanted).light_curves(query.energy_bands, query.time_bin, subject.asked)
    curves = Curves(
        bands=query.energy_bands,
        bins=query.bins,
        source=subject.asked,
        together=query.together,
        barycentre=query.barycentre,
        bursts=query.bursts,
        events=query.events,
        joining={"epoch_correction": True} if query.epoch_correction else {},
        folding=query.folding,
    )
    maps = _background_maps(query, query.energy_bands)
    return light_curve_graph(subject.archive, subject.windows, curves, subject.extra, subject.time, maps)


def _background_maps(query: MappedQuery, bands: Sequence[EnergyBand]) -> Path | None:
    """Folder of background maps: one that is asked for has to have the bands."""
    if query.background is None:
        return background_root()
    check_folder(query.background, bands)
    return query.background


def _background(query: BackgroundQuery, subject: _Subject) -> Node:
    from integral_oda.engines.native.graph import background_graph

    return background_graph(subject.archive, subject.windows, query.energy_bands, subject.extra)


def _spectrum(query: SpectrumQuery, subject: _Subject) -> Node:
    from integral_oda.engines.native.graph import mosaic_spectrum_graph, spectrum_graph
    from integral_oda.spectra.binning import channel_edges

    chosen = query.channels or (62 if query.method == "fit" else 13)
    edges = [float(e) for e in (channel_edges(chosen) if isinstance(chosen, int) else chosen)]
    low, high = ENERGY_RANGE_KEV
    if query.method == "mosaic":
        edges = [e for e in edges if low <= e <= high]
    if query.engine == "osa":
        return _osa(query, subject).spectra(edges, query.group, subject.asked)
    if query.engine == "mmoda":
        wanted = [*subject.extra, *([] if subject.asked is None else [subject.asked])]
        return _remote(query, subject, wanted).spectra(edges, query.group, subject.asked)
    graph = spectrum_graph if query.method == "fit" else mosaic_spectrum_graph
    of = (subject.asked, subject.extra, subject.time, _background_maps(query, ()))
    return graph(subject.archive, subject.windows, edges, query.group, *of)


def _quality(query: QualityQuery, subject: _Subject) -> Node:
    from integral_oda.engines.native.graph import quality_graph

    return quality_graph(subject.archive, subject.windows[0], query.energy_bands, subject.extra, subject.time)


def _refuse_selection(query: Query) -> None:
    """Refuse a choice of sources or times that the engine osa or mmoda cannot make."""
    if query.only_catalog and query.engine == "osa":
        raise RequestError(
            "only_catalog", True, "leave it out: OSA adds sources of the reference catalogue to any list"
        )
    for name in ("phase", "rate_range", *(["gti"] if query.engine == "mmoda" else [])):
        if getattr(query, name):
            raise RequestError(name, getattr(query, name), "only the engine native takes it; the engine osa takes gti")


def refuse_engine(query: Query) -> None:
    """Refuse an engine that is not there or cannot do what is asked.

    Raises
    ------
    UnavailableError
        If the engine is not there.
    RequestError
        If it cannot do this.
    """
    if "mmoda" in query.engines_of_steps.values() or (query.engine == "mmoda" and query.engine_for):
        raise RequestError("engine_for", ", ".join(query.engine_for), "the engine mmoda carries out whole queries")
    if query.engine == "native":
        if query.engines_of_steps:
            raise RequestError("engine_for", ", ".join(query.engine_for), "single steps can be left to native where "
                               "the engine is osa: --engine osa --engine-for IMA=native")  # fmt: skip
        return
    if isinstance(query, QualityQuery | BackgroundQuery):
        raise RequestError("engine", query.engine, "quality page and background map are made by the engine native")
    if isinstance(query, SpectrumQuery) and query.method == "mosaic":
        raise RequestError("method", query.method, f"the engine {query.engine} has the method fit")
    if getattr(query, "background", None) is not None:
        raise RequestError("background", query.background, "only the engine native takes background maps")  # type: ignore[attr-defined]
    _refuse_selection(query)
    bands = getattr(query, "bands", None) or ((getattr(query, "E1_keV", 15.0), getattr(query, "E2_keV", 800.0)),)
    if max(e2 for _, e2 in bands) > HIGHEST_OSA_ENERGY_KEV:
        raise RequestError(
            "band", bands, f"the engine {query.engine} takes energies from 15 to {HIGHEST_OSA_ENERGY_KEV:g} keV"
        )


HIGHEST_OSA_ENERGY_KEV = 800.0
"""Of the online system's interface to the same executables."""


def parts_of(query: QueryType, archive: Path | None) -> list[QueryType]:
    """Queries that a query is carried out as: one, or one for each version of OSA, see `split_by_osa_version`."""
    if query.engine != "osa" or query.scw_list:
        return split_by_osa_version(query)
    from integral_oda.archive.plan import Target
    from integral_oda.selection import select_windows

    root = archive or archive_root()
    asked = asked_source(query, user_sources(query), root)
    if asked is None:
        return [query]
    listed, _ = select_windows(query, root, Target(*asked))
    assert isinstance(listed, type(query))
    return split_by_osa_version(listed)


def split_by_osa_version(query: QueryType) -> list[QueryType]:
    """Queries of one OSA version each: a sum never holds products of two.

    ``osa_version`` 10.2+11.2 gives the windows before revolution 1626 to the first and the others to the second.

    Raises
    ------
    RequestError
        If OSA 11.0 or 11.1 is to take earlier windows.
    """
    versions = query.osa_version.split("+")
    if query.engine != "osa":
        return [query]
    early = tuple(scw for scw in query.scw_list if int(scw[:4]) < FIRST_REVOLUTION_OF_OSA_11)
    if len(versions) == 1:
        if versions[0] in ("11.0", "11.1") and early:
            raise RequestError(
                "osa_version", versions[0],
                f"OSA {versions[0]} has no calibration before revolution {FIRST_REVOLUTION_OF_OSA_11}, and {early[0]} "
                f"is earlier: take 11.2, or 10.2+{versions[0]} for one product on each side",
            )  # fmt: skip
        return [query]
    late = tuple(scw for scw in query.scw_list if scw not in early)
    parts = zip(versions, (early, late), strict=True)
    return [query.model_copy(update={"osa_version": v, "scw_list": windows}) for v, windows in parts if windows]


def _remote(query: Query, subject: _Subject, catalogue: Sequence[Position]) -> RemoteGraph:
    from integral_oda.engines.remote.graph import RemoteGraph

    return RemoteGraph(subject.archive, subject.windows, query.osa_version, catalogue)


def _osa(query: Query, subject: _Subject) -> OsaGraph:
    from integral_oda.engines.osa.graph import OsaGraph
    from integral_oda.engines.osa.requirements import require_osa

    parts = split_by_osa_version(query)
    if len(parts) > 1:
        raise RequestError("osa_version", query.osa_version, "the windows need two versions of OSA, whose products are "
                           "never summed: one query for each side of revolution 1626")  # fmt: skip
    (part,) = parts
    installation = require_osa(subject.archive.root, part.osa_version)
    return OsaGraph(
        archive=subject.archive,
        windows=subject.windows,
        version=part.osa_version,
        given=query.parameters_of_executables,
        engines=query.engines_of_steps,
        extra=subject.extra,
        intervals=subject.time.intervals,
        data=installation.data_names(),
    )


_GRAPHS: dict[type[Query], Callable[[Any, _Subject], Node]] = {
    BackgroundQuery: _background,
    ImageQuery: _image,
    LightCurveQuery: _light_curve,
    SpectrumQuery: _spectrum,
    QualityQuery: _quality,
}
