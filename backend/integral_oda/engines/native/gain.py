"""Gain of the window: the tungsten line of the background, and the modules' spectra against each other.

Energies are corrected by the line alone. Its place does not depend on what else a module sees, while the slopes of two
modules' spectra differ too where a bright source lights one of them more than the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from integral_oda.arrays import Array
from integral_oda.imaging.quality import LIMITS, TUNGSTEN_KEV, LineFit, fit_line, spectrum_shift
from integral_oda.imaging.thresholds import threshold_sigma_kev
from integral_oda.instrument.detector import N_MODULES

__all__ = [
    "SPECTRUM_EDGES_KEV",
    "corrected_by",
    "correction_card",
    "gain_cards",
    "gain_factors",
    "module_gain",
    "module_spectra",
]

SPECTRUM_EDGES_KEV = np.arange(15.0, 250.1, 0.5)
_STEP_KEV = 0.5
_SIGNIFICANT = 3.0
_TRUSTED_LINE = 10.0
"""Significance of a line that energies are corrected by: its continuum then matters little."""
_CORRECTED_SIGNIFICANCE = 4.0
_LEAST_DIFFERENCE_KEV = 0.6
"""1 % at the line: of a module against all together, which the continuum under the line moves alike."""


def module_spectra(energy_kev: NDArray[np.floating[Any]], module: NDArray[np.integer[Any]]) -> Array:
    """Counts of each module in the channels of `SPECTRUM_EDGES_KEV`, ``(8, 470)``; a module of -1 counts for none."""
    n = len(SPECTRUM_EDGES_KEV) + 1  # with one channel below and one above, as there is a module beside the eight
    channel = np.clip((energy_kev - float(SPECTRUM_EDGES_KEV[0])) / _STEP_KEV + 1, 0, n - 1).astype(np.int32)
    place = channel + n * (module.astype(np.int32) + 1)
    counts = np.bincount(place, minlength=(N_MODULES + 1) * n).reshape(N_MODULES + 1, n)
    return counts[1:, 1:-1].astype(float)


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

    The tungsten line, of all modules together and of each, tells of the absolute gain where it stands out; of a module
    where it does not, the steep part of the spectrum against the others' does.

    Parameters
    ----------
    spectra : ndarray
        ``(8, 470)`` of `module_spectra`.
    revolution : int
    """
    sigma, total = threshold_sigma_kev(revolution), spectra.sum(axis=0)
    whole = fit_line(total, SPECTRUM_EDGES_KEV, sigma)
    shifts = [("tungsten line", whole.shift_kev, whole.error_kev)] if whole.found else []
    for module, spectrum in enumerate(spectra):
        line = fit_line(spectrum, SPECTRUM_EDGES_KEV, sigma)
        slopes = spectrum_shift(spectrum, total - spectrum, SPECTRUM_EDGES_KEV)
        shift, error = (line.shift_kev, line.error_kev) if line.found else slopes
        shifts.append((f"module {module}", shift, error))
    told = [(name, shift) for name, shift, error in shifts if np.isfinite(error) and abs(shift) > _SIGNIFICANT * error]
    if not told:
        return {"GAINKEV": 0.0, "GAINWARN": "none"}
    name, largest = max(told, key=lambda item: abs(item[1]))
    too_far = abs(largest) > LIMITS.gain_shift_kev
    return {"GAINKEV": largest, "GAINWARN": f"{name} shifted by {largest:+.2f} keV" if too_far else "none"}


def gain_factors(spectra: Array, revolution: int) -> Array:
    """What the energies of each module are to be multiplied with so that its tungsten line is where it belongs.

    A module is brought to the line of all together where its own is off by 0.6 keV, all of them to the line's energy
    where that is off by the 1 keV that is worth a warning: what the continuum is taken for moves the line by 0.4 keV.

    Parameters
    ----------
    spectra : ndarray
        ``(8, 470)`` of `module_spectra`.
    revolution : int

    Returns
    -------
    ndarray
        ``(8,)``; exactly 1 where a line does not stand out, or is off by no more than that or four of its errors.
    """
    sigma = threshold_sigma_kev(revolution)
    total, *lines = (fit_line(s, SPECTRUM_EDGES_KEV, sigma) for s in (spectra.sum(axis=0), *spectra))
    if not _trusted(total):
        return np.ones(N_MODULES)
    whole = _factor(TUNGSTEN_KEV, total.centre_kev, total.error_kev, LIMITS.gain_shift_kev)
    return np.array([whole * (_factor_to(total, line) if _trusted(line) else 1.0) for line in lines])


def _trusted(line: LineFit) -> bool:
    return line.found and line.significance >= _TRUSTED_LINE


def _factor_to(total: LineFit, line: LineFit) -> float:
    error = float(np.hypot(line.error_kev, total.error_kev))
    return _factor(total.centre_kev, line.centre_kev, error, _LEAST_DIFFERENCE_KEV)


def _factor(wanted_kev: float, centre_kev: float, error_kev: float, least_kev: float) -> float:
    least = max(_CORRECTED_SIGNIFICANCE * error_kev, least_kev)
    return wanted_kev / centre_kev if abs(centre_kev - wanted_kev) > least else 1.0


def correction_card(factors: Array) -> dict[str, str]:
    """Header card with the factors of modules 0 to 7, or ``none``."""
    corrected = bool((np.asarray(factors) != 1).any())
    return {"GAINCORR": " ".join(f"{factor:.4f}" for factor in factors) if corrected else "none"}


def corrected_by(header: Mapping[str, Any]) -> Array:
    """Factors of modules 0 to 7 that `correction_card` has written into a header; 1 where it has none."""
    card = str(header.get("GAINCORR", "none"))
    return np.ones(N_MODULES) if card == "none" else np.array(card.split(), dtype=float)
