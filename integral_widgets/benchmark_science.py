"""Numbers that benchmark notebooks take from products: flare peaks, fits, rank correlation, weighted means."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from integral_oda.arrays import Array

if TYPE_CHECKING:
    from integral_oda.analysis import Products
    from integral_oda.products.light_curve import LightCurve

__all__ = [
    "FittedSpectrum",
    "FlarePeak",
    "Series",
    "fit_spectrum",
    "flare_peaks",
    "mjd",
    "rank_correlation",
    "read_bat",
    "read_gbm",
    "weighted_mean",
]

_MJD_OF_IJD_0, _DAY_S = 51544.0, 86400.0


@dataclass(frozen=True)
class FlarePeak:
    """Highest bin near a known flare.

    Attributes
    ----------
    at : int
        Index of the bin, -1 where there is none.
    late_s : float
        Its middle after the known time, s; NaN where there is no bin.
    rate, error : float
        counts/s.
    """

    at: int
    late_s: float
    rate: float
    error: float


def mjd(time_ijd: Array) -> Array:
    """MJD of times in IJD."""
    return np.asarray(time_ijd) + _MJD_OF_IJD_0


def flare_peaks(curve: LightCurve, flares_mjd: Sequence[float], search_d: float) -> list[FlarePeak]:
    """Find the highest bin within ``search_d`` days of each flare.

    Parameters
    ----------
    curve : LightCurve
    flares_mjd : sequence of float
        Known times, MJD (TT).
    search_d : float
        Days on either side.
    """
    times, peaks = mjd(curve.time_ijd), []
    for flare in flares_mjd:
        near = np.flatnonzero((np.abs(times - flare) <= search_d) & np.isfinite(curve.rate))
        if not len(near):
            peaks.append(FlarePeak(-1, math.nan, math.nan, math.nan))
            continue
        at = int(near[np.argmax(curve.rate[near])])
        late = float(times[at] - flare) * _DAY_S
        peaks.append(FlarePeak(at, late, float(curve.rate[at]), float(curve.error[at])))
    return peaks


@dataclass(frozen=True)
class FittedSpectrum:
    """What a fit gave.

    Attributes
    ----------
    parameters : dict
        Value and 1 sigma error by name.
    fluxes : list of (float, float)
        Flux and error of each band asked for, erg/cm2/s.
    chi2red : float
        Statistic over degrees of freedom.
    picture : Path
        The fit, drawn.
    """

    parameters: dict[str, tuple[float, float]]
    fluxes: list[tuple[float, float]]
    chi2red: float
    picture: Path


def fit_spectrum(products: Products, out: str | Path, **request: Any) -> FittedSpectrum:
    """Fit a model to the spectrum of one source.

    Parameters
    ----------
    products : SpectrumProducts
        Of a query for that source.
    out : str or Path
        The spectrum goes into its folder ``spectrum``, the fit into ``fit``.
    **request
        As `integral_oda.spectral_fit.FitRequest` has them, such as ``model``, ``e1``, ``e2``, ``flux``.
    """
    from integral_oda.spectral_fit import FitRequest, fit_spectra

    folder = Path(out)
    products.write(folder / "spectrum")
    fit = fit_spectra(FitRequest(spectrum=tuple((folder / "spectrum").glob("isgri_spectrum_*.fits")), **request))
    fit.write(folder / "fit")
    parameters = {item["name"]: (item["value"], item["error"]) for item in fit.report["parameters"]}
    fluxes = [(item["flux"], item["error"]) for item in fit.report["fluxes"]]
    return FittedSpectrum(parameters, fluxes, fit.report["value"] / fit.report["dof"], folder / "fit" / "fit.png")


def rank_correlation(first: Sequence[float], second: Sequence[float]) -> float:
    """Spearman's rank correlation, NaN for less than three pairs."""
    from scipy.stats import spearmanr

    return float(spearmanr(first, second).statistic) if len(first) > 2 else math.nan


def weighted_mean(values: Array, errors: Array) -> tuple[float, float]:
    """Inverse-variance mean and its error; NaN where nothing is finite."""
    good = np.isfinite(values) & np.isfinite(errors) & (errors > 0)
    if not good.any():
        return math.nan, math.nan
    weight = 1 / np.asarray(errors)[good] ** 2
    return float(np.average(np.asarray(values)[good], weights=weight)), float(weight.sum() ** -0.5)


@dataclass(frozen=True, eq=False)
class Series:
    """Another instrument's light curve: MJD, rate and error, each ``(n,)``, in its own unit."""

    mjd: Array
    rate: Array
    error: Array

    def mean_near(self, day: float, half_width_d: float) -> tuple[float, float]:
        """Inverse-variance mean within so many days of an MJD."""
        near = np.abs(self.mjd - day) <= half_width_d
        return weighted_mean(self.rate[near], self.error[near])


def read_bat(path: str | Path) -> Series:
    """Read a daily Swift/BAT light curve (MJD, counts/cm2/s, error); days with a flag are dropped."""
    day, rate, error, *_, flag = np.loadtxt(path, usecols=(0, 1, 2, 7), unpack=True)
    good = (flag == 0) & (error > 0)
    return Series(day[good] + 0.5, rate[good], error[good])


def read_gbm(path: str | Path, rate_column: int) -> Series:
    """Read Fermi/GBM occultation rates: start and stop (MJD), then rate and error of each band in turn.

    Parameters
    ----------
    path : str or Path
    rate_column : int
        Column of the band's rate; its error follows.
    """
    start, stop, rate, error = np.loadtxt(path, usecols=(0, 1, rate_column, rate_column + 1), unpack=True)
    good = error > 0
    return Series((start[good] + stop[good]) / 2, rate[good], error[good])
