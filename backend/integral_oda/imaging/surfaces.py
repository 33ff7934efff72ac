"""What the background of ISGRI looks like: smooth surfaces, and rows, columns and blocks of the modules."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.polynomial import legendre
from numpy.typing import NDArray

from integral_oda.arrays import Array
from integral_oda.instrument.detector import DETECTOR_SHAPE, N_MODULES, local_coordinates, module_map

__all__ = ["ASIC_SIDE", "BLOCK_SIDE", "smooth_surfaces", "structure_groups"]


BLOCK_SIDE = 4
ASIC_SIDE = 2
"""Pixels along a side of the group that one ASIC reads out."""
_AXIS_ORDER = 8
_CROSS_ORDER = 4


@cache
def structure_groups() -> dict[str, NDArray[np.int64]]:
    """Number of the group that each pixel belongs to, for every kind of group.

    Row, column, cell, block and ASIC are those of one module; a cell is the place of a pixel inside its
    4 x 4 block, the same in all blocks. The common row, column and cell are the same place in all eight
    modules: every module is built alike.

    Returns
    -------
    dict of ndarray
        ``(134, 130)`` int each, -1 in the gaps.
    """
    module = module_map().astype(int)
    row, column = (coordinate.astype(int) for coordinate in local_coordinates())
    cell = row % BLOCK_SIDE * BLOCK_SIDE + column % BLOCK_SIDE
    numbers = {
        "row": module * 32 + row,
        "column": module * 64 + column,
        "cell": module * BLOCK_SIDE**2 + cell,
        "block": _square(module, row, column, BLOCK_SIDE),
        "asic": _square(module, row, column, ASIC_SIDE),
        "common_row": row,
        "common_column": column,
        "common_cell": cell,
    }
    return {name: np.where(module >= 0, number, -1) for name, number in numbers.items()}


def _square(module: NDArray[np.int64], row: NDArray[np.int64], column: NDArray[np.int64], side: int) -> Any:
    """Number of the square of so many pixels a side."""
    return (module * 32 // side + row // side) * (64 // side) + column // side


@cache
def smooth_surfaces() -> Array:
    """Shapes that the background may take freely; ``(134, 130, 30)``.

    A level for each module, Legendre polynomials up to order 8 along each axis (the background rises
    at the detector's rim) and their products up to order 4.
    """
    module = module_map()
    z, y = (legendre.legvander(np.linspace(-1, 1, n), _AXIS_ORDER) for n in DETECTOR_SHAPE)
    orders = [(i, 0) for i in range(1, _AXIS_ORDER + 1)] + [(0, j) for j in range(1, _AXIS_ORDER + 1)]
    orders += [(i, j) for i in range(1, _CROSS_ORDER) for j in range(1, _CROSS_ORDER) if i + j <= _CROSS_ORDER]
    levels = [(module == m).astype(float) for m in range(N_MODULES)]
    return np.stack([*levels, *(np.outer(z[:, i], y[:, j]) for i, j in orders)], axis=-1)
