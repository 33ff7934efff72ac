"""What a bright source leaks into a faint one, without noise, and its derivatives to the position."""

from __future__ import annotations

import numpy as np
import pytest

from integral_oda.engines.native.window_fit import bright_gradients
from integral_oda.instrument.detector import OPEN_PIXELS, active_pixels
from integral_oda.instrument.pif import pixel_illumination
from integral_oda.timing.light_curve import Estimator

BRIGHT, FAINT = (0.02, -0.03), (0.02 + np.deg2rad(3.0), -0.03)
CRAB, ENERGY = 150.0, 47.3
USED = active_pixels()


def shadow(place):
    return pixel_illumination(*place, energy_kev=ENERGY)[USED] / OPEN_PIXELS


def leak(offset_arcmin, angle, *, free_position=True):
    """Share of the bright source's rate that the faint one's gets."""
    step = np.deg2rad(offset_arcmin / 60) * np.array([np.cos(angle), np.sin(angle)])
    assumed = tuple(np.array(BRIGHT) + step)
    background = np.full(int(USED.sum()), 150.0 / USED.sum())
    gradients = bright_gradients([assumed] if free_position else [], ENERGY)[USED] / OPEN_PIXELS
    shadows = np.column_stack([shadow(assumed), shadow(FAINT)])
    estimator = Estimator.from_model(shadows, background, np.array([CRAB, 0.01 * CRAB]), gradients)
    seen = CRAB * shadow(BRIGHT) + 0.01 * CRAB * shadow(FAINT) + background
    return (seen @ estimator.weights[:, 1] - 0.01 * CRAB) / CRAB


ANGLES = np.linspace(0, 2 * np.pi, 6, endpoint=False)


def test_nothing_leaks_from_the_right_place():
    assert abs(leak(0.0, 0.0)) < 1e-9


def test_little_leaks_from_a_place_that_is_a_little_wrong():
    assert max(abs(leak(0.2, angle)) for angle in ANGLES) < 0.0005


def test_a_free_position_is_what_stops_the_leak():
    free, held = (max(abs(leak(0.2, a, free_position=f)) for a in ANGLES) for f in (True, False))
    assert free < 0.5 * held


def test_gradients_are_differences():
    gradients = bright_gradients([BRIGHT], ENERGY)
    moved = pixel_illumination(BRIGHT[0] + 5e-5, BRIGHT[1], ENERGY) - pixel_illumination(BRIGHT[0], BRIGHT[1], ENERGY)
    assert gradients.shape == (*USED.shape, 2)
    assert np.corrcoef((gradients[..., 0] * 5e-5)[USED], moved[USED])[0, 1] > 0.95
    assert bright_gradients([], ENERGY).shape == (*USED.shape, 0)


@pytest.mark.parametrize("flux", [0.0, 5.0])
def test_a_free_position_costs_no_accuracy(flux):
    background = np.full(int(USED.sum()), 150.0 / USED.sum())
    shadows = np.column_stack([shadow(BRIGHT), shadow(FAINT)])
    plain = Estimator.from_model(shadows, background, np.array([CRAB, flux]))
    gradients = bright_gradients([BRIGHT], ENERGY)[USED] / OPEN_PIXELS
    free = Estimator.from_model(shadows, background, np.array([CRAB, flux]), gradients)
    assert free.mean_variance[1] == pytest.approx(plain.mean_variance[1], rel=0.01)
