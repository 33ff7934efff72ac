"""Every notebook runs from its first cell to its last; a benchmark gives its verdicts."""

from __future__ import annotations

import json
import re

import nbformat
import pytest

from integral_widgets.benchmarks import benchmark_parameters, list_benchmarks, run_benchmark, run_benchmarks
from integral_widgets.paths import notebooks_root
from integral_widgets.verdicts import read_expectations

pytestmark = pytest.mark.notebook

NOTEBOOKS = sorted(notebooks_root().rglob("*.ipynb"))
APPS = [path for path in NOTEBOOKS if path.parent.name == "apps"]
BENCHMARKS = [path for path in NOTEBOOKS if path.parent.name == "benchmarks"]
TUTORIALS = [path for path in NOTEBOOKS if path.parent.name == "tutorials"]
TELLS = {
    "1_first_image": "3 sigma limit",
    "2_light_curve_of_a_burst": "bursts; the brightest",
    "3_spectrum_and_fit": "degrees of freedom",
    "4_crowded_field": "all the same as before: True",
    "5_your_own_archive": "truncated or damaged",
    "6_scaling_out": "'done'",
}


def code_cells(path):
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


def run(path, environment, monkeypatch, folder=None):
    from nbclient import NotebookClient

    for name, value in environment.items():
        monkeypatch.setenv(name, str(value))
    notebook = nbformat.read(path, as_version=4)
    resources = {"metadata": {"path": str(folder)}} if folder else {}
    NotebookClient(notebook, timeout=120, kernel_name="python3", resources=resources).execute()
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


def read_aloud(notebook):
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    texts = [[output.get("text", ""), *output.get("data", {}).values()] for output in outputs]
    return "\n".join(text for parts in texts for text in parts if isinstance(text, str))


def check_tutorial(path, archive, tmp_path, monkeypatch):
    roots = {"INTEGRAL_ODA_ARCHIVE": archive, "INTEGRAL_ODA_STORE": tmp_path / "store"}
    text = read_aloud(run(path, roots, monkeypatch, tmp_path))
    assert TELLS[path.stem] in text
    assert ": False" not in text
    return text


def test_the_tutorials_are_those_that_were_promised():
    assert [path.stem for path in TUTORIALS] == list(TELLS)
    links = [re.findall(r"\]\((\w+\.ipynb)\)", path.read_text(encoding="utf-8")) for path in TUTORIALS]
    assert links == [[path.name] for path in TUTORIALS[1:]] + [[]]


@pytest.mark.slow
@pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)
def test_a_tutorial_runs_on_the_real_sample(path, sample_archive, tmp_path, monkeypatch):
    text = check_tutorial(path, sample_archive, tmp_path, monkeypatch)
    assert ("Real data" in text) != ("**Data: simulated.**" in path.read_text(encoding="utf-8"))


@pytest.mark.slow
@pytest.mark.parametrize("path", [TUTORIALS[number] for number in (0, 1, 2, 4)], ids=lambda path: path.stem)
def test_a_tutorial_without_the_sample_says_that_it_simulates(path, tmp_path, monkeypatch):
    assert "SIMULATED" in check_tutorial(path, tmp_path / "archive", tmp_path, monkeypatch)


@pytest.mark.parametrize("path", BENCHMARKS, ids=lambda path: path.stem)
def test_a_benchmark_says_first_where_its_data_come_from(path):
    cells = nbformat.read(path, as_version=4).cells
    expectations = read_expectations(path.with_suffix(".expected.json"))
    assert cells[0].metadata["tags"] == ["parameters"]
    assert cells[1].source.splitlines()[-1] == "display(HTML(data.first_line_html()))"
    assert all("display(" not in line for line in cells[1].source.splitlines()[:-1])
    assert all(len(number.source) > 5 for number in expectations.numbers.values())
    assert any(number.rule not in ("compare", "not measured") for number in expectations.numbers.values())


@pytest.mark.parametrize("path", [path for path in BENCHMARKS if path.stem != "sgr1935"], ids=lambda path: path.stem)
def test_every_benchmark_has_the_parameters_of_all(path):
    wanted = {
        "data",
        "engine",
        "archive",
        "store",
        "scw_list",
        "time_range",
        "bands",
        "bins",
        "windows",
        "full",
        "seed",
    }
    assert wanted <= benchmark_parameters(path.stem)


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


def test_the_published_list_of_gx_5_1_is_the_one_of_the_online_system(real_data):
    columns = json.loads((real_data / "oda-hub_oda_api_benchmark" / "api_cat_str_gx5-1.txt").read_text())
    published = dict(zip(columns["cat_column_list"][1], columns["cat_column_list"][2], strict=True))
    published["AX J1745.6-2900"] = published.pop("IGR J17461-2853")
    expected = read_expectations(notebooks_root() / "benchmarks" / "gx5_1.expected.json").parameters["sources"]
    assert expected == pytest.approx(published, abs=0.006)


@pytest.mark.slow
def test_small_twins_pass_and_are_reported_as_twins(tmp_path):
    names = ["mrk421", "c3c279"]
    for report in run_benchmarks(names, tmp_path, jobs=2, windows=4, store=tmp_path / "store"):
        assert report.failure == ""
        assert [verdict["name"] for verdict in report.verdicts if verdict["passed"] is False] == []
        assert report.passed
        body = report.html.read_text().partition("<main")[2].partition(">")[2]
        assert re.sub(r"<[^>]*>", " ", body).split()[:3] == ["Data:", "TWIN,", "simulated:"]
        assert body.count("<img") >= 2
    index = json.loads((tmp_path / "index.json").read_text())["benchmarks"]
    assert {index[name]["data"] for name in names} == {"twin"}
    assert min(index[name]["peak_memory_mb"] for name in names) > 50
    assert "TWIN, simulated:" in (tmp_path / "index.html").read_text()


@pytest.mark.slow
def test_the_burst_storm_of_sgr_1935_is_as_osa_saw_it(sample_archive, tmp_path):
    report = run_benchmark("sgr1935", tmp_path, archive=sample_archive, store=tmp_path / "store")
    failed = [verdict for verdict in report.verdicts if verdict["passed"] is False]
    assert failed == []
    assert report.passed
    assert len(report.verdicts) == 14
    assert report.facts["data"] == "archive"
    assert "255900280010" in report.facts["sentence"]
    assert (tmp_path / "sgr1935" / "products" / "image" / "mosaic.fits").is_file()
    assert report.html.read_text().count("<img") >= 3
