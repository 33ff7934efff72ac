"""A user's list of sources that is all there is: images, light curves and spectra of them and of no others."""

from __future__ import annotations

import pytest

from integral_oda.analysis import analyse
from integral_oda.catalog.source_list import ListedSource, SourceCatalogue, write_sources
from integral_oda.errors import RequestError
from integral_oda.query import ImageQuery, LightCurveQuery, SpectrumQuery, make_query
from integral_oda.simulation.recipe import make_recipe
from integral_oda.simulation.window import simulate

FIELD = {
    "seed": 21,
    "pointings": [{"ra": 84.6, "dec": 22.0}, {"ra": 85.6, "dec": 21.0}],
    "duration_s": 300,
    "sources": [
        {"name": "Crab", "ra": 83.6332, "dec": 22.0145, "flux": {"value": 40, "band": [28, 80]}},
        {"name": "Mine", "ra": 88.0, "dec": 19.0, "flux": {"value": 60, "band": [28, 80]}},
        {"name": "Untold", "ra": 80.0, "dec": 24.5, "flux": {"value": 60, "band": [28, 80]}},
    ],
    "background": {"rate": 150, "band": [28, 80]},
}


@pytest.fixture(scope="module")
def field(tmp_path_factory):
    """Archive, store, windows, and a list of two of the three sources of the field."""
    root = tmp_path_factory.mktemp("field")
    simulate(make_recipe(FIELD), root / "archive")
    windows = sorted(path.name for path in (root / "archive" / "scw").glob("*/*"))
    listed = SourceCatalogue((ListedSource("Crab", 83.6332, 22.0145), ListedSource("Mine", 88.0, 19.0)))
    return root / "archive", root / "store", windows, write_sources(root / "mine.fits", listed)


def made(field, kind, windows, **more):
    archive, store, every, catalogue = field
    query = make_query(kind, scw_list=every[:windows], catalog=catalogue, only_catalog=True, **more)
    return analyse(query, archive, store)


@pytest.mark.parametrize("windows", [1, 2])
def test_an_image_measures_the_list_and_seeks_nothing(field, windows):
    found = made(field, ImageQuery, windows)
    assert {source.name for source in found.sources} == {"Crab", "Mine"}
    (mine,) = [source for source in found.sources if source.name == "Mine"]
    assert mine.bands[0].flux == pytest.approx(60, abs=5 * mine.bands[0].flux_error)
    archive, store, every, catalogue = field
    sought = analyse(make_query(ImageQuery, scw_list=every[:windows], catalog=catalogue), archive, store)
    assert {source.name for source in sought.sources} == {"Crab", "Mine", "NEW_1"}


def test_light_curves_are_those_of_the_list(field):
    curves = made(field, LightCurveQuery, 1, time_bin=100).curves
    assert {curve.name for curve in curves} == {"Crab", "Mine"}


def test_spectra_are_those_of_the_list(field, tmp_path):
    made(field, SpectrumQuery, 1, channels=16).write(tmp_path)
    assert {path.name for path in tmp_path.glob("isgri_spectrum_*")} == {
        "isgri_spectrum_Crab.fits",
        "isgri_spectrum_Mine.fits",
    }


def test_without_a_list_there_is_nothing_to_be_the_only_one(field):
    with pytest.raises(RequestError, match="only_catalog needs the sources that are meant"):
        make_query(ImageQuery, scw_list=field[2], only_catalog=True)


def test_osa_cannot_be_kept_to_a_list(field):
    with pytest.raises(RequestError, match="only_catalog"):
        made(field, ImageQuery, 1, engine="osa")


def test_it_is_said_in_the_product_where_it_was_asked_alone(field):
    archive, store, every, catalogue = field
    asked = made(field, ImageQuery, 1).summary["query"]
    assert asked["only_catalog"] is True
    plain = analyse(make_query(ImageQuery, scw_list=every[:1], catalog=catalogue), archive, store).summary["query"]
    assert not plain.get("only_catalog")
