"""Energy bands and the energies that ISGRI products may use."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from integral_oda.arrays import Array

__all__ = ["ENERGY_RANGE_KEV", "ENERGY_STEP_KEV", "EnergyBand", "neighbour_band", "resolution_sigma_kev"]

ENERGY_RANGE_KEV = (15.0, 1000.0)
ENERGY_STEP_KEV = 0.5
_LOWEST_NEIGHBOUR_KEV, _NEIGHBOUR_REACH = 80.0, 1.5
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


def neighbour_band(band: EnergyBand) -> EnergyBand | None:
    """The band that a band's detector structure is looked up in; None if there is none.

    It lies just above the band, and above 80 keV, where no low threshold matters and sources are faint.
    """
    lower = max(band.e2_kev, _LOWEST_NEIGHBOUR_KEV)
    upper = int(_NEIGHBOUR_REACH * lower / ENERGY_STEP_KEV) * ENERGY_STEP_KEV
    return EnergyBand(lower, upper) if upper <= ENERGY_RANGE_KEV[1] else None
