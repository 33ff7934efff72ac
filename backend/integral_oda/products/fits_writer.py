"""A small writer of FITS images and binary tables, with checksums.

Loading ``astropy.io.fits`` and formatting a sky image's headers with it takes longer than the fit of its sources; this
module writes plain image and table extensions, and nothing else. The counterpart is `integral_oda.archive.fits_table`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from integral_oda.errors import DataError
from integral_oda.products.fits_io import grouping_columns, write_aside

__all__ = [
    "Column",
    "ImageUnit",
    "TableUnit",
    "cards_of",
    "grouping_unit",
    "primary_header",
    "primary_size",
    "unit_bytes",
    "with_cards",
    "with_checksum",
    "write_units",
]

BLOCK, CARD = 2880, 80
_LONGEST_STRING, _CONTINUED = 68, 67
_NUMBER_WIDTH = 20
_LONGEST_HEADER = 1000 * BLOCK
_AXES = re.compile(rb"(BITPIX|NAXIS\d*) *= *(-?\d+)")
_FORM = re.compile(r"(\d*)([LIJKEDA])")
_TYPES = {"L": "S1", "I": ">i2", "J": ">i4", "K": ">i8", "E": ">f4", "D": ">f8"}
_BITPIX = {">u1": 8, ">i2": 16, ">i4": 32, ">i8": 64, ">f4": -32, ">f8": -64}
_NO_DIGIT_OR_LETTER = frozenset(b":;<=>?@[\\]^_`")
_ALL_ONES = 0xFFFFFFFF


@dataclass(frozen=True)
class Column:
    """A column of a binary table.

    Attributes
    ----------
    name, form : str
        TTYPE and TFORM; repeats of L, I, J, K, E, D or A.
    values : sequence
        One entry a row; texts longer than the column are cut.
    unit : str, optional
    null : int, optional
    """

    name: str
    form: str
    values: Any
    unit: str | None = None
    null: int | None = None

    @property
    def stored(self) -> NDArray[Any]:
        """Values as they stand in the file."""
        match = _FORM.fullmatch(self.form)
        if match is None:
            raise ValueError(f"column {self.name}: form {self.form!r} is not one of L, I, J, K, E, D, A with a repeat")
        repeat, code = int(match[1] or 1), match[2]
        if code == "A":
            return np.array([str(value).encode("ascii", "replace") for value in self.values], dtype=f"S{repeat}")
        values = np.where(self.values, b"T", b"F") if code == "L" else np.asarray(self.values)
        stored: NDArray[Any] = values.astype(_TYPES[code])
        return stored.reshape(-1, repeat) if repeat > 1 else stored.ravel()


@dataclass
class ImageUnit:
    """An image extension: its name, further keywords (a value, or a value with its comment) and the pixels."""

    name: str
    header: dict[str, Any]
    data: NDArray[Any]

    def __post_init__(self) -> None:
        self.header = {"XTENSION": "IMAGE", **self.header}

    @cached_property
    def content(self) -> bytes:
        """The data unit without its padding."""
        return self.data.astype(self.data.dtype.newbyteorder(">"), copy=False).tobytes()

    @property
    def structure(self) -> dict[str, Any]:
        """Keywords that say how the data unit is laid out."""
        kind = self.data.dtype.newbyteorder(">").str.replace("|", ">")
        axes = {f"NAXIS{n}": size for n, size in enumerate(reversed(self.data.shape), start=1)}
        return {"BITPIX": _BITPIX[kind], "NAXIS": self.data.ndim, **axes, "PCOUNT": 0, "GCOUNT": 1}


@dataclass
class TableUnit:
    """A binary table: its name, further keywords and the columns."""

    name: str
    header: dict[str, Any]
    columns: Sequence[Column] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.header = {"XTENSION": "BINTABLE", **self.header}

    @cached_property
    def rows(self) -> NDArray[Any]:
        """The table as it stands in the file."""
        stored = [column.stored for column in self.columns]
        layout = np.dtype([(c.name, s.dtype, s.shape[1:]) for c, s in zip(self.columns, stored, strict=True)])
        rows = np.zeros(len(stored[0]) if stored else 0, layout)
        for column, values in zip(self.columns, stored, strict=True):
            rows[column.name] = values
        return rows

    @property
    def content(self) -> bytes:
        """The data unit without its padding."""
        return self.rows.tobytes()

    @property
    def structure(self) -> dict[str, Any]:
        """Keywords that say how the data unit is laid out."""
        cards: dict[str, Any] = {"BITPIX": 8, "NAXIS": 2, "NAXIS1": self.rows.dtype.itemsize, "NAXIS2": len(self.rows)}
        cards |= {"PCOUNT": 0, "GCOUNT": 1, "TFIELDS": len(self.columns)}
        for n, column in enumerate(self.columns, start=1):
            cards |= {f"TTYPE{n}": column.name, f"TFORM{n}": column.form}
            cards |= {f"TUNIT{n}": column.unit} if column.unit else {}
            cards |= {} if column.null is None else {f"TNULL{n}": column.null}
        return cards


def primary_header(header: Mapping[str, Any]) -> bytes:
    """A primary header without data, with its checksum."""
    structure = {"SIMPLE": (True, "conforms to FITS standard"), "BITPIX": 8, "NAXIS": 0, "EXTEND": True}
    return with_checksum(cards_of({**structure, **header}), b"")


def write_units(path: str | Path, header: Mapping[str, Any], units: Iterable[ImageUnit | TableUnit]) -> None:
    """Write a FITS file, aside first and then renamed.

    Parameters
    ----------
    path : str or Path
    header : mapping
        Keywords of the primary header.
    units : iterable of ImageUnit or TableUnit
        The extensions.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    with write_aside(path) as aside, aside.open("wb") as stream:
        stream.write(primary_header(header))
        stream.writelines(unit_bytes(unit) for unit in units)


def unit_bytes(unit: ImageUnit | TableUnit) -> bytes:
    """Header and data of an extension as they stand in a file."""
    content = _padded(unit.content, b"\0")
    return with_checksum(_unit_cards(unit), content) + content


def primary_size(content: bytes) -> tuple[int, int]:
    """Bytes of the primary header of a file, and of header and data together.

    Raises
    ------
    DataError
        If the file does not begin with a FITS header.
    """
    for end in range(0, min(len(content), _LONGEST_HEADER), CARD):
        if content[end : end + CARD].rstrip() == b"END":
            size = -(-(end + CARD) // BLOCK) * BLOCK
            break
    else:
        raise DataError("no FITS file: its first header has no end")
    found = {key: int(value) for key, value in _AXES.findall(content[:size])}
    axes = [found[b"NAXIS%d" % n] for n in range(1, found[b"NAXIS"] + 1)]
    data = abs(found[b"BITPIX"]) // 8 * math.prod(axes) if axes else 0
    return size, size + -(-data // BLOCK) * BLOCK


def with_cards(header: bytes, further: Mapping[str, Any], content: bytes) -> bytes:
    """A header with further keywords at its end, in place of those of the same name, and new checksums."""
    dropped = {"END", "CHECKSUM", "DATASUM", *further}
    kept, keep = [], True
    for start in range(0, len(header), CARD):
        card = header[start : start + CARD]
        key = card[:8].decode("ascii").rstrip()
        keep = keep if key == "CONTINUE" else key not in dropped and bool(card.strip())
        if keep:
            kept.append(card)
    return with_checksum(b"".join(kept) + cards_of(further), content)


def grouping_unit(name: str, members: Sequence[ImageUnit | TableUnit], columns: Mapping[str, str]) -> TableUnit:
    """Index of the units of one file, as a GROUPING table; parameters as for `fits_io.grouping_hdu`."""
    table = [Column(title, form, values, null=null) for title, form, null, values in grouping_columns(members, columns)]
    return TableUnit("GROUPING", {"GRPNAME": name}, table)


def _unit_cards(unit: ImageUnit | TableUnit) -> bytes:
    further = {key: value for key, value in unit.header.items() if key not in ("XTENSION", "EXTNAME")}
    return cards_of({"XTENSION": unit.header["XTENSION"], **unit.structure, "EXTNAME": unit.name, **further})


def _padded(content: bytes, filling: bytes) -> bytes:
    return content + filling * (-len(content) % BLOCK)


def cards_of(header: Mapping[str, Any]) -> bytes:
    """Cards of keywords, each with a value or a value and its comment, 80 bytes each; long texts are continued.

    Raises
    ------
    ValueError
        If a keyword or a value has no place in a FITS header.
    """
    return b"".join(_card(key, *(value if isinstance(value, tuple) else (value, ""))) for key, value in header.items())


def _card(key: str, value: Any, comment: str) -> bytes:
    if len(key) > 8 or not re.fullmatch(r"[A-Z0-9_-]+", key):
        raise ValueError(f"{key!r} is no FITS keyword of at most 8 characters A-Z 0-9 _ -")
    if isinstance(value, str):
        text = value.replace("'", "''")
        if len(text) > _LONGEST_STRING:
            return _continued(key, text)
        shown = f"'{text:<8}'".ljust(_NUMBER_WIDTH)
    else:
        shown = f"{_number(key, value):>{_NUMBER_WIDTH}}"
    line = f"{key:<8}= {shown}" + (f" / {comment}" if comment else "")
    return f"{line[:CARD]:<{CARD}}".encode("ascii")


def _number(key: str, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool | np.bool_):
        return "T" if value else "F"
    if isinstance(value, int | np.integer):
        return str(int(value))
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{key} = {number} has no place in a FITS header")
    texts = (repr(number), *(f"{number:.{digits}G}" for digits in range(17, 10, -1)))
    text = next(t for t in texts if len(t) <= _NUMBER_WIDTH).upper()
    return text if "." in text or "E" in text else f"{text}."


def _continued(key: str, text: str) -> bytes:
    """Cards of a long text in the convention of CONTINUE; no doubled quote is torn apart."""
    lines, rest, start = [], text, f"{key:<8}= "
    while rest:
        cut = len(rest) if len(rest) <= _LONGEST_STRING else _CONTINUED
        if cut < len(rest) and (len(rest[:cut]) - len(rest[:cut].rstrip("'"))) % 2:
            cut -= 1
        part, rest = rest[:cut], rest[cut:]
        lines.append(f"{start}'{part}{'&' if rest else ''}'")
        start = "CONTINUE  "
    return b"".join(f"{line:<{CARD}}".encode("ascii") for line in lines)


def with_checksum(cards: bytes, content: bytes) -> bytes:
    """A header of cards with DATASUM and CHECKSUM (FITS 4.0, appendix J), filled up to whole blocks.

    Parameters
    ----------
    cards : bytes
        Without END.
    content : bytes
        The padded data unit.
    """
    data = _sum(content)
    note = "of the HDU"  # no time: the same product, the same bytes

    def header(code: str) -> bytes:
        sums = cards_of({"CHECKSUM": (code, note), "DATASUM": (str(data), note)})
        return _padded(cards + sums + f"{'END':<{CARD}}".encode(), b" ")

    return header(_coded(_ALL_ONES - _sum(header("0" * 16), data)))


def _sum(content: bytes, start: int = 0) -> int:
    """Ones' complement sum of 32-bit words."""
    total = start + int(np.frombuffer(content, ">u4").sum(dtype=np.uint64))
    while total > _ALL_ONES:
        total = (total & _ALL_ONES) + (total >> 32)
    return total


def _coded(value: int) -> str:
    """Sixteen letters and digits whose words add up to a value."""
    code = bytearray(16)
    for i, byte in enumerate(value.to_bytes(4, "big")):
        four = [byte // 4 + ord("0") + (byte % 4 if j == 0 else 0) for j in range(4)]
        while _NO_DIGIT_OR_LETTER & set(four):
            for j in (0, 2):
                if _NO_DIGIT_OR_LETTER & set(four[j : j + 2]):
                    four[j], four[j + 1] = four[j] + 1, four[j + 1] - 1
        code[i::4] = bytes(four)
    return (code[-1:] + code[:-1]).decode("ascii")
