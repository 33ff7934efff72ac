"""Evidence for a source when the smooth background has a prior of fitted width, as its structure has.

A flux fitted beside a free smooth background is safe from any gradient, but says nothing of the level inside the
footprint of the mask: a partially coded source adds counts to all of it, its ghost to another part of the detector and
a chance excess to none. How far that level can be believed is told by the window: the smooth amplitudes are Gaussian
with a width that is fitted with the source and without it. Where the background is uneven the width is large, and the
evidence is that of the free background.
"""

from __future__ import annotations

import numpy as np

from integral_oda.arrays import Array
from integral_oda.imaging.structure import Covariance
from integral_oda.imaging.surfaces import smooth_surfaces
from integral_oda.instrument.detector import DETECTOR_SHAPE

__all__ = ["Evidence", "level_alone"]

_VARIANCES = np.concatenate([[0.0], np.geomspace(1e-8, 1e2, 61)])
"""Of the smooth amplitudes, relative to the level: from far below what counts can tell to as good as free."""


def level_alone(covariance: Covariance) -> Covariance:
    """The same noise and structure; of the background only its level and the traits of the pixels are free."""
    return Covariance(covariance.shadowgram, covariance.widths, np.ones((*DETECTOR_SHAPE, 1)))


class Evidence:
    """Gain in likelihood of one further source, the smooth background marginalised under its prior.

    Parameters
    ----------
    covariance : Covariance
        From `level_alone`.
    others : ndarray
        ``(n_usable, n_others)`` counts of the other sources at unit flux, their fluxes free.

    Attributes
    ----------
    width : float
        Relative 1 sigma width of the smooth amplitudes that is most probable without the further source.
    """

    def __init__(self, covariance: Covariance, others: Array) -> None:
        self._covariance, self._others = covariance, others
        self._weighted = covariance.solve(others)
        self._normal = np.linalg.inv(others.T @ self._weighted)
        shadowgram = covariance.shadowgram
        response = shadowgram.flat(shadowgram.background_response)
        shapes = response[:, None] * smooth_surfaces()[shadowgram.usable]
        solved = self._solve(shapes)
        information, axes = np.linalg.eigh(shapes.T @ solved)
        information = np.maximum(information, 0.0)
        self._shapes, self._excess = solved @ axes, self._solve(shadowgram.excess[:, None])[:, 0]
        self._pull = self._shapes.T @ shadowgram.excess
        self._taken = _VARIANCES[:, None] / (1 + _VARIANCES[:, None] * information)
        self._without = self._taken @ self._pull**2 - np.log1p(_VARIANCES[:, None] * information).sum(axis=1)
        self.width = float(np.sqrt(_VARIANCES[self._without.argmax()]))

    def _solve(self, values: Array) -> Array:
        """Inverse covariance times several vectors, the other sources marginalised."""
        solved: Array = self._covariance.solve(values) - self._weighted @ (self._normal @ (self._weighted.T @ values))
        return solved

    def __call__(self, shadows: Array) -> Array:
        """Gain of ln L, times two, from one more source of positive flux, for each of several shadows.

        The prior's width is the most probable one with the source and without it.

        Parameters
        ----------
        shadows : ndarray
            ``(n_usable, n)`` counts at unit flux.

        Returns
        -------
        ndarray
            ``(n,)``.
        """
        shared = self._shapes.T @ shadows
        score = self._excess @ shadows - self._taken @ (self._pull[:, None] * shared)
        information = np.einsum("ij,ij->j", shadows, self._solve(shadows)) - self._taken @ shared**2
        gained = np.where(score > 0, score**2 / np.maximum(information, 1e-30), 0.0)
        best: Array = (self._without[:, None] + gained).max(axis=0) - self._without.max()
        return best
