"""Energy bands and the energies that ISGRI products may use."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["ENERGY_RANGE_KEV", "ENERGY_STEP_KEV", "EnergyBand"]

ENERGY_RANGE_KEV = (15.0, 1000.0)
ENERGY_STEP_KEV = 0.5


class EnergyBand(NamedTuple):
    """Half-open energy band [e1_kev, e2_kev) in keV."""

    e1_kev: float
    e2_kev: float

    def __str__(self) -> str:
        return f"{self.e1_kev:g}-{self.e2_kev:g}"
