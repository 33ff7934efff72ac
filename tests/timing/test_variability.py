from __future__ import annotations

import numpy as np
import pytest

from integral_oda.timing.variability import excess_variance, fit_constant, fit_line, hardness_ratio, lomb_scargle


def test_a_constant_by_hand():
    fit = fit_constant(np.array([1.0, 3.0, np.nan]), np.array([1.0, 1.0, 1.0]))
    assert (fit.level, fit.chi2, fit.dof) == pytest.approx((2.0, 2.0, 1))
    assert fit.level_error == pytest.approx(0.5**0.5)
    assert fit.chance == pytest.approx(0.1573, abs=1e-4)


def test_weights_count():
    fit = fit_constant(np.array([0.0, 10.0]), np.array([1.0, 3.0]))
    assert fit.level == pytest.approx(1.0)


def test_a_line_by_hand():
    fit = fit_line(np.array([0.0, 1.0, 2.0]), np.array([1.0, 3.0, 5.0]), np.ones(3))
    assert (fit.slope_per_day, fit.level, fit.time_ijd, fit.chi2, fit.dof) == pytest.approx((2.0, 3.0, 1.0, 0.0, 1))
    assert fit.slope_error == pytest.approx(0.5**0.5)
    assert fit_line(np.array([1.0]), np.array([1.0]), np.ones(1)) is None


def test_excess_variance_of_noise_is_none_and_of_a_source_its_own():
    rng = np.random.default_rng(3)
    steady = [excess_variance(50 + rng.normal(0, 5, 200), np.full(200, 5.0)) for _ in range(200)]
    assert np.mean([x.value for x in steady]) == pytest.approx(0, abs=3e-4)
    assert np.std([x.value for x in steady]) == pytest.approx(np.mean([x.error for x in steady]), rel=0.2)
    varying = excess_variance(50 * (1 + 0.3 * np.sin(np.arange(1000))) + rng.normal(0, 5, 1000), np.full(1000, 5.0))
    assert varying.fractional_rms == pytest.approx(0.3 / 2**0.5, rel=0.05)
    assert excess_variance(np.array([-1.0, -2.0]), np.ones(2)) is None


def test_hardness_by_hand():
    ratio, error = hardness_ratio(
        np.array([1.0, 1.0]), np.array([0.1, 1.0]), np.array([3.0, -1.0]), np.array([0.1, 1.0])
    )
    assert ratio[0] == pytest.approx(0.5)
    assert error[0] == pytest.approx(2 / 16 * np.hypot(1 * 0.1, 3 * 0.1))
    assert np.isnan(ratio[1])


def test_hardness_scatters_as_its_error():
    rng = np.random.default_rng(8)
    soft, hard = 20 + rng.normal(0, 1, 4000), 30 + rng.normal(0, 1.5, 4000)
    ratio, error = hardness_ratio(soft, np.full(4000, 1.0), hard, np.full(4000, 1.5))
    assert np.std((ratio - 0.2) / error) == pytest.approx(1, abs=0.05)


def test_lomb_scargle_finds_a_period():
    rng, time = np.random.default_rng(9), np.sort(np.random.default_rng(9).uniform(0, 10, 300))
    rate = 10 + 3 * np.sin(2 * np.pi * time / 0.7) + rng.normal(0, 1, 300)
    frequency, power = lomb_scargle(time, rate, np.ones(300)).autopower(maximum_frequency=1e-4)
    assert 1 / frequency[np.argmax(power)] / 86400 == pytest.approx(0.7, rel=0.01)
