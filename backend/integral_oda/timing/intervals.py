"""Confidence intervals of rates from few counts.

Two ways, both without a Gaussian assumption. The linear estimator's distribution follows from the
Poisson counts of the pixels: its cumulants are sums of powers of the weights, and a Neyman interval is
where its quantiles (Cornish & Fisher 1938) meet what was measured. Where a bin holds only a handful
of events the quantile expansion ends, and the profile of the Poisson likelihood takes over.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from integral_oda.arrays import Array, IntArray

__all__ = ["FEW_COUNTS", "LEVELS", "Moments", "estimator_intervals", "poisson_intervals"]

LEVELS = (1.0, 1.959964)
"""Half-widths of the intervals in Gaussian sigmas: 68.3 and 95.0 %."""
FEW_COUNTS = 10.0
"""Events a bin below which the intervals are those of the Poisson likelihood."""
_ROUNDS = 10


@dataclass(frozen=True)
class Moments:
    """Cumulants per live second that a unit of each column adds to the rate of each; ``(n_columns, n_columns)``."""

    second: Array
    third: Array
    fourth: Array


def estimator_intervals(
    rates: Array, sources: Sequence[int], assumed: Array, moments: Moments, live_s: Array
) -> tuple[Array, Array]:
    """Neyman intervals of the rates of a linear estimator.

    Parameters
    ----------
    rates : ndarray
        ``(n_bins, n)`` of some sources as estimated.
    sources : sequence of int
        Their columns in what follows.
    assumed : ndarray
        ``(n_bins, n_sources + 1)`` rates of the sources and the relative background that the noise is made with.
    moments : Moments
    live_s : ndarray
        ``(n_bins,)`` live time, NaN for none.

    Returns
    -------
    low, high : ndarray
        ``(2, n_bins, n)`` for the two `LEVELS`; a rate is in its interval when the estimate lies between the
        quantiles of the distribution it gives.
    """
    shape = (len(LEVELS), *rates.shape)
    low, high = np.empty(shape), np.empty(shape)
    for place, source in enumerate(sources):
        others = np.delete(assumed, source, axis=1)
        bases = [np.delete(m, source, axis=0)[:, source] for m in (moments.second, moments.third, moments.fourth)]
        fixed = [others @ base for base in bases]
        own = [m[source, source] for m in (moments.second, moments.third, moments.fourth)]
        for level, sigmas in enumerate(LEVELS):
            low[level, :, place] = _meets(rates[:, place], sigmas, fixed, own, live_s)
            high[level, :, place] = _meets(rates[:, place], -sigmas, fixed, own, live_s)
    return low, high


def _meets(observed: Array, sigmas: float, fixed: list[Array], own: list[float], live_s: Array) -> Array:
    """Rate whose quantile at so many sigmas is what was observed."""
    rate = observed
    for _ in range(_ROUNDS):
        positive = np.clip(rate, 0.0, None)
        k2, k3, k4 = ((fixed[n] + positive * own[n]) / live_s ** (n + 1) for n in range(3))
        rate = observed - np.sqrt(k2) * _quantile(sigmas, k3 / k2**1.5, k4 / k2**2)
    return rate


def _quantile(z: float, skewness: Array, kurtosis: Array) -> Array:
    """Cornish and Fisher's quantile of a standardised distribution."""
    skewness, kurtosis = np.clip(skewness, -1.5, 1.5), np.clip(kurtosis, -2.0, 2.0)
    return z + skewness * (z**2 - 1) / 6 + kurtosis * (z**3 - 3 * z) / 24 - skewness**2 * (2 * z**3 - 5 * z) / 36


def poisson_intervals(
    signal: Array, other: Array, bin_of_event: IntArray, live_s: Array, totals: tuple[float, Array]
) -> tuple[Array, Array]:
    """Intervals of a source's rate from the Poisson likelihood of every bin, the rest of the model known.

    Parameters
    ----------
    signal : ndarray
        ``(n_events,)`` counts per live second of the source at unit flux in the event's pixel.
    other : ndarray
        ``(n_events,)`` counts per live second of all else there.
    bin_of_event : ndarray
        ``(n_events,)``.
    live_s : ndarray
        ``(n_bins,)`` live time.
    totals : tuple
        Sum of the signal over all pixels, and that of all else in each bin.

    Returns
    -------
    low, high : ndarray
        ``(2, n_bins)`` for the two `LEVELS`: the likelihood there is exp(-z^2 / 2) of its maximum over rates of at
        least zero; 0 where it is not less at zero.
    """
    ratio = signal / np.maximum(other, 1e-300)
    n_bins, total = len(live_s), totals[0]

    def likelihood(rate: Array) -> Array:
        logs = np.log1p(rate[bin_of_event] * ratio)
        return np.bincount(bin_of_event, logs, n_bins) - rate * live_s * total

    def slope(rate: Array) -> Array:
        return np.bincount(bin_of_event, ratio / (1 + rate[bin_of_event] * ratio), n_bins) - live_s * total

    counts = np.bincount(bin_of_event, minlength=n_bins)
    ceiling = (counts + 3 * np.sqrt(counts) + 10.0) / np.maximum(live_s * total, 1e-300)
    best = _bisect(slope, np.zeros(n_bins), ceiling)
    highest = likelihood(best)
    low, high = np.empty((len(LEVELS), n_bins)), np.empty((len(LEVELS), n_bins))
    for level, sigmas in enumerate(LEVELS):

        def above(rate: Array, floor: Array = highest - sigmas**2 / 2) -> Array:
            return likelihood(rate) - floor

        low[level] = _bisect(above, best, np.zeros(n_bins))
        high[level] = _bisect(above, best, ceiling)
    return low, high


def _bisect(falling: Callable[[Array], Array], inner: Array, outer: Array) -> Array:
    """Where a function that is positive at the inner rates turns negative on the way to the outer ones."""
    for _ in range(30):
        middle = (inner + outer) / 2
        above = falling(middle) > 0
        inner, outer = np.where(above, middle, inner), np.where(above, outer, middle)
    return (inner + outer) / 2
