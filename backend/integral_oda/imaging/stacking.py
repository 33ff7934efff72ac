"""Background structure from other science windows: the sources move over the detector, the pixels do not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from integral_oda.arrays import Array
from integral_oda.imaging.shadowgram import Shadowgram
from integral_oda.imaging.structure import Covariance, fit_widths
from integral_oda.imaging.uniformity import Template, structure_template
from integral_oda.instrument.energy import EnergyBand

__all__ = ["ResidualPlane", "stack_residuals", "stacked_template"]


@dataclass(frozen=True)
class ResidualPlane:
    """What a window counts above its fitted model in one band, sources taken away; 0 on unused pixels.

    Attributes
    ----------
    excess : ndarray
        ``(134, 130)`` counts above expected background and fitted sources.
    response : ndarray
        ``(134, 130)`` answer to a relative change of the background, counts.
    source_response : ndarray
        ``(134, 130)`` answer to a source, counts at unit flux and illumination.
    variance : ndarray
        ``(134, 130)`` of the excess.
    """

    excess: Array
    response: Array
    source_response: Array
    variance: Array


def stack_residuals(planes: Sequence[ResidualPlane]) -> Shadowgram:
    """The planes of several windows as one shadowgram."""
    excess, response, source, variance = (
        np.sum([np.asarray(getattr(plane, name), dtype=float) for plane in planes], axis=0)
        for name in ("excess", "response", "source_response", "variance")
    )
    usable = variance > 0
    return Shadowgram(
        usable=usable,
        counts=excess + response,
        expected=response,
        source_response=source,
        background_response=response,
        variance=variance,
        efficiency=np.where(usable, 1.0, 0.0),
        live_time_s=1.0,
    )


def stacked_template(
    planes: Sequence[ResidualPlane], band: EnergyBand, origin: str, generator: np.random.Generator
) -> Template:
    """Most probable structure of a background that several windows share.

    Parameters
    ----------
    planes : sequence of ResidualPlane
        Of windows other than the one that the template is for.
    band : EnergyBand
    origin : str
        Says which windows.
    generator : `numpy.random.Generator`
        For the draws of its noise.
    """
    shadowgram = stack_residuals(planes)
    no_source = np.zeros((int(shadowgram.usable.sum()), 0))
    covariance = Covariance(shadowgram, fit_widths(shadowgram, no_source))
    return structure_template(covariance, no_source, band, generator, origin, moving_sources=True)
