"""Covariances of neighbouring pixels: against Poisson draws of a flat detector."""

from __future__ import annotations

import numpy as np
import pytest

from integral_oda.imaging.decoding import MaskCorrelator, mask_contrast
from integral_oda.imaging.neighbours import flat_covariances, neighbour_correlation
from integral_oda.imaging.resampling import Resampler, Resampling
from integral_oda.instrument.detector import active_pixels

ZONES = {"fully coded": np.s_[165:235, 165:235], "partially coded": np.s_[165:235, 290:330]}


@pytest.fixture(scope="module")
def empty_images():
    """Flux images of empty flat shadowgrams, ``(30, 400, 400)``, and the variance of each pixel."""
    rng, decode = np.random.default_rng(5), MaskCorrelator(mask_contrast())
    flat = active_pixels().astype(float)
    information = MaskCorrelator(mask_contrast() ** 2)(flat)
    seen = information > 0.02 * information.max()
    level = 30.0
    variance = np.divide(1 / level, information, out=np.zeros(information.shape), where=seen)
    # The mean is known: no level of the background is fitted, and none is taken off.
    images = [decode((rng.poisson(level, flat.shape) - level) * flat / level) * level * variance for _ in range(30)]
    return np.stack(images), variance


def tables(scale=1.0):
    """Tables in a unit of their own, as a file would have them."""
    _, side, corner = flat_covariances()
    return scale * side, scale * corner


def test_a_flat_detector_has_the_covariances_of_its_draws(empty_images):
    images, variance = empty_images
    own, side, corner = flat_covariances()
    for zone in ZONES.values():
        pixels, below, beyond = images[(slice(None), *zone)], *neighbours_of(images, zone)
        expected = (side / np.where(own > 0, own, 1))[zone].mean(), (corner / np.where(own > 0, own, 1))[zone].mean()
        for neighbour, correlation in zip((below, beyond), expected, strict=True):
            assert (pixels * neighbour).mean() / variance[zone].mean() == pytest.approx(correlation, abs=0.03)


def neighbours_of(images, zone):
    rows, columns = zone
    down = slice(rows.start + 1, rows.stop + 1)
    sides = [images[:, down, columns], images[:, rows, slice(columns.start + 1, columns.stop + 1)]]
    return np.mean(sides, axis=0), images[:, down, slice(columns.start + 1, columns.stop + 1)]


@pytest.mark.parametrize("scale", [1.0, 1e-7, 530.0])
def test_the_unit_of_the_tables_does_not_matter(scale):
    found = neighbour_correlation(*tables(scale))
    middle = np.s_[195:205, 195:205]
    assert found.side[middle].mean() == pytest.approx(0.667, abs=0.02)
    assert found.corner[middle].mean() == pytest.approx(0.447, abs=0.02)
    assert np.isnan(found.side[0, 0])


@pytest.mark.parametrize(
    ("side", "corner"),
    [
        (np.ones((400, 400)), -np.ones((400, 400))),
        (np.ones((400, 400)), 2 * np.ones((400, 400))),
        (np.zeros((400, 400)), np.zeros((400, 400))),
        (np.full((400, 400), np.nan), np.ones((400, 400))),
    ],
    ids=["negative", "corners above sides", "empty", "no numbers"],
)
def test_what_cannot_be_neighbours_is_refused(side, corner):
    assert neighbour_correlation(side, corner) is None


@pytest.mark.parametrize("shift", [(0.5, 0.5), (0.5, 0.0), (0.3, 0.2)])
@pytest.mark.parametrize("zone", list(ZONES))
def test_pixels_that_are_spread_have_unit_noise(zone, shift, empty_images):
    images, variance = empty_images
    rows, columns = np.mgrid[ZONES[zone]]
    found = neighbour_correlation(*tables(7.0))
    pulls = []
    for flux in images:
        spread = Resampler(flux, variance, np.ones(flux.shape), Resampling.SPREAD, neighbours=found)
        values = spread.at(columns + shift[0], rows + shift[1])
        pulls.append(values.score / np.sqrt(values.share))
    assert np.std(pulls) == pytest.approx(1, abs=0.015)


def test_a_pixel_that_is_not_shared_out_keeps_its_variance(empty_images):
    flux, variance = empty_images[0][0], empty_images[1]
    spread = Resampler(flux, variance, flux, Resampling.SPREAD, neighbours=neighbour_correlation(*tables()))
    assert spread.at(np.array([200.0]), np.array([180.0])).share == pytest.approx(1)


def test_gaussian_tables_are_what_stands_in_for_them():
    from integral_oda.imaging.neighbours import NeighbourCorrelation

    rng = np.random.default_rng(6)
    flux, variance = rng.normal(size=(400, 400)), np.ones((400, 400))
    side = np.full((400, 400), np.exp(-0.5 / 1.18**2))
    column, row = rng.uniform(10, 390, (2, 50))
    plain = Resampler(flux, variance, flux, Resampling.SPREAD).at(column, row)
    unknown = NeighbourCorrelation(np.full((400, 400), np.nan), np.full((400, 400), np.nan))
    for tables_ in (NeighbourCorrelation(side, side**2), unknown):
        same = Resampler(flux, variance, flux, Resampling.SPREAD, neighbours=tables_).at(column, row)
        assert same.share == pytest.approx(plain.share, rel=1e-5)
        np.testing.assert_array_equal(same.score, plain.score)
