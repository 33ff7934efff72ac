"""The model of a window that its light curves, bursts and event lists share: mean fluxes, and what an event weighs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from integral_oda.arrays import Array, IntArray
from integral_oda.engines.native.events import DeadTime, GoodTime, SelectedEvents
from integral_oda.engines.native.field import FieldSources, unlisted_places, with_asked
from integral_oda.engines.native.image import band_energy_kev
from integral_oda.errors import DataError
from integral_oda.imaging.shadowgram import Shadowgram
from integral_oda.imaging.structure import Covariance, StructureWidths
from integral_oda.instrument.attitude import Attitude
from integral_oda.instrument.deadtime import EVENT_DEAD_TIME_S
from integral_oda.instrument.detector import DETECTOR_SHAPE, N_MODULES, OPEN_PIXELS, module_map
from integral_oda.instrument.energy import EnergyBand
from integral_oda.instrument.pif import pixel_illumination
from integral_oda.timing.binning import good_time_per_bin, live_fraction
from integral_oda.timing.good_time import DAY_S, union
from integral_oda.timing.light_curve import Estimator, PartialPlane

__all__ = ["BandEvents", "WindowFit", "bright_gradients", "live_in_bins", "modules_on", "select_band"]

BRIGHT_SIGNIFICANCE = 20.0
"""Of sources at least this significant the fit leaves the position free to first order, so that they do not leak."""
_GRADIENT_STEP = 1e-4


class WindowFit:
    """Mean fluxes of the sources of a window in a band, and the estimator that follows from them.

    Parameters
    ----------
    shadowgram, widths, field, band, attitude
        Of the window.
    asked : sequence or None
        Name, RA, Dec (degrees) of the one source wanted; every one of the field if None.
    live_time : ndarray
        ``(134, 130)`` live time of each pixel, s.

    Attributes
    ----------
    names, ra, dec : list
        Sources that are fitted.
    wanted : sequence of int
        Those that were asked for.
    fluxes, flux_errors : ndarray
        ``(n_sources,)`` mean fluxes with their whole errors, as the image has them.
    pifs : ndarray
        ``(n_pixels, n_sources)`` on the usable pixels; behind the named sources those of bright ones without a name.
    estimator : Estimator
    offset : ndarray
        ``(n_sources,)`` to add to a rate of the estimator, counts/s, so that the bins add up to the mean flux.
    common_error : ndarray
        ``(n_sources,)`` 1 sigma that all bins of the window share: what the shape of the background leaves open.
    """

    def __init__(
        self,
        shadowgram: Shadowgram,
        widths: StructureWidths,
        field: FieldSources,
        band: EnergyBand,
        asked: Sequence[Any] | None,
        attitude: Attitude,
        live_time: Array,
    ) -> None:
        self.shadowgram, self.band = shadowgram, band
        covariance = Covariance(shadowgram, widths)
        energy = band_energy_kev(band)
        field = with_asked(field, asked, attitude)
        names, places = field.names, [*field.tangents, *unlisted_places(shadowgram.clean_tangents, field)]
        if asked is not None and not _lights(places[names.index(asked[0])], shadowgram):
            raise DataError(f"{asked[0]} does not light the detector in this science window")
        design = shadowgram.shadows(places, energy)
        fluxes, errors = covariance.fit(shadowgram.excess, design)
        significance = fluxes / np.sqrt(np.diag(errors))
        self.names, self.ra, self.dec = names, field.ra_deg, field.dec_deg
        self.wanted = range(len(names)) if asked is None else [names.index(asked[0])]
        bright = np.flatnonzero(significance > BRIGHT_SIGNIFICANCE)
        gradients = bright_gradients([places[k] for k in bright], energy)[shadowgram.usable]
        self.pifs = np.zeros(design.shape)
        for k, place in enumerate(places):
            self.pifs[:, k] = shadowgram.flat(shadowgram.illumination_at(place, energy))
        self._efficiencies = _columns([shadowgram.flat(shadowgram.efficiency_at(p)) for p in places], len(design))
        self._fit(covariance, design, gradients, [places[k] for k in bright.repeat(2)], shadowgram.flat(live_time))

    def _fit(
        self, covariance: Covariance, design: Array, gradients: Array, moved: Sequence[tuple[float, float]],
        live_time: Array,
    ) -> None:  # fmt: skip
        shadowgram, n_sources = self.shadowgram, design.shape[1]
        answers = _columns([shadowgram.flat(shadowgram.response_at(place)) for place in moved], len(design))
        fitted, errors = covariance.fit(shadowgram.excess, np.column_stack([design, gradients * answers]))
        efficiency = _columns([shadowgram.flat(shadowgram.efficiency_at(place)) for place in moved], len(design))
        self.fluxes, variance = fitted[:n_sources], np.diag(errors)[:n_sources]
        self.flux_errors = np.sqrt(variance)
        self.estimator = self._estimator(
            covariance, design @ self.fluxes, gradients * efficiency / OPEN_PIXELS, live_time
        )
        weights = self.estimator.weights[:, :-1] / live_time[:, None]
        self.offset = self.fluxes - weights.T @ shadowgram.counts[shadowgram.usable]
        of_bins = self.estimator.mean_variance[:-1] / shadowgram.live_time_s
        self.common_error = np.sqrt(np.maximum(variance - of_bins, 0.0))

    def _estimator(self, covariance: Covariance, answers: Array, gradients: Array, live_time: Array) -> Estimator:
        """Estimator whose background is the fitted one, less what the thresholds' fit took of the mean sources."""
        shadowgram = self.shadowgram
        shadows = self.pifs * self._efficiencies / OPEN_PIXELS
        background = shadowgram.flat(shadowgram.expected) + covariance.structure(shadowgram.excess - answers) + answers
        background = background / live_time - shadows @ self.fluxes
        return Estimator.from_model(shadows, background, self.fluxes, gradients)


def _columns(columns: Sequence[Array], n_rows: int) -> Array:
    return np.stack(columns, axis=1) if columns else np.zeros((n_rows, 0))


def bright_gradients(places: Sequence[tuple[float, float]], energy_kev: float) -> Array:
    """Derivatives of the PIFs of some places to either tangent, ``(134, 130, 2 n)``."""
    step, planes = _GRADIENT_STEP, []
    for ty, tz in places:
        for dy, dz in ((step, 0.0), (0.0, step)):
            ahead, behind = (pixel_illumination(ty + s * dy, tz + s * dz, energy_kev) for s in (1, -1))
            planes.append((ahead - behind) / (2 * step))
    return np.stack(planes, axis=-1) if planes else np.zeros((*DETECTOR_SHAPE, 0))


def _lights(place: tuple[float, float], shadowgram: Shadowgram) -> bool:
    return bool(np.isfinite(place[0])) and float(pixel_illumination(*place)[shadowgram.usable].sum()) > 1.0


class BandEvents:
    """Events of a band in the good time, on pixels that are used.

    Attributes
    ----------
    time_ijd, energy_kev : ndarray
        ``(n,)``.
    pixel : ndarray
        ``(n,)`` index among the usable pixels.
    module : ndarray
        ``(n,)``.
    plane_pixel : ndarray
        ``(n,)`` 130 * DETZ + DETY.
    """

    def __init__(self, time_ijd: Array, energy_kev: Array, pixel: IntArray, plane_pixel: IntArray) -> None:
        self.time_ijd, self.energy_kev, self.pixel, self.plane_pixel = time_ijd, energy_kev, pixel, plane_pixel
        self.module = module_map().ravel()[plane_pixel]


def select_band(events: SelectedEvents, good: GoodTime, shadowgram: Shadowgram, band: EnergyBand) -> BandEvents:
    """Select the events that a shadowgram counts."""
    energy = np.asarray(events.energy_kev)
    kept = np.flatnonzero((energy >= band.e1_kev) & (energy < band.e2_kev))
    number = np.full(DETECTOR_SHAPE[0] * DETECTOR_SHAPE[1], -1)
    usable = shadowgram.usable.ravel()
    number[usable] = np.arange(int(usable.sum()))
    kept = kept[number[np.asarray(events.pixel)[kept]] >= 0]
    kept = kept[good.inside(np.asarray(events.time_ijd)[kept])]
    plane_pixel = np.asarray(events.pixel)[kept].astype(np.int64)
    return BandEvents(np.asarray(events.time_ijd)[kept], energy[kept], number[plane_pixel], plane_pixel)


def live_in_bins(events: SelectedEvents, good: GoodTime, dead: DeadTime, edges_ijd: Array) -> Array:
    """Live share of the good time of every module and bin, ``(8, n_bins)``, where it is on."""
    time, module = events.of_all_kinds
    fraction = np.asarray(dead.dead_fraction)
    return live_fraction(edges_ijd, np.asarray(good.intervals_ijd), time, module, fraction, EVENT_DEAD_TIME_S)


def modules_on(events: SelectedEvents, fit: WindowFit, edges_ijd: Array) -> PartialPlane | None:
    """Which modules of the pixels used are on in which bins; None where all of them are all the time."""
    module = module_map().ravel()[np.flatnonzero(fit.shadowgram.usable.ravel())]
    silence = np.asarray(events.silence_ijd)
    off = silence[np.isin(silence[:, 0], np.unique(module))]
    if not len(off):
        return None
    length_s = np.maximum(np.diff(edges_ijd) * DAY_S, 1e-9)
    on = np.ones((N_MODULES, len(length_s)))
    for number in np.unique(off[:, 0]).astype(int):
        on[number] -= good_time_per_bin(edges_ijd, union(off[off[:, 0] == number, 1:])) / length_s
    return PartialPlane(module, np.clip(on, 0.0, 1.0))
