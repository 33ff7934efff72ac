"""Which windows of a case a twin has, and where they point to."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from integral_oda.errors import RequestError
from integral_oda.simulation.pointings import axes
from integral_oda.simulation.recipe import Heading
from integral_oda.simulation.twins.case import Case, Visit

__all__ = ["ChosenWindow", "choose_windows", "spread"]

DAY_S = 86400.0
_STEP_DEG = 2.17
_SQUARE = sorted(((x, y) for x in range(-2, 3) for y in range(-2, 3)), key=lambda place: math.hypot(*place))
_GOLDEN = math.pi * (3 - math.sqrt(5))


@dataclass(frozen=True)
class ChosenWindow:
    """A science window that is to be simulated.

    Attributes
    ----------
    visit : Visit
        The visit that it belongs to.
    number : int
        Its pointing number.
    start_mjd : float
        Start, MJD (TT).
    ra, dec : float
        Direction of the X axis, degrees.
    """

    visit: Visit
    number: int
    start_mjd: float
    ra: float
    dec: float


def choose_windows(case: Case, count: int) -> list[ChosenWindow]:
    """Choose windows of a case: those of its events first, the rest spread evenly.

    Parameters
    ----------
    case : Case
    count : int
        How many; of each visit where the case wants every visit.

    Raises
    ------
    RequestError
        If the case has not so many, or too few for its events.
    """
    groups = [[v] for v in case.visits] if case.each_visit else [list(case.visits)]
    chosen = []
    for visits in groups:
        windows = _centred([window for visit in visits for window in _windows(visit)], case)
        if not max(1, len(case.events_mjd)) <= count <= len(windows):
            raise RequestError(
                "windows", count, f"from {max(1, len(case.events_mjd))} to {len(windows)} for {case.name}"
            )
        needed = [k for k, window in enumerate(windows) if _holds_event(window, case)]
        others = [k for k in range(len(windows)) if k not in needed]
        taken = sorted([*needed, *(others[k] for k in spread(len(others), count - len(needed)))])
        chosen += [windows[k] for k in taken]
    return chosen


def spread(total: int, count: int) -> list[int]:
    """Indices of ``count`` things out of ``total`` that are spread evenly."""
    return [int((k + 0.5) * total / count) for k in range(count)]


def _windows(visit: Visit) -> list[ChosenWindow]:
    numbers = visit.pointing_numbers
    places = [_place(visit, k, len(numbers)) for k in range(len(numbers))]
    return [
        ChosenWindow(visit, number, visit.start_mjd + (number - numbers[0]) * visit.cadence_s / DAY_S, *place)
        for number, place in zip(numbers, places, strict=True)
    ]


def _place(visit: Visit, k: int, count: int) -> tuple[float, float]:
    """Direction of the k-th pointing of a pattern, degrees."""
    if visit.pattern == "5x5":
        across, along = (_STEP_DEG * step for step in _SQUARE[k % len(_SQUARE)])
    else:
        radius, angle = visit.radius_deg * math.sqrt((k + 0.5) / count), k * _GOLDEN
        across, along = radius * math.cos(angle), radius * math.sin(angle)
    x, z = axes(Heading(ra=visit.ra, dec=visit.dec, roll=visit.roll))
    y = np.cross(z, x)
    away = x + math.tan(math.radians(across)) * y + math.tan(math.radians(along)) * z
    away /= np.linalg.norm(away)
    return math.degrees(math.atan2(away[1], away[0])) % 360, math.degrees(math.asin(away[2]))


def _holds_event(window: ChosenWindow, case: Case) -> bool:
    return any(0 <= mjd - window.start_mjd <= case.duration_s / DAY_S for mjd in case.events_mjd)


def _centred(windows: Sequence[ChosenWindow], case: Case) -> list[ChosenWindow]:
    """The windows nearest to each event moved so that it lies in the middle."""
    moved, half = list(windows), case.duration_s / 2 / DAY_S
    for mjd in case.events_mjd:
        k = min(range(len(moved)), key=lambda k: abs(windows[k].start_mjd + half - mjd))
        old = moved[k]
        moved[k] = ChosenWindow(old.visit, old.number, mjd - half, old.ra, old.dec)
    return moved
