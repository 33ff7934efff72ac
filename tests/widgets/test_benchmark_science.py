"""Numbers that benchmark notebooks take from products."""

from __future__ import annotations

import gzip
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from integral_oda.instrument.energy import EnergyBand
from integral_oda.instrument.response import nominal_response
from integral_oda.products.light_curve import LightCurve
from integral_oda.products.response_file import write_arf, write_rmf
from integral_oda.products.spectrum import Spectrum, write_spectrum
from integral_widgets.benchmark_science import (
    fit_spectrum,
    flare_peaks,
    rank_correlation,
    read_bat,
    read_gbm,
    weighted_mean,
)


class FoldedSpectrum:
    """A power law of index 2.4 through the nominal response, with errors of 2 %."""

    def write(self, folder):
        folder.mkdir(parents=True)
        response = nominal_response(700, np.geomspace(20, 400, 63).round(0) + np.arange(63) * 0.5)
        rate = response.fold(lambda energy: 9.7 * energy**-2.4)
        zero = np.zeros(62, np.int16)
        spectrum = Spectrum("Crab", 83.6, 22.0, rate, 0.02 * rate, np.zeros(62), zero, zero, 1e4,
                            response_file="r.fits", area_file="a.fits")  # fmt: skip
        write_spectrum(folder / "isgri_spectrum_Crab.fits", spectrum)
        write_arf(folder / "a.fits", response, "OSA10")
        write_rmf(folder / "r.fits", response, "OSA10")


def test_a_spectrum_is_fitted_and_drawn(tmp_path):
    fit = fit_spectrum(FoldedSpectrum(), tmp_path, e1=25.0, e2=200.0, flux=((20.0, 100.0),))
    index, error = fit.parameters["index"]
    assert abs(index - 2.4) < error < 0.05
    photons = 9.7 * (20**-0.4 - 100**-0.4) / 0.4
    assert fit.fluxes[0][0] == pytest.approx(photons * 1.602e-9, rel=0.01)
    assert fit.chi2red < 0.1
    assert fit.picture.stat().st_size > 1000


def curve(seconds, rate):
    n = len(seconds)
    ones = np.ones(n)
    time = 5000.0 + np.asarray(seconds) / 86400
    return LightCurve(
        "V404 Cyg", 306.0, 33.9, EnergyBand(20, 40), time, 100 * ones, np.asarray(rate), ones, ones, ones, ones, ones
    )


def test_the_highest_bin_near_a_flare_is_its_peak():
    made = curve(np.arange(0, 2000, 100.0), [*[1.0] * 9, 30.0, 50.0, 20.0, *[1.0] * 8])
    peak, missing = flare_peaks(made, [56544.0 + 960 / 86400, 56550.0], 0.01)
    assert made.rate[peak.at] == 50
    assert peak.late_s == pytest.approx(40, abs=1e-3)
    assert math.isnan(missing.late_s)


@given(st.lists(st.floats(0.1, 1e3), min_size=2, max_size=20), st.floats(0.1, 10))
def test_a_weighted_mean_lies_among_its_values_and_its_error_falls_with_their_number(values, error):
    mean, sigma = weighted_mean(np.array(values), np.full(len(values), error))
    assert min(values) - 1e-9 <= mean <= max(values) * (1 + 1e-12)
    assert sigma == pytest.approx(error / math.sqrt(len(values)))


def test_a_weighted_mean_of_nothing_is_not_a_number():
    assert all(math.isnan(value) for value in weighted_mean(np.array([np.nan, 1.0]), np.array([1.0, 0.0])))


def test_ranks_and_not_values_count():
    assert rank_correlation([1, 2, 1000], [5, 6, 7]) == pytest.approx(1)
    assert rank_correlation([3, 2, 1], [5, 6, 7]) == pytest.approx(-1)
    assert math.isnan(rank_correlation([1, 2], [1, 2]))


def test_the_crab_of_swift_and_of_fermi_is_read(real_data):
    folder = real_data / "oda-hub_oda_api_benchmark"
    bat = read_bat(folder / "Crab_SWIFT_BAT.dat.gz")
    assert bat.mean_near(54600, 100)[0] == pytest.approx(0.22, abs=0.02)
    with gzip.open(folder / "CRAB_GBM_occ_fluxhist_auto.txt.gz", "rt") as lines:
        first = next(line for line in lines if line.startswith("54690.04")).split()
    gbm = read_gbm(folder / "CRAB_GBM_occ_fluxhist_auto.txt.gz", 6)
    assert gbm.rate[0] == float(first[6])
    assert gbm.error[0] == float(first[7])
