"""Coverage by drawing: the estimator's intervals at some counts a bin, the likelihood's at few."""

from __future__ import annotations

import numpy as np
import pytest

from integral_oda.timing.intervals import Moments, estimator_intervals, poisson_intervals
from integral_oda.timing.light_curve import Estimator, fit_bins

RNG = np.random.default_rng(20)
N_PIXELS = 400
SHADOWS = np.column_stack([RNG.random(N_PIXELS) > 0.5, RNG.random(N_PIXELS) > 0.5]) * RNG.uniform(0.5, 1, (N_PIXELS, 2))
BACKGROUND = RNG.uniform(0.5, 1.5, N_PIXELS)
FLUXES = np.array([2.0, 0.0])


def drawn(counts_a_bin, n_bins, seed):
    """Events of steady bins with so many counts each on average."""
    rng = np.random.default_rng(seed)
    expected = SHADOWS @ FLUXES + BACKGROUND
    live = counts_a_bin / expected.sum()
    number = rng.poisson(counts_a_bin * n_bins)
    pixels = rng.choice(N_PIXELS, number, p=expected / expected.sum())
    return rng.integers(0, n_bins, number), pixels, np.full(n_bins, live)


@pytest.mark.parametrize("counts", [12.0, 100.0, 3000.0])
@pytest.mark.parametrize("source", [0, 1])
def test_intervals_hold_the_truth_as_often_as_they_say(counts, source):
    n_bins = 6000
    estimator = Estimator.from_model(SHADOWS, BACKGROUND, FLUXES)
    rates = fit_bins(estimator, *drawn(counts, n_bins, 21))
    for level, share in ((0, 0.683), (1, 0.95)):
        inside = (rates.low[level, :, source] <= FLUXES[source]) & (FLUXES[source] <= rates.high[level, :, source])
        assert inside.mean() == pytest.approx(share, abs=0.02 if level == 0 else 0.01)


def test_errors_are_as_good_as_the_intervals():
    estimator = Estimator.from_model(SHADOWS, BACKGROUND, FLUXES)
    rates = fit_bins(estimator, *drawn(12.0, 6000, 22))
    pull = (rates.rate - FLUXES) / rates.error
    assert (np.abs(pull) < 1).mean(axis=0) == pytest.approx([0.683, 0.683], abs=0.02)
    assert (np.abs(pull) < 2).mean(axis=0) == pytest.approx([0.954, 0.954], abs=0.01)


def test_without_skewness_the_interval_is_the_gaussian_one():
    moments = Moments(np.eye(2) * 4.0, np.zeros((2, 2)), np.zeros((2, 2)))
    low, high = estimator_intervals(np.array([[10.0]]), [0], np.array([[10.0, 1.0]]), moments, np.array([1e6]))
    sigma = np.sqrt(4.0 * 10 / 1e6)
    assert low[:, 0, 0] == pytest.approx([10 - sigma, 10 - 1.96 * sigma], rel=1e-4)
    assert high[:, 0, 0] == pytest.approx([10 + sigma, 10 + 1.96 * sigma], rel=1e-4)


def test_likelihood_of_one_pixel_is_that_of_a_poisson_mean():
    # Without background, n events at rate r: ln L = n ln r - r; by hand for n = 0 and n = 4.
    ones = np.ones(4)
    low, high = poisson_intervals(ones, 1e-9 * ones, np.ones(4, dtype=int), np.ones(2), (1.0, np.zeros(2)))
    assert (low[0, 0], high[0, 0], high[1, 0]) == pytest.approx((0.0, 0.5, 1.92), abs=1e-3)
    for level, drop in ((0, 0.5), (1, 1.959964**2 / 2)):
        for end in (low[level, 1], high[level, 1]):
            assert 4 * np.log(end / 4) - (end - 4) == pytest.approx(-drop, abs=1e-3)
    assert low[0, 1] < 4 < high[0, 1]


def test_few_counts_are_covered_by_the_likelihood():
    flux, n_bins, live = 2.0, 4000, 3.0 / (SHADOWS[:, 0] * 2.0 + BACKGROUND).sum()
    rng = np.random.default_rng(23)
    expected = SHADOWS[:, 0] * flux + BACKGROUND
    number = rng.poisson(3.0 * n_bins)
    pixels, bins = rng.choice(N_PIXELS, number, p=expected / expected.sum()), rng.integers(0, n_bins, number)
    totals = (float(SHADOWS[:, 0].sum()), np.full(n_bins, BACKGROUND.sum()))
    low, high = poisson_intervals(SHADOWS[pixels, 0], BACKGROUND[pixels], bins, np.full(n_bins, live), totals)
    inside = ((low <= flux) & (flux <= high)).mean(axis=1)
    assert 0.62 < inside[0] < 0.85
    assert 0.93 < inside[1] < 0.99
