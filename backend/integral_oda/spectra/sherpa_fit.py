"""The same minimum by sherpa: its statistics, its Levenberg-Marquardt and its covariance, on the same folding."""

from __future__ import annotations

from typing import Any

import numpy as np

from integral_oda.arrays import Array
from integral_oda.errors import RequestError, UnavailableError
from integral_oda.spectra.fit import FitProblem

__all__ = ["minimise_by_sherpa"]


def minimise_by_sherpa(problem: FitProblem) -> tuple[Array, Array, float, bool]:
    """Minimise with sherpa.

    Parameters
    ----------
    problem : FitProblem

    Returns
    -------
    inner : ndarray
        ``(n,)`` parameters in the minimiser's coordinates.
    covariance : ndarray
        ``(n, n)`` of them, 0 for fixed ones.
    value : float
        Of the statistic.
    converged : bool

    Raises
    ------
    UnavailableError
        If sherpa is not installed.
    RequestError
        If the statistic is none that this way has.
    """
    try:
        from sherpa.estmethods import Covariance
        from sherpa.fit import Fit
        from sherpa.optmethods import LevMar, NelderMead
        from sherpa.stats import Chi2, CStat
    except ImportError:
        raise UnavailableError(
            "sherpa is not installed: pip install integral-oda[sherpa], or --fitter iminuit"
        ) from None
    statistics = {"chi2": Chi2, "cstat": CStat}
    if problem.statistic not in statistics:
        raise RequestError("statistic", problem.statistic, "sherpa is given chi2 and cstat; wstat goes by iminuit")
    model, data = _folded_model(problem), _data(problem)
    statistic = statistics[problem.statistic]()
    Fit(data, model, statistic, NelderMead()).fit()
    result = Fit(data, model, statistic, LevMar()).fit()
    errors = Fit(data, model, statistic, LevMar(), Covariance()).est_errors()
    free = np.flatnonzero(~problem.fixed)
    inner = problem.internal(problem.start)
    inner[free] = result.parvals
    covariance = np.zeros((len(inner), len(inner)))
    covariance[np.ix_(free, free)] = np.asarray(errors.extra_output)
    return inner, covariance, float(result.statval), bool(result.succeeded)


def _data(problem: FitProblem) -> Any:
    from sherpa.data import Data1D

    counts = problem.statistic == "cstat"
    rates = np.concatenate([s.rate * (s.exposure_s if counts else 1.0) for s in problem.spectra])
    errors = np.concatenate([s.error * (s.exposure_s if counts else 1.0) for s in problem.spectra])
    return Data1D("spectra", np.arange(len(rates), dtype=float), rates, staterror=errors)


def _folded_model(problem: FitProblem) -> Any:
    from sherpa.models.model import ArithmeticModel
    from sherpa.models.parameter import Parameter

    counts = problem.statistic == "cstat"
    start = problem.internal(problem.start)

    class Folded(ArithmeticModel):  # type: ignore[misc]  # sherpa is not typed
        """The problem's rates in all bins."""

        def __init__(self) -> None:
            self.made = []
            for k, name in enumerate(problem.names):
                low, high = (None, None) if problem.logarithmic[k] else problem.bounds[k]
                limits = {"min": -1e30 if low is None else low, "max": 1e30 if high is None else high}
                parameter = Parameter("folded", name, float(start[k]), **limits, frozen=bool(problem.fixed[k]))
                setattr(self, name, parameter)
                self.made.append(parameter)
            super().__init__("folded", tuple(self.made))

        def calc(self, p: Any, *_: Any, **__: Any) -> Array:
            rates = problem.predicted(problem.external(np.asarray(p)))
            exposures = [s.exposure_s if counts else 1.0 for s in problem.spectra]
            return np.concatenate([rate * t for rate, t in zip(rates, exposures, strict=True)])

    return Folded()
