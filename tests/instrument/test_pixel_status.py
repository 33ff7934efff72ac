from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from integral_oda.instrument.detector import active_pixels, module_map
from integral_oda.instrument.pixel_status import (
    DUBIOUS,
    OFF,
    SWITCHED_OFF,
    SWITCHED_ON,
    on_grid,
    pixels_on,
    pixels_switched_off,
    threshold_kev,
    threshold_step,
    without_gaps,
)


@pytest.mark.parametrize("module", range(8))
def test_a_full_map_is_the_module_and_an_empty_one_is_nothing(module):
    full = pixels_on(np.full(256, 255, np.uint8), module)
    np.testing.assert_array_equal(full, module_map() == module)
    assert not pixels_on(np.zeros(256, np.uint8), module).any()


@given(st.integers(0, 7), st.integers(0, 255), st.integers(0, 7))
def test_every_bit_is_one_pixel_of_its_module(module, byte, bit):
    status = np.zeros(256, np.uint8)
    status[byte] = 1 << bit
    on = pixels_on(status, module)
    assert on.sum() == 1
    assert module_map()[on][0] == module


def test_thresholds_of_the_law():
    gain, step = np.full((134, 130), 2), np.full((134, 130), 14)
    threshold = threshold_kev(gain, step)
    assert threshold[module_map() == 0] == pytest.approx(1.0929 * 14 + 1.619)
    assert threshold[module_map() == 4] == pytest.approx(0.9666 * 14 + 1.1983)
    assert not threshold[~active_pixels()].any()
    assert not threshold_kev(gain, np.full((134, 130), 63)).any()


@pytest.mark.parametrize(
    ("flag", "switched", "off"),
    [(OFF, 50, True), (DUBIOUS, 50, False), (SWITCHED_OFF, 150, True), (SWITCHED_OFF, 250, False),
     (SWITCHED_ON, 150, True), (SWITCHED_ON, 50, False)],
)  # fmt: skip
def test_a_switch_counts_where_it_touches_the_window(flag, switched, off):
    plane = pixels_switched_off(
        np.array([70]), np.array([40]), np.array([flag]), np.array([switched], np.uint64), 100, 200
    )
    assert plane.sum() == int(off)
    assert plane[42, 72] == off


def test_the_gapless_plane_on_the_grid():
    plane = np.arange(128 * 128).reshape(128, 128)
    grid = on_grid(plane, fill=-1)
    assert (grid[~active_pixels()] == -1).all()
    assert grid[active_pixels()].tolist() == plane.ravel().tolist()
    assert np.array_equal(without_gaps(grid), plane)


@given(st.integers(0, 3), st.integers(0, 62))
def test_steps_of_thresholds_and_thresholds_of_steps(gain_index, step):
    gain = np.full((134, 130), gain_index)
    threshold = threshold_kev(gain, np.full((134, 130), step))
    assert (threshold_step(gain, threshold)[active_pixels()] == step).all()
    assert (threshold_step(gain, threshold + 0.4)[active_pixels()] == step).all()
