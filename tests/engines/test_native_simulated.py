"""Two simulated pointings with known truth, from their event files to mosaic and joined light curve."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits

from integral_oda.analysis import analyse
from integral_oda.archive.tree import Archive
from integral_oda.engines.native.events import DeadTime, GoodTime
from integral_oda.engines.native.graph import Curves, image_graph, light_curve_graph
from integral_oda.instrument.energy import EnergyBand
from integral_oda.query import ImageQuery, LightCurveQuery
from integral_oda.simulation.recipe import make_recipe
from integral_oda.simulation.window import simulate
from integral_oda.workflow.graph import walk

BAND = (28.0, 80.0)
CRAB = {"name": "Crab", "ra": 83.6332, "dec": 22.0145, "flux": {"value": 100, "band": BAND}}
UNKNOWN = {"name": "Unknown", "ra": 86.5, "dec": 25.5, "flux": {"value": 40, "band": BAND}, "catalogued": False}
RECIPE = {
    "seed": 11,
    "pointings": [{"ra": 84.6, "dec": 22.0, "roll": 20}, {"ra": 86.0, "dec": 23.5, "roll": 35}],
    "duration_s": 700,
    "sources": [CRAB, UNKNOWN],
    "background": {"rate": 200, "band": BAND, "edge_excess": 0.1},
    "detector": {"dead_fraction": 0.03, "dead_time": 0.25},
}


@pytest.fixture(scope="module")
def windows(tmp_path_factory):
    root = tmp_path_factory.mktemp("archive")
    return root, tuple(str(scw) for scw in simulate(make_recipe(RECIPE), root))


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="module")
def single(windows, store):
    return analyse(ImageQuery(scw_list=windows[1][:1], bands=(BAND,)), windows[0], store)


@pytest.fixture(scope="module")
def both(windows, single, store):
    return analyse(ImageQuery(scw_list=windows[1], bands=(BAND,)), windows[0], store)


def by_name(products):
    return {source.name: source for source in products.sources}


def offset_arcmin(source, truth):
    found = SkyCoord(source.ra_deg, source.dec_deg, unit="deg")
    return found.separation(SkyCoord(truth["ra"], truth["dec"], unit="deg")).arcmin


@pytest.mark.parametrize("run", ["single", "both"])
def test_fluxes_and_places_are_the_recipes(run, request):
    found = by_name(request.getfixturevalue(run))
    assert found.keys() == {"Crab", "NEW_1"}
    for name, truth in (("Crab", CRAB), ("NEW_1", UNKNOWN)):
        (band,) = found[name].bands
        assert band.flux == pytest.approx(truth["flux"]["value"], abs=3.5 * band.flux_error)
        assert offset_arcmin(found[name], truth) < 1.5 * found[name].error_radius_arcmin
        assert found[name].new is (name == "NEW_1")


def test_the_second_window_reuses_the_first(single, both):
    assert both.summary["science_windows"]["left_out"] == []
    assert both.summary["nodes"]["computed"] < single.summary["nodes"]["computed"] + 4
    assert both.summary["nodes"]["restored"] >= 1


def test_the_mosaic_is_deeper_than_one_window(single, both):
    first, second = by_name(single)["Crab"].bands[0], by_name(both)["Crab"].bands[0]
    assert second.flux_error == pytest.approx(first.flux_error / np.sqrt(2), rel=0.2)
    (image,), (mosaic,) = single.images, both.images
    crab = SkyCoord(CRAB["ra"], CRAB["dec"], unit="deg")
    (i, j), (k, m) = ((round(float(p)) for p in picture.pixel_of(crab)) for picture in (image, mosaic))
    assert mosaic.variance[m, k] < 0.75 * image.variance[j, i]
    assert mosaic.intensity[m - 1 : m + 2, k - 1 : k + 2].max() == pytest.approx(100, rel=0.2)
    assert mosaic.keywords["ONTIME"] == pytest.approx(1400, abs=1)
    assert mosaic.shape != (400, 400)


def test_the_noise_of_a_clean_field_is_poissons(single):
    (noise,) = single.summary["noise"]
    assert noise["significance_sigma"] == pytest.approx(1, abs=0.12)
    assert noise["null_sigma"] == pytest.approx(1, abs=0.12)


@pytest.fixture(scope="module")
def curve(windows, both, store):
    query = LightCurveQuery(scw_list=windows[1], src_name="Crab", time_bin=100.0)
    return analyse(query, windows[0], store).curves[0]


def test_a_joined_light_curve_is_flat_and_has_its_gap(curve):
    assert len(curve) == 14
    assert np.all(np.diff(curve.time_ijd) > 0)
    assert np.diff(curve.time_ijd).max() * 86400 > 200
    pulls = (curve.rate - 100) / curve.error
    assert np.abs(pulls).max() < 4.5
    weight = curve.error**-2
    assert (curve.rate * weight).sum() / weight.sum() == pytest.approx(100, abs=4 * weight.sum() ** -0.5)


@pytest.mark.parametrize("kind", ["image", "light curve"])
def test_a_restored_window_gives_the_product_of_a_fresh_one(windows, both, curve, store, tmp_path, kind):
    query = ImageQuery(scw_list=windows[1][1:], bands=(BAND,))
    if kind == "light curve":
        query = LightCurveQuery(scw_list=windows[1][1:], src_name="Crab", time_bin=100.0)
    restored = analyse(query, windows[0], store)
    fresh = analyse(query, windows[0], tmp_path / "store")
    assert fresh.summary["nodes"]["restored"] == 0
    assert restored.summary["nodes"]["restored"] > 0
    assert [path.name for path in restored.files] == [path.name for path in fresh.files]
    for ours, theirs in zip(restored.files, fresh.files, strict=True):
        assert ours.read_bytes() == theirs.read_bytes(), ours.name


def test_a_light_curve_tells_where_its_dead_time_comes_from(windows, store):
    query = LightCurveQuery(scw_list=windows[1][:1], src_name="Crab", time_bin=100.0)
    (path,) = (p for p in analyse(query, windows[0], store).files if p.suffix == ".fits")
    header = fits.getheader(path, 1)
    assert header["DEADORIG"]
    assert header["ONTIME"] == pytest.approx(700, abs=1)
    assert header["DEADC"] == pytest.approx(0.75, abs=0.02)


def keys(node):
    return {(n.scope, n.step.name): n.key for n in walk([node])}


def test_keys_change_with_what_matters_and_only_there(windows):
    archive, scws = Archive(windows[0]), windows[1]
    first = keys(image_graph(archive, scws, [EnergyBand(*BAND)], 7.0))
    other_band = keys(image_graph(archive, scws, [EnergyBand(20, 40)], 7.0))
    other_threshold = keys(image_graph(archive, scws, [EnergyBand(*BAND)], 6.0))
    curve = keys(light_curve_graph(archive, scws, Curves((EnergyBand(*BAND),), {"width_s": 100.0})))
    same = {"COR", "GTI", "DEAD", "CAT_I", "EFFI", "REF_I"}
    assert {step for (_, step), key in first.items() if other_band[_, step] == key} == same
    assert {step for (_, step), key in first.items() if other_threshold[_, step] == key} == same | {"BIN_I", "BKG_I"}
    assert {step for (_, step), key in first.items() if curve.get((_, step)) == key} == same | {"BIN_I", "BKG_I"}
    assert first[scws[0], "COR"] != first[scws[1], "COR"]


def test_deadc_is_the_mean_live_share():
    assert DeadTime(np.array([0.1, 0.3] * 4), "given").deadc == pytest.approx(0.8)
    assert GoodTime(np.array([[0.0, 0.5], [0.75, 1.0]])).ontime_s == pytest.approx(64800)
