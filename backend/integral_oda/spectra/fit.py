"""The fit of a model to one or several spectra, with errors, contours, fluxes and confidence bands."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from integral_oda.arrays import Array
from integral_oda.errors import DataError, RequestError
from integral_oda.spectra.model import SpectralModel, energy_flux
from integral_oda.spectra.statistics import chi2_terms, cstat_terms, wstat_terms

if TYPE_CHECKING:
    from iminuit import Minuit

__all__ = ["STATISTICS", "FitProblem", "FitResult", "Fitted", "SpectrumData", "fit_model", "fit_result"]

STATISTICS = ("chi2", "cstat", "wstat")
_LOGARITHMIC_ABOVE_SIGMA = 2.0
_STEP = 1e-4
_TRIES = 3
_CONTOUR_POINTS = 40
_DOUBLINGS = 20


@dataclass(frozen=True)
class SpectrumData:
    """One spectrum as the fit sees it: noticed bins and the response to them.

    Attributes
    ----------
    name : str
    rate, error : ndarray
        ``(n_bins,)`` counts/s and 1 sigma, systematics included.
    low_kev, high_kev : ndarray
        ``(n_bins,)`` edges of the bins.
    energy_low_kev, energy_high_kev : ndarray
        ``(n_energies,)`` photon energies.
    response : ndarray
        ``(n_energies, n_bins)`` cm2: counts/s in a bin for one photon/cm2/s.
    exposure_s : float
    off_rate : ndarray or None
        ``(n_bins,)`` rate of a measured background, for wstat.
    off_ratio : float
        Exposure of the background over that of the spectrum, areas included.
    """

    name: str
    rate: Array
    error: Array
    low_kev: Array
    high_kev: Array
    energy_low_kev: Array
    energy_high_kev: Array
    response: Array
    exposure_s: float = 1.0
    off_rate: Array | None = None
    off_ratio: float = 1.0

    @property
    def scatter(self) -> Array:
        """Errors, that of one count where there is none, ``(n_bins,)``."""
        return np.where(self.error > 0, self.error, 1.0 / self.exposure_s)

    def folded(self, model: SpectralModel, values: Array) -> Array:
        """Rates that a model predicts, ``(n_bins,)`` counts/s."""
        return model.photons(self.energy_low_kev, self.energy_high_kev, values) @ self.response

    def terms(self, predicted: Array, statistic: str) -> Array:
        """Terms of the statistic; those of chi2 not yet squared."""
        if statistic == "chi2":
            return chi2_terms(self.rate, predicted, self.error)
        counts, expected = self.rate * self.exposure_s, predicted * self.exposure_s
        if statistic == "cstat":
            return cstat_terms(counts, expected)
        assert self.off_rate is not None
        off = self.off_rate * self.exposure_s * self.off_ratio
        return wstat_terms(counts, expected, off, self.off_ratio)


@dataclass(frozen=True)
class Fitted:
    """A fitted parameter; ``error`` is 0 where it was held fixed."""

    name: str
    value: float
    error: float
    unit: str = ""
    fixed: bool = False
    lower: float | None = None
    upper: float | None = None


class FitProblem:
    """Spectra, a model and a statistic as a function of the free parameters.

    Parameters
    ----------
    spectra : sequence of SpectrumData
    model : SpectralModel
        From the second spectrum on each has a free factor of its own.
    statistic : str
        One of `STATISTICS`.

    Raises
    ------
    DataError
        If there are fewer bins than free parameters, or no counts where counts are needed.
    """

    def __init__(self, spectra: Sequence[SpectrumData], model: SpectralModel, statistic: str = "chi2") -> None:
        self.spectra, self.model, self.statistic = list(spectra), model, statistic
        factors = [f"factor_spectrum{k + 1}" for k in range(1, len(self.spectra))]
        self.names = [*model.names, *factors]
        self.units = [*model.units, *[""] * len(factors)]
        self.fixed = np.array([*model.fixed, *[False] * len(factors)])
        self.bounds = [*model.bounds, *[(1e-3, 1e3)] * len(factors)]
        self.n_bins = sum(len(s.rate) for s in self.spectra)
        self._check()
        self.start = np.concatenate([self._start_values(), np.ones(len(factors))])
        self.logarithmic = self._logarithmic_norms()

    def _check(self) -> None:
        free = int((~self.fixed).sum())
        if self.n_bins < max(free, 1):
            raise DataError(f"{self.n_bins} usable channels in the range for {free} free parameters")
        if self.statistic == "wstat" and any(s.off_rate is None for s in self.spectra):
            raise RequestError("statistic", "wstat", "needs a spectrum of the background (--background, or BACKFILE)")
        if self.statistic != "chi2" and any((s.rate < 0).any() for s in self.spectra):
            raise RequestError(
                "statistic", self.statistic, "needs counts; these are net rates, some below 0, with errors: chi2"
            )

    @property
    def dof(self) -> int:
        """Bins less free parameters."""
        return self.n_bins - int((~self.fixed).sum())

    def predicted(self, values: Array) -> list[Array]:
        """Rates of every spectrum for values of all parameters."""
        n = len(self.model.names)
        factors = [1.0, *values[n:]]
        return [f * s.folded(self.model, values[:n]) for f, s in zip(factors, self.spectra, strict=True)]

    def value(self, values: Array) -> float:
        """The statistic for values of all parameters."""
        power = 2 if self.statistic == "chi2" else 1
        terms = (s.terms(p, self.statistic) for s, p in zip(self.spectra, self.predicted(values), strict=True))
        return float(sum((t**power).sum() for t in terms))

    def _linear_norms(self, values: Array) -> tuple[Array, Array]:
        """Most likely norms at the other parameters' values, none negative, and the errors of each alone."""
        from scipy.optimize import nnls

        norms = [k for k in self.model.norms if not self.fixed[k]]
        columns = []
        for k in norms:
            alone = values.copy()
            alone[list(self.model.norms)] = 0.0
            alone[k] = 1.0
            columns.append(np.concatenate([s.folded(self.model, alone) / s.scatter for s in self.spectra]))
        data = np.concatenate([s.rate / s.scatter for s in self.spectra])
        design = np.column_stack(columns)
        scale = np.maximum(np.sqrt((design**2).sum(axis=0)), 1e-300)
        solution, _ = nnls(design / scale, data)
        return solution / scale, 1 / scale

    def _start_values(self) -> Array:
        values = self.model.values
        norms = [k for k in self.model.norms if not self.fixed[k]]
        if norms and np.all(values[norms] == 1.0):
            fitted, errors = self._linear_norms(values)
            values[norms] = np.where(fitted > 0, fitted, 0.1 * errors)
        return values

    def _logarithmic_norms(self) -> Array:
        """Norms to be fitted as logarithms: with a steep spectrum their error is a factor, not a difference."""
        chosen = np.zeros(len(self.names), dtype=bool)
        norms = [k for k in self.model.norms if not self.fixed[k]]
        if norms:
            fitted, errors = self._linear_norms(self.start[: len(self.model.names)])
            chosen[norms] = fitted > _LOGARITHMIC_ABOVE_SIGMA * errors
        return chosen

    def limits(self, k: int) -> tuple[float, float]:
        """Limits of a parameter in the coordinates of the minimiser."""
        low, high = (None, None) if self.logarithmic[k] else self.bounds[k]
        return -np.inf if low is None else low, np.inf if high is None else high

    def external(self, inner: Array) -> Array:
        """Values of the parameters from those that the minimiser works with."""
        return np.where(self.logarithmic, np.exp(np.where(self.logarithmic, inner, 0.0)), inner)

    def internal(self, values: Array) -> Array:
        """The reverse of `external`."""
        return np.where(self.logarithmic, np.log(np.where(self.logarithmic, values, 1.0)), values)


@dataclass
class FitResult:
    """A fitted model.

    Attributes
    ----------
    problem : FitProblem
    values : ndarray
        ``(n,)`` of all parameters.
    covariance : ndarray
        ``(n, n)`` of them, 0 for fixed ones.
    value : float
        The statistic at its minimum.
    converged : bool
    parameters : list of Fitted
    """

    problem: FitProblem
    values: Array
    covariance: Array
    value: float
    converged: bool
    parameters: list[Fitted]
    _inner: Array = field(repr=False)
    _inner_covariance: Array = field(repr=False)
    _minuit: Minuit | None = field(repr=False, default=None)

    @property
    def dof(self) -> int:
        """Degrees of freedom."""
        return self.problem.dof

    @property
    def inner_errors(self) -> Array:
        """1 sigma of the parameters in the minimiser's coordinates, ``(n,)``."""
        return np.sqrt(np.clip(np.diag(self._inner_covariance), 0.0, None))

    def _error_of(self, function: Any) -> Any:
        """1 sigma of a function of the parameters, by its gradient in the minimiser's own coordinates."""
        sigma = self.inner_errors
        gradient = []
        for k, width in enumerate(sigma):
            step = np.zeros(len(sigma))
            step[k] = _STEP * width
            ends = [function(self.problem.external(self._inner + sign * step)) for sign in (1, -1)]
            gradient.append((ends[0] - ends[1]) / (2 * step[k]) if width > 0 else 0 * ends[0])
        slopes = np.array(gradient)
        return np.sqrt(np.einsum("i...,ij,j...->...", slopes, self._inner_covariance, slopes))

    def flux(self, e1_kev: float, e2_kev: float) -> tuple[float, float]:
        """Energy flux between two energies and its 1 sigma error, erg/cm2/s."""
        model = self.problem.model
        n = len(model.names)
        error = self._error_of(lambda v: energy_flux(model, v[:n], e1_kev, e2_kev))
        return energy_flux(model, self.values[:n], e1_kev, e2_kev), float(error)

    def band(self, energy_kev: Array, sigmas: float = 1.0) -> tuple[Array, Array, Array]:
        """Model and the edges of its confidence band, photons/cm2/s/keV; each as ``energy_kev``."""
        model = self.problem.model
        n = len(model.names)
        middle = model.density(energy_kev, self.values[:n])
        error = self._error_of(lambda v: model.density(energy_kev, v[:n]))
        spread = np.exp(sigmas * error / np.maximum(middle, 1e-300))
        return middle, middle / spread, middle * spread

    def unfolded(self, k: int = 0) -> tuple[Array, Array]:
        """Photon spectrum that spectrum ``k`` shows if the model is right, and its 1 sigma error.

        Data over folded model, times the model at the geometric middle of each bin: photons/cm2/s/keV, ``(n_bins,)``.
        """
        data, model = self.problem.spectra[k], self.problem.model
        predicted = self.problem.predicted(self.values)[k]
        middle = model.density(np.sqrt(data.low_kev * data.high_kev), self.values[: len(model.names)])
        scale = middle / np.where(predicted > 0, predicted, np.nan)
        return data.rate * scale, data.error * scale

    def contour(self, first: str, second: str, levels: Sequence[float] = (1.0, 2.0, 3.0)) -> list[Array]:
        """Lines of constant statistic in the plane of two parameters, all others fitted anew on them.

        Parameters
        ----------
        first, second : str
        levels : sequence of float
            In sigma of one parameter: the statistic is higher by their squares.

        Returns
        -------
        list of ndarray
            One a level, ``(n_points, 2)``.
        """
        a, b = (self._free_index(name) for name in (first, second))
        if self._minuit is None:
            raise RequestError("contour", f"{first},{second}", "contours are made by the fitter iminuit")
        lines = []
        for level in levels:
            line = self._line((a, b), level)
            if not len(line):
                raise DataError(f"no contour of {first} and {second} at {level:g} sigma: the fit does not hold them")
            lines.append(np.column_stack([self._outside(a, line[:, 0]), self._outside(b, line[:, 1])]))
        return lines

    def _line(self, pair: tuple[int, int], level: float) -> Array:
        """Points of a contour in the minimiser's coordinates, ``(n_points, 2)``, the quick way if it leads around."""
        for minuit, middle, matrix in self._round(*pair):
            points = _followed(minuit, pair, level)
            if len(points):
                return middle + points @ matrix.T
        errors = np.sqrt(np.clip(np.diag(self._inner_covariance), 0.0, None))
        return _scanned(self.problem, self._inner, errors, pair, self.value + level**2)

    def _round(self, a: int, b: int) -> list[tuple[Minuit, Array, Array]]:
        """Minimiser in whose coordinates the errors of two parameters are 1 and independent; middle and matrix back.

        In a valley far longer than wide, as of index and norm, MINOS loses its way. Empty where the errors are unknown.
        """
        pair, problem = [a, b], self.problem
        middle, covariance = self._inner[pair], self._inner_covariance[np.ix_(pair, pair)]
        if not np.linalg.det(covariance) > 0:
            return []
        stretch = np.linalg.cholesky(covariance)
        low, high = np.transpose([problem.limits(k) for k in pair])

        def inner(turned: Array) -> Array:
            values = np.array(turned, dtype=float)
            values[pair] = np.clip(middle + stretch @ values[pair], low, high)
            return values

        start, errors = np.array(self._inner), np.sqrt(np.clip(np.diag(self._inner_covariance), 0.0, None))
        start[pair], errors[pair] = 0.0, 1.0
        minuit = _minuit(problem, start, inner)
        for k, name in enumerate(minuit.parameters):
            minuit.errors[name] = errors[k] or minuit.errors[name]
            if k in pair:
                minuit.limits[name] = None
        minuit.migrad(ncall=20000)
        return [(minuit, middle, stretch)]

    def _free_index(self, name: str) -> int:
        names = self.problem.names
        free = [n for n, fixed in zip(names, self.problem.fixed, strict=True) if not fixed]
        if name not in free:
            raise RequestError("contour", name, f"a free parameter: {', '.join(free)}")
        return names.index(name)

    def _outside(self, k: int, inner: Array) -> Array:
        return np.exp(inner) if self.problem.logarithmic[k] else inner


def fit_model(problem: FitProblem, minos: bool = False) -> FitResult:
    """Minimise the statistic with iminuit and find the errors.

    Parameters
    ----------
    problem : FitProblem
    minos : bool
        Find the asymmetric errors too, where the statistic is higher by 1.
    """
    minuit = _minimise(problem)
    minuit.hesse()
    if minos:
        _run_minos(minuit)
    inner = np.array(minuit.values)
    known = minuit.covariance is not None
    covariance = np.array(minuit.covariance) if known else np.zeros((len(inner), len(inner)))
    converged = bool(minuit.valid and known)
    result = fit_result(problem, inner, covariance, float(minuit.fval), converged, minuit)
    if minos:
        result.parameters = [_with_minos(p, problem, minuit, k) for k, p in enumerate(result.parameters)]
    return result


def fit_result(
    problem: FitProblem,
    inner: Array,
    inner_covariance: Array,
    value: float,
    converged: bool,
    minuit: Minuit | None = None,
) -> FitResult:
    """Result of a minimum that was found in the minimiser's coordinates; contours need the minimiser itself."""
    values = problem.external(inner)
    jacobian = np.where(problem.logarithmic, values, 1.0)
    covariance = inner_covariance * np.outer(jacobian, jacobian)
    errors = np.sqrt(np.clip(np.diag(covariance), 0.0, None))
    columns = zip(problem.names, values, errors, problem.units, problem.fixed, strict=True)
    parameters = [Fitted(name, float(v), float(e), unit, bool(fixed)) for name, v, e, unit, fixed in columns]
    return FitResult(problem, values, covariance, value, converged, parameters, inner, inner_covariance, minuit)


def _run_minos(minuit: Minuit) -> None:
    try:
        minuit.minos()
    except RuntimeError:  # iminuit refuses where the minimum is not valid: the result says so by itself
        return


def _with_minos(fitted: Fitted, problem: FitProblem, minuit: Minuit, k: int) -> Fitted:
    name = minuit.parameters[k]
    if fitted.fixed or name not in minuit.merrors or not minuit.merrors[name].is_valid:
        return fitted
    ends = np.array([minuit.merrors[name].lower, minuit.merrors[name].upper]) + minuit.values[k]
    low, high = np.exp(ends) if problem.logarithmic[k] else ends
    return replace(fitted, lower=float(low - fitted.value), upper=float(high - fitted.value))


def _minimise(problem: FitProblem) -> Minuit:
    """Minimum from the start values, and from where the simplex leads when that fails."""
    best: Minuit | None = None
    for attempt in range(_TRIES):
        minuit = _minuit(problem, problem.internal(problem.start))
        if attempt:
            minuit.strategy = 2
            minuit.simplex(ncall=2000 * attempt)
        minuit.migrad(ncall=20000)
        if best is None or minuit.fval < best.fval or (minuit.valid and not best.valid):
            best = minuit
        if minuit.valid:
            break
    assert best is not None
    return best


def _followed(minuit: Minuit, pair: Sequence[int], level: float) -> Array:
    """Points of a contour by MINOS, ``(n_points, 2)``; none where it loses its way."""
    names, cl = [minuit.parameters[k] for k in pair], float(1 - np.exp(-(level**2) / 2))
    points = np.array(minuit.mncontour(*names, cl=cl, size=_CONTOUR_POINTS))
    return points if len(points) >= _CONTOUR_POINTS else np.empty((0, 2))


def _scanned(problem: FitProblem, inner: Array, errors: Array, pair: Sequence[int], limit: float) -> Array:
    """Points of a contour, ``(n_points, 2)``: where the second parameter leaves it at steps of the first.

    Slower than MINOS, but bent valleys do not lead it astray. None where a limit of a parameter is within the contour.
    """
    a, b = pair
    first = [_end(problem, inner, {a: inner[a]}, a, side * errors[a], limit) for side in (-1, 1)]
    middle, half = np.mean(first), np.ptp(first) / 2
    if not np.isfinite(half):
        return np.empty((0, 2))
    steps = middle - half * np.cos(np.linspace(0, np.pi, _CONTOUR_POINTS // 2 + 1))
    valley = [_hold(problem, inner, {a: step})[1] for step in steps]
    sides = [
        [_end(problem, at, {a: step, b: at[b]}, b, side * errors[b] / 10, limit)
         for step, at in zip(steps[1:-1], valley[1:-1], strict=True)]
        for side in (-1, 1)
    ]  # fmt: skip
    around = [valley[0][b], *sides[0], valley[-1][b], *sides[1][::-1]]
    points = np.column_stack([[*steps, *steps[-2:0:-1]], around])
    return points if np.isfinite(points).all() else np.empty((0, 2))


def _hold(problem: FitProblem, inner: Array, held: Mapping[int, float]) -> tuple[float, Array]:
    """The statistic and the parameters, some held at values and all others fitted."""
    minuit = _minuit(problem, inner)
    for k, value in held.items():
        minuit.values[k], minuit.fixed[k] = value, True
    if minuit.nfit:
        minuit.migrad()
        return float(minuit.fval), np.array(minuit.values)
    return float(minuit.fcn(np.array(minuit.values))), np.array(minuit.values)


def _end(problem: FitProblem, inner: Array, held: Mapping[int, float], k: int, step: float, limit: float) -> float:
    """Value of parameter ``k`` beyond which the statistic is above a limit; NaN where it is so nowhere."""
    from scipy.optimize import brentq

    low, high = problem.limits(k)

    def excess(value: float) -> float:
        return _hold(problem, inner, {**held, k: value})[0] - limit

    near = held[k]
    if excess(near) >= 0:  # the tip of a contour, within the tolerance of the fit
        return near
    for _ in range(_DOUBLINGS):
        far = float(np.clip(near + step, low, high))
        if excess(far) > 0:
            return float(brentq(excess, near, far, xtol=1e-3 * abs(step)))
        if far in (low, high):
            break
        near, step = far, 2 * step
    return float("nan")


def _minuit(problem: FitProblem, start: Array, inner: Callable[[Array], Array] = np.asarray) -> Minuit:
    """Minimiser of the statistic, in coordinates from which ``inner`` makes those of the problem."""
    from iminuit import Minuit

    def cost(turned: Array) -> float:
        with np.errstate(over="ignore", invalid="ignore"):
            value = problem.value(problem.external(inner(turned)))
        return value if np.isfinite(value) else 1e30

    minuit = Minuit(cost, start, name=[f"p{k}" for k in range(len(start))])
    minuit.errordef = 1.0
    for k, name in enumerate(minuit.parameters):
        minuit.fixed[name] = bool(problem.fixed[k])
        if not problem.logarithmic[k]:
            minuit.limits[name] = problem.bounds[k]
        minuit.errors[name] = 0.1 if problem.logarithmic[k] else max(0.05 * abs(start[k]), 1e-6)
    return minuit
