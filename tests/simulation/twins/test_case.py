"""Published observations as data files."""

from __future__ import annotations

import pytest

from integral_oda.errors import RequestError
from integral_oda.instrument.attitude import separation_deg
from integral_oda.simulation.twins.case import case_names, read_case


@pytest.mark.parametrize("name", case_names())
def test_every_case_is_sound_and_says_where_its_numbers_are_from(name):
    case = read_case(name)
    available = min(len(v.pointing_numbers) for v in case.visits) if case.each_visit else 0
    available = available or sum(len(visit.pointing_numbers) for visit in case.visits)
    assert case.windows <= case.full <= available
    assert all(len(source.source) > 10 for source in (*case.sources, *(s for v in case.visits for s in v.sources)))
    assert case.target in {source.name for source in case.sources}
    assert "place of" in case.attitudes
    for visit in case.visits:
        assert separation_deg(visit.ra, visit.dec, case.ra, case.dec) < case.radius_deg


def test_an_unknown_case_names_those_there_are():
    with pytest.raises(RequestError, match="case = vela: one of c3c279, crab, gx5_1"):
        read_case("vela")


def test_gx_5_1_has_the_science_windows_that_were_published(real_data):
    published = (real_data / "oda-hub_oda_api_benchmark" / "list_osa10.txt").read_text().split()
    windows = [f"{v.revolution:04d}{n:04d}0010" for v in read_case("gx5_1").visits for n in v.pointing_numbers]
    assert windows == published
