"""What changes over the mission: the sensitivity, and the software whose calibration holds."""

from __future__ import annotations

from typing import Any

import numpy as np

from integral_oda.arrays import Array

__all__ = ["OSA_SEAM_IJD", "SENSITIVITY_SOURCE", "sensitivity_factor"]

_MJD_OF_IJD_0 = 51544.0
OSA_SEAM_IJD = 5838.086356
"""Start of revolution 1626, 2015-12-26T02:03:13: OSA 10.2 before, OSA 11 from it on (OSA 11 known issues)."""
SENSITIVITY_SOURCE = "exp((MJD - 52900) / 40000), oda_api_benchmark"
_REFERENCE_MJD, _FOLDING_D = 52900.0, 40000.0


def sensitivity_factor(time_ijd: Any) -> Array:
    """Factor that takes a rate to the sensitivity of September 2003.

    ISGRI registers fewer and fewer counts of the same flux. The law is the one by which the online system's benchmarks
    make the Crab's rates of 2003 to 2015 level; it levels its 20-35 keV rates of those years at 2 to 8 degrees off
    axis to 4 %. Later it is extrapolated, and below 35 keV falls short of the loss.

    Parameters
    ----------
    time_ijd : array_like
        IJD.
    """
    return np.exp((np.asarray(time_ijd, dtype=float) + _MJD_OF_IJD_0 - _REFERENCE_MJD) / _FOLDING_D)
