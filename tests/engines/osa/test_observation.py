"""OSA's own files, read into the graph and out as products; what is real here was made by OSA 10 and 11."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
from astropy.io import fits

from integral_oda.catalog.designations import designation
from integral_oda.cli import main
from integral_oda.engines.osa.observation import find_products
from integral_oda.errors import DataError
from integral_oda.observation_import import import_observation
from integral_oda.products.light_curve import read_light_curve
from integral_oda.products.pif import PixelIllumination, read_pifs, write_pif
from integral_oda.products.response_file import read_response
from integral_oda.products.sky_image import read_sky_images
from integral_oda.products.source_list import read_source_list
from integral_oda.products.spectrum import read_spectrum

GRB = "volodymyrss_grb221009"
SUM = "oda_34b13e172d22acb3_mosaic_28_80_rev2558_2559_52scw"
PARTS = ("oda_a50d6c041ff4b862_mosaic_28_80_rev2558_15scw", "oda_888735289fd7cdac_mosaic_28_80_rev2559_37scw")


@pytest.fixture
def imported(tmp_path):
    def run(path):
        return import_observation(path, tmp_path / "out", tmp_path / "store"), tmp_path / "out"

    return run


@pytest.mark.parametrize("name", ["isgri_sky_ima_1", "isgri_mosa_ima_1"])
def test_a_real_image_comes_out_as_it_is(real_data, imported, name):
    path = real_data / "volodymyrss_pymosaics" / f"{name}.fits.gz"
    _, out = imported(path)
    (ours,), (osas,) = read_sky_images(out / "mosaic.fits"), read_sky_images(path)
    for plane in ("intensity", "variance", "significance"):
        np.testing.assert_array_equal(getattr(ours, plane), getattr(osas, plane))
    assert ours.band == osas.band
    assert {"catalog.fits", "catalog.reg", "image.png", "provenance.json"} <= {p.name for p in out.iterdir()}


def test_a_directory_of_real_products_comes_out_as_products(real_data, imported):
    summary, out = imported(real_data / GRB)
    assert summary["left_out"] == []
    (mosaic,) = read_sky_images(out / SUM / "mosaic.fits")
    (osas,) = read_sky_images(real_data / GRB / f"{SUM}.fits.gz")
    np.testing.assert_array_equal(mosaic.intensity, osas.intensity)
    curve = read_light_curve(out / "lightcurves" / "isgri_lc_GRS_1915+105.fits")
    assert len(curve) == 128
    assert np.average(curve.rate, weights=curve.error**-2) == pytest.approx(2.176, abs=0.02)
    spectrum = out / "spectra" / "IBIS_spectrum_GRB221009A_rev2558" / "isgri_spectrum_GRB221009A.fits"
    assert read_spectrum(spectrum).rate.sum() == pytest.approx(2.78, abs=0.05)


@pytest.mark.parametrize(
    ("folder", "file", "area_cm2", "energy_kev"),
    [("oda-hub_oda_api", "spec_test", 1334.16, 54.2), ("oda-hub_ogip", "phaI", 1754.3, 54.2),
     ("astropy_astroquery", "SMC_X-1_ISGRI_0745_06340000001_spectrum_spe", 1334.2, 62.2)],
)  # fmt: skip
def test_real_spectra_keep_their_responses(real_data, imported, folder, file, area_cm2, energy_kev):
    _, out = imported(real_data / folder)
    made = out / "spectra" / file
    (pha,) = made.glob("isgri_spectrum_*.fits")
    label = pha.name.removeprefix("isgri_spectrum_")
    response = read_response(made / f"isgri_rmf_{label}", made / f"isgri_arf_{label}")
    assert response.area_cm2.max() == pytest.approx(area_cm2, rel=2e-3)
    assert response.energies_kev[response.area_cm2.argmax()] == pytest.approx(energy_kev, abs=0.6)
    assert np.isfinite(read_spectrum(pha).rate).all()


def test_a_real_pif_comes_out_as_it_is(real_data, imported):
    path = real_data / "dominp_isgri" / "255900280010_isgri_model.fits.gz"
    summary, out = imported(path)
    (made,) = out.glob("pif/*/isgri_pif_*.fits")
    (ours,), (osas,) = read_pifs(made), read_pifs(path)
    np.testing.assert_array_equal(ours.factor, osas.factor)
    assert ours.factor.mean() == pytest.approx(0.332, abs=1e-3)
    ((listed,),) = (item["sources"] for item in summary["imported"].values())
    assert listed["lit_share"] == pytest.approx(0.94, abs=0.01)


def test_the_real_mosaic_of_two_revolutions_is_osas_own(real_data, tmp_path, monkeypatch, capsys):
    """Two mosaics that the graph has taken in, summed on the grid of OSA's mosaic of all their windows."""
    products = []
    for name in PARTS:
        import_observation(real_data / GRB / f"{name}.fits.gz", tmp_path / name, tmp_path / "store")
        products.append(str(tmp_path / name / "mosaic.fits"))
    like = real_data / GRB / f"{SUM}.fits.gz"
    line = ["integral-oda", "mosaic", *products, "--like", str(like), "--noise-limit", "3", "--out",
            str(tmp_path / "sum")]  # fmt: skip
    monkeypatch.setattr(sys, "argv", line)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0, capsys.readouterr().err
    (ours,), (osas,) = read_sky_images(tmp_path / "sum" / "mosaic.fits"), read_sky_images(like)
    both = ours.observed & osas.observed & (osas.variance < 4 * np.min(osas.variance[osas.observed]))
    assert np.median(ours.variance[both] / osas.variance[both]) == pytest.approx(0.997, abs=0.005)
    pulls = (ours.intensity - osas.intensity)[both] / np.sqrt(osas.variance[both])
    assert pulls.std() <= 0.25
    noise = [np.std(image.significance[both]) for image in (ours, osas)]
    assert noise[0] == pytest.approx(noise[1], rel=0.05)


@pytest.fixture
def observation(real_data, tmp_path):
    """Two windows of one real image, the second a day later and a tenth brighter."""
    folder = tmp_path / "obs"
    for number, factor in ((1, 1.0), (2, 1.1)):
        target = folder / "scw" / f"06650028001{number}.001" / "isgri_sky_ima.fits"
        target.parent.mkdir(parents=True)
        with fits.open(real_data / "volodymyrss_pymosaics" / "isgri_sky_ima_1.fits.gz") as hdus:
            for hdu in hdus[2:]:
                scaled = {"INTENSITY": factor, "RESIDUAL": factor, "VARIANCE": factor**2}.get(
                    hdu.header["IMATYPE"], 1.0
                )
                hdu.data = (hdu.data * scaled).astype(np.float32)
                for key in ("TFIRST", "TLAST", "TSTART", "TSTOP"):
                    if key in hdu.header:
                        hdu.header[key] += number - 1
            hdus.writeto(target)
    return folder


def test_windows_of_an_observation_are_summed_and_followed(observation, imported):
    """Sky images without a mosaic: the native MOSAIC adds them up, and each source gets one point a window."""
    _, out = imported(observation)
    (made,) = read_sky_images(out / "mosaic.fits")
    first, second = (read_sky_images(path)[0] for path in sorted(observation.rglob("isgri_sky_ima.fits")))
    expected = 1 / (1 / np.nanmin(first.variance[first.observed]) + 1 / np.nanmin(second.variance[second.observed]))
    assert np.nanmin(made.variance[made.observed]) == pytest.approx(expected, rel=0.05)
    curve = read_light_curve(out / "lightcurves-of-images" / "isgri_lc_Crab.fits")
    assert np.diff(curve.time_ijd) == pytest.approx([1.0])
    assert curve.rate[1] / curve.rate[0] == pytest.approx(1.1, rel=1e-4)
    assert curve.rate[0] == pytest.approx(188.3, rel=0.05)
    assert curve.error[0] == pytest.approx(1.2, abs=0.4)


def test_a_source_list_beside_an_image_goes_with_it(imported, tmp_path):
    rows = fits.BinTableHDU.from_columns(
        [
            fits.Column("NAME", "100A", array=["Crab", "NEW_1"]),
            *(fits.Column(n, "1D", array=v) for n, v in (("RA_OBJ", [83.63, 90.0]), ("DEC_OBJ", [22.01, 20.0]),
                                                        ("RA_FIN", [0.0, 90.1]), ("DEC_FIN", [0.0, 20.1]),
                                                        ("FIN_RD_ERR", [0.0, 0.05]))),
            fits.Column("NEW_SOURCE", "1I", array=[0, 1]),
            *(fits.Column(n, "1E", array=v) for n, v in (("E_MIN", [20, 20]), ("E_MAX", [40, 40]), ("FLUX", [150, 3]),
                                                        ("FLUX_ERR", [0.5, 0.4]), ("DETSIG", [280, 7.2]))),
        ],
        name="ISGR-SRCL-RES",
    )  # fmt: skip
    path = tmp_path / "isgri_srcl_res.fits"
    fits.HDUList([fits.PrimaryHDU(), rows]).writeto(path)
    crab, new = read_source_list(path)
    assert (crab.ra_deg, crab.dec_deg, crab.new) == (83.63, 22.01, False)
    assert (new.ra_deg, new.error_radius_arcmin, new.new) == (90.1, pytest.approx(3.0), True)


def test_a_pif_survives_writing_and_reading(tmp_path):
    from integral_oda.instrument.energy import EnergyBand

    factor = np.random.default_rng(3).random((134, 130)).astype(np.float32)
    write_pif(tmp_path / "pif.fits", PixelIllumination("Crab", 83.6, 22.0, EnergyBand(18, 250), factor, {"REVOL": 665}))
    (pif,) = read_pifs(tmp_path / "pif.fits")
    np.testing.assert_array_equal(pif.factor, factor)
    assert (pif.name, pif.ra_deg, pif.band, pif.keywords["REVOL"]) == ("Crab", 83.6, (18, 250), 665)


def test_what_holds_no_product_is_told(tmp_path, monkeypatch, capsys):
    with pytest.raises(DataError, match="no such file or directory"):
        find_products(tmp_path / "nothing")
    (tmp_path / "broken.fits").write_bytes(b"no FITS")
    with pytest.raises(DataError, match="holds no sky image, spectrum, light curve or PIF"):
        find_products(tmp_path)
    monkeypatch.setattr(sys, "argv", ["integral-oda", "import", str(tmp_path), "--out", str(tmp_path / "out")])
    with pytest.raises(SystemExit) as ended:
        main()
    told = capsys.readouterr().err.splitlines()
    assert ended.value.code == 1
    assert len(told) == 1


def test_the_summary_says_what_came_from_where(real_data, imported):
    summary, out = imported(real_data / "oda-hub_oda_api")
    assert summary == json.loads((out / "summary.json").read_text())
    assert {"spectra/spec_test"} <= summary["imported"].keys()
    assert all((out / name).is_file() for name in summary["files"])


def window_spectra(path, exposure):
    """Spectra of the sources of a window as ii_spectra_extract writes them, a table a source."""
    tables = []
    for name, rate in (("Crab", 2.0), ("X Per", 0.2), ("Background", 9.0)):
        columns = [fits.Column("CHANNEL", "1I", array=np.arange(256)),
                   fits.Column("RATE", "1E", array=np.full(256, rate)),
                   fits.Column("STAT_ERR", "1E", array=np.full(256, 3 / np.sqrt(exposure)))]  # fmt: skip
        table = fits.BinTableHDU.from_columns(columns, name="ISGR-EVTS-SPE")
        table.header.update({"NAME": name, "RA_OBJ": 83.6, "DEC_OBJ": 22.0, "EXPOSURE": exposure, "DEADC": 0.8,
                             "TSTART": 1000.0, "TSTOP": 1000.02, "REVOL": 40})  # fmt: skip
        tables.append(table)
    path.parent.mkdir(parents=True)
    fits.HDUList([fits.PrimaryHDU(), *tables]).writeto(path)


def test_spectra_of_the_windows_of_an_observation_are_summed_by_source(imported, tmp_path):
    for number, exposure in ((1, 1000.0), (2, 3000.0)):
        window_spectra(tmp_path / "obs" / "scw" / f"00400028001{number}.001" / "isgri_spectrum.fits", exposure)
    summary, out = imported(tmp_path / "obs")
    assert summary["left_out"] == []
    made = read_spectrum(out / "spectra-of-windows" / "isgri_spectrum_Crab.fits")
    assert len(made) == 62
    assert made.exposure_s == 4000
    response = read_response(*(out / "spectra-of-windows" / f"isgri_{kind}_Crab.fits" for kind in ("rmf", "arf")))
    inside = (response.channel_edges_kev[:-1] > 20) & (response.channel_edges_kev[1:] < 900)
    channels = made.rate[inside] / 2.0
    np.testing.assert_allclose(channels, np.round(channels), atol=1e-4)
    np.testing.assert_allclose(made.stat_error[inside], 3 * np.sqrt(channels / 4000), rtol=1e-4)
    assert (out / "spectra-of-windows" / "isgri_pha2_X_Per.fits").is_file()
    assert not list((out / "spectra-of-windows").glob("*Background*"))


def test_files_of_one_name_in_several_windows_stay_apart(real_data, imported, tmp_path):
    for window in ("006600280010.001", "006600280020.001"):
        target = tmp_path / "obs" / "scw" / window / "isgri_pif.fits.gz"
        target.parent.mkdir(parents=True)
        target.write_bytes((real_data / "dominp_isgri" / "255900280010_isgri_model.fits.gz").read_bytes())
    _, out = imported(tmp_path / "obs")
    assert len(list(out.glob("pif/*/isgri_pif_*.fits"))) == 2


def curve_table(name, ra, start):
    columns = [fits.Column("TIME", "1D", unit="d", array=start + np.array([0.5, 1.5]) / 864),
               fits.Column("RATE", "1E", array=[5.0, 6.0]), fits.Column("ERROR", "1E", array=[1.0, 1.0])]  # fmt: skip
    table = fits.BinTableHDU.from_columns(columns, name="ISGR-SRC.-LCR")
    table.header.update({"NAME": name, "RA_OBJ": ra, "DEC_OBJ": 20.0, "E_MIN": 28.0, "E_MAX": 80.0})
    table.header.update({"TIMEDEL": 1 / 864, "TIMEUNIT": "d"})
    return table


def test_new_sources_of_two_windows_are_joined_by_their_places_not_their_numbers(imported, tmp_path):
    for number, place in enumerate((80.0, 85.0)):
        folder = tmp_path / "obs" / f"scw{number}"
        folder.mkdir(parents=True)
        tables = [curve_table("NEW_1", place, 1000.0 + number), curve_table("NEW_2", 90.01 - 0.01 * number, 1000.0)]
        fits.HDUList([fits.PrimaryHDU(), *tables]).writeto(folder / "isgri_lcr.fits")
    _, out = imported(tmp_path / "obs")
    curves = [read_light_curve(path) for path in sorted((out / "lightcurves").glob("isgri_lc_*.fits"))]
    assert sorted((c.name, len(c)) for c in curves) == [
        (designation("NEW", 80.0, 20.0), 2), (designation("NEW", 85.0, 20.0), 2), (designation("NEW", 90.01, 20.0), 4)
    ]  # fmt: skip
