"""Mosaics of drawn images: any projection and grid, added to later, refused where images do not belong together."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits

from integral_oda.errors import DataError, NothingLeftError, RequestError
from integral_oda.imaging.resampling import Resampling
from integral_oda.instrument.attitude import separation_deg
from integral_oda.instrument.energy import EnergyBand
from integral_oda.mosaics.make import MosaicRequest, make_mosaic
from integral_oda.products.healpix import HealpixMap
from integral_oda.products.sky_image import read_sky_images, write_sky_images

SOURCES = [(83.6332, 22.0145, 150.0), (86.0, 24.0, 12.0), (81.0, 20.0, 30.0)]


def assert_sources(found, shape=0.0, place=0.0):
    for ra, dec, flux in SOURCES:
        (near,) = (s for s in found.sources if separation_deg(ra, dec, s.ra_deg, s.dec_deg) * 60 < 3)
        (band,) = near.bands
        assert abs(band.flux - flux) < 4 * band.flux_error + shape * flux
        assert separation_deg(ra, dec, near.ra_deg, near.dec_deg) * 60 < 2 * near.error_radius_arcmin + place


@pytest.mark.parametrize("method", list(Resampling))
def test_flux_place_and_noise_are_right_whatever_the_resampling(paths, method):
    products = make_mosaic(MosaicRequest(paths, resampling=method))
    # Whole pixels are right in the mean over many windows: one misplaces a source by up to half a pixel of 5 arcmin.
    exact = method in (Resampling.CUBIC, Resampling.SPREAD)
    assert_sources(products.found, *((0.01, 0.0) if exact else (0.08, 1.0)))
    assert products.found.noise[0]["significance_sigma"] == pytest.approx(1, abs=0.05)
    assert products.images[0].keywords["RESAMPLE"] == method.value


@pytest.mark.parametrize("projection", ["CAR", "AIT"])
@pytest.mark.parametrize("galactic", [False, True])
def test_a_projection_of_the_whole_sky_shows_the_same_sky(paths, projection, galactic):
    from astropy.coordinates import SkyCoord

    products = make_mosaic(MosaicRequest(paths, projection=projection, galactic=galactic))
    (image,) = products.images
    assert [kind[-3:] for kind in image.wcs.wcs.ctype] == [projection] * 2
    assert_sources(products.found)
    column, row = image.pixel_of(SkyCoord(83.6332, 22.0145, unit="deg", frame="fk5"))
    i, j = round(float(row)), round(float(column))
    # Half a pixel off along both axes, a source shows 0.83 of its peak.
    assert 0.8 * 150 < image.intensity[i - 1 : i + 2, j - 1 : j + 2].max() < 1.02 * 150


def test_a_healpix_mosaic_and_its_hips(paths, tmp_path):
    pytest.importorskip("astropy_healpix", reason="astropy-healpix is not installed")
    from astropy import units as u
    from astropy_healpix import HEALPix

    products = make_mosaic(MosaicRequest(paths, projection="HEALPIX", galactic=True))
    (one,) = products.images
    assert isinstance(one, HealpixMap)
    assert_sources(products.found)
    assert one.significance.std() < 10
    lon, lat = HEALPix(one.grid.nside, order="nested").healpix_to_lonlat(one.grid.number[[one.significance.argmax()]])
    from astropy.coordinates import SkyCoord

    brightest = SkyCoord(lon, lat, frame="galactic").fk5
    assert separation_deg(brightest.ra.deg, brightest.dec.deg, 83.6332, 22.0145)[0] * 60 < 3
    summary = products.write(tmp_path)
    assert "hips_20-40" in summary["files"]
    table = fits.getdata(tmp_path / "mosaic.fits", 1)
    assert np.array_equal(table["PIXEL"], one.grid.number)
    properties = (tmp_path / "hips_20-40" / "properties").read_text(encoding="utf-8")
    assert "hips_frame           = galactic" in properties
    tile = int(one.grid.number[one.significance.argmax()] // (one.grid.nside // 8) ** 2)
    image = fits.getdata(tmp_path / "hips_20-40" / "Norder3" / "Dir0" / f"Npix{tile}.fits")
    assert image.shape == (512, 512)
    assert np.nanmax(image) == one.significance.max()
    assert_tile_is_in_place(image, tile, brightest.galactic, u)


def assert_tile_is_in_place(image, tile, position, u):
    """The brightest pixel of a tile lies where HEALPix has the source: columns north-west, rows south-west."""
    from astropy_healpix import HEALPix

    number, x, y = HEALPix(8, order="nested").lonlat_to_healpix([position.l.deg] * u.deg, [position.b.deg] * u.deg,
                                                                return_offsets=True)  # fmt: skip
    row, column = np.argwhere(image == np.nanmax(image)).mean(axis=0)
    assert number[0] == tile
    assert (column / 512, 1 - row / 512) == (pytest.approx(y[0], abs=0.01), pytest.approx(x[0], abs=0.01))


def test_the_grid_of_another_image_is_taken(paths):
    products = make_mosaic(MosaicRequest(paths[1:], like=paths[0]))
    (image,), (wanted,) = products.images, read_sky_images(paths[0])
    assert image.shape == wanted.shape
    np.testing.assert_allclose(image.wcs.wcs.crval, wanted.wcs.wcs.crval)
    np.testing.assert_allclose(image.wcs.wcs.crpix, wanted.wcs.wcs.crpix)


def test_size_and_middle_as_asked_for(paths):
    (image,) = make_mosaic(MosaicRequest(paths, centre=(83.6, 22.0), size_deg=(10.0, 6.0))).images
    rows, columns = image.shape
    assert (columns * 0.0823, rows * 0.0823) == (pytest.approx(10, abs=0.3), pytest.approx(6, abs=0.3))
    centre = image.position_of(columns / 2 - 0.5, rows / 2 - 0.5)
    assert separation_deg(centre.ra.deg, centre.dec.deg, 83.6, 22.0) < 0.1


def test_a_mosaic_is_added_to_and_is_the_same_as_all_at_once(paths, tmp_path):
    make_mosaic(MosaicRequest(paths[:3])).write(tmp_path / "first")
    later = make_mosaic(MosaicRequest([tmp_path / "first" / "mosaic.fits", *paths[3:]]))
    whole = make_mosaic(MosaicRequest(paths))
    (one,), (other,) = later.images, whole.images
    assert one.shape == other.shape
    seen = other.variance > 0
    # But for a few pixels half way between two of an image: places are worked out in single precision.
    agree = np.isclose(one.variance, other.variance, rtol=1e-3)
    assert (~agree).sum() < 50
    difference = (one.intensity - other.intensity)[seen & agree] / np.sqrt(other.variance[seen & agree])
    assert np.abs(difference).max() < 0.05
    assert one.keywords["NSCW"] == other.keywords["NSCW"] == 5
    assert one.keywords["ONTIME"] == other.keywords["ONTIME"]


def test_the_order_of_the_images_does_not_matter(paths):
    (one,), (other,) = (make_mosaic(MosaicRequest(some)).images for some in (paths, paths[::-1]))
    np.testing.assert_allclose(one.intensity, other.intensity, rtol=1e-5, atol=1e-5)


def test_a_window_given_twice_counts_once(paths):
    products = make_mosaic(MosaicRequest([*paths, paths[2]]))
    assert len(products.files.used) == 5
    assert "counted once" in products.files.left_out[0]["reason"]


def test_a_window_of_wide_significance_is_left_out_with_its_reason(paths, drawn, tmp_path):
    (bad,) = drawn(7)
    bad = replace(bad, intensity=2 * bad.intensity, significance=2 * bad.significance)
    write_sky_images(tmp_path / "bad.fits", [bad])
    (tmp_path / "cut.fits").write_bytes(paths[0].read_bytes()[:400_000])
    products = make_mosaic(MosaicRequest([*paths, tmp_path / "bad.fits", tmp_path / "cut.fits"]))
    reasons = {left["scw"]: left["reason"] for left in products.files.left_out}
    assert "width of 2.0" in reasons["bad.fits"]
    assert "damaged" in reasons["cut.fits"]
    assert len(products.files.used) == 5
    with pytest.raises(DataError, match=r"width of 2\.0"):
        make_mosaic(MosaicRequest([tmp_path / "bad.fits", *paths], strict=True))
    with pytest.raises(NothingLeftError, match=r"width of 2\.0"):
        make_mosaic(MosaicRequest([tmp_path / "bad.fits"]))


def test_bands_and_software_must_be_the_same(paths, drawn, tmp_path):
    write_sky_images(tmp_path / "other.fits", drawn(8, bands=(EnergyBand(40.0, 80.0),)))
    with pytest.raises(RequestError, match="40-80 keV"):
        make_mosaic(MosaicRequest([*paths, tmp_path / "other.fits"]))
    for year, name in ((2015, "old"), (2021, "new")):
        (image,) = drawn(year)
        osa = {**image.keywords, "CREATOR": "ii_skyimage 5.4.4", "CONFIGUR": f"osa_{year}-08-27T14:27:00"}
        write_sky_images(tmp_path / f"{name}.fits", [replace(image, keywords=osa)])
    both = [tmp_path / "old.fits", tmp_path / "new.fits"]
    with pytest.raises(RequestError, match=r"OSA 10.*OSA 11.*--mix-versions"):
        make_mosaic(MosaicRequest(both))
    mixed = make_mosaic(MosaicRequest(both, mix_versions=True))
    assert mixed.images[0].keywords["IMAGESOF"] == "OSA 10 + OSA 11"


def test_several_bands_find_together_what_none_finds_alone(drawn, tmp_path):
    bands = (EnergyBand(20.0, 40.0), EnergyBand(40.0, 80.0), EnergyBand(80.0, 120.0))
    paths = []
    for number in range(4):
        paths.append(tmp_path / f"{number}.fits")
        write_sky_images(paths[-1], drawn(number, bands=bands, error=2.5))
    together = make_mosaic(MosaicRequest(paths, threshold=11.0)).found.sources
    (near,) = (s for s in together if separation_deg(86.0, 24.0, s.ra_deg, s.dec_deg) * 60 < 5)
    assert near.new
    assert near.significance < 11
    alone = make_mosaic(MosaicRequest(_of_one_band(paths, bands[0], tmp_path), threshold=11.0)).found.sources
    assert not [s for s in alone if separation_deg(86.0, 24.0, s.ra_deg, s.dec_deg) * 60 < 5]


def _of_one_band(paths, band, folder):
    made = []
    for path in paths:
        made.append(folder / f"one_{path.name}")
        write_sky_images(made[-1], [image for image in read_sky_images(path) if image.band == band])
    return made


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"projection": "XYZ"}, "projection = XYZ"),
        ({"size_deg": (0.0, 3.0)}, "size = 0,3"),
        ({"threshold": 0.0}, "threshold = 0"),
        ({"noise_limit": -1.0}, "noise-limit = -1"),
    ],
)
def test_bad_requests_name_the_parameter_and_its_value(paths, change, message):
    with pytest.raises(RequestError, match=message):
        MosaicRequest(paths, **change)
