"""Traits of the pixels: what their rise times tell, and that structure which follows them is fitted away."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from integral_oda.imaging.given_plane import plane_of_efficiency, shadowgram_of_plane
from integral_oda.imaging.structure import Covariance, StructureWidths, fit_widths
from integral_oda.imaging.traits import free_of_sources, pixel_traits
from integral_oda.instrument.detector import DETECTOR_SHAPE, active_pixels
from integral_oda.instrument.pif import pixel_illumination

N_PIXELS = DETECTOR_SHAPE[0] * DETECTOR_SHAPE[1]
EVENTS_A_PIXEL = 100


@pytest.fixture(scope="module")
def window():
    """Events of pixels with rise times of their own, and how far off those are."""
    rng = np.random.default_rng(5)
    active = np.flatnonzero(active_pixels())
    own = np.zeros(N_PIXELS)
    own[active] = rng.normal(0, 5, len(active))
    pixel = rng.choice(active, EVENTS_A_PIXEL * len(active))
    energy = np.exp(rng.uniform(np.log(30), np.log(900), len(pixel)))
    rise = rng.normal(60 + 5 * np.log(energy / 100), 12) + own[pixel]
    return pixel, energy, np.clip(rise, 1, 200).astype(np.uint8), own.reshape(DETECTOR_SHAPE)


def test_the_mean_rise_time_of_a_pixel_is_told(window):
    pixel, energy, rise, own = window
    traits = pixel_traits(pixel, energy, np.full(len(rise), 60), rise)
    active = active_pixels()
    assert traits.shape == (1, *DETECTOR_SHAPE)
    assert np.corrcoef(traits[0][active], own[active])[0, 1] > 0.9
    assert traits[0][active].mean() == pytest.approx(0, abs=1e-5)
    assert traits[0][active].std() == pytest.approx(1, abs=1e-5)
    assert not traits[:, ~active].any()


def test_events_of_an_image_change_no_mean(window):
    """Ten more events at 40 keV in some pixels, a source: nothing is told of them."""
    pixel, energy, rise, _ = window
    lit = np.repeat(np.flatnonzero(active_pixels())[::2], 10)
    every, raw = np.append(pixel, lit), np.append(rise, np.full(len(lit), 30, np.uint8))
    more = pixel_traits(every, np.append(energy, np.full(len(lit), 40.0)), np.full(len(every), 60), raw)
    np.testing.assert_array_equal(more, traits_of(window))


def traits_of(window):
    pixel, energy, rise, _ = window
    return pixel_traits(pixel, energy, np.full(len(rise), 60), rise)


def test_events_that_are_not_kept_or_not_told_of_tell_nothing(window):
    pixel, energy, rise, _ = window
    for corrected, raw in ((np.full(len(rise), 130), rise), (np.full(len(rise), 60), None)):
        assert pixel_traits(pixel, energy, corrected, raw).shape == (0, *DETECTOR_SHAPE)


def test_few_events_tell_nothing(window):
    pixel, energy, rise, _ = window
    few = pixel_traits(pixel[::40], energy[::40], rise[::40], rise[::40])
    assert few.shape == (0, *DETECTOR_SHAPE)


def test_pixels_that_are_all_alike_have_no_trait():
    pixel = np.repeat(np.flatnonzero(active_pixels()), 30)
    rise = np.full(len(pixel), 60, np.uint8)
    assert not len(pixel_traits(pixel, np.full(len(pixel), 150.0), rise, rise))


def of_efficiency(counts, efficiency, live):
    return shadowgram_of_plane(plane_of_efficiency(counts, efficiency), 2000 / 0.7, live)


def test_structure_that_follows_a_trait_is_no_noise(window):
    """A tenth more or less counts where rise times are long: the scatter is Poisson's, a source's flux right."""
    own, traits = window[3], traits_of(window)
    rng = np.random.default_rng(6)
    active = active_pixels()
    place, flux, live = (0.02, -0.03), 30.0, np.where(active, 2000.0, 0.0)
    efficiency = active * 0.7
    plain = of_efficiency(np.zeros(DETECTOR_SHAPE), efficiency, live)
    shadow = pixel_illumination(*place) * plain.source_response
    mean = active * 60.0 * (1 + 0.1 * own / 5) + flux * shadow
    shadowgram = of_efficiency(rng.poisson(np.maximum(mean, 0)).astype(float), efficiency, live)
    pulls, widths = [], []
    for known in (np.zeros((0, *DETECTOR_SHAPE)), traits):
        one = replace(shadowgram, traits=known)
        design = one.flat(shadow)[:, None]
        widths.append(fit_widths(one, design).pixel)
        fitted, error = Covariance(one, StructureWidths()).fit(one.excess, design)
        left = Covariance(one, StructureWidths()).residual(one.excess, design)
        pulls.append(float((left**2 / one.flat(one.variance)).mean()))
    assert abs(fitted[0] - flux) < 3 * np.sqrt(error[0, 0])
    assert pulls[0] > 1.4
    assert pulls[1] < 1.15
    assert widths[0] > 0.08
    assert widths[1] < 0.5 * widths[0]


def test_a_source_whose_own_events_rise_faster_keeps_its_flux():
    """Counts that follow the rise times, and a source that adds a seventh of hard events, 10 channels faster."""
    place, flux = (0.02, -0.03), 150.0
    pif, active = pixel_illumination(*place), active_pixels()
    rng = np.random.default_rng(8)
    own = np.where(active, rng.normal(0, 5, DETECTOR_SHAPE), 0.0)
    pixel = np.repeat(np.arange(N_PIXELS), np.where(active, 90, 0).ravel())
    lit = np.repeat(np.arange(N_PIXELS), rng.poisson(13 * pif.ravel()))
    every = np.append(pixel, lit)
    rise = rng.normal(60, 15, len(every)) + own.ravel()[every]
    rise[len(pixel) :] -= 10
    energy = np.exp(rng.uniform(np.log(110), np.log(900), len(every)))
    traits = pixel_traits(every, energy, np.full(len(every), 60), np.clip(rise, 1, 116).astype(np.uint8))
    efficiency, live = active * 0.7, np.where(active, 2000.0, 0.0)
    shadow = pif * of_efficiency(np.zeros(DETECTOR_SHAPE), efficiency, live).source_response
    counts = rng.poisson(active * 40.0 * (1 + 0.06 * own / 5) + flux * shadow).astype(float)
    shadowgram = of_efficiency(counts, efficiency, live)
    fitted = []
    for known in (np.zeros((0, *DETECTOR_SHAPE)), traits, free_of_sources(traits, pif[None], active)):
        one = replace(shadowgram, traits=known)
        flux_of, _ = Covariance(one, StructureWidths()).fit(one.excess, one.flat(shadow)[:, None])
        fitted.append(float(flux_of[0]) / flux)
    assert abs(fitted[1] - fitted[0]) > 0.01
    assert abs(fitted[2] - fitted[0]) < 0.002


def test_a_source_that_does_not_show_leaves_the_traits_alone(window):
    traits, active = traits_of(window), active_pixels()
    np.testing.assert_array_equal(free_of_sources(traits, pixel_illumination(0.05, 0.05)[None], active), traits)
    np.testing.assert_array_equal(free_of_sources(traits, np.zeros((0, *DETECTOR_SHAPE)), active), traits)


def test_a_module_that_is_off_and_a_source_that_lights_no_pixel_do_no_harm(window):
    traits, usable = traits_of(window), active_pixels().copy()
    usable[:32, :64] = False
    pif = pixel_illumination(0.05, 0.05)
    lit_elsewhere = np.where(usable, 0.0, pif)
    shining = traits + np.float32(0.5) * pif.astype(np.float32)
    cleaned = free_of_sources(shining, np.stack([pif, lit_elsewhere]), usable)
    assert np.isfinite(cleaned).all()
    np.testing.assert_allclose(cleaned[0][usable], traits[0][usable], atol=0.06)
