from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st

from integral_oda.instrument.response import crab_photons, nominal_response, osa_channel_edges_kev
from integral_oda.products.on_off import on_and_off_counts, write_on_off
from integral_oda.products.spectrum import Spectrum, read_spectrum


def spectrum_of(rate, error, exposure=2000.0, quality=None):
    n = len(rate)
    rates, errors = np.asarray(rate, float), np.asarray(error, float)
    return Spectrum(
        name="SGR 1935+2154", ra_deg=293.7, dec_deg=21.9, rate=rates, stat_error=errors,
        sys_error=np.zeros(n), quality=np.zeros(n, np.int16) if quality is None else quality,
        grouping=np.ones(n, np.int16), exposure_s=exposure,
    )  # fmt: skip


@given(st.floats(-5, 5), st.floats(0.2, 3), st.floats(100, 1e5))
def test_difference_and_variance_of_the_counts_are_those_of_the_rate(rate, error, exposure):
    on, off = on_and_off_counts(spectrum_of([rate], [error], exposure))
    if (error * exposure) ** 2 < abs(rate * exposure):
        assert np.isnan(on[0])
        assert np.isnan(off[0])
        return
    assert (on - off)[0] == pytest.approx(rate * exposure, rel=1e-6, abs=1e-6 * (error * exposure) ** 2)
    assert np.sqrt(on + off)[0] == pytest.approx(error * exposure)


def test_channels_without_error_or_below_poissons_have_no_counts():
    on, off = on_and_off_counts(spectrum_of([1.0, 1.0, np.nan], [0.0, 1e-4, 1.0]))
    assert np.isnan(on).all()
    assert np.isnan(off).all()


def test_the_files_hold_what_gammapy_looks_for(tmp_path):
    response = nominal_response(1000, osa_channel_edges_kev()[10:139:8])
    rate = response.fold(crab_photons)
    quality = np.zeros(len(rate), np.int16)
    quality[0] = 2
    path = write_on_off(tmp_path / "gammapy", spectrum_of(rate, 0.05 * rate + 0.1, quality=quality), response, "a")
    assert sorted(p.name for p in path.parent.iterdir()) == [
        "arf_obsa.fits",
        "bkg_obsa.fits",
        "pha_obsa.fits",
        "rmf_obsa.fits",
    ]
    with fits.open(path) as hdus:
        header, table = hdus["SPECTRUM"].header, hdus["SPECTRUM"].data
        assert [header[key] for key in ("BACKFILE", "ANCRFILE", "RESPFILE")] == [
            "bkg_obsa.fits",
            "arf_obsa.fits",
            "rmf_obsa.fits",
        ]
        assert header["HDUCLASS"] == "OGIP"
        assert table["QUALITY"].tolist() == [5] + [0] * (len(rate) - 1)
        assert len(hdus["EBOUNDS"].data) == len(rate)
    with fits.open(path.with_name("rmf_obsa.fits")) as hdus:
        row = hdus["MATRIX"].data[40]
        assert len(row["MATRIX"]) == row["N_CHAN"][0]
    net = (read_spectrum(path).rate - read_spectrum(path.with_name("bkg_obsa.fits")).rate)[1:]
    assert net == pytest.approx(rate[1:], rel=1e-6)
