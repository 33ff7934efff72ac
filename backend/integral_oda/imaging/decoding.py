"""Correlation of the mask with the detector plane: one FFT pair for every direction of the sky.

For a direction at the centre of a sky pixel the mask's shadow is the mask sampled on detector pixels,
shifted by whole pixels, so that a sum over the detector of (shadow x weight) for all directions is a
correlation. The mask's thickness and directions between pixel centres are left to the PIF.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from itertools import count
from typing import Any

import numpy as np
from numpy import fft
from numpy.typing import NDArray

from integral_oda.arrays import Array
from integral_oda.instrument.attitude import SKY_CENTRE, SKY_SHAPE, pixel_to_tangents
from integral_oda.instrument.detector import ACTIVE_SIDE_MM, DETECTOR_SHAPE, PIXEL_PITCH_MM, active_pixels
from integral_oda.instrument.mask import CELL_MM, MASK_CELLS, mask_pattern
from integral_oda.instrument.pif import pixel_illumination

__all__ = [
    "MaskCorrelator",
    "cast",
    "cells_on_pixels",
    "mask_contrast",
    "mask_footprint",
    "mask_on_pixels",
    "thickness_transmission",
    "thin_footprint",
    "thin_shadow",
]


_HALF_WIDTH = 116
_ROW_OFFSET = 266
_COLUMN_OFFSET = 135


@cache
def _cell_overlap() -> Array:
    """Share of the active side of a pixel at each whole-pixel offset that each mask cell covers; ``(233, 95)``."""
    centre = np.arange(-_HALF_WIDTH, _HALF_WIDTH + 1) * PIXEL_PITCH_MM
    low = (np.arange(MASK_CELLS) - MASK_CELLS / 2) * CELL_MM
    start = np.maximum(centre[:, None] - ACTIVE_SIDE_MM / 2, low)
    stop = np.minimum(centre[:, None] + ACTIVE_SIDE_MM / 2, low + CELL_MM)
    return np.clip(stop - start, 0.0, None) / ACTIVE_SIDE_MM


@cache
def mask_on_pixels() -> Array:
    """Open fraction of the thin mask over the active square of a pixel; ``(233, 233)``, rows Z, columns Y."""
    return cells_on_pixels(mask_pattern())


def cells_on_pixels(cells: NDArray[Any]) -> Array:
    """Mean of a value a mask cell, ``(95, 95)``, over the active square of a pixel; ``(233, 233)``, 0 outside."""
    overlap = _cell_overlap()
    product: Array = overlap @ cells @ overlap.T
    return product


@cache
def mask_footprint() -> Array:
    """Fraction of the active square that the mask, open or closed, covers; ``(233, 233)``."""
    along = _cell_overlap().sum(axis=1)
    return np.outer(along, along)


@cache
def mask_contrast() -> Array:
    """What the mask's open fraction has above a half of what it covers: half of G = 2 M - footprint; ``(233, 233)``."""
    return mask_on_pixels() - 0.5 * mask_footprint()


def _fast_length(least: int) -> int:
    """Smallest length from here on that is a product of 2, 3 and 5, which transforms are fast for."""
    return next(n for n in count(least) if pow(30, n, n) == 0)


class MaskCorrelator:
    """Sums over the detector of weights times a kernel on the mask, for every sky pixel.

    Parameters
    ----------
    kernel : ndarray
        ``(233, 233)`` values on the mask's pixel grid.
    before : tuple of int
        Rows and columns by which the kernel reaches below index 0 (for kernels summed over blocks).
    """

    def __init__(self, kernel: Array, before: tuple[int, int] = (0, 0)) -> None:
        self._before = before
        rows, columns = (n + m for n, m in zip(kernel.shape, DETECTOR_SHAPE, strict=True))
        self._shape = (_fast_length(rows - 1), _fast_length(columns - 1))
        self._kernel = fft.rfft2(kernel, self._shape)

    def __call__(self, weights: Array) -> Array:
        """Correlate with detector weights ``(134, 130)``; the result is a sky array ``(400, 400)``."""
        return self._on_sky(self._shifts(weights))

    def sum_of_squares(self, planes: Iterable[Array]) -> Array:
        """Sum of the squared correlations with several detector weights ``(134, 130)``; ``(400, 400)``."""
        total = np.zeros(self._shape)
        for weights in planes:
            total += self._shifts(weights) ** 2
        return self._on_sky(total)

    def _shifts(self, weights: Array) -> Array:
        """Correlation for every shift of the detector on the mask, around its edges too."""
        shifts: Array = fft.irfft2(self._kernel * np.conj(fft.rfft2(weights, self._shape)), self._shape)
        return shifts

    def _on_sky(self, shifts: Array) -> Array:
        row, column = self._sky_index()
        sky = np.zeros(SKY_SHAPE)
        sky[row[0] : row[1], column[0] : column[1]] = self._ordered(shifts)
        return sky

    def _sky_index(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Rows and columns of the sky that the thin mask's shadow can reach the detector from."""
        rows, columns = DETECTOR_SHAPE
        first_row = _ROW_OFFSET - _HALF_WIDTH - (rows - 1)
        last_column = columns - 1 + _COLUMN_OFFSET + _HALF_WIDTH
        return (first_row, _ROW_OFFSET + _HALF_WIDTH + 1), (_COLUMN_OFFSET - _HALF_WIDTH, last_column + 1)

    def _ordered(self, shifts: Array) -> Array:
        (row0, row1), (column0, column1) = self._sky_index()
        centre = _HALF_WIDTH
        row_shift = np.arange(row0, row1) - _ROW_OFFSET + centre + self._before[0]
        column_shift = _COLUMN_OFFSET + centre - np.arange(column0, column1) + self._before[1]
        return shifts[np.ix_(row_shift % self._shape[0], column_shift % self._shape[1])]


def thin_shadow(row: int, column: int) -> Array:
    """Shadow of the thin mask from the direction at the centre of a sky pixel; ``(134, 130)``."""
    return cast(mask_on_pixels(), row, column)


def thin_footprint(row: int, column: int) -> Array:
    """Part of each pixel that looks through the mask, open or closed, from a sky pixel; ``(134, 130)``."""
    return cast(mask_footprint(), row, column)


def cast(pattern: Array, row: int, column: int) -> Array:
    """A pattern ``(233, 233)`` on the mask's pixel grid as the detector sees it from a sky pixel; ``(134, 130)``."""
    first = row - _ROW_OFFSET + _HALF_WIDTH, _COLUMN_OFFSET - column + _HALF_WIDTH
    shadow = np.zeros(DETECTOR_SHAPE)
    low = [max(0, -f) for f in first]
    high = [min(n, 2 * _HALF_WIDTH + 1 - f) for n, f in zip(DETECTOR_SHAPE, first, strict=True)]
    if low[0] < high[0] and low[1] < high[1]:
        window = tuple(slice(f + a, f + b) for f, a, b in zip(first, low, high, strict=True))
        shadow[low[0] : high[0], low[1] : high[1]] = pattern[window]
    return np.where(active_pixels(), shadow, 0.0)


@cache
def thickness_transmission() -> Array:
    """Share of a source's modulation that the mask's thickness leaves; ``(400, 400)``.

    The projection of the exact PIF on the thin shadow, at a grid of directions of one quadrant
    (mask and detector are symmetric), interpolated between them.
    """
    offset = np.linspace(0.5, 182.5, 8)
    quadrant = np.array([[_transmission(SKY_CENTRE + dz, SKY_CENTRE + dy) for dy in offset] for dz in offset])
    distance = np.abs(np.arange(SKY_SHAPE[0]) - SKY_CENTRE)
    along_rows = np.array([np.interp(distance, offset, column) for column in quadrant.T])
    return np.array([np.interp(distance, offset, row) for row in along_rows.T])


def _transmission(row: float, column: float) -> float:
    thin = thin_shadow(int(row), int(column))
    exact = pixel_illumination(*pixel_to_tangents(column, row))
    covered = thin_footprint(int(row), int(column))
    if covered.sum() < 200:
        return 1.0
    contrast = covered * (thin - (thin * covered).sum() / (covered * covered).sum())
    return float((exact * contrast).sum() / (thin * contrast).sum())
