"""Low thresholds of the pixels, fitted to the spectra of the window's own events.

ISGRI's pixels switch on between 15 keV (2003) and some 45 keV (2022), each at its own low threshold.
The turn-on is 0.5 (1 + erf((E - threshold) / (1.41 sigma))) with sigma = (4.80 + 0.0017 rev) / 2.36 keV
(the law of OSA's ii_shadow_build), and below it a tail of a few percent that is fitted too. The thresholds are fitted
together with the spectrum of the background and those of bright sources, whose light differs from pixel to pixel.
Pixels have some hundred counts each, so a threshold is known to 1 or 2 keV only: spectra and the distribution of the
thresholds, the prior of each, are the most probable ones with the thresholds marginalised (expectation
maximisation). Spectra that went with the single best threshold of each pixel would be too high below them, and the
thresholds with them. Where a context says how the pixels differ from each other, the prior of each is centred there:
what is fitted is one shift and one stretch of them all, for the energy scale has drifted over the mission (15 keV
have become 36), and the width of what is left, so that a context which is wrong counts for nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from integral_oda.arrays import Array
from integral_oda.instrument.response import CRAB_INDEX, effective_area_cm2

__all__ = [
    "CHANNELS",
    "SPECTRUM_EDGES",
    "STEP_KEV",
    "THRESHOLD_GRID",
    "THRESHOLD_STEP_KEV",
    "PixelSpectra",
    "Thresholds",
    "at_thresholds",
    "fit_thresholds",
    "rebinned",
    "rebinned_product",
    "refit_thresholds",
    "threshold_sigma_kev",
    "turn_on_table",
    "used_bins",
]


STEP_KEV = 0.5
CHANNELS = np.arange(15.0, 1000.0, STEP_KEV)
"""Lower edges of the fine energy grid, keV."""
THRESHOLD_STEP_KEV = 0.25
THRESHOLD_GRID = np.arange(8.0, 66.01, THRESHOLD_STEP_KEV)
SPECTRUM_EDGES = np.array([16, 18, 20, 22, 24, 26, 28, 30, 32, 34, 36, 38, 40, 42, 44, 46, 48, 50, 52, 56, 60, 65, 70,
                           80, 90, 100.0])  # fmt: skip
_FIRST_TAIL, _LARGEST_TAIL = 0.02, 0.1
_CONTINUATION_SLOPE = 0.5
"""Power that the background falls with where too few pixels are on to see it."""
_LEAST_ON = 0.3
"""Mean turn-on from which a spectrum is measured; below it is continued."""
_ROUNDS, _FURTHER_ROUNDS = 24, 6
_PIXELS_OF_ROUNDS = 3000
"""So many pixels are enough for a start."""
_FIRST_WIDTH_KEV, _LEAST_WIDTH_KEV = 3.0, 0.7
_REACH_WIDTHS = 6.0
_LONGEST_STRIDE, _MOST_STRETCHED = 4.0, 4.0
_PIXELS_AT_ONCE = 512
_COARSE = 2
"""Steps of the grid that thresholds are taken at to find how probable they are."""
_LEAST_BACKGROUND = 0.1
"""Share of the counts that is background at least, however bright a source is."""
_SLOPE_PRIOR, _CURVATURE_PRIOR, _SHAPE_DOUBT = 1.5, 0.5, 0.02
"""1 sigma of a bright source's index about the Crab's and of its curvature; what such a shape is trusted to."""
_PIVOT_KEV = 40.0
_STEPS, _LONGEST_STEP, _LEAST_STEP = 8, 1.0, 1e-8
_THRESHOLD_DOUBT_KEV = 0.5
"""How far off all thresholds together may be: where they turn on, a bright source's spectrum is trusted the less."""


@dataclass(frozen=True)
class PixelSpectra:
    """Counts of usable pixels in the bins of `SPECTRUM_EDGES`, and of all of them on the fine grid.

    Attributes
    ----------
    counts : ndarray
        ``(n_pixels, 25)``.
    total : ndarray
        ``(1970,)`` counts of all pixels in channels of 0.5 keV from 15 keV.
    """

    counts: Array
    total: Array


@dataclass(frozen=True)
class Thresholds:
    """Low thresholds of the pixels and the spectra that they were fitted with.

    Attributes
    ----------
    energy_kev : ndarray
        ``(n_pixels,)`` low threshold, keV.
    sigma_kev : float
        Width of the turn-on.
    centre_kev, width_kev : float
        The prior: mean and 1 sigma spread of the thresholds, less the offsets where there are any.
    background : ndarray
        ``(1970,)`` background of a pixel with full efficiency, counts per channel of 0.5 keV.
    tail : float
        Efficiency left far below the threshold: the real turn-on has a tail that the error function lacks.
    pliancy : ndarray or float
        ``(233,)`` over `THRESHOLD_GRID`: how far a fitted threshold moves with a faint source, over what the
        information of the model says; see `efficiency.measure_pliancy`.
    light : ndarray
        ``(n_pixels, n_bright)`` illumination by bright sources, times live time over its mean.
    glow : ndarray
        ``(n_bright, 1970)`` counts that a bright source gives a fully lit pixel with full efficiency.
    places : ndarray
        ``(n_bright, 2)`` tangents of the bright sources.
    offset_kev : ndarray
        ``(n_pixels,)`` how far each prior's centre is from the common one, as a context has it; empty without one.
    stretch : float
        What the context's differences were multiplied with to make these.
    """

    energy_kev: Array
    sigma_kev: float
    centre_kev: float
    width_kev: float
    background: Array
    tail: float = 0.0
    pliancy: Array | float = 1.0
    light: Array = field(default_factory=lambda: np.zeros((0, 0)))
    glow: Array = field(default_factory=lambda: np.zeros((0, len(CHANNELS))))
    places: Array = field(default_factory=lambda: np.zeros((0, 2)))
    offset_kev: Array = field(default_factory=lambda: np.zeros(0))
    stretch: float = 1.0

    @property
    def mean_kev(self) -> float:
        """Mean that the prior has over all pixels."""
        return _overall(self.centre_kev, self.width_kev, self.offset_kev)[0]

    @property
    def spread_kev(self) -> float:
        """1 sigma spread that the prior has over all pixels."""
        return _overall(self.centre_kev, self.width_kev, self.offset_kev)[1]

    @property
    def turn_on(self) -> Array:
        """Efficiency of the channels at each threshold of `THRESHOLD_GRID`, ``(233, 1970)``."""
        return turn_on_table(self.sigma_kev, self.tail)

    def amplitude(self, edges_kev: Array = SPECTRUM_EDGES) -> Array:
        """Expected counts over those of the background alone, ``(n_pixels, len(edges_kev) - 1)``."""
        return _amplitude(self.light, self.glow, self.background, edges_kev, len(self.energy_kev))


def threshold_sigma_kev(revolution: int) -> float:
    """Width of the turn-on at a revolution, keV (OSA: (4.80 + 0.0017 rev) / 2.36)."""
    return (4.80 + 0.0017 * revolution) / 2.36


def used_bins(mean_kev: float, sigma_kev: float) -> NDArray[np.bool_]:
    """Bins of `SPECTRUM_EDGES` that thresholds are fitted to; below, hardly a pixel is on."""
    used: NDArray[np.bool_] = SPECTRUM_EDGES[:-1] >= mean_kev - 2.5 * sigma_kev
    return used


def fit_thresholds(
    spectra: PixelSpectra,
    sigma_kev: float,
    light: Array | None = None,
    start: Thresholds | None = None,
    offset_kev: Array | None = None,
) -> Thresholds:
    """Fit every pixel's low threshold, with the spectra of the background and of bright sources.

    Parameters
    ----------
    spectra : PixelSpectra
    sigma_kev : float
    light : ndarray, optional
        ``(n_pixels, n_bright)`` illumination by bright sources, times live time over its mean.
    start : Thresholds, optional
        An earlier fit of the same window, perhaps of other pixels, to improve on with all pixels.
    offset_kev : ndarray, optional
        ``(n_pixels,)`` thresholds of a context, less any number that is the same in ``start``.
    """
    n = len(spectra.counts)
    lit = np.zeros((n, 0)) if light is None else light
    offset = np.zeros(0) if offset_kev is None else offset_kev
    some = np.random.default_rng(n).permutation(n)[: _PIXELS_OF_ROUNDS if start is None else n]
    part = PixelSpectra(spectra.counts[some], spectra.total * (len(some) / n))
    part_offset = offset[some] if len(offset) else offset
    mixture = _Mixture(sigma_kev, *_start(spectra, part_offset, start), lit[some], part, part_offset, start)
    for _ in range(_ROUNDS if start is None else _FURTHER_ROUNDS):
        mixture.improve(part, lit[some], part_offset)
    mixture.improve(spectra, lit, offset)
    energy = mixture.most_probable(spectra, lit, offset)
    return Thresholds(
        energy, sigma_kev, mixture.centre, mixture.width, mixture.background, mixture.tail, light=lit,
        glow=mixture.glow, offset_kev=mixture.stretch * offset, stretch=mixture.stretch,
    )  # fmt: skip


def refit_thresholds(thresholds: Thresholds, counts: Array) -> Thresholds:
    """Fit the thresholds of other pixel spectra with the background, bright sources and prior of an earlier fit.

    Parameters
    ----------
    thresholds : Thresholds
    counts : ndarray
        ``(n_pixels, 25)``.
    """
    model = rebinned_product(thresholds.turn_on, thresholds.background)
    prior = _Prior(thresholds.centre_kev, thresholds.width_kev, thresholds.offset_kev)
    near = prior.near()
    blocks = _log_posterior(counts, thresholds.amplitude(), model, prior, thresholds.sigma_kev, near)
    return replace(thresholds, energy_kev=_peaks(blocks, near))


def _start(spectra: PixelSpectra, offset: Array, start: Thresholds | None) -> tuple[float, float]:
    if start is not None:
        return start.centre_kev, start.width_kev
    return _first_guess(spectra.total) - (float(offset.mean()) if len(offset) else 0.0), _FIRST_WIDTH_KEV


def _overall(centre: float, width: float, offset: Array) -> tuple[float, float]:
    """Mean and spread of the thresholds of all pixels together, of which each has a prior about its own offset."""
    if not len(offset):
        return centre, width
    return centre + float(offset.mean()), float(np.hypot(width, offset.std()))


@dataclass(frozen=True)
class _Prior:
    """Gaussian about a common centre and each pixel's offset, where there are any."""

    centre: float
    width: float
    offset: Array

    def near(self, step: int = 1) -> NDArray[np.bool_]:
        """Thresholds of the grid that the prior allows any pixel, ``(233,)``, or each so many steps one of them."""
        reach, farthest = _REACH_WIDTHS * max(self.width, 1.0), THRESHOLD_GRID - self.centre
        if len(self.offset):
            farthest = farthest - np.clip(farthest, self.offset.min(), self.offset.max())
        near: NDArray[np.bool_] = np.abs(farthest) < reach
        return near & (np.arange(len(near)) % step == 0)

    def terms(self, n_pixels: int, near: NDArray[np.bool_]) -> tuple[Array, Array]:
        """Logarithm as a product: of pixels ``(n_pixels, 1 or 2)`` and of thresholds ``(1 or 2, n_near)``."""
        depth = (THRESHOLD_GRID[near] - self.centre) / self.width
        if not len(self.offset):
            return np.ones((n_pixels, 1)), -0.5 * depth[None] ** 2
        pixels = np.column_stack([np.ones(n_pixels), self.offset / self.width])
        return pixels, np.stack([-0.5 * depth**2, depth])


class _Mixture:
    """Spectra of background and bright sources, and the distribution of the thresholds, on their way to the best."""

    def __init__(
        self, sigma_kev: float, centre: float, width: float, light: Array, spectra: PixelSpectra,
        offset: Array, start: Thresholds | None,
    ) -> None:  # fmt: skip
        self.sigma, self.centre, self.width = sigma_kev, centre, width
        self.stretch = 1.0 if start is None else start.stretch
        self.mean, spread = _overall(centre, width, self.stretch * offset)
        self.tail = _FIRST_TAIL if start is None else start.tail
        self.glow = np.zeros((light.shape[1], len(CHANNELS)))
        if start is not None and start.glow.shape == self.glow.shape:
            self.background, self.glow = start.background, start.glow
            return
        density = np.exp(-0.5 * ((THRESHOLD_GRID - self.mean) / spread) ** 2)
        density /= density.sum()
        self.background = np.ones(len(CHANNELS))
        on = np.broadcast_to(density @ self._turn_on_in_bins(), spectra.counts.shape)
        shares = np.vstack([len(light) * density, light.sum(axis=0)[:, None] * density])
        self._measure(spectra, light, self._amplitude(light), on, shares)

    def improve(self, spectra: PixelSpectra, light: Array, offset: Array) -> None:
        """One round: thresholds given the spectra, then the spectra given how probable each threshold is."""
        near = self._prior(offset).near(_COARSE)
        in_bins, amplitude = self._turn_on_in_bins()[near], self._amplitude(light)
        depth = THRESHOLD_GRID[near, None] - self.centre
        of_threshold = np.hstack([in_bins, self.tail / in_bins, depth, np.ones_like(depth)]).astype(np.float32)
        of_pixel = np.column_stack([np.ones(len(light)), light]).astype(np.float32)
        shares, means, first = np.zeros((of_pixel.shape[1], len(THRESHOLD_GRID))), [], 0
        for block in self._blocks(spectra, amplitude, offset, near, np.float32):
            weight = np.exp(np.subtract(block, block.max(axis=1, keepdims=True), out=block), out=block)
            sums = weight @ of_threshold
            shares[:, near] += (of_pixel[first : first + len(block)] / sums[:, -1:]).T @ weight
            means.append(sums[:, :-1] / sums[:, -1:])
            first += len(block)
        on, of_tail, deeper = np.split(np.concatenate(means, dtype=float), [in_bins.shape[1], -1], axis=1)
        self._measure_tail(spectra.counts, amplitude, on, of_tail)
        self._measure(spectra, light, amplitude, on, shares)
        self._measure_prior(shares[0], self.centre + deeper[:, 0], offset)

    def most_probable(self, spectra: PixelSpectra, light: Array, offset: Array) -> Array:
        """Threshold of each pixel, ``(n_pixels,)``."""
        near = self._prior(offset).near()
        return _peaks(self._blocks(spectra, self._amplitude(light), offset, near, np.float64), near)

    def _prior(self, offset: Array) -> _Prior:
        return _Prior(self.centre, self.width, self.stretch * offset)

    def _measure_prior(self, share: Array, expected: Array, offset: Array) -> None:
        """Centre and width: mean and spread of the thresholds less their offsets, which are stretched to fit best.

        With offsets the prior may be narrower than what the spectra tell of a threshold, and expectation maximisation
        then all but stands still: its steps are lengthened to those of Newton's method, four times at most.
        """
        if not len(offset):
            self.centre = float(share @ THRESHOLD_GRID / share.sum())
            spread = np.sqrt(share @ (THRESHOLD_GRID - self.centre) ** 2 / share.sum())
        else:
            left, apart = expected - self.stretch * offset - self.centre, offset - offset.mean()
            slope = float(left @ apart / max(apart @ apart, 1e-9))
            within = float(share @ (THRESHOLD_GRID - self.centre) ** 2 / share.sum())
            within -= float(((expected - self.centre) ** 2).mean())
            longer = min(1 / max(1 - within / self.width**2, 1e-9), _LONGEST_STRIDE)
            stretch = float(np.clip(self.stretch + longer * slope, 0.0, _MOST_STRETCHED))
            self.centre += longer * float(left.mean()) - (stretch - self.stretch) * float(offset.mean())
            self.stretch = stretch
            step = within + float((left - slope * apart).var()) - self.width**2
            spread = np.sqrt(max(self.width**2 + min(longer**2, _LONGEST_STRIDE) * step, 0.0))
        self.width = float(np.clip(spread, _LEAST_WIDTH_KEV, 8.0))
        self.mean = _overall(self.centre, self.width, self.stretch * offset)[0]

    def _in_bins(self) -> Array:
        """Background in the bins of `SPECTRUM_EDGES` at each threshold, ``(233, 25)``."""
        table = rebinned_product(_error_functions(self.sigma), self.background)
        return self.tail * rebinned(self.background) + (1 - self.tail) * table

    def _turned_on(self, share: Array) -> Array:
        """Turn-on of the channels summed over thresholds with the weights ``(..., 233)``; ``(..., 1970)``."""
        everywhere, table = share.sum(axis=-1, keepdims=True), _error_functions(self.sigma)
        turned_on = np.repeat(everywhere, len(CHANNELS), axis=-1)
        bent = _channels_turning_on(self.sigma)
        turned_on[..., :bent] = self.tail * everywhere + (1 - self.tail) * (share @ table[:, :bent])
        return turned_on

    def _amplitude(self, light: Array) -> Array:
        return _amplitude(light, self.glow, self.background, SPECTRUM_EDGES, len(light))

    def _blocks(
        self, spectra: PixelSpectra, amplitude: Array, offset: Array, near: NDArray[np.bool_],
        kind: type[np.floating[Any]],
    ) -> Iterator[Array]:  # fmt: skip
        prior = self._prior(offset)
        return _log_posterior(spectra.counts, amplitude, self._in_bins(), prior, self.sigma, near, kind)

    def _measure_tail(self, counts: Array, amplitude: Array, on: Array, of_tail: Array) -> None:
        """Tail of the turn-on: counts that belong to it, weighed against those of the error function."""
        used = used_bins(self.mean, self.sigma)
        in_tail = float(np.einsum("ij,ij->j", counts, of_tail)[used].sum())
        all_counts = float(counts.sum(axis=0)[used].sum())
        off = (amplitude.sum(axis=0) - np.einsum("ij,ij->j", amplitude, on)) * rebinned(self.background)
        gained = float(off[used].sum()) / (1 - self.tail)
        half = (gained + all_counts) / 2
        root = half - np.sqrt(max(half**2 - gained * in_tail, 0.0))
        self.tail = float(np.clip(root / max(gained, 1e-9), 1e-4, _LARGEST_TAIL))

    def _turn_on_in_bins(self) -> Array:
        full: Array = self._in_bins() / rebinned(self.background)
        return full

    def _measure(self, spectra: PixelSpectra, light: Array, amplitude: Array, on: Array, shares: Array) -> None:
        """Spectra from the counts, ``shares`` of the pixels and of each source's light being at each threshold."""
        share, lit_share = shares[0], shares[1:]
        turned_on = np.maximum(self._turned_on(share), 1e-9)
        seen = turned_on / share.sum() > _LEAST_ON
        left = spectra.total
        if light.shape[1]:
            in_bins, glow, errors = _two_spectra(spectra.counts, on, light, self._expected(amplitude, on))
            reliable = seen[np.searchsorted(CHANNELS, SPECTRUM_EDGES[:-1])]
            doubt = np.hypot(_SHAPE_DOUBT, _THRESHOLD_DOUBT_KEV * _relative_slope(on))
            errors = np.hypot(errors, doubt * np.abs(glow))
            self.glow = np.stack([_smooth(*one, reliable) for one in zip(glow, errors, strict=True)])
            left = left - (self.glow * self._turned_on(lit_share)).sum(axis=0)
            left = np.maximum(left, _LEAST_BACKGROUND * spectra.total)
        background = left / turned_on
        if light.shape[1]:
            background = _scaled_to(background, in_bins, reliable)
        first = int(np.argmax(seen))
        level = background[first : first + 6].mean()
        background[:first] = level * (CHANNELS[first + 3] / CHANNELS[:first]) ** _CONTINUATION_SLOPE
        self.background = np.maximum(background, 1e-12)

    def _expected(self, amplitude: Array, on: Array) -> Array:
        return np.maximum(amplitude * on * rebinned(self.background), 1e-6)


def _two_spectra(counts: Array, on: Array, light: Array, expected: Array) -> tuple[Array, Array, Array]:
    """Counts of background ``(25,)`` and bright sources ``(n_bright, 25)`` at full efficiency, and their errors.

    Weighted least squares in each bin: dark pixels tell of the background, bright ones of the sources.
    """
    design = np.column_stack([np.ones(len(light)), light])
    k = design.shape[1]
    pairs = (design[:, :, None] * design[:, None, :]).reshape(len(design), k * k)
    normal = ((on**2 / expected).T @ pairs).reshape(-1, k, k)
    right = (on * counts / expected).T @ design
    inverse = np.linalg.inv(normal + 1e-12 * np.trace(normal, axis1=1, axis2=2)[:, None, None] * np.eye(k))
    found = np.einsum("bij,bj->ib", inverse, right)
    errors = np.sqrt(np.diagonal(inverse, axis1=1, axis2=2)).T
    return found[0], found[1:], errors[1:]


def _relative_slope(on: Array) -> Array:
    """Slope of the mean turn-on in bins over itself, ``(25,)`` 1/keV."""
    middle = (SPECTRUM_EDGES[1:] + SPECTRUM_EDGES[:-1]) / 2
    slope: Array = np.gradient(np.log(np.maximum(on.mean(axis=0), 1e-6)), middle)
    return np.abs(slope)


def _smooth(counts: Array, error: Array, reliable: NDArray[np.bool_]) -> Array:
    """Spectrum of a bright source, ``(1970,)``: a parabola in logarithms about a Crab through its counts in bins.

    The most probable one, by Gauss-Newton steps.
    """
    powers, crab = _crab_and_bends()
    level = max(float(counts[reliable].sum()), 1e-3) / rebinned(crab)[reliable].sum()
    precision = np.array([0.0, _SLOPE_PRIOR**-2, _CURVATURE_PRIOR**-2])
    binned, weight, terms = len(CHANNELS[SPECTRUM_EDGES[-1] > CHANNELS]), error[reliable] ** -2, np.zeros(3)
    for _ in range(_STEPS):
        bent = level * crab[:binned] * np.exp(np.clip(terms @ powers[:, :binned], -30, 30))
        slopes = _summed(bent * powers[:, :binned])[:, reliable]
        off = counts[reliable] - _summed(bent)[reliable]
        normal = (slopes * weight) @ slopes.T + np.diag(precision)
        normal += 1e-9 * np.trace(normal) * np.eye(3)
        step = np.linalg.solve(normal, (slopes * weight) @ off - precision * terms)
        terms = terms + np.clip(step, -_LONGEST_STEP, _LONGEST_STEP)
        if np.abs(step).max() < _LEAST_STEP:
            break
    spectrum: Array = level * crab * np.exp(np.clip(terms @ powers, -30, 30))
    return spectrum


@lru_cache(maxsize=1)
def _crab_and_bends() -> tuple[Array, Array]:
    """Powers of the logarithm of energy, ``(3, 1970)``, and the spectrum of a Crab, ``(1970,)``, in channels."""
    energy = CHANNELS + STEP_KEV / 2
    return np.log(energy / _PIVOT_KEV) ** np.arange(3)[:, None], effective_area_cm2(energy) * energy**-CRAB_INDEX


def _scaled_to(background: Array, in_bins: Array, reliable: NDArray[np.bool_]) -> Array:
    """The background with the counts that its bins are to have."""
    own = rebinned(background)
    factor = np.ones(len(background))
    wanted = np.clip(in_bins / np.maximum(own, 1e-12), 0.1, 10.0)
    for low, high, value, used in zip(SPECTRUM_EDGES[:-1], SPECTRUM_EDGES[1:], wanted, reliable, strict=True):
        if used:
            factor[(low <= CHANNELS) & (high > CHANNELS)] = value
    scaled: Array = background * factor
    return scaled


def _amplitude(light: Array, glow: Array, background: Array, edges_kev: Array, n_pixels: int) -> Array:
    if not len(glow):
        return np.ones((n_pixels, len(edges_kev) - 1))
    first, stop = np.searchsorted(CHANNELS, edges_kev[:-1]), int(np.searchsorted(CHANNELS, edges_kev[-1]))
    shares = np.add.reduceat(glow[:, :stop], first, axis=1) / np.add.reduceat(background[:stop], first)
    amplitude: Array = 1 + light @ shares
    return amplitude


@lru_cache(maxsize=2)
def turn_on_table(sigma_kev: float, tail: float) -> Array:
    """Efficiency of the channels at each threshold of `THRESHOLD_GRID`, ``(233, 1970)``."""
    table: Array = tail + (1 - tail) * _error_functions(sigma_kev)
    return table


@lru_cache(maxsize=2)
def _error_functions(sigma_kev: float) -> Array:
    """Turn-on without its tail, ``(233, 1970)``.

    Both grids are even, so that it holds some thousand values again and again.
    """
    stride, lowest = round(STEP_KEV / THRESHOLD_STEP_KEV), CHANNELS[0] + STEP_KEV / 2 - THRESHOLD_GRID[-1]
    width = stride * (len(CHANNELS) - 1) + 1
    above_kev = lowest + THRESHOLD_STEP_KEV * np.arange(width + len(THRESHOLD_GRID) - 1)
    values = np.array([0.5 * (1 + math.erf(depth)) for depth in above_kev / (1.41 * sigma_kev)])
    return np.ascontiguousarray(np.lib.stride_tricks.sliding_window_view(values, width)[::-1, ::stride])


@lru_cache(maxsize=2)
def _channels_turning_on(sigma_kev: float) -> int:
    """Number of channels that are not wholly on at every threshold of the grid."""
    return int(np.flatnonzero(_error_functions(sigma_kev).min(axis=0) < 1)[-1]) + 1


def _log_posterior(
    counts: Array, amplitude: Array, model: Array, prior: _Prior, sigma_kev: float, near: NDArray[np.bool_],
    kind: type[np.floating[Any]] = np.float64,
) -> Iterator[Array]:  # fmt: skip
    """Logarithm of the probability of some thresholds over that of the middle one, of as many pixels as fit a cache."""
    mean, _ = _overall(prior.centre, prior.width, prior.offset)
    lowest = int(np.count_nonzero(~used_bins(mean, sigma_kev)))
    at_thresholds_near = np.maximum(model[near, lowest:], 1e-12)
    of_pixel, of_grid = prior.terms(len(counts), near)
    terms = np.hstack([counts[:, lowest:], amplitude[:, lowest:], of_pixel])
    of_threshold = np.vstack([np.log(at_thresholds_near).T, -at_thresholds_near.T, of_grid])
    of_threshold -= of_threshold[:, of_threshold.shape[1] // 2, None]
    terms, of_threshold = terms.astype(kind, copy=False), of_threshold.astype(kind, copy=False)
    for first in range(0, len(terms), _PIXELS_AT_ONCE):
        yield terms[first : first + _PIXELS_AT_ONCE] @ of_threshold


def _peaks(blocks: Iterator[Array], near: NDArray[np.bool_]) -> Array:
    return np.concatenate([_peak(block, THRESHOLD_GRID[near]) for block in blocks])


def _first_guess(total: Array) -> float:
    """Energy where the summed spectrum, smoothed over 4 keV, first reaches half of its maximum below 100 keV."""
    smooth = np.convolve(total[CHANNELS < 100], np.ones(8) / 8, mode="same")
    return float(np.clip(CHANNELS[np.argmax(smooth >= 0.5 * smooth.max())], 15.0, 45.0))


def rebinned(per_channel: Array) -> Array:
    """Sums over the bins of `SPECTRUM_EDGES`, along the last axis."""
    return _summed(per_channel[..., : np.searchsorted(CHANNELS, SPECTRUM_EDGES[-1])])


def rebinned_product(turn_on: Array, spectrum: Array) -> Array:
    """`rebinned` of the product, worked out where there are bins."""
    stop = int(np.searchsorted(CHANNELS, SPECTRUM_EDGES[-1]))
    return rebinned(turn_on[:, :stop] * spectrum[:stop])


def _summed(per_channel: Array) -> Array:
    """Sums over the bins of `SPECTRUM_EDGES` of the channels below its last edge."""
    return np.add.reduceat(per_channel, np.searchsorted(CHANNELS, SPECTRUM_EDGES[:-1]), axis=-1)


def _peak(likelihood: Array, grid: Array) -> Array:
    """Position on the grid of the maximum of each row, between grid points by a parabola."""
    best = np.clip(likelihood.argmax(axis=1), 1, likelihood.shape[1] - 2)
    rows = np.arange(len(likelihood))
    left, top, right = (likelihood[rows, best + k] for k in (-1, 0, 1))
    curvature = np.minimum(left - 2 * top + right, -1e-6)
    return grid[best] + np.clip(0.5 * (left - right) / curvature, -0.5, 0.5) * THRESHOLD_STEP_KEV


def at_thresholds(thresholds: Array, table: Array) -> Array:
    """Rows of a table over the threshold grid, linear between grid points."""
    position = np.clip((thresholds - THRESHOLD_GRID[0]) / THRESHOLD_STEP_KEV, 0, len(THRESHOLD_GRID) - 1.001)
    low = position.astype(int)
    part = (position - low).reshape(-1, *[1] * (table.ndim - 1))
    result: Array = table[low] * (1 - part) + table[low + 1] * part
    return result
