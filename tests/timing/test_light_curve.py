from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from integral_oda.instrument.detector import OPEN_PIXELS, active_pixels
from integral_oda.instrument.pif import pixel_illumination
from integral_oda.timing.binning import fixed_edges, good_time_per_bin
from integral_oda.timing.good_time import DAY_S
from integral_oda.timing.light_curve import Estimator, PartialPlane, fit_bins

START = 8320.6323
PLACES = [(0.03, -0.05), (-0.08, 0.02)]
N_PIXELS = 16384


def seconds(*values):
    return START + np.array(values, dtype=float) / DAY_S


def good_time(edges_s, intervals_s):
    intervals = seconds(*np.ravel(intervals_s)).reshape(-1, 2)
    return good_time_per_bin(seconds(*edges_s), intervals)


@pytest.mark.parametrize(
    ("edges", "intervals", "expected"),
    [
        ([0, 10, 20], [[0, 20]], [10, 10]),
        ([0, 10, 20], [[0, 10], [10, 20]], [10, 10]),
        ([0, 10, 20], [[5, 15]], [5, 5]),
        ([0, 10, 20], [[12, 14]], [0, 2]),
        ([0, 10, 20], [[10, 20]], [0, 10]),
        ([0, 10, 20], [[-50, -40], [3, 4], [6, 12], [19, 60]], [5, 3]),
        ([0, 10, 20], [[-5, 25]], [10, 10]),
        ([0, 10, 20], [[30, 40]], [0, 0]),
        ([0, 10, 20], [[-30, -10]], [0, 0]),
        ([-100, 100], [[-10, 5], [7, 9]], [17]),
        ([2, 3, 4, 8], [[0, 2.5], [3.5, 5], [6, 7]], [0.5, 0.5, 2]),
    ],
)
def test_good_time_worked_out_by_hand(edges, intervals, expected):
    assert good_time(edges, intervals) == pytest.approx(expected, abs=1e-4)


spans = st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40)), min_size=1, max_size=6)


@given(st.lists(st.integers(0, 200), min_size=2, max_size=8, unique=True), spans)
def test_good_time_is_a_sum_over_single_seconds(edges, lengths):
    edges = sorted(edges)
    boundaries = np.cumsum(np.ravel(lengths))
    intervals = boundaries.reshape(-1, 2)
    tick = np.arange(0, 500) + 0.5
    good = np.any([(tick > start) & (tick < stop) for start, stop in intervals], axis=0)
    expected = [good[(tick > a) & (tick < b)].sum() for a, b in pairwise(edges)]
    assert good_time(edges, intervals) == pytest.approx(expected, abs=1e-3)


def test_edges_of_equal_bins_end_with_the_last_moment():
    edges = fixed_edges(*seconds(0, 3574), 1000)
    assert (edges - START) * DAY_S == pytest.approx([0, 1000, 2000, 3000, 3574], abs=1e-4)


@pytest.mark.parametrize(
    ("length", "width", "bins"), [(1000, 1000, 1), (1000, 100, 10), (100, 1000, 1), (1000.001, 500, 3)]
)
def test_number_of_bins(length, width, bins):
    assert len(fixed_edges(*seconds(0, length), width)) == bins + 1


@given(st.floats(1000, 9999), st.integers(1, 3600), st.sampled_from([0.1, 1.0, 10.0, 100.0]))
def test_rounding_makes_no_bin_of_its_own(start, bins, width):
    assert len(fixed_edges(start, start + bins * width / DAY_S, width)) == bins + 1


@given(st.floats(0.1, 5000), st.floats(0.1, 2000))
def test_edges_rise_and_cover_the_time(length, width):
    start, stop = seconds(0, length)
    edges = fixed_edges(start, stop, width)
    assert (edges[0], edges[-1]) == (start, stop)
    assert np.all(np.diff(edges) > 0)
    assert np.all(np.diff(edges) * DAY_S <= width + 1e-4)


@pytest.fixture(scope="module")
def shadows():
    return np.stack([pixel_illumination(*place)[active_pixels()] / OPEN_PIXELS for place in PLACES], axis=1)


@pytest.fixture(scope="module")
def background():
    return np.random.default_rng(71).uniform(0.5, 1.5, N_PIXELS) * 130.0 / N_PIXELS


@pytest.fixture(scope="module")
def estimator(shadows, background):
    return Estimator.from_model(shadows, background, np.array([30.0, 10.0]))


def test_the_expected_counts_give_the_rates_exactly(estimator, shadows, background):
    rates = np.array([12.0, 345.0, 1.7])
    expected = np.column_stack([shadows, background]) @ rates
    assert expected @ estimator.weights == pytest.approx(rates)


def drawn(rng, expected_per_s, live_s):
    """Events of bins of the live time given: bin and pixel of each."""
    counts = rng.poisson(np.outer(live_s, expected_per_s))
    bins, pixels = np.nonzero(counts)
    repeat = counts[bins, pixels]
    return np.repeat(bins, repeat), np.repeat(pixels, repeat)


def test_rates_are_unbiased_at_a_tenth_of_a_count_a_bin(estimator, shadows, background):
    # 130 counts/s of background and 40 of sources: bins of 0.6 ms hold 0.1 counts.
    rng, fluxes, width, n_bins = np.random.default_rng(72), np.array([30.0, 10.0]), 0.6e-3, 300000
    expected = shadows @ fluxes + background
    n_events = rng.poisson(expected.sum() * width * n_bins)
    pixels = rng.choice(N_PIXELS, n_events, p=expected / expected.sum())
    rates = fit_bins(estimator, rng.integers(0, n_bins, n_events), pixels, np.full(n_bins, width))
    assert rates.counts.mean() == pytest.approx(0.1, rel=0.1)
    error = rates.rate.std(axis=0) / np.sqrt(n_bins)
    assert np.all(np.abs(rates.rate.mean(axis=0) - fluxes) < 4 * error)
    assert np.all(error < 3)
    assert rates.background.mean() == pytest.approx(1, abs=0.1)


def test_errors_are_the_scatter(estimator, shadows, background):
    rng, fluxes = np.random.default_rng(73), np.array([30.0, 10.0])
    live = np.full(400, 20.0)
    bins, pixels = drawn(rng, shadows @ fluxes + background, live)
    rates = fit_bins(estimator, bins, pixels, live)
    pulls = (rates.rate - fluxes) / rates.error
    assert pulls.mean(axis=0) == pytest.approx([0, 0], abs=0.25)
    assert pulls.std(axis=0) == pytest.approx([1, 1], abs=0.15)
    background_pulls = (rates.background - 1) / rates.background_error
    assert background_pulls.std() == pytest.approx(1, abs=0.15)


def test_a_burst_is_measured_in_its_bin_alone(estimator, shadows, background):
    rng, live = np.random.default_rng(74), np.full(30, 0.1)
    bins, pixels = drawn(rng, background, live)
    burst_bins, burst_pixels = drawn(rng, shadows[:, 0] * 8000.0, live[:1])
    rates = fit_bins(estimator, np.concatenate([bins, burst_bins + 7]), np.concatenate([pixels, burst_pixels]), live)
    assert rates.rate[7, 0] == pytest.approx(8000, abs=4 * rates.error[7, 0])
    assert rates.rate[7, 0] / rates.error[7, 0] > 10
    others = np.delete(np.arange(30), 7)
    assert np.all(np.abs(rates.rate[others, 0]) < 5 * rates.error[others, 0])


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1), st.lists(st.floats(0.01, 50), min_size=2, max_size=6))
def test_bins_add_up_to_the_whole(seed, live):
    rng = np.random.default_rng(seed)
    live = np.array(live)
    estimator = Estimator.from_model(rng.uniform(0, 1e-4, (200, 2)), rng.uniform(0.5, 1.5, 200), np.array([5.0, 0.0]))
    bins, pixels = rng.integers(0, len(live), 300), rng.integers(0, 200, 300)
    parts = fit_bins(estimator, bins, pixels, live)
    whole = fit_bins(estimator, np.zeros(300, int), pixels, live.sum(keepdims=True))
    scale = np.abs(parts.rate * live[:, None]).sum(axis=0)
    assert np.all(np.abs((parts.rate * live[:, None]).sum(axis=0) - whole.rate[0] * live.sum()) < 1e-9 * scale)
    assert parts.background @ live == pytest.approx(whole.background[0] * live.sum(), rel=1e-9)
    assert parts.counts.sum() == whole.counts[0] == 300


def test_a_bin_without_live_time_has_no_rate(estimator):
    rates = fit_bins(estimator, np.array([0, 2]), np.array([5, 6]), np.array([1.0, 0.0, 1.0]))
    assert np.isnan(rates.rate[1]).all()
    assert np.isnan(rates.error[1]).all()
    assert np.isfinite(rates.rate[[0, 2]]).all()


def test_an_empty_bin_has_rate_zero_and_an_error(estimator):
    rates = fit_bins(estimator, np.array([0]), np.array([5]), np.array([1.0, 1.0]))
    assert rates.counts.tolist() == [1, 0]
    assert rates.rate[1].tolist() == [0, 0]
    assert np.all(rates.error[1] > 0)


def test_modules_that_are_off_do_not_bias(estimator, shadows, background):
    module = np.arange(N_PIXELS) * 8 // N_PIXELS
    fluxes = np.array([30.0, 10.0])
    expected = (shadows @ fluxes + background) * 1000.0
    on = np.ones((8, 3))
    on[[1, 4], 1] = 0.0
    on[:, 2] = 0.0
    counts = expected * on[module].T
    sums = counts @ estimator.weights / 1000.0
    rates, share = PartialPlane(module, on).corrected(estimator, sums)
    assert rates[0] == pytest.approx([30, 10, 1], rel=1e-6)
    assert rates[1] == pytest.approx([30, 10, 1], rel=1e-6)
    assert np.isnan(rates[2]).all()
    assert share.tolist() == [1, 0.75, 0]
