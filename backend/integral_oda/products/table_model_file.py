"""Table models of spectra (OGIP 92-009), as XSPEC's atable reads them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from integral_oda.arrays import Array
from integral_oda.errors import DataError
from integral_oda.products.fits_io import open_fits

if TYPE_CHECKING:
    from astropy.modeling import Model

__all__ = ["read_table_model"]


def read_table_model(path: str | Path) -> Model:
    """Read an additive table model of spectra on a grid of parameters.

    Raises
    ------
    DataError
        If the file is none, or does not hold a spectrum for every point of the grid.
    """
    from integral_oda.spectra.table_model import TableGrid, table_component

    with open_fits(path) as hdus:
        missing = [name for name in ("PARAMETERS", "ENERGIES", "SPECTRA") if name not in hdus]
        if missing:
            raise DataError(f"{path}: no table model, it has no extension {missing[0]}")
        parameters, energies, spectra = (np.array(hdus[n].data) for n in ("PARAMETERS", "ENERGIES", "SPECTRA"))
    names = [_text(row["NAME"]).strip().lower() for row in parameters]
    values = [np.asarray(row["VALUE"][: int(row["NUMBVALS"])], dtype=float) for row in map(_as_row, parameters)]
    start = [float(row["INITIAL"]) for row in parameters]
    edges = np.append(energies["ENERG_LO"], energies["ENERG_HI"][-1]).astype(float)
    return table_component(TableGrid(names, values, start, edges, _on_grid(spectra, values, path)))


def _text(name: Any) -> str:
    return name.decode("ascii", "replace") if isinstance(name, bytes) else str(name)


def _as_row(row: Any) -> dict[str, Any]:
    return {name: np.atleast_1d(row[name]) if name == "VALUE" else row[name] for name in row.dtype.names}


def _on_grid(spectra: Any, values: list[Array], path: str | Path) -> Array:
    """Spectra in the order of the grid, whatever the order of the rows."""
    shape = tuple(len(v) for v in values)
    if len(spectra) != int(np.prod(shape)):
        raise DataError(f"{path}: {len(spectra)} spectra for a grid of {' x '.join(map(str, shape))}")
    places = np.asarray(spectra["PARAMVAL"], dtype=float).reshape(len(spectra), len(values))
    index = tuple(np.abs(places[:, k, None] - v).argmin(axis=1) for k, v in enumerate(values))
    photons = np.asarray(spectra["INTPSPEC"], dtype=float)
    grid = np.full((*shape, photons.shape[-1]), np.nan)
    grid[index] = photons
    if not np.isfinite(grid).all():
        raise DataError(f"{path}: its spectra do not fill the grid of parameters")
    return grid
