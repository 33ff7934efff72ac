from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from integral_oda.imaging.structure import Covariance, StructureWidths, fit_widths
from integral_oda.imaging.surfaces import structure_groups
from integral_oda.imaging.uniformity import NULL_DRAWS, apply_templates, structure_template
from integral_oda.instrument.detector import active_pixels
from integral_oda.instrument.energy import EnergyBand, neighbour_band
from integral_oda.simulation.shadowgram import LitSource

BAND, ABOVE = EnergyBand(40.0, 80.0), EnergyBand(80.0, 120.0)
KNOWN, UNKNOWN = (0.03, -0.04), (-0.05, 0.07)
NO_SOURCES = np.zeros((0, 2))
ASIC_WIDTH = 0.08


def structured(seed: int) -> np.ndarray:
    """Background shape with one factor for each group of 2 x 2 pixels."""
    asic = structure_groups()["asic"]
    factors = 1 + ASIC_WIDTH * np.random.default_rng(seed).standard_normal(asic.max() + 1)
    return np.where(active_pixels(), factors[asic], 0.0)


@pytest.fixture(scope="module")
def pair(shadowgram_of):
    """A band and the one above it, with the same structure; a known source shines in both."""

    def make(flux: float = 0.0, seed: int = 1, structure: bool = True):
        rng = np.random.default_rng(seed)
        shape = structured(5) if structure else None
        sources = [LitSource(*KNOWN, flux)] if flux else []
        return [shadowgram_of(sources, rng, background_shape=shape, background_rate=r) for r in (300.0, 400.0)]

    return make


def template_of(shadowgram, places=()):
    design = shadowgram.shadows(places, 98.0)
    covariance = Covariance(shadowgram, fit_widths(shadowgram, design))
    return structure_template(covariance, design, ABOVE, np.random.default_rng(3), "the band above")


def test_the_structure_of_the_band_above_is_expected(pair):
    band, above = pair()
    template = template_of(above)
    corrected = apply_templates(band, [template], band.shadows([], 57.0), BAND, NO_SOURCES)
    before, after = (fit_widths(s, np.zeros((int(s.usable.sum()), 0))).asic for s in (band, corrected))
    assert before == pytest.approx(ASIC_WIDTH, rel=0.15)
    assert after < 0.75 * before
    truth = structured(5)[band.usable] - 1
    assert np.corrcoef(template.relative[band.usable], truth)[0, 1] > 0.6


def test_where_there_is_no_structure_nothing_changes(pair):
    band, above = pair(structure=False)
    assert apply_templates(band, [template_of(above)], band.shadows([], 57.0), BAND, NO_SOURCES) is band


@pytest.mark.parametrize("flux", [0.0, 300.0])
def test_a_source_of_the_catalogue_keeps_its_flux(pair, flux):
    fitted = []
    for seed in range(2, 6):
        band, above = pair(flux, seed)
        design = band.shadows([KNOWN], 57.0)
        corrected = apply_templates(band, [template_of(above, [KNOWN])], design, BAND, np.array([KNOWN]))
        model = Covariance(corrected, StructureWidths(asic=ASIC_WIDTH))
        value, error = model.fit(corrected.excess, corrected.shadows([KNOWN], 57.0))
        fitted.append((value[0], error[0, 0] ** 0.5))
    values, errors = np.array(fitted).T
    assert abs(values.mean() - flux) < 3.5 * errors.mean() / 2


def test_what_the_template_takes_of_an_unknown_source_is_allowed_for(pair):
    """The difference that a source makes, band above included, over what is expected of it."""
    from integral_oda.imaging.efficiency import source_counts_ratio
    from integral_oda.instrument.pif import pixel_illumination

    band, above = pair()
    flux = 40.0
    shadow = pixel_illumination(*UNKNOWN)
    lit_band = replace(band, counts=band.counts + flux * shadow * band.source_response)
    ratio = source_counts_ratio(BAND, ABOVE)
    lit_above = replace(above, counts=above.counts + flux * ratio * shadow * above.source_response)
    fluxes = []
    for b, a in ((band, above), (lit_band, lit_above)):
        widths = StructureWidths(asic=ASIC_WIDTH)
        template = structure_template(
            Covariance(a, widths), a.shadows([], 98.0), ABOVE, np.random.default_rng(3), "the band above"
        )
        corrected = apply_templates(b, [template], b.shadows([], 57.0), BAND, NO_SOURCES)
        assert corrected is not b
        fluxes.append(Covariance(corrected, widths).fit(corrected.excess, corrected.shadows([UNKNOWN], 57.0))[0][0])
    assert fluxes[1] - fluxes[0] == pytest.approx(flux, rel=0.01)


def test_draws_of_the_model_tell_how_noisy_a_template_is(pair):
    template = template_of(pair()[1])
    assert template.noise.shape == (NULL_DRAWS, 134, 130)
    usable = template.noise[0] != 0
    error = (template.relative - (structured(5) - 1))[usable].std()
    assert template.noise[:, usable].std() == pytest.approx(error, rel=0.35)


@given(st.integers(30, 1998), st.integers(1, 400))
def test_a_neighbouring_band_never_shares_an_event(start, width):
    band = EnergyBand(start / 2, min((start + width) / 2, 1000.0))
    above = neighbour_band(band)
    if above is not None:
        assert band.e2_kev <= above.e1_kev < above.e2_kev <= 1000
        assert (above.e2_kev * 2).is_integer()
    else:
        assert band.e2_kev > 660


@settings(max_examples=10)
@given(st.floats(0.2, 2.0))
def test_the_amplitude_of_a_template_is_fitted(pair, scale):
    band, above = pair()
    template = template_of(above)
    scaled = replace(template, relative=scale * template.relative)
    plain, other = (apply_templates(band, [t], band.shadows([], 57.0), BAND, NO_SOURCES) for t in (template, scaled))
    assert np.allclose(plain.expected, other.expected, rtol=1e-6)
