from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from integral_oda.instrument.detector import active_pixels, module_map
from integral_oda.instrument.energy import resolution_sigma_kev
from integral_oda.simulation.plane import background_shape, draw_plane
from integral_oda.simulation.recipe import BackgroundModel, DetectorModel


def plane_of(seed=1, background=None, **values):
    return draw_plane(DetectorModel(**values), background or BackgroundModel(), np.random.default_rng(seed))


def test_a_clean_plane_records_everywhere():
    plane = plane_of(dead_time=0.25)
    np.testing.assert_array_equal(plane.live_fraction, np.where(active_pixels(), 0.75, 0.0))
    assert not plane.noisy.any()
    assert not plane.hot.any()
    np.testing.assert_array_equal(plane.gain, 1.0)
    assert (plane.recorded_fraction(np.array([16.0]), np.array([0]), 665) == 1).all()


def test_modules_that_are_off_record_nothing():
    live = plane_of(modules_off=(0, 5)).live_fraction
    assert not live[np.isin(module_map(), (0, 5))].any()
    assert live[np.isin(module_map(), (1, 2, 3, 4, 6, 7))].all()


def test_fractions_of_bad_pixels():
    plane = plane_of(dead_fraction=0.05, noisy_fraction=0.03, hot_fraction=0.02)
    active = active_pixels()
    for mask, fraction in ((active & ~plane.working, 0.05), (plane.noisy, 0.03), (plane.hot, 0.02)):
        assert mask.sum() == pytest.approx(16384 * fraction, abs=4 * np.sqrt(16384 * fraction))
        assert not (mask & ~active).any()
    assert not (plane.noisy & plane.hot).any()
    assert (plane.working | ~(plane.noisy | plane.hot)).all()


def test_half_of_the_events_pass_at_the_threshold():
    plane = plane_of(low_threshold_kev=25, low_threshold_spread_kev=2)
    pixel = np.flatnonzero(active_pixels())
    threshold = plane.low_threshold_kev.ravel()[pixel]
    assert threshold.std() == pytest.approx(2, rel=0.05)
    np.testing.assert_allclose(plane.recorded_fraction(threshold, pixel, 2559), 0.5)
    above = threshold + resolution_sigma_kev(threshold, 2559)
    np.testing.assert_allclose(plane.recorded_fraction(above, pixel, 2559), 0.8413, atol=1e-3)


def test_spreads_of_gain_and_dead_time():
    plane = plane_of(gain_spread=0.03, dead_time=0.3, dead_time_spread=0.02)
    assert plane.gain[active_pixels()].std() == pytest.approx(0.03, rel=0.05)
    assert plane.dead_time.std() == pytest.approx(0.02, rel=0.8)
    assert len(set(plane.dead_time)) == 8


def test_modules_have_the_gains_that_are_asked_for():
    plane = plane_of(module_gains=(1.03, *(1,) * 6, 0.9))
    assert set(plane.gain[module_map() == 0]) == {1.03}
    assert set(plane.gain[module_map() == 7]) == {0.9}
    assert set(plane.gain[module_map() == 3]) == {1.0}
    with pytest.raises(ValidationError, match="module_gains has 2 values; 8 are needed"):
        plane_of(module_gains=(1.03, 1.0))


def test_the_background_is_higher_at_the_edges_of_plane_and_modules():
    shape = background_shape(BackgroundModel(edge_excess=0.2), np.random.default_rng(1))
    assert shape[active_pixels()].mean() == pytest.approx(1)
    assert not shape[~active_pixels()].any()
    inner = shape[48, 30]
    assert shape[0, 0] > shape[34, 30] > inner
    assert shape[0, 0] / inner == pytest.approx(1.3, rel=0.03)


def test_spreads_of_the_background():
    generator = np.random.default_rng(1)
    model = BackgroundModel(edge_excess=0, module_spread=0.05, pixel_spread=0.1)
    shape = background_shape(model, generator)
    means = np.array([shape[module_map() == module].mean() for module in range(8)])
    assert 0.02 < means.std() < 0.1
    within = np.concatenate([shape[module_map() == module] / means[module] for module in range(8)])
    assert within.std() == pytest.approx(0.1, rel=0.05)


def test_a_seed_gives_one_plane():
    values = {"dead_fraction": 0.05, "low_threshold_kev": 20, "low_threshold_spread_kev": 1, "gain_spread": 0.01}
    first, again, other = plane_of(3, **values), plane_of(3, **values), plane_of(4, **values)
    np.testing.assert_array_equal(first.gain, again.gain)
    np.testing.assert_array_equal(first.working, again.working)
    assert (first.gain != other.gain).any()
