"""How a light curve varies: fits of a constant and a line, excess variance, hardness, Lomb-Scargle power."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import chdtrc

from integral_oda.arrays import Array

if TYPE_CHECKING:
    from astropy.timeseries import LombScargle

__all__ = [
    "ConstantFit",
    "ExcessVariance",
    "LinearFit",
    "excess_variance",
    "fit_constant",
    "fit_line",
    "hardness_ratio",
    "lomb_scargle",
]

_DAY_S = 86400.0


@dataclass(frozen=True)
class ConstantFit:
    """Weighted mean with its chi2 and the chance of so large a one."""

    level: float
    level_error: float
    chi2: float
    dof: int
    chance: float


@dataclass(frozen=True)
class LinearFit:
    """Straight line: rate at the weighted mean time, slope per day, chi2."""

    time_ijd: float
    level: float
    level_error: float
    slope_per_day: float
    slope_error: float
    chi2: float
    dof: int
    chance: float


@dataclass(frozen=True)
class ExcessVariance:
    """Variance above that of the noise, over the mean squared (Vaughan et al. 2003, MNRAS 345, 1271)."""

    value: float
    error: float
    fractional_rms: float


def _known(rate: Array, error: Array) -> Array:
    return np.isfinite(rate) & np.isfinite(error) & (error > 0)


def fit_constant(rate: Array, error: Array) -> ConstantFit:
    """Fit a constant rate; bins without a rate or error are left out.

    Parameters
    ----------
    rate, error : ndarray
        ``(n,)``, at least one of them known.
    """
    known = _known(rate, error)
    rate, weight = rate[known], error[known] ** -2
    level = float((rate * weight).sum() / weight.sum())
    value, dof = float(((rate - level) ** 2 * weight).sum()), len(rate) - 1
    return ConstantFit(level, float(weight.sum() ** -0.5), value, dof, _chance(value, dof))


def fit_line(time_ijd: Array, rate: Array, error: Array) -> LinearFit | None:
    """Fit a straight line; None with fewer than two bins."""
    known = _known(rate, error)
    time, rate, weight = time_ijd[known], rate[known], error[known] ** -2
    if len(rate) < 2 or np.ptp(time) == 0:
        return None
    middle = float((time * weight).sum() / weight.sum())
    away = time - middle
    level, spread = float((rate * weight).sum() / weight.sum()), float((weight * away**2).sum())
    slope = float((weight * away * rate).sum() / spread)
    value, dof = float(((rate - level - slope * away) ** 2 * weight).sum()), len(rate) - 2
    errors = float(weight.sum() ** -0.5), spread**-0.5
    return LinearFit(middle, level, errors[0], slope, errors[1], value, dof, _chance(value, dof))


def _chance(value: float, dof: int) -> float:
    return float(chdtrc(dof, value)) if dof > 0 else 1.0


def excess_variance(rate: Array, error: Array) -> ExcessVariance | None:
    """Normalised excess variance; None with fewer than two bins or a mean that is not positive."""
    known = _known(rate, error)
    rate, noise = rate[known], float((error[known] ** 2).mean()) if known.any() else 0.0
    n, mean = len(rate), float(rate.mean()) if known.any() else 0.0
    if n < 2 or mean <= 0:
        return None
    value = (float(rate.var(ddof=1)) - noise) / mean**2
    own = np.sqrt(2 / n) * noise / mean**2
    shared = np.sqrt(noise / n) * 2 * np.sqrt(max(value, 0.0)) / mean
    return ExcessVariance(value, float(np.hypot(own, shared)), float(np.sqrt(max(value, 0.0))))


def hardness_ratio(soft: Array, soft_error: Array, hard: Array, hard_error: Array) -> tuple[Array, Array]:
    """(hard - soft) / (hard + soft) and its error to first order; NaN where the sum is not above its error.

    Parameters
    ----------
    soft, soft_error, hard, hard_error : ndarray
        ``(n,)`` rates of two bands in the same bins.
    """
    total = hard + soft
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = (hard - soft) / total
        error = 2 / total**2 * np.hypot(soft * hard_error, hard * soft_error)
        known = total > np.hypot(soft_error, hard_error)
    return np.where(known, ratio, np.nan), np.where(known, error, np.nan)


def lomb_scargle(time_ijd: Array, rate: Array, error: Array) -> LombScargle:
    """Astropy's Lomb-Scargle periodogram of a light curve, with times in seconds from its first bin."""
    from astropy.timeseries import LombScargle

    known = _known(rate, error)
    seconds = (time_ijd[known] - time_ijd[known][0]) * _DAY_S
    return LombScargle(seconds, rate[known], error[known])
