"""Replies of the online system as FITS files and tables.

Arrays arrive as pickles. A pickle can name any function to be called; here only those are found that arrays and FITS
tables are made of, and anything else is an error.
"""

from __future__ import annotations

import base64
import binascii
import io
import math
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits

from integral_oda.errors import DataError
from integral_oda.products.fits_io import write_fits

__all__ = ["CatalogueRow", "read_array", "read_catalogue", "write_product"]

CatalogueRow = tuple[str, float, float, float, bool, float]
"""Name, RA and Dec (degrees), significance, whether it is new, error radius (degrees)."""

_ALLOWED = {
    *(("numpy", name) for name in ("ndarray", "dtype", "record", "recarray")),
    *((f"{core}.multiarray", name) for core in ("numpy.core", "numpy._core") for name in ("_reconstruct", "scalar")),
    *((f"{core}.numeric", "_frombuffer") for core in ("numpy.core", "numpy._core")),
    ("_codecs", "encode"),
    ("astropy.io.fits.fitsrec", "FITS_rec"),
    *(
        ("astropy.io.fits.column", name)
        for name in ("ColDefs", "Column", "Delayed", "_ColumnFormat", "_FormatP", "_FormatQ", "_FormatX")
    ),
}
_STRUCTURE = ("SIMPLE", "XTENSION", "BITPIX", "NAXIS", "EXTEND", "PCOUNT", "GCOUNT", "TFIELDS", "THEAP", "EXTNAME")


class _Unpickler(pickle.Unpickler):
    """Reads arrays and FITS tables, and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        """Find what arrays are made of."""
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"{module}.{name} is not part of an array")
        return super().find_class(module, name)


def read_array(text: str) -> Any:
    """Read an array or a FITS table.

    Parameters
    ----------
    text : str
        base64 of a pickle.

    Raises
    ------
    DataError
        If it is anything else.
    """
    try:
        found = _Unpickler(io.BytesIO(base64.b64decode(text)), encoding="bytes").load()
    except (pickle.UnpicklingError, binascii.Error, EOFError, ValueError, TypeError, AttributeError, IndexError) as exc:
        raise DataError(f"the reply holds what is no array ({exc})") from None
    if not isinstance(found, np.ndarray):
        raise DataError(f"the reply holds a {type(found).__name__} where an array should be")
    return found


def write_product(path: Path, product: Mapping[str, Any]) -> None:
    """Write a product of a reply as a FITS file.

    Parameters
    ----------
    path : Path
    product : mapping
        As in ``numpy_data_product_list``.

    Raises
    ------
    DataError
        If a unit cannot be read.
    """
    units = product.get("data_unit_list")
    if not isinstance(units, list) or not units:
        raise DataError(f"the reply has no data for {path.name}")
    hdus = [_hdu(unit) for unit in units]
    if not isinstance(hdus[0], fits.PrimaryHDU):
        hdus.insert(0, fits.PrimaryHDU())
    write_fits(path, hdus)


def _hdu(unit: Mapping[str, Any]) -> Any:
    data = None if unit.get("binarys") is None else read_array(unit["binarys"])
    kind = unit.get("hdu_type")
    if kind == "primary" and data is None:
        return fits.PrimaryHDU()
    makers = {"bintable": fits.BinTableHDU, "table": fits.BinTableHDU, "primary": fits.PrimaryHDU}
    hdu = makers.get(str(kind), fits.ImageHDU)(data)
    hdu.name = str(unit.get("name") or "")
    _add_cards(hdu.header, unit.get("header") or {})
    return hdu


def _add_cards(header: Any, cards: Mapping[str, Any]) -> None:
    """Add what is no description of the structure; the structure is the data's own."""
    for key, value in cards.items():
        structural = key in _STRUCTURE or key.startswith(("NAXIS", "TTYPE", "TFORM", "TDIM", "TZERO", "TSCAL"))
        if not structural and isinstance(value, (bool, int, float, str)) and key not in ("", "COMMENT", "HISTORY"):
            header[f"HIERARCH {key}" if len(key) > len("EXPOSURE") else key] = value


def read_catalogue(catalogue: Mapping[str, Any]) -> list[CatalogueRow]:
    """Read the catalogue of a reply.

    Raises
    ------
    DataError
        If a column is missing.
    """
    columns = dict(zip(catalogue.get("cat_column_names", []), catalogue.get("cat_column_list", []), strict=False))
    try:
        rows = zip(*(columns[name] for name in ("src_names", "ra", "dec", "significance")), strict=True)
        new = columns.get("NEW_SOURCE", [0] * len(columns["ra"]))
        radii = columns.get("ERR_RAD", [math.nan] * len(columns["ra"]))
        return [
            (str(name).strip(), float(ra), float(dec), _number(significance), _is_new(name, flag), _number(radius))
            for (name, ra, dec, significance), flag, radius in zip(rows, new, radii, strict=True)
        ]
    except (KeyError, TypeError, ValueError) as exc:
        raise DataError(f"the catalogue of the reply cannot be read ({exc})") from None


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)


def _is_new(name: Any, flag: Any) -> bool:
    return flag == 1 or str(name).startswith("NEW")
