"""A small reader of FITS binary tables that costs little more than unpacking the file.

Importing ``astropy.io.fits`` and walking a table with it takes longer than reading all events of a science window;
this module reads the headers and the numeric columns of binary tables, and nothing else.
"""

from __future__ import annotations

import gzip
import math
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from integral_oda.errors import DataError

__all__ = ["Hdu", "Header", "find_header", "find_table", "read_hdus"]

Header = dict[str, Any]
"""Keywords of one header with their values (str, bool, int, float or None)."""

_BLOCK, _CARD = 2880, 80
_GZIP_MAGIC, _MAX_DEFLATE_RATIO, _PIECE = b"\x1f\x8b", 1032, 2**18
_STRING = re.compile(r"'((?:[^']|'')*)'")
_INTEGER = re.compile(r"[+-]?\d+", re.ASCII)
_TFORM = re.compile(r"(\d*)([LXBIJKAEDCMPQ])", re.ASCII)
_TYPES = {"L": "S1", "B": "u1", "I": ">i2", "J": ">i4", "K": ">i8", "E": ">f4", "D": ">f8"}
_TYPES |= {"C": ">c8", "M": ">c16", "P": ">i4", "Q": ">i8"}


@dataclass(frozen=True, eq=False)
class Hdu:
    """One header with its data unit.

    Attributes
    ----------
    path : Path
        The file, for messages.
    header : dict
        Keywords and their values.
    data : memoryview
        The data unit without its padding.
    """

    path: Path
    header: Header
    data: memoryview

    @property
    def name(self) -> str:
        """The keyword EXTNAME, empty if there is none."""
        return str(self.header.get("EXTNAME", ""))

    @cached_property
    def columns(self) -> dict[str, int]:
        """Names of the columns in upper case, with their numbers from 1."""
        count = _whole(self.path, self.header, "TFIELDS", 999)
        return {str(self.header.get(f"TTYPE{n}", n)).upper(): n for n in range(1, count + 1)}

    def column(self, name: str) -> NDArray[Any]:
        """Read one column in native byte order.

        Unsigned integers come as such; a column with another TSCAL or TZERO comes in physical units as float64,
        NaN where it is TNULL. Integers that are not scaled keep their TNULL.

        Parameters
        ----------
        name : str
            TTYPE of the column, in either case.

        Returns
        -------
        ndarray, shape (rows,) or (rows, repeat)

        Raises
        ------
        DataError
            If the column is not there or the header does not describe a table.
        """
        number = self.columns.get(name.upper())
        if number is None:
            raise DataError(f"{self.path}: {self.name} has no column {name}")
        field = self._rows[f"f{number}"]
        raw = field.astype(field.dtype.newbyteorder("="))
        return self._physical(raw, number) if raw.dtype.kind in "iuf" else raw

    @cached_property
    def _rows(self) -> NDArray[Any]:
        width = _whole(self.path, self.header, "NAXIS1")
        rows = _whole(self.path, self.header, "NAXIS2")
        formats, offsets, offset = [], [], 0
        for number in self.columns.values():
            form, size = self._format(number)
            formats.append(form)
            offsets.append(offset)
            offset += size
        if offset != width or len(formats) != _whole(self.path, self.header, "TFIELDS"):
            raise DataError(f"{self.path}: {self.name} has rows of {width} bytes but columns of {offset}")
        names = [f"f{number}" for number in self.columns.values()]
        layout = np.dtype({"names": names, "formats": formats, "offsets": offsets, "itemsize": width})
        return np.frombuffer(self.data, layout, rows) if rows else np.empty(0, layout)

    def _format(self, number: int) -> tuple[Any, int]:
        text = str(self.header.get(f"TFORM{number}", ""))
        match = _TFORM.match(text)
        if match is None:
            raise DataError(f"{self.path}: {self.name} has TFORM{number} = {text!r}, which is no column format")
        repeat, code = int(match[1] or 1), match[2]
        if code == "X":
            repeat, code = (repeat + 7) // 8, "B"
        if code in "PQ":
            repeat *= 2
        if repeat > _whole(self.path, self.header, "NAXIS1"):
            raise DataError(f"{self.path}: {self.name} has TFORM{number} = {text!r}, longer than its rows")
        if code == "A":
            return f"S{repeat}", repeat
        one = np.dtype(_TYPES[code])
        return (one if repeat == 1 else (one, (repeat,))), repeat * one.itemsize

    def _physical(self, raw: NDArray[Any], number: int) -> NDArray[Any]:
        scale, zero = self._number(f"TSCAL{number}", 1), self._number(f"TZERO{number}", 0)
        if scale == 1 and zero == 0:
            return raw
        half = 2 ** (8 * raw.dtype.itemsize - 1)
        if scale == 1 and raw.dtype.kind == "i" and zero == half:
            unsigned = raw.view(f"u{raw.dtype.itemsize}")
            return unsigned ^ unsigned.dtype.type(half)
        physical: NDArray[Any] = raw * float(scale) + float(zero)
        null = self.header.get(f"TNULL{number}")
        if raw.dtype.kind != "f" and isinstance(null, int):
            physical[raw == null] = math.nan
        return physical

    def _number(self, key: str, default: float) -> float:
        value = self.header.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise DataError(f"{self.path}: {self.name} has {key} = {value!r}, which is no number")
        return value


def read_hdus(path: str | Path) -> list[Hdu]:
    """Read all headers of a FITS file, plain or gzipped, and give access to its tables.

    Raises
    ------
    DataError
        If the file is missing, empty, truncated or no FITS file.
    """
    path = Path(path)
    buffer = _unpacked(path)
    if not buffer:
        raise DataError(f"{path}: an empty file")
    if bytes(buffer[:9]) != b"SIMPLE  =":
        raise DataError(f"{path}: no FITS file, it begins with {bytes(buffer[:24])!r}")
    hdus: list[Hdu] = []
    offset = 0
    while offset < len(buffer):
        if hdus and bytes(buffer[offset : offset + 8]) != b"XTENSION":
            raise DataError(f"{path}: damaged after {hdus[-1].name or 'the primary header'}, no extension begins there")
        header, start = _read_header(path, buffer, offset)
        size = _data_size(path, header)
        offset = start + -(-size // _BLOCK) * _BLOCK
        if offset > len(buffer):
            raise DataError(f"{path}: truncated, {len(buffer)} bytes of at least {offset}")
        hdus.append(Hdu(path, header, buffer[start : start + size]))
    return hdus


def find_table(hdus: list[Hdu], name: str) -> Hdu:
    """Give the first binary table of the name.

    Raises
    ------
    DataError
        If there is none.
    """
    for hdu in hdus:
        if hdu.name == name and hdu.header.get("XTENSION") == "BINTABLE":
            return hdu
    names = ", ".join(" ".join(hdu.name.split()) for hdu in hdus[1:]) or "no extension at all"
    raise DataError(f"{hdus[0].path}: no table {name}, it holds {names}")


def find_header(path: str | Path, keywords: Iterable[str]) -> Header:
    """Read the headers of a FITS file, plain or gzipped, no further than the first that has all of some keywords.

    Raises
    ------
    DataError
        If the file is missing or damaged before that header, or none has them.
    """
    path, wanted = Path(path), set(keywords)
    try:
        with path.open("rb") as raw:
            magic = raw.read(2)
            raw.seek(0)
            with gzip.GzipFile(fileobj=raw) if magic == _GZIP_MAGIC else raw as stream:
                for header in _headers(path, stream):
                    if wanted <= header.keys():
                        return header
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except (OSError, EOFError, zlib.error) as exc:
        raise DataError(f"{path}: truncated, damaged or not readable ({exc})") from exc
    raise DataError(f"{path}: no header has {', '.join(sorted(wanted))}")


def _headers(path: Path, stream: Any) -> Iterator[Header]:
    """Give one header after the other; the data between them are passed over."""
    first = True
    while block := stream.read(_BLOCK):
        if not block.startswith(b"SIMPLE  =" if first else b"XTENSION"):
            raise DataError(f"{path}: {'no FITS file' if first else 'damaged'}, a header begins with {block[:24]!r}")
        first = False
        while not any(block[at : at + 8] == b"END     " for at in range(len(block) - _BLOCK, len(block), _CARD)):
            more = stream.read(_BLOCK)
            if len(more) < _BLOCK:
                raise DataError(f"{path}: truncated or damaged, a header has no END card")
            block += more
        header, _ = _read_header(path, block, 0)
        yield header
        stream.seek(-(-_data_size(path, header) // _BLOCK) * _BLOCK, 1)


def _unpacked(path: Path) -> memoryview:
    unpacker, damaged = _inflation()
    try:
        with path.open("rb") as raw:
            if raw.peek(2)[:2] != _GZIP_MAGIC:
                return memoryview(raw.read())
            return _gunzip(raw, path.stat().st_size, unpacker)
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except OSError as exc:
        raise DataError(f"{path}: cannot be read ({exc.strerror})") from exc
    except (EOFError, damaged) as exc:
        raise DataError(f"{path}: truncated or damaged gzip file ({exc})") from exc


def _inflation() -> tuple[Callable[[], Any], type[Exception]]:
    """What unpacks a member of a gzip file, and what it raises."""
    try:
        from isal import igzip_lib, isal_zlib  # half of zlib's time; not built for every platform
    except ImportError:
        return partial(zlib.decompressobj, 31), zlib.error
    return partial(isal_zlib.decompressobj, 31), cast("type[Exception]", igzip_lib.IsalError)


def _gunzip(raw: BinaryIO, packed_size: int, unpacker: Callable[[], Any]) -> memoryview:
    """Unpack all members of a gzip file, in pieces that stay in a processor's cache.

    Room is taken once, for the size that the trailer states: an array, whose pages come in large ones.
    """
    raw.seek(max(packed_size - 4, 0))
    stated = int.from_bytes(raw.read(4), "little")
    raw.seek(0)
    whole, end = np.empty(max(1, min(stated, _MAX_DEFLATE_RATIO * packed_size)), np.uint8), 0
    member, piece = unpacker(), raw.read(_PIECE)
    while piece:
        part = np.frombuffer(member.decompress(piece), np.uint8)
        if end + len(part) > len(whole):
            whole = np.concatenate([whole[:end], np.empty(end + len(part), np.uint8)])
        whole[end : end + len(part)] = part
        end += len(part)
        piece = member.unused_data.lstrip(b"\0") or raw.read(_PIECE)
        if member.eof:
            while piece and not piece.strip(b"\0"):
                piece = raw.read(_PIECE)
            piece = piece.lstrip(b"\0")
            member = unpacker() if piece else member
    if not member.eof:
        raise EOFError("incomplete or truncated stream")
    return whole[:end].data


def _read_header(path: Path, buffer: bytes | memoryview, offset: int) -> tuple[Header, int]:
    header: Header = {}
    for start in range(offset, len(buffer) - _CARD + 1, _CARD):
        card = str(buffer[start : start + _CARD], "latin-1")
        key = card[:8].rstrip()
        if key == "END":
            end = start + _CARD - offset
            return header, offset + -(-end // _BLOCK) * _BLOCK
        if card[8:10] == "= ":
            header.setdefault(key, _value(card[10:]))
    raise DataError(f"{path}: truncated or damaged, a header has no END card")


def _value(text: str) -> str | bool | int | float | None:
    text = text.strip()
    quoted = _STRING.match(text)
    if quoted is not None:
        return quoted[1].replace("''", "'").rstrip()
    word = text.split("/", 1)[0].strip()
    if word in ("T", "F"):
        return word == "T"
    if _INTEGER.fullmatch(word):
        return int(word)
    try:
        return float(word.upper().replace("D", "E"))
    except ValueError:
        return None


def _data_size(path: Path, header: Header) -> int:
    axes = [_whole(path, header, f"NAXIS{n}") for n in range(1, _whole(path, header, "NAXIS", 999) + 1)]
    if not axes:
        return 0
    bits = header.get("BITPIX")
    if bits not in (8, 16, 32, 64, -32, -64):
        raise DataError(f"{path}: damaged header, BITPIX = {bits}")
    extra, groups = (_whole(path, {key: 0, **header}, key) for key in ("PCOUNT", "GCOUNT"))
    return abs(bits) // 8 * max(groups, 1) * (extra + math.prod(axes))


def _whole(path: Path, header: Header, key: str, largest: float = math.inf) -> int:
    value = header.get(key)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= largest:
        raise DataError(f"{path}: damaged header, {key} = {value}")
    return value
