"""Events of a simulated science window: sources through the mask, background, spurious pixels."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Self

import numpy as np
from numpy.typing import NDArray

from integral_oda.arrays import Array
from integral_oda.instrument.detector import N_PIXELS, OPEN_PIXELS
from integral_oda.simulation.behaviour import AnyBehaviour, draw_times, mean_rate
from integral_oda.simulation.nuisances import Direction, true_illumination
from integral_oda.simulation.plane import DetectorPlane
from integral_oda.simulation.recipe import Constant, Nuisances
from integral_oda.simulation.spectra import CountSpectrum

__all__ = [
    "RISE_TIME_RANGE",
    "DrawnEvents",
    "WindowSetting",
    "draw_background",
    "draw_rise_times",
    "draw_source",
    "raw_rise_times",
]


RISE_TIME_RANGE = (16, 116)
"""Corrected rise times (ISGRI_PI) that the standard selection keeps, both included."""

_RISE_TIME_SLOPE, _RISE_TIME_OFFSET = 1.3, 10.0
_RISE_TIME_SCALE, _LATE_RISE_TIMES = 38.0, (117, 140)
_PIF_EDGES_KEV = (13.5, 40.0, 69.5, 100.0, 150.0, 200.0, 300.0, 500.0, 1000.0)
_HOT_FACTOR = 10.0
_NOISE_RATE, _NOISE_SCALE_KEV, _NOISE_FLOOR_KEV = 2.0, 3.0, 15.0
_NOISE_SPAN = 0.1


@dataclass(frozen=True, eq=False)
class DrawnEvents:
    """Events in no order.

    Attributes
    ----------
    seconds : ndarray of float64, shape (n,)
        Arrival times from the start of the window.
    pixel : ndarray of uint16, shape (n,)
        Flat index into an array of shape (134, 130).
    energy_kev : ndarray of float32, shape (n,)
        Measured energy.
    rise_time : ndarray of uint8, shape (n,)
        Corrected rise time.
    select_flag : ndarray of uint8, shape (n,)
        1 for events of a noisy pixel.
    """

    seconds: Array
    pixel: NDArray[np.uint16]
    energy_kev: NDArray[np.float32]
    rise_time: NDArray[np.uint8]
    select_flag: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.seconds)

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """All events of several draws, one draw after the other."""
        return cls(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(cls)))

    def in_time_order(self) -> Self:
        """The same events in time order."""
        order = np.argsort(self.seconds)
        return type(self)(*(getattr(self, field.name)[order] for field in fields(self)))


@dataclass(frozen=True, eq=False)
class WindowSetting:
    """What the events of one window are drawn with.

    Attributes
    ----------
    plane : DetectorPlane
        State of the detector.
    recorded_s : ndarray, shape (n, 2)
        Intervals in which events are recorded, seconds from the start of the window.
    start_s : float
        Start of the window on the clock of the sources' behaviour.
    revolution : int
        For the resolution.
    nuisances : Nuisances
        What the analysis does not know.
    """

    plane: DetectorPlane
    recorded_s: Array
    start_s: float
    revolution: int
    nuisances: Nuisances

    @property
    def recorded_time_s(self) -> float:
        """Sum of the intervals."""
        return float((self.recorded_s[:, 1] - self.recorded_s[:, 0]).sum())


def draw_source(
    setting: WindowSetting,
    directions: Sequence[Direction],
    spectrum: CountSpectrum,
    behaviour: AnyBehaviour,
    rng: np.random.Generator,
) -> DrawnEvents:
    """Draw the events of a source.

    Parameters
    ----------
    setting : WindowSetting
        The window.
    directions : sequence of (ty, tz, weight)
        In the true ISGRI frame; one with weight 1 for a point source.
    spectrum : CountSpectrum
        In OSA's rate unit, before thresholds.
    behaviour : Behaviour
        Change with time.
    rng : numpy.random.Generator
        Source of randomness.
    """
    time_s = setting.recorded_time_s * mean_rate(behaviour, setting.recorded_s + setting.start_s)
    # Diffuse emission is soft: one energy does for its many directions.
    edges = _PIF_EDGES_KEV if len(directions) == 1 else (_PIF_EDGES_KEV[0], _PIF_EDGES_KEV[-1])
    parts = []
    for e1, e2 in itertools.pairwise(edges):
        part = spectrum.cut(e1, e2)
        pif = true_illumination(setting.nuisances, directions, part.mean_energy_kev)
        expected = time_s * setting.plane.live_fraction * part.total / OPEN_PIXELS * pif
        parts.append(_draw(setting, expected, part, behaviour, rng))
    return DrawnEvents.joined(parts)


def draw_background(
    setting: WindowSetting, spectrum: CountSpectrum, rejected_fraction: float, rng: np.random.Generator
) -> DrawnEvents:
    """Draw the background, with hot and noisy pixels and with events that a selection must reject."""
    plane = setting.plane
    expected = setting.recorded_time_s * plane.live_fraction * spectrum.total / N_PIXELS * plane.background_shape
    expected *= np.where(plane.hot, _HOT_FACTOR, 1.0)
    steady = _draw(setting, expected, spectrum, Constant(), rng)
    rejected = _draw(setting, rejected_fraction * expected, spectrum, Constant(), rng)
    late = rng.random(len(rejected)) < 0.5
    energy = np.where(late, rejected.energy_kev, np.float32(0.0))
    rise_time = np.where(late, rng.integers(*_LATE_RISE_TIMES, len(rejected)), rejected.rise_time).astype(np.uint8)
    rejected = DrawnEvents(rejected.seconds, rejected.pixel, energy, rise_time, rejected.select_flag)
    return DrawnEvents.joined([steady, rejected, _draw_noise(setting, rng)])


def _draw_noise(setting: WindowSetting, rng: np.random.Generator) -> DrawnEvents:
    """Noisy pixels chatter at low energies during a tenth of the window; all these events are flagged."""
    pixels = np.flatnonzero(setting.plane.noisy)
    span = _NOISE_SPAN * setting.recorded_time_s
    n = rng.poisson(_NOISE_RATE * span, len(pixels))
    pixel = np.repeat(pixels, n).astype(np.uint16)
    first = np.repeat(rng.random(len(pixels)) * (1 - _NOISE_SPAN), n)
    along = (first + _NOISE_SPAN * rng.random(len(pixel))) * setting.recorded_time_s
    seconds = _at_recorded_time(setting, along)
    energy = (_NOISE_FLOOR_KEV + rng.exponential(_NOISE_SCALE_KEV, len(pixel))).astype(np.float32)
    return DrawnEvents(seconds, pixel, energy, draw_rise_times(len(pixel), rng), np.ones(len(pixel), np.uint8))


def _at_recorded_time(setting: WindowSetting, along: Array) -> Array:
    """Seconds from the start of the window after so many seconds of recording."""
    starts = setting.recorded_s[:, 0]
    before = np.concatenate([[0.0], np.cumsum(setting.recorded_s[:, 1] - starts)])[:-1]
    interval = np.searchsorted(before, along, side="right") - 1
    return starts[interval] + along - before[interval]


def _draw(
    setting: WindowSetting,
    expected: Array,
    spectrum: CountSpectrum,
    behaviour: AnyBehaviour,
    rng: np.random.Generator,
) -> DrawnEvents:
    counts = rng.poisson(expected).ravel()
    pixel = np.repeat(np.arange(counts.size, dtype=np.uint16), counts)
    energy = spectrum.draw_energies(len(pixel), rng)
    plane = setting.plane
    energy *= plane.gain.ravel()[pixel].astype(np.float32)
    if plane.low_threshold_kev.any():
        kept = rng.random(len(pixel)) < plane.recorded_fraction(energy, pixel, setting.revolution)
        pixel, energy = pixel[kept], energy[kept]
    seconds = draw_times(behaviour, setting.recorded_s + setting.start_s, len(pixel), rng) - setting.start_s
    return DrawnEvents(seconds, pixel, energy, draw_rise_times(len(pixel), rng), np.zeros(len(pixel), np.uint8))


def draw_rise_times(n: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Draw corrected rise times inside `RISE_TIME_RANGE`, falling exponentially as the real ones do."""
    low, high = RISE_TIME_RANGE
    reach = -np.expm1(-(high + 1 - low) / _RISE_TIME_SCALE)
    return (low - _RISE_TIME_SCALE * np.log1p(-reach * rng.random(n))).astype(np.uint8)


def raw_rise_times(rise_time: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Rise times as they are measured, before the correction that OSA makes of them."""
    return ((rise_time.astype(np.float32) - _RISE_TIME_OFFSET) / _RISE_TIME_SLOPE).astype(np.uint8)
