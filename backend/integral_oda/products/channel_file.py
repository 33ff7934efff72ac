"""Files that say which channels a spectrum is to have."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from integral_oda.arrays import Array
from integral_oda.errors import DataError
from integral_oda.products.fits_io import open_fits

__all__ = ["read_channel_edges"]


def read_channel_edges(path: str | Path) -> Array:
    """Edges of channels, keV, from a FITS table with E_MIN and E_MAX (an RMF, a band list) or a text file.

    A text file has one edge or two (lower and upper) a line.

    Raises
    ------
    DataError
        If the file holds none, or channels that do not adjoin.
    """
    path = Path(path)
    if path.name.endswith((".fits", ".fits.gz", ".rmf", ".rsp")):
        return _from_fits(path)
    try:
        lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.partition("#")[0].strip()]
        values = np.loadtxt(lines, ndmin=2, dtype=float) if lines else np.zeros((0, 2))
    except (OSError, ValueError) as exc:
        raise DataError(f"{path}: no file of channel edges in keV ({exc})") from exc
    return values[:, 0] if values.shape[1] == 1 else _joined(values[:, 0], values[:, 1], path)


def _from_fits(path: Path) -> Array:
    with open_fits(path) as hdus:
        for hdu in hdus:
            names = set(getattr(getattr(hdu, "columns", None), "names", ()))
            if {"E_MIN", "E_MAX"} <= names:
                return _joined(np.array(hdu.data["E_MIN"], float), np.array(hdu.data["E_MAX"], float), path)
    raise DataError(f"{path}: no table with E_MIN and E_MAX")


def _joined(low: Array, high: Array, path: Path) -> Array:
    if len(low) == 0 or np.any(np.abs(low[1:] - high[:-1]) > 1e-3):
        raise DataError(f"{path}: channels that do not adjoin")
    return np.round(2 * np.append(low, high[-1])) / 2
