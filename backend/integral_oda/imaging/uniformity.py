"""Structure of the detector plane that is known from elsewhere: other energies, other windows (`stacking`).

From 40 to 120 keV what pixels, ASICs and blocks count departs from any smooth background by the same
shape at all energies (measured on a window of 2022: 8 % of scatter, the shape of 80-120 keV appears at
40-80 keV with 0.9 of its amplitude, at 12 sigma). So the most probable structure of a band just above the
one asked for is a template, fitted to it with one free amplitude. The catalogue's sources are fitted out of
the template whatever their spectrum; of any other source it takes a few percent along, by its spectrum,
which `Template.share` tells and the shadowgram's answer to a source allows for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from integral_oda.arrays import Array
from integral_oda.imaging.efficiency import source_counts_ratio
from integral_oda.imaging.shadowgram import Shadowgram
from integral_oda.imaging.structure import Covariance, StructureWidths
from integral_oda.instrument.detector import DETECTOR_SHAPE
from integral_oda.instrument.energy import EnergyBand
from integral_oda.instrument.pif import pixel_illumination

__all__ = ["Template", "apply_templates", "structure_template"]

NULL_DRAWS = 4
LEAST_SIGNIFICANCE = 5.0
"""A template whose amplitude is less significant than this is no part of the band's background."""
_PROBES = ((0.0, 0.0), (0.06, -0.05), (-0.12, 0.1), (0.15, 0.03))
"""Tangents of directions that a template's share of a source is measured at."""


@dataclass(frozen=True)
class Template:
    """Relative structure of the background.

    Attributes
    ----------
    relative : ndarray
        ``(134, 130)`` departure from the smooth background, relative to it.
    noise : ndarray
        ``(n, 134, 130)`` what Poisson draws of the fitted model make of it, less itself; n is 0 where that is
        negligible.
    source : ndarray
        ``(134, 130)`` what a source of one count/s in the template's own band adds, relative to the
        background, per unit of pixel illumination; 0 where the sources have moved.
    share : float
        Part of a source's modulation that the template takes along.
    e1_kev, e2_kev : float
        Band that it was made in.
    origin : str
        What it was made of.
    """

    relative: Array
    noise: Array
    source: Array
    share: float
    e1_kev: float
    e2_kev: float
    origin: str


def structure_template(
    covariance: Covariance,
    design: Array,
    band: EnergyBand,
    generator: np.random.Generator,
    origin: str,
    *,
    moving_sources: bool = False,
) -> Template:
    """Most probable structure of a shadowgram beside its sources.

    Parameters
    ----------
    covariance : Covariance
        Its prior's widths are fitted.
    design : ndarray
        ``(n_usable, n_sources)`` counts of each catalogue source at unit flux.
    band : EnergyBand
        Of the shadowgram.
    generator : `numpy.random.Generator`
        For the draws of the noise.
    origin : str
        Says what the shadowgram is of.
    moving_sources : bool
        Whether it is of other pointings, so that no source of the window it is for is in it.
    """
    shadowgram = covariance.shadowgram
    response = np.maximum(shadowgram.flat(shadowgram.background_response), 1e-30)
    fluxes, _ = covariance.fit(shadowgram.excess, design)
    left = shadowgram.excess - design @ fluxes
    structure = covariance.structure(left)
    plain = shadowgram.flat(shadowgram.counts) - left
    drawn = generator.poisson(np.clip(plain + structure, 0.0, None), (NULL_DRAWS, len(left)))
    drawn_structure = covariance.structure((drawn - plain).T).T
    share = 0.0 if moving_sources else _share_of_sources(covariance)
    return Template(
        relative=shadowgram.unflat(structure / response),
        noise=np.stack([shadowgram.unflat((draw - structure) / response) for draw in drawn_structure]),
        source=shadowgram.unflat(shadowgram.flat(shadowgram.source_response) / response),
        share=share,
        e1_kev=band.e1_kev,
        e2_kev=band.e2_kev,
        origin=origin,
    )


def _share_of_sources(covariance: Covariance) -> float:
    """Part of a source's shadow that is taken for structure, weighed as a fit of the source weighs it."""
    shadowgram = covariance.shadowgram
    response = shadowgram.flat(shadowgram.source_response)
    shadows = np.stack([pixel_illumination(*p)[shadowgram.usable] * response for p in _PROBES], axis=1)
    weighted = covariance.solve(shadows)
    taken = covariance.structure(shadows)
    return float(((weighted * taken).sum(axis=0) / (weighted * shadows).sum(axis=0)).mean())


def apply_templates(
    shadowgram: Shadowgram, templates: Sequence[Template], design: Array, band: EnergyBand, clean: Array
) -> Shadowgram:
    """The shadowgram with the templates in its expected counts, each with its fitted amplitude.

    Parameters
    ----------
    shadowgram : Shadowgram
    templates : sequence of Template
    design : ndarray
        ``(n_usable, n_sources)`` counts of each catalogue source at unit flux, fitted beside the amplitudes.
    band : EnergyBand
        Of the shadowgram.
    clean : ndarray
        ``(n_sources, 2)`` tangents of the sources that the templates are free of.

    Returns
    -------
    Shadowgram
        The same object where no template is significant.
    """
    if not templates:
        return shadowgram
    response = shadowgram.flat(shadowgram.background_response)
    columns = np.stack([response * shadowgram.flat(t.relative) for t in templates], axis=1)
    amplitudes, kept = _significant_amplitudes(shadowgram, columns, design)
    origins = [f"{a:.2f} x {t.origin}" for a, t, used in zip(amplitudes, templates, kept, strict=True) if used]
    if not kept.any():
        return shadowgram
    expected = columns @ amplitudes
    noise = np.zeros((NULL_DRAWS, *DETECTOR_SHAPE))
    lost = np.zeros(DETECTOR_SHAPE)
    for template, amplitude in zip(templates, amplitudes, strict=True):
        if len(template.noise):
            noise += amplitude * np.asarray(template.noise) * shadowgram.background_response
        ratio = source_counts_ratio(band, EnergyBand(template.e1_kev, template.e2_kev))
        lost += amplitude * template.share * ratio * template.source * shadowgram.background_response
    return replace(
        shadowgram,
        expected=shadowgram.expected + shadowgram.unflat(expected),
        source_response=np.maximum(shadowgram.source_response - lost, 0.0),
        template=shadowgram.unflat(expected),
        template_noise=noise,
        template_origin="; ".join(origins),
        clean_response=shadowgram.source_response,
        clean_tangents=clean,
    )


def _significant_amplitudes(shadowgram: Shadowgram, columns: Array, design: Array) -> tuple[Array, Array]:
    """Amplitudes of the templates beside the sources, 0 for those that the band does not show; and which are kept."""
    covariance = Covariance(shadowgram, StructureWidths())
    kept = np.any(columns, axis=0)
    amplitudes = np.zeros(columns.shape[1])
    for _ in range(columns.shape[1] + 1):
        fitted, errors = covariance.fit(shadowgram.excess, np.hstack([design, columns[:, kept]]))
        own = slice(design.shape[1], None)
        amplitudes[:] = 0.0
        amplitudes[kept] = fitted[own]
        weak = amplitudes[kept] < LEAST_SIGNIFICANCE * np.sqrt(np.diag(errors)[own])
        if not weak.any():
            break
        amplitudes[:] = 0.0
        kept[np.flatnonzero(kept)[weak]] = False
    return amplitudes, kept
