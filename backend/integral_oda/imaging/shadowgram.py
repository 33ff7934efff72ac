"""The detector plane of one band: what was counted, and how each pixel answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from integral_oda.arrays import Array
from integral_oda.imaging.efficiency import levelled_response
from integral_oda.imaging.thresholds import Thresholds
from integral_oda.instrument.detector import DETECTOR_SHAPE, OPEN_PIXELS
from integral_oda.instrument.energy import EnergyBand
from integral_oda.instrument.pif import pixel_illumination

__all__ = ["LEAST_VARIANCE", "Shadowgram", "build_shadowgram", "relative_map", "with_detector_maps"]


LEAST_VARIANCE = 1e-2
_SAME_SOURCE = np.deg2rad(12 / 60)
"""Directions closer than the width of the point-spread function are those of one source."""


@dataclass(frozen=True)
class Shadowgram:
    """Counts of one band with the linear answer of every pixel.

    With ``x = counts - expected``, a source of flux f (counts/s in OSA's unit) and pixel illumination
    factor p adds ``f * p * source_response`` to x, a relative change b of the background adds
    ``b * background_response``, and x has the variance ``variance`` about that.

    Attributes
    ----------
    usable : ndarray of bool
        ``(134, 130)``, False in gaps and for dead, noisy and flagged pixels.
    counts, expected, source_response, background_response, variance : ndarray
        ``(134, 130)`` float64, 0 where not usable.
    efficiency : ndarray
        ``(134, 130)`` share of a source's counts in the band that a pixel registers while it is live.
    live_time_s : float
        Good time less the mean dead time, s.
    template, template_noise : ndarray
        ``(134, 130)`` counts of structure that is known from elsewhere, part of ``expected``, and ``(n, 134, 130)``
        draws of its noise; empty where there is none.
    template_origin : str
        What it was made from, with its amplitudes.
    clean_response, clean_tangents : ndarray
        ``(134, 130)`` answer to the sources that the template is free of, and ``(n, 2)`` their tangents.
    bright_response, bright_efficiency, bright_tangents : ndarray
        ``(n, 134, 130)`` answer to bright sources and the share of their counts that is registered, each with its own
        spectrum, and ``(n, 2)`` their tangents.
    traits : ndarray
        ``(n_traits, 134, 130)`` shapes beside the smooth ones that the background may take freely, relative to it.
    decoding : ndarray
        ``(233, 233)`` what its sky map is decoded with, as of `match_decoding`; empty for the mask's own contrast.
    given_pifs, given_tangents : ndarray
        ``(n, 134, 130)`` pixel illumination factors of sources whose own are not to be computed, and ``(n, 2)`` their
        tangents.
    """

    usable: NDArray[np.bool_]
    counts: Array
    expected: Array
    source_response: Array
    background_response: Array
    variance: Array
    efficiency: Array
    live_time_s: float
    template: Array = field(default_factory=lambda: np.zeros(0))
    template_noise: Array = field(default_factory=lambda: np.zeros(0))
    template_origin: str = ""
    clean_response: Array = field(default_factory=lambda: np.zeros(0))
    clean_tangents: Array = field(default_factory=lambda: np.zeros(0))
    bright_response: Array = field(default_factory=lambda: np.zeros((0, *DETECTOR_SHAPE)))
    bright_efficiency: Array = field(default_factory=lambda: np.zeros((0, *DETECTOR_SHAPE)))
    bright_tangents: Array = field(default_factory=lambda: np.zeros((0, 2)))
    traits: Array = field(default_factory=lambda: np.zeros((0, *DETECTOR_SHAPE)))
    decoding: Array = field(default_factory=lambda: np.zeros(0))
    given_pifs: Array = field(default_factory=lambda: np.zeros((0, *DETECTOR_SHAPE)))
    given_tangents: Array = field(default_factory=lambda: np.zeros((0, 2)))

    def knows(self, tangents: tuple[float, float]) -> bool:
        """Whether a source there is one that the expected counts were made without."""
        return _nearest(self.clean_tangents, tangents) is not None

    def is_bright(self, tangents: tuple[float, float]) -> bool:
        """Whether a source there is one of the bright ones."""
        return _nearest(self.bright_tangents, tangents) is not None

    def response_at(self, tangents: tuple[float, float]) -> Array:
        """Answer to a source in a direction, ``(134, 130)``."""
        bright = _nearest(self.bright_tangents, tangents)
        if bright is not None:
            return np.asarray(self.bright_response[bright])
        return self.clean_response if self.knows(tangents) else self.source_response

    def efficiency_at(self, tangents: tuple[float, float]) -> Array:
        """Share of the counts of a source in a direction that a pixel registers, ``(134, 130)``."""
        bright = _nearest(self.bright_tangents, tangents)
        return self.efficiency if bright is None else np.asarray(self.bright_efficiency[bright])

    def illumination_at(self, tangents: tuple[float, float], energy_kev: float) -> Array:
        """Pixel illumination factors of a source in a direction, ``(134, 130)``."""
        given = _nearest(self.given_tangents, tangents)
        return pixel_illumination(*tangents, energy_kev=energy_kev) if given is None else self.given_pifs[given]

    def shadows(self, places: Sequence[tuple[float, float]], energy_kev: float) -> Array:
        """Counts of usable pixels at unit flux from several directions, ``(n_usable, n_places)``."""
        columns = [self.flat(self.illumination_at(p, energy_kev) * self.response_at(p)) for p in places]
        return np.stack(columns, axis=1) if columns else np.zeros((int(self.usable.sum()), 0))

    @property
    def excess(self) -> Array:
        """Counts above the expected background on usable pixels, ``(n_usable,)``."""
        return (self.counts - self.expected)[self.usable]

    def flat(self, plane: Array) -> Array:
        """The values of a detector plane on usable pixels, ``(n_usable,)``."""
        return plane[self.usable]

    def unflat(self, values: Array) -> Array:
        """A detector plane from values on usable pixels, 0 elsewhere."""
        return _plane(self.usable, values)


def build_shadowgram(
    counts: Array, usable: NDArray[np.bool_], thresholds: Thresholds, band: EnergyBand, live_time: Array
) -> Shadowgram:
    """Shadowgram of a band with the answers of its pixels at their thresholds.

    Parameters
    ----------
    counts : ndarray
        ``(134, 130)`` events in the band.
    usable : ndarray of bool
        ``(134, 130)``.
    thresholds : Thresholds
        Of the usable pixels.
    band : EnergyBand
    live_time : ndarray
        ``(134, 130)`` live time of each pixel, s.
    """
    response = levelled_response(thresholds, band, counts[usable])
    share = live_time[usable] / OPEN_PIXELS
    variance = np.maximum(response.variance, LEAST_VARIANCE)
    return Shadowgram(
        usable=usable,
        counts=np.where(usable, counts, 0.0),
        expected=_plane(usable, response.expected),
        source_response=_plane(usable, response.source * share),
        background_response=_plane(usable, response.background),
        variance=_plane(usable, variance),
        efficiency=_plane(usable, response.efficiency),
        live_time_s=float(live_time[usable].mean()),
        bright_response=_planes(usable, response.bright_source * share[:, None]),
        bright_efficiency=_planes(usable, response.bright_efficiency),
        bright_tangents=np.asarray(thresholds.places),
    )


def with_detector_maps(shadowgram: Shadowgram, uniformity: Array | None, background: Array | None) -> Shadowgram:
    """The same shadowgram with known shapes of the detector plane.

    Parameters
    ----------
    shadowgram : Shadowgram
    uniformity, background : ndarray or None
        ``(134, 130)`` response of each pixel, which multiplies sources and background, and shape of the background
        alone; only their shape counts, both are taken relative to their mean over the usable pixels.
    """
    response, shape = (relative_map(plane, shadowgram.usable) for plane in (uniformity, background))
    of_background = response * shape
    return replace(
        shadowgram,
        expected=shadowgram.expected * of_background,
        background_response=shadowgram.background_response * of_background,
        variance=np.where(shadowgram.usable, np.maximum(shadowgram.variance * of_background, LEAST_VARIANCE), 0.0),
        source_response=shadowgram.source_response * response,
        efficiency=shadowgram.efficiency * response,
        bright_response=shadowgram.bright_response * response,
        bright_efficiency=shadowgram.bright_efficiency * response,
    )


def relative_map(plane: Array | None, usable: NDArray[np.bool_]) -> Array:
    """A map over its mean; 1 for pixels of which it says nothing."""
    if plane is None:
        return np.ones(DETECTOR_SHAPE)
    told = usable & (plane > 0)
    mean = float(plane[told].mean()) if told.any() else 1.0
    return np.where(told, plane / mean, 1.0)


def _plane(usable: NDArray[np.bool_], values: Array) -> Array:
    plane = np.zeros(DETECTOR_SHAPE)
    plane[usable] = values
    return plane


def _planes(usable: NDArray[np.bool_], values: Array) -> Array:
    """Detector planes ``(n, 134, 130)`` from values ``(n_usable, n)``."""
    planes = np.zeros((values.shape[1], *DETECTOR_SHAPE))
    planes[:, usable] = values.T
    return planes


def _nearest(places: Array, tangents: tuple[float, float]) -> int | None:
    """Which of some places is that of the same source; None if there is none."""
    if not len(places):
        return None
    distance = np.hypot(*(np.asarray(places) - tangents).T)
    return int(distance.argmin()) if distance.min() < _SAME_SOURCE else None
