from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.optimize import brentq

from integral_oda.instrument.energy import EnergyBand
from integral_oda.instrument.response import crab_rate, nominal_response
from integral_oda.products.photometry import FluxScale, flux_scale, source_band

BAND = EnergyBand(28.0, 80.0)


def limit_by_integration(flux, error):
    """Flux below which 90 % of a Gaussian's probability on fluxes >= 0 lies."""

    def below(limit):
        return quad(lambda f: np.exp(-0.5 * ((f - flux) / error) ** 2 + 0.5 * (min(flux, 0) / error) ** 2), 0, limit)[0]

    total = below(max(flux, 0) + 12 * error)
    return brentq(lambda limit: below(limit) - 0.9 * total, 1e-9, max(flux, 0) + 12 * error)


@pytest.mark.parametrize("flux", [20.0, 5.0, 1.0, 0.0, -1.0, -4.0])
def test_the_90_percent_limit_is_bayesian_on_positive_fluxes(flux):
    assert source_band(BAND, flux, 2.0).limit_90 == pytest.approx(limit_by_integration(flux, 2.0), rel=1e-4)


@pytest.mark.parametrize("significance", [-36.999, -37.001, -100.0])
def test_limits_of_the_deepest_deficits_are_those_of_the_posterior(significance):
    # The posterior falls as exp(-t s - s^2 / 2), t the depth of the deficit and s the flux in sigma.
    flux = np.linspace(0, 1, 100_001)
    below = np.cumsum(np.exp(flux * significance - flux**2 / 2))
    exact = float(flux[np.searchsorted(below, 0.9 * below[-1])])
    assert source_band(BAND, significance, 1.0).limit_90 == pytest.approx(exact, rel=0.003)


@pytest.mark.parametrize("significance", [-6.0, -12.0, -40.0])
def test_limits_of_deep_deficits_are_finite(significance):
    band = source_band(BAND, significance * 0.5, 0.5)
    assert 0 < band.limit_90 < 0.5
    assert band.limit_3sigma == pytest.approx(1.5)


def test_units_of_a_flux():
    band = source_band(BAND, crab_rate(BAND), 0.7)
    assert band.flux_mcrab == pytest.approx(1000)
    assert band.significance == pytest.approx(crab_rate(BAND) / 0.7)
    assert (band.e1_kev, band.e2_kev) == (28.0, 80.0)
    # 9.7 E^-2.1 ph/cm2/s/keV between 28 and 80 keV, integrated by hand.
    energy_flux = 9.7 * (28**-0.1 - 80**-0.1) / 0.1 * 1.602176634e-9
    assert band.flux_erg == pytest.approx(energy_flux, rel=2e-3)
    assert band.limit_3sigma == pytest.approx(crab_rate(BAND) + 2.1)


def test_local_noise_stretches_errors_and_limits_but_never_shrinks_them():
    quiet, loud = source_band(BAND, 4.0, 1.0, noise=0.7), source_band(BAND, 4.0, 1.0, noise=1.5)
    assert (quiet.flux_error, quiet.limit_3sigma) == (1.0, 7.0)
    assert (loud.flux_error, loud.limit_3sigma) == (1.5, 8.5)
    assert loud.limit_90 > quiet.limit_90
    assert loud.significance == pytest.approx(4 / 1.5)


def test_systematics_stand_in_their_own_column():
    band = source_band(BAND, -20.0, 1.0, systematic=0.05)
    assert band.flux_systematic == pytest.approx(1.0)
    assert band.flux_error == 1.0


@given(st.floats(-50, 1000), st.floats(0.1, 50))
def test_units_agree_with_each_other(flux, error):
    band, scale = source_band(BAND, flux, error), flux_scale(BAND)
    assert band.flux_mcrab / 1000 * scale.crab_rate == pytest.approx(flux, abs=1e-9)
    assert band.flux_erg / scale.erg_per_count == pytest.approx(flux, abs=1e-9)
    assert band.flux_error_mcrab / band.flux_error == pytest.approx(1000 / scale.crab_rate)
    assert band.flux_error_erg / band.flux_error == pytest.approx(scale.erg_per_count)


def test_a_response_of_the_epoch_sets_the_scale():
    response = nominal_response(2559)
    scale = flux_scale(BAND, response)
    nominal = flux_scale(BAND)
    # The same area, blurred: counts move over both edges of the band, more of them in than out.
    assert scale.crab_rate == pytest.approx(nominal.crab_rate, rel=0.01)
    assert scale.erg_per_count * scale.crab_rate == pytest.approx(nominal.erg_per_count * nominal.crab_rate)
    assert scale.origin == response.origin
    assert source_band(BAND, scale.crab_rate, 1.0, scale=scale).flux_mcrab == pytest.approx(1000)


def test_a_scale_comes_back_from_a_header():
    scale = FluxScale(120.0, 8e-11, "IC isgr_rmf_rsp_0219")
    assert FluxScale.from_cards(scale.cards, BAND) == scale
    assert FluxScale.from_cards({}, BAND) == flux_scale(BAND)
    assert all(len(key) <= 8 for key in scale.cards)
