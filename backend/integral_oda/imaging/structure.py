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
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import nnls

from integral_oda.arrays import Array
from integral_oda.imaging.shadowgram import Shadowgram
from integral_oda.imaging.surfaces import smooth_surfaces, structure_groups

__all__ = ["GROUPS", "Covariance", "StructureWidths", "fit_widths"]


GROUPS = ("row", "column", "cell", "block")


@dataclass(frozen=True)
class StructureWidths:
    """Relative 1 sigma widths of the structure's prior; ``pixel`` is independent from pixel to pixel."""

    row: float = 0.0
    column: float = 0.0
    cell: float = 0.0
    block: float = 0.0
    pixel: float = 0.0


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
    members = [*_memberships(shadowgram), sparse.identity(len(weight), format="csr")]
    overlap = np.array([[_squared_overlap(a, b, weight) for b in members] for a in members])
    excess = np.array([((m.T @ pull) ** 2).sum() - weight.sum() for m in members])
    squared, _ = nnls(overlap / weight.sum(), excess / weight.sum())
    return StructureWidths(*(float(value) for value in np.sqrt(squared)))


def _memberships(shadowgram: Shadowgram) -> list[sparse.csr_matrix]:
    """Which pixel belongs to which row, column and block; each ``(n_usable, n_groups)``."""
    matrices = []
    for number in structure_groups().values():
        group = number[shadowgram.usable]
        shape = (len(group), int(number.max()) + 1)
        matrices.append(sparse.csr_matrix((np.ones(len(group)), (np.arange(len(group)), group)), shape=shape))
    return matrices


def _squared_overlap(a: sparse.csr_matrix, b: sparse.csr_matrix, weight: Array) -> float:
    shared = a.T @ b.multiply(weight[:, None]).tocsr()
    return float(shared.multiply(shared).sum())


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
        used = [(name, m) for name, m in zip(GROUPS, _memberships(shadowgram), strict=True) if getattr(widths, name)]
        structure = [m.multiply(response[:, None]).tocsr() for _, m in used]
        self._basis = sparse.hstack([sparse.csr_matrix(self.smooth), *structure], format="csr")
        precision = [
            np.full(self.smooth.shape[1], 1e-6),
            *(np.full(m.shape[1], getattr(widths, n) ** -2) for n, m in used),
        ]
        normal = (self._basis.T @ self._basis.multiply(1 / self.variance[:, None])).toarray()
        normal[np.diag_indices_from(normal)] += np.concatenate(precision)
        self._factor = cho_factor(normal, lower=True, overwrite_a=True, check_finite=False)

    def solve(self, values: Array) -> Array:
        """C^-1 times one vector ``(n_usable,)`` or several ``(n_usable, n)``."""
        inverse_variance = 1 / self.variance if values.ndim == 1 else 1 / self.variance[:, None]
        scaled = values * inverse_variance
        structure = cho_solve(self._factor, self._basis.T @ scaled, check_finite=False)
        return scaled - inverse_variance * (self._basis @ structure)

    def structure(self, values: Array) -> Array:
        """Most probable background structure, smooth part included, in counts ``(n_usable,)``."""
        amplitudes = cho_solve(self._factor, self._basis.T @ (values / self.variance), check_finite=False)
        return self._basis @ amplitudes

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
