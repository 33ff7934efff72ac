"""What the buttons of the catalogue editor do to its list."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from integral_oda.catalog.source_list import read_sources
from integral_oda.errors import RequestError
from integral_widgets.catalogue_editor import FORMS, PAGE_ROWS, CatalogueEditor, catalogue_of
from integral_widgets.inputs import Uploads

SUMMARY = {
    "sources": [
        {"name": "Crab", "ra_deg": 83.6, "dec_deg": 22.0, "error_radius_arcmin": 0.5, "new": False, "forced": False,
         "bands": [{"significance": 30.0}, {"significance": 12.0}]},
        {"name": "NEW_1", "ra_deg": 84.6, "dec_deg": 21.0, "error_radius_arcmin": 3.0, "new": True, "forced": False,
         "bands": [{"significance": 8.5}]},
        {"name": "J85.0+22.0", "ra_deg": 85.0, "dec_deg": 22.0, "error_radius_arcmin": 1.0, "new": False,
         "forced": True, "bands": [{"significance": 0.5}]},
    ],
    "suppressed": [{"ra_deg": 90.0, "dec_deg": 20.0, "e1_kev": 28.0, "e2_kev": 80.0, "significance": 9.1,
                    "reason": "ghost of a source: <b>Crab</b>"}],
}  # fmt: skip


@pytest.fixture
def used():
    return []


@pytest.fixture
def editor(used, tmp_path):
    made = CatalogueEditor(used.append, Uploads(tmp_path / "uploads"), tmp_path / "out")
    made.show(SUMMARY)
    return made


def button(editor, text):
    def look(widget):
        if getattr(widget, "description", "") == text:
            yield widget
        for child in getattr(widget, "children", ()):
            yield from look(child)

    return next(look(editor.widget))


def shown(editor):
    return [row for row in editor.rows if row.widget.layout.display != "none"]


def test_the_list_begins_with_what_the_image_found_but_not_with_what_was_only_measured(editor):
    assert editor.catalogue.names == ("Crab", "NEW_1")
    assert editor.catalogue["Crab"].significance == 30
    assert editor.catalogue["NEW_1"].err_rad == pytest.approx(0.05)


def test_new_ones_and_ghosts_say_why(editor):
    assert "8.5 sigma, no catalogue source within 3.0 arcmin" in shown(editor)[1].note.value
    assert "NEW" not in shown(editor)[0].note.value
    assert "ghost of a source: &lt;b&gt;Crab&lt;/b&gt;" in editor.ghost_list.value


def test_a_typed_position_changes_the_list_and_nonsense_does_not(editor):
    row = shown(editor)[0]
    row.inputs["ra"].value = "83.7"
    assert editor.catalogue["Crab"].ra == 83.7
    row.inputs["err_rad"].value = "6"
    assert editor.catalogue["Crab"].err_rad == pytest.approx(0.1)
    row.inputs["dec"].value = "<script>"
    assert editor.catalogue["Crab"].dec == 22.0
    assert row.inputs["dec"].value == "+22.00000"
    assert "&lt;script&gt;" in editor.status.value
    row.inputs["name"].value = "Tau X-1"
    assert editor.catalogue.names == ("Tau X-1", "NEW_1")


def test_adding_and_deleting(editor):
    editor.name.value, editor.ra.value, editor.dec.value = "My source", "84.1", "-5"
    button(editor, "Add").click()
    assert editor.catalogue["My source"].dec == -5
    assert editor.name.value == ""
    with pytest.raises(RequestError, match="does not have yet"):
        editor.add("my SOURCE", 1, 1)
    shown(editor)[0].tick.value = True
    button(editor, "Delete ticked").click()
    assert editor.catalogue.names == ("NEW_1", "My source")
    button(editor, "Delete ticked").click()
    assert "at least one source that is ticked" in editor.status.value
    button(editor, "Delete NEW").click()
    assert editor.catalogue.names == ("My source",)


def test_duplicates_are_merged_by_position(editor):
    editor.add("Crab again", 83.61, 22.0)
    button(editor, "Merge duplicates").click()
    assert editor.catalogue.names == ("Crab", "NEW_1")
    assert "1 duplicates merged" in editor.status.value


@pytest.mark.parametrize("form", FORMS)
def test_what_is_exported_can_be_imported(editor, form, tmp_path, used):
    editor.form.value = form
    button(editor, "Export").click()
    path = tmp_path / "out" / f"catalogue{form}"
    assert read_sources(path).names == ("Crab", "NEW_1")
    other = CatalogueEditor(used.append, Uploads(tmp_path / "uploads"), tmp_path / "other")
    other.upload.value = (
        {"name": path.name, "type": "", "size": 1, "content": memoryview(path.read_bytes()),
         "last_modified": datetime(2022, 10, 12, tzinfo=UTC)},
    )  # fmt: skip
    assert other.catalogue.names == ("Crab", "NEW_1")
    assert other.upload.value == ()


def test_only_the_ticked_ones_are_used_or_all(editor, used):
    button(editor, "Use for spectra and light curves").click()
    editor.select("NEW_1")
    button(editor, "Use for spectra and light curves").click()
    assert [catalogue.names for catalogue in used] == [("Crab", "NEW_1"), ("NEW_1",)]


def test_a_long_list_turns_its_pages(editor):
    for number in range(PAGE_ROWS + 3):
        editor.add(f"S{number}", number, 0)
    assert [row.inputs["name"].value for row in shown(editor)] == [f"S{n}" for n in range(PAGE_ROWS - 2, PAGE_ROWS + 3)]
    button(editor, "Previous").click()
    assert len(shown(editor)) == PAGE_ROWS
    assert shown(editor)[0].inputs["name"].value == "Crab"


NAMES = st.text("ABCdef 123+-", min_size=1, max_size=12).map(str.strip).filter(bool)
PLACES = st.tuples(NAMES, st.floats(0, 359.99), st.floats(-90, 90))


@settings(max_examples=25)
@given(st.lists(PLACES, max_size=8, unique_by=lambda place: place[0].casefold()), st.data())
def test_rows_show_the_list_whatever_is_done_to_it(places, data):
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        editor = CatalogueEditor(lambda _: None, Uploads(Path(folder)), Path(folder))
        for place in places:
            try:
                editor.add(*place)
            except RequestError:
                continue
        if editor.catalogue.names:
            editor.delete(data.draw(st.sampled_from(editor.catalogue.names)))
        assert [row.inputs["name"].value for row in shown(editor)] == list(editor.catalogue.names)


def test_unknown_numbers_stay_unknown():
    (source,) = catalogue_of(
        [{"name": "A", "ra_deg": 1.0, "dec_deg": 2.0, "error_radius_arcmin": None, "new": False, "forced": False,
          "bands": [{"significance": None}]}]
    ).sources  # fmt: skip
    assert math.isnan(source.err_rad)
    assert math.isnan(source.significance)
