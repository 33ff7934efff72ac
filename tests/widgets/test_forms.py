"""The form asks what the models ask and says what the command line says."""

from __future__ import annotations

import html
from datetime import UTC, datetime
from pathlib import Path

import pytest

from integral_oda.errors import RequestError
from integral_oda.query import ImageQuery, LightCurveQuery, Query, SpectrumQuery, make_query
from integral_widgets.forms import QueryForm
from integral_widgets.inputs import HINTS, Uploads
from integral_widgets.presets import PRESETS

SCW = "255900280010.001"
KINDS = (ImageQuery, LightCurveQuery, SpectrumQuery)
SERVER_FILES = {"background", "index"}


@pytest.fixture
def form(tmp_path):
    made = QueryForm(KINDS, Uploads(tmp_path / "uploads"))
    made.set(scw_list=SCW)
    return made


def shown_errors(form):
    return {name: field.error.value for name, field in form.fields.items() if field.error.value}


def test_there_is_one_input_for_every_parameter_but_those_that_name_files_of_the_server(form):
    asked = {name for kind in KINDS for name in kind.model_fields}
    assert set(form.fields) == asked - SERVER_FILES


def test_titles_and_defaults_are_those_of_the_models(form):
    for kind in KINDS:
        for name in kind.model_fields.keys() - SERVER_FILES:
            assert kind.model_fields[name].title in html.unescape(form.fields[name].input.description)
        assert form.query(kind) == kind(scw_list=[SCW])


def test_every_input_has_words_for_who_meets_it_first(form):
    for field in form.fields.values():
        assert HINTS[field.name] in html.unescape(field.hint.value or field.input.description)


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_every_example_is_a_query_that_can_be_made(form, name):
    for field in form.fields.values():
        field.put(field.default)
    form.set(**PRESETS[name].fields)
    for kind in KINDS:
        assert form.query(kind).src_name in name


def test_what_is_ticked_and_chosen_is_what_is_asked(form):
    form.set(
        src_name="Crab",
        barycentre=True,
        binning="scw",
        readiness="cons",
        max_pointings=7,
        engine="osa",
        method="mosaic",
    )
    curve = form.query(LightCurveQuery)
    assert (curve.barycentre, curve.binning, curve.engine, curve.max_pointings) == (True, "scw", "osa", 7)
    assert form.query(SpectrumQuery).method == "mosaic"
    with pytest.raises(RequestError, match="engine = magic: one of native, osa, mmoda"):
        form.set(engine="magic")


@pytest.mark.parametrize("query", [
    make_query(ImageQuery, scw_list=SCW, bands=((20, 40), (40, 80.5)), at=("Cyg X-1", "293.7,21.9"),
               gti="8320.1,8320.2"),
    make_query(LightCurveQuery, T1="2003-01-01", T2="2004-05-06", RA=1 / 3, DEC=-20.5, fold="3.245,0,59864.5",
               bursts=True),
    make_query(LightCurveQuery, scw_list=SCW, src_name="Crab", bin_edges="8320.1,8320.25,8320.5",
               more_bands="20-40,40-60"),
    make_query(SpectrumQuery, scw_list=SCW, channels=16, group=3.5, engine_for="MOSAIC=native", exclude="bti",
               seed=4),
])  # fmt: skip
def test_a_query_that_fills_the_form_comes_out_of_it_and_of_its_link(form, query, tmp_path):
    form.fill(query)
    assert form.query(type(query)) == query
    other = QueryForm(KINDS, Uploads(tmp_path))
    assert other.read_query_string(form.query_string_of(query)) == []
    assert other.query(type(query)) == query


def test_files_of_the_server_are_not_excluded_by(form, tmp_path):
    form.set(exclude=str(tmp_path))
    with pytest.raises(RequestError, match="exclude"):
        form.query(ImageQuery)


def test_what_is_typed_is_what_is_asked(form):
    form.set(scw_list=f"{SCW}\n255900290010", src_name="Crab", bands="20-40, 40-80.5", time_bin="0.1", E1_keV="15")
    form.set(at="Cyg X-1; 293.7,21.9")
    image, curve = form.query(ImageQuery), form.query(LightCurveQuery)
    assert image.at == ("Cyg X-1", "293.7,21.9")
    assert image.scw_list == (SCW, "255900290010.001")
    assert image.bands == ((20, 40), (40, 80.5))
    assert (curve.src_name, curve.time_bin, curve.E1_keV) == ("Crab", 0.1, 15)


@pytest.mark.parametrize(
    ("name", "text", "values"),
    [
        ("scw_list", "2559", {"scw_list": "2559"}),
        ("bands", "28-1001", {"bands": ((28.0, 1001.0),)}),
        ("bands", "28.3-80", {"bands": ((28.3, 80.0),)}),
        ("detection_threshold", "1", {"detection_threshold": "1"}),
        ("RA", "361", {"RA": "361", "DEC": "0"}),
    ],
)
def test_an_error_stands_beside_its_field_in_the_sentence_of_the_command_line(form, name, text, values):
    with pytest.raises(RequestError) as expected:
        make_query(ImageQuery, **{"scw_list": (SCW,), **values})
    form.set(**{name: text} | ({"DEC": "0"} if name == "RA" else {}))
    with pytest.raises(RequestError) as told:
        form.query(ImageQuery)
    assert str(told.value) == str(expected.value)
    assert list(shown_errors(form)) == [name]
    assert str(told.value) in html.unescape(shown_errors(form)[name])


def test_errors_show_while_typing_and_go_when_mended(form):
    form.set(time_bin="-5")
    assert "time_bin" in shown_errors(form)
    form.set(time_bin="5")
    assert not shown_errors(form)


@pytest.mark.parametrize(
    ("kind", "texts", "field", "sentence"),
    [
        (ImageQuery, {"bands": "80-28"}, "bands", "80-28 keV is upside down"),
        (LightCurveQuery, {"E1_keV": "90"}, "E1_keV", "90-80 keV is upside down"),
        (ImageQuery, {"RA": "20"}, "RA", "RA and DEC are given together"),
        (ImageQuery, {"RA": "20", "DEC": "3", "src_name": "Crab"}, "src_name", "give src_name or RA and DEC, not both"),
    ],
)
def test_an_error_of_fields_together_stands_beside_one_of_them(form, kind, texts, field, sentence):
    form.set(**texts)
    with pytest.raises(RequestError, match=sentence):
        form.query(kind)
    assert list(shown_errors(form)) == [field]
    assert sentence in shown_errors(form)[field]


def test_an_empty_list_of_windows_is_told_only_when_asked_for(form):
    form.set(scw_list="")
    assert not shown_errors(form)
    with pytest.raises(RequestError, match="scw_list is needed, or T1 and T2"):
        form.query(ImageQuery)
    assert "scw_list" in shown_errors(form)


def test_a_file_of_the_server_is_never_read_through_the_form(form, tmp_path):
    secret = tmp_path / "secret.txt"
    secret.write_text("hidden words\n")
    form.set(scw_list=f"@{secret}")
    with pytest.raises(RequestError) as told:
        form.query(ImageQuery)
    assert "hidden" not in str(told.value)


def test_a_link_brings_the_query_back(form, tmp_path):
    form.set(src_name="4U 1700-377 & co", bands="20-40,40-80", time_bin="12.5")
    other = QueryForm(KINDS, Uploads(tmp_path))
    assert other.read_query_string("?" + form.query_string()) == []
    assert other.query(ImageQuery) == form.query(ImageQuery)
    assert other.query(LightCurveQuery) == form.query(LightCurveQuery)


def test_a_link_holds_only_what_differs_from_the_defaults(form):
    assert form.query_string() == f"scw_list={SCW}"


def test_bad_values_of_a_link_are_told_and_unknown_keys_and_paths_refused(form):
    refused = form.read_query_string("bands=5-6&colour=red&theme=dark&catalog=/etc/passwd")
    assert "bands" in shown_errors(form)
    assert [sentence.split(" = ")[0] for sentence in refused] == ["colour", "catalog"]
    assert form.fields["catalog"].text == ""


def test_seldom_used_fields_are_folded_until_they_matter(form):
    fold = form.group(Query)[-1]
    title, content = fold.children
    assert content.layout.display == "none"
    form.set(gti="yesterday")
    assert content.layout.display == ""
    assert title.value
    assert "yesterday" in shown_errors(form)["gti"]


def test_an_uploaded_catalogue_goes_to_disk_and_out_of_memory(form, tmp_path):
    field = form.fields["catalog"]
    field.upload.value = (
        {
            "name": "../../my list.ecsv",
            "type": "",
            "size": 3,
            "content": memoryview(b"abc"),
            "last_modified": datetime(2022, 10, 12, tzinfo=UTC),
        },
    )
    path = Path(field.text)
    assert path.parent.parent == tmp_path / "uploads"
    assert path.name == "my_list.ecsv"
    assert path.read_bytes() == b"abc"
    assert field.upload.value == ()
    link = form.query_string()
    assert str(tmp_path) not in link
    other = QueryForm(KINDS, Uploads(tmp_path / "uploads"))
    assert other.read_query_string(link) == []
    assert other.fields["catalog"].text == str(path)


def test_there_is_no_input_for_an_unknown_name(form):
    with pytest.raises(RequestError, match="no such parameter"):
        form.set(colour="red")
