"""Values of a sky image between its pixels, and what taking them does to noise and to sources.

A sky image is a matched-filter map: its variance is that of the flux of a source at the pixel, and its noise is
correlated as wide as the point-spread function. Taking values between pixels may lower the noise of a pixel and
broaden a source; both follow from the kernel and are carried along.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from integral_oda.arrays import Array

if TYPE_CHECKING:
    from integral_oda.imaging.neighbours import NeighbourCorrelation

__all__ = ["PSF_SIGMA_PIXELS", "Resampled", "Resampler", "Resampling", "without_ripples"]

PSF_SIGMA_PIXELS = 1.18
"""Width of the core of the point-spread function, 1 sigma of a Gaussian; the noise is correlated as wide."""
_RIPPLE_SIGMA_PIXELS = 3.0
"""Leaves a ninth of ripples 9 pixels long, as those of real mosaics are."""
_PAD = 3
_SUB_PIXEL_CENTRES = [(row, column) for row in (-0.25, 0.25) for column in (-0.25, 0.25)]


class Resampling(StrEnum):
    """How values between pixels are taken."""

    NEAREST = "nearest"
    """The nearest pixel: noise as it is, sources broadened by a pixel's width."""
    SPLIT = "split"
    """The mean over the nearest pixels of 2 x 2 sub-pixels, as varmosaic takes it."""
    CUBIC = "cubic"
    """Cubic spline: noise and sources as they are, to a percent."""
    SPREAD = "spread"
    """Pixels shared out over four neighbours by overlap, as OSA's PixSpread: noise and peaks lower."""

    @property
    def kernel_variance(self) -> float:
        """Square of the kernel's width along one axis, in pixels, mean over all places between pixels.

        The spline's is that of the Gaussian that leaves as much of a fitted source, from sources at 1500 places.
        """
        return {"nearest": 1 / 12, "split": 1 / 12 + 1 / 16, "cubic": 0.0107, "spread": 1 / 6}[self.value]


@dataclass(frozen=True)
class Resampled:
    """Values of an image at some places.

    Attributes
    ----------
    score : ndarray
        Flux over its error, float32: its noise is the same everywhere, however steep the variance, and so it, not the
        flux, is what can be taken between pixels.
    root_weight : ndarray
        1 / error of the flux of a source, s/counts; 0 where the image has nothing.
    exposure : ndarray
        s.
    share : ndarray or float
        Variance of the value over the variance of the flux of a source.
    """

    score: Array
    root_weight: Array
    exposure: Array
    share: Array | float


class Resampler:
    """An image made ready to give its values at any place.

    Parameters
    ----------
    flux, variance, exposure : ndarray
        Array of the image, ``(n_rows, n_columns)``; pixels without a positive variance or a finite flux are left out.
    method : Resampling
    correlation_pixels : float
        1 sigma of the Gaussian correlation of the noise.
    pixel_share : float
        Variance of a pixel of the image over its variance plane; 1 unless it was resampled before.
    neighbours : NeighbourCorrelation, optional
        Correlation of each pixel with its neighbours, in place of the Gaussian one, where pixels are spread.
    """

    def __init__(
        self,
        flux: Array,
        variance: Array,
        exposure: Array,
        method: Resampling = Resampling.CUBIC,
        correlation_pixels: float = PSF_SIGMA_PIXELS,
        pixel_share: float = 1.0,
        neighbours: NeighbourCorrelation | None = None,
    ) -> None:
        self.shape = (flux.shape[0], flux.shape[1])
        self.method, self._pixel_share = method, pixel_share
        self._neighbours = float(np.exp(-0.5 / correlation_pixels**2))
        self._tables = [] if neighbours is None else self._padded_tables(neighbours)
        used = (variance > 0) & np.isfinite(flux) & np.isfinite(variance)
        root_weight = np.zeros(self.shape, np.float32)
        np.divide(1, variance, out=root_weight, where=used, casting="same_kind")
        np.sqrt(root_weight, out=root_weight)
        values = np.where(used, flux, np.float32(0)).astype(np.float32, copy=False)
        values *= root_weight
        if method is Resampling.CUBIC:
            from scipy.ndimage import spline_filter

            values = spline_filter(values, 3, output=np.float32, mode="mirror")
        self._stride = self.shape[1] + 2 * _PAD
        # Single precision holds whole numbers up to 2**24.
        self._whole = np.float32 if (self.shape[0] + 2 * _PAD) * self._stride < 2**24 else np.float64
        self._values = np.pad(values, _PAD, mode="reflect" if min(self.shape) > _PAD else "edge").ravel()
        self._root_weight = self._within_zeros(root_weight)
        self._exposure = self._within_zeros(np.where(used & np.isfinite(exposure), exposure, np.float32(0)))

    def _within_zeros(self, plane: Array) -> Array:
        """The plane with a margin of zeros, flat."""
        padded = np.zeros((self.shape[0] + 2 * _PAD, self._stride), np.float32)
        padded[_PAD:-_PAD, _PAD:-_PAD] = plane
        return padded.ravel()

    def _padded_tables(self, neighbours: NeighbourCorrelation) -> list[Array]:
        """Correlations along a side and over a corner, flat like the values; Gaussian where they are not known."""
        gaussian = (self._neighbours, self._neighbours**2)
        return [
            np.pad(np.nan_to_num(plane, nan=value), _PAD, constant_values=value).astype(np.float32).ravel()
            for plane, value in zip((neighbours.side, neighbours.corner), gaussian, strict=True)
        ]

    def at(self, column: Array, row: Array) -> Resampled:
        """Values at columns and rows (0-based, fractional; NaN for nowhere), arrays of one shape."""
        rows, columns = self.shape
        x, y = _within(column, columns), _within(row, rows)
        if self.method is Resampling.SPLIT:
            return self._split(x, y)
        nearest = self._index(np.rint(y), np.rint(x))
        root_weight, exposure = self._root_weight.take(nearest), self._exposure.take(nearest)
        if self.method is Resampling.NEAREST:
            return Resampled(self._values.take(nearest), root_weight, exposure, self._pixel_share)
        if self.method is Resampling.SPREAD:
            score, share = self._spread(x, y)
            return Resampled(score, root_weight, exposure, share)
        return Resampled(self._spline(x, y), root_weight, exposure, self._pixel_share)

    def _index(self, row: Array, column: Array) -> NDArray[np.intp]:
        """Place of whole rows and columns in the padded planes."""
        flat: Array = row.astype(self._whole)
        flat *= self._stride
        flat += column
        flat += _PAD * (self._stride + 1)
        return flat.astype(np.intp)

    def _spline(self, x: Array, y: Array) -> Array:
        below, left = np.floor(y), np.floor(x)
        across, along = _spline_weights(x - left), _spline_weights(y - below)
        first = self._index(below - 1, left - 1)
        score = np.zeros_like(x)
        for i, weight in enumerate(along):
            lines = self._values[i * self._stride :]
            line = lines.take(first)
            line *= across[0]
            for j in range(1, 4):
                term = lines[j:].take(first)
                term *= across[j]
                line += term
            line *= weight
            score += line
        return score

    def _spread(self, x: Array, y: Array) -> tuple[Array, Array]:
        below, left = np.floor(y), np.floor(x)
        s, t = x - left, y - below
        first = self._index(below, left)
        values = [self._values[step:].take(first) for step in (0, 1, self._stride, self._stride + 1)]
        score = (values[0] * (1 - s) + values[1] * s) * (1 - t) + (values[2] * (1 - s) + values[3] * s) * t
        if self._tables:
            side, corner = (table.take(self._index(np.rint(y), np.rint(x))) for table in self._tables)
            return score, (self._pixel_share * _mean_of_four(s, t, side, corner)).astype(np.float32)
        share = self._pixel_share * self._mean_of_two(s) * self._mean_of_two(t)
        return score, share.astype(np.float32)

    def _mean_of_two(self, part: Array) -> Array:
        """Variance of the mean of two neighbours, ``part`` of it the second, in units of that of one."""
        return 1 - 2 * part * (1 - part) * np.float32(1 - self._neighbours)

    def _split(self, x: Array, y: Array) -> Resampled:
        parts = [self._index(np.rint(y + dy), np.rint(x + dx)) for dy, dx in _SUB_PIXEL_CENTRES]
        roots = [self._root_weight.take(part) for part in parts]
        seen = np.maximum(sum(root > 0 for root in roots), 1).astype(np.float32)
        score = sum(self._values.take(p) * (r > 0) for p, r in zip(parts, roots, strict=True)) / seen
        exposure = np.mean([self._exposure.take(part) for part in parts], axis=0)
        # Two sub-pixels of one line lie in one pixel half of the time.
        share = self._pixel_share * ((3 + self._neighbours) / 4) ** 2
        return Resampled(score, sum(roots) / seen, exposure, share)


def _mean_of_four(across: Array, along: Array, side: Array, corner: Array) -> Array:
    """Variance of the mean of four pixels by overlap, in units of that of one.

    Parameters
    ----------
    across, along : ndarray
        Part of the second column and row.
    side, corner : ndarray
        Correlation of neighbours along a side and over a corner.
    """
    x, y = across * (1 - across), along * (1 - along)
    return (1 - 2 * x) * (1 - 2 * y) + 2 * side * (x * (1 - 2 * y) + y * (1 - 2 * x)) + 4 * corner * x * y


def without_ripples(variance: Array) -> Array:
    """Variance of a mosaic whose pixels were spread, without what its grid has added.

    Where a pixel of a window is shared out evenly over four, the sum of the squared shares times its variance is a
    quarter of the whole, though the noise, correlated as wide as the point-spread function, hardly falls. So the
    variance of OSA's mosaics with pixel spread has ripples of 5 to 9 % (rms) where the grids of windows and mosaic
    beat; the noise of three real ones is the same to 6 % on ridges and in valleys 19 to 37 % apart. As weights they
    would make the mean of two mosaics depend on their grids.

    Parameters
    ----------
    variance : ndarray
        ``(n_rows, n_columns)``; 0 or NaN where nothing was observed.

    Returns
    -------
    ndarray
        Its inverse smoothed over the observed pixels, float32; 0 where nothing was observed.
    """
    seen = (variance > 0) & np.isfinite(variance)
    weight = np.divide(1.0, variance, out=np.zeros(variance.shape), where=seen)
    from scipy.ndimage import gaussian_filter

    around = gaussian_filter(seen.astype(float), _RIPPLE_SIGMA_PIXELS, mode="constant")
    level = gaussian_filter(weight, _RIPPLE_SIGMA_PIXELS, mode="constant")
    return np.divide(around, level, out=np.zeros(variance.shape), where=seen).astype(np.float32)


def _within(place: Array, size: int) -> Array:
    """Places from -1 to ``size``, beyond which an image has nothing; NaN is nowhere too."""
    inside = np.clip(np.asarray(place, np.float32), -1, size)
    return np.nan_to_num(inside, nan=-1.0) if inside.size and np.isnan(inside.min()) else inside


def _spline_weights(part: Array) -> list[Array]:
    """Cubic B-spline weights of four neighbours, ``part`` from the second to the third."""
    square = part * part
    cube = square * part
    last = cube / np.float32(6)
    second = np.float32(2 / 3) - square + cube / np.float32(2)
    first = last + np.float32(1 / 6) + (square - part) / np.float32(2) - cube / np.float32(3)
    return [first, second, 1 - first - second - last, last]
