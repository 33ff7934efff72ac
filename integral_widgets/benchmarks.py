"""Benchmark notebooks: list them, run them, report."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from integral_oda.errors import IntegralOdaError, OutputError, RequestError
from integral_widgets.paths import notebooks_root
from integral_widgets.verdicts import read_expectations

__all__ = [
    "VERDICT_FILE",
    "Benchmark",
    "BenchmarkError",
    "Report",
    "benchmark_parameters",
    "list_benchmarks",
    "run_benchmark",
    "run_benchmarks",
]

VERDICT_FILE = "verdict.json"
Tell = Callable[[str], None]


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
    facts : mapping
        The rest of the verdict file: where the data come from, seconds, memory, versions.
    failure : str
        What stopped the notebook, empty if nothing did.
    """

    name: str
    passed: bool
    verdicts: tuple[dict[str, Any], ...]
    notebook: Path
    html: Path
    verdict_file: Path
    facts: Mapping[str, Any] = field(default_factory=dict)
    failure: str = ""


def list_benchmarks() -> list[Benchmark]:
    """Benchmarks of this installation, by name."""
    folder = notebooks_root() / "benchmarks"
    found = []
    for notebook in sorted(folder.glob("*.ipynb")):
        expected = notebook.with_suffix(".expected.json")
        found.append(Benchmark(notebook.stem, read_expectations(expected).title, notebook, expected))
    return found


def benchmark_parameters(name: str) -> frozenset[str]:
    """Names of the parameters of a benchmark's notebook, those that the runner sets apart.

    Raises
    ------
    RequestError
        If there is no such benchmark.
    """
    from papermill import inspect_notebook

    return frozenset(inspect_notebook(str(_find(name).notebook))) - {"out", "verdict_file"}


def run_benchmarks(
    names: Sequence[str], out: str | Path, report: Tell | None = None, *, jobs: int = 1, **parameters: Any
) -> list[Report]:
    """Run several benchmarks, each in a process of its own, and write the index page of all.

    Parameters
    ----------
    names : sequence of str
        Of `list_benchmarks`; ``["all"]`` for all of them.
    out : str or Path
        Folder of the reports, with ``index.html`` and ``index.json``.
    report : callable, optional
        Given lines of progress; with several jobs it is called in their processes.
    jobs : int
        How many run at the same time.
    **parameters
        For the notebooks that have them; one that none of them has is refused.

    Returns
    -------
    list of Report
        In the order of the names; one whose notebook stopped has a ``failure``.

    Raises
    ------
    RequestError, OutputError
        As for `run_benchmark`.
    """
    from integral_widgets.benchmark_index import write_index

    wanted = [benchmark.name for benchmark in list_benchmarks()] if list(names) == ["all"] else list(names)
    known = {name: benchmark_parameters(name) for name in wanted}
    for name, value in parameters.items():
        if not any(name in of_one for of_one in known.values()):
            raise RequestError(name, value, f"no parameter of {', '.join(wanted)}")
    given = {name: {k: v for k, v in parameters.items() if k in known[name]} for name in wanted}
    if jobs == 1 or len(wanted) == 1:
        reports = [_run(name, out, report, given[name]) for name in wanted]
    else:
        with ProcessPoolExecutor(max_workers=jobs, mp_context=get_context("spawn")) as pool:
            runs = [pool.submit(_run, name, out, report, given[name]) for name in wanted]
            reports = [run.result() for run in runs]
    write_index(out, reports)
    return reports


def run_benchmark(name: str, out: str | Path, report: Tell | None = None, **parameters: Any) -> Report:
    """Run a benchmark's notebook with papermill.

    Parameters
    ----------
    name : str
        One of `list_benchmarks`.
    out : str or Path
        Folder of all benchmark reports; this one's goes into ``out/<name>``.
    report : callable, optional
        Given a line when the run starts and ends, and what the notebook says meanwhile.
    **parameters
        For the notebook, such as ``archive``, ``store``, ``engine``, ``scw_list``, ``bands``, ``bins``.

    Raises
    ------
    RequestError
        If there is no such benchmark or the notebook has no such parameter.
    BenchmarkError
        If the notebook stopped before its verdict; the report up to there is kept.
    OutputError
        If ``out`` cannot be written.
    """
    known = benchmark_parameters(name)
    for parameter, value in parameters.items():
        if parameter not in known:
            raise RequestError(parameter, value, f"no parameter of {name}; it has {', '.join(sorted(known))}")
    result = _run(name, out, report, parameters)
    if result.failure:
        raise BenchmarkError(f"{name} {result.failure}; the report up to there is {result.html}")
    return result


def _run(name: str, out: str | Path, report: Tell | None, parameters: Mapping[str, Any]) -> Report:
    benchmark = _find(name)
    folder = _make_folder(Path(out).resolve() / name)
    verdict_file = folder / VERDICT_FILE
    verdict_file.unlink(missing_ok=True)
    tell, started = report or (lambda _: None), time.perf_counter()
    tell(f"{name}: {benchmark.title}")
    executed = folder / f"{name}.ipynb"
    values = {**_plain(parameters), "out": str(folder / "products"), "verdict_file": str(verdict_file)}
    failure = _execute(benchmark, executed, values, lambda line: tell(f"{name}: {line}"))
    page = _write_html(executed)
    result = _read_report(name, executed, page, verdict_file, failure)
    seconds = time.perf_counter() - started
    memory = result.facts.get("peak_memory_mb")
    cost = f"{seconds:.0f} s" + (f", {memory:.0f} MB" if memory else "")
    tell(f"{name}: {'passed' if result.passed else 'FAILED'} in {cost}, report {page}")
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


def _plain(parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {name: str(value) if isinstance(value, Path) else value for name, value in parameters.items()}


class _Lines:
    """What a notebook prints, told line by line."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell

    def write(self, text: str) -> None:
        for line in text.splitlines():
            if line.strip():
                self._tell(line)

    def flush(self) -> None:
        """Nothing is held back."""


def _execute(benchmark: Benchmark, executed: Path, parameters: Mapping[str, Any], tell: Tell) -> str:
    """Run the notebook; gives the error it stopped with, or nothing."""
    from papermill import PapermillExecutionError, execute_notebook

    try:
        execute_notebook(
            str(benchmark.notebook), str(executed), parameters=dict(parameters), progress_bar=False,
            kernel_name="python3", cwd=str(executed.parent), log_output=True, stdout_file=_Lines(tell),
        )  # fmt: skip
    except PapermillExecutionError as exc:
        return f"stopped before its verdict: {exc.ename}: {exc.evalue}"
    return ""


def _write_html(executed: Path) -> Path:
    import nbformat
    from nbconvert import HTMLExporter

    exporter = HTMLExporter(exclude_input=True, exclude_output_prompt=True, embed_images=True)  # type: ignore[no-untyped-call]
    page, _ = exporter.from_notebook_node(nbformat.read(executed, as_version=4))  # type: ignore[no-untyped-call]
    path = executed.with_suffix(".html")
    path.write_text(page, encoding="utf-8")
    return path


def _read_report(name: str, executed: Path, page: Path, verdict_file: Path, failure: str) -> Report:
    content: dict[str, Any] = {"verdicts": []}
    if not failure:
        try:
            content = json.loads(verdict_file.read_text(encoding="utf-8"))
            content["verdicts"] = list(content["verdicts"])
        except (OSError, ValueError, KeyError) as exc:
            content, failure = {"verdicts": []}, f"gave no verdict: {verdict_file}: {exc}"
    verdicts = tuple(content.pop("verdicts"))
    judged = [item["passed"] for item in verdicts if item["passed"] is not None]
    passed = not failure and bool(judged) and all(judged)
    return Report(name, passed, verdicts, executed, page, verdict_file, content, failure)
