"""Statistics of a spectral fit: chi2 for rates with errors, C and W for counts."""

from __future__ import annotations

import numpy as np
from scipy.special import xlogy

from integral_oda.arrays import Array

__all__ = ["chi2_terms", "cstat_terms", "wstat_terms"]


_LEAST_COUNTS = 1e-30


def chi2_terms(data: Array, model: Array, error: Array) -> Array:
    """Signed roots of the terms of chi2, ``(data - model) / error``; each ``(n,)``."""
    return (data - model) / error


def cstat_terms(counts: Array, model: Array) -> Array:
    """Terms of Cash's statistic in Castor's form, ``2 (m - n + n ln(n / m))``; each ``(n,)`` counts."""
    expected = np.maximum(model, _LEAST_COUNTS)
    return 2 * (expected - counts + xlogy(counts, counts / expected))


def wstat_terms(counts: Array, model: Array, off_counts: Array, exposure_ratio: Array | float) -> Array:
    """Terms of the statistic for counts with a measured Poisson background, its level profiled out.

    Parameters
    ----------
    counts, off_counts : ndarray
        ``(n,)`` counts of source plus background and of the background alone.
    model : ndarray
        ``(n,)`` counts of the source.
    exposure_ratio : ndarray or float
        Exposure of the background over that of the source, areas included.

    Notes
    -----
    With mu the source, b the background in the source's exposure and r the ratio, the most probable b
    solves (1 + r) b^2 + ((1 + r) mu - n_on - n_off) b - mu n_off = 0 (Wachter, Leach & Kellogg 1979;
    XSPEC manual, appendix B).
    """
    mu, ratio = np.maximum(model, 0.0), np.asarray(exposure_ratio, dtype=float)
    half = ((1 + ratio) * mu - counts - off_counts) / 2
    root = np.sqrt(half**2 + (1 + ratio) * mu * off_counts)
    # The form without cancellation, for either sign
    background = np.where(
        half <= 0, root - half, mu * off_counts * (1 + ratio) / np.maximum(root + half, _LEAST_COUNTS)
    )
    background = background / (1 + ratio)
    on, off = cstat_terms(counts, mu + background), cstat_terms(off_counts, ratio * background)
    return on + off
