"""The command, the Python code, the notebook and the link that ask the same again."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from integral_oda.background import kind_of
from integral_oda.query import LightCurveQuery, Query

__all__ = ["command_line", "python_code", "query_notebook"]

_OPTIONS = {
    "src_name": "--source",
    "RA": "--ra",
    "DEC": "--dec",
    "T1": "--t1",
    "T2": "--t2",
    "T_format": "--t-format",
    "detection_threshold": "--threshold",
    "E1_keV": "--e1",
    "E2_keV": "--e2",
}
_APART = {
    "bands": "--band",
    "at": "--at",
    "exclude": "--exclude",
    "engine_for": "--engine-for",
    "osa_parameters": "--osa-parameter",
}
"""Options that are given once for each value."""


def command_line(query: Query, archive: Path | None = None, store: str | Path | None = None) -> str:
    """Command of the shell that carries out a query; parameters that have their defaults are left out.

    Parameters
    ----------
    query : Query
    archive, store : optional
        Roots that are named in it.
    """
    words = ["integral-oda", kind_of(query)]
    if query.scw_list:
        words += ["--scw-list", ",".join(query.scw_list)]
    given = _given(query)
    if isinstance(query, LightCurveQuery) and query.more_bands:
        words += _each("--band", (tuple(band) for band in query.energy_bands))
        given = {name: value for name, value in given.items() if name not in ("E1_keV", "E2_keV", "more_bands")}
    for name, value in given.items():
        words += _words(name, value)
    words += [word for name, root in (("--archive", archive), ("--store", store)) if root for word in (name, str(root))]
    return shlex.join([*words, "--out", "OUT"])


def _words(name: str, value: Any) -> list[str]:
    if name in _APART:
        return _each(_APART[name], value)
    if name == "bin_edges":
        return [f"--binning={','.join(map(repr, value))}"]
    option = _OPTIONS.get(name, f"--{name.replace('_', '-')}")
    if value is True:
        return [option]
    if name == "gti":
        value = ";".join(f"{start!r},{stop!r}" for start, stop in value)
    elif isinstance(value, tuple):
        value = ",".join(repr(part) for part in value if part is not None)
    # With "=", so that a negative number is not taken for an option.
    return [option, str(value)] if name in ("src_name", "catalog") else [f"{option}={value}"]


def _each(option: str, values: Any) -> list[str]:
    return [word for value in values for word in (option, _text(value))]


def _text(value: Any) -> str:
    return f"{value[0]:g}-{value[1]:g}" if isinstance(value, tuple) else str(value)


def python_code(query: Query, archive: Path | None = None, store: str | Path | None = None) -> str:
    """Python code that carries out a query; see `command_line`."""
    kind = type(query).__name__
    lines = [f"    {name}={value!r}," for name, value in _values(query).items()]
    roots = [f", {name}={wrap(str(root))}" for name, root, wrap in _roots(archive, store) if root]
    return "\n".join(
        [
            *(["from pathlib import Path", ""] if archive else []),
            "from integral_oda.analysis import analyse",
            f"from integral_oda.query import {kind}, make_query",
            "",
            f"query = make_query(\n    {kind},",
            *lines,
            ")",
            f"products = analyse(query{''.join(roots)})",
            'products.write("OUT")',
        ]
    )


def _roots(archive: Path | None, store: str | Path | None) -> list[tuple[str, Any, Callable[[str], str]]]:
    return [("archive", archive, lambda text: f"Path({text!r})"), ("store", store, repr)]


def query_notebook(query: Query, archive: Path | None = None, store: str | Path | None = None) -> str:
    """Notebook of a query as JSON; papermill sets its parameters.

    Its cell ``parameters`` holds the parameters of the query, ``archive``, ``store`` and ``out``.
    """
    import nbformat

    form: Any = nbformat.v4  # without types
    kind, values = type(query).__name__, _values(query)
    title = f"# INTEGRAL/ISGRI: {_TITLES[kind_of(query)]}\n\n"
    title += f"The same from the shell:\n\n```sh\n{command_line(query, archive, store)}\n```"
    parameters = [f"{name} = {value!r}" for name, value in values.items()]
    roots = {"archive": archive, "store": store}
    parameters += [f"{name} = {str(root) if root else None!r}" for name, root in roots.items()]
    analyse = [
        "from pathlib import Path",
        "",
        "from integral_oda.analysis import analyse",
        f"from integral_oda.query import {kind}, make_query",
        "",
        f"query = make_query({kind}, {', '.join(f'{name}={name}' for name in values)})",
        "products = analyse(query, archive=Path(archive) if archive else None, store=store)",
        "products.write(out)",
    ]
    show = [
        "from IPython.display import Image, display",
        "",
        'for picture in sorted(Path(out).glob("*.png")):',
        "    display(Image(filename=picture))",
        'products.summary["sources"]',
    ]
    made = form.new_notebook(
        cells=[
            form.new_markdown_cell(title),
            form.new_code_cell("\n".join([*parameters, 'out = "OUT"']), metadata={"tags": ["parameters"]}),
            form.new_code_cell("\n".join(analyse)),
            form.new_code_cell("\n".join(show)),
        ],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
    )
    return str(form.writes(made))


_TITLES = {"image": "sky image", "lightcurve": "light curves", "spectrum": "spectra"}


def _given(query: Query) -> dict[str, Any]:
    return query.model_dump(exclude_defaults=True, exclude={"scw_list"})


def _values(query: Query) -> Mapping[str, Any]:
    listed = {"scw_list": query.scw_list} if query.scw_list else {}
    return {name: _plain(value) for name, value in {**listed, **_given(query)}.items()}


def _plain(value: Any) -> Any:
    return value if isinstance(value, int | float | str | tuple | list) else str(value)
