"""What the browser gets: few pixels, one byte each, no peak lost."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from integral_widgets import display


@given(rows=st.integers(1, 70), columns=st.integers(1, 70), limit=st.integers(1, 3000), seed=st.integers(0, 2**32 - 1))
def test_peak_pixels_keep_the_highest_and_obey_the_limit(rows, columns, limit, seed):
    significance = np.random.default_rng(seed).normal(size=(rows, columns))
    at = display.peak_pixels(significance, limit)
    side = int(np.ceil(np.sqrt(rows * columns / limit)))
    assert at[0].shape == (-(-rows // side), -(-columns // side))
    assert significance[at].max() == significance.max()
    assert at[0].max() < rows
    assert at[1].max() < columns


def test_a_small_image_is_drawn_pixel_by_pixel():
    significance = np.arange(12.0).reshape(3, 4)
    assert np.array_equal(significance[display.peak_pixels(significance, 12)], significance)


def test_unobserved_pixels_never_hide_observed_ones():
    significance = np.full((4, 4), np.nan)
    significance[1, 1] = -3.0
    assert significance[display.peak_pixels(significance, 1)] == [[-3.0]]


@pytest.mark.parametrize("stretch", ["linear", "asinh", "log"])
def test_colours_grow_with_the_value_and_end_at_the_limits(stretch):
    levels = display.colour_levels(np.linspace(-10, 30, 500), -3.0, 15.0, stretch)
    assert levels.dtype == np.uint8
    assert levels[0] == 0
    assert levels[-1] == 254
    assert (np.diff(levels.astype(int)) >= 0).all()


def test_missing_values_have_a_colour_of_their_own():
    assert display.colour_levels(np.array([np.nan, np.inf, 1.0]), 0, 1).tolist() == [255, 255, 254]


@given(n=st.integers(1, 5000), limit=st.integers(2, 400), seed=st.integers(0, 2**32 - 1))
def test_decimation_keeps_the_highest_and_the_lowest_bin(n, limit, seed):
    rate = np.random.default_rng(seed).normal(size=n)
    kept = display.extremes(rate, limit)
    assert len(kept) <= max(limit, 2)
    assert {rate.argmax(), rate.argmin()} <= set(kept) or n <= limit
    assert (np.diff(kept) > 0).all()


def test_decimation_steps_over_missing_bins():
    rate = np.full(1000, np.nan)
    rate[::10] = np.arange(100)
    kept = display.extremes(rate, 20)
    assert np.isfinite(rate[kept]).all()


def test_steps_break_at_gaps_only():
    time, value = display.bin_edges_with_gaps(np.array([0.5, 1.5, 5.5]), np.ones(3), np.array([1.0, 2.0, 3.0]))
    assert np.array_equal(time, [0, 1, 1, 2, np.nan, 5, 6], equal_nan=True)
    assert np.array_equal(value, [1, 1, 2, 2, np.nan, 3, 3], equal_nan=True)
