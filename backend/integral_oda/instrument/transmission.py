"""What the mask's support lets through: 1 with a stated systematic, or the off-axis maps of an IC tree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from integral_oda.arrays import Array
from integral_oda.instrument.attitude import SKY_SHAPE, tangents_to_pixel

__all__ = ["MAPPED_SYSTEMATIC", "SupportTransmission", "nominal_systematic"]

_DEPTH_AT_20_KEV = 0.16
"""Optical depth of the support at 20 keV: transmissions of 0.8 to 0.9 are told of it, and near 1 above 60 keV."""
_DEPTH_POWER = -2.5
_TREND, _TREND_ANGLE_DEG, _TREND_KEV = 0.2, 13.0, 27.0
"""Rates of the Crab in 20-35 keV, 2003 to 2017, corrected with OSA's maps, still rise by so much with the angle."""
MAPPED_SYSTEMATIC = 0.02
"""What is left with maps: the spread of corrected Crab rates over the fully coded field."""
_FLOOR = 0.01


def nominal_systematic(off_axis_deg: Any, energy_kev: Any) -> Array:
    """Relative 1 sigma systematic of a flux for which the support is taken as transparent.

    Parameters
    ----------
    off_axis_deg, energy_kev : float or ndarray
        Grows with the angle and to low energies.

    Returns
    -------
    ndarray
        0.01 at least; 0.15 at 20 keV on axis, 0.02 at 50 keV, 0.11 at 50 keV and 13 degrees.
    """
    energy = np.asarray(energy_kev, dtype=float)
    on_axis = 1 - np.exp(-_DEPTH_AT_20_KEV * (energy / 20) ** _DEPTH_POWER)
    off_axis = _TREND * (np.asarray(off_axis_deg, dtype=float) / _TREND_ANGLE_DEG) ** 2 * _TREND_KEV / energy
    return np.sqrt(_FLOOR**2 + on_axis**2 + off_axis**2)


@dataclass(frozen=True, eq=False)
class SupportTransmission:
    """Transmission of the mask's support over the field in one energy band.

    Attributes
    ----------
    energy_kev : float
        Energy that stands for the band.
    plane : ndarray or None
        ``(400, 400)`` on the grid of a sky image; None where nothing is known and 1 is taken.
    """

    energy_kev: float
    plane: Array | None = None

    def at(self, ty: float, tz: float) -> float:
        """Transmission in a direction (tangents in the ISGRI frame), between the map's pixels; 1 without a map."""
        if self.plane is None:
            return 1.0
        column, row = (float(c) for c in tangents_to_pixel(ty, tz))
        rows, columns = SKY_SHAPE
        c0, r0 = int(np.clip(np.floor(column), 0, columns - 2)), int(np.clip(np.floor(row), 0, rows - 2))
        c, r = np.clip(column - c0, 0, 1), np.clip(row - r0, 0, 1)
        square = self.plane[r0 : r0 + 2, c0 : c0 + 2]
        value = float(np.array([1 - r, r]) @ square @ np.array([1 - c, c]))
        return value if value > 0 else 1.0

    def over_field(self) -> Array | float:
        """Transmission of every pixel of a sky image; 1 where the map says nothing."""
        return 1.0 if self.plane is None else np.where(self.plane > 0, self.plane, 1.0)

    def systematic(self, ty: float, tz: float) -> float:
        """Relative 1 sigma systematic of a flux from a direction."""
        if self.plane is not None:
            return MAPPED_SYSTEMATIC
        return float(nominal_systematic(np.rad2deg(np.arctan(np.hypot(ty, tz))), self.energy_kev))
