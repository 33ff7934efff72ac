"""How a source changes with time: relative rate, its integral over good time, and arrival times."""

from __future__ import annotations

from functools import singledispatch

import numpy as np

from integral_oda.arrays import Array
from integral_oda.simulation.recipe import Constant, Flares, Outburst, Periodic

__all__ = ["draw_times", "mean_rate", "relative_rate"]

AnyBehaviour = Constant | Flares | Outburst | Periodic

_KNOTS = 256
_E_FOLDS = 20.0


@singledispatch
def relative_rate(behaviour: AnyBehaviour, time_s: Array) -> Array:
    """Rate at times (seconds from the start of the recipe), relative to the source's flux."""
    raise NotImplementedError(type(behaviour).__name__)


@relative_rate.register
def _(_behaviour: Constant, time_s: Array) -> Array:
    return np.ones_like(time_s)


@relative_rate.register
def _(behaviour: Flares, time_s: Array) -> Array:
    rate = np.full_like(time_s, behaviour.level)
    for flare in behaviour.flares:
        after = time_s - flare.at_s
        folds = np.where(after < 0, after / flare.rise_s, -after / flare.decay_s)
        rate += flare.amplitude * np.exp(folds)
    return rate


@relative_rate.register
def _(behaviour: Periodic, time_s: Array) -> Array:
    return 1 + behaviour.pulsed * np.sin(2 * np.pi * (time_s / behaviour.period_s + behaviour.phase))


@relative_rate.register
def _(behaviour: Outburst, time_s: Array) -> Array:
    after = time_s - behaviour.start_s
    rise = np.clip(after / behaviour.rise_s, 0.0, 1.0)
    return rise * np.exp(-np.clip(after - behaviour.rise_s, 0.0, None) / behaviour.decay_s)


def mean_rate(behaviour: AnyBehaviour, good_s: Array) -> float:
    """Mean of the relative rate over good time intervals, shape (n, 2), seconds."""
    good_time = float((good_s[:, 1] - good_s[:, 0]).sum())
    if isinstance(behaviour, Periodic):
        angle = 2 * np.pi * (good_s / behaviour.period_s + behaviour.phase)
        swing = behaviour.pulsed * behaviour.period_s / (2 * np.pi)
        return 1.0 + swing * float((np.cos(angle[:, 0]) - np.cos(angle[:, 1])).sum()) / good_time
    return float(_cumulative(behaviour, good_s)[1][-1]) / good_time


def draw_times(behaviour: AnyBehaviour, good_s: Array, n: int, rng: np.random.Generator) -> Array:
    """Draw ``n`` arrival times inside good time intervals, shape (n, 2), in no order."""
    if isinstance(behaviour, Periodic):
        return _draw_periodic(behaviour, good_s, n, rng)
    knots, cumulative = _cumulative(behaviour, good_s)
    return np.interp(rng.random(n) * cumulative[-1], cumulative, knots)


def _draw_periodic(behaviour: Periodic, good_s: Array, n: int, rng: np.random.Generator) -> Array:
    """Steady times thinned by the rate: exact for any period."""
    times = np.empty(0)
    while len(times) < n:
        trial = draw_times(Constant(), good_s, 2 * (n - len(times)), rng)
        kept = rng.random(len(trial)) * (1 + behaviour.pulsed) < relative_rate(behaviour, trial)
        times = np.concatenate([times, trial[kept]])
    return times[:n]


def _cumulative(behaviour: AnyBehaviour, good_s: Array) -> tuple[Array, Array]:
    """Knots inside the good time and the integral of the rate up to each; level across the gaps."""
    times = np.sort(np.concatenate([good_s.ravel(), *(_knots(behaviour, start, stop) for start, stop in good_s)]))
    middle = (times[1:] + times[:-1]) / 2
    inside = np.zeros(len(middle), bool)
    for start, stop in good_s:
        inside |= (middle > start) & (middle < stop)
    rate = relative_rate(behaviour, times)
    steps = np.where(inside, (rate[1:] + rate[:-1]) / 2 * np.diff(times), 0.0)
    return times, np.concatenate([[0.0], np.cumsum(steps)])


def _knots(behaviour: AnyBehaviour, start: float, stop: float) -> Array:
    """Times between which the rate is nearly straight."""
    if isinstance(behaviour, Constant):
        return np.empty(0)
    pieces = [np.linspace(start, stop, _KNOTS)]
    if isinstance(behaviour, Flares):
        folds = np.linspace(0, _E_FOLDS, _KNOTS)
        for flare in behaviour.flares:
            pieces += [flare.at_s - folds * flare.rise_s, flare.at_s + folds * flare.decay_s]
    if isinstance(behaviour, Outburst):
        pieces.append(np.array([behaviour.start_s, behaviour.start_s + behaviour.rise_s]))
    knots = np.concatenate(pieces)
    return knots[(knots > start) & (knots < stop)]
