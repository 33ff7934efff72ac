from __future__ import annotations

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.io import fits

from integral_oda.errors import DataError
from integral_oda.instrument.attitude import Attitude, tangents_to_pixel
from integral_oda.instrument.energy import EnergyBand
from integral_oda.products.sky_image import SkyImage, read_sky_images, write_sky_images

CRAB = SkyCoord(83.633, 22.014, unit="deg", frame="fk5")
PLANES = ["INTENSITY", "VARIANCE", "SIGNIFICANCE", "EXPOSURE"]
ATTITUDE = Attitude.from_keywords({"RA_SCX": 286.8229, "DEC_SCX": 20.2763, "RA_SCZ": 199.3752, "DEC_SCZ": -6.8731})
KEYWORDS = {"SWID": "255900280010", "REVOL": 2559, "TSTART": 8320.6323, "TSTOP": 8320.673666, "ONTIME": 3548.5,
            "DEADC": 0.698, "DEADORIG": "DEADC keyword", "EXPOSURE": 2300.0}  # fmt: skip


def make_image(band, seed):
    rng = np.random.default_rng(seed)
    intensity, variance = rng.normal(size=(400, 400)), rng.uniform(0.5, 2, (400, 400))
    intensity[:20], variance[:20] = np.nan, 0
    with np.errstate(divide="ignore", invalid="ignore"):
        planes = (intensity, variance, intensity / np.sqrt(variance), rng.uniform(0, 2000, (400, 400)))
    return SkyImage(*(p.astype(np.float32) for p in planes), ATTITUDE.wcs(), band, KEYWORDS)


@pytest.fixture(scope="module")
def images():
    return [make_image(EnergyBand(28.0, 80.0), 1), make_image(EnergyBand(20.5, 40.0), 2)]


@pytest.fixture(scope="module")
def written(images, tmp_path_factory):
    path = tmp_path_factory.mktemp("image") / "mosaic.fits"
    write_sky_images(path, images, {"DEADORIG": "isgri_dead.fits"})
    return path


def test_images_come_back_as_they_were(images, written):
    for image, back in zip(images, read_sky_images(written), strict=True):
        assert back.band == image.band
        for name in ("intensity", "variance", "significance", "exposure"):
            assert np.array_equal(getattr(back, name), getattr(image, name), equal_nan=True)
        assert {key: back.keywords[key] for key in KEYWORDS} == KEYWORDS
        corners = np.array([0, 399, 200.25]), np.array([10, 350, 17.5])
        assert np.allclose(back.wcs.wcs_pix2world(*corners, 0), image.wcs.wcs_pix2world(*corners, 0), atol=1e-9)


def test_the_file_is_built_as_osas(written):
    with fits.open(written) as hdus:
        assert len(hdus) == 2 + 2 * 4
        assert hdus[0].header["DEADORIG"] == "isgri_dead.fits"
        assert (hdus[1].name, hdus[1].header["GRPNAME"]) == ("GROUPING", "ISGR-MOSA-IMA-IDX")
        assert [hdu.header["IMATYPE"] for hdu in hdus[2:]] == PLANES * 2
        assert [hdu.header["E_MIN"] for hdu in hdus[2:]] == [28.0] * 4 + [20.5] * 4
        assert {hdu.name for hdu in hdus[2:]} == {"ISGR-MOSA-IMA"}
        assert [hdu.header["BUNIT"] for hdu in hdus[2:6]] == ["counts/sec", "(counts/sec)**2", "no units", "sec"]
        assert hdus[4].header["IMATYPE"] == "SIGNIFICANCE"
        assert hdus[1].data["IMATYPE"].tolist() == PLANES * 2
        assert hdus[1].data["MEMBER_POSITION"].tolist() == list(range(2, 10))
        assert hdus[1].data["E_MAX"].tolist() == [80.0] * 4 + [40.0] * 4


def test_observed_is_where_there_is_a_variance(images):
    assert images[0].shape == (400, 400)
    assert images[0].observed.sum() == 380 * 400
    assert not images[0].observed[:20].any()


def test_positions_and_pixels_are_those_of_the_attitude(images):
    ra, dec = 293.7320, 21.8967
    column, row = images[0].pixel_of(SkyCoord(ra, dec, unit="deg", frame="fk5"))
    assert (float(column), float(row)) == pytest.approx(
        tuple(float(p) for p in tangents_to_pixel(*ATTITUDE.tangents(ra, dec))), abs=1e-6
    )
    back = images[0].position_of(column, row)
    assert back.separation(SkyCoord(ra, dec, unit="deg", frame="fk5")).arcsec < 1e-3


def test_other_frames_are_turned_first(images):
    position = SkyCoord(293.7320, 21.8967, unit="deg", frame="fk5")
    assert np.allclose(images[0].pixel_of(position.galactic), images[0].pixel_of(position), atol=1e-6)


def test_what_is_behind_the_pointing_has_no_pixel(images):
    column, row = images[0].pixel_of(SkyCoord([106.8, 286.8], [-20.3, 20.3], unit="deg", frame="fk5"))
    assert np.isnan(column).tolist() == np.isnan(row).tolist() == [True, False]


def test_osas_image_of_the_crab(real_data):
    (image,) = read_sky_images(real_data / "volodymyrss_pymosaics/isgri_sky_ima_1.fits.gz")
    assert image.band == EnergyBand(25.0, 80.0)
    assert image.shape == (400, 400)
    row, column = np.unravel_index(np.nanargmax(image.significance), image.shape)
    assert image.significance[row, column] == pytest.approx(146.8, abs=0.1)
    assert image.intensity[row, column] == pytest.approx(168.91, abs=0.01)
    assert image.position_of(column, row).separation(CRAB) < 3 * u.arcmin
    at_crab = image.pixel_of(CRAB)
    # Column and row of the Crab as read off the image with another program.
    assert (float(at_crab[0]), float(at_crab[1])) == pytest.approx((245.43, 246.89), abs=0.1)
    assert image.exposure[200, 200] == pytest.approx(0.64 * 1214.6, rel=0.01)
    assert image.keywords["ONTIME"] == pytest.approx(1986.4, abs=0.1)
    assert image.keywords["DEADC"] == pytest.approx(0.6908, abs=1e-4)
    assert np.array_equal(image.observed, image.variance > 0)
    rows, columns = np.nonzero(image.observed)
    assert (columns.min(), columns.max(), rows.min(), rows.max()) == (21, 378, 19, 380)


SGR, CYG = SkyCoord(293.732, 21.8967, unit="deg"), SkyCoord(299.5903, 35.2016, unit="deg")
MOSAICS = [
    (
        "volodymyrss_pymosaics/isgri_mosa_ima_1.fits.gz",
        (20, 40),
        SkyCoord(255.9866, -37.8441, unit="deg"),
        41.92,
        135.5,
    ),
    ("oda-hub_dispatcher-plugin-integral/isgri_query_mosaic.fits.gz", (20, 40), CRAB, 141.91, 268.3),
    ("volodymyrss_grb221009/oda_888735289fd7cdac_mosaic_28_80_rev2559_37scw.fits.gz", (28, 80), CYG, 136.6, 90.7),
    ("volodymyrss_grb221009/oda_888735289fd7cdac_mosaic_28_80_rev2559_37scw.fits.gz", (28, 80), SGR, 1.45, 11.6),
]


@pytest.mark.parametrize(("name", "band", "position", "flux", "significance"), MOSAICS)
def test_osas_mosaics(real_data, name, band, position, flux, significance):
    (image,) = read_sky_images(real_data / name)
    assert image.band == EnergyBand(*map(float, band))
    column, row = (round(float(p)) for p in image.pixel_of(position))
    box = np.s_[row - 1 : row + 2, column - 1 : column + 2]
    assert image.intensity[box].max() == pytest.approx(flux, abs=0.06)
    assert image.significance[box].max() == pytest.approx(significance, abs=0.11)


def test_planes_are_found_by_their_type_not_their_place(images, written, tmp_path):
    with fits.open(written) as hdus:
        shuffled = fits.HDUList([hdus[0], *(hdus[k].copy() for k in (9, 5, 3, 8, 2, 6, 4, 7))])
        shuffled.writeto(tmp_path / "shuffled.fits")
    by_band = {image.band: image for image in read_sky_images(tmp_path / "shuffled.fits")}
    for image in images:
        assert np.array_equal(by_band[image.band].intensity, image.intensity, equal_nan=True)
        assert np.array_equal(by_band[image.band].exposure, image.exposure)


def test_missing_planes_are_made_up_for(images, written, tmp_path):
    with fits.open(written) as hdus:
        fits.HDUList([hdus[0], hdus[2].copy(), hdus[3].copy()]).writeto(tmp_path / "two.fits")
    (image,) = read_sky_images(tmp_path / "two.fits")
    observed = image.observed
    assert np.allclose(image.significance[observed], images[0].significance[observed], rtol=1e-6)
    assert np.isnan(image.exposure).all()


def test_a_file_without_an_image_is_refused(real_data, tmp_path):
    fits.PrimaryHDU(np.zeros((3, 3))).writeto(tmp_path / "plain.fits")
    for path in (tmp_path / "plain.fits", real_data / "dominp_isgri/255900280010_isgri_model.fits.gz"):
        with pytest.raises(DataError, match="holds no sky image"):
            read_sky_images(path)


def test_an_image_read_and_written_again_is_the_same_file(written, tmp_path):
    write_sky_images(tmp_path / "again.fits", read_sky_images(written), {"DEADORIG": "isgri_dead.fits"})
    assert (tmp_path / "again.fits").read_bytes() == written.read_bytes()
