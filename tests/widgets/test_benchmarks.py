"""The runner of benchmark notebooks, on a small notebook of its own."""

from __future__ import annotations

import json

import nbformat
import pytest

from integral_oda.errors import OutputError, RequestError
from integral_widgets import benchmarks
from integral_widgets.benchmarks import BenchmarkError, list_benchmarks, run_benchmark, run_benchmarks

pytestmark = pytest.mark.slow

PARAMETERS = 'measured = 11.0\nout = "out"\nverdict_file = None'
BODY = """
import json
from pathlib import Path
from integral_widgets.verdicts import Expected, judge
verdict = judge(Expected("a number", "at least", 10, "sigma", "the sky"), measured)
Path(out, "product.txt").write_text("made")
print("hello reader")
Path(verdict_file).write_text(json.dumps({"verdicts": [verdict.as_dict()]}))
"""


@pytest.fixture
def notebooks(tmp_path, monkeypatch):
    """Notebook folder with one small benchmark."""
    folder = tmp_path / "notebooks" / "benchmarks"
    folder.mkdir(parents=True)
    write_notebook(folder / "toy.ipynb", BODY)
    content = {"title": "A toy", "data": "drawn here", "parameters": {}, "numbers": {}}
    (folder / "toy.expected.json").write_text(json.dumps(content))
    monkeypatch.setattr(benchmarks, "notebooks_root", lambda: tmp_path / "notebooks")
    return folder


def write_notebook(path, body):
    cells = [nbformat.v4.new_code_cell(PARAMETERS, id="a"), nbformat.v4.new_code_cell(body, id="b")]
    cells[0].metadata["tags"] = ["parameters"]
    metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=metadata), path)


def test_benchmarks_are_listed_with_their_titles(notebooks):
    assert [(benchmark.name, benchmark.title) for benchmark in list_benchmarks()] == [("toy", "A toy")]


def test_a_run_leaves_notebook_page_verdict_and_products(notebooks, tmp_path):
    told = []
    report = run_benchmark("toy", tmp_path / "reports", told.append)
    assert report.passed
    assert report.verdicts[0]["measured"] == 11.0
    assert "hello reader" in report.html.read_text()
    assert "hello reader" in report.notebook.read_text()
    assert (tmp_path / "reports" / "toy" / "products" / "product.txt").read_text() == "made"
    assert told[-1].startswith("toy: passed")


def test_a_parameter_decides_and_a_failed_verdict_is_no_error(notebooks, tmp_path):
    assert not run_benchmark("toy", tmp_path, measured=9.0).passed


def test_a_notebook_that_stops_is_one_error_and_its_report_is_kept(notebooks, tmp_path):
    write_notebook(notebooks / "toy.ipynb", "print('before')\n1 / 0")
    with pytest.raises(BenchmarkError, match="toy stopped before its verdict: ZeroDivisionError: division by zero"):
        run_benchmark("toy", tmp_path)
    assert "before" in (tmp_path / "toy" / "toy.html").read_text()


def test_an_old_verdict_is_never_taken_for_a_new_one(notebooks, tmp_path):
    run_benchmark("toy", tmp_path)
    write_notebook(notebooks / "toy.ipynb", "pass")
    with pytest.raises(BenchmarkError, match="no verdict"):
        run_benchmark("toy", tmp_path)


@pytest.mark.parametrize(
    ("name", "parameters", "sentence"),
    [("crab", {}, "benchmark = crab: one of toy"), ("toy", {"colour": "red"}, "colour = red: no parameter of toy")],
)
def test_a_bad_request_is_told_in_one_sentence(notebooks, tmp_path, name, parameters, sentence):
    with pytest.raises(RequestError, match=sentence):
        run_benchmark(name, tmp_path, **parameters)


def test_a_place_that_cannot_be_written_is_told(notebooks, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        run_benchmark("toy", tmp_path / "file")


def test_the_index_has_all_that_were_run_and_a_failed_cell_is_shown(notebooks, tmp_path):
    write_notebook(notebooks / "broken.ipynb", "print('before')\n1 / 0")
    (notebooks / "broken.expected.json").write_text((notebooks / "toy.expected.json").read_text())
    told = []
    reports = run_benchmarks(["all"], tmp_path, told.append)
    assert [(report.name, report.passed) for report in reports] == [("broken", False), ("toy", True)]
    assert "ZeroDivisionError" in reports[0].html.read_text()
    assert "toy: hello reader" in told
    index = json.loads((tmp_path / "index.json").read_text())["benchmarks"]
    assert "division by zero" in index["broken"]["failure"]
    assert index["toy"]["numbers_passed"] == index["toy"]["numbers_judged"] == 1
    page = (tmp_path / "index.html").read_text()
    assert "href='toy/toy.html'" in page
    assert "FAILED" in page


def test_a_benchmark_of_an_earlier_run_stays_on_the_index_page(notebooks, tmp_path):
    run_benchmarks(["toy"], tmp_path)
    (notebooks / "other.ipynb").write_text((notebooks / "toy.ipynb").read_text())
    (notebooks / "other.expected.json").write_text((notebooks / "toy.expected.json").read_text())
    run_benchmarks(["other"], tmp_path, measured=1.0)
    index = json.loads((tmp_path / "index.json").read_text())["benchmarks"]
    assert {name: entry["passed"] for name, entry in index.items()} == {"toy": True, "other": False}
    assert index["other"]["failed_numbers"] == ["a number"]


def test_a_parameter_that_no_benchmark_has_is_refused_before_anything_runs(notebooks, tmp_path):
    with pytest.raises(RequestError, match="colour = red: no parameter of toy"):
        run_benchmarks(["all"], tmp_path, colour="red")
    assert not (tmp_path / "toy").exists()
