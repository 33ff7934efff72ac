"""Covariance of a shadowgram: Poisson noise and the detector's own structure under a prior.

The background differs from its template by a smooth part (a level a module, low polynomials, a level
seen as the sky is), which is free, and by structure of rows, columns, cells and 4 x 4 blocks inside the
modules and from pixel to pixel, whose amplitude is Gaussian with a width fitted to the window itself.
With C = diag(v) + H U diag(tau^2) U' H, the flux of a source with shadow s is s'C^-1 x / s'C^-1 s:
structure and sources are weighed against each other in one linear system, and nothing that could be a
source is flattened away first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations_with_replacement

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.linalg import cho_factor, cho_solve, cholesky, solve_triangular

from integral_oda.arrays import Array, IntArray
from integral_oda.imaging.shadowgram import Shadowgram
from integral_oda.imaging.surfaces import smooth_surfaces, structure_groups

__all__ = ["GROUPS", "Covariance", "StructureWidths", "fit_widths", "non_negative_fit"]


GROUPS = ("row", "column", "cell", "block", "asic", "common_row", "common_column", "common_cell")
_NESTED = ("asic", "block")
"""Groups each inside one of the next kind: they are inverted one by one, beside the noise, not in the matrix of all."""
_RIDGE = 1e-6
_ROUNDING, _MOST_SETS = 1e-12, 3


@dataclass(frozen=True)
class StructureWidths:
    """Relative 1 sigma widths of the structure's prior; ``pixel`` is independent from pixel to pixel."""

    row: float = 0.0
    column: float = 0.0
    cell: float = 0.0
    block: float = 0.0
    pixel: float = 0.0
    asic: float = 0.0
    common_row: float = 0.0
    common_column: float = 0.0
    common_cell: float = 0.0


def fit_widths(shadowgram: Shadowgram, design: Array, rounds: int = 2) -> StructureWidths:
    """Estimate the prior's widths from the excess scatter of row, column, block and pixel sums.

    Parameters
    ----------
    shadowgram : Shadowgram
    design : ndarray
        ``(n_usable, n_sources)`` counts of each known source at unit flux; fitted beside the structure.

    Returns
    -------
    StructureWidths
        Moment estimates; no group's estimate takes the scatter of another for its own.
    """
    widths = StructureWidths()
    for _ in range(rounds):
        covariance = Covariance(shadowgram, widths)
        residual = covariance.residual(shadowgram.excess, design)
        widths = _moment_widths(shadowgram, residual)
    return widths


def _moment_widths(shadowgram: Shadowgram, residual: Array) -> StructureWidths:
    response, variance = shadowgram.flat(shadowgram.background_response), shadowgram.flat(shadowgram.variance)
    weight, pull = response**2 / variance, residual * response / variance
    squares = [float((np.bincount(member, pull) ** 2).sum()) for member in _members(shadowgram).values()]
    excess = np.array([*squares, float((pull**2).sum())]) - weight.sum()
    overlap = _squared_overlaps(shadowgram.unflat(weight))
    # Of pure noise the sums have the covariance 2 x overlap: least squares in that metric
    root = cholesky(overlap + _RIDGE * np.diag(np.diag(overlap)), lower=True)
    squared = non_negative_fit(root.T, solve_triangular(root, excess, lower=True))
    return StructureWidths(**dict(zip((*GROUPS, "pixel"), map(float, np.sqrt(squared)), strict=True)))


def non_negative_fit(matrix: Array, values: Array) -> Array:
    """Least squares with unknowns that are not negative (Lawson & Hanson 1974, chapter 23).

    That of scipy.optimize, whose import takes as long as an image's sky maps.

    Parameters
    ----------
    matrix : ndarray
        ``(m, n)``.
    values : ndarray
        ``(m,)``.

    Returns
    -------
    ndarray
        ``(n,)``.
    """
    x, free = np.zeros(matrix.shape[1]), np.zeros(matrix.shape[1], dtype=bool)
    least = _ROUNDING * np.abs(matrix.T @ values).max(initial=0.0)
    for _ in range(_MOST_SETS * len(x)):
        slope = np.where(free, -np.inf, matrix.T @ (values - matrix @ x))
        if free.all() or slope.max() <= least:
            break
        free[slope.argmax()] = True
        x, free = _inside(matrix, values, x, free)
    return x


def _inside(matrix: Array, values: Array, x: Array, free: NDArray[np.bool_]) -> tuple[Array, NDArray[np.bool_]]:
    """Least squares of the free unknowns; those that would turn negative are bound to 0, one after the other."""
    while True:
        trial = np.zeros_like(x)
        trial[free] = np.linalg.lstsq(matrix[:, free], values)[0]
        negative = free & (trial <= 0)
        if not negative.any():
            return trial, free
        x = x + (x[negative] / (x[negative] - trial[negative])).min() * (trial - x)
        free = free & (x > _ROUNDING * x.max())


def _members(shadowgram: Shadowgram) -> dict[str, IntArray]:
    """Number of the group that each pixel belongs to, by kind of group; each ``(n_usable,)``."""
    numbers = structure_groups()
    return {name: numbers[name][shadowgram.usable] for name in GROUPS}


def _sizes() -> dict[str, int]:
    return {name: int(structure_groups()[name].max()) + 1 for name in GROUPS}


@cache
def _shared_cells() -> dict[tuple[str, str], IntArray]:
    """Number of what two kinds of groups have in common that each active pixel belongs to, for every pair of kinds."""
    numbers = structure_groups()
    active = numbers[GROUPS[0]] >= 0
    members = {name: numbers[name][active] for name in GROUPS}
    return {
        (a, b): np.unique(members[a] * _sizes()[b] + members[b], return_inverse=True)[1]
        for a, b in combinations_with_replacement(GROUPS, 2)
    }


def _squared_overlaps(weight: Array) -> Array:
    """Sum of the squared weights that groups of two kinds share, single pixels the last kind; ``(9, 9)``.

    Parameters
    ----------
    weight : ndarray
        ``(134, 130)``, 0 where not usable.
    """
    active = weight[structure_groups()[GROUPS[0]] >= 0]
    overlaps = np.full((len(GROUPS) + 1, len(GROUPS) + 1), (active**2).sum())
    for (a, b), cell in _shared_cells().items():
        i, j = GROUPS.index(a), GROUPS.index(b)
        overlaps[i, j] = overlaps[j, i] = (np.bincount(cell, active) ** 2).sum()
    return overlaps


def _some_a_row(values: Array, columns: IntArray, n_columns: int) -> sparse.csr_matrix:
    """Matrix of the values ``(n_rows, k)`` in the columns ``(n_rows, k)``."""
    pointer = np.arange(len(values) + 1) * values.shape[1]
    return sparse.csr_matrix((values.ravel(), columns.ravel(), pointer), shape=(len(values), n_columns))


def _nested_roots(groups: Sequence[tuple[IntArray, int, float]], response: Array, variance: Array) -> sparse.csr_matrix:
    """G of (diag(v) + sum of width^2 H H')^-1 = diag(1/v) - G G', H the response of groups inside one another.

    Parameters
    ----------
    groups : sequence of tuple
        Number of each pixel's group, how many groups there are and the width of the prior; the innermost kind first.
    response, variance : ndarray
        ``(n_usable,)``.
    """
    weighted, values = response / variance, []
    for member, size, width in groups:
        grown = 1 + width**2 * np.bincount(member, response * weighted, size)
        values.append(weighted * (width / np.sqrt(grown))[member])
        weighted = weighted / grown[member]
    members, sizes, _ = zip(*groups, strict=True)
    first = np.cumsum([0, *sizes])
    return _some_a_row(np.stack(values, axis=1), np.stack(members, axis=1) + first[:-1], int(first[-1]))


class Covariance:
    """C of a shadowgram and the solutions of C y = x with it.

    Parameters
    ----------
    shadowgram : Shadowgram
    widths : StructureWidths
        Of the prior.
    shapes : ndarray, optional
        ``(134, 130, n)`` shapes that the background takes freely, in place of `smooth_surfaces`.

    Attributes
    ----------
    smooth : ndarray
        ``(n_usable, n_shapes)`` counts of the free background: those shapes, the traits of the pixels, and a
        level that pixels answer to as they do to the sky.
    """

    def __init__(self, shadowgram: Shadowgram, widths: StructureWidths, shapes: Array | None = None) -> None:
        self.shadowgram, self.widths = shadowgram, widths
        shapes = smooth_surfaces() if shapes is None else shapes
        response = shadowgram.flat(shadowgram.background_response)
        self.variance = shadowgram.flat(shadowgram.variance) + (widths.pixel * response) ** 2
        sky = shadowgram.flat(shadowgram.source_response)
        level = response.sum() / max(sky.sum(), 1e-30)
        free = [shapes[shadowgram.usable], np.asarray(shadowgram.traits)[:, shadowgram.usable].T]
        self.smooth = np.column_stack([response[:, None] * np.column_stack(free), level * sky])
        members, sizes = _members(shadowgram), _sizes()
        nested = [(members[name], sizes[name], getattr(widths, name)) for name in _NESTED]
        self._nested = _nested_roots(nested, response, self.variance)
        used = [n for n in GROUPS if n not in _NESTED and getattr(widths, n)]
        first = np.cumsum([0, *(sizes[n] for n in used)])
        place = np.array([members[n] for n in used], dtype=int).reshape(len(used), len(response)).T + first[:-1]
        self._groups = _some_a_row(np.repeat(response[:, None], len(used), axis=1), place, int(first[-1]))
        precision = np.concatenate([np.zeros(0), *(np.full(sizes[n], getattr(widths, n) ** -2) for n in used)])
        self._factor = cho_factor(self._normal(precision), lower=True, overwrite_a=True, check_finite=False)

    def _normal(self, precision: Array) -> Array:
        """Lower triangle of the normal matrix of smooth shapes and groups, given the groups' prior precision."""
        n_smooth, groups = self.smooth.shape[1], self._groups
        weighted, shared = self._whitened(self.smooth), self._nested.T @ groups
        normal = np.zeros((n_smooth + len(precision),) * 2, order="F")
        normal[:n_smooth, :n_smooth] = self.smooth.T @ weighted
        normal[n_smooth:, :n_smooth] = groups.T @ weighted
        between = groups.T @ groups.multiply(1 / self.variance[:, None]) - shared.T @ shared
        normal[n_smooth:, n_smooth:] = between.toarray()
        normal[np.diag_indices_from(normal)] += np.concatenate([np.full(n_smooth, 1e-6), precision])
        return normal

    def solve(self, values: Array) -> Array:
        """C^-1 times one vector ``(n_usable,)`` or several ``(n_usable, n)``."""
        scaled = self._whitened(values)
        sums = np.concatenate([self.smooth.T @ scaled, self._groups.T @ scaled])
        shapes, groups = np.split(cho_solve(self._factor, sums, check_finite=False), [self.smooth.shape[1]])
        return scaled - self._whitened(self.smooth @ shapes + self._groups @ groups)

    def _whitened(self, values: Array) -> Array:
        """Inverse of noise and nested groups times one vector or several."""
        variance = self.variance if values.ndim == 1 else self.variance[:, None]
        result: Array = values / variance - self._nested @ (self._nested.T @ values)
        return result

    def structure(self, values: Array) -> Array:
        """Most probable background structure, smooth part and pixels' own included, in counts.

        ``(n_usable,)``, or ``(n_usable, n)`` of several vectors.
        """
        noise = self.shadowgram.flat(self.shadowgram.variance)
        return values - (noise if values.ndim == 1 else noise[:, None]) * self.solve(values)

    def fit(self, values: Array, design: Array) -> tuple[Array, Array]:
        """Amplitudes of the columns of a design and their covariance, structure marginalised."""
        if design.shape[1] == 0:
            return np.zeros(0), np.zeros((0, 0))
        weighted = self.solve(design)
        covariance = np.linalg.inv(design.T @ weighted)
        return covariance @ (weighted.T @ values), covariance

    def residual(self, values: Array, design: Array) -> Array:
        """What neither the design nor the smooth background explains, in counts."""
        amplitude, _ = self.fit(values, design)
        left = values - design @ amplitude
        normal = self.smooth.T @ (self.smooth / self.variance[:, None])
        return left - self.smooth @ np.linalg.lstsq(normal, self.smooth.T @ (left / self.variance))[0]
