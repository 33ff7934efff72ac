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

_VALUES = "integral_oda.engines.osa.window_values"


def _reading(step: DeclaredStep, name: str, carrier: str) -> DeclaredStep:
    """Step that reads what OSA's has made as the native one would; it changes with the native one."""
    return DeclaredStep(name, f"{step.version}.1", f"{_VALUES}:{carrier}")


_READ_COR = _reading(windows.COR, "READ_COR", "ReadEvents")
_READ_GTI = _reading(windows.GTI, "READ_GTI", "ReadGoodTime")
_READ_DEAD = _reading(windows.DEAD, "READ_DEAD", "ReadDeadTime")
_READ_CAT = _reading(windows.CAT_I, "READ_CAT", "ReadCatalogue")
_READ_BIN = _reading(native.BIN_I, "READ_BIN", "ReadShadowgram")
_IMA = _reading(native.IMA, "IMA", "ImaOfShadowgrams")


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
        OSA's COR, GTI, DEAD, CAT_I and BIN_I.
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

    def nodes(self) -> WindowNodes:
        """Events, good time, dead time and catalogue; the shadowgrams where OSA makes them and no thresholds then."""
        files = calibration_files(self.archive, self.scw)
        cor = self._cor(files)
        gti = self._gti(cor, files)
        dead = self._dead(cor, gti)
        field = self._field(cor)
        if "BIN_I" in self.native or "BIN_I" not in self.osa:
            return windows.with_thresholds(self.scw, [cor, gti, dead], field, files)
        maps = windows.some_of(files, "ic_unif", "ic_back", "ic_deco")

        def shadowgram(band: EnergyBand) -> Node:
            return self._read(_READ_BIN, [self.osa["BIN_I"], cor, gti, dead, field], {"band": list(band)}, maps)

        return WindowNodes([cor, gti, dead], field, files, shadowgram=shadowgram, imaging=_IMA)

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

    def _field(self, cor: Node) -> Node:
        if "CAT_I" in self.native:
            return windows.cat_node(self.archive, self.scw, cor, self.extra)
        listed = [list(place) for place in windows.in_field(self.archive, self.scw, self.extra)]
        return self._read(_READ_CAT, [self.osa["CAT_I"], cor], {"extra": listed})

    def _read(
        self,
        step: DeclaredStep,
        inputs: Sequence[Node],
        parameters: Mapping[str, Any] | None = None,
        raw: Mapping[str, Path] | None = None,
    ) -> Node:
        return Node(step, self.scw, parameters or {}, tuple(inputs), raw or {}, ENGINE, self.version)
