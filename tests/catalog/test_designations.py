"""Names of new sources: by their places, and one name for one source of several science windows."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from integral_oda.catalog.designations import designation, joined_names, lasting_name
from integral_oda.catalog.names import parse_designation


@given(ra=st.floats(0, 360, exclude_max=True), dec=st.floats(-89.9, 89.9))
def test_designations_name_the_place_that_they_were_made_of(ra, dec):
    found = parse_designation(designation("NEW", ra, dec))
    assert found is not None
    assert abs((found[0] - ra + 180) % 360 - 180) <= 0.0126
    assert abs(found[1] - dec) <= 0.5 / 60 + 1e-9


def test_a_designation_is_cut_off_not_rounded():
    assert designation("IGR", 247.9504, -48.8169) == "IGR J16318-4849"
    assert designation("NEW", 86.5, 25.5) == "NEW J05460+2530"


def test_only_numbered_new_sources_with_a_place_are_renamed():
    assert lasting_name("NEW_12", 86.5, 25.5) == "NEW J05460+2530"
    assert lasting_name("NEW_12", float("nan"), 25.5) == "NEW_12"
    assert lasting_name("Crab", 83.63, 22.01) == "Crab"
    assert lasting_name("NEW_X", 83.63, 22.01) == "NEW_X"


def test_new_sources_at_one_place_are_one_and_those_at_two_are_two():
    places = [("Crab", 83.63, 22.01), ("NEW_1", 86.5, 25.5), ("NEW_1", 86.52, 25.52), ("NEW_1", 80.0, 20.0),
              ("NEW_2", 86.48, 25.49), ("Crab", 83.7, 22.1)]  # fmt: skip
    sources = [(lasting_name(*place), *place[1:]) for place in places]
    first, other = designation("NEW", 86.5, 25.5), designation("NEW", 80.0, 20.0)
    assert joined_names(sources) == ["Crab", first, first, other, first, "Crab"]
    assert joined_names([]) == []
