from __future__ import annotations

import numpy as np
import pytest

from integral_oda.imaging.decoding import (
    MaskCorrelator,
    mask_footprint,
    mask_on_pixels,
    thickness_transmission,
    thin_shadow,
)
from integral_oda.instrument.attitude import pixel_to_tangents
from integral_oda.instrument.detector import active_pixels
from integral_oda.instrument.pif import pixel_illumination

PLACES = [(199, 200), (200, 199), (150, 260), (301, 88), (60, 340), (25, 25), (375, 199)]


@pytest.fixture(scope="module")
def weights():
    return np.where(active_pixels(), np.random.default_rng(4).normal(size=(134, 130)), 0.0)


def test_correlation_is_the_direct_sum_for_every_direction(weights):
    sky = MaskCorrelator(mask_on_pixels())(weights)
    assert sky.shape == (400, 400)
    direct = [(thin_shadow(row, column) * weights).sum() for row, column in PLACES]
    assert np.ptp(direct) > 10
    assert [sky[place] for place in PLACES] == pytest.approx(direct, abs=1e-9)


def test_a_kernel_that_starts_before_the_mask_is_shifted_back(weights):
    kernel = np.pad(mask_on_pixels(), ((3, 0), (5, 0)))
    shifted = MaskCorrelator(kernel, before=(3, 5))(weights)
    assert np.allclose(shifted, MaskCorrelator(mask_on_pixels())(weights), atol=1e-9)


def test_directions_that_the_mask_cannot_shade_are_zero(weights):
    sky = MaskCorrelator(mask_on_pixels())(np.ones((134, 130)))
    rows, columns = np.flatnonzero(sky.max(axis=1) > 0.5), np.flatnonzero(sky.max(axis=0) > 0.5)
    # The support of OSA's images: columns 21..378, rows 19..380; a part of a pixel reaches further here.
    assert [rows.min(), rows.max()] == pytest.approx([19, 380], abs=2)
    assert [columns.min(), columns.max()] == pytest.approx([21, 378], abs=2)


@pytest.mark.parametrize(("row", "column"), [(199, 200), (170, 230), (240, 150)])
def test_the_thin_shadow_is_the_pif_but_for_the_masks_thickness(row, column):
    active = active_pixels()
    pif = pixel_illumination(*pixel_to_tangents(column, row), energy_kev=50)
    assert np.corrcoef(pif[active], thin_shadow(row, column)[active])[0, 1] > 0.97


def test_half_of_the_covered_area_is_open():
    assert mask_on_pixels().sum() / mask_footprint().sum() == pytest.approx(4514 / 9025, abs=1e-3)
    assert mask_footprint().max() == pytest.approx(1)
    assert np.all(mask_on_pixels() <= mask_footprint() + 1e-12)


def test_thickness_takes_what_the_reference_says():
    # Flux left at pixel centres: 2.5 % less at 9 degrees, 4.5 % less at 11.6 degrees off axis.
    transmission = thickness_transmission()
    assert transmission[199, 199] > 0.99
    assert np.allclose(transmission, transmission[::-1], atol=1e-12)
    assert np.allclose(transmission, transmission[:, ::-1], atol=1e-12)
    along = transmission[200, 200:330]
    assert np.all(np.diff(along) < 1e-9)
    nine_degrees = transmission[200 + 78, 200 - 78]
    assert nine_degrees == pytest.approx(0.96, abs=0.03)


def test_a_sum_of_squares_is_that_of_the_single_correlations():
    correlator = MaskCorrelator(mask_on_pixels())
    planes = np.random.default_rng(8).normal(size=(3, 134, 130))
    expected = sum(correlator(plane) ** 2 for plane in planes)
    np.testing.assert_allclose(correlator.sum_of_squares(planes), expected, atol=1e-9 * expected.max())
