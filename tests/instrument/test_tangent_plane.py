"""Gnomonic coordinates as numbers are those that astropy makes of the same header."""

from __future__ import annotations

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS
from hypothesis import given
from hypothesis import strategies as st

from integral_oda.instrument.attitude import Attitude
from integral_oda.instrument.tangent_plane import TangentPlane
from integral_oda.products.fits_writer import cards_of
from integral_oda.products.sky_grid import directions_to_pixels, pixel_directions

ANGLE = st.floats(0, 359.9)


@st.composite
def planes(draw):
    ra, dec, roll = draw(ANGLE), draw(st.floats(-90, 90)), draw(ANGLE)
    pole = np.deg2rad(roll)
    x = np.array([np.cos(np.deg2rad(dec)) * np.cos(np.deg2rad(ra)), np.cos(np.deg2rad(dec)) * np.sin(np.deg2rad(ra)),
                  np.sin(np.deg2rad(dec))])  # fmt: skip
    across = np.cross(x, [0.3, -0.5, 0.8] if abs(x @ [0.3, -0.5, 0.8]) < 0.8 else [1.0, 0, 0])
    across /= np.linalg.norm(across)
    return Attitude(x, np.cos(pole) * across + np.sin(pole) * np.cross(x, across)).tangent_plane()


def separation(one, other):
    return np.linalg.norm(one - other, axis=-1).max()


@given(plane=planes())
def test_pixels_and_directions_are_astropys(plane: TangentPlane):
    column, row = np.array([0.0, 10.5, 399.0, 200.0]), np.array([399.0, 0.0, 20.0, 200.0])
    here, there = pixel_directions(plane, column, row), pixel_directions(plane.wcs(), column, row)
    assert separation(here, there) < 1e-9
    back = directions_to_pixels(plane, there)
    np.testing.assert_allclose(back, (column, row), atol=1e-6)


@given(plane=planes())
def test_the_keywords_say_the_same(plane: TangentPlane):
    header = fits.Header.fromstring(cards_of(plane.cards).decode("ascii"))
    column, row = np.array([0.0, 399.0, 200.0]), np.array([399.0, 20.0, 200.0])
    read = WCS(header, fix=False)
    assert separation(pixel_directions(plane, column, row), pixel_directions(read, column, row)) < 1e-9
    assert (read.wcs.radesys, read.wcs.equinox) == ("FK5", 2000.0)


def test_directions_behind_the_plane_have_no_pixel():
    plane = TangentPlane(10.0, 20.0, 199.5, 199.5, ((-0.08, 0.0), (0.0, 0.08)))
    behind = -pixel_directions(plane, np.array([199.5]), np.array([199.5]))
    assert np.isnan(directions_to_pixels(plane, behind)).all()


def test_a_plane_comes_back_from_its_cards_and_no_other_header_is_one():
    plane = TangentPlane(84.6, 22.0, 198.79, 201.1195652173913, ((0.0773238393, -0.028), (-0.028, -0.0773)))
    header = {name: card[0] if isinstance(card, tuple) else card for name, card in plane.cards.items()}
    again = TangentPlane.from_cards(header)
    assert again is not None
    assert again.cards == plane.cards
    for name, value in (("CTYPE1", "RA---CAR"), ("CDELT1", -0.08), ("RADESYS", "ICRS"), ("LONPOLE", 10.0)):
        assert TangentPlane.from_cards({**header, name: value}) is None
    assert TangentPlane.from_cards({name: value for name, value in header.items() if name != "PC1_2"}) is None
