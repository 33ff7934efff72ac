from __future__ import annotations

import numpy as np
import pytest
from astropy.coordinates import SkyCoord

from integral_oda.instrument.attitude import Attitude
from integral_oda.instrument.pif import pixel_illumination
from integral_oda.simulation.nuisances import defect_shadow, galactic_vectors, ridge_directions, true_illumination
from integral_oda.simulation.pointings import axes
from integral_oda.simulation.recipe import Flux, MaskDefect, Nuisances, Pointing, Ridge


def test_without_nuisances_the_pif_is_the_models():
    np.testing.assert_array_equal(
        true_illumination(Nuisances(), [(0.05, -0.1, 1.0)], 50.0), pixel_illumination(0.05, -0.1, 50.0)
    )


def test_directions_behind_the_detector_light_nothing():
    assert not true_illumination(Nuisances(), [(np.nan, 0.0, 1.0)], 50.0).any()


def test_transmission_falls_with_the_square_of_the_angle():
    for angle, passed in ((0.0, 1.0), (5.0, 0.95), (10.0, 0.8)):
        tangent = np.tan(np.radians(angle))
        lit = true_illumination(Nuisances(off_axis_loss=0.2), [(tangent, 0.0, 1.0)], 50.0)
        np.testing.assert_allclose(lit, passed * pixel_illumination(tangent, 0.0, 50.0))


def test_a_defect_darkens_its_own_area_where_the_source_projects_it():
    defect = MaskDefect(y_mm=100, z_mm=-40, side_mm=46, transmission=0.25)
    light = defect_shadow([defect], 0.01, 0.02)
    dark = (1 - light) / 0.75
    assert light.min() == 0.25
    assert dark.sum() * 4.0**2 == pytest.approx((46 / 4.6 * 4.0) ** 2, rel=0.05)
    rows, columns = np.nonzero(dark > 0.5)
    assert (columns.mean() - 64.5) * 4.6 == pytest.approx(100 - 0.01 * 3202.97, abs=2.5)
    assert (rows.mean() - 66.5) * 4.6 == pytest.approx(-40 - 0.02 * 3202.97, abs=2.5)


def test_a_defect_that_the_source_does_not_project_on_the_detector():
    assert (defect_shadow([MaskDefect(y_mm=500, z_mm=0)], 0.0, 0.0) == 1).all()


def test_galactic_coordinates_are_astropys():
    l_deg, b_deg = np.array([0.0, 52.8, 200.0, -30.0]), np.array([0.0, 5.76, -80.0, 30.0])
    expected = SkyCoord(l_deg, b_deg, unit="deg", frame="galactic").fk5.cartesian.xyz.value.T
    np.testing.assert_allclose(galactic_vectors(l_deg, b_deg), expected, atol=1e-7)


@pytest.mark.parametrize(("ra", "dec", "bright"), [(266.4, -28.9, True), (83.6, 22.0, False)])
def test_the_ridge_is_where_the_galactic_centre_is(ra, dec, bright):
    directions = ridge_directions(Ridge(flux=Flux(value=100)), Attitude(*axes(Pointing(ra=ra, dec=dec))))
    weight = sum(part for _, _, part in directions)
    assert (0.25 < weight < 0.6) if bright else weight == 0
