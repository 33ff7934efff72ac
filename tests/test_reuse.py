"""What is computed again after a change, on the real graph, and what a product says of itself; from recorded events."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from integral_oda.analysis import analyse
from integral_oda.archive.tree import Archive
from integral_oda.crate import make_crate, rerun
from integral_oda.engines.native import graph
from integral_oda.products.signature import read_origin
from integral_oda.query import ImageQuery, LightCurveQuery
from integral_oda.simulation.recipe import make_recipe
from integral_oda.simulation.window import simulate
from integral_oda.workflow.keys import file_sha256

BAND = (28.0, 80.0)
ANTICENTRE = [{"ra": 84.6, "dec": 22.0}, {"ra": 85.6, "dec": 23.5}, {"ra": 83.0, "dec": 21.0}]
FAR = {"ra": 140.0, "dec": 12.0, "roll": 20}
RECIPE = {
    "seed": 5,
    "pointings": [*ANTICENTRE, FAR],
    "duration_s": 200,
    "sources": [{"name": "Crab", "ra": 83.6332, "dec": 22.0145, "flux": {"value": 100, "band": BAND}}],
    "background": {"rate": 150, "band": BAND},
}
BAND_FREE = {"COR", "GTI", "DEAD", "CAT_I", "EFFI"}
GATHERING = {"MOSAIC", "PACK_IMAGE"}


@pytest.fixture(scope="module")
def windows(tmp_path_factory):
    root = tmp_path_factory.mktemp("archive")
    return root, [str(scw) for scw in simulate(make_recipe(RECIPE), root)]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return tmp_path_factory.mktemp("store")


class Recorded:
    """A query carried out, with its events."""

    def __init__(self, query, archive, store):
        self.events = []
        self.products = analyse(query, archive, store, self.events.append)

    @property
    def steps(self):
        return {event.step for event in self.events if event.state == "computed"}

    @property
    def scopes(self):
        return {event.scope for event in self.events if event.state == "computed"}

    @property
    def computed(self):
        return {(event.scope, event.step) for event in self.events if event.state == "computed"}


@pytest.fixture(scope="module")
def image(windows, store):
    return Recorded(ImageQuery(scw_list=windows[1][:2], bands=(BAND,)), windows[0], store)


@pytest.fixture(scope="module")
def curve(windows, store, image):
    return Recorded(LightCurveQuery(scw_list=windows[1][:2], time_bin=50, src_name="Crab"), windows[0], store)


def test_the_same_again_computes_nothing_and_is_the_same_bit_for_bit(windows, store, image, tmp_path):
    again = Recorded(ImageQuery(scw_list=windows[1][:2], bands=(BAND,)), windows[0], store)
    assert again.computed == set()
    for out, made in (("first", image), ("again", again)):
        made.products.write(tmp_path / out)
    for name in ("mosaic.fits", "catalog.fits", "catalog.reg", "image.png"):
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


def test_another_time_bin_recomputes_only_light_curve_steps(windows, store, curve):
    other = Recorded(LightCurveQuery(scw_list=windows[1][:2], time_bin=20, src_name="Crab"), windows[0], store)
    assert {"LCR"} <= other.steps <= {"LCR", "LCR_JOIN", "PACK_LC"}


def test_another_band_recomputes_nothing_before_bin_i(windows, store, image):
    other = Recorded(ImageQuery(scw_list=windows[1][:2], bands=((40.0, 80.0),)), windows[0], store)
    assert {"BIN_I", "BKG_I", "IMA"} <= other.steps
    assert not other.steps & BAND_FREE


def test_one_more_window_computes_only_it_and_the_gathering(windows, store, image):
    third = windows[1][2]
    more = Recorded(ImageQuery(scw_list=windows[1][:3], bands=(BAND,)), windows[0], store)
    assert {step for scope, step in more.computed if scope == third} >= BAND_FREE | {"BIN_I", "BKG_I", "IMA"}
    assert more.scopes == {third, "all"}
    assert {step for scope, step in more.computed if scope == "all"} >= GATHERING


def test_a_tree_of_partial_sums_is_the_same_mosaic(windows, store, tmp_path, monkeypatch):
    query = ImageQuery(scw_list=windows[1][:3], bands=(BAND,))
    flat = Recorded(query, windows[0], store).products.images[0]
    monkeypatch.setattr(graph, "WINDOWS_TOGETHER", 2)
    tree = Recorded(query, windows[0], store)
    assert "MOSAIC_SUM" in tree.steps
    for plane in ("intensity", "variance", "exposure"):
        np.testing.assert_allclose(getattr(tree.products.images[0], plane), getattr(flat, plane), rtol=1e-4, atol=1e-4)
    more = Recorded(ImageQuery(scw_list=windows[1], bands=(BAND,)), windows[0], store)
    assert more.scopes <= {windows[1][3], "all"}


def test_another_threshold_recomputes_only_the_images(windows, store, image):
    other = Recorded(ImageQuery(scw_list=windows[1][:2], bands=(BAND,), detection_threshold=9), windows[0], store)
    assert {step for scope, step in other.computed if scope != "all"} == {"IMA"}


def catalogue(path, *sources):
    lines = ["# %ECSV 1.0", "# ---", "# datatype:", "# - {name: name, datatype: string}"]
    lines += [f"# - {{name: {name}, datatype: float64, unit: deg}}" for name in ("ra", "dec")]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([*lines, "name ra dec", *sources]) + "\n")
    return path


def test_a_changed_catalogue_keeps_what_its_sources_are_not_in(windows, store, tmp_path):
    both = [windows[1][0], windows[1][3]]
    mine = catalogue(tmp_path / "a.ecsv", '"Mine" 86.0 23.0')
    Recorded(ImageQuery(scw_list=both, bands=(BAND,), catalog=mine), windows[0], store)
    moved = catalogue(tmp_path / "b.ecsv", '"Mine" 86.1 23.0')
    changed = Recorded(ImageQuery(scw_list=both, bands=(BAND,), catalog=moved), windows[0], store)
    assert changed.scopes == {both[0], "all"}
    assert {step for scope, step in changed.computed if scope == both[0]} & {"COR", "GTI", "DEAD"} == set()


def test_a_position_asked_for_keeps_every_window_of_a_mosaic(windows, store, image):
    both = [windows[1][0], windows[1][3]]
    Recorded(ImageQuery(scw_list=both, bands=(BAND,)), windows[0], store)
    asked = Recorded(ImageQuery(scw_list=both, bands=(BAND,), at=("86.0,23.0",)), windows[0], store)
    assert asked.scopes == {"all"}


def test_neither_paths_nor_other_names_of_a_source_change_the_key(windows, store, curve, tmp_path):
    moved = tmp_path / "elsewhere"
    shutil.copytree(windows[0], moved)
    mine = catalogue(tmp_path / "a" / "mine.ecsv", '"Mine" 86.0 23.0')
    same = catalogue(tmp_path / "b" / "other_name.ecsv", '"Mine" 86.0 23.0')
    query = LightCurveQuery(scw_list=windows[1][:2], time_bin=50, src_name="Crab")
    assert Recorded(query.model_copy(update={"src_name": "Tau X-1"}), moved, store).computed == set()
    Recorded(query.model_copy(update={"catalog": mine}), windows[0], store)
    assert Recorded(query.model_copy(update={"catalog": same}), windows[0], store).computed == set()


def test_every_product_carries_key_query_versions_and_inputs(windows, image, curve):
    for made in (image, curve):
        summary = made.products.summary
        for path in (path for path in made.products.files if path.suffix == ".fits"):
            origin = read_origin(path)
            assert origin.key == summary["key"]
            assert origin.query["scw_list"] == windows[1][:2]
            assert origin.software == summary["versions"]
            assert set(origin.steps) >= made.steps | BAND_FREE
            raw = {(scope, name): digest for kind, scope, name, digest in origin.inputs if kind == "raw"}
            for scw in windows[1][:2]:
                assert raw[scw, "events"] == file_sha256(Archive(windows[0]).events_file(scw))


def test_a_window_that_failed_is_no_input_of_the_product(windows, tmp_path):
    root = tmp_path / "archive"
    shutil.copytree(windows[0], root)
    Archive(root).events_file(windows[1][1]).write_bytes(b"SIMPLE  = damaged")
    made = Recorded(ImageQuery(scw_list=windows[1][:2], bands=(BAND,)), root, tmp_path / "store")
    origin = read_origin(made.products.folder / "mosaic.fits")
    assert {scope for kind, scope, _, _ in origin.inputs if kind == "raw"} == {windows[1][0]}
    assert origin.key == made.products.summary["key"]


def test_a_crate_with_a_catalogue_is_rerun_elsewhere(windows, tmp_path):
    mine = catalogue(tmp_path / "home" / "mine.ecsv", '"Mine" 86.0 23.0')
    query = ImageQuery(scw_list=windows[1][:1], bands=(BAND,), catalog=mine)
    products = analyse(query, windows[0], tmp_path / "store")
    products.write(tmp_path / "crate")
    make_crate(tmp_path / "crate", query, products)
    shutil.rmtree(mine.parent)
    shutil.move(tmp_path / "crate", tmp_path / "sent")
    assert rerun(tmp_path / "sent", tmp_path / "out", windows[0], tmp_path / "other store") == []
    for name in ("mosaic.fits", "catalog.fits", "image.png", "catalog.reg"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "sent" / name).read_bytes()
