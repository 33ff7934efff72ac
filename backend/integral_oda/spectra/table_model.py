"""Models given as tables of spectra on a grid of parameters (OGIP 92-009), such as Comptonisation codes write."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from astropy.modeling import Fittable1DModel, Parameter

from integral_oda.arrays import Array

__all__ = ["TableGrid", "table_component"]


@dataclass(frozen=True)
class TableGrid:
    """Spectra on a grid of parameters.

    Attributes
    ----------
    names : sequence of str
        Of the ``n`` parameters.
    values : sequence of ndarray
        Grid of each parameter, rising, ``(m_1,)`` ... ``(m_n,)``.
    start : sequence of float
        Value that each parameter starts from.
    edges_kev : ndarray
        ``(k + 1,)`` energies.
    photons : ndarray
        ``(m_1, ..., m_n, k)`` photons/cm2/s in each energy bin at unit norm.
    """

    names: Sequence[str]
    values: Sequence[Array]
    start: Sequence[float]
    edges_kev: Array
    photons: Array


def table_component(grid: TableGrid) -> Fittable1DModel:
    """Model that interpolates a table, linearly in the parameters and in the energy; 0 outside its energies."""
    from scipy.interpolate import RegularGridInterpolator

    centres = (grid.edges_kev[1:] + grid.edges_kev[:-1]) / 2
    density = np.asarray(grid.photons) / np.diff(grid.edges_kev)
    lookup = RegularGridInterpolator(tuple(grid.values), density, bounds_error=False, fill_value=None)

    def evaluate(x: Any, *parameters: Any) -> Array:
        *place, norm = (float(np.ravel(p)[0]) for p in parameters)
        spectrum = lookup(np.array([place]))[0]
        inside = (x >= grid.edges_kev[0]) & (x < grid.edges_kev[-1])
        return np.where(inside, norm * np.interp(x, centres, spectrum), 0.0)

    ranges = [(float(v[0]), float(v[-1])) for v in grid.values]
    body: dict[str, Any] = {
        name: Parameter(default=float(start), bounds=limits)
        for name, start, limits in zip(grid.names, grid.start, ranges, strict=True)
    }
    body |= {"norm": Parameter(default=1.0, bounds=(0.0, None)), "evaluate": staticmethod(evaluate)}
    return type("TableModel", (Fittable1DModel,), body)()
