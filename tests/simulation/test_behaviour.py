from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import kstest

from integral_oda.simulation.behaviour import draw_times, mean_rate, relative_rate
from integral_oda.simulation.recipe import Constant, Flare, Flares, Outburst, Periodic

GOOD = np.array([[10.0, 60.0], [70.0, 200.0]])
BEHAVIOURS = [
    Constant(),
    Flares(level=0.5, flares=(Flare(at_s=40, amplitude=30, rise_s=0.5, decay_s=3), Flare(at_s=65, amplitude=99))),
    Flares(level=0.0, flares=(Flare(at_s=100, amplitude=1000, rise_s=0.001, decay_s=0.002),)),
    Periodic(period_s=7.0, pulsed=1.0, phase=0.2),
    Periodic(period_s=0.0017, pulsed=0.3),
    Outburst(start_s=30, rise_s=20, decay_s=40),
]


def integral(behaviour, start, stop):
    corners = [0.0, 30, 50]
    for flare in getattr(behaviour, "flares", ()):
        corners += [flare.at_s - 15 * flare.rise_s, flare.at_s, flare.at_s + 15 * flare.decay_s]
    if isinstance(behaviour, Periodic) and behaviour.period_s < 1:
        return stop - start
    inside = [corner for corner in corners if start < corner < stop]
    return quad(lambda t: float(relative_rate(behaviour, np.array([t]))[0]), start, stop, points=inside, limit=500)[0]


@pytest.mark.parametrize("behaviour", BEHAVIOURS)
def test_mean_rate_is_the_integral_over_good_time(behaviour):
    expected = sum(integral(behaviour, start, stop) for start, stop in GOOD) / 180
    assert mean_rate(behaviour, GOOD) == pytest.approx(expected, rel=0.002)


@pytest.mark.parametrize("behaviour", BEHAVIOURS)
def test_times_follow_the_rate_inside_the_good_time(behaviour):
    times = draw_times(behaviour, GOOD, 4000, np.random.default_rng(5))
    assert times.shape == (4000,)
    assert (((times >= 10) & (times <= 60)) | ((times >= 70) & (times <= 200))).all()
    grid = np.unique(
        np.concatenate([np.linspace(10, 60, 40001), np.linspace(70, 200, 90001), np.linspace(99.9, 100.1, 20001)])
    )
    middle = (grid[1:] + grid[:-1]) / 2
    weight = np.where((middle > 60) & (middle < 70), 0.0, relative_rate(behaviour, middle)) * np.diff(grid)
    cumulative = np.concatenate([[0.0], np.cumsum(weight)]) / weight.sum()
    assert kstest(times, lambda t: np.interp(t, grid, cumulative)).pvalue > 0.001


def test_phases_of_a_fast_pulsar():
    behaviour = BEHAVIOURS[4]
    phase = draw_times(behaviour, GOOD, 100_000, np.random.default_rng(1)) / behaviour.period_s % 1
    amplitude = 2 * np.mean(np.sin(2 * np.pi * phase))
    assert amplitude == pytest.approx(0.3, abs=4 * np.sqrt(2 / 100_000))


def test_an_outburst_starts_rises_and_decays():
    rate = relative_rate(Outburst(start_s=100, rise_s=50, decay_s=200), np.array([0, 100, 125, 150, 350.0]))
    np.testing.assert_allclose(rate, [0, 0, 0.5, 1, np.exp(-1)])
