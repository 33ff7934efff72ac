"""The pointing index: one row a science window, kept in columns, so that a mission is looked through at once."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from integral_oda.archive.fits_table import find_table, read_hdus
from integral_oda.archive.scw import ScwKind
from integral_oda.arrays import Array
from integral_oda.instrument.attitude import separation_deg

__all__ = ["INDEX_TABLE", "PointingIndex", "read_index", "write_index"]

INDEX_TABLE = "SCW-POINTINGS"
_SECONDS_A_DAY = 86400.0
_CONE_MARGIN_DEG = 1e-6
_FORMATS = {"S": "16A", "u": "1B", "f": "1D", "i": "1K"}
_UNITS = {"TSTART": "d", "TSTOP": "d", "GOOD_ISGRI": "s"}
_COLUMNS = {
    "name": "SCW", "kind": "SW_TYPE", "tstart": "TSTART", "tstop": "TSTOP", "ra_x": "RA_SCX", "dec_x": "DEC_SCX",
    "ra_z": "RA_SCZ", "dec_z": "DEC_SCZ", "good_s": "GOOD_ISGRI", "stamp": "STAMP",
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class PointingIndex:
    """Pointings in the order of their names.

    Attributes
    ----------
    name : ndarray of bytes, shape (n,)
        Science window with its version (``255900280010.001``), or whatever a table calls its pointings.
    kind : ndarray of uint8, shape (n,)
        A `ScwKind`.
    tstart, tstop : ndarray of float64, shape (n,)
        Start and stop, IJD; NaN where they are unknown.
    ra_x, dec_x, ra_z, dec_z : ndarray of float64, shape (n,)
        The spacecraft's X and Z axes, degrees (J2000); NaN where they are unknown.
    good_s : ndarray of float64, shape (n,)
        Good time of ISGRI, s; NaN where it is unknown.
    stamp : ndarray of int64, shape (n,)
        When the file that a row was read from was written, ns; 0 for other origins.
    """

    name: NDArray[np.bytes_]
    kind: NDArray[np.uint8]
    tstart: Array
    tstop: Array
    ra_x: Array
    dec_x: Array
    ra_z: Array
    dec_z: Array
    good_s: Array
    stamp: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.name)

    @classmethod
    def build(cls, columns: Mapping[str, Any]) -> Self:
        """Make an index of columns; those that are missing are unknown, of rows of one name the last stays."""
        name = np.asarray(columns["name"], "S16")
        nothing: dict[str, Any] = {
            f.name: np.full(len(name), np.nan) for f in fields(cls) if f.name not in ("name", "kind", "stamp")
        }
        known = nothing | {"kind": kinds_of(name), "stamp": np.zeros(len(name), np.int64)} | dict(columns)
        unique, last = np.unique(name[::-1], return_index=True)
        rows = len(name) - 1 - last
        types = {"kind": np.uint8, "stamp": np.int64}
        made = {
            key: np.asarray(value, types.get(key, np.float64))[rows] for key, value in known.items() if key != "name"
        }
        return cls(name=unique, **made)

    @classmethod
    def merge(cls, parts: Iterable[PointingIndex]) -> Self:
        """Put several indices together; of rows of one name that of the later index stays."""
        parts = list(parts)
        return cls.build({f.name: np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(cls)})

    def rows(self, which: Any) -> PointingIndex:
        """Index of some of the rows, in their order."""
        return PointingIndex(**{f.name: getattr(self, f.name)[which] for f in fields(self)})

    @property
    def names(self) -> list[str]:
        """The names as text."""
        return [name.decode("ascii") for name in self.name.tolist()]

    @property
    def attitudes(self) -> Array:
        """RA_SCX, DEC_SCX, RA_SCZ, DEC_SCZ, degrees; ``(n, 4)``."""
        return np.stack([self.ra_x, self.dec_x, self.ra_z, self.dec_z], axis=1)

    @property
    def revolution(self) -> NDArray[np.int64]:
        """Revolution of each science window, -1 for other names."""
        return np.where(self.is_window, _digits(self.name, 0, 4), -1)

    @property
    def version(self) -> NDArray[np.int64]:
        """Version of each science window, -1 for other names."""
        return np.where(self.is_window, _digits(self.name, 13, 16), -1)

    @property
    def is_window(self) -> NDArray[np.bool_]:
        """True where the name is a science window's."""
        return _are_windows(self.name)

    @property
    def ontime_s(self) -> Array:
        """Good time where it is known, else the whole time of the pointing, s."""
        return np.where(np.isnan(self.good_s), (self.tstop - self.tstart) * _SECONDS_A_DAY, self.good_s)

    @property
    def digest(self) -> str:
        """A sha256 of what selection depends on: the same on every machine for the same pointings."""
        total = hashlib.sha256()
        for column in (self.name, self.kind, self.tstart, self.tstop, self.attitudes, self.good_s):
            total.update(np.ascontiguousarray(column).astype(column.dtype.newbyteorder("<")).tobytes())
        return total.hexdigest()

    def overlapping(self, start_ijd: float, stop_ijd: float) -> NDArray[np.bool_]:
        """True where a pointing shares time with an interval (IJD)."""
        return (self.tstart < stop_ijd) & (self.tstop > start_ijd)

    def near(self, ra_deg: float, dec_deg: float, radius_deg: float) -> NDArray[np.bool_]:
        """True where the X axis is within a radius of a position, all in degrees."""
        near = np.abs(self.dec_x - dec_deg) <= radius_deg + _CONE_MARGIN_DEG
        rows = np.flatnonzero(near)
        near[rows] = separation_deg(ra_deg, dec_deg, self.ra_x[rows], self.dec_x[rows]) <= radius_deg
        return near


def kinds_of(names: NDArray[np.bytes_]) -> NDArray[np.uint8]:
    """What the spacecraft did, after the names of science windows; a pointing where the name says nothing."""
    return np.where(_are_windows(names), _digits(names, 11, 12), int(ScwKind.POINTING)).astype(np.uint8)


def _characters(names: NDArray[np.bytes_]) -> NDArray[np.uint8]:
    return np.ascontiguousarray(names.astype("S16")).view(np.uint8).reshape(len(names), 16)


def _digits(names: NDArray[np.bytes_], first: int, beyond: int) -> NDArray[np.int64]:
    digits = _characters(names)[:, first:beyond].astype(np.int64) - ord("0")
    return digits @ (10 ** np.arange(beyond - first)[::-1])


def _are_windows(names: NDArray[np.bytes_]) -> NDArray[np.bool_]:
    characters = _characters(names)
    digits = np.delete(characters, 12, axis=1)
    return (characters[:, 12] == ord(".")) & ((digits >= ord("0")) & (digits <= ord("9"))).all(axis=1)


def write_index(path: str | Path, index: PointingIndex) -> None:
    """Write an index as a FITS table; it appears whole or not at all.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    from astropy.io import fits

    from integral_oda.products.fits_io import isdc_cards, write_fits

    columns = []
    for field, title in _COLUMNS.items():
        values = getattr(index, field)
        columns.append(fits.Column(title, _FORMATS[values.dtype.kind], unit=_unit(title), array=values))
    table = fits.BinTableHDU.from_columns(columns, name=INDEX_TABLE)
    table.header.update(isdc_cards("DAL_TABLE", "IDX"))
    write_fits(path, [fits.PrimaryHDU(), table])


def _unit(title: str) -> str | None:
    return "deg" if title.startswith(("RA_", "DEC_")) else _UNITS.get(title)


def read_index(path: str | Path) -> PointingIndex:
    """Read an index that `write_index` wrote.

    Raises
    ------
    DataError
        If the file is missing, damaged or no such index.
    """
    table = find_table(read_hdus(path), INDEX_TABLE)
    return PointingIndex(**{field: table.column(title) for field, title in _COLUMNS.items()})
