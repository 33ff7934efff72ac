from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits

from integral_oda.instrument.attitude import Attitude
from integral_oda.instrument.energy import EnergyBand
from integral_oda.products.photometry import flux_scale
from integral_oda.products.sensitivity import sensitivity_map, write_sensitivity_maps
from integral_oda.products.sky_image import SkyImage

BAND = EnergyBand(28.0, 80.0)


@pytest.fixture
def image():
    attitude = Attitude.from_keywords({"RA_SCX": 83.6, "DEC_SCX": 22.0, "RA_SCZ": 83.6, "DEC_SCZ": -68.0})
    variance = np.full((400, 400), 4.0, np.float32)
    variance[:100] = 0
    flux = np.where(variance > 0, 1.0, np.nan).astype(np.float32)
    return SkyImage(flux, variance, flux / 2, flux, attitude.wcs(), BAND, {"SWID": "255900280010"})


def test_five_errors_where_something_was_observed(image):
    needed = sensitivity_map(image)
    assert np.isnan(needed[:100]).all()
    assert needed[100:] == pytest.approx(10.0)
    assert sensitivity_map(image, noise=1.2)[200, 200] == pytest.approx(12.0)
    assert sensitivity_map(image, noise=0.8, significance=3.0)[200, 200] == pytest.approx(6.0)


def test_the_file_says_what_its_numbers_are(image, tmp_path):
    write_sensitivity_maps(tmp_path / "s.fits", [image], [{"significance_sigma": 1.1}])
    with fits.open(tmp_path / "s.fits") as hdus:
        header = hdus[1].header
        assert hdus[1].data[200, 200] == pytest.approx(11.0)
        assert (header["BUNIT"], header["SIGMA"], header["NOISE"]) == ("counts/s", 5.0, 1.1)
        assert header["CRABRATE"] == pytest.approx(flux_scale(BAND).crab_rate)
        assert (header["SWID"], header["CTYPE1"]) == ("255900280010", "RA---TAN")
