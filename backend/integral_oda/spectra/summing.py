"""Sums of spectra over science windows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from integral_oda.arrays import Array

__all__ = ["sum_spectra", "window_weight"]


def window_weight(covariance: Array, used: Array) -> float:
    """Weight of a window in a sum: the inverse variance of its rate over the channels used.

    One weight for all channels, so that a source that changes its flux keeps its spectrum's shape; 0 where no
    channel has a finite error.

    Parameters
    ----------
    covariance : ndarray
        ``(n, n)`` of the rates.
    used : ndarray of bool
        ``(n,)``.
    """
    variance = float(covariance[np.ix_(used, used)].sum()) if used.any() else 0.0
    return 1.0 / variance if np.isfinite(variance) and variance > 0 else 0.0


def sum_spectra(rates: Sequence[Array], covariances: Sequence[Array], weights: Sequence[float]) -> tuple[Array, Array]:
    """Weighted mean of spectra of the same source in the same channels.

    Parameters
    ----------
    rates : sequence of ndarray
        ``(n,)`` counts/s each, NaN in channels that a window does not have.
    covariances : sequence of ndarray
        ``(n, n)`` each.
    weights : sequence of float

    Returns
    -------
    rate, covariance : ndarray
        ``(n,)`` and ``(n, n)``; NaN and 0 where no window has the channel.
    """
    rate, weight = np.stack(rates), np.asarray(weights, dtype=float)[:, None] * np.isfinite(np.stack(rates))
    total = weight.sum(axis=0)
    share = np.divide(weight, total, out=np.zeros_like(weight), where=total > 0)
    summed = np.where(total > 0, (share * np.nan_to_num(rate)).sum(axis=0), np.nan)
    covariance = np.zeros((rate.shape[1], rate.shape[1]))
    for part, one in zip(share, covariances, strict=True):
        covariance += part[:, None] * one * part
    return summed, covariance
