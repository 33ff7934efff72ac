from __future__ import annotations

import numpy as np
import pytest

from integral_oda.imaging.thresholds import (
    CHANNELS,
    SPECTRUM_EDGES,
    PixelSpectra,
    fit_thresholds,
    refit_thresholds,
    threshold_sigma_kev,
)
from integral_oda.instrument.response import effective_area_cm2

REVOLUTION = 2559
SIGMA_KEV = threshold_sigma_kev(REVOLUTION)
N_PIXELS = 6000
ENERGY = CHANNELS + 0.25


def turn_on(threshold_kev, energy_kev):
    """The law of the instrument's own software, integrated by hand: half a Gaussian's integral."""
    from scipy.stats import norm

    return norm.cdf((energy_kev - threshold_kev) / (1.41 / np.sqrt(2) * SIGMA_KEV))


def drawn(true, spectra, rng, tail=0.0):
    counts = rng.poisson((tail + (1 - tail) * turn_on(true[:, None], ENERGY)) * spectra)
    first = np.searchsorted(CHANNELS, SPECTRUM_EDGES)
    binned = np.add.reduceat(counts, first, axis=1)[:, :-1].astype(float)
    return PixelSpectra(binned, counts.sum(axis=0).astype(float))


@pytest.fixture(scope="module")
def simulated():
    """Spectra of pixels with thresholds like those of 2022, some 80 counts each."""
    rng = np.random.default_rng(51)
    true = rng.normal(35.5, 4.5, N_PIXELS).clip(25, 50)
    background = np.where(ENERGY < 300, 1.2 * (ENERGY / 60.0) ** -1.0, 0.0)
    return true, drawn(true, background, rng, tail=0.02)


@pytest.fixture(scope="module")
def fitted(simulated):
    return fit_thresholds(simulated[1], SIGMA_KEV)


def test_the_turn_on_widens_over_the_mission():
    assert threshold_sigma_kev(0) == pytest.approx(4.80 / 2.36)
    assert threshold_sigma_kev(2559) == pytest.approx(3.877, abs=1e-3)


def test_simulated_thresholds_are_recovered(simulated, fitted):
    true = simulated[0]
    error = fitted.energy_kev - true
    assert error.mean() == pytest.approx(0, abs=0.7)
    assert error.std() < 2.5 < true.std()
    assert np.corrcoef(fitted.energy_kev, true)[0, 1] > 0.85
    assert fitted.centre_kev == pytest.approx(np.median(true), abs=0.8)
    assert fitted.width_kev == pytest.approx(4.5, rel=0.35)


def test_the_common_background_is_that_of_a_full_pixel(fitted):
    inside = (CHANNELS > 50) & (CHANNELS < 200)
    expected = 1.2 * ((CHANNELS + 0.25) / 60.0) ** -1.0
    assert fitted.background[inside].sum() == pytest.approx(expected[inside].sum(), rel=0.02)


def test_refitting_the_same_spectra_changes_nothing(simulated, fitted):
    again = refit_thresholds(fitted, simulated[1].counts)
    assert np.abs(again.energy_kev - fitted.energy_kev).mean() < 0.1
    assert np.array_equal(again.background, fitted.background)


def test_the_tail_of_the_turn_on_is_that_drawn(fitted):
    assert fitted.tail == pytest.approx(0.02, abs=0.012)


@pytest.mark.parametrize("slope", [0.0, 1.5])
def test_a_background_of_another_slope_does_not_move_all_thresholds(slope):
    rng = np.random.default_rng(54)
    true = rng.normal(35.5, 4.5, N_PIXELS)
    background = np.where(ENERGY < 300, 1.2 * (ENERGY / 60.0) ** -slope, 0.0)
    found = fit_thresholds(drawn(true, background, rng), SIGMA_KEV)
    assert (found.energy_kev - true).mean() == pytest.approx(0, abs=1.0)


@pytest.mark.parametrize("index", [1.5, 3.0])
def test_a_source_that_outshines_the_background_is_told_from_it(index):
    rng = np.random.default_rng(55)
    true = rng.normal(33.0, 4.0, N_PIXELS)
    light = rng.choice([0.0, 0.3, 1.0], (N_PIXELS, 1), p=[0.5, 0.1, 0.4])
    background = np.where(ENERGY < 300, 0.8 * (ENERGY / 60.0) ** -0.7, 0.0)
    crab = effective_area_cm2(ENERGY) * ENERGY**-index
    inside = (ENERGY > 28) & (ENERGY < 80)
    glow = 10 * background[inside].sum() / crab[inside].sum() * crab
    found = fit_thresholds(drawn(true, background + light * glow, rng), SIGMA_KEV, light)
    assert (found.energy_kev - true).mean() == pytest.approx(0, abs=0.5)
    assert found.glow[0, inside].sum() == pytest.approx(glow[inside].sum(), rel=0.02)
    assert found.background[inside].sum() == pytest.approx(background[inside].sum(), rel=0.06)
    dark = light[:, 0] == 0
    assert (found.energy_kev - true)[dark].mean() == pytest.approx((found.energy_kev - true)[~dark].mean(), abs=0.4)
    assert found.amplitude().shape == (N_PIXELS, len(SPECTRUM_EDGES) - 1)
    assert np.all(found.amplitude()[dark] == 1)
