"""Light curves: all sources and the background fitted together in every bin by one linear estimator.

The weights come from the model, not from the counts of a bin, so that the estimate is the same linear
function of the events in every bin: unbiased at any number of counts, negative where it must be, and a
plain sum of one weight an event.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from integral_oda.arrays import Array, IntArray
from integral_oda.timing.intervals import Moments, estimator_intervals

__all__ = ["BinnedRates", "Estimator", "PartialPlane", "fit_bins"]


SMOOTHED_COUNTS = 2000.0
"""The background level that errors are made with is a mean over neighbouring bins with so many counts together."""
_BELIEVED_SIGMAS = 4.0
_WHOLE, _LEAST_PLANE, _WORST_CONDITION = 0.999, 0.1, 1e6


@dataclass(frozen=True)
class Estimator:
    """Weights of an event for the rate of every source and of the background.

    Attributes
    ----------
    shadows : ndarray
        ``(n_pixels, n_sources)`` counts per live second at unit flux.
    background : ndarray
        ``(n_pixels,)`` mean background, counts per live second.
    fluxes : ndarray
        ``(n_sources,)`` mean fluxes, counts/s.
    weights : ndarray
        ``(n_pixels, n_sources + 1)``: rate = sum of the weights of the events / live time.
    """

    shadows: Array
    background: Array
    fluxes: Array
    weights: Array

    @classmethod
    def from_model(cls, shadows: Array, background: Array, fluxes: Array, nuisance: Array | None = None) -> Estimator:
        """Weighted least squares with the variance of the mean model.

        Parameters
        ----------
        shadows, background : ndarray
            As the attributes.
        fluxes : ndarray
            ``(n_sources,)`` mean fluxes, counts/s.
        nuisance : ndarray, optional
            ``(n_pixels, n)`` patterns that no rate may answer to, such as the derivatives of a bright source's shadow
            to its position.
        """
        background = np.maximum(background, 1e-3 * background.mean())
        design = np.column_stack([shadows, background])
        variance = background + shadows @ np.clip(fluxes, 0.0, None)
        if nuisance is not None and nuisance.shape[1]:
            scale = background.mean() / np.maximum(np.abs(nuisance).mean(axis=0), 1e-30)
            design = np.column_stack([design, nuisance * scale])
        weighted = design / variance[:, None]
        weights = weighted @ np.linalg.inv(design.T @ weighted)
        return cls(shadows, background, np.asarray(fluxes, dtype=float), weights[:, : shadows.shape[1] + 1])

    @property
    def columns(self) -> Array:
        """Counts per live second of a unit of every source and of the background, ``(n_pixels, n_sources + 1)``."""
        return np.column_stack([self.shadows, self.background])

    def moments(self) -> Moments:
        """Cumulants that a unit of each column gives the rate of each."""
        columns = self.columns
        return Moments(*((columns.T @ self.weights**power) for power in (2, 3, 4)))

    @property
    def mean_variance(self) -> Array:
        """Variance of every rate in one live second of the mean model, ``(n_sources + 1,)``."""
        mean = np.append(np.clip(self.fluxes, 0.0, None), 1.0)
        return mean @ self.moments().second


@dataclass(frozen=True)
class BinnedRates:
    """Rates of every source in every bin.

    Attributes
    ----------
    rate, error : ndarray
        ``(n_bins, n_sources)`` counts/s and 1 sigma.
    low, high : ndarray
        ``(2, n_bins, n_sources)`` ends of the intervals of 68.3 and 95.0 %.
    background, background_error : ndarray
        ``(n_bins,)`` relative to the mean background.
    counts : ndarray
        ``(n_bins,)`` events.
    """

    rate: Array
    error: Array
    low: Array
    high: Array
    background: Array
    background_error: Array
    counts: Array


@dataclass(frozen=True)
class PartialPlane:
    """Modules that are off for some of the time.

    Attributes
    ----------
    module : ndarray
        ``(n_pixels,)`` of the estimator's pixels.
    on : ndarray
        ``(n_modules, n_bins)`` share of each bin's good time that each module is on.
    """

    module: IntArray
    on: Array

    def corrected(self, estimator: Estimator, rates: Array) -> tuple[Array, Array]:
        """Rates that the modules which were on give, ``(n_bins, n_columns)``, and their share of the information.

        The weighted sums of a module answer to all rates by a matrix of its own; of all modules they add up to one.
        Bins that less than a tenth of the plane saw have no rate.
        """
        rates, share = rates.copy(), np.ones(self.on.shape[1])
        columns, weights = estimator.columns, estimator.weights
        numbers = range(len(self.on))
        answers = np.stack([weights[self.module == m].T @ columns[self.module == m] for m in numbers])
        for number in np.flatnonzero((self.on < _WHOLE).any(axis=0)):
            matrix = np.tensordot(self.on[:, number], answers, axes=1)
            share[number] = float(np.mean(self.on[:, number]))
            seen = share[number] > _LEAST_PLANE and np.linalg.cond(matrix) < _WORST_CONDITION
            rates[number] = np.linalg.solve(matrix, rates[number]) if seen else np.nan
        return rates, share


def fit_bins(
    estimator: Estimator,
    bin_of_event: IntArray,
    pixel_of_event: IntArray,
    live_time_s: Array,
    relative_live_time: Array | None = None,
    wanted: Sequence[int] | None = None,
    partial: PartialPlane | None = None,
) -> BinnedRates:
    """Apply an estimator to the events of every bin.

    Parameters
    ----------
    estimator : Estimator
    bin_of_event, pixel_of_event : ndarray
        ``(n_events,)`` index of the bin, and of the pixel in the estimator.
    live_time_s : ndarray
        ``(n_bins,)``; NaN rates where it is 0.
    relative_live_time : ndarray, optional
        ``(n_events,)`` live time of the event's module in its bin over ``live_time_s``; 1 unless given.
    wanted : sequence of int, optional
        Sources that the result is about, in this order; all unless given.
    partial : PartialPlane, optional
        Which modules were on in which bins, where not all of them were.

    Returns
    -------
    BinnedRates
        Errors and intervals are those of the estimator for Poisson counts of the bin's own model: background of the
        bins around it, each source at its rate where that departs from the mean and at the mean where it does not.
    """
    n_bins = len(live_time_s)
    sums = _sums(estimator.weights, bin_of_event, pixel_of_event, n_bins, relative_live_time)
    live = np.where(live_time_s > 0, live_time_s, np.nan)
    rates = sums / live[:, None]
    if partial is not None:
        rates, share = partial.corrected(estimator, rates)
        live = live * share
    counts = np.bincount(bin_of_event, minlength=n_bins).astype(float)
    moments = estimator.moments()
    level = _local_level(rates[:, -1], counts, live_time_s)
    assumed = _believed(rates, estimator, moments, level, live)
    asked = list(range(len(estimator.fluxes)) if wanted is None else wanted)
    errors = np.sqrt(assumed @ moments.second[:, [*asked, -1]] / live[:, None])
    low, high = estimator_intervals(rates[:, asked], asked, assumed, moments, live)
    return BinnedRates(rates[:, asked], errors[:, :-1], low, high, rates[:, -1], errors[:, -1], counts)


def _sums(
    weights: Array,
    bin_of_event: IntArray,
    pixel_of_event: IntArray,
    n_bins: int,
    relative_live_time: Array | None,
) -> Array:
    """Sums of the weights in every bin, ``(n_bins, n_columns)``."""
    sums = np.empty((n_bins, weights.shape[1]))
    for column, weight in enumerate(np.ascontiguousarray(weights.T)):
        given = weight[pixel_of_event]
        if relative_live_time is not None:
            given /= relative_live_time
        sums[:, column] = np.bincount(bin_of_event, given, n_bins)
    return sums


def _local_level(background: Array, counts: Array, live_time_s: Array) -> Array:
    """Background of the bins around each one, relative to the mean; at least a tenth of it."""
    from scipy.ndimage import uniform_filter1d

    seen = live_time_s > 0
    width = round(SMOOTHED_COUNTS / max(float(counts[seen].mean()) if seen.any() else 1.0, 1e-3))
    width = int(np.clip(width, 1, max(len(counts), 1)))
    share = uniform_filter1d(np.where(seen, live_time_s, 0.0), width, mode="nearest")
    total = uniform_filter1d(np.where(seen, background * live_time_s, 0.0), width, mode="nearest")
    return np.maximum(np.divide(total, share, out=np.ones_like(total), where=share > 0), 0.1)


def _believed(rates: Array, estimator: Estimator, moments: Moments, level: Array, live: Array) -> Array:
    """Rates that a bin's noise is made with, ``(n_bins, n_sources + 1)``: the mean, or the bin's own where it departs.

    The bin's own rate alone would give a downward fluctuation the smaller error.
    """
    mean = np.clip(estimator.fluxes, 0.0, None)
    n_sources = len(mean)
    plain = np.column_stack([np.broadcast_to(mean, (len(level), n_sources)), level])
    excess = np.clip(np.nan_to_num(rates[:, :-1]) - mean, -mean, None)
    with np.errstate(invalid="ignore"):
        squared = excess**2 * live[:, None] / np.maximum((plain @ moments.second)[:, :-1], 1e-300)
    believed = mean + excess * np.nan_to_num(squared**2 / (squared**2 + _BELIEVED_SIGMAS**4))
    return np.column_stack([believed, level])
