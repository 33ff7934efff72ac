from __future__ import annotations

import numpy as np
import pytest

from integral_oda.imaging.efficiency import band_response, levelled_response, mean_level, measure_pliancy, pixel_rates
from integral_oda.imaging.shadowgram import build_shadowgram
from integral_oda.imaging.thresholds import (
    CHANNELS,
    SPECTRUM_EDGES,
    PixelSpectra,
    at_thresholds,
    fit_thresholds,
    rebinned,
    refit_thresholds,
    threshold_sigma_kev,
)
from integral_oda.instrument.detector import OPEN_PIXELS, active_pixels
from integral_oda.instrument.energy import EnergyBand
from integral_oda.instrument.response import effective_area_cm2

REVOLUTION = 2559
SIGMA_KEV = threshold_sigma_kev(REVOLUTION)
N_PIXELS = 6000
BAND = EnergyBand(28.0, 80.0)


def turn_on(threshold_kev, energy_kev):
    """The law of the instrument's own software, integrated by hand: half a Gaussian's integral."""
    from scipy.stats import norm

    return norm.cdf((energy_kev - threshold_kev) / (1.41 / np.sqrt(2) * SIGMA_KEV))


@pytest.fixture(scope="module")
def simulated():
    """Spectra of pixels with thresholds like those of 2022, some 80 counts each."""
    rng = np.random.default_rng(51)
    true = rng.normal(35.5, 4.5, N_PIXELS).clip(25, 50)
    energy = CHANNELS + 0.25
    background = np.where(energy < 300, 1.2 * (energy / 60.0) ** -1.0, 0.0)
    drawn = rng.poisson(turn_on(true[:, None], energy) * background)
    first = np.searchsorted(CHANNELS, SPECTRUM_EDGES)
    counts = np.add.reduceat(drawn, first, axis=1)[:, :-1].astype(float)
    return true, PixelSpectra(counts, drawn.sum(axis=0).astype(float)), drawn


@pytest.fixture(scope="module")
def fitted(simulated):
    return fit_thresholds(simulated[1], SIGMA_KEV)


def test_expected_counts_are_those_drawn(simulated, fitted):
    counts = simulated[2][:, (CHANNELS >= 28) & (CHANNELS < 80)].sum(axis=1)
    response = band_response(fitted, BAND)
    assert response.expected.sum() == pytest.approx(counts.sum(), rel=0.01)
    # The excess has the variance that is claimed for it, the part taken up by the fit left out.
    assert np.mean((counts - response.expected) ** 2 / response.variance) == pytest.approx(1, abs=0.1)
    assert response.variance.mean() < 0.95 * counts.mean()


def test_a_pixel_that_switches_on_late_answers_less(fitted):
    response = band_response(fitted, BAND)
    order = np.argsort(fitted.energy_kev)
    early, late = order[:500], order[-500:]
    assert np.all((response.efficiency > 0) & (response.efficiency <= 1))
    assert response.efficiency[early].mean() > 0.85 > 0.6 > response.efficiency[late].mean()
    assert np.all(response.source <= response.efficiency + 1e-9)


def test_far_above_the_thresholds_every_pixel_answers_in_full(fitted):
    response = band_response(fitted, EnergyBand(100.0, 200.0))
    assert response.efficiency == pytest.approx(np.ones(N_PIXELS), abs=1e-3)
    assert response.source == pytest.approx(np.ones(N_PIXELS), abs=0.02)


def test_a_relative_change_of_the_background_is_answered_as_claimed(simulated, fitted):
    # Ten per cent more events everywhere, thresholds fitted anew with the old background.
    rng = np.random.default_rng(52)
    spectra, drawn = simulated[1], simulated[2]
    more = rng.poisson(0.1 * turn_on(simulated[0][:, None], CHANNELS + 0.25) * fitted.background)
    first = np.searchsorted(CHANNELS, SPECTRUM_EDGES)
    added = np.add.reduceat(more, first, axis=1)[:, :-1]
    inside = (CHANNELS >= 28) & (CHANNELS < 80)
    before = drawn[:, inside].sum() - band_response(fitted, BAND).expected.sum()
    refitted = refit_thresholds(fitted, spectra.counts + added)
    after = (drawn + more)[:, inside].sum() - band_response(refitted, BAND).expected.sum()
    assert after - before == pytest.approx(0.1 * band_response(fitted, BAND).background.sum(), rel=0.1)


@pytest.mark.parametrize("counts_a_pixel", [0.05, 0.3])
@pytest.mark.parametrize("context", [False, True])
def test_a_faint_source_is_answered_as_claimed(simulated, fitted, counts_a_pixel, context):
    # The light that passes the fitted thresholds, which are then fitted anew with the old background.
    if context:
        fitted = fit_thresholds(simulated[1], SIGMA_KEV, offset_kev=np.round(simulated[0]) - 35)
    spectra, inside = simulated[1], (BAND.e1_kev <= CHANNELS) & (BAND.e2_kev > CHANNELS)
    known = measure_pliancy(fitted, spectra.counts)
    light = counts_a_pixel * at_thresholds(known.energy_kev, known.turn_on * _crab_in(inside))
    refitted = refit_thresholds(known, spectra.counts + rebinned(light))
    before, after = band_response(known, BAND), band_response(refitted, BAND)
    answer = light[:, inside].sum() - (after.expected - before.expected).sum()
    assert answer == pytest.approx(counts_a_pixel * before.source.sum(), rel=0.01)


def _crab_in(inside):
    """One count in the band at full efficiency, spread as the light of a faint source."""
    energy = CHANNELS + 0.25
    shape = effective_area_cm2(energy) * energy**-2.1
    return shape / shape[inside].sum()


def test_rates_between_edges_add_up_to_the_bands(fitted):
    background, source = pixel_rates(fitted, np.array([28.0, 40.0, 60.0, 80.0]), BAND)
    response = band_response(fitted, BAND)
    assert background.shape == (N_PIXELS, 3)
    assert background.sum(axis=1) == pytest.approx(response.expected, rel=1e-6)
    assert source.sum(axis=1) == pytest.approx(response.efficiency, rel=1e-6)


def test_the_mean_level_is_what_was_added(fitted):
    response = band_response(fitted, BAND)
    added = 0.2 * response.background + 3.0 * response.source
    # Both answers rise with the threshold alike, so that only their sum is well told.
    background, source = mean_level(response, added)
    told = background * response.background + source * response.source
    assert told == pytest.approx(added, rel=0.05)
    assert mean_level(response, np.zeros(N_PIXELS)) == pytest.approx((0, 0))


def test_a_level_is_expected_and_no_excess_is_left_of_it(fitted):
    response = band_response(fitted, BAND)
    levelled = band_response(fitted, BAND, (0.2, 3.0))
    assert levelled.expected - response.expected == pytest.approx(0.2 * response.background + 3.0 * response.source)
    assert levelled.efficiency == pytest.approx(response.efficiency)


def test_the_window_itself_tells_the_level(fitted):
    plain = band_response(fitted, BAND)
    counts = plain.expected + 0.2 * plain.background + 3.0 * plain.source
    levelled, same = levelled_response(fitted, BAND, counts), levelled_response(fitted, BAND, plain.expected)
    assert levelled.expected == pytest.approx(counts, rel=0.01)
    assert same.expected == pytest.approx(plain.expected)


def test_a_shadowgram_has_the_answers_of_its_pixels(fitted):
    usable = np.zeros((134, 130), bool)
    usable.ravel()[np.flatnonzero(active_pixels())[:N_PIXELS]] = True
    live = np.full((134, 130), 1500.0)
    live[60:] = 3000.0
    counts = np.random.default_rng(53).poisson(30, (134, 130)).astype(float)
    shadowgram = build_shadowgram(counts, usable, fitted, BAND, live)
    response = levelled_response(fitted, BAND, counts[usable])
    assert shadowgram.live_time_s == pytest.approx(live[usable].mean())
    assert shadowgram.flat(shadowgram.source_response) == pytest.approx(response.source * live[usable] / OPEN_PIXELS)
    assert shadowgram.excess == pytest.approx(counts[usable] - response.expected)
    for plane in (shadowgram.counts, shadowgram.expected, shadowgram.variance, shadowgram.efficiency):
        assert not plane[~usable].any()
    assert shadowgram.flat(shadowgram.variance).min() > 0
    assert np.array_equal(shadowgram.unflat(shadowgram.flat(shadowgram.counts)), shadowgram.counts)
