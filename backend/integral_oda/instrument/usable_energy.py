"""From which energy on ISGRI's spectra can be used, and how far they are known, by epoch.

Version `TABLE_VERSION` of the table. Usable energies: OSA's user manual and the online system's help name 18 keV early
on, 22 keV from revolution 1000 and 30 keV from revolution 1626 (December 2015) for spectroscopy, with imaging from some
28 keV. Systematic errors: 0.015 is what ESA's ISLA products of OSA 11 carry in SYS_ERR (revolution 745); since 2016 the
response changes quickly, by up to 5 %, and the online system's Crab fits of 2016 to 2018 keep a reduced chi2 of 2 at
0.02: 0.03.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from integral_oda.arrays import Array

__all__ = ["TABLE_VERSION", "THRESHOLD_DOUBT_KEV", "SpectralEpoch", "efficiency_uncertainty", "spectral_epoch"]

TABLE_VERSION = "1"
THRESHOLD_DOUBT_KEV = 1.5
"""How far off all thresholds together may be that were fitted to a window's own events."""
_LEAST_EFFICIENCY = 0.02


@dataclass(frozen=True)
class SpectralEpoch:
    """What spectra of an epoch are good for.

    Attributes
    ----------
    first_revolution : int
    usable_kev : float
        Channels that begin below are not to be used for spectroscopy.
    doubtful_kev : float
        Those between this and ``usable_kev`` may still be good for a detection.
    systematic : float
        Systematic error of a channel as a share of its rate.
    """

    first_revolution: int
    usable_kev: float
    doubtful_kev: float
    systematic: float


_EPOCHS = (
    SpectralEpoch(0, 18.0, 17.0, 0.015),
    SpectralEpoch(1000, 22.0, 20.0, 0.015),
    SpectralEpoch(1626, 30.0, 28.0, 0.03),
)


def spectral_epoch(revolution: int) -> SpectralEpoch:
    """Epoch of a revolution; 0 stands for an unknown one and counts as the first."""
    return [epoch for epoch in _EPOCHS if epoch.first_revolution <= max(revolution, 0)][-1]


def efficiency_uncertainty(efficiency: Array) -> Array:
    """Systematic error of rates where low thresholds turn the pixels on, as a share of them.

    Thresholds that are fitted to a window's own events rest on what the background looks like below them. In simulated
    windows whose background falls less steeply than assumed, thresholds came out 1 to 2 keV too high and a Crab too
    bright by about the correction itself, 1 / efficiency - 1: all of it is taken for the error, with the efficiency
    `THRESHOLD_DOUBT_KEV` below the energy.
    """
    corrected: Array = 1.0 / np.clip(efficiency, _LEAST_EFFICIENCY, 1.0) - 1.0
    return corrected
