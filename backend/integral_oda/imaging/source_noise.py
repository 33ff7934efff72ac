"""Noise of bright sources: what they add to the counts of a pixel they add to its variance."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from integral_oda.arrays import Array
from integral_oda.imaging.shadowgram import Shadowgram
from integral_oda.imaging.structure import Covariance, StructureWidths

__all__ = ["with_source_noise"]

_BRIGHT_SIGNIFICANCE = 10.0
_LEAST_SHARE = 0.2
_FAINT_SHARE = 0.02
"""Counts of sources over variance that change no error by more than a hundredth."""


def with_source_noise(shadowgram: Shadowgram, design: Array, *, in_background: bool = False) -> Shadowgram:
    """The shadowgram with the Poisson noise of its significant sources; itself where they are faint.

    Parameters
    ----------
    shadowgram : Shadowgram
        Its variance is that of the background, and of sources that were added before.
    design : ndarray
        ``(n_usable, n_sources)`` counts of each source at unit flux.
    in_background : bool
        Whether the mean counts of the sources were taken for background, so that their noise is in the variance.
    """
    if not design.shape[1]:
        return shadowgram
    fluxes, covariance = Covariance(shadowgram, StructureWidths()).fit(shadowgram.excess, design)
    bright = fluxes > _BRIGHT_SIGNIFICANCE * np.sqrt(np.diag(covariance))
    counts = design[:, bright] @ fluxes[bright]
    if in_background:
        counts = counts - counts.mean()
    if (counts <= _FAINT_SHARE * shadowgram.flat(shadowgram.variance)).all():
        return shadowgram
    before = shadowgram.flat(shadowgram.variance)
    return replace(shadowgram, variance=shadowgram.unflat(np.maximum(before + counts, _LEAST_SHARE * before)))
