"""Dead time of the modules where no dead-time file gives it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["EVENT_DEAD_TIME_S", "module_dead_fraction", "veto_fraction"]

EVENT_DEAD_TIME_S = 114e-6
"""Time a module needs for one event."""
# Live fractions (DEADC) of OSA's products: a mosaic of revolution 50, the Crab in 665, SGR 1935+2154 in 2559;
# at the module rates of some 90 events/s the events themselves cost 1 %, the rest is the veto.
_REVOLUTIONS = np.array([50.0, 665.0, 2559.0])
_LIVE_AFTER_VETO = np.array([0.776, 0.691, 0.698]) / np.exp(-87.0 * EVENT_DEAD_TIME_S)


def veto_fraction(revolution: int) -> float:
    """Nominal share of the time that the veto takes, interpolated over the mission."""
    return float(1 - np.interp(revolution, _REVOLUTIONS, _LIVE_AFTER_VETO))


def module_dead_fraction(rates: NDArray[np.float64], revolution: int) -> NDArray[np.float64]:
    """Dead fraction of each module from the rate of all its events and the nominal veto.

    Parameters
    ----------
    rates : ndarray
        ``(8,)`` events of all energies, counts/s.
    revolution : int

    Returns
    -------
    ndarray
        ``(8,)``, 0 to 1.
    """
    return 1 - np.exp(-rates * EVENT_DEAD_TIME_S) * (1 - veto_fraction(revolution))
