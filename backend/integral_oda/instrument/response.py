"""Nominal response of ISGRI where no IC tree gives the real one."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from integral_oda.arrays import Array
from integral_oda.instrument.energy import EnergyBand

__all__ = ["crab_rate", "effective_area_cm2", "erg_per_count"]

_KEV_IN_ERG = 1.602176634e-9
CRAB_NORM, CRAB_INDEX = 9.7, 2.1
CRAB_REFERENCE = "power law, 9.7 ph/cm2/s/keV at 1 keV, photon index 2.1"


def effective_area_cm2(energy_kev: Any) -> NDArray[np.float64]:
    """Effective area through the half-open mask, cm2: the analytic weight of OSA's ii_shadow_build."""
    energy = np.asarray(energy_kev, dtype=float)
    above = np.maximum(energy - 13.44, 0.0)
    return 84.3 * above**0.85 * (25900 + energy) / (27200 + energy**2.47)


def crab_rate(band: EnergyBand) -> float:
    """Rate of the Crab (`CRAB_REFERENCE`) in a band at full efficiency, counts/s."""
    energy, width = _grid(band)
    return float((CRAB_NORM * energy**-CRAB_INDEX * effective_area_cm2(energy)).sum() * width)


def erg_per_count(band: EnergyBand, index: float = CRAB_INDEX) -> float:
    """Energy flux in the band of a power law that gives one count/s, erg/cm2/s."""
    energy, width = _grid(band)
    photons = energy**-index
    rate = (photons * effective_area_cm2(energy)).sum() * width
    return float((photons * energy).sum() * width * _KEV_IN_ERG / rate)


def _grid(band: EnergyBand) -> tuple[Array, float]:
    steps = round((band.e2_kev - band.e1_kev) / 0.1)
    width = (band.e2_kev - band.e1_kev) / steps
    return band.e1_kev + (np.arange(steps) + 0.5) * width, width
