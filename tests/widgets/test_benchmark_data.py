"""Where a benchmark's data come from, and what the report says of it."""

from __future__ import annotations

from io import BytesIO

import pytest
from PIL import Image

from integral_oda.errors import RequestError
from integral_oda.instrument.energy import EnergyBand
from integral_oda.products.source_list import Source, SourceBand
from integral_oda.simulation.twins.case import read_case
from integral_oda.simulation.twins.choice import choose_windows
from integral_oda.simulation.twins.make import Twin, twin_recipes
from integral_oda.simulation.window import simulate_demo_window
from integral_widgets.benchmark_data import (
    BenchmarkData,
    FluxComparison,
    compare_fluxes,
    flux_table_html,
    open_benchmark,
    open_windows,
    published_file,
    windows_by_visit,
)

BAND = EnergyBand(25.0, 40.0)


@pytest.fixture
def twin(tmp_path):
    """Twin of the Crab that nothing has been simulated of."""
    case = read_case("crab")
    return Twin(case, 1, tmp_path, tuple(twin_recipes(case, choose_windows(case, 1), 1)))


def source(name, flux, error):
    band = SourceBand(*BAND, flux=flux, flux_error=error, significance=flux / error)
    return Source(name, 83.6, 22.0, 0.1, 0.1, new=False, forced=False, bands=(band,))


def test_the_published_range_is_asked_of_an_archive_unless_windows_are_named(tmp_path):
    data = open_benchmark("mrk421", data="archive", archive=tmp_path, store=tmp_path)
    assert data.windows["T1"] == "2013-04-16T03:10:00"
    assert data.windows["max_pointings"] == 10
    assert data.sentence == (
        f"archive {tmp_path}, at most 10 science windows of 2013-04-16T03:10:00 to 2013-04-21T00:00:00 (UTC)"
    )
    full = open_benchmark("mrk421", data="archive", full=True, time_range=["2013-04-16", "2013-04-17"])
    assert full.windows["max_pointings"] == 110
    assert full.windows["T2"] == "2013-04-17"


def test_named_windows_of_an_archive_need_no_case(tmp_path):
    scw = simulate_demo_window(tmp_path)
    data = open_windows("sgr1935", str(scw), archive=tmp_path, store=tmp_path)
    assert (data.origin, data.engine, data.windows) == ("archive", "native", {"scw_list": str(scw)})
    assert "SIMULATED" in data.first_line_html()
    assert "numpy" in data.last_lines_html()
    assert open_windows("sgr1935", str(scw), engine="mmoda").sentence.startswith("the online system's own products")


@pytest.mark.parametrize("origin", ["twin", "archive"])
def test_only_pictures_of_twins_are_stamped(twin, tmp_path, origin):
    path = tmp_path / "fit.png"
    Image.new("RGB", (200, 100), "white").save(path)
    data = BenchmarkData("crab_spectra", twin.case, origin, "native", tmp_path, tmp_path, {}, "", twin)
    with Image.open(BytesIO(data.picture(path))) as image:
        assert image.size == (200, 124 if origin == "twin" else 100)
        assert (image.getextrema() != ((255, 255),) * 3) == (origin == "twin")


def test_the_online_system_analyses_its_own_data(tmp_path):
    for choice in ({"engine": "mmoda"}, {"data": "mmoda"}):
        data = open_benchmark("ngc2110", archive=tmp_path, store=tmp_path, **choice)
        assert (data.origin, data.engine) == ("mmoda", "mmoda")
        assert data.sentence.startswith("the online system's own products")


def test_simulated_windows_of_an_archive_are_called_so(tmp_path):
    scw = simulate_demo_window(tmp_path)
    data = open_benchmark("v404_cyg", data="archive", archive=tmp_path, scw_list=str(scw))
    assert "SIMULATED" in data.first_line_html()
    assert data.first_line_html().count("Data:") == 1


@pytest.mark.parametrize("choice", [{"data": "sky"}, {"engine": "osa10"}])
def test_data_and_engines_that_do_not_exist_are_refused(choice):
    with pytest.raises(RequestError, match="one of"):
        open_benchmark("v404_cyg", **choice)


def test_fluxes_stand_beside_what_went_in(twin):
    true = twin.rate("Crab", BAND)
    names = ["Crab", "H 0614+091"]
    row, missing = compare_fluxes([source("Crab", 1.1 * true, 0.04 * true)], twin, BAND, names)
    assert row.pull == pytest.approx(2.5)
    assert row.agrees(0.11)
    assert not row.agrees(0.05)
    assert row.agrees(0.05, sigmas=3)
    assert not missing.agrees(0.5)
    assert "not found" in flux_table_html([row, missing], 0.05)


def test_a_share_or_errors_whichever_is_larger():
    assert FluxComparison("bright", 104.0, 0.1, 100.0).agrees(0.05)
    assert FluxComparison("faint", 16.0, 3.5, 10.0).agrees(0.05)
    assert not FluxComparison("faint", 18.0, 3.5, 10.0).agrees(0.05)


def test_every_visit_of_a_twin_has_windows_of_its_own(twin, tmp_path):
    data = BenchmarkData("crab_spectra", twin.case, "twin", "native", tmp_path, tmp_path, {}, "TWIN", twin)
    assert windows_by_visit(data, ["2017", "2003"]) == {
        "2017": {"scw_list": next(str(w.scw) for w in twin.windows if w.label == "2017")},
        "2003": {"scw_list": str(twin.windows[0].scw)},
    }
    time_range = ["2004-05-01", "2006-01-01"]
    data = open_benchmark("crab_spectra", "crab", data="archive", archive=tmp_path, time_range=time_range)
    years = windows_by_visit(data, [str(year) for year in range(2003, 2019)])
    assert list(years) == ["2004", "2005", "2006"]
    assert years["2005"]["T1"] == "2005-01-01T00:00:00"


def test_published_files_are_looked_for_where_the_test_data_are(tmp_path, monkeypatch):
    monkeypatch.delenv("INTEGRAL_ODA_TESTDATA", raising=False)
    assert published_file("bottacini_lc.txt") is None
    monkeypatch.setenv("INTEGRAL_ODA_TESTDATA", str(tmp_path))
    assert published_file("bottacini_lc.txt") is None
    (tmp_path / "oda-hub_oda_api_benchmark").mkdir()
    (tmp_path / "oda-hub_oda_api_benchmark" / "bottacini_lc.txt").write_text("0 1 2 3")
    assert published_file("bottacini_lc.txt").name == "bottacini_lc.txt"


def test_a_figure_of_a_twin_says_so_itself_above_what_it_shows(twin, tmp_path):
    from matplotlib.figure import Figure

    shown = {}
    for origin in ("twin", "archive"):
        data = BenchmarkData("crab_spectra", twin.case, origin, "native", tmp_path, tmp_path, {}, "", twin)
        with Image.open(BytesIO(data.png(Figure(figsize=(2, 1))))) as image:
            shown[origin] = image.convert("RGB")
    height = shown["twin"].height - shown["archive"].height
    assert height > 0
    width = shown["twin"].width
    assert shown["twin"].crop((0, height, width, shown["twin"].height)).tobytes() == shown["archive"].tobytes()
    assert shown["twin"].crop((0, 0, width, height)).getextrema() != ((255, 255),) * 3
