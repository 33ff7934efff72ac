"""Fluxes and positions of sources fitted in a sky image or mosaic, with its correlated noise.

A sky image is a matched-filter map: a source is a Gaussian as wide as the point-spread function, and the noise of
neighbouring pixels is correlated as wide. The fit is generalised least squares with that correlation, sources closer
than a few pixels together. It gives the flux its whole information, whatever has broadened the peak.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from integral_oda.arrays import Array
from integral_oda.imaging.resampling import PSF_SIGMA_PIXELS, Resampling

__all__ = ["FittedPeak", "ImageNoise", "PeakShape", "fit_peaks", "peak_image"]

_HALF_STAMP = 4
_JOINT_DISTANCE = 7.0
"""Sources closer than this, in pixels, are fitted together."""
_NUGGET = 0.05
"""Share of a pixel's variance taken as its own: without it the fit would believe its shape to the last per mille."""
_MOST_STEPS = 15
_LARGEST_STEP = 0.6
_FARTHEST = 2.5
"""A position that walks farther than this, in pixels, is not the source's."""
_DELTA_90 = 4.61
"""2 delta ln L of a 90 % region in two dimensions."""
_SECOND_ORDER = 5.0
"""Growth of a position's variance with 1 / significance**2, beyond what the curvature says; from drawn maps."""


@dataclass(frozen=True)
class PeakShape:
    """What a source and the noise look like in an image, lengths in pixels.

    Attributes
    ----------
    psf_sigma : float
        1 sigma of a source's Gaussian.
    peak : float
        Height of the Gaussian for a source of unit flux: below 1 by what our resampling takes from it.
    correlation : float
        1 sigma of the Gaussian correlation of the noise.
    share : float
        Variance of a pixel over the variance of the flux of a source.
    """

    psf_sigma: float = PSF_SIGMA_PIXELS
    peak: float = 1.0
    correlation: float = PSF_SIGMA_PIXELS
    share: float = 1.0

    def resampled(self, method: Resampling, share: float) -> Self:
        """The same after resampling; ``share`` is that of the new pixels."""
        wider = np.hypot(self.psf_sigma, np.sqrt(method.kernel_variance))
        correlation = float(np.sqrt(self.correlation**2 + 2 * method.kernel_variance))
        peak = self.peak * float(self.psf_sigma / wider) ** 2
        return replace(self, psf_sigma=float(wider), peak=peak, correlation=correlation, share=share)

    @classmethod
    def mean(cls, shapes: Sequence[PeakShape]) -> PeakShape:
        """Mean of the shapes of images that are summed."""
        names = ("psf_sigma", "peak", "correlation", "share")
        return cls(*(float(np.mean([getattr(shape, name) for shape in shapes])) for name in names))


@dataclass(frozen=True)
class ImageNoise:
    """Noise of a significance map where no source is.

    Attributes
    ----------
    mean, sigma : float
        Of the values; sigma is 1 for noise as the variance says.
    largest : float
        Largest value.
    level : float
        Variance that pixels far beyond the correlation length share: structure of the background, 0 for pure noise.
    pixels : int
        How many were looked at.
    """

    mean: float
    sigma: float
    largest: float
    level: float
    pixels: int

    @classmethod
    def of(cls, significance: Array, region: NDArray[np.bool_]) -> ImageNoise:
        """Measure it.

        Parameters
        ----------
        significance : ndarray
            ``(n_rows, n_columns)``.
        region : ndarray of bool
            Pixels to look at: observed, and away from sources.
        """
        values = significance[region]
        if not values.size:
            return cls(0.0, 1.0, 0.0, 0.0, 0)
        inside = region & (np.abs(significance) < 5)
        level = max(
            0.0, float(np.mean([_shared(significance, inside, lag, axis) for lag in (6, 8) for axis in (0, 1)]))
        )
        return cls(float(values.mean()), float(values.std()), float(values.max()), level, int(values.size))


def _shared(values: Array, inside: NDArray[np.bool_], lag: int, axis: int) -> float:
    """Mean product of pixels a lag apart."""
    ahead, behind = [slice(None)] * 2, [slice(None)] * 2
    ahead[axis], behind[axis] = slice(lag, None), slice(None, -lag)
    both = inside[tuple(ahead)] & inside[tuple(behind)]
    products = values[tuple(ahead)][both] * values[tuple(behind)][both]
    return float(products.mean()) if products.size else 0.0


@dataclass(frozen=True)
class FittedPeak:
    """A source in an image.

    Attributes
    ----------
    column, row : float
        Position, 0-based pixels.
    flux, flux_error : float
        counts/s, statistical 1 sigma; where the position was fitted, without the mean gain 1 / significance**2 that
        choosing the largest value brings.
    radius_90 : float
        90 % radius of the position, pixels, statistical; infinite where it was not fitted.
    """

    column: float
    row: float
    flux: float
    flux_error: float
    radius_90: float = float("inf")

    @property
    def significance(self) -> float:
        """Flux over its error."""
        return self.flux / self.flux_error


def peak_image(shape: tuple[int, int], peaks: Sequence[FittedPeak], form: PeakShape) -> Array:
    """Image of the sources alone, ``(n_rows, n_columns)`` counts/s."""
    image = np.zeros(shape)
    reach = int(np.ceil(5 * form.psf_sigma))
    for peak in peaks:
        i, j = round(peak.row), round(peak.column)
        rows = np.arange(max(0, i - reach), min(shape[0], i + reach + 1))
        columns = np.arange(max(0, j - reach), min(shape[1], j + reach + 1))
        along = np.exp(-((rows - peak.row) ** 2) / (2 * form.psf_sigma**2))
        across = np.exp(-((columns - peak.column) ** 2) / (2 * form.psf_sigma**2))
        image[np.ix_(rows, columns)] += peak.flux * form.peak * np.outer(along, across)
    return image


def fit_peaks(
    flux: Array, variance: Array, places: Array, free: NDArray[np.bool_], form: PeakShape, level: float = 0.0
) -> list[FittedPeak]:
    """Fit sources, those near each other together.

    Parameters
    ----------
    flux, variance : ndarray
        Planes of the image; pixels of no variance are left out.
    places : ndarray
        ``(n, 2)`` columns and rows to start from.
    free : ndarray of bool
        ``(n,)`` whether the position is fitted.
    form : PeakShape
    level : float
        Shared variance of the noise, see `ImageNoise`.

    Returns
    -------
    list of FittedPeak
        In the order of the places; a flux of 0 with an infinite error where the image has nothing.
    """
    found: dict[int, FittedPeak] = {}
    for group in _groups(places):
        found.update(zip(group, _fit_group(flux, variance, places[group], free[group], form, level), strict=True))
    return [found[k] for k in range(len(places))]


def _groups(places: Array) -> list[list[int]]:
    """Indices of places that are joined by gaps of less than the joint distance."""
    left, groups = set(range(len(places))), []
    while left:
        group, reached = [], [left.pop()]
        while reached:
            k = reached.pop()
            group.append(k)
            near = [m for m in left if np.hypot(*(places[m] - places[k])) < _JOINT_DISTANCE]
            left.difference_update(near)
            reached += near
        groups.append(sorted(group))
    return groups


def _fit_group(
    flux: Array, variance: Array, places: Array, free: NDArray[np.bool_], form: PeakShape, level: float
) -> list[FittedPeak]:
    rows, columns = _stamp(variance, places)
    if len(rows) < 3 * len(places):
        return [FittedPeak(float(x), float(y), 0.0, float("inf")) for x, y in places]
    spread = np.sqrt(variance[rows, columns].astype(float))
    whiten = np.linalg.inv(np.linalg.cholesky(_correlation(rows, columns, form, level)))
    data = whiten @ (flux[rows, columns] / spread)
    model = _Model(rows, columns, spread, whiten, form)
    at = _climb(model, data, places.astype(float), free)
    design = model.peaks(at)
    fluxes = np.linalg.lstsq(design, data)[0]
    jacobian = np.hstack([design, model.slopes(at, fluxes)[:, np.repeat(free, 2)]])
    covariance = np.linalg.pinv(jacobian.T @ jacobian, hermitian=True)
    return _described(at, fluxes, covariance, free)


def _stamp(variance: Array, places: Array) -> tuple[Array, Array]:
    """Observed pixels around the places, rows and columns."""
    near = np.zeros(variance.shape, dtype=bool)
    for x, y in places:
        i, j = round(float(y)), round(float(x))
        low_i, low_j = max(0, i - _HALF_STAMP), max(0, j - _HALF_STAMP)
        if i + _HALF_STAMP >= 0 and j + _HALF_STAMP >= 0:
            near[low_i : i + _HALF_STAMP + 1, low_j : j + _HALF_STAMP + 1] = True
    rows, columns = np.nonzero(near)
    seen = (variance[rows, columns] > 0) & np.isfinite(variance[rows, columns])
    return rows[seen], columns[seen]


def _correlation(rows: Array, columns: Array, form: PeakShape, level: float) -> Array:
    """Covariance of the pixels in units of the variances of their fluxes, ``(n, n)``."""
    squares = (rows[:, None] - rows) ** 2 + (columns[:, None] - columns) ** 2
    # What resampling leaves of a correlated field; a pixel's own variance may be more, by aliasing.
    smooth = min(form.share - _NUGGET, (PSF_SIGMA_PIXELS / form.correlation) ** 2 if form.peak < 1 else form.share)
    matrix = smooth * np.exp(-squares / (2 * form.correlation**2)) + level
    matrix[np.diag_indices(len(rows))] += form.share - smooth
    return matrix


@dataclass(frozen=True)
class _Model:
    """Whitened images of sources on the pixels of a stamp."""

    rows: Array
    columns: Array
    spread: Array
    whiten: Array
    form: PeakShape

    def peaks(self, at: Array) -> Array:
        """Of unit flux, ``(n_pixels, n)``."""
        return self.whiten @ self._peaks(at)

    def _peaks(self, at: Array) -> Array:
        squares = (self.columns[:, None] - at[:, 0]) ** 2 + (self.rows[:, None] - at[:, 1]) ** 2
        heights = self.form.peak * np.exp(-squares / (2 * self.form.psf_sigma**2))
        return heights / self.spread[:, None]

    def slopes(self, at: Array, fluxes: Array) -> Array:
        """Derivatives by columns and rows, ``(n_pixels, 2 n)``, a pair a source."""
        peaks = self._peaks(at) * fluxes / self.form.psf_sigma**2
        along = peaks * (self.columns[:, None] - at[:, 0]), peaks * (self.rows[:, None] - at[:, 1])
        pairs = np.stack(along, axis=2).reshape(len(self.rows), -1)
        return self.whiten @ pairs


def _climb(model: _Model, data: Array, start: Array, free: NDArray[np.bool_]) -> Array:
    """Positions of least chi-squared, fluxes fitted along."""
    at = start.copy()
    if not free.any():
        return at
    best = _chi_squared(model, data, at)
    for _ in range(_MOST_STEPS):
        step = _gauss_newton_step(model, data, at, free)
        while np.abs(step).max() > 1e-3:
            trial = start + np.clip(at + step - start, -_FARTHEST, _FARTHEST)
            chi_squared = _chi_squared(model, data, trial)
            if chi_squared < best:
                at, best = trial, chi_squared
                break
            step = step / 3
        else:
            break
    return at


def _gauss_newton_step(model: _Model, data: Array, at: Array, free: NDArray[np.bool_]) -> Array:
    design = model.peaks(at)
    fluxes = np.linalg.lstsq(design, data)[0]
    slopes = model.slopes(at, fluxes)[:, np.repeat(free, 2)]
    moves = np.linalg.lstsq(np.hstack([design, slopes]), data - design @ fluxes)[0][len(at) :]
    step = np.zeros_like(at)
    step[free] = moves.reshape(-1, 2)
    limited: Array = np.clip(step, -_LARGEST_STEP, _LARGEST_STEP)
    return limited


def _chi_squared(model: _Model, data: Array, at: Array) -> float:
    design = model.peaks(at)
    left = data - design @ np.linalg.lstsq(design, data)[0]
    return float(left @ left)


def _described(at: Array, fluxes: Array, covariance: Array, free: NDArray[np.bool_]) -> list[FittedPeak]:
    errors = np.sqrt(np.diag(covariance))
    peaks, place = [], len(fluxes)
    for k, flux in enumerate(fluxes):
        radius, gain = float("inf"), 0.0
        if free[k]:
            gain = min(1.0, float(errors[k] / flux) ** 2)
            area = float(np.linalg.det(covariance[place : place + 2, place : place + 2]))
            radius = float(np.sqrt(_DELTA_90 * (1 + _SECOND_ORDER * gain)) * max(area, 0.0) ** 0.25)
            place += 2
        peaks.append(FittedPeak(float(at[k, 0]), float(at[k, 1]), float(flux) * (1 - gain), float(errors[k]), radius))
    return peaks
