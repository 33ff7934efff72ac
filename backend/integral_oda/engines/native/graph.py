"""The graph of a query for the native engine: one node a step a window, then the gathering nodes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from integral_oda.archive.calibration import calibration_files
from integral_oda.archive.tree import Archive
from integral_oda.background_files import bands_of_maps, find_map
from integral_oda.engines.native.window_nodes import (
    OnlyThese,
    Position,
    WindowNodes,
    axis_of,
    in_field,
    native_node,
    only,
    plain_window,
    some_of,
)
from integral_oda.engines.steps import DeclaredStep
from integral_oda.errors import RequestError
from integral_oda.instrument.energy import EnergyBand, neighbour_band
from integral_oda.workflow.graph import Node, gather_as_tree

__all__ = [
    "EVERYTHING",
    "NONE_FOUND",
    "Curves",
    "MadeWindow",
    "OnlyThese",
    "TimeSelection",
    "background_graph",
    "band_shadowgram",
    "gathered_images",
    "gathered_light_curves",
    "image_graph",
    "light_curve_graph",
    "mosaic_spectrum_graph",
    "packed_image",
    "packed_light_curves",
    "packed_spectra",
    "quality_graph",
    "response_files",
    "spectrum_graph",
]

WINDOWS_TOGETHER = 16
"""Images, or sums of them, that a gathering node takes at most."""
WIDEST_MOSAIC_DEG = 50.0
"""Farther from its tangent point a gnomonic image has many pixels and says little."""
RATE_BAND = EnergyBand(28.0, 80.0)
"""Band of the rates that a time selection of spectra goes by."""
_NO_NEW_SOURCES = 100.0
NONE_FOUND = 1e6
"""Significance that no excess has: where the user's sources are all there is."""

MadeWindow = Callable[[str], WindowNodes]

_NATIVE = "integral_oda.engines.native"
REF_I = DeclaredStep("REF_I", "7", f"{_NATIVE}.image:RefI")
BACK = DeclaredStep("BACK", "1", f"{_NATIVE}.background_maps:Back")
BIN_I = DeclaredStep("BIN_I", "12", f"{_NATIVE}.image:BinI")
BKG_I = DeclaredStep("BKG_I", "4", f"{_NATIVE}.image:BkgI")
IMA = DeclaredStep("IMA", "13", f"{_NATIVE}.image:Ima")
MOSAIC_SUM = DeclaredStep("MOSAIC_SUM", "2", f"{_NATIVE}.mosaic_sum:SumImages", tolerant=True)
MOSAIC = DeclaredStep("MOSAIC", "8", f"{_NATIVE}.gather:Mosaic", tolerant=True)
LCR = DeclaredStep("LCR", "10", f"{_NATIVE}.timing:Lcr")
LCR_JOIN = DeclaredStep("LCR_JOIN", "3", f"{_NATIVE}.timing:JoinLcr", tolerant=True)
BURST = DeclaredStep("BURST", "4", f"{_NATIVE}.source_events:Bursts")
BURST_JOIN = DeclaredStep("BURST_JOIN", "1", f"{_NATIVE}.source_events:JoinBursts", tolerant=True)
EVT = DeclaredStep("EVT", "4", f"{_NATIVE}.source_events:SourceEvents")
EVT_JOIN = DeclaredStep("EVT_JOIN", "2", f"{_NATIVE}.source_events:JoinSourceEvents", tolerant=True)
BIN_S = DeclaredStep("BIN_S", "1", f"{_NATIVE}.spectra:BinS")
BKG_S = DeclaredStep("BKG_S", "6", f"{_NATIVE}.spectra:BkgS")
SPE = DeclaredStep("SPE", "6", f"{_NATIVE}.spectra:Spe")
STATE = DeclaredStep("STATE", "2", f"{_NATIVE}.timing:State")
QUALITY = DeclaredStep("QUALITY", "7", f"{_NATIVE}.quality:Quality")
PACK_QUALITY = DeclaredStep("PACK_QUALITY", "2", f"{_NATIVE}.quality:PackQuality", product=True)
CAL_I = DeclaredStep("CAL_I", "4", f"{_NATIVE}.background_maps:WindowResidual")
PACK_BACKGROUND = DeclaredStep(
    "PACK_BACKGROUND", "1", f"{_NATIVE}.background_maps:PackBackground", tolerant=True, product=True
)
PACK_IMAGE = DeclaredStep("PACK_IMAGE", "5", f"{_NATIVE}.pack:PackImage", product=True)
PACK_LC = DeclaredStep("PACK_LC", "5", f"{_NATIVE}.pack_timing:PackLightCurve", product=True)
PACK_SPE = DeclaredStep("PACK_SPE", "2", f"{_NATIVE}.spectra_sum:PackSpectra", tolerant=True, product=True)
PACK_MSPE = DeclaredStep("PACK_MSPE", "1", f"{_NATIVE}.spectra_sum:PackMosaicSpectrum", product=True)


@dataclass(frozen=True)
class TimeSelection:
    """Which of the good time a query uses.

    Attributes
    ----------
    intervals : tuple of (float, float)
        IJD; all times if empty.
    phase : tuple of float or None
        Epoch (IJD), period (s), start and stop of the phases.
    rate_range : tuple of float or None
        Rates of ``source``, counts/s in ``band``, in bins of ``rate_bin_s`` seconds.
    """

    intervals: tuple[tuple[float, float], ...] = ()
    phase: tuple[float, float, float, float] | None = None
    rate_range: tuple[float, float] | None = None
    rate_bin_s: float = 10.0
    source: Position | None = None

    @property
    def parameters(self) -> dict[str, Any]:
        """Parameters of the step GTI: only what is asked, so that a query without selection keeps its key."""
        given = {"intervals": [list(pair) for pair in self.intervals], "phase": list(self.phase or ())}
        return {name: value for name, value in given.items() if value}


EVERYTHING = TimeSelection()


def image_graph(
    archive: Archive,
    windows: Sequence[str],
    bands: Sequence[EnergyBand],
    threshold: float,
    extra: Sequence[Position] = (),
    at: Sequence[Position] = (),
    time: TimeSelection = EVERYTHING,
    background: Path | None = None,
    made: MadeWindow | None = None,
) -> Node:
    """Node of the image product of some windows.

    Parameters
    ----------
    archive : Archive
    windows : sequence of str
        Windows that the archive has.
    bands : sequence of EnergyBand
    threshold : float
        Significance that a new source needs.
    extra : sequence of tuple
        Name, RA, Dec (degrees) of sources to add to the catalogue.
    at : sequence of tuple
        Name, RA, Dec of positions to measure at.
    time : TimeSelection
        The first band is that of its rates.
    background : Path, optional
        Folder of background maps.
    made : callable, optional
        Nodes of each window where another engine carries out its first steps.
    """
    images = []
    for scw in windows:
        base = made(scw) if made else _selected_nodes(archive, scw, extra, time, bands[0], background)
        # Several windows are searched and measured in their mosaic: theirs alone keep for any question.
        asked = [list(p) for p in in_field(archive, scw, at)] if len(windows) == 1 else []
        parameters = {"bands": [list(b) for b in bands], "threshold": threshold, "at": asked}
        calibration = some_of(base.files, "ic_effi", "ic_arf", "ic_rmf")
        images.append(native_node(base.imaging or IMA, scw, parameters, _all_bands(scw, base, bands), calibration))
    return packed_image(gathered_images(archive, images, threshold, extra, at))


def gathered_images(
    archive: Archive,
    images: Sequence[Node],
    threshold: float,
    extra: Sequence[Position] = (),
    at: Sequence[Position] = (),
) -> Node:
    """Node of the mosaic of images, whichever engine they come from.

    Many are added up as partial sums, on a grid that a few windows more or less do not move.
    """
    if len(images) == 1:
        return native_node(MOSAIC, "all", {}, images)
    where = {"tangent": _tangent_point({scw: axis_of(archive, scw) for scw in (image.scope for image in images)})}
    places = {"extra": [list(p) for p in extra], "at": [list(p) for p in at]}
    search = {"threshold": threshold, **places, **only(extra)}
    return gather_as_tree(
        images,
        lambda some: native_node(MOSAIC_SUM, "all", where, some),
        WINDOWS_TOGETHER,
        lambda some: native_node(MOSAIC, "all", {**where, **search}, some),
    )


def packed_image(mosaic: Node) -> Node:
    """Node of the product files of an image."""
    return native_node(PACK_IMAGE, "all", {}, [mosaic])


def _tangent_point(axes: Mapping[str, tuple[float, float] | None]) -> list[float]:
    """RA and Dec (degrees) in the middle of the windows, on a lattice.

    Raises
    ------
    RequestError
        If a window is too far from it for one gnomonic image.
    """
    from integral_oda.instrument.attitude import separation_deg, unit_vector
    from integral_oda.products.sky_grid import lattice_point

    known = {scw: axis for scw, axis in axes.items() if axis is not None}
    if not known:
        return [0.0, 0.0]
    tangent = [float(angle) for angle in lattice_point(unit_vector(*zip(*known.values(), strict=True)).sum(axis=0))]
    distance, scw = max((float(separation_deg(*axis, *tangent)), scw) for scw, axis in known.items())
    if distance > WIDEST_MOSAIC_DEG:
        raise RequestError(
            "scw_list", f"{len(axes)} science windows, {scw} {distance:.0f} degrees from their middle",
            f"at most {WIDEST_MOSAIC_DEG:g} degrees in one image; "
            "make images of parts and add them up with `integral-oda mosaic`",
        )  # fmt: skip
    return tangent


def quality_graph(
    archive: Archive,
    scw: str,
    bands: Sequence[EnergyBand],
    extra: Sequence[Position] = (),
    time: TimeSelection = EVERYTHING,
) -> Node:
    """Node of the quality page of one window; the first band is that of the residual maps."""
    base = plain_window(archive, scw, extra, time.parameters)
    quality = native_node(QUALITY, scw, {"bands": [list(b) for b in bands]}, _all_bands(scw, base, bands))
    return native_node(PACK_QUALITY, scw, {}, [quality])


def _all_bands(scw: str, base: WindowNodes, bands: Sequence[EnergyBand]) -> list[Node]:
    """Inputs of what looks at several bands: events, field, then shadowgrams, then the widths of their structure."""
    binned = [band_shadowgram(scw, base, b) for b in bands]
    widths = [native_node(BKG_I, scw, {"band": list(b)}, [s, base.field]) for s, b in zip(binned, bands, strict=True)]
    return [*base.events, base.field, *binned, *widths]


def band_shadowgram(scw: str, base: WindowNodes, band: EnergyBand) -> Node:
    """Shadowgram of a band, with the structure that a neighbouring band and other windows show."""
    if base.shadowgram is not None:
        return base.shadowgram(band)
    templates, maps = [], some_of(base.files, "ic_unif", "ic_back")
    neighbour = neighbour_band(band)
    if neighbour is not None:
        templates.append(native_node(REF_I, scw, {"band": list(neighbour)}, [*base.events, base.field], maps))
    templates += _known_structure(scw, base, [band])
    inputs = [*base.events, base.field, *templates]
    return native_node(BIN_I, scw, {"band": list(band)}, inputs, {**maps, **some_of(base.files, "ic_deco")})


def _known_structure(scw: str, base: WindowNodes, bands: Sequence[EnergyBand]) -> list[Node]:
    """Structure that other windows show in some bands, of those that there are maps of."""
    maps = [find_map(base.background, band, scw) for band in bands] if base.background else []
    events = base.events[:1]
    return [native_node(BACK, scw, {"scw": scw}, events, {"background": path}) for path in maps if path is not None]


def background_graph(
    archive: Archive, windows: Sequence[str], bands: Sequence[EnergyBand], extra: Sequence[Position] = ()
) -> Node:
    """Node of the background maps of some windows."""
    planes = []
    for scw in windows:
        base = plain_window(archive, scw, extra, {})
        inputs, maps = [*base.events, base.field], some_of(base.files, "ic_unif", "ic_back")
        planes += [native_node(CAL_I, scw, {"band": list(band)}, inputs, maps) for band in bands]
    return native_node(PACK_BACKGROUND, "all", {}, planes)


@dataclass(frozen=True)
class Curves:
    """Which light curves are wanted, and what else is made of the same events.

    Attributes
    ----------
    bands : tuple of EnergyBand
    bins : mapping
        Bins of a window, see `integral_oda.engines.native.timing.Lcr`.
    source : tuple or None
        Name, RA, Dec (degrees) of the one source wanted; every one of the field if None.
    together : mapping
        Windows that become one bin, see `integral_oda.products.joining.join_curves`.
    barycentre : bool
        Times at the barycentre of the solar system.
    bursts, events : bool
        Burst list and event list of the source, in the first band.
    joining : mapping
        Further parameters of the joined light curves: ``epoch_correction``.
    folding : mapping
        What is made of the event list: ``fold`` and ``period_search``.
    """

    bands: tuple[EnergyBand, ...]
    bins: Mapping[str, Any]
    source: Position | None = None
    together: Mapping[str, Any] = field(default_factory=dict)
    barycentre: bool = False
    bursts: bool = False
    events: bool = False
    joining: Mapping[str, Any] = field(default_factory=dict)
    folding: Mapping[str, Any] = field(default_factory=dict)

    @property
    def parameters(self) -> dict[str, Any]:
        """Parameters of the step LCR."""
        asked = {"bands": [list(b) for b in self.bands], "bins": dict(self.bins)}
        return {**asked, "source": list(self.source) if self.source else None, **self.frame}

    @property
    def event_parameters(self) -> dict[str, Any]:
        """Parameters of the steps BURST and EVT."""
        return {name: value for name, value in self.parameters.items() if name != "bins"}

    @property
    def frame(self) -> dict[str, Any]:
        """Parameter that asks for barycentric times, where they are wanted."""
        return {"barycentre": True} if self.barycentre else {}


def light_curve_graph(
    archive: Archive,
    windows: Sequence[str],
    curves: Curves,
    extra: Sequence[Position] = (),
    time: TimeSelection = EVERYTHING,
    background: Path | None = None,
    made: MadeWindow | None = None,
) -> Node:
    """Node of the light curves of some windows, of one source or of all in the field; ``made`` as in `image_graph`."""
    band = curves.bands[0]
    bases = [made(s) if made else _selected_nodes(archive, s, extra, time, band, background) for s in windows]

    def of_each(step: DeclaredStep) -> list[Node]:
        return [_light_curve_node(step, archive, scw, base, curves) for scw, base in zip(windows, bases, strict=True)]

    further = {}
    if curves.bursts:
        further["bursts"] = native_node(BURST_JOIN, "all", {}, of_each(BURST))
    if curves.events or curves.folding:
        further["events"] = native_node(EVT_JOIN, "all", {}, of_each(EVT))
    joined = gathered_light_curves(of_each(LCR), curves.together, curves.joining)
    wanted = {"event_list": True} if curves.events else {}
    return packed_light_curves(joined, further, {**wanted, **curves.folding})


def gathered_light_curves(
    curves: Sequence[Node], together: Mapping[str, Any] | None = None, further: Mapping[str, Any] | None = None
) -> Node:
    """Node of light curves joined by source and band, whichever engine they come from."""
    return native_node(LCR_JOIN, "all", {"together": dict(together or {}), **(further or {})}, curves)


def packed_light_curves(
    joined: Node, further: Mapping[str, Node] | None = None, parameters: Mapping[str, Any] | None = None
) -> Node:
    """Node of the product files of light curves.

    Parameters
    ----------
    joined : Node
    further : mapping of str to Node
        What else there is: ``bursts`` and ``events``.
    parameters : mapping
        Of the step PACK_LC.
    """
    others = dict(further or {})
    named = {"further": list(others)} if others else {}
    return native_node(PACK_LC, "all", {**named, **(parameters or {})}, [joined, *others.values()])


def spectrum_graph(
    archive: Archive,
    windows: Sequence[str],
    edges_kev: Sequence[float],
    group: float,
    source: Position | None,
    extra: Sequence[Position] = (),
    time: TimeSelection = EVERYTHING,
    background: Path | None = None,
    made: MadeWindow | None = None,
) -> Node:
    """Node of the spectra of some windows, of one source or of all in the field.

    Parameters
    ----------
    archive, windows, extra, time, background, made
        As for `image_graph`.
    edges_kev : sequence of float
        Of the channels.
    group : float
        Significance of a bin in the file's grouping.
    source : tuple or None
        Name, RA, Dec (degrees).
    """
    asked = {"source": list(source) if source else None}
    spectra = []
    for scw in windows:
        base = made(scw) if made else _selected_nodes(archive, scw, extra, time, RATE_BAND, background)
        if base.spectra is not None:
            spectra.append(base.spectra(source))
            continue
        cube = native_node(BIN_S, scw, {}, base.events)
        known = _known_structure(scw, base, bands_of_maps(background)) if background else []
        structure = native_node(BKG_S, scw, asked, [*base.events, base.field, cube, *known])
        spectra.append(native_node(SPE, scw, asked, [*base.events, structure, cube], some_of(base.files, "ic_effi")))
    return packed_spectra(spectra, edges_kev, group, response_files(archive, windows))


def packed_spectra(
    spectra: Sequence[Node], edges_kev: Sequence[float], group: float, responses: Mapping[str, Path] | None = None
) -> Node:
    """Node of the product files of the spectra of windows, summed by source, with the IC tree's responses."""
    return native_node(PACK_SPE, "all", {"edges": list(edges_kev), "group": group}, spectra, responses)


def response_files(archive: Archive, windows: Sequence[str]) -> dict[str, Path]:
    """RMF and ARF of the IC tree for each revolution, under ``ic_rmf_<revolution>`` and ``ic_arf_<revolution>``."""
    first = {int(scw[:4]): scw for scw in reversed(windows)}
    return {
        f"{kind}_{revolution}": path
        for revolution, scw in sorted(first.items())
        for kind, path in some_of(calibration_files(archive, scw), "ic_rmf", "ic_arf").items()
    }


def mosaic_spectrum_graph(
    archive: Archive,
    windows: Sequence[str],
    edges_kev: Sequence[float],
    group: float,
    source: Position | None,
    extra: Sequence[Position] = (),
    time: TimeSelection = EVERYTHING,
    background: Path | None = None,
) -> Node:
    """Node of the spectra from fluxes in the images of all channels; parameters as for `spectrum_graph`."""
    bands = [EnergyBand(float(a), float(b)) for a, b in pairwise(edges_kev)]
    at = [source] if source else ()
    image = image_graph(archive, windows, bands, _NO_NEW_SOURCES, extra, at, time, background)
    parameters = {"edges": list(edges_kev), "group": group, "source": list(source) if source else None}
    return native_node(PACK_MSPE, "all", parameters, image.inputs, response_files(archive, windows))


def _light_curve_node(step: DeclaredStep, archive: Archive, scw: str, base: WindowNodes, curves: Curves) -> Node:
    if base.light_curve is not None and step is LCR:
        return base.light_curve(curves.parameters)
    shadowgrams = [band_shadowgram(scw, base, b) for b in curves.bands]
    widths = [
        native_node(BKG_I, scw, {"band": list(b)}, [s, base.field])
        for s, b in zip(shadowgrams, curves.bands, strict=True)
    ]
    orbit = _orbit(archive, scw) if curves.barycentre else None
    inputs = [*base.events[:3], base.field, *shadowgrams, *widths]
    parameters = curves.parameters if step is LCR else curves.event_parameters
    if step is BURST:
        orbit, parameters = None, {key: value for key, value in parameters.items() if key != "barycentre"}
    calibration = some_of(base.files, "ic_effi") if step is LCR else {}
    return native_node(step, scw, parameters, inputs, {**({"orbit": orbit} if orbit else {}), **calibration})


def _orbit(archive: Archive, scw: str) -> Path | None:
    from integral_oda.archive.orbit import ORBIT_FILE, REVOLUTION_ORBIT_FILE

    return archive.find(scw, ORBIT_FILE) or archive.find_auxiliary_file(scw, REVOLUTION_ORBIT_FILE)


def _selected_nodes(
    archive: Archive,
    scw: str,
    extra: Sequence[Position],
    time: TimeSelection,
    band: EnergyBand,
    background: Path | None = None,
) -> WindowNodes:
    """Nodes of a window in the time selected; its rates are those of all phases in the intervals."""
    if time.rate_range is None:
        return plain_window(archive, scw, extra, time.parameters, background=background)
    whole = plain_window(archive, scw, extra, TimeSelection(time.intervals).parameters, background=background)
    rates = Curves((band,), {"width_s": time.rate_bin_s}, time.source)
    curve = _light_curve_node(LCR, archive, scw, whole, rates)
    state = native_node(STATE, scw, {"rate_range": list(time.rate_range)}, [curve])
    return plain_window(archive, scw, extra, time.parameters, [state], background)
