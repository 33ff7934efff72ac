"""Another energy band of a window at once: what no band changes is kept, and what hardly changes is taken over."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from integral_oda.arrays import Array
from integral_oda.engines.native.calibration import detector_maps
from integral_oda.engines.native.field import live_time_map
from integral_oda.engines.native.image import RefI, band_energy_kev, counts_in_band, sky_image, window_image_keywords
from integral_oda.engines.native.photometry import Photometry, noise_at
from integral_oda.engines.native.sources import MODEL_SIGNIFICANCE, FieldFit
from integral_oda.errors import RequestError
from integral_oda.imaging.search import FieldModel
from integral_oda.imaging.shadowgram import Shadowgram, build_shadowgram, with_detector_maps
from integral_oda.imaging.sky import counting_information, make_sky_maps, score_map
from integral_oda.imaging.source_noise import with_source_noise
from integral_oda.imaging.structure import Covariance, StructureWidths, fit_widths
from integral_oda.imaging.uniformity import Template, apply_templates
from integral_oda.instrument.attitude import Attitude
from integral_oda.instrument.energy import ENERGY_RANGE_KEV, ENERGY_STEP_KEV, EnergyBand, neighbour_band
from integral_oda.instrument.pif import pixel_illumination
from integral_oda.products.sky_image import SkyImage
from integral_oda.products.source_list import SourceBand
from integral_oda.workflow.executor import execute
from integral_oda.workflow.graph import Node
from integral_oda.workflow.progress import silent
from integral_oda.workflow.store import Store

__all__ = ["ANCHOR_BANDS", "LiveWindow"]

Position = tuple[str, float, float]

ANCHOR_BANDS = tuple(
    EnergyBand(float(low), float(high))
    for low, high in (
        *((28, 80), (20, 40), (40, 80), (25, 30), (20, 60), (30, 50), (60, 80), (20, 80), (18, 25)),
        *((20, 100), (40, 100), (80, 100), (20, 150), (60, 150), (100, 150), (150, 300), (300, 600)),
    )
)
"""Bands whose structure and information are worked out ahead, in this order."""

_TEMPLATE_FROM_KEV = (80.0, 100.0, 150.0, 200.0, 300.0, 450.0, 660.0)
"""Where the bands begin whose structure stands in for that of the bands below."""
_BAND_FREE = 5
"""So many inputs of IMA no band changes: events, good time, dead time, efficiency and catalogue sources."""
_ENERGIES_A_DECADE = 12
"""Places on the energy scale that the mask's transmission is taken at."""


@dataclass(frozen=True)
class _Anchor:
    """What bands nearby take over: widths of the structure, and the share of the information that it leaves."""

    band: EnergyBand
    widths: StructureWidths
    share: Array

    def distance(self, band: EnergyBand) -> float:
        return math.hypot(math.log(self.band.e1_kev / band.e1_kev), math.log(self.band.e2_kev / band.e2_kev))


class LiveWindow:
    """Sky images of one science window in any band, each in a fraction of a second.

    Events, thresholds, PIFs and decoding transforms are kept. What the whole analysis finds anew in every band and what
    hardly changes from one band to the next is taken over: the widths of the background's structure and
    the share of the information that it leaves come from the nearest of the bands prepared, the structure of a
    neighbouring band from a few fixed ones, and sources stay where they were found; none is sought. Fluxes are fitted
    to the band's own events. How far this is from the whole analysis is in ``benchmarks/reports/live_band.json``.

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
        self._live_time = live_time_map(self.good, self.dead)
        self._raw = {name: path for node in (image, *image.inputs) for name, path in node.raw.items()}
        self._known = self.efficiency.known_places(self.field)
        self._places = self._as_found(sources)
        self._illuminated: dict[tuple[tuple[float, float], float], NDArray[np.float32]] = {}
        self._templates: dict[EnergyBand, Template] = {}
        self._anchors: list[_Anchor] = []

    def _as_found(self, sources: Sequence[Position]) -> list[tuple[float, float]]:
        """Tangents of the field's sources, of those that were found where they were found."""
        found = {name: self._attitude.tangents(ra, dec) for name, ra, dec in sources}
        names = set(self.field.names)
        places = [found.get(name, place) for name, place in zip(self.field.names, self.field.tangents, strict=True)]
        places += [place for name, place in found.items() if name not in names]
        return [(float(ty), float(tz)) for ty, tz in places if np.isfinite(ty)]

    @property
    def prepared(self) -> tuple[EnergyBand, ...]:
        """Bands whose structure is known."""
        return tuple(anchor.band for anchor in self._anchors)

    def prepare(self, band: EnergyBand) -> None:
        """Work out the structure and the information of a band, for it and for those near it; takes seconds."""
        if band in self.prepared:
            return
        shadowgram = self._shadowgram(band)
        design = self._design(shadowgram, self._known, band)
        covariance = Covariance(shadowgram, fit_widths(shadowgram, design))
        model = FieldModel(covariance, band_energy_kev(band))
        counting = counting_information(covariance)
        share = model.information / np.maximum(counting, 1e-30 + 1e-9 * counting.max())
        self._anchors.append(_Anchor(band, covariance.widths, share))

    def image(self, e1_kev: float, e2_kev: float) -> SkyImage:
        """Cleaned sky image of a band.

        Returns
        -------
        SkyImage
            On the window's own grid; the keyword ``STRUCWID`` names the band that the structure's widths are from.

        Raises
        ------
        RequestError
            If the band is none.
        """
        band = _checked(e1_kev, e2_kev)
        model, anchor = self._model(band)
        places, fluxes = self._fit(model, band)
        covariance = model.covariance
        residual = model.covariance.shadowgram.excess - self._design(covariance.shadowgram, places, band) @ fluxes
        information = counting_information(covariance) * anchor.share
        maps = make_sky_maps(covariance, score_map(covariance, residual), information)
        photometry = Photometry.of([band], self._raw)
        fit = FieldFit([model], [band], places, [fluxes], [], [""] * len(places), [])
        keywords = {
            **window_image_keywords(self.events, self.good, self.dead),
            **photometry.scales[0].cards,
            "STRUCTUR": covariance.shadowgram.template_origin or "this band alone",
            "STRUCWID": f"{anchor.band} keV",
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
        model, _ = self._model(band)
        if not np.isfinite(ty) or model.shadow((ty, tz)).sum() <= 0:
            raise RequestError("at", f"{ra_deg:.4f},{dec_deg:.4f}", "a position that lights the detector")
        places, _ = self._fit(model, band)
        others = [p for p in places if math.hypot(p[0] - ty, p[1] - tz) > _SAME_PLACE]
        joint = [*others, (ty, tz)]
        fluxes, covariance = model.fit(joint)
        error = float(np.sqrt(covariance[-1, -1]))
        noise = noise_at(model, joint, (ty, tz))
        return Photometry.of([band], self._raw).band(0, (ty, tz), float(fluxes[-1]), error, noise)

    def _model(self, band: EnergyBand) -> tuple[FieldModel, _Anchor]:
        """Model of a band with the structure of the nearest band prepared."""
        if not self._anchors:
            self.prepare(band)
        anchor = min(self._anchors, key=lambda one: one.distance(band))
        return FieldModel(Covariance(self._shadowgram(band), anchor.widths), _near_energy(band)), anchor

    def _shadowgram(self, band: EnergyBand) -> Shadowgram:
        """Shadowgram as BIN_I makes it, but for the band of the template."""
        counts = counts_in_band(self.events, self.good, band)
        usable = np.asarray(self.efficiency.usable)
        shadowgram = build_shadowgram(counts, usable, self.efficiency.thresholds, band, self._live_time)
        if maps := detector_maps(self._raw, band):
            shadowgram = with_detector_maps(shadowgram, maps.get("unif"), maps.get("back"))
        design = self._design(shadowgram, self._known, band)
        shadowgram = with_source_noise(shadowgram, design)
        clean = np.array(self._known).reshape(-1, 2)
        shadowgram = replace(shadowgram, clean_response=shadowgram.source_response, clean_tangents=clean)
        return apply_templates(shadowgram, self._template(band), design, band, clean)

    def _template(self, band: EnergyBand) -> list[Template]:
        """Structure of a band above, one of a few."""
        lower = next((energy for energy in _TEMPLATE_FROM_KEV if energy >= band.e2_kev), None)
        above = None if lower is None else neighbour_band(EnergyBand(lower, lower))
        if above is None:
            return []
        if above not in self._templates:
            self._templates[above] = RefI().compute(self._inputs, {"band": list(above)}, self._raw)
        return [self._templates[above]]

    def _design(self, shadowgram: Shadowgram, places: Sequence[tuple[float, float]], band: EnergyBand) -> Array:
        """Counts of usable pixels at unit flux from several directions, ``(n_usable, n_places)``."""
        energy = _near_energy(band)
        columns = []
        for place in places:
            if (place, energy) not in self._illuminated:
                self._illuminated[place, energy] = pixel_illumination(*place, energy_kev=energy).astype(np.float32)
            columns.append(shadowgram.flat(self._illuminated[place, energy] * shadowgram.response_at(place)))
        return np.stack(columns, axis=1) if columns else np.zeros((int(shadowgram.usable.sum()), 0))

    def _fit(self, model: FieldModel, band: EnergyBand) -> tuple[list[tuple[float, float]], Array]:
        """Places of the sources that show in a band, and their fluxes."""
        design = self._design(model.covariance.shadowgram, self._places, band)
        excess = model.covariance.shadowgram.excess
        fluxes, covariance = model.covariance.fit(excess, design)
        shown = np.flatnonzero(fluxes >= MODEL_SIGNIFICANCE * np.sqrt(np.diag(covariance)))
        fluxes, _ = model.covariance.fit(excess, design[:, shown])
        return [self._places[int(k)] for k in shown], fluxes


_SAME_PLACE = np.deg2rad(6 / 60)


def _near_energy(band: EnergyBand) -> float:
    """Energy near that of a band, one of `_ENERGIES_A_DECADE` in ten: there the shadows are known already."""
    return float(10 ** (round(_ENERGIES_A_DECADE * math.log10(band_energy_kev(band))) / _ENERGIES_A_DECADE))


def _checked(e1_kev: float, e2_kev: float) -> EnergyBand:
    low, high = ENERGY_RANGE_KEV
    steps = all(math.isclose(e / ENERGY_STEP_KEV, round(e / ENERGY_STEP_KEV)) for e in (e1_kev, e2_kev))
    if not (low <= e1_kev < e2_kev <= high and steps):
        allowed = f"two multiples of {ENERGY_STEP_KEV:g} from {low:g} to {high:g} keV, the lower one first"
        raise RequestError("band", f"{e1_kev:g}-{e2_kev:g}", allowed)
    return EnergyBand(float(e1_kev), float(e2_kev))
