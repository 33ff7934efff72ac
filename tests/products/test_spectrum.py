import numpy as np
import pytest
from astropy.io import fits
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from integral_oda.errors import DataError, RequestError
from integral_oda.products.spectrum import Spectrum, find_companion, read_spectrum, write_spectra, write_spectrum

RATES = st.lists(st.floats(-10, 1e4, width=32), min_size=3, max_size=30)


def spectrum(rate, **more):
    n = len(rate)
    flags = np.zeros(n, np.int16)
    values = {"stat_error": np.full(n, 0.5), "sys_error": np.full(n, 0.01), "quality": flags, "grouping": flags}
    return Spectrum("Cyg X-1", 299.59, 35.2, np.asarray(rate, float), exposure_s=1234.5, **{**values, **more})


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
@given(RATES)
def test_round_trip(tmp_path, rate):
    covariance = np.diag(np.arange(1.0, len(rate) + 1))
    before = spectrum(rate, response_file="r.fits", area_file="a.fits", first_channel=1, covariance=covariance,
                      keywords={"REVOL": 2559})  # fmt: skip
    write_spectrum(tmp_path / "s.fits", before)
    after = read_spectrum(tmp_path / "s.fits")
    for name in ("rate", "stat_error", "sys_error", "quality", "grouping", "covariance"):
        assert np.allclose(getattr(after, name), getattr(before, name))
    for name in ("name", "ra_deg", "dec_deg", "exposure_s", "first_channel", "response_file", "area_file"):
        assert getattr(after, name) == getattr(before, name)
    assert after.keywords["REVOL"] == 2559


def test_keywords_that_ogip_asks_for(tmp_path):
    write_spectrum(tmp_path / "s.fits", spectrum([1.0, 2.0]))
    header = fits.getheader(tmp_path / "s.fits", 1)
    wanted = ("TELESCOP", "INSTRUME", "FILTER", "EXPOSURE", "BACKFILE", "CORRFILE", "CORRSCAL", "RESPFILE", "ANCRFILE")
    wanted += ("HDUCLASS", "HDUCLAS1", "HDUVERS", "POISSERR", "CHANTYPE", "DETCHANS", "AREASCAL", "BACKSCAL")
    assert not [key for key in wanted if key not in header]
    assert (header["HDUCLAS1"], header["HDUCLAS4"]) == ("SPECTRUM", "TYPE:I")


def test_type_two_keeps_a_row_a_window(tmp_path):
    pair = [spectrum([1.0, 2.0], keywords={"TSTART": 5.0}), spectrum([3.0, 4.0], keywords={"TSTART": 6.0})]
    write_spectra(tmp_path / "p.fits", pair, ["255900280010", "255900290010"])
    assert read_spectrum(tmp_path / "p.fits", row=2).rate.tolist() == [3.0, 4.0]
    assert fits.getdata(tmp_path / "p.fits", 1)["SWID"].tolist() == ["255900280010", "255900290010"]
    for row in (None, 0, 3):
        with pytest.raises(RequestError, match="2 spectra"):
            read_spectrum(tmp_path / "p.fits", row=row)


def test_counts_become_rates_with_their_poisson_errors(tmp_path):
    columns = [fits.Column("CHANNEL", "J", array=[1, 2]), fits.Column("COUNTS", "J", array=[400, 0])]
    table = fits.BinTableHDU.from_columns(columns, name="SPECTRUM")
    table.header.update({"EXPOSURE": 100.0, "POISSERR": True})
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(tmp_path / "c.fits")
    found = read_spectrum(tmp_path / "c.fits")
    assert found.rate.tolist() == [4.0, 0.0]
    assert found.stat_error.tolist() == [0.2, 0.0]


def test_real_spectra(real_data):
    smc = read_spectrum(real_data / "astropy_astroquery/SMC_X-1_ISGRI_0745_06340000001_spectrum_spe.fits")
    finite = np.isfinite(smc.rate)
    assert smc.rate[finite].sum() == pytest.approx(10.608, abs=1e-3)
    assert np.sqrt((smc.stat_error[finite] ** 2).sum()) == pytest.approx(0.355, abs=1e-3)
    assert (smc.name, len(smc), smc.sys_error[0]) == ("SMC X-1", 256, pytest.approx(0.015))
    assert not smc.usable[~finite].any()


def test_what_is_no_spectrum(tmp_path, real_data):
    with pytest.raises(DataError, match="no spectrum"):
        read_spectrum(real_data / "oda-hub_oda_api/rmf_test.fits.gz")
    with pytest.raises(DataError, match="no such file"):
        read_spectrum(tmp_path / "nothing.fits")


def test_companions_are_found_as_cfitsio_finds_them(tmp_path):
    (tmp_path / "r.fits.gz").touch()
    assert find_companion(tmp_path / "s.fits", "./r.fits") == tmp_path / "r.fits.gz"
    assert find_companion(tmp_path / "s.fits", "none") is None
    with pytest.raises(DataError, match="not there"):
        find_companion(tmp_path / "s.fits", "q.fits")
