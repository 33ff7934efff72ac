"""Channels of a spectrum: which ones a fit uses, and how they are put together in bins."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from integral_oda.arrays import Array

__all__ = ["Bins", "noticed_bins"]

_EDGE_TOLERANCE_KEV = 1e-3


@dataclass(frozen=True)
class Bins:
    """Bins of channels.

    Attributes
    ----------
    channel : ndarray of int
        ``(n,)`` indices of the channels in use.
    first : ndarray of int
        ``(n_bins,)`` where each bin begins among them.
    """

    channel: NDArray[np.int64]
    first: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.first)

    def sum(self, values: Array) -> Array:
        """Sums over the channels of each bin, along the last axis."""
        return np.add.reduceat(values[..., self.channel], self.first, axis=-1) if len(self) else values[..., :0]

    def root_sum_square(self, values: Array) -> Array:
        """Roots of the sums of squares over the channels of each bin."""
        return np.sqrt(self.sum(values**2))

    def edges(self, edges_kev: Array) -> tuple[Array, Array]:
        """Lowest and highest energy of each bin, keV."""
        last = np.append(self.first[1:], len(self.channel)) - 1
        return edges_kev[self.channel[self.first]], edges_kev[self.channel[last] + 1]


def noticed_bins(
    edges_kev: Array,
    usable: NDArray[np.bool_],
    grouping: NDArray[np.integer],
    e1_kev: float = 0.0,
    e2_kev: float = np.inf,
) -> Bins:
    """Bins of the usable channels that lie wholly between two energies.

    Parameters
    ----------
    edges_kev : ndarray
        ``(n + 1,)`` nominal edges of the channels.
    usable : ndarray of bool
        ``(n,)``: of good quality, with a finite rate and error.
    grouping : ndarray of int
        ``(n,)`` OGIP's flags: -1 where a channel belongs to the bin of the one before, else a bin begins.
    e1_kev, e2_kev : float

    Notes
    -----
    A bin that is cut by the range, or holds unusable channels, goes on with those that are left.
    """
    inside = (edges_kev[:-1] >= e1_kev - _EDGE_TOLERANCE_KEV) & (edges_kev[1:] <= e2_kev + _EDGE_TOLERANCE_KEV)
    channel = np.flatnonzero(inside & usable)
    number = np.cumsum(grouping != -1)[channel]
    first = np.flatnonzero(np.diff(number, prepend=-1)) if len(channel) else np.zeros(0, dtype=np.int64)
    return Bins(channel, first)
