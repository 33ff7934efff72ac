"""What a perfect model leaves: Poisson draws of the fitted model, treated as the data are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from integral_oda.arrays import Array
from integral_oda.imaging.efficiency import (
    SPECTRUM_EDGES,
    Thresholds,
    band_response,
    pixel_rates,
    refit_thresholds,
)
from integral_oda.instrument.energy import EnergyBand

__all__ = ["draw_null_excess"]


def draw_null_excess(
    thresholds: Thresholds,
    band: EnergyBand,
    source_counts: Array,
    structure: Array,
    generator: np.random.Generator,
) -> Array:
    """Excess of one Poisson draw of background, its structure and the sources, thresholds fitted anew.

    Parameters
    ----------
    thresholds : Thresholds
        Of the usable pixels.
    band : EnergyBand
    source_counts : ndarray
        ``(n_usable,)`` counts that the fitted sources have in the band at full efficiency.
    structure : ndarray
        ``(n_usable,)`` fitted relative structure of the background.
    generator : `numpy.random.Generator`

    Returns
    -------
    ndarray
        ``(n_usable,)`` counts above the expected ones.
    """
    edges = np.unique(np.concatenate([SPECTRUM_EDGES, [band.e1_kev, band.e2_kev]]))
    background, source = pixel_rates(thresholds, edges, band)
    level = np.clip(1 + structure, 0.0, None)
    drawn = generator.poisson(background * level[:, None] + source * np.clip(source_counts, 0.0, None)[:, None])
    spectrum = _gathered(drawn, edges, SPECTRUM_EDGES)
    counts = drawn[:, (edges[:-1] >= band.e1_kev) & (edges[:-1] < band.e2_kev)].sum(axis=1)
    refitted = refit_thresholds(thresholds, spectrum, np.ones(len(counts)))
    left: Array = counts - band_response(refitted, band).expected
    return left


def _gathered(values: NDArray[np.int64], edges: Array, coarse: Array) -> Array:
    first, stop = np.searchsorted(edges, coarse[:-1]), int(np.searchsorted(edges, coarse[-1]))
    return np.add.reduceat(values[:, :stop], first, axis=1).astype(float)
