"""The command and the Python code that ask the same again."""

from __future__ import annotations

import shlex
from typing import Any

from integral_oda.query import ImageQuery, Query

__all__ = ["command_line", "python_code"]

_OPTIONS = {
    "src_name": "--source",
    "RA": "--ra",
    "DEC": "--dec",
    "catalog": "--catalog",
    "detection_threshold": "--threshold",
    "E1_keV": "--e1",
    "E2_keV": "--e2",
    "time_bin": "--time-bin",
}


def command_line(query: Query) -> str:
    """Command of the shell that carries out a query; parameters that have their defaults are left out."""
    words = ["integral-oda", "image" if isinstance(query, ImageQuery) else "lightcurve"]
    words += ["--scw-list", ",".join(query.scw_list)]
    for name, value in _given(query).items():
        words += _words(name, value)
    return shlex.join([*words, "--out", "OUT"])


def _words(name: str, value: Any) -> list[str]:
    if name == "bands":
        return [word for e1, e2 in value for word in ("--band", f"{e1:g}-{e2:g}")]
    if name == "at":
        return [word for place in value for word in ("--at", place)]
    option = _OPTIONS.get(name, f"--{name.replace('_', '-')}")
    if name == "gti":
        value = ";".join(f"{start!r},{stop!r}" for start, stop in value)
    elif isinstance(value, tuple):
        value = ",".join(repr(part) for part in value)
    # With "=", so that a negative number is not taken for an option.
    return [option, str(value)] if name in ("src_name", "catalog") else [f"{option}={value}"]


def python_code(query: Query) -> str:
    """Python code that carries out a query."""
    kind = type(query).__name__
    values = {"scw_list": query.scw_list, **_given(query)}
    lines = [f"    {name}={_plain(value)!r}," for name, value in values.items()]
    return "\n".join(
        [
            "from integral_oda.analysis import analyse",
            f"from integral_oda.query import {kind}, make_query",
            "",
            f"query = make_query(\n    {kind},",
            *lines,
            ")",
            "products = analyse(query)",
            'products.write("OUT")',
        ]
    )


def _given(query: Query) -> dict[str, Any]:
    return query.model_dump(exclude_defaults=True, exclude={"scw_list"})


def _plain(value: Any) -> Any:
    return value if isinstance(value, int | float | str | tuple | list) else str(value)
