"""Good time as lists of intervals: ``(n, 2)`` arrays of start and stop in IJD, in order and apart."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from integral_oda.arrays import Array

__all__ = ["DAY_S", "gaps", "intersect", "phase_intervals", "total_s", "union", "without"]

DAY_S = 86400.0
_CLOSED_S = 1e-6
"""IJD has a resolution of 0.2 microseconds: turns that follow each other must not be kept apart by rounding."""


def union(intervals: Array | Sequence[tuple[float, float]], closer_than_s: float = 0.0) -> Array:
    """Times that are in any of some intervals, in order, whatever overlaps or touches as one.

    Parameters
    ----------
    intervals : array_like
        ``(n, 2)`` IJD, in any order; those that do not end after their start count for nothing.
    closer_than_s : float
        Gaps shorter than this, seconds, are closed.

    Returns
    -------
    ndarray
        ``(m, 2)`` IJD.
    """
    given = np.asarray(intervals, dtype=float).reshape(-1, 2)
    given = given[given[:, 0] < given[:, 1]]
    if not len(given):
        return given
    given = given[np.argsort(given[:, 0], kind="stable")]
    reached = np.maximum.accumulate(given[:, 1])
    apart = given[1:, 0] - reached[:-1] > closer_than_s / DAY_S
    return np.column_stack([given[np.r_[True, apart], 0], reached[np.r_[apart, True]]])


def intersect(a: Array, b: Array) -> Array:
    """Times that are in both of two lists of intervals.

    Parameters
    ----------
    a, b : ndarray
        ``(n, 2)`` and ``(m, 2)`` IJD, each in order and apart.

    Returns
    -------
    ndarray
        ``(k, 2)`` IJD.
    """
    # An interval of a meets a run of intervals of b: from the first that ends after its start to the last that begins
    # before its stop.
    first = np.searchsorted(b[:, 1], a[:, 0], side="right")
    met = np.maximum(np.searchsorted(b[:, 0], a[:, 1], side="left") - first, 0)
    of_a = np.repeat(np.arange(len(a)), met)
    of_b = np.arange(met.sum()) - np.repeat(np.cumsum(met) - met, met) + np.repeat(first, met)
    return np.column_stack([np.maximum(a[of_a, 0], b[of_b, 0]), np.minimum(a[of_a, 1], b[of_b, 1])])


def gaps(intervals: Array, start_ijd: float, stop_ijd: float) -> Array:
    """Times between two that are in no interval, ``(m, 2)`` IJD."""
    inside = intersect(intervals, np.array([[start_ijd, stop_ijd]]))
    edges = np.concatenate([[start_ijd], inside.ravel(), [stop_ijd]]).reshape(-1, 2)
    return edges[edges[:, 0] < edges[:, 1]]


def without(intervals: Array, bad: Array | Sequence[tuple[float, float]]) -> Array:
    """Times that are in some intervals and in none of others.

    Parameters
    ----------
    intervals : ndarray
        ``(n, 2)`` IJD, in order and apart.
    bad : array_like
        ``(m, 2)`` IJD, in any order.
    """
    if not len(intervals):
        return intervals
    return intersect(intervals, gaps(union(bad), float(intervals[0, 0]), float(intervals[-1, 1])))


def total_s(intervals: Array) -> float:
    """Length of all intervals together, s."""
    return float((intervals[:, 1] - intervals[:, 0]).sum() * DAY_S)


def phase_intervals(
    span_ijd: tuple[float, float], epoch_ijd: float, period_s: float, phases: tuple[float, float]
) -> Array:
    """Times at which a clock of constant period shows a phase in a range.

    Parameters
    ----------
    span_ijd : tuple of float
        Start and stop of the time of interest, IJD.
    epoch_ijd : float
        A time of phase 0, IJD (TT at the spacecraft).
    period_s : float
        Period in seconds.
    phases : tuple of float
        Start and stop of the range, 0 to 1; it goes through phase 1 where the start is the greater.

    Returns
    -------
    ndarray
        ``(n, 2)`` IJD, cut at the span.
    """
    start, stop = phases
    length = (stop - start) % 1 or 1.0
    period_d = period_s / DAY_S
    first, last = ((edge - epoch_ijd) / period_d - start for edge in span_ijd)
    cycles = np.arange(np.floor(first - length), np.ceil(last) + 1)
    begins = epoch_ijd + (cycles + start) * period_d
    turns = np.column_stack([begins, begins + length * period_d])
    return intersect(union(turns, closer_than_s=_CLOSED_S), np.array([span_ijd]))
