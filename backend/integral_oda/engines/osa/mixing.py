"""Where a query leaves OSA for the native engine: which steps are native, and OSA's products as their inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from integral_oda.archive.calibration import ENERGY_TABLES, IC_PREFIX, calibration_files
from integral_oda.archive.tree import Archive
from integral_oda.engines.native import graph as native
from integral_oda.engines.native import window_nodes as windows
from integral_oda.engines.native.window_nodes import Position, WindowNodes
from integral_oda.engines.osa import ENGINE
from integral_oda.engines.steps import DeclaredStep
from integral_oda.errors import RequestError
from integral_oda.instrument.energy import EnergyBand
from integral_oda.workflow.graph import Node

__all__ = ["MixedWindow", "native_steps"]

_FOLLOWERS: Mapping[str, tuple[str, ...]] = {
    "COR": ("BIN_I", "BIN_S", "BIN_T"),
    "GTI": ("BIN_I", "BIN_S", "BIN_T"),
    "DEAD": ("BIN_I", "BIN_S", "BIN_T"),
    "CAT_I": ("IMA",),
    "MAPS": ("BKG_I", "BKG_S", "BKG_T"),
    "BIN_I": ("BKG_I",),
    "BKG_I": ("IMA",),
    "IMA": ("MOSAIC", "SPE", "LCR"),
    "MOSAIC": (),
    "BIN_S": ("BKG_S",),
    "BKG_S": ("SPE",),
    "SPE": ("SPE_SUM", "LIGHT"),
    "SPE_SUM": (),
    "BIN_T": ("BKG_T",),
    "BKG_T": ("LCR",),
    "LCR": ("LIGHT", "LCR_JOIN"),
    "LIGHT": ("LCR", "LCR_JOIN"),
    "LCR_JOIN": (),
}
"""Steps that both engines have, and what takes their products: OSA's executables take none of another engine."""

_OSA = "integral_oda.engines.osa"


def _reading(step: DeclaredStep, name: str, carrier: str) -> DeclaredStep:
    """Step that reads what OSA's has made as the native one would; it changes with the native one."""
    return DeclaredStep(name, f"{step.version}.2", f"{_OSA}.{carrier}")


_READ_COR = _reading(windows.COR, "READ_COR", "window_values:ReadEvents")
_READ_GTI = _reading(windows.GTI, "READ_GTI", "window_values:ReadGoodTime")
_READ_DEAD = _reading(windows.DEAD, "READ_DEAD", "window_values:ReadDeadTime")
_READ_CAT = _reading(windows.CAT_I, "READ_CAT", "window_values:ReadCatalogue")
_READ_LIST = _reading(windows.CAT_I, "READ_LIST", "window_values:ReadSourceList")
_READ_SHD = _reading(native.BIN_I, "READ_SHD", "shadowgram_values:ReadShadowgram")
_READ_PIF = _reading(native.BIN_I, "READ_PIF", "shadowgram_values:LitShadowgram")
_IMA = _reading(native.IMA, "IMA", "shadowgram_values:ImaOfShadowgrams")
_SPE = _reading(native.SPE, "SPE", "shadowgram_values:SpeOfShadowgrams")
_LCR = _reading(native.LCR, "LCR", "shadowgram_values:LcrOfShadowgrams")
_LIGHT = _reading(native.LCR, "LIGHT", "shadowgram_values:LcrOfPifs")


def native_steps(engines: Mapping[str, str]) -> frozenset[str]:
    """Steps that the native engine carries out: those asked for, and all that follow them.

    Raises
    ------
    RequestError
        For a step that it does not have, or another engine.
    """
    found: set[str] = set()
    waiting = list(engines)
    for step, engine in engines.items():
        if step not in _FOLLOWERS or engine != "native":
            raise RequestError(
                "engine_for", f"{step}={engine}",
                f"with the engine osa, these can be left to native: {', '.join(_FOLLOWERS)}",
            )  # fmt: skip
    while waiting:
        step = waiting.pop()
        if step not in found:
            found.add(step)
            waiting += _FOLLOWERS[step]
    return frozenset(found)


@dataclass(frozen=True)
class MixedWindow:
    """A science window whose first steps OSA carries out, for the native steps that follow.

    Attributes
    ----------
    archive : Archive
    scw : str
    version : str
        Of OSA.
    native : frozenset of str
        Steps that the native engine carries out.
    osa : mapping of str to Node
        OSA's COR, GTI, DEAD, CAT_I, BIN, MAPS and BKG of the query's bands, and where they are wanted IMA for its
        source list and SPE for its PIFs.
    extra : sequence of tuple
        Name, RA, Dec (degrees) of sources to add to the catalogue.
    good_time : mapping
        Parameters of a native GTI.
    """

    archive: Archive
    scw: str
    version: str
    native: frozenset[str]
    osa: Mapping[str, Node]
    extra: Sequence[Position]
    good_time: Mapping[str, Any]

    def for_images(self) -> WindowNodes:
        """Nodes that native images follow: OSA's shadowgrams where it makes them, else its events."""
        events, files = self._events()
        field, planes = self._catalogue(events[0]), self._shadowgrams("I")
        if not planes:
            return windows.with_thresholds(self.scw, events, field, files)
        maps = windows.some_of(files, "ic_deco", *(("ic_unif", "ic_back") if "MAPS" in self.native else ()))

        def shadowgram(band: EnergyBand) -> Node:
            return self._read(_READ_SHD, [*events, field, *planes], {"band": list(band)}, maps)

        return WindowNodes([*events, *self._maps()], field, files, shadowgram=shadowgram, imaging=_IMA)

    def for_spectra(self) -> WindowNodes:
        """Nodes that native spectra follow."""
        events, files = self._events()
        field, planes = self._sources(events[0]), self._shadowgrams("S")
        if not planes:
            return windows.with_thresholds(self.scw, events, field, files)
        support = windows.some_of(files, "ic_effi")

        def spectra(source: Position | None) -> Node:
            asked = {"source": list(source) if source else None}
            return self._read(_SPE, [*events, field, *planes], asked, support)

        return WindowNodes(events, field, files, spectra=spectra)

    def for_light_curves(self) -> WindowNodes:
        """Nodes that native light curves follow: shadowgrams of time bins, or events with OSA's PIFs for short ones."""
        events, files = self._events()
        field, planes = self._sources(events[0]), [] if "SPE" in self.osa else self._shadowgrams("T")
        support = windows.some_of(files, "ic_effi")

        def of_planes(parameters: Mapping[str, Any]) -> Node:
            asked = {name: parameters[name] for name in ("bands", "source")}
            return self._read(_LCR, [*events, field, *planes], asked, support)

        if planes:
            return WindowNodes(events, field, files, light_curve=of_planes)
        base = windows.with_thresholds(self.scw, events, field, files)
        if "SPE" not in self.osa or "SPE" in self.native:
            return base

        def of_pifs(parameters: Mapping[str, Any]) -> Node:
            binned = [self._lit(base, EnergyBand(*band)) for band in parameters["bands"]]
            widths = [
                windows.native_node(native.BKG_I, self.scw, {"band": band}, [shadowgram, field])
                for shadowgram, band in zip(binned, parameters["bands"], strict=True)
            ]
            return self._read(_LIGHT, [*events, field, *binned, *widths, *self._maps()], parameters, support)

        return WindowNodes(base.events, field, files, light_curve=of_pifs)

    def _lit(self, base: WindowNodes, band: EnergyBand) -> Node:
        """Shadowgram of events whose sources have OSA's PIFs."""
        plain = native.band_shadowgram(self.scw, base, band)
        return self._read(_READ_PIF, [plain, base.events[0], self.osa["SPE"]])

    def _maps(self) -> list[Node]:
        return [] if "MAPS" in self.native else [self.osa["MAPS"]]

    def _events(self) -> tuple[list[Node], Mapping[str, Path]]:
        """Events, good time and dead time, and the files that tell of the instrument."""
        files = calibration_files(self.archive, self.scw)
        cor = self._cor(files)
        gti = self._gti(cor, files)
        return [cor, gti, self._dead(cor, gti)], files

    def _shadowgrams(self, level: str) -> list[Node]:
        """OSA's nodes that shadowgrams of a level are read from, ``I``, ``S`` or ``T``; none where they are native."""
        if f"BIN_{level}" in self.native:
            return []
        corrected = [] if f"BKG_{level}" in self.native else [self.osa["BKG"]]
        return [self.osa["BIN"], *self._maps(), *corrected]

    def _sources(self, cor: Node) -> Node:
        """Sources of OSA's image, or those of the catalogue where the image is native."""
        if "IMA" in self.native:
            return self._catalogue(cor)
        return self._read(_READ_LIST, [self.osa["IMA"], cor], self._extra())

    def _extra(self) -> dict[str, Any]:
        return {"extra": [list(place) for place in windows.in_field(self.archive, self.scw, self.extra)]}

    def _cor(self, files: Mapping[str, Path]) -> Node:
        if "COR" in self.native:
            return windows.cor_node(self.archive, self.scw, files)
        others = {name: path for name, path in files.items() if name.removeprefix(IC_PREFIX) not in ENERGY_TABLES}
        raw = {"events": self.archive.events_file(self.scw), **others}
        return self._read(_READ_COR, [self.osa["COR"]], {"osa": self.version}, raw)

    def _gti(self, cor: Node, files: Mapping[str, Path]) -> Node:
        if "GTI" in self.native:
            return windows.gti_node(self.scw, cor, files, self.good_time)
        return self._read(_READ_GTI, [self.osa["GTI"]])

    def _dead(self, cor: Node, gti: Node) -> Node:
        if "DEAD" in self.native:
            return windows.dead_node(self.archive, self.scw, cor, gti)
        times = [] if "GTI" in self.native else [self.osa["GTI"]]
        return self._read(_READ_DEAD, [cor, gti, self.osa["DEAD"], *times])

    def _catalogue(self, cor: Node) -> Node:
        if "CAT_I" in self.native:
            return windows.cat_node(self.archive, self.scw, cor, self.extra)
        return self._read(_READ_CAT, [self.osa["CAT_I"], cor], self._extra())

    def _read(
        self,
        step: DeclaredStep,
        inputs: Sequence[Node],
        parameters: Mapping[str, Any] | None = None,
        raw: Mapping[str, Path] | None = None,
    ) -> Node:
        return Node(step, self.scw, parameters or {}, tuple(inputs), raw or {}, ENGINE, self.version)
