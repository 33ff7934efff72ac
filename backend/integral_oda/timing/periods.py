"""Periodic signals in weighted events: phases, folded rates, Z^2_n and epoch folding searches.

Events count with the probability that they are the source's (Kerr 2011, ApJ 732, 38): the power is
Z^2_n = 2 / sum(p^2) * sum_k |sum p exp(2 pi i k phase)|^2, distributed as chi2 of 2 n degrees of freedom
for steady emission. Rates against phase come from the light curve's linear estimator instead, so that the
background is off.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import chdtrc

from integral_oda.arrays import Array
from integral_oda.timing.good_time import DAY_S

__all__ = ["Ephemeris", "FoldedCurve", "Periodogram", "epoch_folding", "fold_events", "pulsed_fraction", "z_search"]

OVERSAMPLING = 8
"""Trial frequencies in an independent one, 1 / elapsed time."""
_BINS_A_CYCLE = 8
_MOST_BINS = 2**26
_STRETCHES = 200


@dataclass(frozen=True)
class Ephemeris:
    """Phase = (t - epoch) / P - 0.5 Pdot ((t - epoch) / P)^2, t in days.

    Attributes
    ----------
    period_s : float
    derivative : float
        s/s.
    epoch_ijd : float
        Time of phase 0.
    """

    period_s: float
    derivative: float = 0.0
    epoch_ijd: float = 0.0

    def cycles(self, time_ijd: Array) -> Array:
        """Cycles since the epoch, with their fraction."""
        turns = (time_ijd - self.epoch_ijd) * (DAY_S / self.period_s)
        return turns - 0.5 * self.derivative * turns**2


@dataclass(frozen=True)
class FoldedCurve:
    """Rate against phase.

    Attributes
    ----------
    phase : ndarray
        ``(n_bins,)`` centres, 0 to 1.
    rate, error : ndarray
        counts/s.
    exposure_s : ndarray
        Good time in each bin.
    pulsed, pulsed_error : float
        First harmonic's amplitude over the mean rate.
    chi2 : float
        Of a steady rate, with ``n_bins - 1`` degrees of freedom.
    """

    phase: Array
    rate: Array
    error: Array
    exposure_s: Array
    pulsed: float
    pulsed_error: float
    chi2: float

    @property
    def chance(self) -> float:
        """Probability of so large a chi2 of a steady source."""
        return float(chdtrc(len(self.phase) - 1, self.chi2))


@dataclass(frozen=True)
class Periodogram:
    """Z^2_n over frequency, and its highest peak.

    Attributes
    ----------
    frequency_hz, power : ndarray
        ``(n,)``.
    harmonics : int
    period_s, period_error_s : float
        Of the peak; the error from its curvature.
    peak : float
        Z^2_n there.
    false_alarm : float
        Chance that steady emission has so high a peak anywhere in the search.
    """

    frequency_hz: Array
    power: Array
    harmonics: int
    period_s: float
    period_error_s: float
    peak: float
    false_alarm: float


def phase_exposure(ephemeris: Ephemeris, gti_ijd: Array, n_bins: int) -> Array:
    """Good time in each bin of phase, ``(n_bins,)`` s."""
    exposure = np.zeros(n_bins)
    grid = np.linspace(0, 1, n_bins + 1)
    for start, stop in gti_ijd:
        edges = np.linspace(start, stop, _STRETCHES + 1) if ephemeris.derivative else np.array([start, stop])
        turns = ephemeris.cycles(edges)
        # Cycles up to a moment that a bin had: its share of the whole ones, and what it has of the last
        parts = np.clip(turns[:, None] % 1 - grid[:-1], 0, 1 / n_bins)
        passed = np.diff(np.floor(turns)[:, None] / n_bins + parts, axis=0)
        exposure += (np.diff(edges) * DAY_S / np.diff(turns)) @ passed
    return exposure


def fold_events(
    time_ijd: Array,
    weight: Array,
    gti_ijd: Array,
    ephemeris: Ephemeris,
    n_bins: int = 16,
    offset: float = 0.0,
    common_error: float = 0.0,
) -> FoldedCurve:
    """Rate of a source against phase.

    Parameters
    ----------
    time_ijd, weight : ndarray
        ``(n,)`` events and their weights of the linear estimator, over the live share.
    gti_ijd : ndarray
        ``(m, 2)`` good time.
    ephemeris : Ephemeris
    n_bins : int
    offset, common_error : float
        To add to every rate, and the error that all rates share, counts/s.
    """
    phase = ephemeris.cycles(time_ijd) % 1
    number = np.minimum((phase * n_bins).astype(int), n_bins - 1)
    exposure = np.maximum(phase_exposure(ephemeris, gti_ijd, n_bins), 1e-9)
    rate = np.bincount(number, weight, n_bins) / exposure + offset
    error = np.sqrt(np.bincount(number, weight**2, n_bins)) / exposure
    mean = np.average(rate, weights=exposure)
    mean_error = float(np.hypot(np.sqrt((weight**2).sum()) / exposure.sum(), common_error))
    pulsed, pulsed_error = pulsed_fraction(phase, weight, float(exposure.sum()), (float(mean), mean_error))
    scatter = float((((rate - mean) / np.maximum(error, 1e-300)) ** 2).sum())
    return FoldedCurve((np.arange(n_bins) + 0.5) / n_bins, rate, error, exposure, pulsed, pulsed_error, scatter)


def pulsed_fraction(phase: Array, weight: Array, good_s: float, mean: tuple[float, float]) -> tuple[float, float]:
    """Amplitude of the first harmonic over the mean rate, less what noise adds to it, and its error.

    Parameters
    ----------
    phase : ndarray
        ``(n,)`` of the events, cycles.
    weight : ndarray
        ``(n,)`` of the linear estimator.
    good_s : float
        Good time, s.
    mean : tuple of float
        Mean rate and its error, counts/s.
    """
    mean_rate, mean_error = mean
    squared = abs((weight * np.exp(2j * np.pi * phase)).sum() * 2 / good_s) ** 2
    noise = 2 * float((weight**2).sum()) / good_s**2
    amplitude = np.sqrt(max(squared - 2 * noise, 0.0))
    fraction = amplitude / mean_rate
    error = np.hypot(np.sqrt(noise) / mean_rate, fraction * mean_error / mean_rate)
    return float(fraction), float(error)


def z_search(
    time_ijd: Array, probability: Array, period_range_s: tuple[float, float], harmonics: int = 2
) -> Periodogram:
    """Search for a period with Z^2_n.

    The events are binned to an eighth of the shortest cycle of the highest harmonic and Fourier transformed; around
    the highest peak the sums are then taken over the events themselves.

    Parameters
    ----------
    time_ijd, probability : ndarray
        ``(n,)`` events and the probability that each is the source's.
    period_range_s : tuple of float
        Shortest and longest period.
    harmonics : int
        Number of harmonics, n.

    Raises
    ------
    ValueError
        If the search would need more than 2**26 bins of time.
    """
    seconds = (time_ijd - time_ijd[0]) * DAY_S
    elapsed = float(seconds[-1])
    step = period_range_s[0] / (_BINS_A_CYCLE * harmonics)
    n_bins = int(elapsed / step) + 1
    size = 1 << int(np.ceil(np.log2(n_bins * OVERSAMPLING)))
    if size > _MOST_BINS:
        raise ValueError(f"periods from {period_range_s[0]:g} s in {elapsed:.0f} s are too many for one search")
    binned = np.bincount((seconds / step).astype(int), probability, n_bins)
    spectrum = np.fft.rfft(binned - binned.mean(), size)
    unit = 1 / (size * step)
    low, high = int(np.ceil(1 / period_range_s[1] / unit)), int(1 / period_range_s[0] / unit)
    number = np.arange(max(low, 1), high + 1)
    norm = 2 / float((probability**2).sum())
    orders = range(1, harmonics + 1)
    power = norm * sum(np.abs(spectrum[k * number] / np.sinc(k * number * unit * step)) ** 2 for k in orders)
    best = float(number[int(np.argmax(power))] * unit)
    frequency, error, peak = _refined(seconds, probability, best, elapsed, harmonics)
    trials = max((high - low) * unit * elapsed, 1.0) * 2
    chance = -np.expm1(trials * np.log1p(-min(chdtrc(2 * harmonics, peak), 1 - 1e-12)))
    return Periodogram(number * unit, power, harmonics, 1 / frequency, error / frequency**2, peak, float(chance))


def _refined(
    seconds: Array, probability: Array, frequency_hz: float, elapsed_s: float, harmonics: int
) -> tuple[float, float, float]:
    """Frequency and height of a peak from the events themselves, and the error from its curvature."""
    middle = elapsed_s / 2
    for width in (1.0, 0.2):
        trial = frequency_hz + np.linspace(-1, 1, 41) * width / elapsed_s
        power = np.array([_z_power(seconds - middle, probability, f, harmonics) for f in trial])
        frequency_hz = float(trial[int(np.argmax(power))])
    near = np.abs(trial - frequency_hz) < 0.1 / elapsed_s
    curve = np.polyfit((trial[near] - frequency_hz) * elapsed_s, power[near], 2)
    if curve[0] >= 0:
        return frequency_hz, 1 / elapsed_s, float(power.max())
    summit = frequency_hz - curve[1] / (2 * curve[0]) / elapsed_s
    # Z^2 / 2 is the gain in ln L: its curvature is the inverse variance
    return (
        float(summit),
        float(1 / np.sqrt(-curve[0]) / elapsed_s),
        float(np.polyval(curve, -curve[1] / (2 * curve[0]))),
    )


def _z_power(seconds: Array, probability: Array, frequency_hz: float, harmonics: int) -> float:
    turn = np.exp(2j * np.pi * frequency_hz * seconds)
    power, factor = 0.0, np.ones_like(turn)
    for _ in range(harmonics):
        factor = factor * turn
        power += abs((probability * factor).sum()) ** 2
    return 2 * power / float((probability**2).sum())


def epoch_folding(time_ijd: Array, weight: Array, gti_ijd: Array, periods_s: Array, n_bins: int = 16) -> Array:
    """Chi2 of a steady rate of the folded light curve at each of some periods, ``(n,)``; Leahy et al. 1983."""
    start = float(gti_ijd[0, 0])
    return np.array(
        [fold_events(time_ijd, weight, gti_ijd, Ephemeris(period, 0.0, start), n_bins).chi2 for period in periods_s]
    )
