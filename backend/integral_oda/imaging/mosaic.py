"""Sum of sky images by inverse variance, each output pixel taking the nearest input pixel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from integral_oda.arrays import Array

__all__ = ["MosaicSums", "add_image"]


@dataclass(frozen=True)
class MosaicSums:
    """Running sums of a mosaic, each an array on its grid: flux / variance, 1 / variance and exposure."""

    weighted_flux: Array
    weight: Array
    exposure: Array

    @classmethod
    def empty(cls, shape: tuple[int, int]) -> MosaicSums:
        """Sums of nothing."""
        return cls(np.zeros(shape), np.zeros(shape), np.zeros(shape))

    @property
    def flux(self) -> Array:
        """Inverse-variance mean; NaN where nothing was observed."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(self.weight > 0, self.weighted_flux / self.weight, np.nan)

    @property
    def variance(self) -> Array:
        """Variance of the mean; 0 where nothing was observed."""
        with np.errstate(divide="ignore"):
            return np.where(self.weight > 0, 1 / self.weight, 0.0)


PixelMap = Callable[[Array, Array], tuple[Array, Array]]


def add_image(sums: MosaicSums, flux: Array, variance: Array, exposure: Array, to_input: PixelMap) -> MosaicSums:
    """Add one image to the sums.

    Parameters
    ----------
    sums : MosaicSums
    flux, variance, exposure : ndarray
        Planes of the image; pixels without a positive variance or a finite flux are left out.
    to_input : callable
        Columns and rows of the image for columns and rows of the mosaic, NaN where there are none.
    """
    rows, columns = np.indices(sums.weight.shape, dtype=float)
    column, row = to_input(columns, rows)
    inside = np.isfinite(column) & np.isfinite(row)
    i = np.rint(np.where(inside, row, -1)).astype(int)
    j = np.rint(np.where(inside, column, -1)).astype(int)
    inside &= (i >= 0) & (i < flux.shape[0]) & (j >= 0) & (j < flux.shape[1])
    i, j = np.where(inside, i, 0), np.where(inside, j, 0)
    value, spread = flux[i, j], variance[i, j]
    used = inside & (spread > 0) & np.isfinite(value)
    weight = np.where(used, 1 / np.where(used, spread, 1.0), 0.0)
    return MosaicSums(
        sums.weighted_flux + np.where(used, value, 0.0) * weight,
        sums.weight + weight,
        sums.exposure + np.where(used, np.nan_to_num(exposure[i, j]), 0.0),
    )
