"""Channels of spectra: the sets long used, edges of one's own, and how channels are summed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from integral_oda.arrays import Array
from integral_oda.errors import RequestError
from integral_oda.instrument.response import osa_channel_edges_kev

__all__ = ["CHANNEL_SETS", "channel_edges", "group_channels", "rebin_matrix"]

# The 62 channels of the online system's products with OSA 10 (13-993 keV), each edge the nearest of OSA 11's 256
_EDGES_62 = (
    *(13, 13.5, 14.5, 15.5, 16.5, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 28, 30, 32, 34, 38, 41, 45.5, 48.5, 53),
    *(56, 60.5, 63.5, 67.5, 71.5, 75.5, 79.5, 83.5, 87.5, 91.5, 95.5, 99.5, 107, 112, 117, 124.5, 129.5, 134.5),
    *(142, 147, 153, 159, 165, 171, 174, 186, 198, 208, 222, 232.5, 243, 257, 267.5, 283.5, 307.5, 357.5, 455),
    *(673.5, 992),
)
# Channels of a published OSA 10 spectrum of NGC 2110, 20 to 300 keV, likewise moved to the nearest edges
_EDGES_13 = (20, 22, 24, 27, 31, 36.5, 42.5, 53, 69.5, 99.5, 119.5, 150, 201, 299.5)
CHANNEL_SETS = (256, 62, 16, 13)
"""Numbers of channels that can be asked for by number."""


def channel_edges(number: int) -> Array:
    """Edges of one of the `CHANNEL_SETS`, keV; 16 are channels 10 to 137 of the 256 in groups of 8 (18-339.5 keV).

    Raises
    ------
    RequestError
        If there is no such set.
    """
    full = osa_channel_edges_kev()
    sets: dict[int, Array] = {
        256: full,
        62: np.array(_EDGES_62, dtype=float),
        16: full[10:139:8],
        13: np.array(_EDGES_13, dtype=float),
    }
    if number not in sets:
        raise RequestError("channels", number, f"{', '.join(map(str, CHANNEL_SETS))}, or a file of edges in keV")
    return sets[number]


def rebin_matrix(fine_kev: Array, coarse_kev: Array) -> Array:
    """Which fine channel lies in which coarse one, ``(n_coarse, n_fine)`` of 0 and 1.

    Raises
    ------
    RequestError
        If an edge is none of the fine ones, or they do not rise.
    """
    nearest = np.abs(fine_kev[None, :] - np.asarray(coarse_kev, dtype=float)[:, None]).argmin(axis=1)
    for edge, index in zip(coarse_kev, nearest, strict=True):
        if abs(fine_kev[index] - edge) > 1e-3:
            raise RequestError("channels", f"{edge:g} keV", f"an edge of OSA's 256 channels; near: {fine_kev[index]:g}")
    if len(nearest) < 2 or np.any(np.diff(nearest) < 1):
        raise RequestError("channels", list(map(float, coarse_kev)), "two edges at least, rising")
    channel = np.arange(len(fine_kev) - 1)
    inside: Array = (channel >= nearest[:-1, None]) & (channel < nearest[1:, None])
    return inside.astype(float)


def group_channels(significance: Array, good: NDArray[np.bool_], least: float) -> NDArray[np.int16]:
    """OGIP's grouping flags that make every bin of good channels as significant as asked, if its channels can.

    Parameters
    ----------
    significance : ndarray
        ``(n,)`` of each channel; those of a bin add in quadrature.
    good : ndarray of bool
        ``(n,)``; a bad channel ends a bin.
    least : float
        0 for every channel alone.
    """
    flags = np.ones(len(significance), dtype=np.int16)
    gathered = np.inf
    for k, (own, usable) in enumerate(zip(np.clip(significance, 0, None), good, strict=True)):
        if usable and gathered < least**2:
            flags[k] = -1
            gathered += own**2
        else:
            gathered = own**2 if usable else np.inf
    return flags
