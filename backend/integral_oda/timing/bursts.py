"""Bursts: short stretches in which a source is brighter than its own steady level, found on several time scales.

The statistic of a bin is the sum of the estimator's weights of its events, a rate of the source from
which the background has been taken off. Its chance probability comes from the cumulant generating
function of the Poisson counts of all pixels at the steady level, by the saddlepoint formula of Lugannani
& Rice (1980), exact to some per cent far into the tail and at any number of counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import log_ndtr, ndtri

from integral_oda.arrays import Array, IntArray
from integral_oda.timing.binning import good_time_before, good_time_per_bin
from integral_oda.timing.good_time import DAY_S, gaps, intersect, total_s, union

__all__ = ["SCALES_S", "Burst", "SourceStream", "TailTable", "find_bursts"]

SCALES_S = (0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.024, 2.048, 4.096, 8.192)
TRUNCATED_S = 0.5
"""A burst that a gap in the telemetry follows within this time is truncated."""
_LEAST_EXPOSURE = 0.3
_SIDE_SCALES = 3.0
_LEAST_SIDE_S = 0.1
_PEAK_S = 0.016
_LARGEST_TILT = 300.0
FILLED_BUFFER_S = 10.0
"""The telemetry buffer runs over up to so long after the burst that filled it (0.5 to 6.5 s in revolution 2559)."""
_FILLING_SIGMAS = 10.0
_SHORTEST_LOSS_S = 1.0
_BRIDGED_CHANCE = 0.01
_LONGEST_BRIDGE_SCALES = 4.0


@dataclass(frozen=True)
class SourceStream:
    """Events of one source's light curve with what each adds to its rate.

    Attributes
    ----------
    time_ijd : ndarray
        ``(n,)`` in order.
    weight : ndarray
        ``(n,)`` of the linear estimator, over the live share of the event's module: a sum over a time, divided by the
        good time, is a rate in counts/s.
    pixel_weights, expected : ndarray
        ``(n_pixels,)`` weight over the mean live share, and counts per second of good time at the steady level.
    good_ijd : ndarray
        ``(m, 2)`` good time.
    lost_ijd : ndarray
        ``(k, 2)`` gaps in the telemetry, inside the good time and between it.
    offset : float
        To add to a rate, counts/s.
    steady : float
        Mean rate at the steady level, counts/s.
    """

    time_ijd: Array
    weight: Array
    pixel_weights: Array
    expected: Array
    good_ijd: Array
    lost_ijd: Array
    offset: float = 0.0
    steady: float = 0.0


@dataclass(frozen=True)
class Burst:
    """One burst.

    Attributes
    ----------
    start_ijd, stop_ijd : float
        What the search found.
    scale_s : float
        Shortest time scale that shows it.
    false_alarm : float
        Chance that steady emission gives one such burst in the whole search.
    significance : float
        The bin's own chance probability as a number of Gaussian sigmas.
    t90_s, t90_start_ijd : float
        Time in which the middle 90 % of the counts above the steady level came.
    peak_flux, peak_flux_error : float
        counts/s above the steady level in the brightest 16 ms.
    fluence, fluence_error : float
        counts above the steady level.
    truncated : bool
        A gap in the telemetry cuts it: the fluence is a lower limit.
    """

    start_ijd: float
    stop_ijd: float
    scale_s: float
    false_alarm: float
    significance: float
    t90_s: float
    t90_start_ijd: float
    peak_flux: float
    peak_flux_error: float
    fluence: float
    fluence_error: float
    truncated: bool


class TailTable:
    """Chance that the weights of the events in a time add up to at least so much.

    Parameters
    ----------
    weights, expected : ndarray
        ``(n_pixels,)`` weight of an event, and events per second.
    """

    _GRID = 160
    _POINTS = 200

    def __init__(self, weights: Array, expected: Array) -> None:
        # Pixels of like weight behave alike: a histogram of the weights makes the generating function cheap
        edges = np.linspace(weights.min(), weights.max() * (1 + 1e-12) + 1e-300, self._GRID + 1)
        number = np.clip(np.searchsorted(edges, weights, side="right") - 1, 0, self._GRID - 1)
        rate = np.bincount(number, expected, self._GRID)
        mean = np.bincount(number, expected * weights, self._GRID) / np.maximum(rate, 1e-300)
        self._rate, self._weight = rate[rate > 0], mean[rate > 0]

    def log_chance(self, values: Array, length_s: float) -> Array:
        """Natural logarithm of the chance of sums at least as great, in a good time of so many seconds."""
        mean = length_s * float(self._rate @ self._weight)
        sigma = np.sqrt(length_s * float(self._rate @ self._weight**2))
        largest = float(np.max(values, initial=mean + 5 * sigma))
        tilts = self._tilts(largest, length_s)
        grown = np.exp(np.outer(tilts, self._weight))
        sums = length_s * (grown * self._weight) @ self._rate
        generating = length_s * (grown - 1) @ self._rate
        curvature = length_s * (grown * self._weight**2) @ self._rate
        root = np.sqrt(2 * np.maximum(tilts * sums - generating, 1e-300))
        # Barndorff-Nielsen's form of the saddlepoint tail stays positive far out
        lifted = root + np.log(np.maximum(tilts * np.sqrt(curvature) / root, 1e-300)) / root
        tail = log_ndtr(-lifted)
        return np.where(values <= sums[0], np.log(0.5), np.interp(values, sums, tail))

    def _tilts(self, largest: float, length_s: float) -> Array:
        scale = 1 / np.abs(self._weight).max()
        top = scale
        while length_s * float((np.exp(top * self._weight) * self._weight) @ self._rate) < largest:
            top *= 1.3
            if top > _LARGEST_TILT * scale:
                break
        return np.linspace(top / self._POINTS**1.5, top, self._POINTS)


def find_bursts(stream: SourceStream, scales_s: Sequence[float] = SCALES_S, false_alarm: float = 0.01) -> list[Burst]:
    """Search for bursts from the shortest time scale to the longest.

    Each scale has bins at two phases. What a shorter scale has found is cut out before a longer one looks; neighbours
    between which the source is brighter than its steady level, too, are one burst.

    Parameters
    ----------
    stream : SourceStream
    scales_s : sequence of float
        Bin lengths, s.
    false_alarm : float
        Chance that the whole search finds anything in steady emission.

    Returns
    -------
    list of Burst
        In order of time.
    """
    table = TailTable(stream.pixel_weights, stream.expected)
    trials = sum(2 * total_s(stream.good_ijd) / scale for scale in scales_s)
    limit = np.log(false_alarm / trials)
    found: list[tuple[float, float, float, float]] = []
    for scale in sorted(scales_s):
        left = _left(stream.good_ijd, found)
        if not len(left):
            break
        found += _excesses(stream, table, left, scale, limit)
    found = _together(stream, table, sorted(found))
    return _with_losses([_measure(stream, item, trials, found) for item in found], stream.lost_ijd)


def _together(
    stream: SourceStream, table: TailTable, found: list[tuple[float, float, float, float]]
) -> list[tuple[float, float, float, float]]:
    """Join neighbours where what lies between them is an excess as well."""
    joined: list[tuple[float, float, float, float]] = []
    for item in found:
        if joined and _bridged(stream, table, joined[-1], item):
            start, stop, scale, chance = joined.pop()
            least = min((chance, scale), (item[3], item[2]))
            joined.append((start, max(stop, item[1]), least[1], least[0]))
        else:
            joined.append(item)
    return joined


def _bridged(
    stream: SourceStream, table: TailTable, first: tuple[float, float, float, float], second: tuple[float, ...]
) -> bool:
    gap_s = (second[0] - first[1]) * DAY_S
    if gap_s <= _PEAK_S:
        return True
    lengths = [(item[1] - item[0]) * DAY_S for item in (first, second)]
    if gap_s > _LONGEST_BRIDGE_SCALES * max(*lengths, first[2], second[2], _LEAST_SIDE_S):
        return False
    low, high = np.searchsorted(stream.time_ijd, [first[1], second[0]])
    total = np.array([stream.weight[low:high].sum()])
    return bool(table.log_chance(total, gap_s)[0] < np.log(_BRIDGED_CHANCE))


def _with_losses(bursts: list[Burst], lost: Array) -> list[Burst]:
    """Mark the strongest burst before each long gap: it has filled the buffer that then ran over."""
    filled = set()
    for start, stop in lost[(lost[:, 1] - lost[:, 0]) * DAY_S > _SHORTEST_LOSS_S]:
        near = [
            k for k, b in enumerate(bursts) if stop - b.start_ijd > 0 and start - b.stop_ijd < FILLED_BUFFER_S / DAY_S
        ]
        near = [k for k in near if bursts[k].significance > _FILLING_SIGMAS]
        if near:
            filled.add(max(near, key=lambda k: bursts[k].fluence))
    return [replace(burst, truncated=burst.truncated or k in filled) for k, burst in enumerate(bursts)]


def _left(good: Array, found: Sequence[tuple[float, ...]]) -> Array:
    if not found:
        return good
    cut = union([(start - _side(scale), stop + _side(scale)) for start, stop, scale, _ in found])
    return intersect(good, gaps(cut, float(good[0, 0]), float(good[-1, 1])))


def _side(scale_s: float) -> float:
    """Time beside a burst that belongs to it, days."""
    return max(_SIDE_SCALES * scale_s, _LEAST_SIDE_S) / DAY_S


def _excesses(
    stream: SourceStream, table: TailTable, left: Array, scale: float, limit: float
) -> list[tuple[float, float, float, float]]:
    """Stretches of significant bins: start, stop, scale and logarithm of the least chance."""
    inside = np.searchsorted(left.ravel(), stream.time_ijd, side="right") % 2 == 1
    time, weight = stream.time_ijd[inside], stream.weight[inside]
    stretches = []
    for phase in (0.0, 0.5):
        edges = np.arange(left[0, 0] - phase * scale / DAY_S, left[-1, 1] + scale / DAY_S, scale / DAY_S)
        good = good_time_per_bin(edges, left)
        number = np.searchsorted(edges, time, side="right") - 1
        sums = np.bincount(number, weight, len(good))[: len(good)]
        asked = good > _LEAST_EXPOSURE * scale
        chance = np.zeros(len(good))
        # A bin of partial exposure is judged by a whole one's background, which is on the safe side
        chance[asked] = table.log_chance(sums[asked], scale)
        stretches += [(edges[k], edges[k + 1], chance[k]) for k in np.flatnonzero(asked & (chance < limit))]
    return [
        (start, stop, scale, min(c for a, b, c in stretches if a < stop and b > start))
        for start, stop in union([(a, b) for a, b, _ in stretches], closer_than_s=2 * _side(scale) * DAY_S)
    ]


def _measure(
    stream: SourceStream,
    item: tuple[float, float, float, float],
    trials: float,
    found: Sequence[tuple[float, float, float, float]],
) -> Burst:
    """T90, peak and fluence of a stretch and of what lies beside it, as far as the next burst."""
    start, stop, scale, log_chance = item
    low = max([start - _side(scale), *(s for _, s, *_ in found if s <= start)])
    high = min([stop + _side(scale), *(s for s, *_ in found if s >= stop)])
    first, last = np.searchsorted(stream.time_ijd, [low, high])
    time, weight = stream.time_ijd[first:last], stream.weight[first:last]
    steady = stream.steady - stream.offset
    grown = np.cumsum(weight) - steady * (
        good_time_before(time, stream.good_ijd) - good_time_before(np.array([low]), stream.good_ijd)
    )
    fluence = float(grown[-1]) if len(grown) else 0.0
    ends = [_reaches(grown, share * fluence, time, low) for share in (0.05, 0.95)]
    peak, peak_error = _peak(time, weight, steady)
    after = stream.lost_ijd[:, 0] - stop
    truncated = bool(((after > -_side(scale)) & (after < TRUNCATED_S / DAY_S)).any()) or bool(
        ((stream.lost_ijd[:, 1] > start) & (stream.lost_ijd[:, 0] < stop)).any()
    )
    return Burst(
        start_ijd=start,
        stop_ijd=stop,
        scale_s=scale,
        false_alarm=float(min(1.0, np.exp(min(log_chance + np.log(trials), 0.0)))),
        significance=float(_sigmas(log_chance)),
        t90_s=float((ends[1] - ends[0]) * DAY_S),
        t90_start_ijd=float(ends[0]),
        peak_flux=peak,
        peak_flux_error=peak_error,
        fluence=fluence,
        fluence_error=float(np.sqrt((weight**2).sum())),
        truncated=truncated,
    )


def _reaches(grown: Array, level: float, time: Array, otherwise: float) -> float:
    """First time at which a running sum reaches a level."""
    reached = np.flatnonzero(grown >= level)
    return float(time[reached[0]]) if len(reached) else otherwise


def _peak(time: Array, weight: Array, steady: float) -> tuple[float, float]:
    """Greatest rate above the steady level in a window of 16 ms that begins with an event, and its error."""
    if not len(time):
        return 0.0, 0.0
    last = np.searchsorted(time, time + _PEAK_S / DAY_S)
    sums = np.concatenate([[0.0], np.cumsum(weight)])
    squares = np.concatenate([[0.0], np.cumsum(weight**2)])
    begin: IntArray = np.arange(len(time))
    best = int(np.argmax(sums[last] - sums[begin]))
    value = (sums[last[best]] - sums[best]) / _PEAK_S - steady
    return float(value), float(np.sqrt(squares[last[best]] - squares[best]) / _PEAK_S)


def _sigmas(log_chance: float) -> float:
    """Gaussian sigmas of a one-sided chance given by its logarithm."""
    if log_chance > -700:
        return float(-ndtri(np.exp(log_chance)))
    # -log Q(x) = x^2/2 + log(x sqrt(2 pi)) far out
    x = np.sqrt(-2 * log_chance)
    for _ in range(20):
        x = np.sqrt(-2 * (log_chance + np.log(x * np.sqrt(2 * np.pi))))
    return float(x)
