"""From products to what a browser can draw: few pixels, one byte each, no peak lost."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["NO_DATA", "Stretch", "bin_edges_with_gaps", "colour_levels", "extremes", "level_of", "peak_pixels"]

Array = NDArray[np.float64]
Stretch = Literal["linear", "asinh", "log"]

NO_DATA = 255
_TOP_LEVEL = 254
_SOFTENING = 0.1


def peak_pixels(significance: NDArray[np.floating], max_pixels: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows and columns of the pixels to draw: of each block the one that stands out most.

    Parameters
    ----------
    significance : ndarray
        ``(n_rows, n_columns)`` in sigma, NaN where nothing was observed.
    max_pixels : int
        How many pixels may be drawn; blocks are square and as small as that allows.

    Returns
    -------
    rows, columns : ndarray
        ``(ceil(n_rows / side), ceil(n_columns / side))`` indices into the full image.
    """
    n_rows, n_columns = significance.shape
    side = max(1, math.ceil(math.sqrt(n_rows * n_columns / max_pixels)))
    rows, columns = math.ceil(n_rows / side), math.ceil(n_columns / side)
    padded = np.full((rows * side, columns * side), -np.inf, dtype=np.float32)
    padded[:n_rows, :n_columns] = np.nan_to_num(significance, nan=-1e30)
    blocks = padded.reshape(rows, side, columns, side).transpose(0, 2, 1, 3).reshape(rows, columns, side * side)
    best = blocks.argmax(axis=2)
    return (
        np.arange(rows)[:, None] * side + best // side,
        np.arange(columns)[None, :] * side + best % side,
    )


def level_of(values: NDArray[np.floating] | float, low: float, high: float, stretch: Stretch = "linear") -> Array:
    """Place of values on the colour scale, 0 at ``low`` and 254 at ``high``, not rounded."""
    value = np.clip(np.asarray(values, dtype=float), low, high)
    if stretch == "asinh":
        soft = max(abs(low), abs(high)) * _SOFTENING
        value, low, high = (np.arcsinh(v / soft) for v in (value, low, high))
    elif stretch == "log":
        soft = (high - low) * _SOFTENING**2
        value, low, high = (np.log1p((v - low) / soft) for v in (value, low, high))
    return np.asarray((value - low) / (high - low) * _TOP_LEVEL)


def colour_levels(
    values: NDArray[np.floating], low: float, high: float, stretch: Stretch = "linear"
) -> NDArray[np.uint8]:
    """Colour index of each pixel, uint8; `NO_DATA` where the value is not finite."""
    finite = np.isfinite(values)
    levels = np.rint(level_of(np.where(finite, values, low), low, high, stretch)).astype(np.uint8)
    levels[~finite] = NO_DATA
    return levels


def extremes(values: Array, max_points: int) -> NDArray[np.intp]:
    """Indices of the points to draw: of each run of neighbours its lowest and its highest.

    Parameters
    ----------
    values : ndarray
        ``(n,)``; NaN are never chosen unless a run has nothing else.
    max_points : int
        How many points may be drawn; with fewer values all are kept.

    Returns
    -------
    ndarray
        Ascending indices, the highest and the lowest value of the whole among them.
    """
    n = len(values)
    if n <= max_points:
        return np.arange(n)
    runs = np.array_split(np.arange(n), max_points // 2)
    filled_low, filled_high = np.nan_to_num(values, nan=np.inf), np.nan_to_num(values, nan=-np.inf)
    kept = [run[np.argmin(filled_low[run])] for run in runs] + [run[np.argmax(filled_high[run])] for run in runs]
    return np.unique(np.array(kept, dtype=np.intp))


def bin_edges_with_gaps(centre: Array, width: Array, rate: Array) -> tuple[Array, Array]:
    """Step curve of a light curve, broken by NaN where bins do not touch.

    Parameters
    ----------
    centre, width, rate : ndarray
        ``(n,)``, ascending centres; times in one unit.

    Returns
    -------
    time, value : ndarray
        ``(2 n + gaps,)`` corners of the steps.
    """
    left, right = centre - width / 2, centre + width / 2
    time, value = np.column_stack([left, right]).ravel(), np.repeat(rate, 2)
    gap = np.flatnonzero(left[1:] > right[:-1] + 0.01 * np.minimum(width[1:], width[:-1]))
    at = 2 * (gap + 1)
    return np.insert(time, at, np.nan), np.insert(value, at, np.nan)
