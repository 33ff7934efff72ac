"""The reports of closed_loop.py, blind_injections.py and nuisances.py as one page, with what is asked for beside."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

__all__ = ["write_markdown"]

_CLEAN = {
    "empty": ("Empty fields", "mean 0.00 +- 0.02, sigma 1.00 +- 0.03; 200 fields: none above 5.5, four above 5"),
    "bright": ("A source of 1 Crab", "nothing above 5.5 sigma is left"),
    "pairs": ("Two sources 20 arcmin apart, 20 sigma each", "both are found"),
    "completeness": ("Unknown sources of 7 sigma, threshold 5", "95 % are found"),
}


def write_markdown(folder: Path) -> None:
    """Write closed_loop.md from the JSON reports that lie in a folder."""
    clean, injected, troubles = (_read(folder / f"{n}.json") for n in ("closed_loop", "blind_injections", "nuisances"))
    lines = ["# Closed loop", ""]
    if "fits" in clean:
        lines += _fits(clean["fits"])
    for name, (title, wanted) in _CLEAN.items():
        if name in clean:
            lines += [f"## {title}", "", f"Asked for: {wanted}.", "", *_table([clean[name]]), ""]
    if injected:
        lines += ["## Blind injections into the real window", ""]
        lines += ["Asked for: what the forced flux gains over what was injected, 1.00 +- 0.02.", ""]
        lines += [*_table(injected["ratios"]), ""]
    if troubles:
        lines += ["## One nuisance at a time", "", "Asked for: bias under 3 %, false sources under 0.05 a window.", ""]
        lines += [*_table({"nuisance": name, **row} for name, row in troubles["troubles"].items()), ""]
    (folder / "closed_loop.md").write_text("\n".join(lines), encoding="utf-8")


def _read(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return document


def _fits(fits: dict[str, Any]) -> list[str]:
    return [
        f"## Fluxes of {fits['fits']} sources on clean truth",
        "",
        "Asked for: bias under 1 %, pulls of 1.00 +- 0.05.",
        "",
        *_table(fits["flux"]),
        "",
        "## Positions from a start 2 arcmin off",
        "",
        "Asked for: 0.90 +- 0.03 inside the 90 % radius, which is at most 1.3 times the bound (some 9.5 arcmin /",
        "significance on axis; here the bound of each place). `inside` is without the systematic floor, which no",
        "simulated position has.",
        "",
        *_table(fits["position"]),
        "",
    ]


def _table(rows: Iterable[dict[str, Any]]) -> list[str]:
    rows = [{key: value for key, value in row.items() if key not in ("seed", "seconds")} for row in rows]
    names: Sequence[str] = list(max(rows, key=len))
    head = [
        "| " + " | ".join(name.replace("_", " ") for name in names) + " |",
        "| " + " | ".join("---" for _ in names) + " |",
    ]
    return head + ["| " + " | ".join(_text(row.get(name, "")) for name in names) + " |" for row in rows]


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}: {_text(item)}" for key, item in value.items())
    return f"{value:.4g}" if isinstance(value, float) else str(value)
