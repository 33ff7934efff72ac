"""Gain of the window: the tungsten line of the background, and the modules' spectra against each other."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from integral_oda.arrays import Array
from integral_oda.imaging.quality import LIMITS, fit_line, spectrum_shift
from integral_oda.imaging.thresholds import threshold_sigma_kev
from integral_oda.instrument.detector import N_MODULES

__all__ = ["SPECTRUM_EDGES_KEV", "gain_cards", "module_gain", "module_spectra"]

SPECTRUM_EDGES_KEV = np.arange(15.0, 250.1, 0.5)
_STEP_KEV = 0.5
_SIGNIFICANT = 3.0


def module_spectra(energy_kev: NDArray[np.floating[Any]], module: NDArray[np.integer[Any]]) -> Array:
    """Counts of each module in the channels of `SPECTRUM_EDGES_KEV`, ``(8, 470)``; a module of -1 counts for none."""
    n = len(SPECTRUM_EDGES_KEV) - 1
    channel = np.floor((energy_kev - SPECTRUM_EDGES_KEV[0]) / _STEP_KEV).astype(np.int32)
    kept = (channel >= 0) & (channel < n) & (module >= 0)
    place = channel[kept] + n * module[kept].astype(np.int32)
    return np.bincount(place, minlength=N_MODULES * n).reshape(N_MODULES, n).astype(float)


def module_gain(spectra: Array, module: int, sigma_kev: float) -> dict[str, float | None]:
    """Tungsten line of a module, and the shift of its spectrum against the others; None where there is nothing."""
    line = fit_line(spectra[module], SPECTRUM_EDGES_KEV, sigma_kev)
    others = spectra.sum(axis=0) - spectra[module]
    shift, error = spectrum_shift(spectra[module], others, SPECTRUM_EDGES_KEV)
    return {
        "line_kev": line.centre_kev if line.found else None,
        "line_error_kev": line.error_kev if line.found else None,
        "line_significance": float(line.significance) if np.isfinite(line.significance) else 0.0,
        "shift_kev": shift if np.isfinite(error) else None,
        "shift_error_kev": error if np.isfinite(error) else None,
    }


def gain_cards(spectra: Array, revolution: int) -> dict[str, Any]:
    """Header cards of the gain: the largest shift that is significant, and a warning where it is above 1 keV.

    The tungsten line, of all modules together and of each, tells of the absolute gain where it stands out; the steep
    part of the spectrum tells of the modules against each other.

    Parameters
    ----------
    spectra : ndarray
        ``(8, 470)`` of `module_spectra`.
    revolution : int
    """
    sigma, total = threshold_sigma_kev(revolution), spectra.sum(axis=0)
    lines = {"tungsten line": fit_line(total, SPECTRUM_EDGES_KEV, sigma)}
    shifts = []
    for module in range(N_MODULES):
        name = f"module {module}"
        lines[name] = fit_line(spectra[module], SPECTRUM_EDGES_KEV, sigma)
        shifts.append((name, *spectrum_shift(spectra[module], total - spectra[module], SPECTRUM_EDGES_KEV)))
    shifts += [(name, line.shift_kev, line.error_kev) for name, line in lines.items() if line.found]
    told = [(name, shift) for name, shift, error in shifts if np.isfinite(error) and abs(shift) > _SIGNIFICANT * error]
    if not told:
        return {"GAINKEV": 0.0, "GAINWARN": "none"}
    name, largest = max(told, key=lambda item: abs(item[1]))
    too_far = abs(largest) > LIMITS.gain_shift_kev
    return {"GAINKEV": largest, "GAINWARN": f"{name} shifted by {largest:+.2f} keV" if too_far else "none"}
