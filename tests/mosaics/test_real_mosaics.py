"""OSA's mosaics of two revolutions combined, against OSA's own mosaic of both."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits

from integral_oda.errors import RequestError
from integral_oda.imaging.resampling import without_ripples
from integral_oda.instrument.attitude import separation_deg
from integral_oda.mosaics.make import MosaicRequest, make_mosaic
from integral_oda.products.sky_image import read_sky_images

REAL = os.environ.get("INTEGRAL_ODA_TESTDATA")
pytestmark = pytest.mark.skipif(REAL is None, reason="INTEGRAL_ODA_TESTDATA is not set")
FOLDER = Path(REAL or ".") / "volodymyrss_grb221009"
PARTS = [
    FOLDER / "oda_a50d6c041ff4b862_mosaic_28_80_rev2558_15scw.fits.gz",
    FOLDER / "oda_888735289fd7cdac_mosaic_28_80_rev2559_37scw.fits.gz",
]
WHOLE = FOLDER / "oda_34b13e172d22acb3_mosaic_28_80_rev2558_2559_52scw.fits.gz"


@pytest.fixture(scope="module")
def ours():
    return make_mosaic(MosaicRequest(PARTS, like=WHOLE))


@pytest.fixture(scope="module")
def theirs():
    return read_sky_images(WHOLE)[0]


def middle(image):
    rows, columns = image.shape
    part = np.zeros(image.shape, dtype=bool)
    part[rows // 3 : 2 * rows // 3, columns // 3 : 2 * columns // 3] = True
    return part


def test_the_sum_of_two_revolutions_is_as_osa_sums_their_windows(ours, theirs):
    (image,) = ours.images
    part = middle(theirs) & image.observed & theirs.observed
    assert image.shape == theirs.shape
    difference = (image.intensity - theirs.intensity)[part] / np.sqrt(theirs.variance[part])
    assert np.median(image.variance[part] / theirs.variance[part]) == pytest.approx(0.997, abs=0.005)
    assert np.corrcoef(image.intensity[part], theirs.intensity[part])[0, 1] >= 0.985
    assert difference.std() <= 0.25
    assert image.significance[part].std() / theirs.significance[part].std() == pytest.approx(1, abs=0.02)


def test_every_source_of_the_osa_list_is_found_in_its_place_with_its_flux(ours, theirs):
    catalog = WHOLE.with_name(WHOLE.name.replace(".fits.gz", "_catalog.csv")).read_text(encoding="utf-8")
    listed = list(csv.DictReader(catalog.splitlines()))
    assert len(listed) == 5
    for row in listed:
        away = [
            separation_deg(float(row["ra"]), float(row["dec"]), s.ra_deg, s.dec_deg) * 60 for s in ours.found.sources
        ]
        nearest = ours.found.sources[int(np.argmin(away))]
        assert min(away) < 1.5
        column, line = theirs.pixel_of(SkyCoord(float(row["ra"]), float(row["dec"]), unit="deg", frame="fk5"))
        peak = np.s_[
            round(float(line)) - 1 : round(float(line)) + 2, round(float(column)) - 1 : round(float(column)) + 2
        ]
        brightest = np.unravel_index(np.argmax(theirs.significance[peak]), (3, 3))
        # The list has no fluxes; its significances are of the fit over the error of the brightest pixel.
        flux = float(row["significance"]) * np.sqrt(theirs.variance[peak][brightest])
        assert nearest.bands[0].flux == pytest.approx(flux, rel=0.05)
    assert [s.name for s in ours.found.sources if not s.new] == ["Cyg X-1", "GRS 1915+105", "SGR 1935+2154"]


@pytest.mark.parametrize("path", [*PARTS, WHOLE], ids=["15 windows", "37 windows", "52 windows"])
def test_the_noise_of_osa_mosaics_does_not_follow_the_ripples_of_their_variance(path):
    image = read_sky_images(path)[0]
    level = without_ripples(image.variance)
    used = image.observed & (np.abs(image.significance) < 5)
    used &= level < 50 * level[image.observed].min()
    ripple, power = image.variance[used] / level[used], image.intensity[used] ** 2 / level[used]
    valleys, ridges = np.percentile(ripple, [25, 75])
    assert ripple[ripple > ridges].mean() / ripple[ripple < valleys].mean() > 1.1
    assert power[ripple > ridges].mean() / power[ripple < valleys].mean() == pytest.approx(1, abs=0.06)


def test_the_empirical_noise_stands_beside_the_statistical_one(ours):
    (noise,) = ours.found.noise
    assert 1.4 < noise["significance_sigma"] < 1.8
    assert noise["null_sigma"] == 1


def test_what_stands_out_of_the_statistical_noise_alone_is_listed_with_its_reason(ours, tmp_path):
    (noise,) = ours.found.noise
    summary = ours.write(tmp_path)
    suppressed = summary["suppressed"]
    strengths = [excess["significance"] for excess in suppressed]
    assert strengths == sorted(strengths, reverse=True)
    assert min(strengths) >= 5
    assert max(strengths) < 5 * noise["significance_sigma"]
    # OSA lists it as NEW_3 of revolution 2558, at 7.1 sigma
    assert separation_deg(suppressed[0]["ra_deg"], suppressed[0]["dec_deg"], 289.3317, 9.3534) * 60 < 5
    assert f"{noise['significance_sigma']:.2f} times the statistical" in suppressed[0]["reason"]
    with fits.open(tmp_path / "catalog.fits") as hdus:
        assert len(hdus["SUPPRESSED"].data) == len(suppressed)


def test_images_of_osa_10_and_osa_11_are_not_summed_unasked(tmp_path):
    crab = Path(REAL or ".") / "volodymyrss_pymosaics" / "isgri_mosa_ima_1.fits.gz"
    other = Path(REAL or ".") / "volodymyrss_pymosaics" / "isgri_sky_ima_1.fits.gz"
    with pytest.raises(RequestError, match="28-80 keV"):
        make_mosaic(MosaicRequest([PARTS[0], crab]))
    with pytest.raises(RequestError, match="25-80"):
        make_mosaic(MosaicRequest([crab, other]))


def test_a_real_window_is_not_wide_and_its_source_keeps_flux_and_place():
    path = Path(REAL or ".") / "volodymyrss_pymosaics" / "isgri_sky_ima_1.fits.gz"
    products = make_mosaic(MosaicRequest([path]))
    crab = products.found.sources[0]
    assert crab.name == "Crab"
    # OSA's own fit: 168.9 counts/s in the brightest pixel, which is half a pixel off.
    assert 168.9 < crab.bands[0].flux < 168.9 * 1.15
    assert separation_deg(crab.ra_deg, crab.dec_deg, 83.6332, 22.0145) * 60 < 0.5
