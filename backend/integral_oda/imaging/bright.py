"""Which sources outshine the background so far that nothing can be said of the pixels without them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from integral_oda.arrays import Array, IntArray
from integral_oda.instrument.detector import N_MODULES

__all__ = ["RoughFit", "fit_roughly"]

_ROUNDS = 5
_OUTLIER = 6.0
_TO_SIGMA = 1.4826
"""Standard deviation over the median absolute deviation of a Gaussian."""
_RIDGE = 1e-9


@dataclass(frozen=True)
class RoughFit:
    """Counts of the plane as levels of the modules and the light of sources.

    Attributes
    ----------
    expected : ndarray
        ``(n_pixels,)`` counts.
    significance : ndarray
        ``(n_sources,)`` with the errors that the scatter of the pixels gives.
    """

    expected: Array
    significance: Array


def fit_roughly(counts: Array, module: IntArray, pifs: Array) -> RoughFit:
    """Fit the levels of the modules and the sources, pixels that are far off left out.

    Parameters
    ----------
    counts : ndarray
        ``(n_pixels,)``.
    module : ndarray
        ``(n_pixels,)`` number of the module.
    pifs : ndarray
        ``(n_pixels, n_sources)`` illumination by each source, times live time.
    """
    design = np.column_stack([module == number for number in range(N_MODULES) if (module == number).any()])
    n_levels = design.shape[1]
    design = np.hstack([design.astype(float), pifs])
    expected, kept = np.full(len(counts), max(float(counts.mean()), 1.0)), np.ones(len(counts), dtype=bool)
    for _ in range(_ROUNDS):
        amplitudes, errors = _weighted(counts, design, kept / expected)
        expected = np.maximum(design @ amplitudes, 0.1 * max(float(amplitudes[:n_levels].min()), 1.0))
        pull = (counts - expected) / np.sqrt(expected)
        spread = max(_TO_SIGMA * float(np.median(np.abs(pull[kept]))), 1.0)
        kept = np.abs(pull) < _OUTLIER * spread
    return RoughFit(expected, amplitudes[n_levels:] / (spread * errors[n_levels:]))


def _weighted(counts: Array, design: Array, weight: Array) -> tuple[Array, Array]:
    """Amplitudes and their errors by weighted least squares."""
    weighted = design * weight[:, None]
    normal = weighted.T @ design
    scale = np.sqrt(np.maximum(np.diag(normal), 1e-30))
    inverse = np.linalg.inv(normal / np.outer(scale, scale) + _RIDGE * np.eye(len(scale))) / np.outer(scale, scale)
    return inverse @ (weighted.T @ counts), np.sqrt(np.diag(inverse))
