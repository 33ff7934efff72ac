"""Light curves: all sources and the background fitted together in every bin by one linear estimator.

The weights come from the model, not from the counts of a bin, so that the estimate is the same linear
function of the events in every bin: unbiased at any number of counts, negative where it must be, and a
plain sum of one weight an event.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from integral_oda.arrays import Array

__all__ = ["BinnedRates", "Estimator", "fit_bins", "fixed_edges", "good_time_per_bin"]


DAY_S = 86400.0


@dataclass(frozen=True)
class Estimator:
    """Weights of an event for the rate of every source and of the background.

    Attributes
    ----------
    shadows : ndarray
        ``(n_pixels, n_sources)`` counts per live second at unit flux.
    background : ndarray
        ``(n_pixels,)`` mean background, counts per live second.
    weights : ndarray
        ``(n_pixels, n_sources + 1)``: rate = sum of the weights of the events / live time.
    """

    shadows: Array
    background: Array
    weights: Array

    @classmethod
    def from_model(cls, shadows: Array, background: Array, fluxes: Array) -> Estimator:
        """Weighted least squares with the variance of the mean model.

        Parameters
        ----------
        shadows, background : ndarray
            As the attributes.
        fluxes : ndarray
            ``(n_sources,)`` mean fluxes, counts/s.
        """
        background = np.maximum(background, 1e-3 * background.mean())
        design = np.column_stack([shadows, background])
        variance = background + shadows @ np.clip(fluxes, 0.0, None)
        weighted = design / variance[:, None]
        weights = weighted @ np.linalg.inv(design.T @ weighted)
        return cls(shadows, background, weights)


@dataclass(frozen=True)
class BinnedRates:
    """Rates of every source in every bin.

    Attributes
    ----------
    rate, error : ndarray
        ``(n_bins, n_sources)`` counts/s and 1 sigma.
    background, background_error : ndarray
        ``(n_bins,)`` relative to the mean background.
    counts : ndarray
        ``(n_bins,)`` events.
    """

    rate: Array
    error: Array
    background: Array
    background_error: Array
    counts: Array


def fixed_edges(start_ijd: float, stop_ijd: float, width_s: float) -> Array:
    """Edges of equal bins from ``start_ijd``; the last one ends at ``stop_ijd``; ``(n + 1,)`` IJD."""
    length_s = (stop_ijd - start_ijd) * DAY_S
    n_bins = max(int(np.ceil(length_s / width_s - 1e-9)), 1)
    edges = start_ijd + np.arange(n_bins + 1) * (width_s / DAY_S)
    edges[-1] = stop_ijd
    return edges


def good_time_per_bin(edges_ijd: Array, intervals_ijd: Array) -> Array:
    """Good time inside every bin, s; edges and intervals are in order."""
    starts, stops = intervals_ijd[:, 0], intervals_ijd[:, 1]
    before = np.concatenate([[0.0], np.cumsum(stops - starts)])
    number = np.searchsorted(starts, edges_ijd, side="right")
    open_start = starts[np.maximum(number - 1, 0)]
    elapsed = np.where(number > 0, np.minimum(edges_ijd, stops[np.maximum(number - 1, 0)]) - open_start, 0.0)
    good = before[np.maximum(number - 1, 0)] + elapsed
    return np.diff(good) * DAY_S


def fit_bins(estimator: Estimator, bin_of_event: NDArray[np.int64], pixel_of_event: NDArray[np.int64],
             live_time_s: Array) -> BinnedRates:  # fmt: skip
    """Apply an estimator to the events of every bin.

    Parameters
    ----------
    estimator : Estimator
    bin_of_event, pixel_of_event : ndarray
        ``(n_events,)`` index of the bin, and of the pixel in the estimator.
    live_time_s : ndarray
        ``(n_bins,)``; NaN rates where it is 0.

    Returns
    -------
    BinnedRates
        Errors are those of the estimator for the bin's own fitted rates, negative ones taken as 0.
    """
    n_bins = len(live_time_s)
    sums = np.stack([np.bincount(bin_of_event, w[pixel_of_event], n_bins) for w in estimator.weights.T], axis=1)
    live = np.where(live_time_s > 0, live_time_s, np.nan)[:, None]
    rates = sums / live
    squared = estimator.weights**2
    columns = np.column_stack([estimator.shadows, estimator.background])
    per_second = np.clip(np.nan_to_num(rates), 0.0, None) @ (columns.T @ squared)
    least = 0.1 * estimator.background @ squared
    errors = np.sqrt(np.maximum(per_second, least) / live)
    counts = np.bincount(bin_of_event, minlength=n_bins).astype(float)
    return BinnedRates(rates[:, :-1], errors[:, :-1], rates[:, -1], errors[:, -1], counts)
