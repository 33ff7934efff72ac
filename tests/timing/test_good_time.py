from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from integral_oda.timing.good_time import gaps, intersect, phase_intervals, total_s, union

DAY_S = 86400.0
EMPTY = np.empty((0, 2))


def listed(intervals):
    return [tuple(pair) for pair in np.asarray(intervals).tolist()]


@pytest.mark.parametrize(
    ("given_intervals", "expected"),
    [
        ([], []),
        ([(1, 2)], [(1, 2)]),
        ([(5, 6), (1, 2)], [(1, 2), (5, 6)]),
        ([(1, 3), (2, 4)], [(1, 4)]),
        ([(1, 2), (2, 3)], [(1, 3)]),
        ([(1, 9), (2, 3), (4, 5), (10, 11)], [(1, 9), (10, 11)]),
        ([(1, 1), (3, 2), (4, 5)], [(4, 5)]),
    ],
)
def test_union_worked_out_by_hand(given_intervals, expected):
    assert listed(union(given_intervals)) == expected


def test_union_closes_gaps_that_are_short():
    second = 1 / DAY_S
    intervals = [(0, second), (1.5 * second, 2 * second), (4 * second, 5 * second)]
    assert len(union(intervals)) == 3
    assert listed(union(intervals, closer_than_s=1)) == [(0, 2 * second), (4 * second, 5 * second)]


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ([(0, 10)], [(2, 3), (5, 20)], [(2, 3), (5, 10)]),
        ([(0, 1), (2, 3), (4, 5)], [(0.5, 4.5)], [(0.5, 1), (2, 3), (4, 4.5)]),
        ([(0, 4), (6, 9)], [(1, 2), (3, 7), (8, 8.5)], [(1, 2), (3, 4), (6, 7), (8, 8.5)]),
        ([(0, 1)], [(1, 2)], []),
        ([(0, 1)], [(5, 6)], []),
    ],
)
def test_intersection_worked_out_by_hand(a, b, expected):
    a, b = np.array(a, dtype=float), np.array(b, dtype=float)
    assert listed(intersect(a, b)) == listed(intersect(b, a)) == expected


def test_nothing_meets_nothing():
    some = np.array([[1.0, 2.0]])
    assert listed(intersect(EMPTY, some)) == listed(intersect(some, EMPTY)) == listed(union(EMPTY)) == []
    assert total_s(EMPTY) == 0


def test_gaps_are_what_is_left():
    good = np.array([[1.0, 2.0], [3.0, 4.0], [8.0, 12.0]])
    assert listed(gaps(good, 0, 10)) == [(0, 1), (2, 3), (4, 8)]
    assert listed(gaps(good, 1, 4)) == [(2, 3)]
    assert listed(gaps(EMPTY, 1, 4)) == [(1, 4)]


sets_of_seconds = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)).map(sorted), max_size=8)


def ticks(intervals):
    """Which whole seconds a list of intervals covers."""
    tick = np.arange(60) + 0.5
    inside = [(tick > start) & (tick < stop) for start, stop in np.asarray(intervals, dtype=float).reshape(-1, 2)]
    return np.any(inside, axis=0) if inside else np.zeros(60, dtype=bool)


@given(sets_of_seconds, sets_of_seconds)
def test_the_algebra_is_that_of_sets(a, b):
    one, other = union(a), union(b)
    assert ticks(one).tolist() == ticks(a).tolist()
    assert ticks(union([*a, *b])).tolist() == (ticks(a) | ticks(b)).tolist()
    both = intersect(one, other)
    assert ticks(both).tolist() == (ticks(a) & ticks(b)).tolist()
    assert np.all(np.diff(both.ravel()) >= 0)
    assert total_s(both) == pytest.approx((ticks(a) & ticks(b)).sum() * DAY_S)
    assert total_s(one) + total_s(gaps(one, 0, 60)) == pytest.approx(60 * DAY_S)
    assert not ticks(intersect(one, gaps(one, 0, 60))).any()


def test_phases_worked_out_by_hand():
    second = 1 / DAY_S
    found = phase_intervals((0, 25 * second), 3 * second, 10.0, (0.0, 0.2)) * DAY_S
    assert found == pytest.approx(np.array([[3, 5], [13, 15], [23, 25]]))
    wrapped = phase_intervals((0, 20 * second), 3 * second, 10.0, (0.9, 0.1)) * DAY_S
    assert wrapped == pytest.approx(np.array([[2, 4], [12, 14]]))
    cut = phase_intervals((4.5 * second, 12.5 * second), -97 * second, 10.0, (0.9, 0.1)) * DAY_S
    assert cut == pytest.approx(np.array([[12, 12.5]]))


@given(st.floats(0.5, 500), st.floats(-1e4, 1e4), st.integers(0, 20), st.integers(0, 20), st.integers(1, 2000))
def test_times_of_a_phase_show_it(period, epoch_s, start, stop, length_s):
    phases = (start / 20, stop / 20)
    span = (0.0, length_s / DAY_S)
    times = np.linspace(*span, 4001)[1:-1]
    phase = (times * DAY_S - epoch_s) / period % 1
    lower, width = phases[0] % 1, (phases[1] - phases[0]) % 1 or 1.0
    offset = (phase - lower) % 1
    found = phase_intervals(span, epoch_s / DAY_S, period, phases)
    inside = np.searchsorted(found.ravel(), times, side="right") % 2 == 1
    clear = (np.abs(offset - width) > 1e-6) & (offset > 1e-6) & (offset < 1 - 1e-6)
    assert np.array_equal(inside[clear], (offset < width)[clear])


@given(st.floats(0.5, 500), st.floats(-1e4, 1e4), st.integers(1, 19))
def test_complementary_phases_share_the_time_out(period, epoch_s, cut):
    span = (0.0, 1000 / DAY_S)
    one = phase_intervals(span, epoch_s / DAY_S, period, (0.0, cut / 20))
    other = phase_intervals(span, epoch_s / DAY_S, period, (cut / 20, 1.0))
    assert total_s(one) + total_s(other) == pytest.approx(1000, rel=1e-6)
    assert total_s(intersect(one, other)) < 1e-3


def test_a_whole_turn_is_all_the_time():
    found = phase_intervals((5.0, 6.0), 0.0, 3600.0, (0.0, 1.0))
    assert listed(found) == [(5.0, 6.0)]
