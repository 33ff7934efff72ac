"""``integral-oda compare``: one query through several engines, and how their products differ."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from integral_oda.background import kind_of
from integral_oda.errors import RequestError
from integral_oda.query import Query
from integral_oda.versions import software_versions
from integral_oda.workflow.progress import Listener, silent

if TYPE_CHECKING:
    from integral_oda.products.comparison import Sequences
    from integral_oda.results import Products
    from integral_oda.workflow.executor import Executor

__all__ = ["compare_engines", "parse_engines"]

_ENGINES = ("native", "osa", "mmoda")


def parse_engines(text: str) -> tuple[str, ...]:
    """Read ``"native,osa"``.

    Raises
    ------
    RequestError
        If these are not at least two different engines.
    """
    engines = tuple(part.strip() for part in text.split(","))
    if len(engines) < 2 or len(set(engines)) < len(engines) or not set(engines) <= set(_ENGINES):
        raise RequestError(
            "engines", text, f"two or more of {', '.join(_ENGINES)} with commas, the first the reference"
        )
    return engines


def compare_engines(
    queries: Sequence[Query],
    engines: Sequence[str],
    out: Path,
    archive: Path | None = None,
    store: str | Path | None = None,
    listener: Listener = silent,
    executor: Executor | None = None,
) -> dict[str, Any]:
    """Carry out queries with several engines and write what differs.

    Parameters
    ----------
    queries : sequence of Query
        Image, spectrum and light-curve queries.
    engines : sequence of str
        The first one is what the others are compared with.
    out : Path
        Folder for the report, with each engine's products in ``out/ENGINE/PRODUCT``.
    archive, store, listener, executor
        As for `integral_oda.analysis.analyse`.

    Returns
    -------
    dict
        As written to ``compare.json``.

    Raises
    ------
    UnavailableError, RequestError
        If one of the engines is not there or cannot do it; before anything is computed.
    """
    from integral_oda.analysis import analyse
    from integral_oda.request import prepare

    asked = {(kind_of(query), engine): _with_engine(query, engine) for query in queries for engine in engines}
    for query in asked.values():
        prepare(query, archive, silent, strict=False)
    made = {}
    for (kind, engine), query in asked.items():
        made[kind, engine] = analyse(query, archive, store, listener, executor=executor)
        made[kind, engine].write(out / engine / kind)
    report: dict[str, Any] = {"engines": list(engines), "comparisons": [], "versions": software_versions()}
    for kind in dict.fromkeys(kind for kind, _ in asked):
        for engine in engines[1:]:
            compared = _COMPARED[kind](made[kind, engines[0]], made[kind, engine])
            pictures = _draw(out, f"{kind}_{engine}", compared, (engines[0], engine))
            report["comparisons"].append(
                {"product": kind, "first": engines[0], "second": engine, "pictures": pictures, **_plain(compared)}
            )
    (out / "compare.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    (out / "compare.html").write_text(_page(report), encoding="utf-8")
    return report


def _with_engine(query: Query, engine: str) -> Query:
    own = {} if engine == "osa" else {"engine_for": ()}
    return query.model_copy(update={"engine": engine, **own})


def _images(first: Products, second: Products) -> dict[str, Any]:
    from integral_oda.products.comparison import compare_sources
    from integral_oda.products.source_list import source_from_dict

    lists = ([source_from_dict(values) for values in products.summary["sources"]] for products in (first, second))
    return {"sources": compare_sources(*lists)}


def _light_curves(first: Products, second: Products) -> dict[str, Any]:
    from integral_oda.products.comparison import compare_light_curves
    from integral_oda.products.light_curve import read_light_curves

    ours, theirs = (
        {(c.name, c.band): c for path in p.files if path.name.startswith("isgri_lc_") for c in read_light_curves(path)}
        for p in (first, second)
    )
    return {"curves": {f"{k[0]}, {k[1]} keV": compare_light_curves(ours[k], theirs[k]) for k in ours if k in theirs}}


def _spectra(first: Products, second: Products) -> dict[str, Any]:
    import numpy as np

    from integral_oda.products.comparison import compare_rates
    from integral_oda.products.response_file import read_response
    from integral_oda.products.spectrum import read_spectrum

    found: dict[str, Sequences] = {}
    for path in (p for p in first.files if p.name.startswith("isgri_spectrum_")):
        other = second.folder / path.name
        if not other.is_file():
            continue
        one, two = read_spectrum(path), read_spectrum(other)
        edges = read_response(path.with_name(path.name.replace("isgri_spectrum", "isgri_rmf"))).channel_edges_kev
        if len(one) != len(two):
            continue
        usable = one.usable & two.usable
        first_rates, second_rates = (one.rate, one.stat_error), (two.rate, two.stat_error)
        found[one.name] = compare_rates(np.sqrt(edges[:-1] * edges[1:]), first_rates, second_rates, usable)
    return {"spectra": found}


_COMPARED = {"image": _images, "lightcurve": _light_curves, "spectrum": _spectra}


def _plain(compared: Mapping[str, Any]) -> dict[str, Any]:
    """Numbers of a comparison, for JSON."""
    return {
        name: {source: item.numbers() for source, item in value.items()} if isinstance(value, dict) else value
        for name, value in compared.items()
    }


def _draw(out: Path, name: str, compared: Mapping[str, Any], engines: tuple[str, str]) -> list[str]:
    """Pictures of the spectra and light curves of a comparison; gives their names."""
    from integral_oda.products.comparison_picture import draw_sequences
    from integral_oda.products.light_curve import file_label

    names = []
    for kind, logarithmic, label in (("spectra", True, "energy [keV]"), ("curves", False, "time [IJD]")):
        for source, item in compared.get(kind, {}).items():
            names.append(f"compare_{name}_{file_label(source)}.png")
            draw_sequences(out / names[-1], item, engines, source, label, logarithmic=logarithmic)
    return names


def _page(report: Mapping[str, Any]) -> str:
    note = "Pulls take the two engines' errors in quadrature, as if their data were not the same."
    parts = [f"<h1>{html.escape(' and '.join(report['engines']))}</h1><p>{note}</p>"]
    for item in report["comparisons"]:
        parts.append(f"<h2>{item['product']}: {item['first']} and {item['second']}</h2>")
        parts.append(_table(item))
        parts += [f'<img src="{html.escape(name)}" alt="{html.escape(name)}">' for name in item["pictures"]]
    style = "body{font:15px system-ui;margin:2rem auto;max-width:1100px}td,th{padding:.15rem .7rem;text-align:right}"
    return f"<!doctype html><meta charset=utf-8><title>Engines compared</title><style>{style}</style>{''.join(parts)}\n"


def _table(item: Mapping[str, Any]) -> str:
    if "sources" in item:
        head = ["source", "keV", item["first"], item["second"], "ratio", "pull", "apart [arcmin]"]
        rows = [
            [
                *(
                    source["name"],
                    f"{band['e1_kev']:g}-{band['e2_kev']:g}",
                    _flux(band, "first"),
                    _flux(band, "second"),
                ),
                *(_text(band["ratio"], band["ratio_error"]), _text(band["pull"]), _text(source["separation_arcmin"])),
            ]
            for source in item["sources"]
            for band in source["bands"]
        ]
    else:
        head = ["source", "bins", "ratio", "mean pull", "width of pulls", "chi2"]
        listed = item.get("spectra") or item.get("curves") or {}
        rows = [
            [name, str(n["bins"]), _text(n["ratio"], n["ratio_error"]), _text(n["pull_mean"]), _text(n["pull_sigma"]),
             _text(n["chi2"])]
            for name, n in listed.items()
        ]  # fmt: skip
    cells = "".join(f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><tr>{''.join(f'<th>{html.escape(name)}</th>' for name in head)}</tr>{cells}</table>"


def _flux(band: Mapping[str, Any], side: str) -> str:
    return _text(band[f"{side}_flux"], band[f"{side}_flux_error"])


def _text(value: float | None, error: float | None = None) -> str:
    if value is None:
        return "-"
    return f"{value:.3g}" if error is None else f"{value:.4g} ± {error:.2g}"
