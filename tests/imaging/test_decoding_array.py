"""Decoding arrays of an IC tree: which are the mask's, and what a sky map decoded with another one is worth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from integral_oda.imaging.decoding import mask_contrast
from integral_oda.imaging.decoding_array import match_decoding
from integral_oda.imaging.sky import information_map, make_sky_maps, score_map
from integral_oda.imaging.structure import Covariance, StructureWidths
from integral_oda.instrument.attitude import pixel_to_tangents
from integral_oda.instrument.mask import mask_pattern
from integral_oda.simulation.shadowgram import LitSource

CELLS = 2.0 * mask_pattern() - 1
WIDTHS = StructureWidths(row=0.02, block=0.03, pixel=0.03)


def signs_on_pixels():
    """The array without the cells' edges: +1 or -1 on every pixel that the mask covers."""
    return np.sign(np.round(mask_contrast(), 9))


def half_blind_cells():
    """An array that leaves out one cell of two hundred and weighs the others by up to a tenth."""
    rng = np.random.default_rng(4)
    return CELLS * rng.uniform(0.9, 1.1, CELLS.shape) * (rng.random(CELLS.shape) > 0.005)


@pytest.mark.parametrize("scale", [1.0, 37.0])
def test_the_masks_own_array_is_its_contrast(scale):
    for array in (CELLS, 2 * mask_contrast()):
        assert match_decoding(scale * array).contrast == pytest.approx(mask_contrast(), abs=1e-12)


@settings(max_examples=15)
@given(before=st.integers(0, 2), after=st.integers(0, 2), margin=st.integers(0, 40))
def test_an_array_of_pixels_is_found_within_two_pixels_of_the_middle(before, after, margin):
    array = np.pad(2 * mask_contrast(), ((margin + before, margin + after), (margin + after, margin + before)))
    assert match_decoding(array).contrast == pytest.approx(mask_contrast(), abs=1e-12)


def test_an_array_that_is_cut_at_one_edge_is_the_masks():
    contrast = match_decoding(2 * mask_contrast()[:232, :232]).contrast
    assert contrast[:232, :232] == pytest.approx(mask_contrast()[:232, :232], rel=1e-3)
    assert not contrast[232].any()


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (CELLS.T, "97 % of the mask's signs"),
        (-CELLS, "0 % of the mask's signs"),
        (mask_pattern().astype(float), "50 % of the mask's signs"),
        (np.roll(2 * mask_contrast(), 40, axis=0), "of the mask's signs"),
        (np.where(np.arange(95) < 60, 1, 0.2) * CELLS, "weights uneven by"),
        (np.ones((53, 53)), "is 53 x 53"),
    ],
)
def test_an_array_that_is_not_the_masks_is_refused(array, reason):
    match = match_decoding(array)
    assert match.contrast is None
    assert reason in match.reason


@pytest.mark.parametrize("array", [signs_on_pixels(), half_blind_cells()], ids=["signs", "cells"])
def test_a_map_decoded_with_other_weights_keeps_flux_and_noise(array, covariance_of):
    for row, column in ((199, 180), (285, 285)):
        source = LitSource(*(float(t) for t in pixel_to_tangents(column, row)), 100.0)
        found, plain = maps_of(covariance_of([source]), array), maps_of(covariance_of([source]))
        # 0.7 % at the axis, 3.1 % far off it, are the mask's thickness on what either array looks at.
        assert found.flux[row, column] == pytest.approx(100, rel=0.04)
        assert found.flux[row, column] == pytest.approx(plain.flux[row, column], rel=0.01)
    observed = plain.variance > 0
    assert np.nanmedian(found.variance[observed] / plain.variance[observed]) == pytest.approx(1.06, abs=0.07)
    empty = maps_of(covariance_of((), np.random.default_rng(7)), array)
    assert np.nanstd(empty.significance) == pytest.approx(1, abs=0.03)
    assert np.nanmean(empty.significance) == pytest.approx(0, abs=0.02)


def test_the_masks_own_array_changes_nothing(covariance_of):
    covariance = covariance_of((), np.random.default_rng(8), widths=WIDTHS)
    plain, same = maps_of(covariance), maps_of(covariance, CELLS)
    assert same.flux == pytest.approx(plain.flux, rel=1e-9, nan_ok=True)
    assert same.variance == pytest.approx(plain.variance, rel=1e-9)


def maps_of(covariance, array=None):
    """Sky maps of a shadowgram, decoded with an array where one is given."""
    if array is not None:
        contrast = match_decoding(array).contrast
        assert contrast is not None
        covariance = Covariance(replace(covariance.shadowgram, decoding=contrast), covariance.widths)
    return make_sky_maps(covariance, score_map(covariance, covariance.shadowgram.excess), information_map(covariance))
