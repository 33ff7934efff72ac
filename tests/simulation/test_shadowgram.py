from __future__ import annotations

import numpy as np
import pytest

from integral_oda.instrument.detector import active_pixels
from integral_oda.instrument.pif import pixel_illumination
from integral_oda.simulation.shadowgram import LitSource, draw_shadowgram, expected_shadowgram


def test_background_alone():
    expected = expected_shadowgram([], background_rate=500, live_time_s=1000)
    assert expected.shape == (134, 130)
    assert expected.sum() == pytest.approx(500_000)
    assert not expected[~active_pixels()].any()


def test_a_source_on_axis_counts_its_flux():
    expected = expected_shadowgram([LitSource(0.0, 0.0, 20.0)], background_rate=0, live_time_s=1000)
    assert expected.sum() == pytest.approx(20_000, rel=0.05)
    np.testing.assert_allclose(expected, 20_000 / 8192.4 * pixel_illumination(0.0, 0.0))


def test_efficiency_multiplies_everything_and_the_shape_the_background():
    source = LitSource(0.05, 0.02, 10.0)
    efficiency = np.random.default_rng(1).uniform(0.5, 1, (134, 130))
    shape = np.where(active_pixels(), np.linspace(0.5, 1.5, 130)[None, :], 0.0)
    together = expected_shadowgram([source], 300, 100, efficiency, shape)
    alone = expected_shadowgram([source], 0, 100) + expected_shadowgram([], 300, 100) * shape
    np.testing.assert_allclose(together, efficiency * alone)


def test_draws_are_poisson():
    expected = expected_shadowgram([LitSource(0.05, 0.02, 100.0)], 500, 1000)
    generator = np.random.default_rng(2)
    pulls = (draw_shadowgram(expected, generator) - expected)[active_pixels()] / np.sqrt(expected[active_pixels()])
    assert pulls.mean() == pytest.approx(0, abs=4 / 128)
    assert pulls.std() == pytest.approx(1, abs=4 / 128 / np.sqrt(2))


def test_a_seed_gives_one_draw():
    expected = np.full((134, 130), 3.0)
    first, again, other = (draw_shadowgram(expected, np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
