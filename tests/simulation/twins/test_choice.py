"""Choosing the windows of a twin."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integral_oda.errors import RequestError
from integral_oda.instrument.attitude import separation_deg
from integral_oda.simulation.twins.case import read_case
from integral_oda.simulation.twins.choice import choose_windows, spread

DAY_S = 86400.0


@given(st.integers(1, 60), st.data())
def test_things_are_spread_evenly_and_each_once(total, data):
    count = data.draw(st.integers(0, total))
    chosen = spread(total, count)
    assert len(set(chosen)) == count
    assert chosen == sorted(chosen)
    assert all(0 <= index < total for index in chosen)


@given(st.integers(4, 66))
def test_every_flare_of_v404_cyg_lies_in_the_middle_of_a_window(count):
    case = read_case("v404_cyg")
    windows = choose_windows(case, count)
    assert len(windows) == count
    half = case.duration_s / 2 / DAY_S
    for flare in case.events_mjd:
        assert min(abs(window.start_mjd + half - flare) for window in windows) < 1e-6


@given(st.integers(1, 50))
def test_the_crab_is_seen_so_often_in_every_year(count):
    windows = choose_windows(read_case("crab"), count)
    assert set(Counter(window.visit.label for window in windows).values()) == {count}
    assert len({window.visit.label for window in windows}) == 16


@pytest.mark.parametrize(("name", "count"), [("v404_cyg", 3), ("v404_cyg", 67), ("mrk421", 0), ("crab", 51)])
def test_more_windows_than_there_are_or_too_few_for_the_flares_are_refused(name, count):
    with pytest.raises(RequestError, match=f"windows = {count}: from"):
        choose_windows(read_case(name), count)


@pytest.mark.parametrize(("name", "farthest"), [("mrk421", 6.3), ("gx5_1", 8.01)])
def test_pointings_lie_around_the_target_as_far_as_the_pattern_goes(name, farthest):
    case = read_case(name)
    away = [separation_deg(w.ra, w.dec, case.ra, case.dec) for w in choose_windows(case, case.full)]
    assert max(away) < farthest
    assert len({round(a, 3) for a in away}) > 5
