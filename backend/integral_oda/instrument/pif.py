"""Pixel illumination factors: which part of each ISGRI pixel a source lights through the mask.

The mask is a set of square cells extruded over its thickness. Along one axis a ray either stays in
one cell or crosses into the next between the mask's bottom and top, so the lit area of a pixel is a
sum of products of lengths along Y and along Z: exact, and a few matrix products for the whole detector.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from integral_oda.arrays import Array
from integral_oda.instrument.detector import ACTIVE_SIDE_MM, PIXEL_PITCH_MM, active_pixels, pixel_centres_mm
from integral_oda.instrument.mask import CELL_MM, MASK_CELLS, MASK_DISTANCE_MM, MASK_THICKNESS_MM, mask_pattern

__all__ = ["BEAM_HEIGHT_MM", "pixel_illumination", "tungsten_attenuation_length_mm"]

BEAM_HEIGHT_MM = 16.7
"""Height of the beams between the modules above the pixels.

From OSA's PIF of revolution 2559, where 0.397 of each pixel beside a gap is dark at 6.4 degrees; it
assumes that the beams fill the gaps and are opaque.
"""


_TUNGSTEN_DENSITY = 19.3
# NIST XCOM total attenuation of tungsten, cm2/g, with both sides of its K edge.
_TUNGSTEN_KEV = np.array([15, 20, 30, 40, 50, 60, 69.52, 69.53, 80, 100, 150, 200, 300, 400, 500, 600, 800, 1000.0])
_TUNGSTEN_CM2_G = np.array([138.9, 65.73, 22.73, 10.67, 5.949, 3.713, 2.552, 11.23, 7.810, 4.438, 1.581, 0.7844,
                            0.3238, 0.1925, 0.1378, 0.1093, 0.08066, 0.06618])  # fmt: skip


def tungsten_attenuation_length_mm(energy_kev: float) -> float:
    """Attenuation length of tungsten in mm at an energy in keV (15 to 1000)."""
    log_mu = np.interp(np.log(energy_kev), np.log(_TUNGSTEN_KEV), np.log(_TUNGSTEN_CM2_G))
    return float(10.0 / (np.exp(log_mu) * _TUNGSTEN_DENSITY))


@lru_cache(maxsize=64)
def pixel_illumination(ty: float, tz: float, energy_kev: float = 50.0) -> Array:
    """Illuminated fraction of each pixel's active square for one direction; read-only, the last ones are kept.

    Parameters
    ----------
    ty, tz : float
        Tangents of the source direction in the ISGRI frame.
    energy_kev : float
        Photon energy in keV, for the transmission of the tungsten.

    Returns
    -------
    ndarray
        ``(134, 130)`` float64, 0 to 1, rows DETZ, columns DETY; 0 in the gaps and where the line of
        sight passes beside the mask.
    """
    (along_y, seen_y), (along_z, seen_z) = _lengths_along("y", ty), _lengths_along("z", tz)
    met = _cells_met(_step(ty), _step(tz))[np.ix_(seen_z, seen_y)]
    lit = along_z @ _transmissions(energy_kev, float(np.hypot(ty, tz)))[met] @ along_y.T
    illumination = np.where(active_pixels(), lit, 0.0)
    illumination.flags.writeable = False
    return illumination


@lru_cache(maxsize=64)
def _lengths_along(axis: str, tangent: float) -> tuple[Array, NDArray[np.intp]]:
    """Lengths of rays that stay in a cell, then of those that cross out of it, and the numbers (of 190) of these.

    Returns
    -------
    lengths : ndarray
        ``(n_pixels, n)``.
    seen : ndarray
        ``(n,)``.
    """
    y_mm, z_mm = pixel_centres_mm()
    centre_mm, across = (y_mm, 0) if axis == "y" else (z_mm, 1)
    occupied = np.asarray(active_pixels().any(axis=across))
    lengths = np.hstack(_cell_lengths(*_lit_sides(centre_mm, occupied, tangent), tangent))
    seen = np.flatnonzero(lengths.any(axis=0))
    return lengths[:, seen], seen


def _lit_sides(centre_mm: Array, occupied: NDArray[np.bool_], tangent: float) -> tuple[Array, Array]:
    """Where the active side of each pixel begins and ends that the beam in the gap towards the source leaves lit."""
    dead_border = (PIXEL_PITCH_MM - ACTIVE_SIDE_MM) / 2
    shadow = np.clip(BEAM_HEIGHT_MM * abs(tangent) - dead_border, 0.0, ACTIVE_SIDE_MM)
    padded = np.pad(occupied, 1, constant_values=True)
    towards_source = padded[:-2] if tangent < 0 else padded[2:]
    shaded = np.where(occupied & ~towards_source, shadow, 0.0)
    low, high = centre_mm - ACTIVE_SIDE_MM / 2, centre_mm + ACTIVE_SIDE_MM / 2
    return (low + shaded, high) if tangent < 0 else (low, high - shaded)


def _step(tangent: float) -> int:
    return 1 if tangent >= 0 else -1


def _cell_lengths(low_mm: Array, high_mm: Array, tangent: float) -> tuple[Array, Array]:
    """Lengths of each pixel's lit side, over the active side, whose rays stay in a cell or cross out of it.

    Returns
    -------
    stay, cross : ndarray
        ``(n_pixels, 95)``; ``cross[k, j]`` is for rays that enter cell j at the mask's bottom and
        leave it for its neighbour, on the side that the tangent points to.
    """
    bottom = MASK_DISTANCE_MM - MASK_THICKNESS_MM / 2
    drift = abs(tangent) * MASK_THICKNESS_MM
    low, high = low_mm + bottom * tangent, high_mm + bottom * tangent
    edges = (np.arange(MASK_CELLS) - MASK_CELLS / 2) * CELL_MM
    left = edges if tangent >= 0 else edges + drift
    inside = _overlap(low, high, left, left + CELL_MM - drift)
    right = edges + CELL_MM - drift if tangent >= 0 else edges
    crossing = _overlap(low, high, right, right + drift)
    return inside, crossing


def _overlap(low: Array, high: Array, start: Array, stop: Array) -> Array:
    length = np.minimum(high[:, None], stop) - np.maximum(low[:, None], start)
    return np.clip(length, 0.0, None) / ACTIVE_SIDE_MM


def _transmissions(energy_kev: float, tangent: float) -> Array:
    """Mean transmission of rays by what they meet, see `_cells_met`; ``(5,)``."""
    length = tungsten_attenuation_length_mm(energy_kev)
    thickness = MASK_THICKNESS_MM * np.sqrt(1.0 + tangent**2)
    closed = np.exp(-thickness / length)
    partly = length / thickness * (1.0 - closed)
    return np.array([closed, partly, 1.0, 0.0, 0.5])


_NEIGHBOURS_CLOSED, _ONE_NEIGHBOUR_OPEN = 3, 4
"""Between two open cells a ray passes one of the two neighbours in between, either as often."""


@lru_cache(maxsize=4)
def _cells_met(step_y: int, step_z: int) -> NDArray[np.intp]:
    """What rays meet, ``(190, 190)``: how many of the cells they begin and end in are open, or the codes above.

    Rows and columns are cells along Z and Y: first of rays that stay in their cell along that axis, then of those
    that cross.
    """
    first = mask_pattern().astype(int)
    beside_y, beside_z = _neighbour(first, 0, step_y), _neighbour(first, step_z, 0)
    ends = first + _neighbour(first, step_z, step_y)
    between = np.array([_NEIGHBOURS_CLOSED, _ONE_NEIGHBOUR_OPEN, 2])[beside_y + beside_z]
    both = np.where(ends == 2, between, ends)
    return np.block([[2 * first, first + beside_y], [first + beside_z, both]])


def _neighbour(pattern: NDArray[Any], step_z: int, step_y: int) -> NDArray[Any]:
    """Pattern of the neighbours in a direction; a ray that leaves through the rim meets no tungsten there."""
    padded: Any = np.pad(pattern, 1, constant_values=1)
    rows, columns = pattern.shape
    return padded[1 + step_z : 1 + step_z + rows, 1 + step_y : 1 + step_y + columns]
