"""Images of windows gathered into a mosaic: searched, fitted and measured in the sum."""

from __future__ import annotations

import numpy as np
import pytest

from integral_oda.engines.native.gather import Mosaic
from integral_oda.engines.native.image import WindowImage
from integral_oda.engines.native.mosaic_sum import SumImages, add_up
from integral_oda.errors import DataError
from integral_oda.instrument.attitude import Attitude, separation_deg
from integral_oda.instrument.energy import EnergyBand
from integral_oda.simulation.sky_image import draw_sky_image

BANDS = (EnergyBand(20.0, 40.0), EnergyBand(40.0, 80.0))
TANGENT = [84.0, 20.0]
SOURCES = [(83.6332, 22.0145, 150.0), (86.0, 24.0, 6.0), (81.0, 20.0, 20.0)]
NOISE = {"significance_mean": 0.0, "null_sigma": 1.0, "largest_excess": 4.0, "sources_masked": 0}


def window(number, *, width=1.0):
    generator = np.random.default_rng([7, number])
    ra = 83.0 + number % 3
    attitude = Attitude.from_keywords({"RA_SCX": ra, "DEC_SCX": 22.0, "RA_SCZ": ra, "DEC_SCZ": -68.0})
    scw = f"0665002{number:04d}0.001"
    images = [draw_sky_image(attitude, SOURCES, 1.0, generator, band, scw) for band in BANDS]
    noise = [{"e1_kev": b.e1_kev, "e2_kev": b.e2_kev, "significance_sigma": width, **NOISE} for b in BANDS]
    return WindowImage(images, [], noise)


def gathered(windows, **asked):
    parameters = {"tangent": TANGENT, "threshold": 7.0, "extra": [], "at": [], **asked}
    return Mosaic().compute([(str(k), part) for k, part in enumerate(windows)], parameters, {})


@pytest.fixture(scope="module")
def mosaic():
    return gathered([window(k) for k in range(6)], at=[["nowhere", 84.5, 19.0]])


def test_a_single_window_is_left_as_it_is():
    lone = window(0)
    assert gathered([lone]) is lone


def test_sources_are_found_in_the_mosaic_with_their_flux_and_place(mosaic):
    assert [s.name for s in mosaic.sources if not s.forced and s.name == "Crab"] == ["Crab"]
    for ra, dec, flux in SOURCES:
        (found,) = (s for s in mosaic.sources if separation_deg(ra, dec, s.ra_deg, s.dec_deg) * 60 < 3)
        for band in found.bands:
            assert abs(band.flux - flux) < 4 * band.flux_error
        assert separation_deg(ra, dec, found.ra_deg, found.dec_deg) * 60 < 2 * found.error_radius_arcmin


def test_a_source_too_faint_for_a_window_is_found_in_all_of_them(mosaic):
    (faint,) = (s for s in mosaic.sources if separation_deg(86.0, 24.0, s.ra_deg, s.dec_deg) * 60 < 5)
    assert faint.new
    alone = max(band.significance for band in faint.bands) / np.sqrt(6)
    assert alone < 7


def test_a_position_asked_for_is_measured(mosaic):
    (forced,) = (s for s in mosaic.sources if s.forced)
    assert forced.name == "nowhere"
    assert all(abs(band.significance) < 4 for band in forced.bands)


def test_the_noise_of_the_mosaic_is_that_of_its_variance(mosaic):
    assert [noise["e1_kev"] for noise in mosaic.noise] == [20.0, 40.0]
    for noise in mosaic.noise:
        assert noise["significance_sigma"] == pytest.approx(1, abs=0.05)
    assert mosaic.images[0].keywords["NSCW"] == 6
    assert mosaic.images[0].keywords["ONTIME"] == 12_000


def test_a_window_of_wide_noise_is_left_out_with_its_reason(tmp_path):
    partial = add_up([window(0), window(1, width=2.1), window(2)], TANGENT)
    SumImages().save(partial, tmp_path)
    mosaic = gathered([SumImages().load(tmp_path)])
    assert mosaic.images[0].keywords["NSCW"] == 2
    assert mosaic.left_out == [
        {"scw": "066500200010.001", "reason": "066500200010.001: its significance map has a width of 2.10, over 1.5"}
    ]
    with pytest.raises(DataError, match=r"2\.10"):
        add_up([window(1, width=2.1)], TANGENT)
