from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from integral_oda.instrument.energy import EnergyBand
from integral_oda.instrument.response import crab_rate, effective_area_cm2, erg_per_count


def test_area_is_the_analytic_one_of_osa():
    energies = [20, 25, 30, 40, 60, 100, 200, 500]
    assert effective_area_cm2(energies) == pytest.approx([375, 583, 751, 979, 1104, 850, 368, 92], abs=0.6)
    assert effective_area_cm2([5.0, 13.44]).tolist() == [0, 0]


@pytest.mark.parametrize(
    ("e1", "e2", "rate"), [(20, 40, 114), (25, 80, 167), (28, 40, 61), (40, 80, 87), (60, 100, 43)]
)
def test_crab_rates_of_the_analytic_area(e1, e2, rate):
    assert crab_rate(EnergyBand(e1, e2)) == pytest.approx(rate, abs=1)


@pytest.mark.parametrize(("e1", "e2", "flux"), [(20, 40, 7.71e-9), (40, 60, 4.27e-9), (60, 100, 5.14e-9)])
def test_the_crabs_rate_times_its_factor_is_its_energy_flux(e1, e2, flux):
    # Fluxes of 9.7 E^-2.1 ph/cm2/s/keV by integration by hand.
    band = EnergyBand(e1, e2)
    assert crab_rate(band) * erg_per_count(band) == pytest.approx(flux, rel=2e-3)


@settings(deadline=None)
@given(st.integers(30, 150), st.integers(1, 60), st.integers(1, 60))
def test_rates_of_adjoining_bands_add_up(low, first, second):
    edges = [low / 2, (low + first) / 2, (low + first + second) / 2]
    parts = crab_rate(EnergyBand(edges[0], edges[1])) + crab_rate(EnergyBand(edges[1], edges[2]))
    assert crab_rate(EnergyBand(edges[0], edges[2])) == pytest.approx(parts, rel=1e-3)


def test_a_harder_source_has_more_energy_a_count():
    band = EnergyBand(20, 100)
    assert np.all(np.diff([erg_per_count(band, index) for index in (3.0, 2.1, 1.0)]) > 0)


def test_a_band_is_written_as_people_write_it():
    assert str(EnergyBand(28.0, 80.0)) == "28-80"
    assert str(EnergyBand(20.5, 40.0)) == "20.5-40"
