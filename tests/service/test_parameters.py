"""Requests over HTTP: the online system's names, defaults and limits."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integral_oda.errors import RequestError
from integral_oda.service.desk import ForbiddenError
from integral_oda.service.parameters import (
    PRODUCTS,
    ImageParameters,
    LightCurveParameters,
    describe,
    read_parameters,
    unknown_names,
)
from integral_oda.service.requests import build_query, parameters_of, sources_of

SCW = "066500220010.001"
CATALOGUE = {
    "cat_frame": "fk5",
    "cat_coord_units": "deg",
    "cat_column_names": ["meta_ID", "src_names", "significance", "ra", "dec"],
    "cat_column_list": [[0, 1], ["Crab", "A"], [9.0, None], [83.6, 84.0], [22.0, 23.5]],
    "cat_lat_name": "dec",
    "cat_lon_name": "ra",
}


def fields(**values):
    return {name: [str(value)] for name, value in values.items()}


def test_defaults_are_the_dispatchers():
    found = read_parameters(ImageParameters, {})
    assert (found.src_name, found.E1_keV, found.E2_keV, found.detection_threshold) == ("1E 1740.7-2942", 20, 40, 7)
    assert (found.radius, found.max_pointings, found.osa_version) == (15, 50, "OSA11.2")
    assert read_parameters(LightCurveParameters, {}).time_bin_s == 1000


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ([f"{SCW},066500230010.001"], (SCW, "066500230010.001")),
        ([SCW, "066500230010.001"], (SCW, "066500230010.001")),
        ([json.dumps([SCW])], (SCW,)),
        ([f"{SCW}, {SCW}"], (SCW,)),
        (["\x00"], ()),
        ([""], ()),
    ],
)
def test_windows_come_in_every_form_the_client_sends(texts, expected):
    assert read_parameters(ImageParameters, {"scw_list": texts}).scw_list == expected


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("E1_keV", "5", "ISGRI energy range is restricted to 15 - 800 keV"),
        ("E2_keV", "900", "ISGRI energy range is restricted to 15 - 800 keV"),
        ("E1_keV", "20.3", "multiples of 0.5 keV"),
        ("E1_keV", "nan", "15 - 800 keV"),
        ("max_pointings", "2.5", "whole number"),
        ("scw_list", f"{SCW} 066500230010.001", "not a science window"),
        ("osa_version", "OSA11.1", "please use OSA11.2"),
        ("osa_version", "OSA9", "allowed"),
        ("time_bin", "30000", "20000 s"),
        ("time_bin_format", "hours", "'sec' or 'jd'"),
        ("selected_catalog", "{", "JSON"),
        ("selected_catalog", "[1]", "cat_column_names"),
        ("use_scws", "form_list", "scw_list is not given"),
    ],
)
def test_what_is_not_allowed_is_named(name, value, told):
    with pytest.raises(RequestError, match="=") as caught:
        read_parameters(LightCurveParameters, fields(**{name: value}))
    assert told in str(caught.value)


def test_energies_point_up():
    with pytest.raises(RequestError, match="E1_keV = 80 must be below E2_keV = 40"):
        read_parameters(ImageParameters, fields(E1_keV=80, E2_keV=40))


def test_a_day_is_a_time_bin_unit():
    assert read_parameters(LightCurveParameters, fields(time_bin="0.01", time_bin_format="jd")).time_bin_s == 864


def test_what_stands_for_none_leaves_the_default():
    assert read_parameters(ImageParameters, fields(E1_keV="\x00", radius="")).E1_keV == 20


@pytest.mark.parametrize("depth", [1, 2])
def test_a_catalogue_is_read_also_when_it_was_dumped_twice(depth):
    text = CATALOGUE
    for _ in range(depth):
        text = json.dumps(text)
    found = read_parameters(ImageParameters, {"selected_catalog": [text]})
    assert sources_of(found) == [("Crab", 83.6, 22.0), ("A", 84.0, 23.5)]


def test_selected_rows_of_a_catalogue():
    given_fields = {"selected_catalog": [json.dumps(CATALOGUE)], "catalog_selected_objects": ["1"]}
    assert sources_of(read_parameters(ImageParameters, given_fields)) == [("A", 84.0, 23.5)]


@pytest.mark.parametrize("asked", ["True", "False"])
def test_the_catalogue_may_be_all_that_is_fitted(asked, tmp_path):
    given_fields = {"selected_catalog": [json.dumps(CATALOGUE)], "only_catalog": [asked]}
    found = read_parameters(ImageParameters, given_fields)
    query = build_query(found, [SCW], sources_of(found), tmp_path)
    assert query.only_catalog == (asked == "True")


def test_a_catalogue_that_is_not_there_cannot_be_all_that_is_fitted(tmp_path):
    found = read_parameters(ImageParameters, {"only_catalog": ["True"]})
    with pytest.raises(RequestError, match="only_catalog"):
        build_query(found, [SCW], [], tmp_path)


@pytest.mark.parametrize(("name", "value"), [("instrument", "jemx"), ("product_type", "x"), ("query_type", "Dummy")])
def test_what_is_not_here_is_refused(name, value):
    asked = {"instrument": "isgri", "product_type": "isgri_image", "query_type": "Real", name: value}
    with pytest.raises(RequestError, match=name):
        parameters_of(fields(**asked))


def test_private_data_are_forbidden():
    asked = fields(instrument="isgri", product_type="isgri_image", integral_data_rights="all-private")
    with pytest.raises(ForbiddenError):
        parameters_of(asked)


def test_unknown_names_are_told():
    assert unknown_names(ImageParameters, {"E1_keV": "", "colour": "", "token": ""}) == ["colour"]


@pytest.mark.parametrize("product", PRODUCTS)
def test_every_parameter_is_described(product):
    head, *described = describe(product)
    assert head == {"query_name": product, "product_name": product}
    assert {item["name"] for item in described} == set(PRODUCTS[product].model_fields)
    json.dumps(described, allow_nan=False)


@given(st.dictionaries(st.sampled_from(sorted(LightCurveParameters.model_fields)), st.text(max_size=30), max_size=6))
def test_any_text_is_read_or_refused_in_one_sentence(values):
    try:
        found = read_parameters(LightCurveParameters, fields(**values))
        refused = ""
    except RequestError as exc:
        found, refused = None, exc.parameter
    assert refused in LightCurveParameters.model_fields or refused == "query" or found.E1_keV < found.E2_keV <= 800
