"""The graph of a query for the online system: a request for each few windows, then the native gathering."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from integral_oda.archive.tree import Archive
from integral_oda.catalog.source_list import catalogue_dictionary
from integral_oda.engines.native import graph as native
from integral_oda.engines.remote import ENGINE, ENGINE_VERSION
from integral_oda.engines.remote.dispatcher import server_url
from integral_oda.engines.steps import DeclaredStep
from integral_oda.instrument.energy import EnergyBand
from integral_oda.workflow.graph import Node

__all__ = ["WINDOWS_A_REQUEST", "RemoteGraph"]

Position = tuple[str, float, float]

WINDOWS_A_REQUEST = 50
"""What the online system takes from a user without a role."""

_IMAGE = DeclaredStep("MMODA_IMA", "1", "integral_oda.engines.remote.steps:RemoteImage")
_LIGHT_CURVE = DeclaredStep("MMODA_LCR", "1", "integral_oda.engines.remote.steps:RemoteLightCurves")
_SPECTRA = DeclaredStep("MMODA_SPE", "1", "integral_oda.engines.remote.spectra:RemoteSpectra")
_PACK_SPECTRA = DeclaredStep(
    "PACK_SPE", "1", "integral_oda.engines.remote.spectra:PackRemoteSpectra", tolerant=True, product=True
)


@dataclass(frozen=True)
class RemoteGraph:
    """What the requests of a query share.

    Attributes
    ----------
    archive : Archive
        Where attitudes are looked up; it may be empty.
    windows : sequence of str
    osa_version : str
        Version of OSA that the server is to take.
    catalogue : sequence of tuple
        Name, RA, Dec (degrees) of the sources to extract; the server finds its own if there is none.
    """

    archive: Archive
    windows: Sequence[str]
    osa_version: str
    catalogue: Sequence[Position] = ()
    url: str = field(default_factory=server_url)

    def image(self, bands: Sequence[EnergyBand], threshold: float, at: Sequence[Position] = ()) -> Node:
        """Node of the image product."""
        asked = {"bands": [list(b) for b in bands], "threshold": threshold, "at": [list(place) for place in at]}
        images = [self._node(_IMAGE, some, asked) for some in self._parts()]
        return native.packed_image(native.gathered_images(self.archive, images, threshold, at=at))

    def light_curves(self, bands: Sequence[EnergyBand], time_bin_s: float, source: Position | None) -> Node:
        """Node of the light curves, of one source or of all that the server gives."""
        asked = {"bands": [list(b) for b in bands], "time_bin": time_bin_s, "source": source[0] if source else None}
        curves = [self._node(_LIGHT_CURVE, some, asked) for some in self._parts()]
        return native.packed_light_curves(native.gathered_light_curves(curves))

    def spectra(self, edges_kev: Sequence[float], group: float, source: Position | None) -> Node:
        """Node of the spectra, of one source or of all that the server gives."""
        asked = {"source": source[0] if source else None}
        spectra = [self._node(_SPECTRA, some, asked) for some in self._parts()]
        parameters = {"edges": list(edges_kev), "group": group}
        return replace(spectra[0], step=_PACK_SPECTRA, scope="all", parameters=parameters, inputs=tuple(spectra))

    def _parts(self) -> list[Sequence[str]]:
        return [self.windows[k : k + WINDOWS_A_REQUEST] for k in range(0, len(self.windows), WINDOWS_A_REQUEST)]

    def _node(self, step: DeclaredStep, windows: Sequence[str], asked: Mapping[str, Any]) -> Node:
        request: dict[str, Any] = {"scw_list": list(windows), "osa_version": f"OSA{self.osa_version}"}
        if self.catalogue:
            request["selected_catalog"] = _catalogue(self.catalogue)
        return Node(
            step=step,
            scope=windows[0],
            parameters={**asked, "url": self.url, "request": request},
            inputs=(),
            raw={},
            engine=ENGINE,
            engine_version=ENGINE_VERSION,
        )


def _catalogue(sources: Sequence[Position]) -> dict[str, Any]:
    """Catalogue in the online system's form; ISGRI_FLAG 2 forces the extraction."""
    names, ra, dec = zip(*sources, strict=True)
    count = len(sources)
    return catalogue_dictionary(
        {
            "meta_ID": list(range(count)),
            "src_names": list(names),
            "significance": [0.0] * count,
            "ra": list(ra),
            "dec": list(dec),
            "NEW_SOURCE": [0] * count,
            "ISGRI_FLAG": [2] * count,
            "FLAG": [0] * count,
            "ERR_RAD": [0.0] * count,
        }
    )
