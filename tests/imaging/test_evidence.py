from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from integral_oda.imaging.evidence import Evidence, level_alone
from integral_oda.imaging.search import FieldModel
from integral_oda.imaging.structure import Covariance, StructureWidths
from integral_oda.instrument.detector import DETECTOR_SHAPE, active_pixels
from integral_oda.simulation.shadowgram import LitSource

ENERGY_KEV = 50.0
FULLY, HALF, CORNER = (0.02, -0.03), (0.16, 0.02), (0.17, 0.15)
OTHER = (-0.12, 0.09)


def uneven(seed: int) -> np.ndarray:
    """Levels of the modules and a gradient, some 5 % each."""
    rows, columns = (np.linspace(-1, 1, n) for n in DETECTOR_SHAPE)
    levels = np.kron(1 + 0.05 * np.random.default_rng(seed).standard_normal((4, 2)), np.ones((34, 65)))
    return levels[: DETECTOR_SHAPE[0]] * (1 + 0.05 * (rows[:, None] + columns)) * active_pixels()


def ratio(model: FieldModel, place: tuple[float, float]) -> float:
    """Evidence over gain in likelihood of a source at a place."""
    return float(model.evidence_at([])([place])[0] / model.likelihood_at([])([place])[0])


def drawn(covariance_of, place, significance, seed=None, **keywords):
    """Model of one draw of a source of a significance; of its mean without a seed."""
    error = float(np.sqrt(FieldModel(covariance_of(), ENERGY_KEV).fit([place])[1][0, 0]))
    rng = None if seed is None else np.random.default_rng(seed)
    return FieldModel(covariance_of([LitSource(*place, significance * error)], rng, **keywords), ENERGY_KEV)


def test_a_partially_coded_source_lights_its_footprint_too(covariance_of):
    ratios = [ratio(drawn(covariance_of, place, 7.0, seed=1), place) for place in (FULLY, HALF, CORNER)]
    assert ratios[0] == pytest.approx(1.0, abs=0.05)
    assert ratios[1] > 1.05
    assert ratios[2] > 1.05


def test_beside_an_uneven_background_it_is_the_gain_of_the_free_one(covariance_of):
    for seed in range(3):
        model = drawn(covariance_of, HALF, 7.0, seed=seed, background_shape=uneven(seed))
        assert Evidence(level_alone(model.covariance), model.design([])).width > 0.01
        assert ratio(model, HALF) == pytest.approx(1.0, abs=0.06)


def test_noise_alone_leaves_a_smooth_background_smooth(covariance_of):
    models = [FieldModel(covariance_of([], np.random.default_rng(seed)), ENERGY_KEV) for seed in range(5)]
    widths = [Evidence(level_alone(model.covariance), model.design([])).width for model in models]
    assert max(widths) < 0.004


def test_with_a_known_shape_it_is_the_gain_with_the_level_free(covariance_of):
    """The mean of an empty plane and a source: no amplitude is wanted, and the likelihood is that of one free level."""
    model = drawn(covariance_of, FULLY, 5.0)
    known = level_alone(model.covariance)
    shadow = model.shadow(FULLY)
    flux, variance = known.fit(known.shadowgram.excess, shadow[:, None])
    assert model.evidence_at([])([FULLY])[0] == pytest.approx(flux[0] ** 2 / variance[0, 0], rel=1e-6)


@settings(max_examples=10)
@given(st.floats(-50, 500))
def test_the_flux_of_other_sources_does_not_matter(covariance_of, flux):
    model = FieldModel(covariance_of([LitSource(*HALF, 20.0), LitSource(*OTHER, 30.0)]), ENERGY_KEV)
    shadowgram, other = model.covariance.shadowgram, model.design([OTHER])
    more = replace(shadowgram, counts=shadowgram.counts + shadowgram.unflat(flux * other[:, 0]))
    covariances = [level_alone(Covariance(s, StructureWidths())) for s in (shadowgram, more)]
    gains = [float(Evidence(covariance, other)(model.design([HALF]))[0]) for covariance in covariances]
    assert gains[1] == pytest.approx(gains[0], rel=1e-6)


def test_a_deficit_is_no_evidence(covariance_of):
    model = FieldModel(covariance_of([LitSource(*HALF, -20.0)]), ENERGY_KEV)
    assert model.evidence_at([])([HALF])[0] == pytest.approx(0.0, abs=1e-9)
