"""Products as the online system's client decodes them.

The client turns a whole reply into text and replaces ``null`` in it, base64 included; it reads arrays as pickles, and
NaN breaks it. So base64 is written with a blank inside every such word (the decoder passes over blanks), and numbers
that are not finite become None. Nothing here reads a pickle.
"""

from __future__ import annotations

import base64
import json
import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from integral_oda.catalog.source_list import UNKNOWN_NEW, catalogue_dictionary
from integral_oda.json_values import finite
from integral_oda.products.fits_io import open_fits

if TYPE_CHECKING:
    from integral_oda.products.source_list import Source

__all__ = [
    "encode_array",
    "encode_catalogue",
    "encode_fits",
    "reply_text",
]

_TRAP, _DISARMED = "null", "nu ll"
REQUEST_KEYWORD = "REQUEST"


def encode_fits(
    path: Path,
    name: str,
    meta: Mapping[str, Any],
    request: str,
    unit_names: Mapping[str, str] = MappingProxyType({}),
    replaced: Mapping[str, Any] = MappingProxyType({}),
) -> dict[str, Any]:
    """Encode all units of a FITS file.

    Parameters
    ----------
    path : Path
    name : str
        Name of the product; the client's attribute begins with it.
    meta : mapping
        What is known of it; ``src_name`` and ``product`` end up in the attribute's name.
    request : str
        Request that it answers, written into every header.
    unit_names : mapping
        New names of units by their names in the file.
    replaced : mapping
        Keywords that get another value where they are.
    """
    with open_fits(path) as hdus:
        units = [_unit(hdu, request) for hdu in hdus]
    for unit in units:
        unit["name"] = unit_names.get(unit["name"], unit["name"])
        unit["header"] |= {key: value for key, value in replaced.items() if key in unit["header"]}
        if "EXTNAME" in unit["header"]:
            unit["header"]["EXTNAME"] = unit["name"]
    known = {key: value for key, value in finite(meta).items() if value is not None}  # a null inside text is a trap too
    return {"data_unit_list": units, "name": name, "meta_data": json.dumps(known)}


def _unit(hdu: Any, request: str) -> dict[str, Any]:
    if not hdu.is_image:
        hdu = _without_heap(hdu)
    data = hdu.data
    kind = "primary" if hdu.name == "PRIMARY" else "image" if hdu.is_image else "bintable"
    header = {key: finite(_scalar(value)) for key, value in hdu.header.items() if key not in ("", "COMMENT", "HISTORY")}
    return {
        "data": None,
        "dt": None if data is None else _dtype_text(data.dtype),
        "name": hdu.name,
        "header": {**header, REQUEST_KEYWORD: request},
        "binarys": None if data is None else encode_array(data if kind == "bintable" else np.array(data)),
        "meta_data": {},
        "hdu_type": kind,
        "units_dict": None,
    }


def _without_heap(hdu: Any) -> Any:
    """Give a table whose rows of varying length are filled with zeros: a pickle does not take the heap along."""
    if not any(column.format[:1] in "PQ" for column in hdu.columns):
        return hdu
    from astropy.io import fits

    columns = []
    for column in hdu.columns:
        if column.format[:1] not in "PQ":
            columns.append(column)
            continue
        rows = [np.atleast_1d(row) for row in hdu.data[column.name]]
        filled = np.zeros((len(rows), max((len(row) for row in rows), default=0)), rows[0].dtype)
        for row, values in zip(filled, rows, strict=True):
            row[: len(values)] = values
        columns.append(fits.Column(column.name, f"{filled.shape[1]}{column.format[1]}", column.unit, array=filled))
    return fits.BinTableHDU.from_columns(columns, header=hdu.header)


def _scalar(value: Any) -> Any:
    return value if isinstance(value, (bool, int, float, str)) else None


def _dtype_text(dtype: np.dtype[Any]) -> str:
    return str(dtype.descr if dtype.names else dtype.str)


def encode_array(data: Any) -> str:
    """Encode an array, or a table of a FITS file, as base64 of a pickle that the client's rewriting leaves alone."""
    return base64.b64encode(pickle.dumps(data)).decode("ascii").replace(_TRAP, _DISARMED)


def encode_catalogue(sources: Sequence[Source]) -> dict[str, Any]:
    """Encode a source list as the client's catalogue."""
    columns: dict[str, list[Any]] = {
        "meta_ID": list(range(len(sources))),
        "src_names": [source.name for source in sources],
        "significance": [source.significance for source in sources],
        "ra": [source.ra_deg for source in sources],
        "dec": [source.dec_deg for source in sources],
        "NEW_SOURCE": [1 if source.new else UNKNOWN_NEW for source in sources],
        "ISGRI_FLAG": [2 if source.new else 1 for source in sources],
        "FLAG": [0] * len(sources),
        "ERR_RAD": [source.error_radius_arcmin / 60 for source in sources],
    }
    return catalogue_dictionary(columns)


def reply_text(value: Any) -> str:
    """Write a reply as JSON that holds no NaN."""
    return json.dumps(finite(value), allow_nan=False)
