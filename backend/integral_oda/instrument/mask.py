"""The IBIS coded mask: a 53 x 53 MURA mounted as 95 x 95 tungsten cells, 16 mm thick."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "BASIC_ORDER",
    "CELL_MM",
    "GHOST_PERIOD_PIXELS",
    "MASK_CELLS",
    "MASK_DISTANCE_MM",
    "MASK_THICKNESS_MM",
    "basic_pattern",
    "mask_pattern",
]

BASIC_ORDER = 53
MASK_CELLS = 95
CELL_MM = 11.2
MASK_THICKNESS_MM = 16.0
MASK_DISTANCE_MM = 3202.97
"""Middle of the mask to the top of the detector."""
GHOST_PERIOD_PIXELS = BASIC_ORDER * CELL_MM / 4.6


@cache
def basic_pattern() -> NDArray[np.int8]:
    """Basic MURA of order 53; ``(53, 53)`` int8, rows along Z, 1 = open.

    Element (i, j) is open where i and j are both quadratic residues modulo 53 or both not; row 0 is
    closed and column 0 open (Gottesman & Fenimore 1989).
    """
    residues = {n * n % BASIC_ORDER for n in range(1, BASIC_ORDER)}
    character = np.array([1 if k in residues else -1 for k in range(BASIC_ORDER)])
    pattern = (np.outer(character, character) == 1).astype(np.int8)
    pattern[:, 0] = 1
    pattern[0, :] = 0
    pattern.flags.writeable = False
    return pattern


@cache
def mask_pattern() -> NDArray[np.int8]:
    """Mounted mask; ``(95, 95)`` int8, rows along Z, columns along Y, 1 = open."""
    offsets = np.arange(MASK_CELLS) - MASK_CELLS // 2
    index = offsets % BASIC_ORDER
    pattern = basic_pattern()[np.ix_(index, index)]
    pattern.flags.writeable = False
    return pattern
