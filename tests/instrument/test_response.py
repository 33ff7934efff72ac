from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from integral_oda.errors import RequestError
from integral_oda.instrument.energy import EnergyBand, resolution_sigma_kev
from integral_oda.instrument.response import (
    Response,
    crab_photons,
    crab_rate,
    effective_area_cm2,
    erg_per_count,
    mean_response,
    nominal_response,
    osa_channel_edges_kev,
)


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


def test_the_channel_grid_of_osa():
    edges = osa_channel_edges_kev()
    assert len(edges) == 257
    assert (edges[0], edges[-1]) == (12.5, 1029.5)
    assert np.all(np.diff(edges, 2) >= 0)


def test_a_fold_of_the_nominal_response_is_the_crab_rate():
    # Redistribution moves counts over the edges of a band; over a wide one few are lost.
    response = nominal_response(0)
    assert response.band_rate(crab_photons, EnergyBand(25, 300)) == pytest.approx(
        crab_rate(EnergyBand(25, 300)), rel=0.02
    )
    assert response.fold(crab_photons).sum() == pytest.approx(crab_rate(EnergyBand(13.5, 1000)), rel=0.02)


def test_a_line_falls_where_its_energy_is():
    response = nominal_response(665)
    photons = np.zeros(len(response.energies_kev))
    photons[np.searchsorted(response.energy_edges_kev, 59.0)] = 1.0
    rates, middles = response.fold(photons), (response.channel_edges_kev[1:] + response.channel_edges_kev[:-1]) / 2
    mean = np.average(middles, weights=rates)
    assert mean == pytest.approx(59.25, abs=0.05)
    width = np.sqrt(np.average((middles - mean) ** 2, weights=rates))
    assert width == pytest.approx(float(resolution_sigma_kev(59.0, 665)), rel=0.05)
    assert rates.sum() == pytest.approx(float(effective_area_cm2(59.25)), rel=1e-6)


@pytest.mark.parametrize("form", ["OSA10", "OSA11"])
def test_both_forms_are_the_same_response(form):
    response = nominal_response(1000)
    arf, rmf = response.parts(form)
    assert arf[:, None] * rmf == pytest.approx(response.matrix, rel=1e-12)
    sums = rmf.sum(axis=1)
    if form == "OSA10":
        assert sums[arf > 0] == pytest.approx(1.0)
        assert arf.max() == pytest.approx(1106, abs=1)
    else:
        assert set(arf) == {1.0}


@settings(max_examples=20)
@given(st.sets(st.integers(0, 256), min_size=2))
def test_rebinning_keeps_the_counts(chosen):
    response = nominal_response(2559)
    index = sorted(chosen)
    rebinned = response.rebinned(response.channel_edges_kev[index])
    expected = np.add.reduceat(response.fold(crab_photons), index[:-1])
    expected[-1] = response.fold(crab_photons)[index[-2] : index[-1]].sum()
    assert rebinned.fold(crab_photons) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("edges", [[20.0, 30.2, 40.0], [40.0, 20.0], [20.0]])
def test_rebinning_to_other_edges_is_refused(edges):
    with pytest.raises(RequestError, match=r"^channels = "):
        nominal_response(0).rebinned(edges)


def test_a_matrix_that_does_not_fit_its_edges_is_refused():
    with pytest.raises(RequestError, match="response"):
        Response(np.arange(4.0), np.arange(3.0), np.zeros((3, 3)), "made up")


@settings(max_examples=20)
@given(st.lists(st.floats(13, 1000), min_size=2, max_size=12, unique=True))
def test_resampling_to_any_edges_keeps_the_counts(chosen):
    response, edges = nominal_response(2559), np.sort(chosen)
    resampled = response.resampled(edges)
    expected = [response.band_rate(crab_photons, EnergyBand(a, b)) for a, b in pairwise(edges)]
    assert resampled.fold(crab_photons) == pytest.approx(expected, rel=1e-6, abs=1e-9)


def test_resampling_outside_the_channels_gives_nothing():
    resampled = nominal_response(0).resampled(np.array([1.0, 5.0, 12.5, 30.0, 1029.5, 2000.0]))
    assert resampled.fold(crab_photons)[[0, 1, 4]].tolist() == [0, 0, 0]


def test_a_mean_of_responses_folds_to_the_mean_of_their_rates():
    early, late = nominal_response(100), nominal_response(2559)
    fewer = Response(late.energy_edges_kev[40:], late.channel_edges_kev, late.matrix[40:], "late")
    mean = mean_response([early, fewer], [3.0, 1.0])
    late_rates = fewer.fold(crab_photons)
    assert mean.fold(crab_photons) == pytest.approx(0.75 * early.fold(crab_photons) + 0.25 * late_rates, rel=1e-9)
    assert mean.origin == f"{early.origin}; late"
    assert mean_response([early], [2.0]).origin == early.origin
