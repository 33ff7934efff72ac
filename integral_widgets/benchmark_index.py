"""One page of all benchmarks that were run into a folder, and the same as JSON."""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from integral_oda.products.fits_io import write_aside
from integral_oda.versions import software_versions

if TYPE_CHECKING:
    from integral_widgets.benchmarks import Report

__all__ = ["INDEX_FILE", "write_index"]

INDEX_FILE, INDEX_PAGE = "index.json", "index.html"
_STYLE = (
    "body{font-family:sans-serif;max-width:75rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse}td,th{text-align:left;padding:.3rem .7rem;border-bottom:1px solid #ccc;"
    "vertical-align:top}.pass{color:#0a7d2c}.fail{color:#b71c1c}"
)
_TITLES = ("Benchmark", "Verdict", "Numbers", "Data", "Engine", "Time", "Memory", "Files")


def write_index(out: str | Path, reports: Sequence[Report]) -> Path:
    """Write ``index.html`` and ``index.json``; benchmarks that were run into the folder before stay in them.

    Parameters
    ----------
    out : str or Path
        Folder of the reports.
    reports : sequence of Report
        Those of this run.

    Returns
    -------
    Path
        The page.
    """
    out = Path(out).resolve()
    entries = {**_earlier(out), **{report.name: _entry(report, out) for report in reports}}
    content = {"versions": software_versions(), "benchmarks": dict(sorted(entries.items()))}
    with write_aside(out / INDEX_FILE) as aside:
        aside.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    with write_aside(out / INDEX_PAGE) as aside:
        aside.write_text(_page(content), encoding="utf-8")
    return out / INDEX_PAGE


def _earlier(out: Path) -> dict[str, Any]:
    """Entries of the index that is there, as far as their reports still are."""
    try:
        entries = json.loads((out / INDEX_FILE).read_text(encoding="utf-8"))["benchmarks"]
        return {name: entry for name, entry in entries.items() if (out / entry["report"]).is_file()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _entry(report: Report, out: Path) -> dict[str, Any]:
    judged = [item["passed"] for item in report.verdicts if item["passed"] is not None]
    facts = report.facts
    return {
        "passed": report.passed,
        "failure": report.failure,
        "numbers_passed": sum(judged),
        "numbers_judged": len(judged),
        "failed_numbers": [item["name"] for item in report.verdicts if item["passed"] is False],
        **{name: facts.get(name) for name in ("data", "sentence", "engine", "seconds", "peak_memory_mb", "versions")},
        "report": report.html.relative_to(out).as_posix(),
        "notebook": report.notebook.relative_to(out).as_posix(),
        "verdicts": report.verdict_file.relative_to(out).as_posix(),
    }


def _page(content: dict[str, Any]) -> str:
    head = "".join(f"<th>{title}</th>" for title in _TITLES)
    rows = "".join(_row(name, entry) for name, entry in content["benchmarks"].items())
    versions = ", ".join(f"{name} {version}" for name, version in content["versions"].items())
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'><title>Benchmarks</title>"
        f"<style>{_STYLE}</style></head><body><h1>Benchmarks</h1><p>A twin is simulated: it proves the chain of the "
        f"analysis, not the sky.</p><table><tr>{head}</tr>{rows}</table><p>{html.escape(versions)}</p></body></html>\n"
    )


def _row(name: str, entry: dict[str, Any]) -> str:
    word, kind = ("passed", "pass") if entry["passed"] else ("FAILED", "fail")
    why = entry["failure"] or ", ".join(entry["failed_numbers"])
    links = " ".join(
        f"<a href='{html.escape(entry[key], quote=True)}'>{key}</a>" for key in ("report", "notebook", "verdicts")
    )
    cells = (
        f"<b>{html.escape(name)}</b>",
        f"<b class='{kind}'>{word}</b>" + (f"<br>{html.escape(why)}" if why else ""),
        f"{entry['numbers_passed']} of {entry['numbers_judged']}",
        html.escape(entry["sentence"] or ""),
        html.escape(entry["engine"] or ""),
        f"{entry['seconds']:.0f} s" if entry["seconds"] else "",
        f"{entry['peak_memory_mb']:.0f} MB" if entry["peak_memory_mb"] else "",
        links,
    )
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"
