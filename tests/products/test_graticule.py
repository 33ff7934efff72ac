"""The celestial grid lies where the WCS says."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.wcs import WCS

from integral_oda.instrument.energy import EnergyBand
from integral_oda.products.graticule import graticule, line_step
from integral_oda.products.sky_image import SkyImage


@pytest.fixture
def image():
    """Field of 12 by 8 degrees, north up."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crpix, wcs.wcs.crval, wcs.wcs.cdelt = [60.5, 40.5], [290.0, 20.0], [-0.1, 0.1]
    wcs.wcs.radesys, wcs.wcs.equinox = "FK5", 2000.0
    wcs.wcs.set()
    plane = np.ones((80, 120), np.float32)
    return SkyImage(plane, plane, plane, plane, wcs, EnergyBand(28.0, 80.0))


def test_every_point_of_a_line_has_the_coordinate_of_its_label(image):
    lines = graticule(image.wcs, image.shape)
    assert {line.axis for line in lines} == {"RA", "Dec"}
    for line in lines:
        seen = np.isfinite(line.column)
        ra, dec = image.wcs.wcs_pix2world(line.column[seen], line.row[seen], 0)
        assert np.allclose(ra if line.axis == "RA" else dec, line.value_deg, atol=1e-6)


def test_lines_and_labels_stay_inside_the_image(image):
    rows, columns = image.shape
    for line in graticule(image.wcs, image.shape):
        column, row = line.label_point
        assert -0.5 < column < columns - 0.5
        assert -0.5 < row < rows - 0.5
        assert np.nanmax(line.column) < columns - 0.5


def test_labels_name_the_coordinate_and_its_sign(image):
    assert {"RA 290°", "Dec +20°"} <= {line.label for line in graticule(image.wcs, image.shape)}


def test_a_field_across_zero_has_lines_on_both_sides(image):
    image.wcs.wcs.crval = [0.0, 0.0]
    labels = {line.label for line in graticule(image.wcs, image.shape)}
    assert {"RA 358°", "RA 0°", "RA 2°", "Dec +0°"} <= labels


def test_a_field_around_the_pole_has_lines_all_around(image):
    image.wcs.wcs.crval = [0.0, 90.0]
    values = {line.value_deg for line in graticule(image.wcs, image.shape) if line.axis == "RA"}
    assert {0.0, 90.0, 180.0, 270.0} <= values


def test_galactic_lines_have_the_galactic_coordinate_of_their_label(image):
    from astropy.coordinates import SkyCoord

    lines = graticule(image.wcs, image.shape, "galactic")
    assert {line.axis for line in lines} == {"l", "b"}
    for line in lines:
        seen = np.isfinite(line.column)
        ra, dec = image.wcs.wcs_pix2world(line.column[seen], line.row[seen], 0)
        sky = SkyCoord(ra, dec, unit="deg", frame="fk5").galactic
        assert np.allclose(sky.l.deg if line.axis == "l" else sky.b.deg, line.value_deg, atol=1e-6)
    assert {line.label[:3] for line in lines if line.axis == "b"} <= {"b +", "b -"}


def test_an_image_in_galactic_coordinates_has_its_lines_where_they_are(image):
    image.wcs.wcs.ctype, image.wcs.wcs.crval = ["GLON-TAN", "GLAT-TAN"], [58.0, 2.0]
    for line in graticule(image.wcs, image.shape, "galactic"):
        seen = np.isfinite(line.column)
        back = image.wcs.wcs_pix2world(line.column[seen], line.row[seen], 0)
        assert np.allclose(back[0 if line.axis == "l" else 1], line.value_deg, atol=1e-6)


def test_lines_behind_the_projection_are_left_out(image):
    image.wcs.wcs.cdelt = [-1.4, 1.4]
    for line in graticule(image.wcs, image.shape):
        seen = np.isfinite(line.column)
        back = image.wcs.wcs_pix2world(line.column[seen], line.row[seen], 0)
        assert np.allclose(back[0 if line.axis == "RA" else 1], line.value_deg, atol=1e-3)


@pytest.mark.parametrize(("extent", "step"), [(0.5, 0.1), (8.0, 2.0), (12.0, 2.0), (29.0, 5.0), (360.0, 30.0)])
def test_distance_of_lines_is_round(extent, step):
    assert line_step(extent) == step
