"""Times without any event: telemetry gaps, where all modules fall silent together, and modules that are off."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from integral_oda.arrays import Array
from integral_oda.instrument.detector import N_MODULES
from integral_oda.timing.good_time import DAY_S, intersect, total_s, union

__all__ = ["ALL_MODULES", "find_silence", "module_on_fraction"]

ALL_MODULES = -1.0
SHORTEST_GAP_S = 1.0
"""Telemetry gaps are seconds long: the buffer that bursts fill gives some of 1.7 to 3.8 s."""
SHORTEST_OFF_S = 5.0
EXPECTED_EVENTS = 30.0
"""Silence counts where so many events should have come: by chance it is as rare as exp(-30)."""


def find_silence(time_ijd: NDArray[np.float64], module: NDArray[np.integer]) -> Array:
    """Times in which no event comes, of all modules together or of one.

    Parameters
    ----------
    time_ijd : ndarray
        ``(n,)`` times of all events of every kind, in order, IJD.
    module : ndarray
        ``(n,)`` module of each.

    Returns
    -------
    ndarray
        ``(k, 3)`` module (`ALL_MODULES` for all of them), start and stop in IJD.
    """
    if len(time_ijd) < 2:
        return np.zeros((0, 3))
    start, elapsed_s = float(time_ijd[0]), float(time_ijd[-1] - time_ijd[0]) * DAY_S
    counts, width_s = _counts(time_ijd, module, elapsed_s)
    ordinary_s = width_s / max(float(np.median(counts.sum(axis=0))), 1e-3)
    steps = np.flatnonzero(np.diff(time_ijd) > max(SHORTEST_GAP_S, EXPECTED_EVENTS * ordinary_s) / DAY_S)
    together = np.column_stack([np.full(len(steps), ALL_MODULES), time_ijd[steps], time_ijd[steps + 1]])
    alone = [_silent_bins(number, counts[number], width_s, start) for number in range(N_MODULES)]
    return np.concatenate([together, *alone])


def _counts(time_ijd: Array, module: NDArray[np.integer], elapsed_s: float) -> tuple[Array, float]:
    """Events of each module in bins of equal width, ``(8, n)``, and that width in s."""
    bins = max(int(elapsed_s / (SHORTEST_OFF_S / 2)), 1)
    edges = np.searchsorted(time_ijd, time_ijd[0] + np.arange(1, bins) * (elapsed_s / DAY_S / bins))
    place = np.repeat(np.arange(bins, dtype=np.int32), np.diff(edges, prepend=0, append=len(time_ijd)))
    place += np.int32(bins) * module.astype(np.int32)
    return np.bincount(place, minlength=N_MODULES * bins).reshape(N_MODULES, bins), elapsed_s / bins


def _silent_bins(number: int, counts: Array, width_s: float, start_ijd: float) -> Array:
    """Runs of empty bins of a module, joined until many events should come; one without any event is off throughout."""
    together = max(1, int(np.ceil(EXPECTED_EVENTS / max(float(counts.mean()), 1e-3))))
    together = min(together, len(counts))
    groups = len(counts) // together
    empty = together * np.flatnonzero(counts[: groups * together].reshape(groups, together).sum(axis=1) == 0)
    silent = union(start_ijd + np.column_stack([empty, empty + together]) * (width_s / DAY_S), closer_than_s=1e-3)
    return np.column_stack([np.full(len(silent), float(number)), silent])


def module_on_fraction(silence: Array, good_ijd: Array) -> Array:
    """Share of the good time that each module is on, ``(8,)``.

    Parameters
    ----------
    silence : ndarray
        ``(k, 3)`` of `find_silence`.
    good_ijd : ndarray
        ``(m, 2)`` IJD.
    """
    good = union(good_ijd)
    whole = max(total_s(good), 1e-9)
    lost = [total_s(intersect(union(silence[silence[:, 0] == m, 1:]), good)) for m in range(N_MODULES)]
    return 1 - np.array(lost) / whole
