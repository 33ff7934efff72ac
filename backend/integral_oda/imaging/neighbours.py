"""How the noise of neighbouring pixels of a window's sky image hangs together, from tables of covariances.

A pixel of a mosaic that is shared out over four pixels of a window has the variance sum w_i^2 v_i + 2 sum w_i w_j
c_ij sqrt(v_i v_j). ISDC's tables (ISGR-COVR-MOD, read by the public source of mimosa) have the covariance of each sky
pixel with a neighbour along a side (CARTESIAN) and over a corner (DIAGONAL) for a flat detector. What mean level and
exposure they are for is not published, so their scale is taken from the mask: where it is fully coded, the mean
correlation along a side is that of the mask's own contrast.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from integral_oda.arrays import Array
from integral_oda.imaging.decoding import MaskCorrelator, mask_contrast, mask_footprint
from integral_oda.instrument.detector import active_pixels

__all__ = ["NeighbourCorrelation", "flat_covariances", "neighbour_correlation"]

_FULLY_CODED = 0.98
_LEAST_CODED = 0.02
_CORNER_OVER_SIDE = (0.4, 1.0)
"""What any noise that is correlated less the farther apart may have; that of the mask has 0.67."""
_HIGHEST = 0.98


@dataclass(frozen=True)
class NeighbourCorrelation:
    """Correlation of the noise of each pixel of a window's image with its neighbours.

    Attributes
    ----------
    side, corner : ndarray
        ``(400, 400)``, with a neighbour along a side and over a corner; NaN where it is not known.
    """

    side: Array
    corner: Array


@cache
def flat_covariances() -> tuple[Array, Array, Array]:
    """Variance, and covariances with neighbours along a side and over a corner, of a flat detector's image.

    Each ``(400, 400)``, in one arbitrary unit, 0 where too little is coded.
    """
    flat, contrast = active_pixels().astype(float), mask_contrast()
    covered = MaskCorrelator(mask_footprint())(flat)
    information, *moved = (
        np.mean([MaskCorrelator(contrast * np.roll(contrast, shift, (0, 1)))(flat) for shift in shifts], axis=0)
        for shifts in ([(0, 0)], [(0, 1), (1, 0)], [(1, 1), (1, -1)])
    )
    seen = covered > _LEAST_CODED * covered.max()
    scale = np.divide(1.0, information**2, out=np.zeros(information.shape), where=seen)
    variance, side, corner = (scale * product for product in (information, *moved))
    return variance, side, corner


@cache
def _fully_coded() -> Array:
    covered = MaskCorrelator(mask_footprint())(active_pixels().astype(float))
    return covered > _FULLY_CODED * covered.max()


def neighbour_correlation(side: Array, corner: Array) -> NeighbourCorrelation | None:
    """Correlations from tables of covariances; None where they cannot be those of neighbouring pixels.

    Parameters
    ----------
    side, corner : ndarray
        ``(400, 400)`` covariance with a neighbour along a side and over a corner, in one unit.
    """
    variance, own_side, _ = flat_covariances()
    middle = _fully_coded()
    both = np.stack([side[middle], corner[middle]])
    if not (np.isfinite(both).all() and (both > 0).all()):
        return None
    ratio = float(both[1].sum() / both[0].sum())
    if not _CORNER_OVER_SIDE[0] < ratio < _CORNER_OVER_SIDE[1]:
        return None
    scale = float((own_side / np.where(variance > 0, variance, 1))[middle].mean())
    scale /= float((side[middle] / variance[middle]).mean())
    known = (variance > 0) & np.isfinite(side) & np.isfinite(corner) & (side > 0)

    def correlation(table: Array) -> Array:
        values = np.clip(scale * table[known] / variance[known], 0.0, _HIGHEST)
        plane = np.full(variance.shape, np.nan, np.float32)
        plane[known] = values
        return plane

    return NeighbourCorrelation(correlation(side), correlation(corner))
