"""Window list and time conversion, as the online system's services answer."""

import numpy as np
import pytest

from integral_oda.archive.pointings import PointingIndex
from integral_oda.errors import RequestError
from integral_oda.service.pointings import TIME_FORMATS, convert_time, window_list

START, LENGTH = 3006.0, 0.02
NAMES = ["066500010010.001", "066500020010.001", "066500020021.000", "066600010010.001"]


@pytest.fixture
def index():
    start = START + np.arange(4) * 0.1
    return PointingIndex.build(
        {
            "name": NAMES,
            "tstart": start,
            "tstop": start + LENGTH,
            "ra_x": [83.0, 84.0, 85.0, 200.0],
            "dec_x": [22.0, 22.0, 22.0, -40.0],
            "good_s": [1700.0, 900.0, np.nan, 1700.0],
        }
    )


@pytest.mark.parametrize(
    ("readiness", "fields", "expected"),
    [
        ("any", {}, [0, 1, 2, 3]),
        ("cons", {}, [0, 1, 3]),
        ("nrt", {}, [2]),
        ("any", {"ra": ["83"], "dec": ["22"], "radius": ["1.5"]}, [0, 1]),
        ("any", {"ra": ["83"], "dec": ["22"]}, [0, 1, 2]),
        ("any", {"min_good_isgri": ["1000"]}, [0, 2, 3]),
    ],
)
def test_windows_of_a_time_range(index, readiness, fields, expected):
    assert window_list(index, readiness, "3005", "3007", fields) == [NAMES[k][:12] for k in expected]


def test_windows_are_cut_by_time_in_any_form(index):
    assert window_list(index, "any", "54550.05", "2008-03-25T03:30:00", {}) == [NAMES[1][:12]]


def test_columns_that_are_asked_for(index):
    found = window_list(index, "any", "3005", "3006.05", {"return_columns": ["SWID,RA_SCX"]})
    assert found == {"SWID": [NAMES[0][:12]], "RA_SCX": [83.0]}


@pytest.mark.parametrize(
    ("readiness", "start", "fields", "name"),
    [
        ("some", "3005", {}, "readiness"),
        ("any", "yesterday", {}, "T1"),
        ("any", "3005", {"ra": ["east"]}, "ra"),
        ("any", "3005", {"return_columns": ["SHAPE"]}, "return_columns"),
    ],
)
def test_what_is_not_understood_is_named(index, readiness, start, fields, name):
    with pytest.raises(RequestError) as caught:
        window_list(index, readiness, start, "3007", fields)
    assert caught.value.parameter == name


@pytest.mark.parametrize(
    ("given", "value", "wanted", "expected"),
    [
        ("IJD", "3006.0", "MJD", "54550.000000000"),
        ("MJD", "54550", "UTC", "2008-03-24T23:58:54.816"),
        ("UTC", "2008-03-24T23:58:54.816", "IJD", "3006.000000000"),
        ("SCWID", "066500020010", "IJD", "3006.100000000"),
        ("REVNUM", "666", "IJD", "3006.300000000"),
        ("IJD", "3006.105", "SCWID", "066500020010"),
        ("IJD", "3006.305", "REVNUM", "0666"),
    ],
)
def test_times_in_every_form(index, given, value, wanted, expected):
    assert convert_time(lambda: index, given, value, wanted) == expected


@pytest.mark.parametrize(
    ("given", "value", "wanted"),
    [("UTC", "soon", "IJD"), ("SCWID", "1", "IJD"), ("IJD", "3006.05", "SCWID"), ("IJD", "1", "FORTNIGHT")],
)
def test_what_is_no_time_is_refused(index, given, value, wanted):
    with pytest.raises(RequestError, match=r"intime|outformat"):
        convert_time(lambda: index, given, value, wanted)


def test_every_form_is_offered():
    assert set(TIME_FORMATS) == {"UTC", "IJD", "MJD", "SCWID", "REVNUM"}
