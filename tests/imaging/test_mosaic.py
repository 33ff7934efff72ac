from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from integral_oda.imaging.mosaic import MosaicSums, add_image

SHAPE = (5, 7)
planes = npst.arrays(float, SHAPE, elements=st.floats(-100, 100))
variances = npst.arrays(float, SHAPE, elements=st.floats(0.01, 100))


def same_pixel(column, row):
    return column, row


def added(*images, shape=SHAPE, to_input=same_pixel):
    sums = MosaicSums.empty(shape)
    for flux, variance, exposure in images:
        sums = add_image(sums, flux, variance, exposure, to_input)
    return sums


@settings(deadline=None)
@given(planes, variances, variances)
def test_one_image_is_its_own_mosaic(flux, variance, exposure):
    sums = added((flux, variance, exposure))
    assert np.allclose(sums.flux, flux)
    assert np.allclose(sums.variance, variance)
    assert np.allclose(sums.exposure, exposure)


@settings(deadline=None)
@given(planes, variances)
def test_two_equal_images_halve_the_variance(flux, variance):
    sums = added(*[(flux, variance, np.full(SHAPE, 10.0))] * 2)
    assert np.allclose(sums.flux, flux)
    assert np.allclose(sums.variance, variance / 2)
    assert np.all(sums.exposure == 20)


@settings(deadline=None)
@given(planes, variances, planes, variances)
def test_the_sum_is_the_inverse_variance_mean_in_any_order(flux1, variance1, flux2, variance2):
    first, second = (flux1, variance1, variance1), (flux2, variance2, variance2)
    sums, swapped = added(first, second), added(second, first)
    expected = (flux1 / variance1 + flux2 / variance2) / (1 / variance1 + 1 / variance2)
    assert np.allclose(sums.flux, expected)
    assert np.allclose(swapped.flux, sums.flux)
    assert np.all(sums.variance <= np.minimum(variance1, variance2) * (1 + 1e-12))


def test_pixels_without_variance_or_flux_add_nothing():
    flux, variance, exposure = np.ones(SHAPE), np.ones(SHAPE), np.ones(SHAPE)
    variance[0, 0], flux[1, 1] = 0, np.nan
    sums = added((flux, variance, exposure))
    for pixel in ((0, 0), (1, 1)):
        assert np.isnan(sums.flux[pixel])
        assert sums.variance[pixel] == sums.exposure[pixel] == 0
    assert added((flux, variance, exposure), (np.full(SHAPE, 3.0), np.ones(SHAPE), np.ones(SHAPE))).flux[0, 0] == 3


def test_the_nearest_pixel_is_taken_and_nothing_beyond_the_edge():
    flux = np.arange(35, dtype=float).reshape(SHAPE)
    sums = added((flux, np.ones(SHAPE), np.ones(SHAPE)), to_input=lambda column, row: (column + 2.6, row - 1.4))
    assert sums.flux[1, 0] == flux[0, 3]
    assert sums.flux[4, 3] == flux[3, 6]
    assert np.isnan(sums.flux[0, 0])
    assert np.isnan(sums.flux[2, 4])


def test_places_without_an_image_pixel_are_nan_in_the_map():
    def left_half(column, row):
        return np.where(column < 3, column, np.nan), row

    sums = added((np.ones(SHAPE), np.ones(SHAPE), np.ones(SHAPE)), to_input=left_half)
    assert np.isfinite(sums.flux).sum() == 15
    assert np.all(np.isnan(sums.flux[:, 3:]))


@pytest.mark.parametrize("shape", [(3, 3), (9, 4)])
def test_a_mosaic_has_the_shape_asked_for(shape):
    sums = added((np.ones(SHAPE), np.ones(SHAPE), np.ones(SHAPE)), shape=shape)
    assert sums.flux.shape == sums.variance.shape == sums.exposure.shape == shape
