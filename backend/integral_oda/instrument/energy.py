"""Energy bands and the energies that ISGRI products may use."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from integral_oda.arrays import Array

__all__ = ["ENERGY_RANGE_KEV", "ENERGY_STEP_KEV", "EnergyBand", "resolution_sigma_kev"]

ENERGY_RANGE_KEV = (15.0, 1000.0)
ENERGY_STEP_KEV = 0.5
_SIGMA_OF_FWHM = 2.3548


class EnergyBand(NamedTuple):
    """Half-open energy band [e1_kev, e2_kev) in keV."""

    e1_kev: float
    e2_kev: float

    def __str__(self) -> str:
        return f"{self.e1_kev:g}-{self.e2_kev:g}"


def resolution_sigma_kev(energy_kev: NDArray[np.float64] | float, revolution: int) -> Array:
    """Energy resolution (1 sigma, keV), growing with the revolution and above 60 keV with the energy.

    FWHM 4.80 + 0.0017 x revolution keV at 60 keV and below, the law by which OSA's ii_shadow_build cuts at thresholds.
    In OSA 11's matrices the FWHM of the photopeak is 8.0 keV at 60, 10 at 80, 13.5 at 100 and 36 at 300 keV.
    """
    at_60_kev = (4.80 + 0.0017 * revolution) / _SIGMA_OF_FWHM
    return at_60_kev * np.clip(np.asarray(energy_kev, dtype=float) / 60.0, 1.0, None)
