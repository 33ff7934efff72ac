"""What a perfect model leaves: Poisson draws of the fitted model, treated as the data are."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from integral_oda.arrays import Array
from integral_oda.imaging.efficiency import band_response, bright_rates, levelled_response, pixel_rates
from integral_oda.imaging.shadowgram import Shadowgram
from integral_oda.imaging.thresholds import SPECTRUM_EDGES, Thresholds, refit_thresholds
from integral_oda.instrument.energy import EnergyBand

__all__ = ["draw_null_excesses", "draw_plain_excesses"]


def draw_null_excesses(
    thresholds: Thresholds,
    band: EnergyBand,
    source_counts: Array,
    background_counts: Array,
    generator: np.random.Generator,
) -> Iterator[Array]:
    """Excess of Poisson draws of background, its structure and the sources, thresholds fitted anew; without end.

    Parameters
    ----------
    thresholds : Thresholds
        Of the usable pixels.
    band : EnergyBand
    source_counts : ndarray
        ``(n_usable,)`` counts that the fitted sources have in the band at full efficiency, but for the bright ones that
        the thresholds were fitted with.
    background_counts : ndarray
        ``(n_usable,)`` fitted background in the band, its structure included.
    generator : `numpy.random.Generator`

    Yields
    ------
    ndarray
        ``(n_usable,)`` counts above the expected ones.
    """
    edges = np.unique(np.concatenate([SPECTRUM_EDGES, [band.e1_kev, band.e2_kev]]))
    inside = (edges[:-1] >= band.e1_kev) & (edges[:-1] < band.e2_kev)
    background, source = pixel_rates(thresholds, edges, band)
    background_counts = background_counts - band_response(thresholds, band).bright_allowance
    scale = np.clip(background_counts / np.maximum(background[:, inside].sum(axis=1), 1e-9), 0.0, None)
    sources = source * np.clip(source_counts, 0.0, None)[:, None] + bright_rates(thresholds, edges)
    mean = background * scale[:, None] + sources
    while True:
        drawn = generator.poisson(mean)
        counts = drawn[:, inside].sum(axis=1)
        refitted = refit_thresholds(thresholds, _gathered(drawn, edges, SPECTRUM_EDGES))
        yield counts - levelled_response(refitted, band, counts).expected


def _gathered(values: NDArray[np.int64], edges: Array, coarse: Array) -> Array:
    first, stop = np.searchsorted(edges, coarse[:-1]), int(np.searchsorted(edges, coarse[-1]))
    return np.add.reduceat(values[:, :stop], first, axis=1).astype(float)


def draw_plain_excesses(
    shadowgram: Shadowgram, source_counts: Array, background_counts: Array, generator: np.random.Generator
) -> Iterator[Array]:
    """Excess of Poisson draws of background and sources in a shadowgram whose efficiency is given; without end.

    Parameters
    ----------
    shadowgram : Shadowgram
    source_counts : ndarray
        ``(n_usable,)`` counts of the sources at full efficiency.
    background_counts : ndarray
        ``(n_usable,)``.
    generator : `numpy.random.Generator`

    Yields
    ------
    ndarray
        ``(n_usable,)`` counts above the expected ones.
    """
    seen = shadowgram.flat(shadowgram.efficiency) * np.clip(source_counts, 0.0, None)
    mean = np.clip(background_counts, 0.0, None) + seen
    while True:
        yield generator.poisson(mean) - shadowgram.flat(shadowgram.expected)
