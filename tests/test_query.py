from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from integral_oda.errors import RequestError
from integral_oda.instrument.energy import EnergyBand
from integral_oda.query import BackgroundQuery, ImageQuery, LightCurveQuery, make_query, parse_band, parse_scw_list

SCW = "255900280010.001"


def image(**values):
    return make_query(ImageQuery, **{"scw_list": SCW} | values)


def curve(**values):
    return make_query(LightCurveQuery, **{"scw_list": SCW} | values)


def test_defaults():
    query = image()
    assert query.scw_list == (SCW,)
    assert query.energy_bands == (EnergyBand(28, 80),)
    assert query.detection_threshold == 7
    assert (curve().band, curve().time_bin) == (EnergyBand(28, 80), 1000)


def test_windows_without_a_version_are_001_and_named_once():
    query = image(scw_list="255900280010, 255900290010.000 ,255900280010.001")
    assert query.scw_list == (SCW, "255900290010.000")


def test_windows_from_a_file(tmp_path):
    path = tmp_path / "windows.txt"
    path.write_text(f"# revolution 2559\n{SCW}\n\n 255900290010 \n")
    assert parse_scw_list(f"@{path}") == (SCW, "255900290010")
    assert image(scw_list=f"@{path}").scw_list == (SCW, "255900290010.001")


half_kev = st.integers(30, 2000).map(lambda n: n / 2)


@given(half_kev, half_kev)
def test_a_band_is_accepted_exactly_if_it_points_up(e1, e2):
    if e1 < e2:
        assert curve(E1_keV=e1, E2_keV=e2).band == (e1, e2)
        assert image(bands=[(e1, e2)]).energy_bands == ((e1, e2),)
    else:
        with pytest.raises(RequestError, match="upside down or empty"):
            curve(E1_keV=e1, E2_keV=e2)
        with pytest.raises(RequestError, match="upside down or empty"):
            image(bands=[(20, 40), (e1, e2)])


@given(st.floats().filter(lambda e: not (15 <= e <= 1000 and (2 * e).is_integer())))
def test_other_energies_are_refused(energy):
    with pytest.raises(RequestError) as caught:
        curve(E1_keV=energy, E2_keV=1000)
    assert caught.value.parameter == "E1_keV"
    assert "15 <= E1 < E2 <= 1000 keV in multiples of 0.5 keV" in str(caught.value)


BAD = [
    (ImageQuery, {"scw_list": "25590028"}, "scw_list", "25590028"),
    (ImageQuery, {"scw_list": ""}, "scw_list", "at least one"),
    (ImageQuery, {"scw_list": "255900280010.1"}, "scw_list", "12 digits"),
    (ImageQuery, {"scw_list": f"{SCW},abc"}, "scw_list", "abc"),
    (ImageQuery, {"scw_list": "@/no/such/file"}, "scw_list", "/no/such/file"),
    (ImageQuery, {"scw_list": SCW, "bands": []}, "band", ""),
    (ImageQuery, {"scw_list": SCW, "bands": [(28, float("nan"))]}, "band", "nan"),
    (ImageQuery, {"scw_list": SCW, "bands": [(28, float("inf"))]}, "band", "inf"),
    (ImageQuery, {"scw_list": SCW, "bands": [(28.3, 80)]}, "band", "28.3"),
    (ImageQuery, {"scw_list": SCW, "detection_threshold": 1}, "detection_threshold", "1"),
    (ImageQuery, {"scw_list": SCW, "detection_threshold": float("nan")}, "detection_threshold", "nan"),
    (LightCurveQuery, {"scw_list": SCW, "time_bin": -5}, "time_bin", "-5"),
    (LightCurveQuery, {"scw_list": SCW, "time_bin": 0}, "time_bin", "0"),
    (LightCurveQuery, {"scw_list": SCW, "time_bin": float("nan")}, "time_bin", "nan"),
    (LightCurveQuery, {"scw_list": SCW, "E2_keV": 5000}, "E2_keV", "5000"),
    (LightCurveQuery, {"scw_list": SCW, "RA": 400, "DEC": 20}, "RA", "400"),
    (LightCurveQuery, {"scw_list": SCW, "RA": 360, "DEC": 20}, "RA", "360"),
    (LightCurveQuery, {"scw_list": SCW, "RA": 20, "DEC": 95}, "DEC", "95"),
    (LightCurveQuery, {"scw_list": SCW, "RA": 20}, "RA", "RA and DEC"),
    (LightCurveQuery, {"scw_list": SCW, "RA": 20, "DEC": 20, "src_name": "Crab"}, "src_name", "not both"),
    (LightCurveQuery, {"scw_list": SCW, "RA": 20, "rate_range": "1,2", "DEC": None}, "RA", "RA and DEC"),
    (LightCurveQuery, {"scw_list": SCW, "rate_range": "1,2"}, "rate_range", "rate_range needs the source"),
    (LightCurveQuery, {"scw_list": SCW, "fold": "2.5"}, "fold", "2.5"),
    (LightCurveQuery, {"scw_list": SCW, "binning": "blocks"}, "binning", "blocks"),
    (LightCurveQuery, {"scw_list": SCW, "E1_keV": 90}, "E1_keV", "90-80 keV is upside down"),
    (LightCurveQuery, {"scw_list": SCW, "more_bands": [(80, 20)]}, "band", "80-20 keV is upside down"),
    (ImageQuery, {"scw_list": SCW, "bands": [(80, 20)]}, "band", "80-20 keV is upside down"),
    (ImageQuery, {"scw_list": SCW, "bands": [EnergyBand(20, 40), EnergyBand(80, 20)]}, "band", "band = 20-40, 80-20:"),
    (ImageQuery, {"src_name": "Crab", "T1": "2020-01-01"}, "T1", "together"),
    (ImageQuery, {"src_name": "Crab", "T1": "2020-01-01", "T2": "later"}, "T2", "later cannot be read"),
    (ImageQuery, {"src_name": "Crab", "T1": "1", "T2": "2", "T_format": "fortnight"}, "T_format", "fortnight"),
    (ImageQuery, {"src_name": "Crab", "T1": "2021-01-01", "T2": "2020-01-01"}, "T2", "2021-01-01"),
    (BackgroundQuery, {"scw_list": SCW, "phase": "55000,5,0.1,0.2"}, "phase", "whole windows"),
    (LightCurveQuery, {"scw_list": SCW, "src_name": ""}, "src_name", ""),
    (LightCurveQuery, {"scw_list": SCW, "E3_keV": 20}, "E3_keV", "20"),
    (LightCurveQuery, {}, "scw_list", ""),
]


@pytest.mark.parametrize(("kind", "values", "parameter", "named"), BAD)
def test_a_bad_request_names_parameter_and_value_in_one_line(kind, values, parameter, named):
    with pytest.raises(RequestError) as caught:
        make_query(kind, **values)
    assert caught.value.parameter == parameter
    assert caught.value.exit_status == 2
    message = str(caught.value)
    assert message.startswith(f"{parameter} = ")
    assert named in message
    assert "\n" not in message
    assert len(message) < 300


def test_a_long_value_is_shortened():
    with pytest.raises(RequestError) as caught:
        image(scw_list="x" * 500)
    assert len(caught.value.value) <= 80
    assert len(str(caught.value)) < 300


def test_the_ends_of_the_sky_are_allowed():
    assert curve(RA=0, DEC=-90).DEC == -90
    assert curve(RA=359.999, DEC=90).RA == 359.999


def test_a_query_cannot_be_changed():
    with pytest.raises(ValidationError, match="frozen"):
        image().scw_list = ()


@given(st.lists(st.tuples(half_kev, half_kev).filter(lambda b: b[0] < b[1]), min_size=1, max_size=4))
def test_a_query_survives_json(bands):
    query = image(bands=bands, at=("Crab", "83.6,22.0"), detection_threshold=6.5)
    assert ImageQuery.model_validate_json(query.model_dump_json()) == query


@given(half_kev, half_kev)
def test_a_band_is_read_as_it_is_written(e1, e2):
    assert parse_band(str(EnergyBand(e1, e2))) == (e1, e2)


@pytest.mark.parametrize("text", ["28", "28-40-60", "a-b", "", "28:80", "-20-40"])
def test_other_texts_are_no_band(text):
    with pytest.raises(RequestError, match="two energies in keV with a hyphen") as caught:
        parse_band(text)
    assert caught.value.value == text
