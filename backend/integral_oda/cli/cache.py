"""Commands of ``integral-oda cache``: what the product store holds, whether it is whole, and how to make it smaller."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from integral_oda.errors import DataError, RequestError
from integral_oda.folders import store_root

if TYPE_CHECKING:
    from integral_oda.workflow.store import Store

__all__ = ["cache_app", "format_size", "parse_size"]

cache_app = typer.Typer(help="Look into the product store, check it, make it smaller, share it.", no_args_is_help=True)

StoreFolder = Annotated[
    str | None,
    typer.Option(
        "--store", metavar="DIR", help="Root of the store, or its URL.", show_default="the user's cache folder"
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Write JSON to standard output.")]

_UNITS = {"": 1, "B": 1} | {
    f"{prefix}{kind}": base ** (number + 1)
    for number, prefix in enumerate("KMGT")
    for kind, base in (("", 1000), ("B", 1000), ("IB", 1024))
}


def parse_size(text: str) -> int:
    """Read a size such as ``20GB`` or ``1.5 TiB`` as bytes.

    Raises
    ------
    RequestError
        When it is not a size.
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", text)
    if not found or found[2].upper() not in _UNITS:
        raise RequestError("max-size", text, "a number with B, kB, MB, GB, TB, KiB, MiB, GiB or TiB, such as 20GB")
    return round(float(found[1]) * _UNITS[found[2].upper()])


def format_size(size: int) -> str:
    """Write bytes for people, such as ``1.4 GB``."""
    value = float(size)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def _open(root: str | None) -> Store:
    from integral_oda.workflow.shared import open_store

    return open_store(root or store_root())


def _answer(values: Any, text: str, *, as_json: bool) -> None:
    typer.echo(json.dumps(asdict(values), indent=2) if as_json else text)


@cache_app.command("info")
def info_command(store: StoreFolder = None, as_json: AsJson = False) -> None:
    """Say what the store holds."""
    info = _open(store).info()
    lines = [f"{info.root}: {info.entries} results, {format_size(info.bytes)}, {info.in_use} in use"]
    lines += [f"  {step:<10} {number:>8} {format_size(size):>10}" for step, number, size in info.steps]
    if info.quarantined:
        lines.append(f"  set aside as damaged: {info.quarantined}, {format_size(info.quarantined_bytes)}")
    _answer(info, "\n".join(lines), as_json=as_json)


@cache_app.command("verify")
def verify_command(
    store: StoreFolder = None,
    repair: Annotated[bool, typer.Option("--repair", help="Set damaged results aside.")] = False,
    as_json: AsJson = False,
) -> None:
    """Compare every file with its checksum; the exit status is 1 if any is damaged."""
    kept = _open(store)
    done = kept.verify(repair=repair)
    lines = [f"{key}: {reason}" for key, reason in done.damaged]
    _answer(done, "\n".join([*lines, f"{done.checked} results checked, {len(lines)} damaged"]), as_json=as_json)
    if done.damaged:
        raise DataError(f"{len(done.damaged)} of {done.checked} results in {kept.root} are damaged")


@cache_app.command("prune")
def prune_command(
    max_size: Annotated[str, typer.Option("--max-size", metavar="SIZE", help="Such as 20GB.", show_default=False)],
    store: StoreFolder = None,
    as_json: AsJson = False,
) -> None:
    """Remove results, the least recently used first and never one in use, until the store is small enough."""
    done = _open(store).prune(parse_size(max_size))
    text = f"{done.removed} results removed, {format_size(done.removed_bytes)}; {format_size(done.bytes_left)} left"
    _answer(done, text, as_json=as_json)


@cache_app.command("export")
def export_command(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="Archive to write: .tar, .tar.gz or .tar.xz.")],
    store: StoreFolder = None,
    as_json: AsJson = False,
) -> None:
    """Write all results into one file."""
    from integral_oda.workflow.transfer import export_store

    done = export_store(_open(store), path)
    _answer(done, f"{done.moved} results written to {path}, {done.damaged} damaged left out", as_json=as_json)


@cache_app.command("import")
def import_command(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="Archive that `cache export` wrote.")],
    store: StoreFolder = None,
    as_json: AsJson = False,
) -> None:
    """Take the results of an exported file; what is there already stays."""
    from integral_oda.workflow.transfer import import_store

    done = import_store(_open(store), path)
    text = f"{done.moved} results taken, {done.already_there} were there already, {done.damaged} damaged left out"
    _answer(done, text, as_json=as_json)
