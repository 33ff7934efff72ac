from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from integral_oda.instrument.detector import active_pixels, module_map
from integral_oda.instrument.efficiency_table import EfficiencyTable
from integral_oda.instrument.response import osa_channel_edges_kev

EDGES = osa_channel_edges_kev()[:-1]


def turning_on(energy_kev):
    return norm.cdf((EDGES - energy_kev) / 3.0)


@given(st.floats(18, 60))
def test_half_energy_of_a_turn_on(energy_kev):
    table = EfficiencyTable(groups={14: turning_on(energy_kev)})
    assert table.half_energy_kev(0, 14) == pytest.approx(energy_kev, abs=0.1)


def test_a_module_that_is_less_efficient_reaches_one_half_later():
    table = EfficiencyTable(modules={3: np.full(256, 0.8)}, groups={14: turning_on(30.0)})
    assert table.half_energy_kev(3, 14) == pytest.approx(30 + 3 * norm.ppf(0.5 / 0.8), abs=0.1)
    assert table.half_energy_kev(2, 14) == pytest.approx(30, abs=0.1)


def test_no_half_energy_without_a_turn_on():
    table = EfficiencyTable(modules={1: np.full(256, 0.4)}, groups={14: turning_on(30.0), 15: np.ones(256)})
    assert np.isnan([table.half_energy_kev(1, 14), table.half_energy_kev(0, 15), table.half_energy_kev(0, 16)]).all()


def test_a_row_of_thresholds_names_the_groups():
    mapping = np.zeros(256)
    mapping[:2] = 15.8, 16.9
    rows = np.stack([mapping, turning_on(24.0), turning_on(26.0)])
    table = EfficiencyTable.from_rows(np.array([1, 1, 1]), np.array([-2, 0, 1]), rows)
    assert table.group_kev.tolist() == [15.8, 16.9]
    assert [table.group_of(13, law) for law in (15.7, 17.0, 18.2)] == [0, 1, -1]
    assert table.half_energy_kev(0, table.group_of(13, 16.9)) == pytest.approx(26, abs=0.1)


def test_pixels_that_the_table_leaves_out_keep_their_distance_from_the_others():
    table = EfficiencyTable(groups={14: turning_on(30.0), 15: turning_on(31.5)})
    step = np.where(module_map() == 2, 15, np.where(module_map() == 6, 20, 14))
    law = np.where(module_map() == 0, 0.0, 17.0) * active_pixels() + np.where(module_map() == 6, 6.0, 0.0)
    threshold = table.thresholds_kev(step, law)
    expected = {0: 0.0, 1: 30.0, 2: 31.5, 6: 36.0, -1: 0.0}
    for module, value in expected.items():
        assert threshold[module_map() == module] == pytest.approx(value, abs=0.1)


def test_a_table_of_nothing_changes_nothing():
    law = np.where(active_pixels(), 17.0, 0.0)
    assert np.array_equal(EfficiencyTable().thresholds_kev(np.full((134, 130), 14), law), law)
