"""What the page offers to copy asks exactly the same."""

from __future__ import annotations

import shlex
import sys

import pytest

from integral_oda import analysis, cli
from integral_oda.errors import DataError
from integral_oda.query import ImageQuery, LightCurveQuery, SpectrumQuery, make_query
from integral_widgets.reproduce import command_line, python_code, query_notebook

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
    make_query(
        LightCurveQuery,
        scw_list=SCW,
        src_name="Crab",
        more_bands="20-40,40-60.5",
        E1_keV=25,
        fold="3.2,1e-9",
        barycentre=True,
        bursts=True,
        events=True,
        binning="scw",
        period_search="1,10.5",
    ),
    make_query(LightCurveQuery, scw_list=SCW, bin_edges="8320.1,8320.25,8320.5", gti="8320.1,8320.2;8321,8322"),
    make_query(SpectrumQuery, scw_list=SCW, channels="13.0,15.5,20", group=3, method="mosaic", src_name="Crab"),
    make_query(
        SpectrumQuery,
        T1="2003-01-01",
        T2="2004-01-01",
        RA=1.5,
        DEC=-3,
        radius=8,
        max_pointings=7,
        seed=3,
        readiness="cons",
        min_good_isgri=100,
        max_off_axis=5,
        min_coded_fraction=0.5,
        exclude="bti,/a b/list",
    ),
    make_query(
        ImageQuery,
        T1="1000",
        T2="1010",
        T_format="revolution",
        src_name="Crab",
        engine="osa",
        engine_for="MOSAIC=native",
        osa_parameters="ii_skyimage.ToSearch=10;ibis_isgr_energy.x=1",
        osa_version="10.2+11.2",
        phase="59864.5,3.2,0.4,0.6",
        rate_range="0,50",
    ),
]


@pytest.fixture
def asked(monkeypatch):
    """Queries that reach the analysis, which then stops."""
    from integral_oda import request

    reached = []
    monkeypatch.setattr(request, "parts_of", lambda query, archive: [query])

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


@pytest.mark.parametrize("query", QUERIES, ids=range(len(QUERIES)))
def test_the_notebook_asks_the_same(query, asked, tmp_path):
    import nbformat

    _, parameters, analyse, _ = nbformat.reads(query_notebook(query, tmp_path, tmp_path / "store"), as_version=4).cells
    values = {}
    exec(parameters.source, values)
    assert (values["archive"], values["store"]) == (str(tmp_path), str(tmp_path / "store"))
    with pytest.raises(DataError):
        exec(analyse.source, values)
    assert asked == [query]


def test_the_roots_of_archive_and_store_are_named(tmp_path):
    assert f"--archive {tmp_path}" in command_line(QUERIES[0], tmp_path, "s3://store")
    assert "--store s3://store" in command_line(QUERIES[0], tmp_path, "s3://store")
    compile(python_code(QUERIES[0], tmp_path, "s3://store"), "code", "exec")
