"""Sum of sky images by inverse variance, as partial sums that can be kept and added up in any order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from integral_oda.arrays import Array
from integral_oda.imaging.resampling import Resampled, Resampler
from integral_oda.imaging.sky_grid import Block, DirectionGrid, Extent, ImagePlane, PlaneGrid

__all__ = ["MosaicPlanes", "MosaicSum"]

_PLANES = ("weighted_flux", "weight", "pixel_weight", "exposure")


@dataclass(frozen=True)
class MosaicPlanes:
    """Planes of a mosaic, each of its extent's shape.

    Attributes
    ----------
    flux : ndarray
        Inverse-variance mean, counts/s; NaN where nothing was observed.
    variance : ndarray
        Variance of the flux of a source; 0 where nothing was observed.
    pixel_variance : ndarray
        Variance of the pixel itself, smaller where resampling has averaged neighbours.
    significance : ndarray
        Flux over the root of the pixel's variance: noise of 1 whatever the resampling.
    exposure : ndarray
        Sum of the exposures, s.
    """

    flux: Array
    variance: Array
    pixel_variance: Array
    significance: Array
    exposure: Array


@dataclass(frozen=True)
class MosaicSum:
    """Running sums on a part of a grid; sums over different parts of one grid add up, in any order.

    Attributes
    ----------
    row, column : int
        First row and column of the arrays on the grid; they may be negative.
    weighted_flux, weight, pixel_weight, exposure : ndarray
        float64, of one shape: sums of flux / variance, 1 / variance, pixel's variance / variance**2, and exposure.
    images : int
        How many have been added.
    """

    row: int
    column: int
    weighted_flux: Array
    weight: Array
    pixel_weight: Array
    exposure: Array
    images: int = 0

    @classmethod
    def empty(cls, extent: Extent) -> MosaicSum:
        """Sum of nothing."""
        flux, weight, pixel_weight, exposure = np.zeros((4, *extent.shape))
        return cls(extent.row, extent.column, flux, weight, pixel_weight, exposure)

    @property
    def extent(self) -> Extent:
        """The part of the grid that the arrays are."""
        return Extent(self.row, self.column, *self.weight.shape)

    def with_image(self, image: Resampler, plane: ImagePlane, grid: PlaneGrid | DirectionGrid) -> MosaicSum:
        """The sum with one image more; the arrays are added to in place.

        Parameters
        ----------
        image : Resampler
        plane : ImagePlane
            Where the image lies.
        grid : PlaneGrid or DirectionGrid
            The grid of this sum.
        """
        for block in grid.blocks(self.extent, plane):
            self._add(block, image.at(block.column, block.row))
        return MosaicSum(*self._arrays(), images=self.images + 1)

    def _arrays(self) -> tuple[int, int, Array, Array, Array, Array]:
        return self.row, self.column, self.weighted_flux, self.weight, self.pixel_weight, self.exposure

    def _add(self, block: Block, values: Resampled) -> None:
        weight = values.root_weight * values.root_weight
        self.weighted_flux[block.index] += values.score * values.root_weight
        self.weight[block.index] += weight
        self.pixel_weight[block.index] += weight * values.share
        self.exposure[block.index] += values.exposure

    def __add__(self, other: MosaicSum) -> MosaicSum:
        """Sum of two sums on one grid, over the smallest extent around both."""
        whole = self.extent.union(other.extent)
        total = MosaicSum.empty(whole)
        for part in (self, other):
            index = part.extent.within(whole)
            for name in _PLANES:
                getattr(total, name)[index] += getattr(part, name)
        return MosaicSum(*total._arrays(), images=self.images + other.images)

    def reshaped(self, extent: Extent) -> MosaicSum:
        """The same sum, its arrays those of an extent of as many pixels."""
        planes = {name: getattr(self, name).reshape(extent.shape) for name in _PLANES}
        return MosaicSum(extent.row, extent.column, images=self.images, **planes)

    def cut(self) -> MosaicSum:
        """The sum over the rows and columns that have been observed; all of them if none has."""
        rows, columns = (np.flatnonzero((self.weight > 0).any(axis=axis)) for axis in (1, 0))
        if not rows.size:
            return self
        part = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        planes = {name: getattr(self, name)[part] for name in _PLANES}
        return MosaicSum(self.row + int(rows[0]), self.column + int(columns[0]), images=self.images, **planes)

    def planes(self) -> MosaicPlanes:
        """The mosaic itself."""
        seen = self.weight > 0
        with np.errstate(divide="ignore", invalid="ignore"):
            flux = np.where(seen, self.weighted_flux / self.weight, np.nan)
            variance = np.where(seen, 1 / self.weight, 0.0)
            pixel_variance = np.where(seen, self.pixel_weight / self.weight**2, 0.0)
            significance = flux / np.sqrt(pixel_variance)
        return MosaicPlanes(flux, variance, pixel_variance, significance, self.exposure)
