from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st

from integral_oda.errors import DataError
from integral_oda.instrument.energy import EnergyBand
from integral_oda.products.light_curve import LightCurve, file_label, read_light_curve, write_light_curve

ARRAYS = ["time_ijd", "width_s", "rate", "error", "fractional_exposure", "counts", "background", "background_error"]


@pytest.fixture
def curve():
    rng = np.random.default_rng(1)
    values = {name: rng.uniform(0.5, 100, 12) for name in ARRAYS}
    values["time_ijd"] = 8320.6323 + np.arange(12) / 864.0
    values["rate"][3] = np.nan
    return LightCurve("SGR 1935+2154", 293.732, 21.8967, EnergyBand(28.0, 80.0), **values, keywords={"SWID": "x"})


def test_a_curve_comes_back(curve, tmp_path):
    write_light_curve(tmp_path / "lc.fits", curve)
    back = read_light_curve(tmp_path / "lc.fits")
    assert (back.name, back.ra_deg, back.dec_deg, back.band) == (curve.name, 293.732, 21.8967, curve.band)
    assert back.keywords["SWID"] == "x"
    assert len(back) == 12
    assert np.array_equal(back.time_ijd, curve.time_ijd)
    for name in ARRAYS:
        assert np.allclose(getattr(back, name), getattr(curve, name), rtol=1e-6, equal_nan=True), name


def test_the_table_is_isdcs(curve, tmp_path):
    write_light_curve(tmp_path / "lc.fits", curve)
    with fits.open(tmp_path / "lc.fits") as hdus:
        table = hdus["ISGR-SRC.-LCR"]
        assert {"TIME", "RATE", "ERROR", "FRACEXP", "XAX_E", "TIMEDEL", "BACKV", "BACKE"} <= set(table.columns.names)
        assert np.allclose(table.data["TIMEDEL"], 2 * table.data["XAX_E"])
        assert table.header["TIMEPIXR"] == 0.5
        assert (table.header["MJDREF"], table.header["TIMESYS"], table.header["TIMEUNIT"]) == (51544.0, "TT", "d")
        assert (table.header["E_MIN"], table.header["E_MAX"], table.header["SWID"]) == (28.0, 80.0, "x")
        assert table.columns["RATE"].unit == "counts/s"


def test_osas_light_curve_of_the_sample(real_data):
    name = "volodymyrss_grb221009/oda_8201ddeca4be3129_lc1000s_28_80_rev2559_SGR_1935+2154.fits.gz"
    curve = read_light_curve(real_data / name)
    assert len(curve) == 128
    inside = (curve.time_ijd > 8320.6323) & (curve.time_ijd < 8320.6737)
    assert curve.time_ijd[inside] == pytest.approx([8320.63822, 8320.64979, 8320.66137, 8320.67041], abs=1e-5)
    assert curve.rate[inside] == pytest.approx([57.65, 40.26, 35.23, 6.47], abs=0.006)
    assert curve.error[inside] == pytest.approx([1.97, 1.96, 1.96, 2.57], abs=0.006)
    assert np.all((curve.fractional_exposure[inside] > 0.99) & (curve.fractional_exposure[inside] <= 1))
    assert curve.width_s[inside][:3] == pytest.approx([1000] * 3, rel=1e-3)


@pytest.mark.parametrize(
    ("name", "points", "mean", "error"),
    [
        ("oda-hub_dispatcher-plugin-integral/isgri_query_lc.fits", 2, 22.40, 1.89),
        ("esg-epfl-apc_astrojsvis/IBIS_lc.fits", 118, 0.838, 0.107),
        ("volodymyrss_grb221009/IBIS_lc_SGR_1935+2154.fits.gz", 338, 1.139, 0.105),
    ],
)
def test_osas_light_curves(real_data, name, points, mean, error):
    curve = read_light_curve(real_data / name)
    assert len(curve) == points
    weight = curve.error**-2
    assert (curve.rate * weight).sum() / weight.sum() == pytest.approx(mean, abs=0.006)
    assert weight.sum() ** -0.5 == pytest.approx(error, abs=0.006)
    assert np.all(np.diff(curve.time_ijd) > 0)
    assert np.all(curve.width_s > 0)


def test_a_file_without_a_light_curve_is_refused(real_data):
    with pytest.raises(DataError, match="holds no light curve"):
        read_light_curve(real_data / "volodymyrss_pymosaics/isgri_sky_ima_1.fits.gz")


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("SGR 1935+2154", "SGR_1935+2154"),
        ("Cyg X-1", "Cyg_X-1"),
        ("J290.0000-19.5", "J290.0000-19.5"),
        ("a/b\\ä", "a_b__"),
    ],
)
def test_labels(name, label):
    assert file_label(name) == label


@given(st.text(max_size=20))
def test_a_label_is_safe_in_a_file_name(name):
    label = file_label(name)
    assert len(label) == len(name)
    assert all(c.isascii() and (c.isalnum() or c in "+-._") for c in label)
