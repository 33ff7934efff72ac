"""Where a product file comes from, written into the file itself: FITS, PNG, ds9 regions, ECSV and HTML."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from integral_oda.errors import DataError
from integral_oda.products.fits_io import open_fits, write_aside
from integral_oda.products.fits_writer import Column, TableUnit, primary_size, unit_bytes, with_cards

__all__ = ["PROVENANCE_TABLE", "Origin", "read_origin", "same_but_software", "sign_files"]

PROVENANCE_TABLE = "PROVENANCE"
_MARK = "integral-oda key"
_PNG_HEADER_BYTES = 33  # signature and IHDR chunk


@dataclass(frozen=True)
class Origin:
    """What a product was made from.

    Attributes
    ----------
    key : str
        Provenance key, 64 hexadecimal digits.
    step, engine : str
        Last step, and name and version of the engine.
    query : mapping
        What was asked, JSON-able.
    software : mapping of str to str
        Names and versions of the software.
    steps : mapping of str to str
        Version of each step.
    inputs : sequence of (str, str, str, str)
        Kind (``"input"`` or ``"raw"``), scope, name (step or raw file) and key or sha256 of each input.
    """

    key: str
    step: str
    engine: str
    query: Mapping[str, Any]
    software: Mapping[str, str]
    steps: Mapping[str, str]
    inputs: Sequence[tuple[str, str, str, str]]


def sign_files(folder: Path, origin: Origin) -> None:
    """Write the origin into every product file of a folder, after what the file says already."""
    for path in sorted(folder.iterdir()):
        sign = _SIGNERS.get(path.suffix)
        if sign is not None:
            sign(path, origin)


def read_origin(path: str | Path) -> Origin:
    """Read what `sign_files` wrote into a FITS file.

    Raises
    ------
    DataError
        If the file is none, or says nothing of its origin.
    """
    with open_fits(path) as hdus:
        header = hdus[0].header
        if "ODAKEY" not in header or PROVENANCE_TABLE not in hdus:
            raise DataError(f"{path}: says nothing of its origin (no ODAKEY, no table {PROVENANCE_TABLE})")
        table = hdus[PROVENANCE_TABLE].data
        columns = [[str(value) for value in table[name]] for name in ("KIND", "SCOPE", "NAME", "DIGEST")]
        query, software, steps = (json.loads(header[name]) for name in ("ODAQUERY", "ODASOFT", "ODASTEPS"))
        inputs = tuple(zip(*columns, strict=True))
        return Origin(header["ODAKEY"], header["ODASTEP"], header["ODAENGIN"], query, software, steps, inputs)


def same_but_software(one: Path, other: Path) -> bool:
    """Whether two signed files are the same but for the versions of the software that made them.

    FITS files are compared HDU by HDU; a PNG by its pixels; others byte for byte without the signature. A file that is
    not there or cannot be read is not the same.
    """
    compare = {".fits": _same_fits, ".png": _same_pixels}.get(one.suffix, _same_text)
    try:
        return compare(one, other)
    except (DataError, OSError, ValueError, SyntaxError):  # Pillow tells by a SyntaxError that a file is no PNG
        return False


def _same_fits(one: Path, other: Path) -> bool:
    from astropy.io import fits

    sums = ["CHECKSUM", "DATASUM"]
    with open_fits(one) as first, open_fits(other) as second:
        return bool(fits.FITSDiff(first, second, ignore_keywords=["ODASOFT", *sums], ignore_comments=sums).identical)


def _same_pixels(one: Path, other: Path) -> bool:
    from matplotlib.image import imread

    first, second = imread(one), imread(other)
    return bool(first.shape == second.shape and (first == second).all())


def _same_text(one: Path, other: Path) -> bool:
    return _unsigned(one) == _unsigned(other)


def _unsigned(path: Path) -> str:
    lines = path.read_text(encoding="utf-8").splitlines()
    return "\n".join(line for line in lines if _MARK not in line)


def _sign_fits(path: Path, origin: Origin) -> None:
    """Add cards to the primary header and a table at the end; what lies between stays as it is, byte for byte."""
    content = path.read_bytes()
    header_size, end = primary_size(content)
    cards: dict[str, Any] = {
        "ODAKEY": origin.key,
        "ODASTEP": (origin.step, "last step"),
        "ODAENGIN": (origin.engine, "engine and its version"),
    }
    for name, values in (("ODAQUERY", origin.query), ("ODASOFT", origin.software), ("ODASTEPS", origin.steps)):
        cards[name] = _json(values)
    header = with_cards(content[:header_size], cards, content[header_size:end])
    with write_aside(path) as aside, aside.open("wb") as stream:
        stream.writelines([header, memoryview(content)[header_size:], unit_bytes(_table(origin.inputs))])


def _table(inputs: Sequence[tuple[str, str, str, str]]) -> TableUnit:
    kinds, scopes, names, digests = ([row[place] for row in inputs] for place in range(4))
    columns = [
        Column("KIND", "5A", kinds),
        Column("SCOPE", f"{_width(scopes)}A", scopes),
        Column("NAME", f"{_width(names)}A", names),
        Column("DIGEST", "64A", digests),
    ]
    return TableUnit(PROVENANCE_TABLE, {}, columns)


def _width(texts: Sequence[str]) -> int:
    return max([1, *map(len, texts)])


def _json(values: Mapping[str, Any]) -> str:
    return json.dumps(values, sort_keys=True, separators=(",", ":"))


def _sentence(origin: Origin) -> str:
    return f"{_MARK} {origin.key} query {_json(origin.query)} software {_json(origin.software)}"


def _sign_png(path: Path, origin: Origin) -> None:
    """Put a text chunk behind the header, as the PNG specification (W3C, 11.3.4.3) has it."""
    content = path.read_bytes()
    text = b"tEXtSource\0" + _sentence(origin).encode("ascii")
    chunk = struct.pack(">I", len(text) - 4) + text + struct.pack(">I", zlib.crc32(text))
    path.write_bytes(content[:_PNG_HEADER_BYTES] + chunk + content[_PNG_HEADER_BYTES:])


def _sign_regions(path: Path, origin: Origin) -> None:
    _add_line(path, f"# {_sentence(origin)}")


def _sign_html(path: Path, origin: Origin) -> None:
    import html

    text = html.escape(_sentence(origin)).replace("--", "-&#45;")
    _add_line(path, f"<!-- {text} -->")


def _sign_ecsv(path: Path, origin: Origin) -> None:
    """Put a comment into the YAML of the header, behind its first two lines (ECSV 1.0)."""
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join([*lines[:2], f"# # {_sentence(origin)}", *lines[2:]]) + "\n", encoding="utf-8")


def _add_line(path: Path, line: str) -> None:
    text = path.read_text(encoding="utf-8").rstrip("\n")
    path.write_text(f"{text}\n{line}\n", encoding="utf-8")


_SIGNERS: dict[str, Callable[[Path, Origin], None]] = {
    ".fits": _sign_fits,
    ".png": _sign_png,
    ".reg": _sign_regions,
    ".ecsv": _sign_ecsv,
    ".html": _sign_html,
}
