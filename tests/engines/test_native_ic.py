"""An IC tree's files in place of the nominal parts, through a whole query of a simulated window."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

sys.path.insert(0, str(Path(__file__).parents[1] / "archive"))

from ic_trees import write_band_maps, write_decoding, write_response, write_table

from integral_oda.analysis import analyse
from integral_oda.imaging.decoding import mask_contrast
from integral_oda.instrument.detector import active_pixels, module_map
from integral_oda.instrument.response import Response, crab_photons, nominal_response
from integral_oda.products.response_file import read_response
from integral_oda.query import ImageQuery, LightCurveQuery, QualityQuery, SpectrumQuery, make_query
from integral_oda.simulation.recipe import make_recipe
from integral_oda.simulation.window import simulate

CRAB = (83.6332, 22.0145)


pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    root = tmp_path_factory.mktemp("archive")
    recipe = make_recipe(
        {
            "seed": 5,
            "revolution": 665,
            "duration_s": 400.0,
            "pointings": [{"ra": CRAB[0], "dec": CRAB[1] + 3.0}],
            "sources": [{"name": "Crab", "ra": CRAB[0], "dec": CRAB[1], "flux": {"value": 150, "band": (28, 80)}}],
            "background": {"rate": 400.0, "band": (25, 80)},
            "detector": {"low_threshold_kev": 16.0, "low_threshold_spread_kev": 0.5},
        }
    )
    (scw,) = simulate(recipe, root)
    return root, str(scw)


@pytest.fixture
def tree(tmp_path, monkeypatch):
    monkeypatch.setenv("INTEGRAL_ODA_IC", str(tmp_path / "ic_tree"))
    return tmp_path / "ic_tree"


def crab_of(products):
    return next(source for source in products.sources if source.name == "Crab").bands[0]


def image_of(archive):
    root, scw = archive
    return analyse(make_query(ImageQuery, scw_list=scw), root, root / "store")


def write_off_axis_maps(tree, level):
    path = tree / "ic/ibis/mod/isgr_effi_mod_0011.fits"
    write_band_maps(path, "ISGR-EFFI-MOD", [(20.0, 100.0)], np.full((1, 400, 400), level))


def test_off_axis_maps_and_response_replace_the_nominal_ones(archive, tree):
    plain = image_of(archive)
    write_off_axis_maps(tree, 0.8)
    half = nominal_response(665)
    smaller = Response(half.energy_edges_kev, half.channel_edges_kev, half.matrix / 2, "half")
    write_response(tree, smaller, "isgr_arf_rsp_0031", "isgr_rmf_rsp_0219")
    mapped = image_of(archive)
    before, after = crab_of(plain), crab_of(mapped)
    assert after.flux == pytest.approx(before.flux / 0.8, rel=1e-6)
    assert after.significance == pytest.approx(before.significance, rel=1e-6)
    # Half the area: a count/s is worth twice as much.
    assert after.flux_mcrab == pytest.approx(2 * before.flux_mcrab / 0.8, rel=0.02)
    assert after.flux_erg == pytest.approx(2 * before.flux_erg / 0.8, rel=0.02)
    assert after.flux_systematic / after.flux == pytest.approx(0.02)
    ratio = mapped.images[0].intensity / plain.images[0].intensity
    assert np.nanmedian(ratio) == pytest.approx(1 / 0.8, rel=1e-4)
    with fits.open(mapped.folder / "mosaic.fits") as hdus:
        header = hdus[2].header
        assert (header["IC_EFFI"], header["IC_RMF"]) == ("isgr_effi_mod_0011", "isgr_rmf_rsp_0219")
        assert header["RESPORIG"] == "IC isgr_rmf_rsp_0219 and isgr_arf_rsp_0031"
        assert header["IC_BACK"] == header["IC_LUT1"] == "nominal"
    with fits.open(mapped.folder / "catalog.fits") as hdus:
        assert hdus["ISGR-SRCL-RES"].header["RESPORIG"].startswith("IC isgr_rmf")


def test_light_curves_go_through_the_same_support(archive, tree):
    root, scw = archive
    query = make_query(LightCurveQuery, scw_list=scw, src_name="Crab", time_bin=100.0)
    plain = analyse(query, root, root / "store").curves[0]
    write_off_axis_maps(tree, 0.8)
    mapped = analyse(query, root, root / "store").curves[0]
    assert mapped.rate == pytest.approx(plain.rate / 0.8)
    assert mapped.error == pytest.approx(plain.error / 0.8)


def test_a_uniformity_map_changes_the_response_of_its_pixels(archive, tree):
    # A map that calls two modules half as sensitive as they are: the image finds that its model does not hold.
    plain = image_of(archive).summary["noise"][0]
    plane = np.where(np.isin(module_map(), (1, 6)), 0.5, 1.0) * active_pixels()
    write_band_maps(tree / "ic/ibis/bkg/isgr_unif_bkg_0002.fits", "ISGR-UNIF-BKG", [(20.0, 100.0)], plane[None])
    mapped = image_of(archive)
    assert mapped.summary["noise"][0]["significance_sigma"] != plain["significance_sigma"]
    with fits.open(mapped.folder / "mosaic.fits") as hdus:
        assert hdus[2].header["IC_UNIF"] == "isgr_unif_bkg_0002"


def test_a_decoding_array_decodes_the_map_and_leaves_fitted_fluxes(archive, tree):
    plain = image_of(archive)
    write_decoding(tree, np.sign(np.round(mask_contrast(), 9)))
    decoded = image_of(archive)
    # Sources are fitted with their shadows, whatever the map is decoded with.
    assert crab_of(decoded).flux == pytest.approx(crab_of(plain).flux, rel=2e-3)
    noise = decoded.summary["noise"][0]
    assert noise["significance_sigma"] / plain.summary["noise"][0]["significance_sigma"] == pytest.approx(1, abs=0.03)
    assert noise["null_sigma"] == pytest.approx(1, abs=0.05)
    # The array has 0.90 of the mask's squared contrast: its variance is the larger by that.
    seen = plain.images[0].variance > 0
    ratio = decoded.images[0].variance[seen] / plain.images[0].variance[seen]
    assert np.median(ratio) == pytest.approx(1 / 0.897, abs=0.03)
    with fits.open(decoded.folder / "mosaic.fits") as hdus:
        assert hdus[2].header["IC_DECO"] == "isgr_deco_mod_0008"


def test_bad_time_of_the_tree_is_no_good_time(archive, tree):
    root, scw = archive
    plain = analyse(make_query(QualityQuery, scw_list=scw), root, root / "store").numbers
    middle = (plain["start_ijd"] + plain["stop_ijd"]) / 2
    write_table(
        tree / "ic/ibis/lim/isgr_gnrl_bti_0016.fits",
        "ISGR-GNRL-BTI",
        {
            "START": ("1D", [middle]),
            "STOP": ("1D", [middle + 100 / 86400]),
            "BTI_NAME": ("20A", ["SOLAR_FLARE"]),
        },
    )
    told = analyse(make_query(QualityQuery, scw_list=scw), root, root / "store").numbers
    assert told["good_time_s"] == pytest.approx(plain["good_time_s"] - 100, abs=0.1)


def test_spectra_have_the_trees_response_and_support(archive, tree):
    root, scw = archive
    query = make_query(SpectrumQuery, scw_list=scw, src_name="Crab", channels="16")
    plain = analyse(query, root, root / "store")
    write_off_axis_maps(tree, 0.8)
    nominal = nominal_response(665)
    smaller = Response(nominal.energy_edges_kev, nominal.channel_edges_kev, nominal.matrix / 2, "half")
    write_response(tree, smaller, "isgr_arf_rsp_0031", "isgr_rmf_rsp_0219")
    mapped = analyse(query, root, root / "store")

    def read(products, name):
        (path,) = products.folder.glob(f"isgri_{name}_*.fits")
        return path

    with fits.open(read(plain, "spectrum")) as before, fits.open(read(mapped, "spectrum")) as after:
        rates = [hdus["ISGR-EVTS-SPE"].data["RATE"].astype(float) for hdus in (before, after)]
    assert rates[1] == pytest.approx(rates[0] / 0.8, rel=1e-4, nan_ok=True)
    areas = [read_response(read(products, "rmf"), read(products, "arf")) for products in (plain, mapped)]
    ratio = areas[1].fold(crab_photons) / areas[0].fold(crab_photons)
    assert ratio == pytest.approx(0.5, rel=1e-3)
    with fits.open(read(mapped, "arf")) as hdus:
        assert hdus["SPECRESP"].header["RESPORIG"] == "IC isgr_rmf_rsp_0219 and isgr_arf_rsp_0031"
