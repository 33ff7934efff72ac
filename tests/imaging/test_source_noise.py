from __future__ import annotations

import numpy as np
import pytest

from integral_oda.imaging.source_noise import with_source_noise
from integral_oda.imaging.structure import Covariance, StructureWidths
from integral_oda.simulation.shadowgram import LitSource

BRIGHT, FAINT = (0.03, -0.04), (-0.06, 0.05)


@pytest.fixture(scope="module")
def lit(shadowgram_of):
    """Shadowgrams whose variance is that of the background alone, as the thresholds' fit gives it."""

    def make(flux: float, seed: int):
        from dataclasses import replace

        drawn = shadowgram_of([LitSource(*BRIGHT, flux)], np.random.default_rng(seed))
        return replace(drawn, variance=drawn.expected)

    return make


def test_a_bright_source_adds_its_counts_to_the_variance(lit):
    shadowgram = lit(300.0, 1)
    noisier = with_source_noise(shadowgram, shadowgram.shadows([BRIGHT], 50.0))
    added = (noisier.variance - shadowgram.variance)[shadowgram.usable]
    assert added.sum() == pytest.approx(300 * shadowgram.shadows([BRIGHT], 50.0).sum(), rel=0.03)


def test_a_faint_source_changes_nothing(lit):
    shadowgram = lit(1.0, 2)
    assert with_source_noise(shadowgram, shadowgram.shadows([BRIGHT, FAINT], 50.0)) is shadowgram
    assert with_source_noise(shadowgram, shadowgram.shadows([], 50.0)) is shadowgram


def test_errors_beside_a_bright_source_are_those_of_the_scatter(lit):
    pulls = []
    for seed in range(40):
        shadowgram = lit(300.0, 100 + seed)
        design = shadowgram.shadows([BRIGHT, FAINT], 50.0)
        noisier = with_source_noise(shadowgram, design)
        fluxes, covariance = Covariance(noisier, StructureWidths()).fit(noisier.excess, design)
        pulls += list((fluxes - [300.0, 0.0]) / np.sqrt(np.diag(covariance)))
    assert np.std(pulls) == pytest.approx(1.0, abs=0.25)
    assert abs(np.mean(pulls)) < 0.4
