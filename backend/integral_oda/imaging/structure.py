"""Covariance of a shadowgram: Poisson noise and the detector's own structure under a prior.

The background differs from its template by a smooth part (a level a module, low polynomials, a level
seen as the sky is), which is free, and by structure of rows, columns, cells and 4 x 4 blocks inside the
modules and from pixel to pixel, whose amplitude is Gaussian with a width fitted to the window itself.
With C = diag(v) + H U diag(tau^2) U' H, the flux of a source with shadow s is s'C^-1 x / s'C^-1 s:
structure and sources are weighed against each other in one linear system, and nothing that could be a
source is flattened away first.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.linalg import cho_factor, cho_solve, cholesky, solve_triangular
from scipy.optimize import nnls

from integral_oda.arrays import Array
from integral_oda.imaging.shadowgram import Shadowgram
from integral_oda.imaging.surfaces import smooth_surfaces, structure_groups

__all__ = ["GROUPS", "Covariance", "StructureWidths", "fit_widths"]


GROUPS = ("row", "column", "cell", "block", "asic", "common_row", "common_column", "common_cell")
_NESTED = "asic"
"""Groups so many that they are inverted one by one, beside the noise, not in the matrix of all others."""
_RIDGE = 1e-6


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
    weight = shadowgram.flat(shadowgram.background_response) ** 2 / shadowgram.flat(shadowgram.variance)
    pull = residual * shadowgram.flat(shadowgram.background_response) / shadowgram.flat(shadowgram.variance)
    members = [*_memberships(shadowgram).values(), sparse.identity(len(weight), format="csr")]
    overlap = np.zeros((len(members), len(members)))
    for i, j in zip(*np.triu_indices(len(members)), strict=True):
        overlap[i, j] = overlap[j, i] = _squared_overlap(members[i], members[j], weight)
    excess = np.array([((m.T @ pull) ** 2).sum() - weight.sum() for m in members])
    # Of pure noise the sums have the covariance 2 x overlap: least squares in that metric
    root = cholesky(overlap + _RIDGE * np.diag(np.diag(overlap)), lower=True)
    squared, _ = nnls(root.T, solve_triangular(root, excess, lower=True))
    return StructureWidths(**dict(zip((*GROUPS, "pixel"), map(float, np.sqrt(squared)), strict=True)))


def _memberships(shadowgram: Shadowgram) -> dict[str, sparse.csr_matrix]:
    """Which pixel belongs to which group, by kind of group; each ``(n_usable, n_groups)``."""
    matrices = {}
    for name in GROUPS:
        number = structure_groups()[name]
        group = number[shadowgram.usable]
        shape = (len(group), int(number.max()) + 1)
        matrices[name] = sparse.csr_matrix((np.ones(len(group)), (np.arange(len(group)), group)), shape=shape)
    return matrices


def _squared_overlap(a: sparse.csr_matrix, b: sparse.csr_matrix, weight: Array) -> float:
    shared = (a.T @ b.multiply(weight[:, None])).tocsr()
    return float((shared.data**2).sum())


def _nested_root(member: sparse.csr_matrix, response: Array, variance: Array, width: float) -> sparse.csr_matrix:
    """G of (diag(v) + width^2 H H')^-1 = diag(1/v) - G G', H the response of disjoint groups."""
    own = member.T @ (response**2 / variance)
    root = width / np.sqrt(1 + width**2 * own)
    return member.multiply((response / variance)[:, None]).multiply(root[None, :]).tocsr()


class Covariance:
    """C of a shadowgram and the solutions of C y = x with it.

    Parameters
    ----------
    shadowgram : Shadowgram
    widths : StructureWidths
        Of the prior.

    Attributes
    ----------
    smooth : ndarray
        ``(n_usable, n_shapes)`` counts of the free background: `smooth_surfaces`, and a level that pixels
        answer to as they do to the sky.
    """

    def __init__(self, shadowgram: Shadowgram, widths: StructureWidths) -> None:
        self.shadowgram, self.widths = shadowgram, widths
        response = shadowgram.flat(shadowgram.background_response)
        self.variance = shadowgram.flat(shadowgram.variance) + (widths.pixel * response) ** 2
        sky = shadowgram.flat(shadowgram.source_response)
        level = response.sum() / max(sky.sum(), 1e-30)
        self.smooth = np.column_stack([response[:, None] * smooth_surfaces()[shadowgram.usable], level * sky])
        members = _memberships(shadowgram)
        used = [n for n in GROUPS if n != _NESTED and getattr(widths, n)]
        structure = [members[n].multiply(response[:, None]).tocsr() for n in used]
        self._basis = sparse.hstack([sparse.csr_matrix(self.smooth), *structure], format="csr")
        self._nested = _nested_root(members[_NESTED], response, self.variance, getattr(widths, _NESTED))
        precision = [
            np.full(self.smooth.shape[1], 1e-6),
            *(np.full(members[n].shape[1], getattr(widths, n) ** -2) for n in used),
        ]
        shared = self._nested.T @ self._basis
        normal = (self._basis.T @ self._basis.multiply(1 / self.variance[:, None]) - shared.T @ shared).toarray()
        normal[np.diag_indices_from(normal)] += np.concatenate(precision)
        self._factor = cho_factor(normal, lower=True, overwrite_a=True, check_finite=False)

    def solve(self, values: Array) -> Array:
        """C^-1 times one vector ``(n_usable,)`` or several ``(n_usable, n)``."""
        scaled = self._whitened(values)
        structure = cho_solve(self._factor, self._basis.T @ scaled, check_finite=False)
        return scaled - self._whitened(self._basis @ structure)

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
