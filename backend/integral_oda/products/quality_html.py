"""The quality page of a science window as HTML that needs nothing else."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["band_name", "quality_html"]

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 1180px; padding: 0 1rem; color: #22262b }
h1 { font-size: 1.6rem; margin: 0 }
h2 { font-size: 1.1rem; margin: 1.6rem 0 0 }
p { color: #5d636b; margin: .2rem 0 }
img { max-width: 100% }
h1 span { padding: .1rem .7rem; border-radius: .3rem; color: #fff; text-transform: uppercase; font-size: 1.1rem }
span.keep { background: #17806d }
span.drop { background: #b13a3a }
ul { padding: 0; list-style: none }
li b { display: inline-block; width: 5.5rem; color: #5d636b }
li.drop b { color: #b13a3a }
li.warning b { color: #b8741a }
table { border-collapse: collapse; margin: .8rem 0; font-variant-numeric: tabular-nums }
td, th { padding: .15rem .8rem; text-align: right; border-bottom: 1px solid #e3e5e8 }
td:first-child, th:first-child { text-align: left }
"""


def band_name(band: Mapping[str, Any]) -> str:
    """Band as people write it."""
    return f"{band['e1_kev']:g}-{band['e2_kev']:g} keV"


def quality_html(numbers: Mapping[str, Any], facts: str, sections: Sequence[tuple[str, str, str]]) -> str:
    """Write the page.

    Parameters
    ----------
    numbers : mapping
        As in ``quality.json``.
    facts : str
        One line about the window.
    sections : sequence of tuple
        Title, sentence and PNG (base64) of every section.
    """
    name = html.escape(numbers["science_window"])
    reasons = "".join(
        f'<li class="{html.escape(r["level"])}"><b>{html.escape(r["level"])}</b> {html.escape(r["text"])}</li>'
        for r in numbers["reasons"]
    )
    body = "".join(
        f'<section><h2>{html.escape(title)}</h2><p>{html.escape(note)}</p><img alt="{html.escape(title)} of {name}" '
        f'src="data:image/png;base64,{picture}"></section>'
        for title, note, picture in sections
    )
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>ISGRI {name}: quality</title>'
        f"<style>{_STYLE}</style></head><body><header><h1>ISGRI {name} "
        f'<span class="{numbers["verdict"]}">{numbers["verdict"]}</span></h1><p>{html.escape(facts)}</p>'
        f"<ul>{reasons or '<li>nothing to remark</li>'}</ul></header>{body}{_tables(numbers)}</body></html>\n"
    )


def _tables(numbers: Mapping[str, Any]) -> str:
    sources = [
        [
            s["name"],
            *(f"{b['sources'][k]['flux']:.2f} +- {b['sources'][k]['flux_error']:.2f}" for b in numbers["bands"]),
        ]
        for k, s in enumerate(numbers["bands"][0]["sources"])
    ]
    modules = [
        [
            m["number"], f"{100 * m['usable_fraction']:.1f} %", f"{m['all_events_rate']:.1f}",
            f"{m['relative_rate']:.3f}",
            _value(m["line_kev"], m["line_error_kev"]), f"{m['line_significance']:.1f}",
            _value(m["shift_kev"], m["shift_error_kev"]),
        ]
        for m in numbers["modules"]
    ]  # fmt: skip
    limits = [[name.replace("_", " "), f"{value:g}"] for name, value in numbers["limits"].items()]
    bands = [f"{band_name(band)} [counts/s]" for band in numbers["bands"]]
    heads = [
        "module",
        "usable",
        "all events [counts/s]",
        "relative rate",
        "W line [keV]",
        "its significance",
        "shift [keV]",
    ]
    return (
        f"<section><h2>Numbers</h2>{_table(heads, modules)}{_table(['source', *bands], sources)}"
        f"{_table(['limit of the verdict', 'value'], limits)}</section>"
    )


def _value(value: float | None, error: float | None) -> str:
    return "-" if value is None or error is None else f"{value:.2f} +- {error:.2f}"


def _table(heads: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    head = "".join(f"<th>{html.escape(text)}</th>" for text in heads)
    lines = "".join("<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table>"
