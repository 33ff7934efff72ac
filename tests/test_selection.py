"""From a query to its science windows: the list is in the product, and the same when asked again."""

from __future__ import annotations

import pytest

from integral_oda.analysis import analyse
from integral_oda.errors import DataError, NothingLeftError, RequestError
from integral_oda.pointing_query import read_time
from integral_oda.query import ImageQuery, LightCurveQuery, make_query
from integral_oda.selection import plan_selection
from integral_oda.simulation.recipe import read_recipe
from integral_oda.simulation.window import simulate

ASKED = {"src_name": "Crab", "T1": "665", "T2": "665", "T_format": "revolution"}


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    folder = tmp_path_factory.mktemp("selection")
    (folder / "recipe.yaml").write_text("duration_s: 60\nseed: 4\ndither: {ra: 83.6, dec: 22.0, count: 5}\n")
    simulate(read_recipe(folder / "recipe.yaml"), folder / "archive")
    return folder / "archive"


def test_a_product_has_its_windows_and_the_way_they_were_chosen(archive, tmp_path):
    query = make_query(LightCurveQuery, **ASKED, max_pointings=2, time_bin=30)
    summary = analyse(query, archive, tmp_path / "store").summary
    assert summary["science_windows"]["used"] == ["066500020010.001", "066500040010.001"]
    assert summary["query"]["scw_list"] == summary["selection"]["chosen"]
    assert summary["selection"]["criteria"]["seed"] is None
    assert {left["reason"] for left in summary["selection"]["not_taken"]} == {"beyond max_pointings = 2"}
    again = analyse(query, archive, tmp_path / "store").summary
    assert again["nodes"]["computed"] == 0
    assert again["selection"] == summary["selection"]
    listed = make_query(LightCurveQuery, **(ASKED | {"scw_list": summary["query"]["scw_list"]}), time_bin=30)
    assert analyse(listed, archive, tmp_path / "store").summary["nodes"]["computed"] == 0


def test_an_explicit_list_needs_no_index(archive):
    query = make_query(ImageQuery, scw_list="066500010010", T1="1990-01-01", T2="1991-01-01")
    assert plan_selection(query, archive / "none").chosen == ("066500010010.001",)
    assert plan_selection(query, archive).windows[0].ontime_s == pytest.approx(60, abs=0.01)


def test_nothing_in_the_field(archive, tmp_path):
    with pytest.raises(
        NothingLeftError, match="no science window of the 5 in the index points within 15 deg of Cyg X-1"
    ):
        analyse(make_query(ImageQuery, **(ASKED | {"src_name": "Cyg X-1"})), archive, tmp_path)
    with pytest.raises(
        NothingLeftError, match=r"none of 5 science windows fits; 0665.*: 60 s long, less than min_ontime"
    ):
        analyse(make_query(ImageQuery, **ASKED, min_ontime=1000), archive, tmp_path)
    with pytest.raises(DataError, match="no science window and no index"):
        analyse(make_query(ImageQuery, **ASKED), tmp_path / "empty", tmp_path)


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"src_name": "Crab"}, "scw_list = nothing: scw_list is needed, or T1 and T2"),
        ({"T1": "2020-01-01", "T2": "2020-02-01"}, "scw_list = nothing"),
        ({**ASKED, "T2": None}, "T1 and T2 are given together"),
        ({**ASKED, "T2": "664"}, "T2 = 664: T2 must be after T1 = 665"),
        ({**ASKED, "T1": "six"}, "six is no revolution"),
        ({**ASKED, "T_format": "sundial"}, "T_format = sundial: ijd, revolution or a format"),
        ({**ASKED, "T_format": "isot"}, "665 cannot be read as a time of the format isot"),
        ({**ASKED, "radius": 0}, "radius = 0"),
        ({**ASKED, "max_pointings": 1.5}, "max_pointings = 1.5"),
        ({**ASKED, "readiness": "maybe"}, "readiness = maybe"),
        ({**ASKED, "min_coded_fraction": 2}, "min_coded_fraction = 2"),
    ],
)
def test_a_bad_selection_is_told(values, named):
    with pytest.raises(RequestError) as caught:
        make_query(ImageQuery, **values)
    assert named in str(caught.value)


@pytest.mark.parametrize(
    ("time_format", "text"),
    [
        ("isot", "2022-10-12T15:08:42.184"),
        ("iso", "2022-10-12 15:08:42.184"),
        ("mjd", "59864.63104379630"),
        ("jd", "2459865.13104379630"),
        ("ijd", "8320.631844537"),
    ],
)
def test_times_in_every_format(time_format, text):
    # UTC is 37 + 32.184 s behind TT in 2022
    assert read_time(text, time_format) == pytest.approx(8320.631844537, abs=2e-6)
