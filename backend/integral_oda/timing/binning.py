"""Time bins: of equal length, given, or as the source changes; their good time, live time and gaps."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from integral_oda.arrays import Array
from integral_oda.timing.good_time import DAY_S

__all__ = [
    "block_edges",
    "fixed_edges",
    "good_time_before",
    "good_time_per_bin",
    "live_fraction",
    "silences",
    "touches",
]

SHORTEST_RATE_S = 0.2
"""A module's rate of all events is measured over at least so long, s.

In shorter bins the single event would carry its own dead time: at 0.2 s that is 0.06 % of a rate.
"""
_SILENCE_FOLDS = 25.0
_ROUNDING_S = 1e-6


def fixed_edges(start_ijd: float, stop_ijd: float, width_s: float) -> Array:
    """Edges of equal bins from ``start_ijd``; the last one ends at ``stop_ijd``; ``(n + 1,)`` IJD.

    What is left of the time after the last whole bin is a bin of its own unless it is below the rounding of IJD.
    """
    length_s = (stop_ijd - start_ijd) * DAY_S
    n_bins = max(int(np.ceil((length_s - min(_ROUNDING_S, width_s / 1000)) / width_s)), 1)
    edges = start_ijd + np.arange(n_bins + 1) * (width_s / DAY_S)
    edges[-1] = stop_ijd
    return edges


def good_time_before(time_ijd: Array, intervals_ijd: Array) -> Array:
    """Good time before each moment, s; intervals are in order."""
    starts, stops = intervals_ijd[:, 0], intervals_ijd[:, 1]
    before = np.concatenate([[0.0], np.cumsum(stops - starts)])
    number = np.searchsorted(starts, time_ijd, side="right")
    last = np.maximum(number - 1, 0)
    elapsed = np.where(number > 0, np.minimum(time_ijd, stops[last]) - starts[last], 0.0)
    return (before[last] + elapsed) * DAY_S


def good_time_per_bin(edges_ijd: Array, intervals_ijd: Array) -> Array:
    """Good time inside every bin, s; edges and intervals are in order."""
    return np.diff(good_time_before(edges_ijd, intervals_ijd))


def live_fraction(
    edges_ijd: Array,
    intervals_ijd: Array,
    time_ijd: Array,
    module: NDArray[np.integer],
    dead_fraction: Array,
    event_dead_time_s: float,
) -> Array:
    """Live share of the good time of every module and bin, from all of its events.

    A module is dead for a fixed time after each event. The mean dead fraction of the window, veto
    included, is given; what the bin's rate of events departs from the mean changes it.

    Parameters
    ----------
    edges_ijd : ndarray
        ``(n_bins + 1,)`` IJD.
    intervals_ijd : ndarray
        ``(m, 2)`` good time.
    time_ijd, module : ndarray
        ``(n,)`` all events of all energies, in order of time, and the module of each.
    dead_fraction : ndarray
        ``(n_modules,)`` mean over the good time.
    event_dead_time_s : float
        Time that one event costs its module.

    Returns
    -------
    ndarray
        ``(n_modules, n_bins)``.
    """
    middle, half = (edges_ijd[1:] + edges_ijd[:-1]) / 2, np.maximum(np.diff(edges_ijd), SHORTEST_RATE_S / DAY_S) / 2
    good_s = good_time_before(middle + half, intervals_ijd) - good_time_before(middle - half, intervals_ijd)
    total_s = float((intervals_ijd[:, 1] - intervals_ijd[:, 0]).sum() * DAY_S)
    live = np.empty((len(dead_fraction), len(middle)))
    for number, dead in enumerate(dead_fraction):
        own = time_ijd[module == number]
        own = own[np.searchsorted(intervals_ijd.ravel(), own, side="right") % 2 == 1]
        counts = np.searchsorted(own, middle + half) - np.searchsorted(own, middle - half)
        busy = np.divide(counts * event_dead_time_s, good_s, out=np.zeros_like(good_s), where=good_s > 0)
        live[number] = (1 - dead) * (1 - np.minimum(busy, 0.95)) / (1 - len(own) * event_dead_time_s / total_s)
    return live


def silences(time_ijd: Array) -> Array:
    """Stretches without a single event of any kind that chance does not make; ``(m, 2)`` IJD.

    Parameters
    ----------
    time_ijd : ndarray
        All events, in order.
    """
    if len(time_ijd) < 2:
        return np.zeros((0, 2))
    steps = np.diff(time_ijd)
    mean = float(time_ijd[-1] - time_ijd[0]) / (len(time_ijd) - 1)
    long = np.flatnonzero(steps > _SILENCE_FOLDS * mean)
    return np.column_stack([time_ijd[long], time_ijd[long + 1]])


def touches(edges_ijd: Array, intervals_ijd: Array) -> NDArray[np.bool_]:
    """Which bins share time with an interval, ``(n_bins,)``; intervals are in order and apart."""
    if not len(intervals_ijd):
        return np.zeros(len(edges_ijd) - 1, dtype=bool)
    first = np.searchsorted(intervals_ijd[:, 1], edges_ijd[:-1], side="right")
    begins = intervals_ijd[np.minimum(first, len(intervals_ijd) - 1), 0]
    return (first < len(intervals_ijd)) & (begins < edges_ijd[1:])


def block_edges(edges_ijd: Array, rate: Array, error: Array, false_alarm: float = 0.01) -> Array:
    """Edges of Bayesian blocks of a light curve: those of its edges at which the rate changes.

    Parameters
    ----------
    edges_ijd : ndarray
        ``(n + 1,)`` IJD of the fine bins.
    rate, error : ndarray
        ``(n,)``; bins without a rate are not asked.
    false_alarm : float
        Chance that one change point of a steady source is false (Scargle et al. 2013, ApJ 764, 167).
    """
    from astropy.stats import bayesian_blocks

    known = np.flatnonzero(np.isfinite(rate) & np.isfinite(error) & (error > 0))
    if len(known) < 2:
        return np.array([edges_ijd[0], edges_ijd[-1]])
    found = bayesian_blocks(known.astype(float), rate[known], error[known], fitness="measures", p0=false_alarm)
    # Change points lie half way between the bins they part
    parted = np.unique(np.clip(np.ceil(found[1:-1]).astype(int), 1, len(edges_ijd) - 2))
    return edges_ijd[np.concatenate([[0], parted, [len(edges_ijd) - 1]])]
