"""Spectra of all sources of a window: every channel fitted on the detector plane with the background.

There is less than one count a pixel and channel, so the weights of the least squares come from the model, never from
the counts: the estimate is a linear function of the counts, unbiased however few there are. What the background
looks like (rows, columns, blocks of the modules) is estimated in broad bands, together with the sources there, and
taken from the channels in proportion, with a mean of two bands between their middles: it is smooth in energy. In each
channel sources and the level of the background are free. What the structure leaves uncertain moves all channels of a
band together, and is written out as their covariance.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from integral_oda.arrays import Array
from integral_oda.imaging.efficiency import (
    ChannelModel,
    channel_model,
    lowest_threshold_kev,
)
from integral_oda.imaging.shadowgram import Shadowgram, build_shadowgram
from integral_oda.imaging.structure import Covariance, StructureWidths, fit_widths
from integral_oda.imaging.thresholds import Thresholds
from integral_oda.imaging.uniformity import Template, apply_templates
from integral_oda.instrument.detector import DETECTOR_SHAPE, OPEN_PIXELS
from integral_oda.instrument.energy import EnergyBand
from integral_oda.instrument.response import CRAB_INDEX, effective_area_cm2

__all__ = [
    "BandStructure",
    "ChannelFit",
    "ChannelPlanes",
    "DetectorPlane",
    "IlluminationTable",
    "fit_channels",
    "fit_structure",
    "no_structure",
    "plain_significance",
    "power_law_counts",
]

_LEAST_VARIANCE = 1e-3
_ILLUMINATION_KEV = np.array(
    [15.0, 30.0, 50.0, 69.4, 69.6, 85.0, 105.0, 130.0, 160.0, 200.0, 260.0, 350.0, 500.0, 1000.0]
)
_RIDGE = 1e-12
_MOVING = 1e-3
"""Change of the counts with the thresholds, 1/keV, from which on a channel is fitted together with others."""
_LARGEST_STRUCTURE = 0.5


class ChannelPlanes(Protocol):
    """Counts of the usable pixels in adjoining channels, however their answers are known; see `DetectorPlane`."""

    @property
    def usable(self) -> NDArray[np.bool_]:
        """Pixels that are used, ``(134, 130)``."""

    @property
    def counts(self) -> NDArray[Any]:
        """Counts, ``(n_pixels, n_channels)``."""

    @property
    def edges_kev(self) -> Array:
        """Edges of the channels."""

    @property
    def live_time(self) -> Array:
        """Live time of each pixel, ``(134, 130)`` s."""

    def shadowgram(self, channels: slice) -> Shadowgram:
        """Shadowgram of some adjoining channels."""

    def band(self, channels: slice) -> EnergyBand:
        """Energies of some adjoining channels."""

    def model(self) -> ChannelModel:
        """What every pixel should count in each channel."""

    def lowest_kev(self) -> float:
        """Energy below which nothing is extracted."""


@dataclass(frozen=True)
class DetectorPlane:
    """Counts of the usable pixels in adjoining channels, and what is known of the pixels.

    Attributes
    ----------
    usable : ndarray of bool
        ``(134, 130)``.
    counts : ndarray
        ``(n_pixels, n_channels)``.
    edges_kev : ndarray
        ``(n_channels + 1,)`` multiples of 0.5 keV from 15 to 1000 keV.
    thresholds : Thresholds
    live_time : ndarray
        ``(134, 130)`` s.
    traits : ndarray
        ``(n_traits, 134, 130)``, see `Shadowgram`.
    """

    usable: NDArray[np.bool_]
    counts: NDArray[np.integer]
    edges_kev: Array
    thresholds: Thresholds
    live_time: Array
    traits: Array = field(default_factory=lambda: np.zeros((0, *DETECTOR_SHAPE)))

    def shadowgram(self, channels: slice) -> Shadowgram:
        """Shadowgram of some adjoining channels."""
        plane = np.zeros(self.usable.shape)
        plane[self.usable] = self.counts[:, channels].sum(axis=1)
        shadowgram = build_shadowgram(plane, self.usable, self.thresholds, self.band(channels), self.live_time)
        return replace(shadowgram, traits=self.traits)

    def band(self, channels: slice) -> EnergyBand:
        """Energies of some adjoining channels."""
        return EnergyBand(float(self.edges_kev[channels.start]), float(self.edges_kev[channels.stop]))

    def model(self) -> ChannelModel:
        """What every pixel should count in each channel."""
        return channel_model(self.thresholds, self.edges_kev)

    def lowest_kev(self) -> float:
        """Energy below which thresholds leave nothing to extract."""
        return lowest_threshold_kev(self.thresholds)


class IlluminationTable:
    """Pixel illumination of all sources at any energy, between energies that were computed.

    Parameters
    ----------
    illumination : callable
        Gives ``(n_pixels, n_sources)`` for an energy in keV.
    places : sequence of tuple
        Tangents of the sources; where they are not given, none of them is one of the plane's bright sources.
    """

    def __init__(self, illumination: Callable[[float], Array], places: Sequence[tuple[float, float]] = ()) -> None:
        self._illumination, self._places = illumination, places
        self._known: dict[int, Array] = {}

    def at(self, energy_kev: float) -> Array:
        """Pixel illumination factors, ``(n_pixels, n_sources)``."""
        upper = int(np.clip(np.searchsorted(_ILLUMINATION_KEV, energy_kev), 1, len(_ILLUMINATION_KEV) - 1))
        low, high = _ILLUMINATION_KEV[upper - 1], _ILLUMINATION_KEV[upper]
        part = float(np.clip((energy_kev - low) / (high - low), 0.0, 1.0))
        mixed: Array = (1 - part) * self._node(upper - 1) + part * self._node(upper)
        return mixed

    def shadows(self, shadowgram: Shadowgram, energy_kev: float) -> Array:
        """Counts of the sources at unit flux in a band, ``(n_pixels, n_sources)``."""
        pifs = self.at(energy_kev)
        if not self._places:
            return pifs * shadowgram.flat(shadowgram.source_response)[:, None]
        return pifs * np.stack([shadowgram.flat(shadowgram.response_at(p)) for p in self._places], axis=1)

    def _node(self, number: int) -> Array:
        if number not in self._known:
            self._known[number] = self._illumination(float(_ILLUMINATION_KEV[number]))
        return self._known[number]


@dataclass(frozen=True)
class BandStructure:
    """Structure of the background in one broad band.

    Attributes
    ----------
    first, stop : int
        Channels of the band.
    relative : ndarray
        ``(n_pixels,)`` structure over the answer to the background.
    fluxes : ndarray
        ``(n_sources,)`` counts/s in the band.
    shared_variance : ndarray
        ``(n_sources,)`` what the structure adds to the variance of those fluxes.
    """

    first: int
    stop: int
    relative: Array
    fluxes: Array
    shared_variance: Array


@dataclass(frozen=True)
class ChannelFit:
    """Spectra of all sources.

    Attributes
    ----------
    flux : ndarray
        ``(n_sources, n_channels)`` counts/s in OSA's unit; NaN in channels below all thresholds.
    covariance : ndarray
        ``(n_sources, n_channels, n_channels)`` between the channels of each source.
    background : ndarray
        ``(n_channels,)`` counts/s of the background on all usable pixels.
    efficiency : ndarray
        ``(n_channels,)`` mean share of a source's counts that a pixel registers.
    """

    flux: Array
    covariance: Array
    background: Array
    efficiency: Array


def fit_structure(
    plane: ChannelPlanes, channels: slice, illumination: IlluminationTable, known: Template | None = None
) -> BandStructure:
    """Fit sources and structure of the background in a broad band together.

    Parameters
    ----------
    plane : ChannelPlanes
    channels : slice
        Of the band.
    illumination : IlluminationTable
        Of all sources.
    known : Template, optional
        Structure that other windows show; what is left of the band's own is fitted beside it.
    """
    shadowgram, band = plane.shadowgram(channels), plane.band(channels)
    design = illumination.shadows(shadowgram, _mean_energy(band))
    shadowgram = _with_source_noise(shadowgram, design)
    if known is not None:
        shadowgram = apply_templates(shadowgram, [known], design, band, np.zeros((0, 2)))
    told = shadowgram.flat(shadowgram.template) if shadowgram.template.size else 0.0
    covariance = Covariance(shadowgram, fit_widths(shadowgram, design, rounds=1))
    fluxes, errors = covariance.fit(shadowgram.excess, design)
    structure = covariance.structure(shadowgram.excess - design @ fluxes)
    answer = np.maximum(shadowgram.flat(shadowgram.background_response), _LEAST_VARIANCE)
    _, alone = Covariance(shadowgram, StructureWidths()).fit(shadowgram.excess, design)
    shared = np.clip(np.diag(errors) - np.diag(alone), 0.0, None)
    relative = np.clip((structure + told) / answer, -_LARGEST_STRUCTURE, _LARGEST_STRUCTURE)
    return BandStructure(channels.start, channels.stop, relative, fluxes, shared)


def no_structure(plane: ChannelPlanes, channels: slice, n_sources: int) -> BandStructure:
    """What stands for the structure of a band that nothing is extracted from."""
    nothing = np.zeros(n_sources)
    return BandStructure(channels.start, channels.stop, np.zeros(plane.counts.shape[0]), nothing, nothing)


def plain_significance(plane: ChannelPlanes, channels: slice, illumination: IlluminationTable) -> Array:
    """Significance of each source in a band if the background were smooth, ``(n_sources,)``."""
    shadowgram = plane.shadowgram(channels)
    design = illumination.shadows(shadowgram, _mean_energy(plane.band(channels)))
    fluxes, errors = Covariance(shadowgram, StructureWidths()).fit(shadowgram.excess, design)
    return fluxes / np.sqrt(np.diag(errors))


def _with_source_noise(shadowgram: Shadowgram, design: Array) -> Shadowgram:
    """Noise of the fitted sources added to that of the background."""
    weighted = design / shadowgram.flat(shadowgram.variance)[:, None]
    level = shadowgram.flat(shadowgram.background_response)[:, None]
    both = np.column_stack([design, level])
    normal = both.T @ np.column_stack([weighted, level / shadowgram.flat(shadowgram.variance)[:, None]])
    normal[np.diag_indices_from(normal)] *= 1 + _RIDGE
    right = (both / shadowgram.flat(shadowgram.variance)[:, None]).T @ shadowgram.excess
    fluxes = np.linalg.solve(normal, right)[: design.shape[1]]
    counts = design @ np.clip(fluxes, 0.0, None)
    return replace(shadowgram, variance=shadowgram.variance + shadowgram.unflat(counts))


def _mean_energy(band: EnergyBand) -> float:
    return float(np.sqrt(band.e1_kev * band.e2_kev))


def fit_channels(
    plane: ChannelPlanes, structures: Sequence[BandStructure], illumination: IlluminationTable
) -> ChannelFit:
    """Fit all sources and the level of the background in every channel.

    Parameters
    ----------
    plane : ChannelPlanes
    structures : sequence of BandStructure
        Of bands that together hold all channels.
    illumination : IlluminationTable

    Notes
    -----
    Where thresholds turn the pixels on, each pixel's threshold was fitted to the counts that are fitted here. With
    r the counts less the model at the fitted thresholds, D their variance, s the slope of the model and V the
    variance of the thresholds, a source adds (1 - s V s'/D) S f to r: the score S'r/D and the normal matrix
    S'(1/D - (s/D) V (s/D)')S give the fluxes of all those channels together, without any guess of their spectrum.
    """
    cells = _Cells(plane, plane.model(), structures, illumination)
    fit = _EmptyFit(len(structures[0].fluxes), structures)
    extracted = np.flatnonzero(plane.edges_kev[:-1] >= plane.lowest_kev())
    slope, background = (a[:, extracted] for a in (cells.model.slope, cells.model.background))
    moves = np.abs(slope).sum(axis=0) > _MOVING * background.sum(axis=0)
    moving = extracted[moves]
    if len(moving):
        fit.put(moving, *_fit_moving(cells, moving))
    for c in extracted[~moves]:
        fit.put(np.array([c]), *_fit_still(cells, int(c)))
    fit.share_structure(cells)
    return fit.done(plane, cells)


class _Cells:
    """Counts, model and shadows of the pixels, channel by channel."""

    def __init__(
        self,
        plane: ChannelPlanes,
        model: ChannelModel,
        structures: Sequence[BandStructure],
        illumination: IlluminationTable,
    ) -> None:
        self.plane, self.model, self.illumination, self.structures = plane, model, illumination, structures
        self.live = plane.live_time[plane.usable] / OPEN_PIXELS
        self.band_of = np.concatenate([np.full(s.stop - s.first, k) for k, s in enumerate(structures)])
        self.shares = _power_law_shares(plane.edges_kev, structures)
        self.place = _places(plane.edges_kev, structures)

    def design(self, c: int) -> Array:
        """Counts of the sources at unit flux, and of the background; ``(n_pixels, n_sources + 1)``."""
        energy = (self.plane.edges_kev[c] + self.plane.edges_kev[c + 1]) / 2
        pifs = self.illumination.at(float(energy))
        shadows = pifs * (self.model.efficiency[:, c] * self.live)[:, None]
        return np.column_stack([shadows, self.model.background[:, c]])

    def relative(self, c: int) -> Array:
        """Structure over the background in a channel, between the bands to both sides of it; ``(n_pixels,)``."""
        lower, part = int(self.place[c]), float(self.place[c] % 1)
        if part == 0:
            return self.structures[lower].relative
        between: Array = (1 - part) * self.structures[lower].relative + part * self.structures[lower + 1].relative
        return between

    def mean_counts(self, c: int, shadows: Array) -> Array:
        """Mean counts of the sources, ``(n_pixels,)``."""
        fluxes = self.structures[self.band_of[c]].fluxes * self.shares[c]
        return shadows @ np.clip(fluxes, 0.0, None)

    def noise(self, c: int, design: Array) -> Array:
        """Variance of the counts, ``(n_pixels,)``: background with its structure, and the mean sources."""
        background = self.model.background[:, c] * np.clip(1 + self.relative(c), 0.1, None)
        return _floored(background + self.mean_counts(c, design[:, :-1]))


def _floored(noise: Array) -> Array:
    return np.maximum(noise, _LEAST_VARIANCE * max(float(noise.mean()), _LEAST_VARIANCE))


def _fit_still(cells: _Cells, c: int) -> tuple[Array, Array]:
    """One channel above all thresholds."""
    design = cells.design(c)
    weighted = design / cells.noise(c, design)[:, None]
    background = cells.model.background[:, c]
    residual = cells.plane.counts[:, c] - background * (1 + cells.relative(c))
    inverse = _inverse(design.T @ weighted)
    return (inverse @ (weighted.T @ residual))[None], inverse[None, :, None, :]


def _fit_moving(cells: _Cells, channels: NDArray[np.int64]) -> tuple[Array, Array]:
    """All channels in which thresholds move, together."""
    variance = cells.model.threshold_variance
    normal, pulls, score, excess_noise = [], [], [], []
    taken = np.zeros(len(variance))
    for c in channels:
        design, background = cells.design(int(c)), cells.model.background[:, c]
        amplitude = cells.model.amplitude[:, c]
        expected = _floored(amplitude * background)
        weighted = design / expected[:, None]
        slope = cells.model.slope[:, c] / expected
        allowed = (amplitude - 1 - cells.relative(int(c))) * background
        taken += slope * allowed
        residual = cells.plane.counts[:, c] - amplitude * background + allowed
        normal.append(design.T @ weighted)
        score.append(weighted.T @ residual)
        pulls.append((weighted * cells.model.slope[:, c][:, None]).astype(np.float32))
        surplus = (cells.noise(int(c), design) - expected) / expected**2
        excess_noise.append(design.T @ (design * surplus[:, None]))
    score = [y - p.T @ (variance * taken) for y, p in zip(score, pulls, strict=True)]
    n, size = len(channels), normal[0].shape[0]
    together = np.concatenate(pulls, axis=1) * np.sqrt(variance).astype(np.float32)[:, None]
    matrix = _block_diagonal(normal) - (together.T @ together).astype(float)
    inverse = _inverse(matrix)
    solution = inverse @ np.concatenate(score)
    covariance = inverse + inverse @ _block_diagonal(excess_noise) @ inverse
    return solution.reshape(n, size), covariance.reshape(n, size, n, size)


def _block_diagonal(blocks: Sequence[Array]) -> Array:
    from scipy.linalg import block_diag

    joined: Array = block_diag(*blocks)
    return joined


def _inverse(matrix: Array) -> Array:
    """Inverse of a normal matrix whose unknowns have very different scales."""
    scale = 1 / np.sqrt(np.maximum(np.diag(matrix), 1e-300))
    scaled = matrix * np.outer(scale, scale)
    scaled[np.diag_indices_from(scaled)] += _RIDGE
    return np.linalg.inv(scaled) * np.outer(scale, scale)


class _EmptyFit:
    """Fluxes and covariances on their way to a `ChannelFit`."""

    def __init__(self, n_sources: int, structures: Sequence[BandStructure]) -> None:
        n_channels = structures[-1].stop
        self.flux = np.full((n_sources, n_channels), np.nan)
        self.level = np.zeros(n_channels)
        self.covariance = np.zeros((n_sources, n_channels, n_channels))

    def put(self, channels: NDArray[np.int64], solution: Array, covariance: Array) -> None:
        """Take the solution ``(n, n_sources + 1)`` and its covariance ``(n, m, n, m)`` of some channels."""
        self.flux[:, channels] = solution[:, :-1].T
        self.level[channels] = solution[:, -1]
        for source in range(len(self.flux)):
            self.covariance[source][np.ix_(channels, channels)] = covariance[:, source, :, source]

    def share_structure(self, cells: _Cells) -> None:
        """Add what the structure of a band leaves uncertain in its channels, in proportion to their background."""
        weight = cells.model.background.sum(axis=0) / np.maximum(cells.model.efficiency.sum(axis=0), 1e-30)
        for structure in cells.structures:
            inside = slice(structure.first, structure.stop)
            weight_here = np.where(np.isfinite(self.flux[0, inside]), weight[inside], 0.0)
            ratio = weight_here / max(float(weight_here.sum()), 1e-30)
            for source, variance in enumerate(structure.shared_variance):
                self.covariance[source][inside, inside] += variance * np.outer(ratio, ratio)

    def done(self, plane: ChannelPlanes, cells: _Cells) -> ChannelFit:
        """The fit, with the background's rate."""
        relative = np.stack([cells.relative(c) for c in range(len(self.level))], axis=1)
        counts = (cells.model.background * (1 + self.level + relative)).sum(axis=0)
        live = float(plane.live_time[plane.usable].mean())
        return ChannelFit(self.flux, self.covariance, counts / live, cells.model.efficiency.mean(axis=0))


def _places(edges_kev: Array, structures: Sequence[BandStructure]) -> Array:
    """Place of each channel between the middles of the bands: 2.3 is 0.3 of the way from band 2 to band 3."""
    energy = np.log((edges_kev[1:] + edges_kev[:-1]) / 2)
    middles = [float(np.log(edges_kev[s.first] * edges_kev[s.stop])) / 2 for s in structures]
    return np.interp(energy, middles, np.arange(len(middles)))


def _power_law_shares(edges_kev: Array, structures: Sequence[BandStructure]) -> Array:
    """Share of each channel in the counts of its band for a power law, ``(n_channels,)``."""
    counts = power_law_counts(edges_kev)
    shares = np.empty_like(counts)
    for s in structures:
        shares[s.first : s.stop] = counts[s.first : s.stop] / counts[s.first : s.stop].sum()
    return shares


def power_law_counts(edges_kev: Array) -> Array:
    """Counts of a power law in the channels, in any unit; ``(n_channels,)``."""
    energy = (edges_kev[1:] + edges_kev[:-1]) / 2
    return effective_area_cm2(energy) * energy**-CRAB_INDEX * np.diff(edges_kev)
