"""Every notebook runs from its first cell to its last; a benchmark gives its verdicts."""

from __future__ import annotations

import re

import nbformat
import pytest

from integral_widgets.benchmarks import list_benchmarks, run_benchmark
from integral_widgets.paths import notebooks_root
from integral_widgets.verdicts import read_expectations

pytestmark = pytest.mark.notebook

NOTEBOOKS = sorted(notebooks_root().rglob("*.ipynb"))
APPS = [path for path in NOTEBOOKS if path.parent.name == "apps"]
BENCHMARKS = [path for path in NOTEBOOKS if path.parent.name == "benchmarks"]


def code_cells(path):
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


def run(path, environment, monkeypatch):
    from nbclient import NotebookClient

    for name, value in environment.items():
        monkeypatch.setenv(name, str(value))
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    return notebook


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_committed_clean_and_valid(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    for cell in code_cells(path):
        assert cell.outputs == []
        assert cell.execution_count is None


@pytest.mark.parametrize("path", APPS, ids=lambda path: path.stem)
def test_an_app_loads_bokeh_first_and_only_places_widgets(path):
    cells = [cell.source for cell in code_cells(path)]
    assert "load_bokeh()" in cells[0]
    assert not re.search(r"\bshow\(|\bdef |\bfor |\bif ", "\n".join(cells))


@pytest.mark.slow
@pytest.mark.parametrize("path", APPS, ids=lambda path: path.stem)
def test_an_app_runs_also_without_a_server_and_without_data(path, tmp_path, monkeypatch):
    roots = {"INTEGRAL_ODA_ARCHIVE": tmp_path / "archive", "INTEGRAL_ODA_STORE": tmp_path / "store"}
    notebook = run(path, roots, monkeypatch)
    shown = [output.data for cell in notebook.cells for output in cell.get("outputs", ()) if "data" in output]
    assert "application/vnd.jupyter.widget-view+json" in shown[-1]


@pytest.mark.parametrize("path", BENCHMARKS, ids=lambda path: path.stem)
def test_a_benchmark_says_first_where_its_data_come_from(path):
    first = nbformat.read(path, as_version=4).cells[0].source.splitlines()[0]
    expectations = read_expectations(path.with_suffix(".expected.json"))
    assert first.startswith("**Data:**")
    assert re.search(r"\d{12}", expectations.data)[0] in first
    assert all(number.source for number in expectations.numbers.values())


def test_every_benchmark_is_listed():
    assert {benchmark.notebook for benchmark in list_benchmarks()} == set(BENCHMARKS)


def test_expected_ratios_are_those_of_osa_own_light_curve(real_data):
    from integral_oda.products.light_curve import read_light_curve

    numbers = read_expectations(notebooks_root() / "benchmarks" / "sgr1935.expected.json").numbers
    path = next((real_data / "volodymyrss_grb221009").glob("oda_8201*SGR*"))
    curve = read_light_curve(path)
    first = abs(curve.time_ijd - 8320.63822).argmin()
    rates = dict(enumerate(curve.rate[first : first + 3], start=1))
    for top, bottom in ((2, 1), (3, 1), (3, 2)):
        assert numbers[f"ratio_{top}{bottom}"].value == pytest.approx(rates[top] / rates[bottom], rel=1e-3)
    for number, rate in rates.items():
        assert numbers[f"rate_{number}"].value == pytest.approx(rate, abs=0.01)


@pytest.mark.slow
def test_the_burst_storm_of_sgr_1935_is_as_osa_saw_it(sample_archive, tmp_path):
    report = run_benchmark("sgr1935", tmp_path, archive=sample_archive, store=tmp_path / "store")
    failed = [verdict for verdict in report.verdicts if verdict["passed"] is False]
    assert failed == []
    assert report.passed
    assert len(report.verdicts) == 14
    assert (tmp_path / "sgr1935" / "products" / "image" / "mosaic.fits").is_file()
    assert report.html.read_text().count("<img") >= 3
