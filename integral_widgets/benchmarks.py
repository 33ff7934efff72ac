"""Benchmark notebooks: list them, run them, report."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from integral_oda.errors import IntegralOdaError, OutputError, RequestError
from integral_widgets.paths import notebooks_root
from integral_widgets.verdicts import read_expectations

__all__ = ["Benchmark", "BenchmarkError", "Report", "list_benchmarks", "run_benchmark"]

VERDICT_FILE = "verdict.json"


class BenchmarkError(IntegralOdaError):
    """A benchmark's notebook stopped before its verdict."""


@dataclass(frozen=True)
class Benchmark:
    """A benchmark: its name, what it is about, its notebook and its expected numbers."""

    name: str
    title: str
    notebook: Path
    expected: Path


@dataclass(frozen=True)
class Report:
    """What a run of a benchmark left.

    Attributes
    ----------
    name : str
        Of the benchmark.
    passed : bool
        Whether every number with a rule obeys it.
    verdicts : tuple of dict
        One a number: name, measured, expected, comparison, passed, source.
    notebook, html, verdict_file : Path
        The executed notebook, the same as a page, the verdicts as JSON.
    """

    name: str
    passed: bool
    verdicts: tuple[dict[str, Any], ...]
    notebook: Path
    html: Path
    verdict_file: Path


def list_benchmarks() -> list[Benchmark]:
    """Benchmarks of this installation, by name."""
    folder = notebooks_root() / "benchmarks"
    found = []
    for notebook in sorted(folder.glob("*.ipynb")):
        expected = notebook.with_suffix(".expected.json")
        found.append(Benchmark(notebook.stem, read_expectations(expected).title, notebook, expected))
    return found


def run_benchmark(name: str, out: str | Path, report: Callable[[str], None] | None = None, **parameters: Any) -> Report:
    """Run a benchmark's notebook with papermill.

    Parameters
    ----------
    name : str
        One of `list_benchmarks`.
    out : str or Path
        Folder of all benchmark reports; this one's goes into ``out/<name>``.
    report : callable, optional
        Given a line when the run starts and ends.
    **parameters
        For the notebook, such as ``archive``, ``store``, ``engine``, ``scw_list``, ``band``, ``bins``.

    Raises
    ------
    RequestError
        If there is no such benchmark or the notebook has no such parameter.
    BenchmarkError
        If the notebook stopped before its verdict; the report up to there is kept.
    OutputError
        If ``out`` cannot be written.
    """
    benchmark = _find(name)
    folder = _make_folder(Path(out).resolve() / name)
    (folder / VERDICT_FILE).unlink(missing_ok=True)
    _check_parameters(benchmark, parameters)
    tell = report or (lambda _: None)
    tell(f"{name}: {benchmark.title}")
    executed = folder / f"{name}.ipynb"
    failure = _execute(benchmark, executed, {**_plain(parameters), "out": str(folder / "products")}, folder)
    page = _write_html(executed)
    if failure:
        raise BenchmarkError(f"{name} stopped before its verdict: {failure}; the report up to there is {page}")
    result = _read_report(name, executed, page, folder / VERDICT_FILE)
    tell(f"{name}: {'passed' if result.passed else 'FAILED'}, report {page}")
    return result


def _find(name: str) -> Benchmark:
    known = {benchmark.name: benchmark for benchmark in list_benchmarks()}
    if name not in known:
        raise RequestError("benchmark", name, f"one of {', '.join(known)}")
    return known[name]


def _make_folder(folder: Path) -> Path:
    try:
        (folder / "products").mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise OutputError(f"{folder}: cannot be written to ({exc.strerror})") from exc
    return folder


def _check_parameters(benchmark: Benchmark, parameters: dict[str, Any]) -> None:
    from papermill import inspect_notebook

    known = set(inspect_notebook(str(benchmark.notebook))) - {"out", "verdict_file"}
    for name, value in parameters.items():
        if name not in known:
            raise RequestError(name, value, f"no parameter of {benchmark.name}; it has {', '.join(sorted(known))}")


def _plain(parameters: dict[str, Any]) -> dict[str, Any]:
    return {name: str(value) if isinstance(value, Path) else value for name, value in parameters.items()}


def _execute(benchmark: Benchmark, executed: Path, parameters: dict[str, Any], folder: Path) -> str:
    """Run the notebook; gives the error it stopped with, or nothing."""
    from papermill import PapermillExecutionError, execute_notebook

    values = {**parameters, "verdict_file": str(folder / VERDICT_FILE)}
    try:
        execute_notebook(
            str(benchmark.notebook), str(executed), parameters=values, progress_bar=False, kernel_name="python3",
            cwd=str(folder),
        )  # fmt: skip
    except PapermillExecutionError as exc:
        return f"{exc.ename}: {exc.evalue}"
    return ""


def _write_html(executed: Path) -> Path:
    import nbformat
    from nbconvert import HTMLExporter

    exporter = HTMLExporter(exclude_input=True, exclude_output_prompt=True, embed_images=True)  # type: ignore[no-untyped-call]
    page, _ = exporter.from_notebook_node(nbformat.read(executed, as_version=4))  # type: ignore[no-untyped-call]
    path = executed.with_suffix(".html")
    path.write_text(page, encoding="utf-8")
    return path


def _read_report(name: str, executed: Path, page: Path, verdict_file: Path) -> Report:
    try:
        verdicts = tuple(json.loads(verdict_file.read_text(encoding="utf-8"))["verdicts"])
    except (OSError, ValueError, KeyError) as exc:
        raise BenchmarkError(f"{name} gave no verdict: {verdict_file}: {exc}") from exc
    judged = [item["passed"] for item in verdicts if item["passed"] is not None]
    return Report(name, bool(judged) and all(judged), verdicts, executed, page, verdict_file)
