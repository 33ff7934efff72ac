"""Markov chains of a fitted model's parameters, with the affine-invariant sampler of emcee."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from integral_oda.arrays import Array
from integral_oda.errors import UnavailableError
from integral_oda.spectra.fit import FitResult

__all__ = ["Chain", "run_chain"]

_BURN_SHARE = 0.25
_START_SIGMA = 0.3


@dataclass(frozen=True)
class Chain:
    """Draws of the free parameters.

    Attributes
    ----------
    names : list of str
    samples : ndarray
        ``(n_samples, n_free)``.
    log_probability : ndarray
        ``(n_samples,)`` minus half the statistic.
    acceptance : float
        Share of the steps that were taken.
    seed : int
    """

    names: list[str]
    samples: Array
    log_probability: Array
    acceptance: float
    seed: int

    def percentiles(self) -> dict[str, dict[str, float]]:
        """Median and 68 % interval of each parameter."""
        low, middle, high = np.percentile(self.samples, [15.87, 50, 84.13], axis=0)
        return {
            name: {"median": float(m), "lower": float(a - m), "upper": float(b - m)}
            for name, a, m, b in zip(self.names, low, middle, high, strict=True)
        }


def run_chain(result: FitResult, steps: int, seed: int = 1) -> Chain:
    """Sample the parameters around a fit, flat within their bounds and in the logarithm of norms fitted so.

    Parameters
    ----------
    result : FitResult
    steps : int
        Of each walker; the first quarter is left out.
    seed : int

    Raises
    ------
    UnavailableError
        If emcee is not installed.
    """
    try:
        import emcee
    except ImportError:
        raise UnavailableError("a chain needs emcee: pip install integral-oda[fit]") from None
    problem = result.problem
    free = np.flatnonzero(~problem.fixed)
    inner = problem.internal(result.values)
    limits = _limits(result)[free]

    def log_probability(place: Array) -> float:
        if np.any(place <= limits[:, 0]) or np.any(place >= limits[:, 1]):
            return -np.inf
        values = inner.copy()
        values[free] = place
        return -0.5 * problem.value(problem.external(values))

    rng = np.random.default_rng(seed)
    walkers = max(32, 4 * len(free))
    start = inner[free] + _START_SIGMA * result.inner_errors[free] * rng.standard_normal((walkers, len(free)))
    inside = np.clip(start, limits[:, 0] + 1e-9, limits[:, 1] - 1e-9)
    sampler = emcee.EnsembleSampler(walkers, len(free), log_probability)
    sampler.random_state = np.random.RandomState(seed).get_state()  # what emcee takes
    sampler.run_mcmc(inside, steps)
    burnt = int(_BURN_SHARE * steps)
    flat = sampler.get_chain(discard=burnt, flat=True)
    logarithmic = problem.logarithmic[free]
    samples = np.where(logarithmic, np.exp(np.where(logarithmic, flat, 0.0)), flat)
    names = [problem.names[k] for k in free]
    probability = sampler.get_log_prob(discard=burnt, flat=True)
    return Chain(names, samples, probability, float(sampler.acceptance_fraction.mean()), seed)


def _limits(result: FitResult) -> Array:
    """Bounds of the parameters in the minimiser's coordinates, ``(n, 2)``."""
    bounds = zip(result.problem.bounds, result.problem.logarithmic, strict=True)
    ends = [(-np.inf, np.inf) if log else (_or(low, -np.inf), _or(high, np.inf)) for (low, high), log in bounds]
    return np.array(ends)


def _or(value: float | None, otherwise: float) -> float:
    return otherwise if value is None else float(value)
