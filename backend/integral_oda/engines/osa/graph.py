"""The graph of a query for the osa engine: OSA's own steps, one node each, then reading what they wrote."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

from integral_oda.archive.tree import Archive
from integral_oda.engines.native import graph as native
from integral_oda.engines.osa import ENGINE
from integral_oda.engines.osa.mixing import MixedWindow, native_steps
from integral_oda.engines.osa.raw_files import raw_files
from integral_oda.engines.osa.table import EXECUTABLES, command_arguments
from integral_oda.engines.steps import DeclaredStep
from integral_oda.errors import RequestError
from integral_oda.instrument.energy import EnergyBand
from integral_oda.workflow.graph import Node

__all__ = ["SHORTEST_FITTED_BIN_S", "OsaGraph"]

Position = tuple[str, float, float]

_OSA = "integral_oda.engines.osa"
_RAW = ("swg", "events", "hk", "tcor")
_ATTITUDE = ("attitude", "snapshot", "predicted")
SHORTEST_FITTED_BIN_S = 60.0
"""Shorter time bins are too poor for a fit of their own: ii_light takes them in place of ii_lc_extract."""


@dataclass(frozen=True)
class _Step:
    """A step with the executables whose parameters matter to it and the raw files it reads."""

    declared: DeclaredStep
    executables: tuple[str, ...]
    raw: tuple[str, ...] = ("swg",)


def _step(name: str, carrier: str, executables: str, *raw: str, tolerant: bool = False, version: str = "1") -> _Step:
    return _Step(DeclaredStep(name, version, f"{_OSA}.{carrier}", tolerant), tuple(executables.split()), raw)


def _product(name: str, carrier: str) -> _Step:
    return _Step(DeclaredStep(name, "1", f"{_OSA}.{carrier}", product=True), (), ())


_STEPS = {
    "COR": _step("COR", "window:Cor", "ibis_isgr_energy ibis_isgr_evts_tag", *_RAW, "switch"),
    "GTI": _step("GTI", "window:Gti", "og_create gti_user ibis_gti", *_RAW, *_ATTITUDE),
    "DEAD": _step("DEAD", "window:Dead", "og_create ibis_dead", *_RAW),
    "BIN_I": _step("BIN_I", "window:Bin", "ii_shadow_build", *_RAW, "context", "noise"),
    "BIN_S": _step("BIN_S", "window:Bin", "ii_shadow_build", *_RAW, "context", "noise"),
    "BIN_T": _step("BIN_T", "window:Bin", "ii_shadow_build", *_RAW, "context", "noise"),
    "MAPS": _step("MAPS", "window:Maps", "ii_map_rebin"),
    "CAT_I": _step("CAT_I", "window:CatI", "cat_extract", "swg", version="2"),
    "PIF": _step("PIF", "window:Pif", "fextract ii_pif", "swg", "tcor"),
    "BKG_I": _step("BKG_I", "window:Bkg", "ii_shadow_ubc", "swg"),
    "BKG_S": _step("BKG_S", "window:Bkg", "ii_shadow_ubc", "swg"),
    "BKG_T": _step("BKG_T", "window:Bkg", "ii_shadow_ubc", "swg"),
    "GB": _step("GB", "window:GhostBusters", "ghost_busters", "swg", *_ATTITUDE),
    "IMA": _step("IMA", "images:Ima", "ii_skyimage", "swg", "tcor"),
    "MOSAIC": _step("MOSAIC", "images:Mosaic", "ii_skyimage", tolerant=True),
    "SRC": _step("SRC", "images:SrcCollect", "src_collect", tolerant=True),
    "SPE": _step("SPE", "sources:Spe", "ii_spectra_extract", "swg", "tcor", *_ATTITUDE, version="2"),
    "LCR": _step("LCR", "sources:Lcr", "ii_lc_extract", "swg", "tcor", *_ATTITUDE, version="2"),
    "LIGHT": _step("LIGHT", "sources:Light", "ii_light", "swg", "events", "tcor", *_ATTITUDE, "context", "noise",
                   "switch"),
    "SPE_SUM": _step("SPE_SUM", "sources:PickSpe", "spe_pick", tolerant=True),
    "LCR_JOIN": _step("LCR_JOIN", "sources:PickLcr", "lc_pick", tolerant=True),
    "PACK_SPE": _product("PACK_SPE", "interchange:PackSpectra"),
    "READ_IMA": _step("READ_IMA", "interchange:ReadImage", ""),
    "READ_LCR": _step("READ_LCR", "interchange:ReadLightCurves", "", version="2"),
    "READ_SPE": _step("READ_SPE", "spectrum_values:ReadSpectra", "", version="2"),
}  # fmt: skip
_LIST_BAND = EnergyBand(28.0, 80.0)
"""Band of the images whose sources have their spectra extracted."""


@dataclass(frozen=True)
class OsaGraph:
    """What the nodes of a query's windows share.

    Attributes
    ----------
    archive : Archive
    windows : sequence of str
    version : str
        Of OSA.
    given : mapping
        Parameters that the user sets, by executable.
    engines : mapping of str to str
        Steps that are left to the native engine; so is what follows them.
    extra : sequence of tuple
        Name, RA, Dec (degrees) of sources to add to the catalogue.
    intervals : sequence of (float, float)
        Good time, IJD; all of it if there is none.
    data : mapping
        Names of the reference catalogue and of the calibration files, part of every key.

    Raises
    ------
    RequestError
        For a parameter that no executable has, or a step that the other engine cannot carry out.
    """

    archive: Archive
    windows: Sequence[str]
    version: str
    given: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    engines: Mapping[str, str] = field(default_factory=dict)
    extra: Sequence[Position] = ()
    intervals: Sequence[tuple[float, float]] = ()
    data: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for executable, values in self.given.items():
            if executable not in EXECUTABLES:
                raise RequestError("osa_parameters", executable, f"one of {', '.join(EXECUTABLES)}")
            defaults = {p.name: "0" for p in EXECUTABLES[executable].parameters if p.default is None}
            command_arguments(executable, {**defaults, **values}, self.version)
        native_steps(self.engines)

    @cached_property
    def _native(self) -> frozenset[str]:
        """Steps that the native engine carries out."""
        return native_steps(self.engines)

    def image(self, bands: Sequence[EnergyBand], threshold: float, at: Sequence[Position] = ()) -> Node:
        """Node of the image product.

        Parameters
        ----------
        bands : sequence of EnergyBand
        threshold : float
            Significance that a new source needs.
        at : sequence of tuple
            Name, RA, Dec (degrees) of positions to measure at.
        """
        if "IMA" in self._native:
            binning = {"level": "BIN_I", "bands": _lists(bands)}
            return native.image_graph(
                self.archive, self.windows, bands, threshold, self.extra, at,
                made=lambda scw: self._mixed(scw, self._shadowgrams(scw, binning)).for_images(),
            )  # fmt: skip
        reading = {"threshold": threshold, "at": [list(place) for place in at]}
        images = [self._image(scw, bands, threshold) for scw in self.windows]
        if "MOSAIC" in self._native:
            read = [self._node("READ_IMA", node.scope, [node], reading) for node in images]
            return native.packed_image(native.gathered_images(self.archive, read, threshold, at=at))
        search = {"search": {"MinNewSouSnr": min(6.0, threshold)}, "bands": _lists(bands)}
        mosaic = self._node("MOSAIC", "all", images, search)
        return native.packed_image(self._node("READ_IMA", "all", [mosaic], reading))

    def source_table(self, bands: Sequence[EnergyBand], threshold: float) -> Node:
        """Node of the table of all windows' sources."""
        return self._node("SRC", "all", [self._image(scw, bands, threshold) for scw in self.windows])

    def light_curves(self, band: EnergyBand, time_bin_s: float, source: Position | None) -> Node:
        """Node of the light curves, of one source or of all that the images show."""
        if "LCR" in self._native:
            wanted = native.Curves((band,), {"width_s": time_bin_s}, source)
            return native.light_curve_graph(
                self.archive, self.windows, wanted, self.extra,
                made=lambda scw: self._mixed_for_curves(scw, band, time_bin_s, source).for_light_curves(),
            )  # fmt: skip
        reading = {"band": list(band), "source": source[0] if source else None}
        curves = [self._light_curve(scw, band, time_bin_s, source) for scw in self.windows]
        if "LCR_JOIN" in self._native:
            read = [self._node("READ_LCR", node.scope, [node], reading) for node in curves]
            return native.packed_light_curves(native.gathered_light_curves(read))
        joined = self._node("LCR_JOIN", "all", curves, {"source": reading["source"]})
        return native.packed_light_curves(self._node("READ_LCR", "all", [joined], reading))

    def spectra(self, edges_kev: Sequence[float], group: float, source: Position | None) -> Node:
        """Node of the spectra, of one source or of all that the images show.

        Parameters
        ----------
        edges_kev : sequence of float
            Of the channels.
        group : float
            Significance of a bin in the file's grouping.
        source : tuple or None
            Name, RA, Dec (degrees).
        """
        asked = {"source": source[0] if source else None}
        if "SPE" in self._native:
            return native.spectrum_graph(
                self.archive, self.windows, edges_kev, group, source, self.extra,
                made=lambda scw: self._mixed_for_spectra(scw).for_spectra(),
            )  # fmt: skip
        spectra = [self._spectra(scw, self._image(scw, [_LIST_BAND], 5.0), source) for scw in self.windows]
        if "SPE_SUM" in self._native:
            read = [self._node("READ_SPE", node.scope, [node], asked) for node in spectra]
            return native.packed_spectra(read, edges_kev, group, native.response_files(self.archive, self.windows))
        summed = self._node("SPE_SUM", "all", spectra, asked)
        return self._node("PACK_SPE", "all", [summed], {"edges": list(edges_kev), "group": group})

    def _image(self, scw: str, bands: Sequence[EnergyBand], threshold: float) -> Node:
        gti = self._good_time(scw)
        made = self._shadowgrams(scw, {"level": "BIN_I", "bands": _lists(bands)})
        search = {"search": {"MinNewSouSnr": min(5.0, threshold)}, "bands": _lists(bands)}
        return self._node("IMA", scw, [made["BKG"], self._catalogue(scw), gti, made["MAPS"]], search)

    def _shadowgrams(self, scw: str, binning: Mapping[str, Any]) -> dict[str, Node]:
        """Nodes of the shadowgrams of a level, of its maps, and of the shadowgrams corrected with them."""
        level, bands = {"level": binning["level"]}, {"bands": binning["bands"]}
        maps = self._maps(binning)
        binned = self._node(binning["level"], scw, self._events(scw), binning)
        inputs = [binned, maps]
        if binning["level"] == "BIN_I":
            inputs.append(self._node("PIF", scw, [self._good_time(scw)], bands))
        corrected = self._node(binning["level"].replace("BIN", "BKG"), scw, inputs, level)
        return {"BIN": binned, "MAPS": maps, "BKG": self._node("GB", scw, [corrected])}

    def _maps(self, binning: Mapping[str, Any]) -> Node:
        return self._node("MAPS", "all", [], {name: binning[name] for name in ("level", "bands")})

    def _catalogue(self, scw: str) -> Node:
        return self._node("CAT_I", scw, [], {"extra": [list(place) for place in self.extra]})

    def _mixed(self, scw: str, made: Mapping[str, Node]) -> MixedWindow:
        """A window that native steps follow, with OSA's nodes of its shadowgrams and what else is handed on."""
        cor, gti, dead = self._events(scw)
        osa = {"COR": cor, "GTI": gti, "DEAD": dead, "CAT_I": self._catalogue(scw), **made}
        time = native.TimeSelection(intervals=tuple(self.intervals)).parameters
        return MixedWindow(self.archive, scw, self.version, self._native, osa, self.extra, time)

    def _mixed_for_spectra(self, scw: str) -> MixedWindow:
        image = self._image(scw, [_LIST_BAND], 5.0)
        return self._mixed(scw, {"IMA": image, **self._shadowgrams(scw, _channels())})

    def _mixed_for_curves(self, scw: str, band: EnergyBand, time_bin_s: float, source: Position | None) -> MixedWindow:
        image = self._image(scw, [band], 5.0)
        if time_bin_s < SHORTEST_FITTED_BIN_S:
            maps = self._maps(_time_bins(band, time_bin_s))
            return self._mixed(scw, {"IMA": image, "MAPS": maps, "SPE": self._spectra(scw, image, source)})
        return self._mixed(scw, {"IMA": image, **self._shadowgrams(scw, _time_bins(band, time_bin_s))})

    def _light_curve(self, scw: str, band: EnergyBand, time_bin_s: float, source: Position | None) -> Node:
        image = self._image(scw, [band], 5.0)
        if time_bin_s < SHORTEST_FITTED_BIN_S:
            maps = self._maps(_time_bins(band, time_bin_s))
            inputs = [self._node("COR", scw), self._good_time(scw), maps, self._spectra(scw, image, source)]
            return self._node("LIGHT", scw, inputs, {"bands": _lists([band]), "time_bin": time_bin_s})
        return self._extraction("LCR", scw, image, _time_bins(band, time_bin_s), source)

    def _spectra(self, scw: str, image: Node, source: Position | None) -> Node:
        return self._extraction("SPE", scw, image, _channels(), source)

    def _extraction(
        self, step: str, scw: str, image: Node, binning: Mapping[str, Any], source: Position | None
    ) -> Node:
        made = self._shadowgrams(scw, binning)
        asked = {"level": binning["level"], "extra": [list(source)] if source else []}
        return self._node(step, scw, [made["BKG"], self._good_time(scw), made["MAPS"], image], asked)

    def _events(self, scw: str) -> list[Node]:
        return [self._node("COR", scw), self._good_time(scw), self._node("DEAD", scw)]

    def _good_time(self, scw: str) -> Node:
        return self._node("GTI", scw, [], {"intervals": [list(pair) for pair in self.intervals]})

    def _node(
        self, name: str, scope: str, inputs: Sequence[Node] = (), parameters: Mapping[str, Any] | None = None
    ) -> Node:
        step = _STEPS[name]
        given = {e: dict(self.given[e]) for e in step.executables if e in self.given}
        shared = {"osa": self.version, **self.data} if step.executables else {}
        raw: dict[str, Path] = {}
        if scope != "all":
            raw = {kind: path for kind, path in raw_files(self.archive, scope).items() if kind in step.raw}
        return Node(
            step=step.declared,
            scope=scope,
            parameters={**shared, **(parameters or {}), **({"given": given} if given else {})},
            inputs=tuple(inputs),
            raw=raw,
            engine=ENGINE,
            engine_version=self.version,
        )


def _channels() -> dict[str, Any]:
    """Binning of the spectra."""
    from integral_oda.instrument.response import osa_channel_edges_kev

    edges = [float(edge) for edge in osa_channel_edges_kev()]
    return {"level": "BIN_S", "bands": [list(pair) for pair in pairwise(edges)]}


def _time_bins(band: EnergyBand, time_bin_s: float) -> dict[str, Any]:
    """Binning of the light curves."""
    return {"level": "BIN_T", "bands": _lists([band]), "time_bin": time_bin_s}


def _lists(bands: Sequence[EnergyBand]) -> list[list[float]]:
    return [list(band) for band in bands]
