from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from integral_oda.instrument.attitude import (
    SKY_PIXEL,
    Attitude,
    Misalignment,
    pixel_to_tangents,
    separation_deg,
    tangents_to_pixel,
    unit_vector,
)

SAMPLE = {"RA_SCX": 286.8229, "DEC_SCX": 20.2763, "RA_SCZ": 199.3752, "DEC_SCZ": -6.8731}
ARCSEC = 1 / 3600
ra_values, dec_values = st.floats(0, 359.999), st.floats(-90, 90)
tangent_values = st.floats(-0.28, 0.28)


@st.composite
def attitudes(draw):
    x = unit_vector(draw(ra_values), draw(dec_values))
    east = np.cross([0.0, 0.0, 1.0], x) if abs(x[2]) < 0.9 else np.cross([1.0, 0.0, 0.0], x)
    east /= np.linalg.norm(east)
    roll = draw(st.floats(0, 2 * np.pi))
    return Attitude(x, np.cos(roll) * np.cross(x, east) + np.sin(roll) * east)


@given(attitudes(), tangent_values, tangent_values)
def test_tangents_to_sky_and_back(attitude, ty, tz):
    back = attitude.tangents(*attitude.position(ty, tz))
    assert np.array(back) == pytest.approx(np.array([ty, tz]), abs=1e-9)


@given(attitudes(), st.lists(st.tuples(tangent_values, tangent_values), min_size=1, max_size=4))
def test_world_coordinates_are_those_of_the_tangents(attitude, places):
    ty, tz = np.array(places).T
    ra, dec = attitude.position(ty, tz)
    by_wcs = attitude.wcs().wcs_pix2world(*tangents_to_pixel(ty, tz), 0)
    assert np.all(separation_deg(ra, dec, *by_wcs) < 0.01 * ARCSEC)


@pytest.mark.parametrize("dec", [90.0, -90.0])
def test_world_coordinates_hold_at_the_poles(dec):
    attitude = Attitude.from_keywords({"RA_SCX": 30.0, "DEC_SCX": dec, "RA_SCZ": 120.0, "DEC_SCZ": 0.0})
    by_wcs = attitude.wcs().wcs_pix2world(*tangents_to_pixel(0.1, -0.03), 0)
    assert separation_deg(*attitude.position(0.1, -0.03), *by_wcs) < 0.01 * ARCSEC


@given(attitudes())
def test_axes_are_right_handed_and_orthonormal(attitude):
    frame = np.stack([attitude.x, attitude.y, attitude.z])
    assert frame @ frame.T == pytest.approx(np.eye(3), abs=1e-9)
    assert np.linalg.det(frame) == pytest.approx(1)


@given(st.floats(0, 399), st.floats(0, 399))
def test_pixels_and_tangents_are_inverse(column, row):
    assert tangents_to_pixel(*pixel_to_tangents(column, row)) == pytest.approx((column, row), abs=1e-9)


def test_a_source_at_positive_y_falls_at_a_smaller_column():
    column, row = tangents_to_pixel(10 * SKY_PIXEL, 3 * SKY_PIXEL)
    assert (column, row) == pytest.approx((189.5, 202.5))


def test_a_sky_pixel_is_4_937_arcmin():
    assert np.rad2deg(np.arctan(SKY_PIXEL)) == pytest.approx(0.0822863, abs=1e-7)


def test_angles_of_the_sample_window_are_those_of_the_reference():
    # Angles from the pointing axis that were worked out for this window with another program.
    attitude = Attitude.from_keywords(SAMPLE, Misalignment(0, 0, 0, "none"))
    for ra, dec, angle in [(293.7320, 21.8967, 6.65), (288.2646, 19.7735, 1.44), (299.5903, 35.2016, 18.68)]:
        ty, tz = attitude.tangents(ra, dec)
        assert np.rad2deg(np.arctan(np.hypot(ty, tz))) == pytest.approx(angle, abs=0.006)
        assert separation_deg(SAMPLE["RA_SCX"], SAMPLE["DEC_SCX"], ra, dec) == pytest.approx(angle, abs=0.006)


def test_isgris_axis_lies_nine_arcmin_from_the_spacecrafts():
    attitude = Attitude.from_keywords(SAMPLE)
    ra, dec = attitude.axis()
    assert separation_deg(ra, dec, SAMPLE["RA_SCX"], SAMPLE["DEC_SCX"]) * 60 == pytest.approx(8.9, abs=0.3)
    ty, tz = Attitude.from_keywords(SAMPLE, Misalignment(0, 0, 0, "none")).tangents(ra, dec)
    assert np.rad2deg([ty, tz]) * 60 == pytest.approx([-3.5, -8.0], abs=0.3)


def test_what_is_behind_the_spacecraft_has_no_tangents():
    attitude = Attitude.from_keywords(SAMPLE)
    tangents = np.array(attitude.tangents(np.array([106.8, 286.8, 40.0]), np.array([-20.3, 20.3, -10.0])))
    assert np.isnan(tangents).tolist() == [[True, False, True]] * 2


def test_keywords_need_not_be_exactly_orthogonal():
    attitude = Attitude.from_keywords(SAMPLE | {"DEC_SCZ": -6.80})
    assert attitude.x @ attitude.z == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(
    ("first", "second", "angle"),
    [((0, 0), (0, 0), 0), ((10, 90), (200, 90), 0), ((0, 0), (180, 0), 180), ((0, -90), (77, 90), 180),
     ((359.9999, 0), (0.0001, 0), 0.0002), ((45, 0), (45, 1e-7), 1e-7)],
)  # fmt: skip
def test_separation_at_its_ends(first, second, angle):
    assert separation_deg(*first, *second) == pytest.approx(angle, abs=1e-10)
