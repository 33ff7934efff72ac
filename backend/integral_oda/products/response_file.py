"""ARF and RMF files: OGIP's and ISDC's, OSA 10's form and OSA 11's, in and out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from integral_oda.arrays import Array
from integral_oda.errors import DataError
from integral_oda.instrument.response import Response, ResponseForm
from integral_oda.products.fits_io import isdc_cards, open_fits, write_fits

__all__ = [
    "AREA_NAMES",
    "MATRIX_NAMES",
    "area_hdu",
    "bounds_hdu",
    "matrix_hdus",
    "read_response",
    "write_arf",
    "write_rmf",
]

AREA_NAMES = ("SPECRESP", "ISGR-ARF.-RSP")
MATRIX_NAMES = ("SPECRESP MATRIX", "MATRIX", "ISGR-RMF.-RSP")
_BOUNDS_NAMES = ("EBOUNDS", "ISGR-EBDS-MOD")
_EDGE_MISMATCH = 1e-3
_SMALLEST = 1e-6
"""Share of a row's sum below which its ends are not written."""


def read_response(rmf: str | Path, arf: str | Path | None = None, origin: str | None = None) -> Response:
    """Read an RMF, multiplied by an ARF where there is one.

    Parameters
    ----------
    rmf, arf : str or Path
        Files with OGIP's or ISDC's extension names. The RMF holds the channel bounds.
    origin : str, optional
        What headers are to say; the names of the files unless given.

    Raises
    ------
    DataError
        If a file is no such thing, or the energies of the two differ.
    """
    with open_fits(rmf) as hdus:
        table, bounds = _table(hdus, MATRIX_NAMES, rmf), _table(hdus, _BOUNDS_NAMES, rmf)
        rows, header = table.data, table.header
        energies = _edges(rows["ENERG_LO"], rows["ENERG_HI"], rmf)
        channels = _edges(bounds.data["E_MIN"], bounds.data["E_MAX"], rmf)
        first = int(bounds.data["CHANNEL"][0])
        matrix = _dense(rows, len(channels) - 1, int(header.get("TLMIN4", first)), rmf)
    if arf is not None:
        matrix *= _read_area(arf, energies, rmf)[:, None]
    made_of = " and ".join(Path(path).name for path in (rmf, arf) if path is not None)
    return Response(energies, channels, matrix, origin or made_of, first)


def write_arf(path: str | Path, response: Response, form: ResponseForm, cards: Mapping[str, Any] | None = None) -> None:
    """Write the ARF of a response as OGIP's SPECRESP; ``cards`` are added to its header."""
    from astropy.io import fits

    write_fits(path, [fits.PrimaryHDU(), area_hdu(response, form, cards)])


def write_rmf(path: str | Path, response: Response, form: ResponseForm, cards: Mapping[str, Any] | None = None) -> None:
    """Write the RMF of a response as OGIP's table of a matrix and EBOUNDS; ``cards`` are added to their headers.

    OGIP calls the table MATRIX where the ARF holds the area, and SPECRESP MATRIX where the RMF does.
    """
    from astropy.io import fits

    write_fits(path, [fits.PrimaryHDU(), *matrix_hdus(response, form, cards)])


def area_hdu(response: Response, form: ResponseForm, cards: Mapping[str, Any] | None = None) -> Any:
    """ARF as a binary table HDU."""
    from astropy.io import fits

    area, _ = response.parts(form)
    columns = [*_energy_columns(response), fits.Column("SPECRESP", "1E", unit="cm**2", array=area)]
    table = fits.BinTableHDU.from_columns(columns, name="SPECRESP")
    table.header.update(_cards(response, "SPECRESP", "1.1.0"))
    table.header.update(cards or {})
    return table


def matrix_hdus(response: Response, form: ResponseForm, cards: Mapping[str, Any] | None = None) -> list[Any]:
    """RMF and channel bounds as binary table HDUs."""
    from astropy.io import fits

    first, count = response.first_channel, len(response.channel_edges_kev) - 1
    _, matrix = response.parts(form)
    starts, lengths, values = _compressed(matrix)
    columns = [
        *_energy_columns(response),
        fits.Column("N_GRP", "1I", array=(lengths > 0).astype(np.int16)),
        fits.Column("F_CHAN", "PI(1)", array=_one_each(starts + first)),
        fits.Column("N_CHAN", "PI(1)", array=_one_each(lengths)),
        fits.Column("MATRIX", f"PE({int(lengths.max(initial=1))})", array=values),
    ]
    name, kind = ("SPECRESP MATRIX", "FULL") if form == "OSA11" else ("MATRIX", "REDIST")
    table = fits.BinTableHDU.from_columns(columns, name=name)
    table.header.update(_cards(response, "RSP_MATRIX", "1.3.0"))
    matrix_cards = {"HDUCLAS3": kind, "CHANTYPE": "PI", "DETCHANS": count, "TLMIN4": first, "TLMAX4": first + count - 1}
    table.header.update({**matrix_cards, "LO_THRES": 0.0, **(cards or {})})
    return [table, bounds_hdu(response, cards)]


def bounds_hdu(response: Response, cards: Mapping[str, Any] | None = None) -> Any:
    """Channel bounds as a binary table HDU."""
    from astropy.io import fits

    edges, count = response.channel_edges_kev, len(response.channel_edges_kev) - 1
    bounds = fits.BinTableHDU.from_columns(
        [
            fits.Column("CHANNEL", "1I", array=np.arange(count) + response.first_channel),
            fits.Column("E_MIN", "1E", unit="keV", array=edges[:-1]),
            fits.Column("E_MAX", "1E", unit="keV", array=edges[1:]),
        ],
        name="EBOUNDS",
    )
    bounds.header.update(_cards(response, "EBOUNDS", "1.2.0"))
    bounds.header.update({"CHANTYPE": "PI", "DETCHANS": count, **(cards or {})})
    return bounds


def _cards(response: Response, kind: str, version: str) -> dict[str, Any]:
    ogip = {"HDUCLASS": "OGIP", "HDUCLAS1": "RESPONSE", "HDUCLAS2": kind, "HDUVERS": version, "FILTER": "NONE"}
    return {**isdc_cards("DAL_TABLE", "SPE"), **ogip, "RESPORIG": response.origin}


def _energy_columns(response: Response) -> list[Any]:
    from astropy.io import fits

    edges = response.energy_edges_kev
    return [
        fits.Column("ENERG_LO", "1E", unit="keV", array=edges[:-1]),
        fits.Column("ENERG_HI", "1E", unit="keV", array=edges[1:]),
    ]


def _compressed(matrix: Array) -> tuple[Array, Array, Any]:
    """First channel, number of channels and values of each row between its outermost elements that matter."""
    matters = matrix > _SMALLEST * matrix.sum(axis=1, keepdims=True)
    lit = matters.any(axis=1)
    starts = np.where(lit, matters.argmax(axis=1), 0).astype(np.int16)
    stops = np.where(lit, matrix.shape[1] - matters[:, ::-1].argmax(axis=1), 0).astype(np.int16)
    values = np.empty(len(matrix), dtype=object)
    for row, (start, stop) in enumerate(zip(starts, stops, strict=True)):
        values[row] = matrix[row, start:stop].astype(np.float32)
    return starts, (stops - starts).astype(np.int16), values


def _one_each(values: Array) -> Any:
    """Groups of each row, of which there is one: readers such as gammapy's expect a list even so."""
    rows = np.empty(len(values), dtype=object)
    rows[:] = [np.array([value], dtype=np.int16) for value in values]
    return rows


def _table(hdus: Any, names: Sequence[str], path: str | Path) -> Any:
    for hdu in hdus:
        if hdu.name in names:
            return hdu
    held = ", ".join(hdu.name for hdu in hdus[1:]) or "no extension at all"
    raise DataError(f"{path}: no table {' or '.join(names)}, it holds {held}")


def _edges(low: Any, high: Any, path: str | Path) -> Array:
    low, high = np.asarray(low, dtype=float), np.asarray(high, dtype=float)
    width = high - low
    if not (len(low) and np.all(width > 0) and np.all(np.abs(low[1:] - high[:-1]) <= _EDGE_MISMATCH * width[1:])):
        raise DataError(f"{path}: energy bins that are empty, fall or leave gaps")
    return np.append(low, high[-1])


def _read_area(path: str | Path, energy_edges_kev: Array, rmf: str | Path) -> Array:
    with open_fits(path) as hdus:
        rows = _table(hdus, AREA_NAMES, path).data
        edges = _edges(rows["ENERG_LO"], rows["ENERG_HI"], path)
        area = np.asarray(rows["SPECRESP"], dtype=float)
    if edges.shape != energy_edges_kev.shape or not np.allclose(edges, energy_edges_kev, rtol=_EDGE_MISMATCH):
        raise DataError(f"{path}: its {len(area)} energies are not the {len(energy_edges_kev) - 1} of {rmf}")
    return area


def _dense(rows: Any, channels: int, first: int, path: str | Path) -> Array:
    """Matrix ``(n, channels)`` of a table whose rows hold groups of channels."""
    matrix = np.zeros((len(rows), channels))
    columns = (rows[name] for name in ("N_GRP", "F_CHAN", "N_CHAN", "MATRIX"))
    for row, (groups, starts, lengths, values) in enumerate(zip(*columns, strict=True)):
        done = 0
        for start, length in zip(np.atleast_1d(starts)[:groups], np.atleast_1d(lengths)[:groups], strict=True):
            begin, length_ = int(start) - first, int(length)
            if begin < 0 or begin + length_ > channels or done + length_ > len(np.atleast_1d(values)):
                raise DataError(f"{path}: row {row} of the matrix reaches beyond its {channels} channels")
            matrix[row, begin : begin + length_] = np.atleast_1d(values)[done : done + length_]
            done += length_
    return matrix
