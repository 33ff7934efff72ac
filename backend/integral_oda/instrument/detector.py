"""The ISGRI detector plane: pixel grid, gaps, modules and coordinates.

Sections 1 and 3 of the instrument's data description: 128 x 128 pixels of 4.6 mm pitch in eight
modules, laid on a grid of 134 rows (DETZ) and 130 columns (DETY) with two-pixel gaps between modules.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from integral_oda.arrays import Array

__all__ = [
    "ACTIVE_SIDE_MM",
    "DETECTOR_SHAPE",
    "MODULE_SHAPE",
    "N_MODULES",
    "N_PIXELS",
    "OPEN_PIXELS",
    "PIXEL_PITCH_MM",
    "active_pixels",
    "detector_yz",
    "local_coordinates",
    "module_map",
    "pixel_centres_mm",
]

PIXEL_PITCH_MM = 4.6
ACTIVE_SIDE_MM = 4.0
DETECTOR_SHAPE = (134, 130)
MODULE_SHAPE = (32, 64)
N_MODULES = 8
N_PIXELS = 128 * 128
OPEN_PIXELS = 8192.4
"""Mean number of open pixels of a fully coded source: OSA's flux unit is the rate on this many."""


def detector_yz(isgri_y: Any, isgri_z: Any) -> tuple[Any, Any]:
    """Detector column and row (DETY, DETZ) of a pixel in the gapless 128 x 128 numbering."""
    y, z = np.asarray(isgri_y, dtype=int), np.asarray(isgri_z, dtype=int)
    return y + 2 * (y >= 64), z + 2 * (z // 32)


@cache
def active_pixels() -> NDArray[np.bool_]:
    """True where a pixel is, False in the gaps; ``(134, 130)``."""
    rows = np.ones(DETECTOR_SHAPE[0], dtype=bool)
    columns = np.ones(DETECTOR_SHAPE[1], dtype=bool)
    rows[[32, 33, 66, 67, 100, 101]] = False
    columns[[64, 65]] = False
    return _frozen(rows[:, None] & columns[None, :])


@cache
def module_map() -> NDArray[np.int8]:
    """Module number (MDU, 0..7) of each pixel, -1 in the gaps; ``(134, 130)`` int8."""
    row_block = np.arange(DETECTOR_SHAPE[0]) // 34
    column_half = (np.arange(DETECTOR_SHAPE[1]) >= 65).astype(int)
    number = 7 - row_block[:, None] - 4 * column_half[None, :]
    return _frozen(np.where(active_pixels(), number, -1).astype(np.int8))


@cache
def local_coordinates() -> tuple[NDArray[np.int8], NDArray[np.int8]]:
    """Row (0..31) and column (0..63) of each pixel inside its module, -1 in the gaps."""
    rows = np.arange(DETECTOR_SHAPE[0]) % 34
    columns = np.arange(DETECTOR_SHAPE[1]) % 66
    active = active_pixels()
    local_row = np.where(active, rows[:, None], -1).astype(np.int8)
    local_column = np.where(active, columns[None, :], -1).astype(np.int8)
    return _frozen(local_row), _frozen(local_column)


def pixel_centres_mm() -> tuple[Array, Array]:
    """Y of the columns ``(130,)`` and Z of the rows ``(134,)``, mm from the detector centre."""
    rows, columns = DETECTOR_SHAPE
    y = (np.arange(columns) - (columns - 1) / 2) * PIXEL_PITCH_MM
    z = (np.arange(rows) - (rows - 1) / 2) * PIXEL_PITCH_MM
    return y, z


def _frozen(array: NDArray[Any]) -> NDArray[Any]:
    array.flags.writeable = False
    return array
