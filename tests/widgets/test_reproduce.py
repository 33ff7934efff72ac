"""What the page offers to copy asks exactly the same."""

from __future__ import annotations

import shlex
import sys

import pytest

from integral_oda import analysis, cli
from integral_oda.errors import DataError
from integral_oda.query import ImageQuery, LightCurveQuery, make_query
from integral_widgets.reproduce import command_line, python_code

SCW = ("255900280010.001", "255900290010.001")
QUERIES = [
    make_query(ImageQuery, scw_list=SCW),
    make_query(
        ImageQuery, scw_list=SCW[:1], bands=((20, 40), (40, 80.5)), detection_threshold=6.5, src_name="SGR 1935+2154"
    ),
    make_query(ImageQuery, scw_list=SCW, RA=83.6332, DEC=-22.0145, at=("Cyg X-1", "293.7,-1.5")),
    make_query(
        LightCurveQuery, scw_list=SCW, src_name='IGR J1\'; rm -rf "$HOME"', time_bin=0.1, E1_keV=20, E2_keV=100.5
    ),
    make_query(LightCurveQuery, scw_list=SCW, RA=0.00001, DEC=1 / 3, catalog="/a b/mine.ecsv"),
]


@pytest.fixture
def asked(monkeypatch):
    """Queries that reach the analysis, which then stops."""
    reached = []

    def analyse(query, *args, **kwargs):
        reached.append(query)
        raise DataError("stopped here")

    monkeypatch.setattr(analysis, "analyse", analyse)
    return reached


@pytest.mark.parametrize("query", QUERIES, ids=range(len(QUERIES)))
def test_the_command_asks_the_same(query, asked, monkeypatch):
    monkeypatch.setattr(sys, "argv", shlex.split(command_line(query)))
    with pytest.raises(SystemExit):
        cli.main()
    assert asked == [query]


@pytest.mark.parametrize("query", QUERIES, ids=range(len(QUERIES)))
def test_the_code_asks_the_same(query, asked):
    with pytest.raises(DataError):
        exec(python_code(query), {})
    assert asked == [query]


def test_defaults_are_left_out():
    assert command_line(QUERIES[0]) == "integral-oda image --scw-list 255900280010.001,255900290010.001 --out OUT"
