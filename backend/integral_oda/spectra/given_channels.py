"""Channels whose efficiency and background are given, as OSA's are, for the extraction of spectra."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from integral_oda.arrays import Array
from integral_oda.imaging.efficiency import ChannelModel
from integral_oda.imaging.given_plane import GivenPlane, shadowgram_of_plane, sum_planes
from integral_oda.imaging.shadowgram import Shadowgram
from integral_oda.instrument.detector import DETECTOR_SHAPE
from integral_oda.instrument.energy import EnergyBand
from integral_oda.spectra.extraction import power_law_counts

__all__ = ["GivenChannels"]

_LEAST_EFFICIENCY = 0.02
"""Of the highest mean efficiency: below, thresholds leave nothing to extract."""


@dataclass(frozen=True)
class GivenChannels:
    """Planes of adjoining channels in one time, as `DetectorPlane`.

    Attributes
    ----------
    planes : sequence of GivenPlane
    edges_kev : ndarray
        ``(n_channels + 1,)``.
    ontime_s : float
        Good time.
    live_time : ndarray
        ``(134, 130)`` s.
    traits : ndarray
        ``(n_traits, 134, 130)``, see `Shadowgram`.
    """

    planes: Sequence[GivenPlane]
    edges_kev: Array
    ontime_s: float
    live_time: Array
    traits: Array = field(default_factory=lambda: np.zeros((0, *DETECTOR_SHAPE)))

    @cached_property
    def usable(self) -> NDArray[np.bool_]:
        """Pixels that are used in any channel, ``(134, 130)``."""
        seen = np.max([plane.efficiency for plane in self.planes], axis=0)
        usable: NDArray[np.bool_] = (seen > 0) & (self.live_time > 0)
        return usable

    @cached_property
    def counts(self) -> Array:
        """Counts, ``(n_pixels, n_channels)``."""
        return self._columns("counts")

    def _columns(self, name: str) -> Array:
        usable = self.usable
        return np.stack([getattr(plane, name)[usable] for plane in self.planes], axis=1)

    def band(self, channels: slice) -> EnergyBand:
        """Energies of some adjoining channels."""
        return EnergyBand(float(self.edges_kev[channels.start]), float(self.edges_kev[channels.stop]))

    def shadowgram(self, channels: slice) -> Shadowgram:
        """Shadowgram of some adjoining channels, on the pixels that are used in any."""
        total = sum_planes(self.planes[channels], power_law_counts(self.edges_kev)[channels])
        usable = self.usable
        least = np.where(usable, np.maximum(total.efficiency, np.finfo(float).tiny), 0.0)
        shadowgram = shadowgram_of_plane(replace(total, efficiency=least), self.ontime_s, self.live_time)
        return replace(shadowgram, traits=self.traits)

    def model(self) -> ChannelModel:
        """Counts of the background and efficiencies as they are given; no thresholds are fitted."""
        background, n_pixels = self._columns("background"), int(self.usable.sum())
        efficiency = self._columns("efficiency") * self.ontime_s / self.live_time[self.usable][:, None]
        still = np.zeros(background.shape)
        return ChannelModel(background, efficiency, np.ones(background.shape), still, np.zeros(n_pixels))

    def lowest_kev(self) -> float:
        """Lower edge of the first channel that pixels are on in; the last edge where there is none."""
        mean = np.array([plane.efficiency.mean() for plane in self.planes])
        seen = np.flatnonzero(mean > _LEAST_EFFICIENCY * mean.max())
        return float(self.edges_kev[seen[0]] if mean.max() > 0 else self.edges_kev[-1])

    def with_background(self, counts: Array) -> GivenChannels:
        """The same channels with other totals of the background, ``(n_channels,)``; those without counts as they are.

        The noise of a channel is that of its background and of its sources: a background that was normalised to all
        counts has the noise of the sources twice.
        """
        planes = [
            replace(plane, background=plane.background * (total / plane.background.sum()))
            if total > 0 and plane.background.any()
            else plane
            for plane, total in zip(self.planes, counts, strict=True)
        ]
        return replace(self, planes=planes)
