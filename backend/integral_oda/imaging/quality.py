"""What the events of a science window tell of the instrument: numbers of its quality, and a verdict from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from integral_oda.arrays import Array
from integral_oda.imaging.search import FieldModel
from integral_oda.imaging.sky import score_map
from integral_oda.instrument.detector import N_MODULES, active_pixels, module_map

__all__ = [
    "LIMITS",
    "PIXEL_STATES",
    "TUNGSTEN_KEV",
    "Limits",
    "LineFit",
    "Reason",
    "fit_line",
    "judge",
    "mean_rates",
    "pixel_states",
    "rate_variation",
    "residual_maps",
    "significance_histogram",
    "spectrum_shift",
]

PIXEL_STATES = ("gap", "usable", "dead", "flagged", "noisy", "too few counts", "high threshold", "switched off")
"""Meaning of the numbers of `pixel_states`."""
TUNGSTEN_KEV = 58.83
"""Mean of the K alpha lines of tungsten by their strengths, 59.32 (1) and 57.98 keV (0.58)."""
_REACH_KEV = 10.0
_FARTHEST_KEV = 4.0
_STEP_KEV = 0.05
FOUND_SIGNIFICANCE = 5.0
SHIFT_RANGE_KEV = (85.0, 130.0)
"""Where the background of ISGRI has its steepest edge, at 105 keV: what spectra of modules are compared on."""
_SMOOTHING_KEV = 2.0


def pixel_states(
    all_counts: Array,
    good: NDArray[np.bool_],
    quiet: NDArray[np.bool_],
    usable: NDArray[np.bool_],
    off: NDArray[np.bool_] | None = None,
) -> NDArray[np.uint8]:
    """Say of every pixel whether it is used, and why not.

    Parameters
    ----------
    all_counts : ndarray
        ``(134, 130)`` events of every kind.
    good, quiet, usable : ndarray of bool
        ``(134, 130)``, each a part of the one before: neither dead nor flagged; nor of unusual rate; nor of a high
        threshold.
    off : ndarray of bool, optional
        ``(134, 130)`` switched off, as context, telemetry or switch lists have it.

    Returns
    -------
    ndarray of uint8
        ``(134, 130)`` indices into `PIXEL_STATES`.
    """
    ordinary = float(np.median(all_counts[usable])) if usable.any() else 0.0
    known = np.zeros_like(good) if off is None else off
    cases = [~active_pixels(), usable, known, all_counts == 0, ~good, ~quiet & (all_counts > ordinary), ~quiet]
    return np.select(cases, (0, 1, 7, 2, 3, 4, 5), default=6).astype(np.uint8)


@dataclass(frozen=True)
class LineFit:
    """A line in a spectrum; NaN where none stands out.

    Attributes
    ----------
    centre_kev, error_kev : float
    significance : float
        Area over its error.
    expected_kev : float
    """

    centre_kev: float
    error_kev: float
    significance: float
    expected_kev: float = TUNGSTEN_KEV

    @property
    def found(self) -> bool:
        """Whether the line stands out enough for its centre to mean anything."""
        return self.significance >= FOUND_SIGNIFICANCE and bool(np.isfinite(self.centre_kev))

    @property
    def shift_kev(self) -> float:
        """Centre less the energy expected; NaN where no line is found."""
        return self.centre_kev - self.expected_kev if self.found else float("nan")


def fit_line(counts: Array, edges_kev: Array, sigma_kev: float, expected_kev: float = TUNGSTEN_KEV) -> LineFit:
    """Fit a Gaussian line of known width on a quadratic continuum.

    Parameters
    ----------
    counts : ndarray
        ``(n,)`` events in channels.
    edges_kev : ndarray
        ``(n + 1,)``.
    sigma_kev : float
        1 sigma width of the line, that of the energy resolution.
    expected_kev : float
        Where the line should be; it is looked for within 4 keV.
    """
    middle = (edges_kev[1:] + edges_kev[:-1]) / 2
    used = np.abs(middle - expected_kev) < _REACH_KEV
    x, y = middle[used] - expected_kev, np.asarray(counts, dtype=float)[used]
    weight = 1 / np.maximum(y, 1.0)
    trials = np.arange(-_FARTHEST_KEV, _FARTHEST_KEV + _STEP_KEV / 2, _STEP_KEV)
    fits = _lines_at(x, y, weight, trials, sigma_kev)
    best = int(fits[:, 0].argmin())
    chi2, area, area_error = fits[best]
    significance = float(area / area_error)
    if best in (0, len(trials) - 1):
        return LineFit(float("nan"), float("nan"), significance, expected_kev)
    left, right = fits[best - 1, 0], fits[best + 1, 0]
    curvature = max((left - 2 * chi2 + right) / _STEP_KEV**2, 1e-12)
    centre = expected_kev + trials[best] + (left - right) / (2 * curvature * _STEP_KEV)
    return LineFit(float(centre), float(np.sqrt(2 / curvature)), significance, expected_kev)


def _lines_at(x: Array, y: Array, weight: Array, centres: Array, sigma: float) -> Array:
    """Chi squared, height and its error of a line at each of several places, ``(n_places, 3)``."""
    lines = np.exp(-0.5 * ((x - centres[:, None]) / sigma) ** 2)
    continuum = np.broadcast_to(np.stack([np.ones_like(x), x, x**2]), (len(centres), 3, len(x)))
    design = np.concatenate([continuum, lines[:, None]], axis=1)
    covariance = np.linalg.inv((design * weight) @ design.swapaxes(1, 2))
    best = covariance @ (design @ (weight * y))[..., None]
    left = y - (best.swapaxes(1, 2) @ design)[:, 0]
    return np.stack([(weight * left**2).sum(axis=1), best[:, 3, 0], np.sqrt(covariance[:, 3, 3])], axis=1)


def spectrum_shift(counts: Array, reference: Array, edges_kev: Array) -> tuple[float, float]:
    """Shift in energy of a spectrum against another one, from the slopes between 85 and 130 keV.

    Parameters
    ----------
    counts, reference : ndarray
        ``(n,)`` events in channels of equal width.
    edges_kev : ndarray
        ``(n + 1,)``.

    Returns
    -------
    shift_kev, error_kev : float
        Positive where the spectrum lies at higher energies; infinite error where it has no events.
    """
    step = float(edges_kev[1] - edges_kev[0])
    width = 2 * round(_SMOOTHING_KEV / step / 2) + 1
    smooth = np.convolve(reference, np.ones(width) / width, mode="same")
    used = (edges_kev[:-1] >= SHIFT_RANGE_KEV[0]) & (edges_kev[1:] <= SHIFT_RANGE_KEV[1])
    design = np.column_stack([smooth, -np.gradient(smooth, step)])[used]
    measured = np.asarray(counts, dtype=float)[used]
    if not (measured.sum() and design[:, 0].sum()):
        return 0.0, float("inf")
    scale = measured.sum() / design[:, 0].sum()
    weight = 1 / np.maximum(scale * design[:, 0], 1.0)
    covariance = np.linalg.pinv(design.T @ (design * weight[:, None]), hermitian=True)
    level, moved = covariance @ (design.T @ (weight * measured))
    return float(moved / level), float(np.sqrt(covariance[1, 1]) / level)


def mean_rates(counts: Array, usable: NDArray[np.bool_], live_time_s: Array) -> Array:
    """Mean rate of a usable pixel of each module, ``(8,)`` counts/s; NaN for a module without any.

    Parameters
    ----------
    counts, live_time_s : ndarray
        ``(134, 130)``.
    usable : ndarray of bool
        ``(134, 130)``.
    """
    member = np.where(usable & (live_time_s > 0), module_map(), -1).ravel() + 1
    events, seconds = (np.bincount(member, plane.ravel(), N_MODULES + 1)[1:] for plane in (counts, live_time_s))
    with np.errstate(invalid="ignore"):
        rates: Array = np.where(seconds > 0, events / seconds, np.nan)
    return rates


def rate_variation(counts: Array, good_s: Array) -> dict[str, float]:
    """How much a count rate varies.

    Parameters
    ----------
    counts : ndarray
        ``(n_bins,)`` events in the good time of each bin.
    good_s : ndarray
        ``(n_bins,)`` good time, s; bins with less than half of the longest are left out.

    Returns
    -------
    dict
        ``mean`` rate, ``chi2_reduced`` against a constant, ``largest`` and ``smallest`` rate over the median one.
    """
    used = good_s > 0.5 * good_s.max()
    rates, seconds = counts[used] / good_s[used], good_s[used]
    mean = float(counts[used].sum() / seconds.sum())
    chi2 = float(((rates - mean) ** 2 * seconds / max(mean, 1e-9)).sum() / max(len(rates) - 1, 1))
    median = max(float(np.median(rates)), 1e-9)
    return {
        "mean": mean,
        "chi2_reduced": chi2,
        "largest": float(rates.max() / median),
        "smallest": float(rates.min() / median),
    }


def residual_maps(model: FieldModel, places: Sequence[tuple[float, float]]) -> Array:
    """Significance maps of what is left after no source, after the first, after the first two and so on.

    Parameters
    ----------
    model : FieldModel
    places : sequence of tuple
        Tangents of the sources, the strongest first.

    Returns
    -------
    ndarray
        ``(n_places + 1, 400, 400)`` float32, NaN where nothing was observed.
    """
    information = model.information
    observed = information > _OBSERVED_SHARE * information.max()
    scale = np.where(observed, np.sqrt(np.maximum(information, 1e-30)), np.nan)
    left = [score_map(model.covariance, model.residual(places[:k])) / scale for k in range(len(places) + 1)]
    return np.stack(left).astype(np.float32)


_OBSERVED_SHARE = 0.004


def significance_histogram(values: Array, edges: Array) -> NDArray[np.int64]:
    """Number of sky pixels in bins of significance, the outer bins taking what lies beyond; NaN is left out."""
    finite = values[np.isfinite(values)]
    return np.histogram(np.clip(finite, edges[0], edges[-1]), edges)[0]


@dataclass(frozen=True)
class Limits:
    """What a window has to keep to; the numbers that a verdict is made with.

    Attributes
    ----------
    noise_over_null : float
        Largest width of the significance map over that of the model's own Poisson draws.
    largest_excess : float
        Largest significance left in the map, sigma.
    usable_fraction : float
        Smallest share of the 16384 pixels.
    ontime_s : float
        Shortest good time.
    rate_ratio, rate_warning : float
        Largest rate in 100 s over the median one: more is a flare or a belt; more is worth a look.
    module_ratio : float
        Rate of a module's pixels over the median of the modules, or its inverse, that is worth a look.
    module_pixels : float
        Smallest usable share of a module: less is a module that is off.
    module_on : float
        Smallest share of the good time that a module is on: less is worth a look.
    gain_shift_kev : float
        Largest shift of a module's line, or of its spectrum against the other modules'.
    rate_chi2 : float
        Reduced chi squared of the rate in bins of 100 s against a constant that is worth a word.
    gap_fraction : float
        Share of the window lost in gaps that is worth a look.
    """

    noise_over_null: float = 1.3
    largest_excess: float = 7.0
    usable_fraction: float = 0.5
    ontime_s: float = 300.0
    rate_ratio: float = 2.0
    rate_warning: float = 1.2
    module_ratio: float = 1.5
    module_pixels: float = 0.1
    module_on: float = 0.95
    gain_shift_kev: float = 1.0
    rate_chi2: float = 5.0
    gap_fraction: float = 0.1


LIMITS = Limits()


@dataclass(frozen=True)
class Reason:
    """One thing about a window: ``level`` is drop, warning or note."""

    level: str
    text: str


@dataclass
class _Findings:
    reasons: list[Reason] = field(default_factory=list)

    def add(self, level: str, text: str) -> None:
        self.reasons.append(Reason(level, text))


def judge(numbers: Mapping[str, Any], limits: Limits = LIMITS) -> tuple[str, list[Reason]]:
    """Decide whether a window is worth keeping.

    Parameters
    ----------
    numbers : mapping
        ``good_time_s``, ``elapsed_s``, ``usable_fraction``, ``rate`` (see `rate_variation`), ``modules`` and ``bands``
        as in ``quality.json``.
    limits : Limits

    Returns
    -------
    verdict : str
        ``"keep"``, or ``"drop"`` if a reason of level drop stands.
    reasons : list of Reason
        The worst first.
    """
    found = _Findings()
    _judge_time(numbers, limits, found)
    _judge_modules(numbers, limits, found)
    _judge_gain(numbers, found)
    _judge_noise(numbers, limits, found)
    order = ("drop", "warning", "note")
    reasons = sorted(found.reasons, key=lambda reason: order.index(reason.level))
    return "drop" if any(reason.level == "drop" for reason in reasons) else "keep", reasons


def _judge_time(numbers: Mapping[str, Any], limits: Limits, found: _Findings) -> None:
    good, elapsed, rate = numbers["good_time_s"], numbers["elapsed_s"], numbers["rate"]
    if good < limits.ontime_s:
        found.add("drop", f"good time {good:.0f} s, less than {limits.ontime_s:.0f} s")
    if good < (1 - limits.gap_fraction) * elapsed:
        found.add("warning", f"{100 * (1 - good / elapsed):.0f} % of the {elapsed:.0f} s are no good time")
    if rate["largest"] > limits.rate_ratio:
        found.add("drop", f"rate up to {rate['largest']:.2f} times its median, more than {limits.rate_ratio:g}")
    elif rate["largest"] > limits.rate_warning or rate["smallest"] < 1 / limits.rate_warning:
        spread = f"{rate['smallest']:.2f} to {rate['largest']:.2f}"
        found.add("warning", f"rate in 100 s varies from {spread} times its median")
    elif rate["chi2_reduced"] > limits.rate_chi2:
        found.add(
            "note", f"rate in 100 s is not constant: chi2/dof {rate['chi2_reduced']:.1f}, bursts or a slow change"
        )


def _judge_modules(numbers: Mapping[str, Any], limits: Limits, found: _Findings) -> None:
    usable = numbers["usable_fraction"]
    if usable < limits.usable_fraction:
        found.add("drop", f"usable pixels {100 * usable:.0f} %, less than {100 * limits.usable_fraction:.0f} %")
    modules = numbers["modules"]
    off = [module["number"] for module in modules if module["usable_fraction"] < limits.module_pixels]
    if off:
        found.add("warning", f"modules off: {', '.join(map(str, off))}")
    unmeasured = True
    for module in modules:
        if module["number"] in off:
            continue
        ratio, name = module["relative_rate"], f"module {module['number']}"
        if not 1 / limits.module_ratio < ratio < limits.module_ratio:
            found.add("warning", f"{name}: rate {ratio:.2f} times the median of the modules")
        if module.get("on_fraction", 1.0) < limits.module_on:
            found.add("warning", f"{name}: on for {100 * module['on_fraction']:.0f} % of the good time")
        unmeasured &= module["line_kev"] is None
        for shift, error, of in _shifts(module):
            if abs(shift) > limits.gain_shift_kev and abs(shift) > 3 * error:
                found.add("warning", f"{name}: {of} shifted by {shift:+.2f} +- {error:.2f} keV")
    if unmeasured:
        found.add("note", "no tungsten line stands out in any module: the absolute gain is not measured")


def _judge_gain(numbers: Mapping[str, Any], found: _Findings) -> None:
    if numbers.get("gain_correction", "none") != "none":
        found.add("note", f"energies are corrected by {numbers['gain_correction']}, modules 0 to 7")


def _shifts(module: Mapping[str, Any]) -> list[tuple[float, float, str]]:
    """Shift, its error and what it is of: the line, where there is one; bright sources do not move it."""
    if module["line_kev"] is not None:
        return [(module["line_kev"] - TUNGSTEN_KEV, module["line_error_kev"], "tungsten line")]
    if module["shift_kev"] is None:
        return []
    return [(module["shift_kev"], module["shift_error_kev"], "spectrum against the other modules")]


def _judge_noise(numbers: Mapping[str, Any], limits: Limits, found: _Findings) -> None:
    for band in numbers["bands"]:
        name = f"{band['e1_kev']:g}-{band['e2_kev']:g} keV"
        ratio = band["significance_sigma"] / band["null_sigma"]
        if ratio > limits.noise_over_null:
            found.add("drop", f"{name}: noise {ratio:.2f} times its null, more than {limits.noise_over_null:g}")
        if band["largest_excess"] > limits.largest_excess:
            found.add("warning", f"{name}: an excess of {band['largest_excess']:.1f} sigma is left in the image")
