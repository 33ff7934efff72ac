from __future__ import annotations

import numpy as np
import pytest

from integral_oda.instrument.deadtime import module_dead_fraction, veto_fraction


@pytest.mark.parametrize(("revolution", "deadc"), [(50, 0.776), (665, 0.691), (2559, 0.698)])
def test_live_share_is_that_of_osas_products(revolution, deadc):
    live = 1 - module_dead_fraction(np.full(8, 87.0), revolution)
    assert live == pytest.approx(np.full(8, deadc), abs=0.001)


def test_the_sample_windows_rates_give_its_live_share():
    # 2 480 435 events of 3574 s in eight modules; DEADC of OSA 11.2's products of revolution 2559 is 0.698.
    rate = 2480435 / 3574 / 8
    assert 1 - module_dead_fraction(np.array([rate]), 2559)[0] == pytest.approx(0.698, abs=0.02)


def test_a_busier_module_is_dead_longer():
    dead = module_dead_fraction(np.array([0.0, 100.0, 1000.0, 1e5]), 1000)
    assert np.all(np.diff(dead) > 0)
    assert dead[0] == pytest.approx(veto_fraction(1000))
    assert dead[-1] <= 1


def test_a_silent_module_loses_what_the_veto_takes_and_114_us_an_event_more():
    assert module_dead_fraction(np.array([100.0]), 665) == pytest.approx(
        1 - (1 - veto_fraction(665)) * np.exp(-100 * 114e-6)
    )


def test_the_veto_is_interpolated_inside_and_kept_outside_the_mission():
    assert veto_fraction(0) == veto_fraction(50)
    assert veto_fraction(3000) == veto_fraction(2559)
    assert veto_fraction(50) < veto_fraction(300) < veto_fraction(665)
