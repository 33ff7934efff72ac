"""Sources searched in mosaics: what stands out of the noise once the known sources are taken away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter

from integral_oda.arrays import Array
from integral_oda.imaging.mosaic_fit import FittedPeak, ImageNoise, PeakShape, fit_peaks, peak_image

__all__ = ["RejectedPeak", "SearchedMap", "combined_map"]

_SEARCHED_VARIANCE = 50.0
"""New sources are looked for, and the noise is measured, where the variance is below this many times the least."""
_MASKED_RADIUS = 5.0
_PEAK_LOSS = 0.8
"""A source between pixel centres shows at least this share of its significance in a pixel."""
_SHAPE_ERROR = 0.05
"""Share of a bright source's peak that its shape may leave around it."""
_MOST_ROUNDS = 20
_MOST_A_ROUND = 20


@dataclass(frozen=True)
class RejectedPeak:
    """An excess above the threshold that is no source.

    Attributes
    ----------
    peak : FittedPeak
    noise : float
        Noise of the map, in units of the statistical one.
    beside : int or None
        Which of the known sources may have left it; None if the map's noise makes as much.
    """

    peak: FittedPeak
    noise: float
    beside: int | None


@dataclass(frozen=True)
class SearchedMap:
    """An image with what is known of its noise.

    Attributes
    ----------
    flux, variance : ndarray
        ``(n_rows, n_columns)``; NaN and 0 where nothing was observed.
    form : PeakShape
    """

    flux: Array
    variance: Array
    form: PeakShape

    @property
    def region(self) -> NDArray[np.bool_]:
        """Pixels observed well enough for new sources."""
        seen = (self.variance > 0) & np.isfinite(self.flux)
        return seen & (self.variance < _SEARCHED_VARIANCE * np.min(self.variance, where=seen, initial=np.inf))

    def significance(self, flux: Array | None = None) -> Array:
        """A flux (this map's) over the root of the pixels' variance; 0 where nothing was observed."""
        seen = (self.variance > 0) & np.isfinite(self.flux)
        root = np.sqrt(np.where(seen, self.variance * self.form.share, 1.0))
        values: Array = np.where(seen, (self.flux if flux is None else flux) / root, 0.0)
        return values

    def noise(self, places: Array) -> ImageNoise:
        """Noise away from sources at places ``(n, 2)``, columns and rows."""
        clear = self.region
        for x, y in places:
            if np.isfinite(x) and np.isfinite(y):
                _clear_disc(clear, float(x), float(y))
        return ImageNoise.of(self.significance(), clear)

    def fit(self, places: Array, free: NDArray[np.bool_], level: float = 0.0) -> list[FittedPeak]:
        """Sources at places ``(n, 2)``, see `fit_peaks`."""
        return fit_peaks(self.flux, self.variance, places, free, self.form, level)

    def new_sources(self, known: Array, threshold: float) -> list[FittedPeak]:
        """Sources that stand out of what the known ones leave.

        Parameters
        ----------
        known : ndarray
            ``(n, 2)`` columns and rows of the known sources.
        threshold : float
            Significance needed, in units of the noise of the map itself where that is above 1.
        """
        found: list[FittedPeak] = []
        for _ in range(_MOST_ROUNDS):
            places = np.array([*known, *((p.column, p.row) for p in found)]).reshape(-1, 2)
            noise = self.noise(places)
            accepted = self._next(places, threshold, max(1.0, noise.sigma), noise.level)
            if not accepted:
                break
            found += accepted
        return found

    def _next(self, places: Array, threshold: float, sigma: float, level: float) -> list[FittedPeak]:
        """Sources that the strongest peaks of the residual are, in one round."""
        residual, doubt = self._residual(places, level)
        noise = np.hypot(sigma, doubt)
        height = np.where(self.region, self.significance(residual) / noise, 0.0)
        fitted = self._fitted(residual, height, threshold, level)
        return [peak for place, peak in fitted if peak.significance >= threshold * noise[place]]

    def _residual(self, places: Array, level: float) -> tuple[Array, Array]:
        """What sources at some places leave, and what of it their shape may be, over the statistical error."""
        model = peak_image(self.flux.shape, self.fit(places, np.zeros(len(places), bool), level), self.form)
        return self.flux - model, _SHAPE_ERROR * maximum_filter(np.abs(self.significance(model)), 9)

    def _fitted(
        self, residual: Array, height: Array, threshold: float, level: float
    ) -> list[tuple[tuple[int, int], FittedPeak]]:
        """Rows and columns of peaks that may reach the threshold, and sources fitted there."""
        fitted = []
        for row, column in _peaks(height, _PEAK_LOSS * threshold):
            start = np.array([[column, row]], dtype=float)
            (peak,) = fit_peaks(residual, self.variance, start, np.ones(1, bool), self.form, level)
            if np.isfinite(peak.flux_error):
                fitted.append(((row, column), peak))
        return fitted

    def rejected(self, known: Array, threshold: float) -> list[RejectedPeak]:
        """Excesses above the threshold by their statistical error alone that are not sources, the strongest first.

        Parameters
        ----------
        known : ndarray
            ``(n, 2)`` columns and rows of all sources, new ones too.
        threshold : float
        """
        if not (self.significance()[self.region] >= _PEAK_LOSS * threshold).any():
            return []
        noise = self.noise(known)
        sigma = max(1.0, noise.sigma)
        residual, doubt = self._residual(known, noise.level)
        height = np.where(self.region, self.significance(residual), 0.0)
        found = []
        for place, peak in self._fitted(residual, height, threshold, noise.level):
            if threshold <= peak.significance < threshold * np.hypot(sigma, doubt[place]):
                left_over = peak.significance >= threshold * sigma
                found.append(RejectedPeak(peak, sigma, _nearest(known, peak) if left_over else None))
        return sorted(found, key=lambda rejected: -rejected.peak.significance)


def _nearest(places: Array, peak: FittedPeak) -> int:
    return int(np.argmin(np.hypot(places[:, 0] - peak.column, places[:, 1] - peak.row)))


def _clear_disc(mask: NDArray[np.bool_], column: float, row: float) -> None:
    reach = int(_MASKED_RADIUS) + 1
    i, j = round(row), round(column)
    rows = np.arange(max(0, i - reach), min(mask.shape[0], i + reach + 1))
    columns = np.arange(max(0, j - reach), min(mask.shape[1], j + reach + 1))
    if rows.size and columns.size:
        mask[np.ix_(rows, columns)] &= np.hypot(rows[:, None] - row, columns - column) > _MASKED_RADIUS


def _peaks(height: Array, lowest: float) -> list[tuple[int, int]]:
    """Pixels that are the largest of their 9 x 9 neighbours and above a limit, the strongest first."""
    rows, columns = np.nonzero((height == maximum_filter(height, 9)) & (height >= lowest))
    order = np.argsort(-height[rows, columns])[:_MOST_A_ROUND]
    return [(int(rows[k]), int(columns[k])) for k in order]


def combined_map(maps: Sequence[SearchedMap], spectrum: Sequence[float]) -> SearchedMap:
    """One map of several bands: the amplitude of a source whose rates in the bands are those of a spectrum.

    Parameters
    ----------
    maps : sequence of SearchedMap
        One a band, on one grid; the bands do not overlap.
    spectrum : sequence of float
        Rate in each band for an amplitude of 1.
    """
    weighted, weight = np.zeros(maps[0].flux.shape), np.zeros(maps[0].flux.shape)
    for one, rate in zip(maps, spectrum, strict=True):
        seen = (one.variance > 0) & np.isfinite(one.flux)
        inverse = np.where(seen, rate / np.where(seen, one.variance, 1.0), 0.0)
        weighted += np.where(seen, one.flux, 0.0) * inverse
        weight += rate * inverse
    with np.errstate(divide="ignore", invalid="ignore"):
        flux, variance = np.where(weight > 0, weighted / weight, np.nan), np.where(weight > 0, 1 / weight, 0.0)
    return SearchedMap(flux, variance, PeakShape.mean([one.form for one in maps]))
