from __future__ import annotations

import numpy as np
import pytest

from integral_oda.imaging.efficiency import band_response
from integral_oda.imaging.null import draw_null_excesses
from integral_oda.imaging.shadowgram import build_shadowgram
from integral_oda.imaging.structure import Covariance, StructureWidths
from integral_oda.imaging.thresholds import CHANNELS, Thresholds
from integral_oda.instrument.detector import OPEN_PIXELS, active_pixels
from integral_oda.instrument.energy import EnergyBand
from integral_oda.instrument.pif import pixel_illumination

BAND = EnergyBand(30.0, 60.0)
LIVE_TIME_S = 2500.0
PLACE = (0.02, -0.03)


@pytest.fixture(scope="module")
def thresholds():
    energy = np.random.default_rng(61).normal(35, 4, 16384)
    background = np.where(CHANNELS < 300, 0.8 * ((CHANNELS + 0.25) / 60) ** -1.0, 0.0)
    return Thresholds(energy, 3.9, 35.0, 4.4, background)


@pytest.fixture(scope="module")
def covariance(thresholds):
    live = np.where(active_pixels(), LIVE_TIME_S, 0.0)
    counts = np.zeros((134, 130))
    counts[active_pixels()] = band_response(thresholds, BAND).expected
    return Covariance(build_shadowgram(counts, active_pixels(), thresholds, BAND, live), StructureWidths())


def drawn(thresholds, source=0.0, structure=0.0, seed=62):
    n = len(thresholds.energy_kev)
    source_counts = np.broadcast_to(source, n)
    rng = np.random.default_rng(seed)
    background = band_response(thresholds, BAND).expected * (1 + np.broadcast_to(structure, n))
    return next(draw_null_excesses(thresholds, BAND, source_counts, background, rng))


def test_background_alone_leaves_its_noise(covariance, thresholds):
    excess = drawn(thresholds)
    assert excess.mean() == pytest.approx(0, abs=0.15)
    assert np.mean(excess**2 / covariance.variance) == pytest.approx(1, abs=0.06)


def test_a_source_is_seen_with_its_flux(covariance, thresholds):
    flux = 60.0
    lit = pixel_illumination(*PLACE)[active_pixels()]
    excess = drawn(thresholds, flux * lit * LIVE_TIME_S / OPEN_PIXELS)
    shadowgram = covariance.shadowgram
    design = (lit * shadowgram.flat(shadowgram.source_response))[:, None]
    fluxes, errors = covariance.fit(excess, design)
    assert np.sqrt(errors[0, 0]) < 2
    assert fluxes[0] == pytest.approx(flux, abs=0.1 * flux)


def test_a_pattern_of_more_background_is_seen_as_the_response_says(covariance, thresholds):
    pattern = np.random.default_rng(63).random(16384) < 0.5
    excess = drawn(thresholds, structure=np.where(pattern, 0.1, 0.0))
    response = covariance.shadowgram.flat(covariance.shadowgram.background_response)
    contrast = excess[pattern].mean() - excess[~pattern].mean()
    assert contrast == pytest.approx(0.1 * response.mean(), rel=0.15)


def test_a_seed_gives_one_draw(thresholds):
    assert np.array_equal(drawn(thresholds), drawn(thresholds))
    assert not np.array_equal(drawn(thresholds), drawn(thresholds, seed=63))
