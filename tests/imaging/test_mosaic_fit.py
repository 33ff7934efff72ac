from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from integral_oda.imaging.mosaic_fit import FittedPeak, ImageNoise, PeakShape, fit_peaks, peak_image
from integral_oda.imaging.mosaic_search import SearchedMap, combined_map
from integral_oda.imaging.resampling import Resampling

SHAPE = (48, 52)
FORM = PeakShape()


def correlated_noise(generator, shape=SHAPE, sigma=FORM.correlation):
    rows, columns = (np.fft.fftfreq(size) for size in shape)
    power = np.exp(-2 * (np.pi * sigma) ** 2 * (rows[:, None] ** 2 + columns**2))
    return np.fft.ifft2(np.fft.fft2(generator.normal(size=shape)) * np.sqrt(power / power.mean())).real


@settings(max_examples=30)
@given(st.floats(-0.5, 0.5), st.floats(-0.5, 0.5), st.floats(1, 1e4))
def test_a_source_without_noise_comes_back_exactly(dx, dy, flux):
    image = peak_image(SHAPE, [FittedPeak(25 + dx, 20 + dy, flux, 1.0)], FORM)
    (found,) = fit_peaks(image, np.full(SHAPE, 1e-6), np.array([[25.0, 20.0]]), np.array([True]), FORM)
    assert found.flux == pytest.approx(flux, rel=1e-4)
    assert (found.column, found.row) == (pytest.approx(25 + dx, abs=1e-3), pytest.approx(20 + dy, abs=1e-3))


def test_near_sources_are_told_apart():
    sources = [FittedPeak(20.2, 20.1, 100.0, 1.0), FittedPeak(23.0, 21.4, 60.0, 1.0)]
    image = peak_image(SHAPE, sources, FORM)
    start = np.array([[20.0, 20.0], [23.0, 21.0]])
    for found, true in zip(fit_peaks(image, np.ones(SHAPE), start, np.ones(2, bool), FORM), sources, strict=True):
        assert found.flux == pytest.approx(true.flux, rel=2e-3)
        assert (found.column, found.row) == (pytest.approx(true.column, abs=0.01), pytest.approx(true.row, abs=0.01))


@pytest.mark.parametrize(("significance", "coverage"), [(6.0, (0.84, 0.96)), (20.0, (0.84, 0.96))])
def test_flux_error_and_radius_say_what_noise_does(significance, coverage):
    generator = np.random.default_rng(17)
    pulls, inside = [], []
    for _ in range(250):
        x, y = generator.uniform(24.5, 25.5, 2)
        image = correlated_noise(generator) + peak_image(SHAPE, [FittedPeak(x, y, significance, 1.0)], FORM)
        (found,) = fit_peaks(image, np.ones(SHAPE), np.array([[25.0, 25.0]]), np.array([True]), FORM)
        pulls.append((found.flux - significance) / found.flux_error)
        inside.append(np.hypot(found.column - x, found.row - y) <= found.radius_90)
    assert found.flux_error == pytest.approx(1, abs=0.05)
    assert np.mean(pulls) == pytest.approx(0, abs=0.2)
    assert np.std(pulls) == pytest.approx(1, abs=0.13)
    assert coverage[0] < np.mean(inside) < coverage[1]


def test_a_place_that_was_not_observed_has_no_flux():
    variance = np.ones(SHAPE)
    variance[:, 30:] = 0
    (found,) = fit_peaks(np.zeros(SHAPE), variance, np.array([[40.0, 20.0]]), np.array([False]), FORM)
    assert (found.flux, found.flux_error) == (0, float("inf"))
    assert fit_peaks(np.zeros(SHAPE), variance, np.zeros((0, 2)), np.zeros(0, bool), FORM) == []


def test_structure_wider_than_sources_is_measured_and_taken_from_their_flux():
    generator = np.random.default_rng(2)
    significance = correlated_noise(generator, (200, 200)) + 2 * correlated_noise(generator, (200, 200), 12.0)
    noise = ImageNoise.of(significance, np.ones((200, 200), bool))
    assert noise.sigma == pytest.approx(np.sqrt(5), rel=0.25)
    assert noise.level > 1
    assert ImageNoise.of(correlated_noise(generator, (200, 200)), np.ones((200, 200), bool)).level < 0.05
    plain = np.full(SHAPE, 3.0) + peak_image(SHAPE, [FittedPeak(25.0, 20.0, 10.0, 1.0)], FORM)
    place, fixed = np.array([[25.0, 20.0]]), np.array([False])
    (with_level,) = fit_peaks(plain, np.ones(SHAPE), place, fixed, FORM, level=100.0)
    (without,) = fit_peaks(plain, np.ones(SHAPE), place, fixed, FORM)
    assert abs(with_level.flux - 10) < 0.3 < abs(without.flux - 10)


@pytest.mark.parametrize("method", list(Resampling))
def test_resampling_widens_sources_and_noise_and_lowers_peaks(method):
    form = FORM.resampled(method, 1.0)
    assert form.psf_sigma > FORM.psf_sigma
    assert form.correlation > form.psf_sigma
    assert form.peak * form.psf_sigma**2 == pytest.approx(FORM.psf_sigma**2)
    assert form.peak > (0.99 if method is Resampling.CUBIC else 0.88)


def test_new_sources_stand_out_of_the_noise_of_the_map_itself():
    generator = np.random.default_rng(4)
    shape = (160, 160)
    sources = [FittedPeak(40.3, 50.2, 30.0, 1.0), FittedPeak(100.0, 90.4, 11.0, 1.0)]
    signal = peak_image(shape, sources, FORM)
    quiet = SearchedMap(correlated_noise(generator, shape) + signal, np.ones(shape), FORM)
    found = quiet.new_sources(np.zeros((0, 2)), 6.0)
    assert [(round(p.column), round(p.row)) for p in found] == [(40, 50), (100, 90)]
    loud = SearchedMap(2.2 * correlated_noise(generator, shape) + signal, np.ones(shape), FORM)
    assert [(round(p.column), round(p.row)) for p in loud.new_sources(np.zeros((0, 2)), 6.0)] == [(40, 50)]
    assert quiet.new_sources(np.array([[40.3, 50.2], [100.0, 90.4]]), 6.0) == []


def test_what_the_noise_of_the_map_or_a_bright_source_may_have_made_is_rejected():
    generator = np.random.default_rng(4)
    shape, places = (160, 160), np.array([[40.0, 50.0]])
    bright, beside, alone = (
        FittedPeak(*p, 1.0) for p in ((40.0, 50.0, 2000.0), (45.0, 50.0, 30.0), (100.0, 90.4, 9.0))
    )
    calm, loud = (factor * correlated_noise(generator, shape) for factor in (1.0, 2.0))
    variance = np.ones(shape)
    quiet = SearchedMap(calm + peak_image(shape, [bright, beside], FORM), variance, FORM)
    assert quiet.new_sources(places, 6.0) == []
    (rejected,) = quiet.rejected(places, 6.0)
    assert (rejected.beside, round(rejected.peak.column), round(rejected.peak.row)) == (0, 45, 50)
    noisy = SearchedMap(loud + peak_image(shape, [bright, alone], FORM), variance, FORM)
    found = noisy.rejected(places, 6.0)
    assert noisy.new_sources(places, 6.0) == []
    assert (100, 90) in [(round(r.peak.column), round(r.peak.row)) for r in found if r.beside is None]
    assert all(r.peak.significance >= 6 for r in found)
    assert all(r.peak.significance < 6 * r.noise for r in found if r.beside is None)
    assert noisy.rejected(places, 60.0) == []
    assert SearchedMap(calm, variance, FORM).rejected(places[:0], 6.0) == []


def test_bands_together_are_as_deep_as_their_information():
    ones = np.ones((5, 6))
    bands = [SearchedMap(3.0 * ones, 4.0 * ones, FORM), SearchedMap(6.0 * ones, 9.0 * ones, FORM)]
    both = combined_map(bands, [1.0, 2.0])
    assert np.allclose(both.flux, 3.0)
    assert np.allclose(both.variance, 1 / (1 / 4 + 4 / 9))
