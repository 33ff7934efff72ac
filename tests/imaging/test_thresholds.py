from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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


def in_steps(threshold_kev):
    """As a context has them, to a step of 1.1 keV."""
    return 1.1 * np.round(threshold_kev / 1.1)


def error_of(fitted, true):
    return float((fitted.energy_kev - true).std())


def test_no_offsets_and_none_at_all_are_the_same_to_the_last_bit(simulated, fitted):
    again = fit_thresholds(simulated[1], SIGMA_KEV, offset_kev=np.zeros(0))
    assert np.array_equal(again.energy_kev, fitted.energy_kev)
    assert np.array_equal(again.background, fitted.background)
    assert (again.mean_kev, again.spread_kev) == (fitted.centre_kev, fitted.width_kev)


def test_a_context_leaves_its_rounding_as_the_error(simulated, fitted):
    true, spectra = simulated
    known = fit_thresholds(spectra, SIGMA_KEV, offset_kev=in_steps(true) - true.mean())
    assert error_of(known, true) < 0.6 < 1.0 < error_of(fitted, true)
    assert known.stretch == pytest.approx(1, abs=0.1)
    assert (known.energy_kev - true).mean() == pytest.approx(0, abs=0.5)
    assert known.width_kev == pytest.approx(0.7, abs=0.1)
    assert known.mean_kev == pytest.approx(fitted.mean_kev, abs=0.2)
    assert known.spread_kev == pytest.approx(true.std(), rel=0.05)


@pytest.mark.parametrize("scatter_kev", [1.0, 2.0])
def test_the_width_is_what_the_context_leaves(simulated, scatter_kev):
    true, spectra = simulated
    offset = true - true.mean() + np.random.default_rng(57).normal(0, scatter_kev, N_PIXELS)
    assert fit_thresholds(spectra, SIGMA_KEV, offset_kev=offset).width_kev == pytest.approx(scatter_kev, rel=0.1)


def test_a_shuffled_context_counts_for_nothing(simulated, fitted):
    true, spectra = simulated
    offset = np.random.default_rng(58).permutation(true) - true.mean()
    wrong = fit_thresholds(spectra, SIGMA_KEV, offset_kev=offset)
    assert wrong.stretch == pytest.approx(0, abs=0.05)
    assert wrong.width_kev == pytest.approx(fitted.width_kev, rel=0.02)
    assert wrong.energy_kev == pytest.approx(fitted.energy_kev, abs=0.3)


@pytest.mark.parametrize("drift", [0.6, 2.2])
def test_a_drift_of_the_energy_scale_stretches_the_context(simulated, drift):
    true, spectra = simulated
    offset = in_steps(true / drift) - 16
    known = fit_thresholds(spectra, SIGMA_KEV, offset_kev=offset)
    assert known.stretch == pytest.approx(drift, rel=0.1)
    assert known.offset_kev == pytest.approx(known.stretch * offset)
    assert error_of(known, true) < 0.85


def test_a_refit_keeps_the_offsets(simulated):
    true, spectra = simulated
    known = fit_thresholds(spectra, SIGMA_KEV, offset_kev=in_steps(true) - true.mean())
    again = refit_thresholds(known, spectra.counts)
    assert np.abs(again.energy_kev - known.energy_kev).max() < 0.1
    assert np.array_equal(again.offset_kev, known.offset_kev)


@settings(max_examples=10)
@given(shift=st.floats(-12, 12), seed=st.integers(0, 99))
def test_only_the_differences_of_a_context_count(simulated, shift, seed):
    some = np.random.default_rng(seed).permutation(N_PIXELS)[:500]
    spectra = PixelSpectra(simulated[1].counts[some], simulated[1].total * (500 / N_PIXELS))
    offset = in_steps(simulated[0][some]) - 35.5
    one, other = (fit_thresholds(spectra, SIGMA_KEV, offset_kev=o) for o in (offset, offset + shift))
    assert other.mean_kev == pytest.approx(one.mean_kev, abs=1e-5)
    assert other.stretch == pytest.approx(one.stretch, abs=1e-6)
    assert other.energy_kev == pytest.approx(one.energy_kev, abs=1e-5)


def test_a_pixel_far_from_the_others_is_still_within_reach():
    rng = np.random.default_rng(59)
    true = np.where(np.arange(1500) < 100, 55.0, 30.0)
    background = np.where(ENERGY < 300, 1.2 * (ENERGY / 60.0) ** -1.0, 0.0)
    known = fit_thresholds(drawn(true, background, rng), SIGMA_KEV, offset_kev=true - true.mean())
    assert known.energy_kev[:100] == pytest.approx(np.full(100, 55.0), abs=1.5)
    assert known.energy_kev[100:] == pytest.approx(np.full(1400, 30.0), abs=1.5)
