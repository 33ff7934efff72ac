from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from integral_oda.timing.binning import (
    block_edges,
    good_time_before,
    good_time_per_bin,
    live_fraction,
    silences,
    touches,
)
from integral_oda.timing.good_time import DAY_S

START = 8320.6323
DEAD_S = 114e-6


def seconds(*values):
    return START + np.array(values, dtype=float) / DAY_S


def intervals(*pairs):
    return seconds(*np.ravel(pairs)).reshape(-1, 2)


def test_good_time_before_a_moment():
    good = intervals((0, 10), (20, 30))
    found = good_time_before(seconds(-5, 0, 4, 10, 15, 21, 30, 99), good)
    assert found == pytest.approx([0, 0, 4, 10, 10, 11, 20, 20], abs=1e-4)


def test_a_steady_module_is_live_as_the_window_says():
    time = np.sort(np.random.default_rng(1).uniform(START, START + 1000 / DAY_S, 100_000))
    module = np.zeros(len(time), dtype=np.uint8)
    edges = seconds(*range(0, 1001, 100))
    live = live_fraction(edges, intervals((0, 1000)), time, module, np.array([0.3, 0.25]), DEAD_S)
    assert live.shape == (2, 10)
    assert live[0] == pytest.approx(0.7, rel=1e-3)
    assert np.all(live[1] == 0.75)


def test_a_burst_takes_its_own_live_time():
    # 3000 events in one second take 0.342 s of the module; elsewhere there is one event a second.
    quiet, burst = np.arange(0.5, 100), 50 + np.linspace(0, 0.999, 3000)
    time = seconds(*np.sort(np.concatenate([quiet, burst])))
    module = np.zeros(len(time), dtype=np.uint8)
    live = live_fraction(seconds(*range(101)), intervals((0, 100)), time, module, np.array([0.3]), DEAD_S)[0]
    mean = 1 - len(time) * DEAD_S / 100
    assert live[50] == pytest.approx(0.7 * (1 - 3001 * DEAD_S) / mean, rel=1e-3)
    assert np.delete(live, 50) == pytest.approx(0.7 * (1 - DEAD_S) / mean, rel=1e-3)


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.floats(0.5, 50))
def test_live_time_of_bins_adds_up(seed, width):
    rng = np.random.default_rng(seed)
    good = intervals((0, 120), (130, 300))
    time = np.sort(rng.uniform(START, START + 300 / DAY_S, 5000))
    edges = np.append(np.arange(START, START + 300 / DAY_S, width / DAY_S), START + 300 / DAY_S)
    live = live_fraction(edges, good, time, np.zeros(5000, dtype=np.uint8), np.array([0.2]), DEAD_S)[0]
    total = (live * good_time_per_bin(edges, good)).sum()
    assert total == pytest.approx(0.8 * 290, rel=2e-3)


def test_silences_are_what_chance_does_not_make():
    time = np.concatenate([np.arange(0, 100, 0.01), np.arange(102, 200, 0.01)])
    found = (silences(seconds(*time)) - START) * DAY_S
    assert found == pytest.approx(np.array([[99.99, 102.0]]), abs=1e-3)
    assert len(silences(seconds(1.0))) == 0


@pytest.mark.parametrize(
    ("stretches", "expected"),
    [
        ([], [0, 0, 0]),
        ([(2, 3)], [1, 0, 0]),
        ([(9, 11)], [1, 1, 0]),
        ([(-5, -1), (25, 99)], [0, 0, 1]),
        ([(3, 4), (5, 6), (21, 22)], [1, 0, 1]),
    ],
)
def test_bins_that_touch(stretches, expected):
    given_intervals = intervals(*stretches) if stretches else np.zeros((0, 2))
    assert touches(seconds(0, 10, 20, 30), given_intervals).tolist() == [bool(value) for value in expected]


def test_blocks_find_a_step_and_only_that():
    rng, edges = np.random.default_rng(5), seconds(*range(201))
    rate = np.where(np.arange(200) < 80, 10.0, 20.0) + rng.normal(0, 3, 200)
    blocks = block_edges(edges, rate, np.full(200, 3.0))
    assert len(blocks) == 3
    assert (blocks[1] - START) * DAY_S == pytest.approx(80, abs=2.5)
    steady = block_edges(edges, 10 + rng.normal(0, 3, 200), np.full(200, 3.0))
    assert steady.tolist() == [edges[0], edges[-1]]


def test_blocks_take_no_notice_of_bins_without_a_rate():
    rate = np.where(np.arange(100) < 50, 0.0, 50.0)
    rate[[3, 49, 50, 70]] = np.nan
    blocks = block_edges(seconds(*range(101)), rate, np.ones(100))
    assert len(blocks) == 3
    assert (blocks[1] - START) * DAY_S == pytest.approx(50, abs=2)
