"""Another energy band of a window at once: what no band changes is kept, the rest is worked out as IMA does."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from integral_oda.arrays import Array
from integral_oda.engines.native.image import BinI, BkgI, RefI, band_energy_kev, sky_image, window_image_keywords
from integral_oda.engines.native.photometry import Photometry, noise_at
from integral_oda.engines.native.sources import MODEL_SIGNIFICANCE, FieldFit
from integral_oda.errors import RequestError
from integral_oda.imaging.search import FieldModel
from integral_oda.imaging.sky import make_sky_maps, score_map
from integral_oda.imaging.structure import Covariance
from integral_oda.imaging.uniformity import Template
from integral_oda.instrument.attitude import Attitude
from integral_oda.instrument.detector import DETECTOR_SHAPE
from integral_oda.instrument.energy import ENERGY_RANGE_KEV, ENERGY_STEP_KEV, EnergyBand, neighbour_band
from integral_oda.products.sky_image import SkyImage
from integral_oda.products.source_list import SourceBand
from integral_oda.workflow.executor import execute
from integral_oda.workflow.graph import Node
from integral_oda.workflow.progress import silent
from integral_oda.workflow.store import Store

__all__ = ["LiveWindow"]

Position = tuple[str, float, float]
Tangents = tuple[float, float]

_BAND_FREE = 5
"""So many inputs of IMA no band changes: events, good time, dead time, efficiency and catalogue sources."""
_SAME_PLACE = np.deg2rad(6 / 60)
_KEPT_MODELS = 4
"""Bands whose fitted background is kept, for the fluxes that are asked for in an image just made."""


class LiveWindow:
    """Sky images of one science window in any band, each in a fraction of a second.

    Events, efficiency, thresholds and the structure of neighbouring bands are kept; shadowgram, structure, fluxes and
    information of a band are those of BIN_I, BKG_I and IMA. In two things an image is less than the whole analysis:
    sources stay where they were found and none is sought, and background maps (``--background``) are not used. How far
    that is from the whole analysis is in ``benchmarks/reports/live_band.json``.

    Parameters
    ----------
    image : Node
        IMA of the window; what it needs and no band changes is made or taken from the store.
    store : Store, optional
    sources : sequence of tuple
        Name, RA, Dec (degrees, FK5) of sources as an image of the window has them.
    """

    def __init__(self, image: Node, store: Store | None = None, sources: Sequence[Position] = ()) -> None:
        nodes = image.inputs[:_BAND_FREE]
        run = execute(nodes, store, silent, strict=True)
        self._inputs = [run.value(node) for node in nodes]
        self.events, self.good, self.dead, self.efficiency, self.field = self._inputs
        self._attitude = Attitude.from_keywords(self.events.header)
        self._raw = {name: path for node in (image, *image.inputs) for name, path in node.raw.items()}
        found = {name: self._attitude.tangents(ra, dec) for name, ra, dec in sources}
        names = set(self.field.names)
        own = zip(self.field.names, self.field.tangents, strict=True)
        self._known = _on_detector([found.get(name, place) for name, place in own])
        self._new = _on_detector([place for name, place in found.items() if name not in names])
        self._templates: dict[EnergyBand, Template] = {}
        self._models: dict[EnergyBand, tuple[FieldModel, list[Tangents], Array]] = {}

    def prepare(self, upper_kev: float) -> None:
        """Work out the structure that stands in for that of all bands up to an energy; takes a part of a second."""
        self._template(EnergyBand(ENERGY_RANGE_KEV[0], upper_kev))

    def image(self, e1_kev: float, e2_kev: float) -> SkyImage:
        """Cleaned sky image of a band, on the window's own grid.

        Raises
        ------
        RequestError
            If the band is none.
        """
        band = _checked(e1_kev, e2_kev)
        model, places, fluxes = self._fitted(band)
        covariance = model.covariance
        shadowgram = covariance.shadowgram
        residual = shadowgram.excess - model.design(places) @ fluxes
        maps = make_sky_maps(covariance, score_map(covariance, residual), model.information)
        photometry = Photometry.of([band], self._raw)
        fit = FieldFit([model], [band], places, [fluxes], [], [""] * len(places), [])
        keywords = {
            **window_image_keywords(self.events, self.good, self.dead),
            **photometry.scales[0].cards,
            "STRUCTUR": shadowgram.template_origin or "this band alone",
        }
        return sky_image(maps, fit, 0, self._attitude, keywords, photometry.support[0])

    def flux_at(self, ra_deg: float, dec_deg: float, e1_kev: float, e2_kev: float) -> SourceBand:
        """Forced photometry at a position (FK5): its flux fitted together with those of all sources.

        Raises
        ------
        RequestError
            If the band is none, or the position lights no pixel.
        """
        band = _checked(e1_kev, e2_kev)
        ty, tz = (float(t) for t in self._attitude.tangents(ra_deg, dec_deg))
        model, places, _ = self._fitted(band)
        if not np.isfinite(ty) or model.shadow((ty, tz)).sum() <= 0:
            raise RequestError("at", f"{ra_deg:.4f},{dec_deg:.4f}", "a position that lights the detector")
        others = [p for p in places if math.hypot(p[0] - ty, p[1] - tz) > _SAME_PLACE]
        joint = [*others, (ty, tz)]
        fluxes, covariance = model.fit(joint)
        error = float(np.sqrt(covariance[-1, -1]))
        noise = noise_at(model, joint, (ty, tz))
        return Photometry.of([band], self._raw).band(0, (ty, tz), float(fluxes[-1]), error, noise)

    def _fitted(self, band: EnergyBand) -> tuple[FieldModel, list[Tangents], Array]:
        """Model of a band, the places of the sources that show in it, and their fluxes."""
        if band not in self._models:
            if len(self._models) >= _KEPT_MODELS:
                self._models.pop(next(iter(self._models)))
            self._models[band] = self._fit(band)
        return self._models[band]

    def _fit(self, band: EnergyBand) -> tuple[FieldModel, list[Tangents], Array]:
        asked = {"band": list(band)}
        shadowgram = BinI().compute([*self._inputs, *self._template(band)], asked, self._raw)
        widths = BkgI().compute([shadowgram, self.field], asked, self._raw)
        model = FieldModel(Covariance(shadowgram, widths), band_energy_kev(band))
        places = self._showing(model)
        new = [place for place in places if place in self._new and not shadowgram.knows(place)]
        model = model.with_new([place for place in places if place not in new], new)
        return model, places, model.fit(places)[0]

    def _showing(self, model: FieldModel) -> list[Tangents]:
        """Places of the sources that show in a band."""
        places = [*self._known, *self._new]
        fluxes, covariance = model.fit(places)
        shown = np.flatnonzero(fluxes >= MODEL_SIGNIFICANCE * np.sqrt(np.diag(covariance)))
        return [places[int(k)] for k in shown]

    def _template(self, band: EnergyBand) -> list[Template]:
        """Structure of the neighbouring band; what Poisson draws make of it is for no image."""
        above = neighbour_band(band)
        if above is None:
            return []
        if above not in self._templates:
            made = RefI().compute(self._inputs, {"band": list(above)}, self._raw)
            self._templates[above] = replace(made, noise=np.zeros((0, *DETECTOR_SHAPE)))
        return [self._templates[above]]


def _on_detector(places: Sequence[Tangents]) -> list[Tangents]:
    return [(float(ty), float(tz)) for ty, tz in places if np.isfinite(ty)]


def _checked(e1_kev: float, e2_kev: float) -> EnergyBand:
    low, high = ENERGY_RANGE_KEV
    steps = all(math.isclose(e / ENERGY_STEP_KEV, round(e / ENERGY_STEP_KEV)) for e in (e1_kev, e2_kev))
    if not (low <= e1_kev < e2_kev <= high and steps):
        allowed = f"two multiples of {ENERGY_STEP_KEV:g} from {low:g} to {high:g} keV, the lower one first"
        raise RequestError("band", f"{e1_kev:g}-{e2_kev:g}", allowed)
    return EnergyBand(float(e1_kev), float(e2_kev))
