"""What the spacecraft knows of each pixel: low thresholds from the context, and which pixels are switched off.

Arrays of pixels are ``(134, 130)``, rows DETZ, columns DETY, unless said otherwise.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from integral_oda.arrays import Array
from integral_oda.instrument.detector import DETECTOR_SHAPE, N_MODULES, detector_yz, module_map

__all__ = [
    "DUBIOUS",
    "OFF",
    "OFF_STEP",
    "STATUS_BYTES",
    "SWITCHED_OFF",
    "SWITCHED_ON",
    "on_grid",
    "pixels_on",
    "pixels_switched_off",
    "threshold_kev",
    "threshold_step",
    "without_gaps",
]

STATUS_BYTES = 256
"""Bytes of a module's bit map in the noisy-pixel telemetry (HK3)."""
OFF, DUBIOUS, SWITCHED_OFF, SWITCHED_ON = 1, 2, 3, 4
"""NOIS_FLAG of the pixel switch lists: off throughout, dubious, switched on -> off, switched off -> on."""
_HIGHEST_STEP = 62
OFF_STEP = 63
"""Threshold step of a pixel that is off."""
# keV a step and keV at step 0 by gain index 0 to 3; module 4 has ASICs of another batch (OSA's ii_shadow_build).
_SLOPE = np.array([[1.1834, 1.4482, 1.0929, 1.2867], [1.0265, 1.216, 0.9666, 1.1277]])
_OFFSET = np.array([[1.6877, 1.69, 1.619, 1.816], [1.4435, 1.6641, 1.1983, 1.581]])
_OTHER_BATCH = 4
# Row and column, in a block of 4 x 4 pixels, of the four pixels of each of its four ASICs: dal3ibis's decoding of HK3.
_BLOCK_ROW = np.array([[0, 0, 1, 1], [2, 2, 3, 3], [3, 3, 2, 2], [1, 1, 0, 0]])
_BLOCK_COLUMN = np.array([[0, 1, 0, 1], [1, 0, 1, 0], [3, 2, 3, 2], [2, 3, 2, 3]])


def on_grid(plane: NDArray[np.generic], fill: float = 0) -> Array:
    """A plane of the gapless 128 x 128 pixels on the detector's grid with its gaps.

    Parameters
    ----------
    plane : ndarray
        ``(128, 128)``, rows ISGRI_Z, columns ISGRI_Y.
    fill : float
        Value of the gaps.
    """
    grid = np.full(DETECTOR_SHAPE, fill, dtype=plane.dtype)
    columns, rows = detector_yz(np.arange(128), np.arange(128))
    grid[np.ix_(rows, columns)] = plane
    return grid


def without_gaps(grid: NDArray[np.generic]) -> Array:
    """The 128 x 128 pixels of a plane on the detector's grid: `on_grid` undone."""
    columns, rows = detector_yz(np.arange(128), np.arange(128))
    return np.asarray(grid[np.ix_(rows, columns)])


def threshold_kev(gain_index: NDArray[np.integer], step: NDArray[np.integer]) -> Array:
    """Low thresholds that the context sets, keV; 0 for a pixel that is off (step above 62) and in the gaps.

    Parameters
    ----------
    gain_index, step : ndarray
        ``(134, 130)`` planes 0 and 1 of ISGR-PXLP-CFG.
    """
    slope, offset = _law(gain_index)
    usable = (module_map() >= 0) & (step <= _HIGHEST_STEP)
    return np.where(usable, slope * step + offset, 0.0)


def threshold_step(gain_index: NDArray[np.integer], threshold_kev: Array) -> NDArray[np.uint8]:
    """Threshold steps, 0 to 62, that come closest to some low thresholds.

    Parameters
    ----------
    gain_index : ndarray
        ``(134, 130)`` plane 0 of ISGR-PXLP-CFG.
    threshold_kev : ndarray
        ``(134, 130)`` keV.
    """
    slope, offset = _law(gain_index)
    return np.clip(np.rint((threshold_kev - offset) / slope), 0, _HIGHEST_STEP).astype(np.uint8)


def _law(gain_index: NDArray[np.integer]) -> tuple[Array, Array]:
    """KeV a step and keV at step 0 of each pixel, ``(134, 130)``."""
    batch = (module_map() == _OTHER_BATCH).astype(int)
    gain = np.clip(gain_index, 0, 3)
    return _SLOPE[batch, gain], _OFFSET[batch, gain]


def pixels_on(status: NDArray[np.uint8], module: int) -> NDArray[np.bool_]:
    """Pixels of a module that a bit map of the noisy-pixel telemetry calls on.

    Parameters
    ----------
    status : ndarray of uint8
        ``(256,)``.
    module : int

    Returns
    -------
    ndarray of bool
        ``(134, 130)``, False outside the module.
    """
    plane = np.zeros((128, 128), dtype=bool)
    rows, columns = _bit_places(module)
    plane[rows, columns] = np.unpackbits(np.asarray(status, np.uint8)[:, None], axis=1, bitorder="little").astype(bool)
    return np.asarray(on_grid(plane), dtype=bool)


@cache
def _bit_places(module: int) -> tuple[Array, Array]:
    """ISGRI_Z and ISGRI_Y of each bit of a module's map, ``(256, 8)``, the least significant bit first."""
    byte, line = np.mgrid[:STATUS_BYTES, :8]
    asic, pixel = 63 - byte // 4, byte % 4
    first_row = 32 * (N_MODULES // 2 - 1 - module % 4)
    if module >= _OTHER_BATCH:
        block, rows, columns = (asic + 2) % 4, 4 * line, (63 - asic) & ~3
    else:
        block, rows, columns = asic % 4, 4 * (7 - line), 64 + (asic & ~3)
    return first_row + rows + _BLOCK_ROW[block, pixel], columns + _BLOCK_COLUMN[block, pixel]


def pixels_switched_off(
    isgri_y: Array, isgri_z: Array, flag: Array, switched_obt: Array, start_obt: int, stop_obt: int
) -> NDArray[np.bool_]:
    """Pixels that a switch list has off at any time of a science window; dubious ones count as on.

    Parameters
    ----------
    isgri_y, isgri_z, flag : ndarray
        ``(n,)`` pixel and NOIS_FLAG of each row.
    switched_obt : ndarray of uint64
        ``(n,)`` on-board time of the switch.
    start_obt, stop_obt : int
        The science window.

    Returns
    -------
    ndarray of bool
        ``(134, 130)``.
    """
    off = flag == OFF
    off |= (flag == SWITCHED_OFF) & (switched_obt < np.uint64(stop_obt))
    off |= (flag == SWITCHED_ON) & (switched_obt > np.uint64(start_obt))
    plane = np.zeros((128, 128), dtype=bool)
    plane[isgri_z[off], isgri_y[off]] = True
    return np.asarray(on_grid(plane), dtype=bool)
