"""Longer bins: totals are kept, errors are those of the sum."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from integral_oda.instrument.energy import EnergyBand
from integral_oda.products.joining import rebin_curve
from integral_oda.products.light_curve import LightCurve


def curve_of(rate, error, live_s, width_s=10.0, common=0.0):
    n = len(rate)
    time = 8000.0 + (np.arange(n) + 0.5) * width_s / 86400
    zero = np.zeros(n)
    live = np.broadcast_to(np.asarray(live_s, dtype=float), n).copy()
    return LightCurve("x", 10.0, 20.0, EnergyBand(20, 40), time, np.full(n, width_s), np.asarray(rate, dtype=float),
                      np.broadcast_to(np.asarray(error, dtype=float), n).copy(), live / width_s, np.full(n, 7.0), zero,
                      zero, common_error=np.full(n, common), live_time_s=live)  # fmt: skip


def test_a_burst_keeps_its_counts_whatever_its_error():
    merged = rebin_curve(curve_of([0.0, 100.0], [1.0, 20.0], [8.0, 4.0]), 20.0)
    assert merged.rate == pytest.approx([400 / 12])
    assert merged.error == pytest.approx([np.hypot(8, 80) / 12])
    assert (merged.width_s[0], merged.counts[0]) == (pytest.approx(20.0, abs=1e-4), 14.0)


def test_the_error_that_bins_share_does_not_shrink():
    merged = rebin_curve(curve_of(np.ones(100), np.hypot(3.0, 0.4), 8.0, common=0.4), 1000.0)
    assert merged.error == pytest.approx([np.hypot(0.3, 0.4)])
    assert merged.common_error == pytest.approx([0.4])


def test_bins_without_live_time_are_left_out():
    data = curve_of([1.0, np.nan, 3.0, 5.0], 1.0, [8.0, 8.0, 0.0, 8.0])
    assert rebin_curve(data, 20.0).rate == pytest.approx([1.0, 5.0])
    assert len(rebin_curve(replace(data, live_time_s=np.zeros(4)), 20.0)) == 0


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=60), st.integers(1, 70))
def test_the_sum_of_rate_times_live_time_is_kept(rates, factor):
    live = 5 + 3 * np.abs(np.sin(np.arange(len(rates))))
    data = curve_of(rates, 2.0, live)
    merged = rebin_curve(data, 10.0 * factor)
    assert (merged.rate * merged.live_time_s).sum() == pytest.approx((data.rate * live).sum(), abs=1e-6)
    assert len(merged) == -(-len(rates) // factor)


def test_scatter_of_merged_bins_is_their_error():
    generator = np.random.default_rng(7)
    live = generator.uniform(4, 9, 40_000)
    error = 3 / np.sqrt(live)
    merged = rebin_curve(curve_of(generator.normal(5, error), error, live), 200.0)
    assert ((merged.rate - 5) / merged.error).std() == pytest.approx(1, abs=0.04)
