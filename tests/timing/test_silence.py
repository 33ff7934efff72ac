from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from integral_oda.timing.silence import ALL_MODULES, find_silence, module_on_fraction

DAY_S = 86400.0
START = 8320.5


def events(rate_s, length_s, seed=1, without=lambda t, m: np.zeros(len(t), dtype=bool)):
    rng = np.random.default_rng(seed)
    t = np.sort(rng.uniform(0, length_s, rng.poisson(rate_s * length_s)))
    m = rng.integers(0, 8, len(t))
    kept = ~without(t, m)
    return START + t[kept] / DAY_S, m[kept]


def seconds(silence):
    return (silence[:, 1:] - START) * DAY_S


def test_a_steady_rate_is_never_silent():
    for rate in (5.0, 60.0, 700.0):
        assert not len(find_silence(*events(rate, 2000)))


@settings(max_examples=15)
@given(st.integers(0, 10**6), st.floats(100, 800), st.floats(2.0, 60.0))
def test_a_telemetry_gap_is_found_where_it_is(seed, start, length):
    time, module = events(600, 1000, seed, lambda t, m: (t > start) & (t < start + length))
    silence = find_silence(time, module)
    together = silence[silence[:, 0] == ALL_MODULES]
    assert len(together) == 1
    assert seconds(together)[0] == pytest.approx([start, start + length], abs=0.1)


def test_bursts_make_no_gaps():
    time, module = events(100, 2000)
    burst = START + np.sort(np.random.default_rng(3).uniform(500, 501, 50_000)) / DAY_S
    time = np.concatenate([time, burst])
    order = np.argsort(time)
    module = np.concatenate([module, np.random.default_rng(4).integers(0, 8, 50_000)])[order]
    assert not len(find_silence(time[order], module))


def test_a_module_that_goes_off_counts_for_less():
    time, module = events(700, 2000, 5, lambda t, m: (m == 3) & (t > 1500))
    on = module_on_fraction(find_silence(time, module), np.array([[START, START + 2000 / DAY_S]]))
    assert on[3] == pytest.approx(0.75, abs=0.003)
    assert np.delete(on, 3).tolist() == [1.0] * 7


def test_a_module_without_events_is_off():
    time, module = events(700, 500, 6, lambda t, m: m == 0)
    on = module_on_fraction(find_silence(time, module), np.array([[START, START + 500 / DAY_S]]))
    assert on[0] == pytest.approx(0, abs=0.01)
    assert on[1] == 1


def test_few_events_say_nothing():
    assert find_silence(np.array([START]), np.array([0])).shape == (0, 3)
    assert find_silence(np.array([]), np.array([], dtype=int)).shape == (0, 3)
