from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits

from integral_oda.errors import DataError
from integral_oda.instrument.energy import EnergyBand
from integral_oda.instrument.response import crab_photons, nominal_response, osa_channel_edges_kev
from integral_oda.products.response_file import read_response, write_arf, write_rmf

REAL = {
    "SMC X-1, OSA 11": (745, "astropy_astroquery/SMC_X-1_ISGRI_0745_06340000001_spectrum_{}.fits.gz"),
    "GRB 221009A, OSA 11": (2558, "volodymyrss_grb221009/IBIS_{}_GRB221009A.fits.gz"),
    "1A 0535+262, OSA 11": (2090, "oda-hub_ogip/{}.fits.gz"),
    "4U 1700-377, OSA 10": (51, "oda-hub_oda_api/{}_test.fits.gz"),
    "NGC 2110, OSA 10": (1000, "oda-hub_oda_api_benchmark/NGC2110_ursini_{}_osa10.fits.gz"),
}


@pytest.fixture
def response():
    return nominal_response(1000, osa_channel_edges_kev()[10:139:8])


@pytest.mark.parametrize("form", ["OSA10", "OSA11"])
def test_a_response_comes_back_from_its_files(response, form, tmp_path):
    write_arf(tmp_path / "arf.fits", response, form)
    write_rmf(tmp_path / "rmf.fits", response, form, {"VSTART": 1.0})
    again = read_response(tmp_path / "rmf.fits", tmp_path / "arf.fits")
    assert again.matrix == pytest.approx(response.matrix, rel=1e-6, abs=2e-6 * response.matrix.max())
    assert again.channel_edges_kev == pytest.approx(response.channel_edges_kev)
    assert again.first_channel == 0
    assert again.fold(crab_photons) == pytest.approx(response.fold(crab_photons), rel=1e-5)


def test_which_file_holds_the_area(response, tmp_path):
    for form, largest in (("OSA10", response.area_cm2.max()), ("OSA11", 1.0)):
        write_arf(tmp_path / f"{form}.fits", response, form)
        with fits.open(tmp_path / f"{form}.fits") as hdus:
            assert hdus["SPECRESP"].data["SPECRESP"].max() == pytest.approx(largest)
    write_rmf(tmp_path / "rmf.fits", response, "OSA11")
    assert read_response(tmp_path / "rmf.fits").area_cm2.max() == pytest.approx(response.area_cm2.max(), rel=1e-4)


def test_an_arf_of_other_energies_is_refused(response, tmp_path):
    write_rmf(tmp_path / "rmf.fits", response, "OSA10")
    write_arf(tmp_path / "arf.fits", nominal_response(1000), "OSA10")
    with fits.open(tmp_path / "arf.fits", mode="update") as hdus:
        hdus["SPECRESP"].data["ENERG_LO"] += 5
        hdus["SPECRESP"].data["ENERG_HI"] += 5
    with pytest.raises(DataError, match=r"arf\.fits: its 2374 energies are not the 2374 of .*rmf\.fits"):
        read_response(tmp_path / "rmf.fits", tmp_path / "arf.fits")


def test_a_file_without_a_matrix_is_refused(response, tmp_path):
    write_arf(tmp_path / "arf.fits", response, "OSA10")
    with pytest.raises(DataError, match=r"no table SPECRESP MATRIX or MATRIX or ISGR-RMF\.-RSP, it holds SPECRESP"):
        read_response(tmp_path / "arf.fits")


@pytest.mark.parametrize("name", REAL)
def test_the_nominal_response_beside_the_real_ones(name, real_data):
    revolution, files = REAL[name]
    real = read_response(*(real_data / files.format(kind) for kind in ("rmf", "arf")))
    nominal = nominal_response(revolution)
    ratios = [
        nominal.band_rate(crab_photons, EnergyBand(*band)) / real.band_rate(crab_photons, EnergyBand(*band))
        for band in ((40, 80), (60, 100))
    ]
    assert np.all((np.array(ratios) > 0.7) & (np.array(ratios) < 1.15))


def test_real_areas_are_those_of_the_reference(real_data):
    real = {name: read_response(*(real_data / REAL[name][1].format(k) for k in ("rmf", "arf"))) for name in REAL}
    peaks = {name: (r.area_cm2.max(), r.energies_kev[r.area_cm2.argmax()]) for name, r in real.items()}
    assert peaks["SMC X-1, OSA 11"] == pytest.approx((1334.2, 62.2), abs=0.3)
    assert peaks["1A 0535+262, OSA 11"] == pytest.approx((1754.3, 54.2), abs=0.3)
    assert peaks["4U 1700-377, OSA 10"] == pytest.approx((1334.2, 54.2), abs=0.3)
    np.testing.assert_array_equal(real["GRB 221009A, OSA 11"].channel_edges_kev, osa_channel_edges_kev())
    assert real["SMC X-1, OSA 11"].incomplete_kev == pytest.approx((88.16, 298.31), abs=0.01)
    assert real["GRB 221009A, OSA 11"].incomplete_kev is None
