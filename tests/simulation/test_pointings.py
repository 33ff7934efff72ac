from __future__ import annotations

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from hypothesis import given
from hypothesis import strategies as st

from integral_oda.instrument.attitude import MISALIGNMENT, Attitude, separation_deg
from integral_oda.simulation.pointings import attitude_keywords, axes, pointing_axes, true_attitude
from integral_oda.simulation.recipe import Pointing, make_recipe


@given(st.floats(0, 359.999), st.floats(-89, 89), st.floats(-180, 180))
def test_roll_is_the_angle_from_north_to_z_towards_the_west(ra, dec, roll):
    keywords = attitude_keywords(axes(Pointing(ra=ra, dec=dec, roll=roll)))
    assert separation_deg(ra, dec, keywords["RA_SCX"], keywords["DEC_SCX"]) < 1e-9
    x = SkyCoord(keywords["RA_SCX"], keywords["DEC_SCX"], unit="deg")
    z = SkyCoord(keywords["RA_SCZ"], keywords["DEC_SCZ"], unit="deg")
    assert x.separation(z).deg == pytest.approx(90)
    difference = x.position_angle(z).deg + roll
    assert (difference + 180) % 360 - 180 == pytest.approx(0, abs=1e-6)


def test_the_attitude_of_a_real_window():
    keywords = attitude_keywords(axes(Pointing(ra=286.822876, dec=20.276278, roll=97.32957)))
    assert separation_deg(keywords["RA_SCZ"], keywords["DEC_SCZ"], 199.375168, -6.873111) < 1e-4


@pytest.mark.parametrize(("pattern", "count", "distances"), [("5x5", 25, 5), ("hexagonal", 7, 1), ("staring", 3, 0)])
def test_dither_patterns(pattern, count, distances):
    recipe = make_recipe({"dither": {"ra": 83.6, "dec": 22, "roll": 30, "pattern": pattern, "count": count}})
    keywords = [attitude_keywords(pair) for pair in pointing_axes(recipe)]
    assert len(keywords) == count
    away = np.array([separation_deg(83.6, 22.0, pair["RA_SCX"], pair["DEC_SCX"]) for pair in keywords])
    assert away[0] < 1e-9
    assert len(set(np.round(away[away > 1e-6], 1))) == distances
    if distances:
        assert away[away > 1e-6].min() == pytest.approx(2.17)
    for x, z in pointing_axes(recipe):
        assert x @ z == pytest.approx(0, abs=1e-12)


def test_a_pattern_is_repeated_and_cut():
    recipe = make_recipe({"dither": {"ra": 83.6, "dec": 22, "pattern": "hexagonal", "count": 9}})
    pairs = pointing_axes(recipe)
    np.testing.assert_allclose(pairs[7][0], pairs[0][0])
    np.testing.assert_allclose(pairs[8][0], pairs[1][0])


def test_misalignment_and_its_error():
    pointing = {"pointings": [{"ra": 10, "dec": 20}]}
    plain = make_recipe(pointing)
    shifted = make_recipe(
        pointing | {"misalignment_arcmin": [1, -2], "nuisances": {"misalignment_error_arcmin": [0.5, 0]}}
    )
    (pair,) = pointing_axes(plain)
    nominal, true = true_attitude(plain, pair).misalignment, true_attitude(shifted, pair).misalignment
    assert (nominal.y, nominal.z) == (MISALIGNMENT.y, MISALIGNMENT.z)
    assert np.degrees([true.y, true.z]) * 60 == pytest.approx([1.5, -2])


def test_a_source_lies_where_the_attitude_puts_it():
    recipe = make_recipe({"pointings": [{"ra": 83.6, "dec": 22, "roll": 200}]})
    (pair,) = pointing_axes(recipe)
    from_header = Attitude.from_keywords(attitude_keywords(pair))
    np.testing.assert_allclose(from_header.tangents(85, 20), true_attitude(recipe, pair).tangents(85, 20), atol=1e-12)
