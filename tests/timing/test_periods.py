from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2, kstest

from integral_oda.timing.good_time import DAY_S
from integral_oda.timing.periods import Ephemeris, epoch_folding, fold_events, phase_exposure, z_search

START = 8320.6323
GTI = np.array([[START, START + 1000 / DAY_S], [START + 1200 / DAY_S, START + 3000 / DAY_S]])


def pulsed_events(rng, period_s, pulsed, rate=10.0, phase=0.2, derivative=0.0):
    """Arrival times of a sinusoidal pulsar in the good time."""
    trial = np.sort(rng.uniform(0, 3000, rng.poisson(rate * (1 + pulsed) * 3000)))
    turns = trial / period_s - 0.5 * derivative * (trial / period_s) ** 2
    kept = rng.random(len(trial)) * (1 + pulsed) < 1 + pulsed * np.sin(2 * np.pi * (turns + phase))
    kept &= (trial < 1000) | (trial > 1200)
    return START + trial[kept] / DAY_S


def test_phases_worked_out_by_hand():
    ephemeris = Ephemeris(10.0, 0.0, START)
    assert ephemeris.cycles(START + np.array([0.0, 2.5, 25.0]) / DAY_S) == pytest.approx([0, 0.25, 2.5], abs=1e-6)
    slowing = Ephemeris(10.0, 1e-3, START)
    assert slowing.cycles(START + np.array([1000.0]) / DAY_S) == pytest.approx([100 - 5], abs=1e-4)


@settings(max_examples=40)
@given(st.floats(0.05, 4000), st.integers(2, 30), st.sampled_from([0.0, 1e-7]))
def test_exposure_of_the_phases_is_the_good_time(period, n_bins, derivative):
    exposure = phase_exposure(Ephemeris(period, derivative, START - 1), GTI, n_bins)
    assert exposure.sum() == pytest.approx(2800, rel=1e-6)
    assert np.all(exposure >= -1e-6)


def test_exposure_of_a_long_period_is_what_was_seen():
    # 1000 s of one cycle of 2000 s: the first half of the phases
    exposure = phase_exposure(Ephemeris(2000.0, 0.0, START), GTI[:1], 4)
    assert exposure == pytest.approx([500, 500, 0, 0], abs=1e-3)


def test_a_pulsar_is_found_and_its_fraction_measured():
    pulls, fractions = [], []
    for seed in range(8):
        time = pulsed_events(np.random.default_rng(seed), 7.3, 0.4)
        found = z_search(time, np.ones(len(time)), (5.0, 10.0))
        assert found.false_alarm < 1e-6
        pulls.append((found.period_s - 7.3) / found.period_error_s)
        folded = fold_events(time, np.ones(len(time)), GTI, Ephemeris(found.period_s, 0.0, START))
        fractions.append((folded.pulsed - 0.4) / folded.pulsed_error)
        assert folded.chance < 1e-6
    assert np.std(pulls) < 1.8
    assert abs(np.mean(pulls)) < 1.2
    assert np.std(fractions) < 1.8
    assert abs(np.mean(fractions)) < 1.2


def test_a_derivative_brings_the_pulse_back():
    time = pulsed_events(np.random.default_rng(3), 2.0, 0.5, derivative=2e-6)
    right = fold_events(time, np.ones(len(time)), GTI, Ephemeris(2.0, 2e-6, START))
    wrong = fold_events(time, np.ones(len(time)), GTI, Ephemeris(2.0, 0.0, START))
    assert right.chi2 > wrong.chi2 + 100
    assert right.pulsed == pytest.approx(0.5, abs=4 * right.pulsed_error)


def test_noise_has_the_power_it_should():
    rng = np.random.default_rng(4)
    chances = []
    for _ in range(30):
        time = START + np.sort(rng.uniform(0, 3000, 20_000)) / DAY_S
        found = z_search(time, np.ones(20_000), (3.0, 30.0))
        chances.append(found.false_alarm)
        assert np.median(found.power) == pytest.approx(chi2.median(4), rel=0.2)
    assert min(chances) > 1e-3
    assert kstest(chances, "uniform").pvalue > 1e-4


def test_too_many_trials_are_refused():
    with pytest.raises(ValueError, match="too many"):
        z_search(START + np.arange(100.0), np.ones(100), (0.001, 1.0))


def test_epoch_folding_peaks_at_the_period():
    time = pulsed_events(np.random.default_rng(6), 7.3, 0.5)
    periods = np.linspace(7.2, 7.4, 81)
    power = epoch_folding(time, np.ones(len(time)), GTI, periods)
    assert periods[np.argmax(power)] == pytest.approx(7.3, abs=0.01)
    assert power.max() > 100
