from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from integral_oda.imaging.mosaic import MosaicSum
from integral_oda.imaging.resampling import Resampler, Resampling, without_ripples
from integral_oda.imaging.sky_grid import DirectionGrid, Extent, ImagePlane, PlaneGrid, gnomonic_camera

SHAPE = (9, 11)
planes = npst.arrays(float, SHAPE, elements=st.floats(-100, 100))
variances = npst.arrays(float, SHAPE, elements=st.floats(0.01, 100))
CAMERA = gnomonic_camera(83.6, 22.0, 0.08 * np.array([[-1, 0], [0, 1]]), (5.0, 4.0))
GRID = PlaneGrid(CAMERA)


def added(*images, extent=None, method=Resampling.NEAREST, camera=CAMERA):
    total = MosaicSum.empty(extent or Extent(0, 0, *SHAPE))
    for flux, variance, exposure in images:
        resampler = Resampler(flux, variance, exposure, method)
        total = total.with_image(resampler, ImagePlane.gnomonic(camera, SHAPE), GRID)
    return total


@given(planes, variances, variances, st.sampled_from([Resampling.NEAREST, Resampling.CUBIC, Resampling.SPREAD]))
def test_one_image_on_its_own_grid_is_its_own_mosaic(flux, variance, exposure, method):
    mosaic = added((flux, variance, exposure), method=method).planes()
    assert np.allclose(mosaic.flux, flux, atol=2e-2)
    assert np.allclose(mosaic.variance, variance, rtol=1e-5)
    assert np.allclose(mosaic.pixel_variance, variance, rtol=1e-2)
    assert np.allclose(mosaic.exposure, exposure, rtol=1e-5)


@given(planes, variances)
def test_two_equal_images_halve_the_variance(flux, variance):
    mosaic = added(*[(flux, variance, np.full(SHAPE, 10.0))] * 2).planes()
    assert np.allclose(mosaic.flux, flux, rtol=1e-5)
    assert np.allclose(mosaic.variance, variance / 2, rtol=1e-5)
    assert np.all(mosaic.exposure == 20)


@given(planes, variances, planes, variances)
def test_the_sum_is_the_inverse_variance_mean_in_any_order(flux1, variance1, flux2, variance2):
    first, second = (flux1, variance1, variance1), (flux2, variance2, variance2)
    mosaic, swapped = added(first, second).planes(), added(second, first).planes()
    parts = (added(first) + added(second)).planes()
    expected = (flux1 / variance1 + flux2 / variance2) / (1 / variance1 + 1 / variance2)
    assert np.allclose(mosaic.flux, expected, rtol=1e-5, atol=1e-4)
    assert np.allclose(swapped.flux, mosaic.flux, rtol=1e-12)
    assert np.allclose(parts.flux, mosaic.flux, rtol=1e-12)
    assert np.all(mosaic.variance <= np.minimum(variance1, variance2) * (1 + 1e-6))


def test_pixels_without_variance_or_flux_add_nothing():
    flux, variance, exposure = np.ones(SHAPE), np.ones(SHAPE), np.ones(SHAPE)
    variance[0, 0], flux[1, 1] = 0, np.nan
    mosaic = added((flux, variance, exposure)).planes()
    for pixel in ((0, 0), (1, 1)):
        assert np.isnan(mosaic.flux[pixel])
        assert mosaic.variance[pixel] == mosaic.exposure[pixel] == 0
    filled = added((flux, variance, exposure), (np.full(SHAPE, 3.0), np.ones(SHAPE), np.ones(SHAPE)))
    assert filled.planes().flux[0, 0] == 3


@pytest.mark.parametrize("method", list(Resampling))
def test_nothing_is_taken_from_beyond_the_edge(method):
    mosaic = added((np.ones(SHAPE),) * 3, extent=Extent(-4, -3, 20, 22), method=method).planes()
    inside = np.zeros((20, 22), dtype=bool)
    inside[4 : 4 + SHAPE[0], 3 : 3 + SHAPE[1]] = True
    assert np.allclose(mosaic.flux[inside], 1, atol=1e-3)
    assert np.all(np.isnan(mosaic.flux[~inside]))


def test_sums_over_different_parts_of_a_grid_add_up():
    generator = np.random.default_rng(3)
    first, second = ((generator.normal(size=SHAPE), np.ones(SHAPE), np.ones(SHAPE)) for _ in range(2))
    apart = added(first, extent=Extent(0, 0, 9, 6)) + added(second, extent=Extent(3, 4, 12, 9))
    whole = added(first, second, extent=Extent(0, 0, 15, 13)).planes()
    assert apart.extent == Extent(0, 0, 15, 13)
    assert apart.images == 2
    both = np.s_[3:9, 4:6]
    assert np.allclose(apart.planes().flux[both], whole.flux[both])
    assert np.isnan(apart.planes().flux[0, 12])


def test_a_grid_of_directions_gives_the_same_as_the_plane():
    generator = np.random.default_rng(4)
    image = (generator.normal(size=SHAPE), generator.uniform(1, 2, SHAPE), np.ones(SHAPE))
    turned = gnomonic_camera(83.5, 22.1, 0.08 * np.array([[-0.8, 0.6], [0.6, 0.8]]), (5.0, 4.0))
    plane = added(image, method=Resampling.CUBIC, camera=turned).planes()
    rows, columns = (index.ravel() for index in np.indices(SHAPE))
    directions = np.stack([columns, rows, np.ones_like(rows)], axis=1) @ np.linalg.inv(CAMERA).T
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    grid = DirectionGrid(directions)
    total = MosaicSum.empty(grid.extent)
    total = total.with_image(Resampler(*image), ImagePlane.gnomonic(turned, SHAPE), grid)
    listed = total.planes().flux.reshape(SHAPE)
    # Single precision of directions, 6e-8 rad on pixels of 1.4e-3 rad.
    both = np.isfinite(listed) & np.isfinite(plane.flux)
    assert both.sum() > 60
    assert np.allclose(listed[both], plane.flux[both], atol=2e-3)


def test_significance_has_a_noise_of_one_whatever_the_resampling():
    from scipy.ndimage import gaussian_filter

    generator = np.random.default_rng(5)
    shape = (300, 300)
    camera = gnomonic_camera(80.0, 20.0, 0.08 * np.array([[-0.95, 0.31], [0.31, 0.95]]), (150.2, 149.6))
    noise = gaussian_filter(generator.normal(size=shape), 1.18 / np.sqrt(2), mode="wrap")
    noise /= noise.std()
    for method in Resampling:
        total = MosaicSum.empty(Extent(-100, -100, 200, 200))
        grid = PlaneGrid(gnomonic_camera(80.0, 20.0, 0.08 * np.diag([-1, 1]), (0.0, 0.0)))
        resampler = Resampler(noise, np.ones(shape), np.ones(shape), method)
        mosaic = total.with_image(resampler, ImagePlane.gnomonic(camera, shape), grid).planes()
        seen = mosaic.variance > 0
        assert seen.sum() > 30_000
        assert mosaic.significance[seen].std() == pytest.approx(1, abs=0.02)


def test_ripples_are_taken_from_a_variance_and_its_slope_is_kept():
    rows, columns = np.mgrid[:120, :120]
    level = np.exp(((rows - 60) ** 2 + (columns - 60) ** 2) / 4000)
    rippled = level * (1 + 0.2 * np.cos(2 * np.pi * (rows + 0.2 * columns) / 9))
    rippled[:, :20] = 0
    smooth = without_ripples(rippled)
    inside = np.s_[35:85, 35:85]
    assert np.all(smooth[:, :20] == 0)
    assert np.abs(rippled / level - 1)[inside].max() > 0.19
    # The mean of the inverse is 2 % above the inverse of the mean.
    assert np.abs(smooth / level * 1.02 - 1)[inside].max() < 0.05


@given(st.floats(1e-4, 1e4), npst.arrays(bool, (14, 17)))
def test_a_level_variance_stays_what_it_is(level, seen):
    smooth = without_ripples(np.where(seen, level, 0.0))
    assert np.allclose(smooth[seen], level, rtol=1e-5)
    assert np.all(smooth[~seen] == 0)
