from __future__ import annotations

import numpy as np
import pytest

from integral_oda.engines.native.gain import SPECTRUM_EDGES_KEV, gain_cards, module_gain, module_spectra
from integral_oda.imaging.quality import TUNGSTEN_KEV
from integral_oda.imaging.thresholds import threshold_sigma_kev

REVOLUTION = 100
MIDDLE = (SPECTRUM_EDGES_KEV[1:] + SPECTRUM_EDGES_KEV[:-1]) / 2


def spectra(line_shift=0.0, module_shift=0.0, seed=1, line=20_000.0, level_at_50_kev=400):
    """Spectra with a steep edge at 105 keV and the tungsten line; module 3's energies moved against the others'."""
    rng = np.random.default_rng(seed)
    sigma = threshold_sigma_kev(REVOLUTION)
    planes = []
    for module in range(8):
        energy = MIDDLE - (module_shift if module == 3 else 0.0)
        level = level_at_50_kev * (energy / 50) ** -0.8 * (0.35 + 0.65 / (1 + np.exp((energy - 105) / 5)))
        peak = np.exp(-0.5 * ((energy - TUNGSTEN_KEV - line_shift) / sigma) ** 2) / (sigma * np.sqrt(2 * np.pi))
        planes.append(rng.poisson(level + line / 8 * peak * 0.5))
    return np.array(planes, dtype=float)


def test_a_gain_that_holds_is_no_warning():
    assert gain_cards(spectra(), REVOLUTION)["GAINWARN"] == "none"


@pytest.mark.parametrize("shift", [-2.0, 1.6])
def test_a_shifted_tungsten_line_is_a_warning(shift):
    cards = gain_cards(spectra(line_shift=shift), REVOLUTION)
    assert cards["GAINKEV"] == pytest.approx(shift, abs=0.5)
    assert cards["GAINWARN"].endswith(f"shifted by {cards['GAINKEV']:+.2f} keV")


def test_a_module_against_the_others_is_a_warning():
    cards = gain_cards(spectra(module_shift=2.5, line=0.0, level_at_50_kev=20_000), REVOLUTION)
    assert "module 3" in cards["GAINWARN"]
    assert cards["GAINKEV"] == pytest.approx(2.5, abs=0.6)


def test_small_shifts_are_told_but_no_warning():
    cards = gain_cards(spectra(line_shift=0.4), REVOLUTION)
    assert cards["GAINKEV"] == pytest.approx(0.4, abs=0.5)
    assert cards["GAINWARN"] == "none"


def test_no_events_no_gain():
    empty = np.zeros((8, len(MIDDLE)))
    assert gain_cards(empty, REVOLUTION) == {"GAINKEV": 0.0, "GAINWARN": "none"}
    assert module_gain(empty, 0, 2.0)["line_kev"] is None


def test_spectra_of_modules_count_what_is_in_range():
    energy = np.array([14.9, 15.0, 15.6, 249.9, 251.0, 60.0], dtype=np.float32)
    counted = module_spectra(energy, np.array([0, 0, 0, 7, 7, -1]))
    assert counted.sum() == 3
    assert (counted[0, 0], counted[0, 1], counted[7, -1]) == (1, 1, 1)
