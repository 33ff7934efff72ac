"""The step GTI with a time selection, and the step STATE."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from integral_oda.engines.native.events import GoodTime, Gti
from integral_oda.engines.native.graph import EVERYTHING, TimeSelection
from integral_oda.engines.native.timing import State
from integral_oda.errors import DataError
from integral_oda.instrument.energy import EnergyBand
from integral_oda.products.light_curve import LightCurve

T0 = 8320.0
EVENTS = SimpleNamespace(
    gti_ijd=np.array([[0.0, 100.0], [150.0, 200.0]]) / 86400 + T0,
    header={"SWID": "255900280010"},
    silence_ijd=np.zeros((0, 3)),
)


def at(*seconds):
    return [T0 + second / 86400 for second in seconds]


def seconds(good):
    return ((np.asarray(good.intervals_ijd) - T0) * 86400).round(3).tolist()


def selected(parameters, *states):
    return seconds(Gti().compute([EVENTS, *states], parameters, {}))


def test_without_a_selection_the_good_time_is_the_archives():
    assert selected({}) == [[0, 100], [150, 200]]
    assert EVERYTHING.parameters == {}


def test_intervals_cut_it():
    time = TimeSelection(intervals=(tuple(at(90, 160)), tuple(at(-50, 10))))
    assert selected(time.parameters) == [[0, 10], [90, 100], [150, 160]]


def test_phases_cut_it():
    time = TimeSelection(phase=(T0, 60.0, 0.5, 1.0))
    assert selected(time.parameters) == [[30, 60], [90, 100], [150, 180]]


def test_all_that_is_asked_holds_together():
    time = TimeSelection(intervals=(tuple(at(40, 170)),), phase=(T0, 60.0, 0.5, 1.0))
    state = GoodTime(np.array([at(45, 95), at(155, 158)]))
    assert selected(time.parameters, state) == [[45, 60], [90, 95], [155, 158]]


@pytest.mark.parametrize("intervals", [at(110, 140), at(99.5, 140), at(500, 600)])
def test_less_than_a_second_leaves_the_window_out(intervals):
    with pytest.raises(DataError, match="255900280010: the time selection leaves"):
        Gti().compute([EVENTS], {"intervals": [intervals]}, {})


def curve(rates):
    count = len(rates)
    middle, ones = np.array(at(*(10 * k + 5 for k in range(count)))), np.ones(count)
    return LightCurve(
        "Crab", 83.63, 22.01, EnergyBand(28, 80), middle, 10.0 * ones, np.array(rates), ones, ones, ones, ones, ones,
        keywords={"SWID": "255900280010"},
    )  # fmt: skip


def test_a_state_joins_the_bins_whose_rate_is_in_the_range():
    rates = [1.0, 5.0, 6.0, 20.0, np.nan, 7.0, 10.0]
    state = State().compute([[curve(rates)]], {"rate_range": [5, 10]}, {})
    assert seconds(state) == [[10, 30], [50, 70]]


def test_a_state_that_never_is_is_an_error():
    with pytest.raises(DataError, match="no bin of Crab has 50 to 60 counts/s"):
        State().compute([[curve([1.0, 2.0])]], {"rate_range": [50, 60]}, {})
