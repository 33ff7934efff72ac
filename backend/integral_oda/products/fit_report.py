"""What a spectral fit leaves: a JSON that says all of it, and a script that XSPEC repeats it with."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from integral_oda.json_values import finite
from integral_oda.products.fits_io import write_aside
from integral_oda.spectra.fit import FitResult, Fitted

__all__ = ["fit_report", "write_json", "write_xcm"]

_XSPEC_NAMES = {
    "PowerLaw": "powerlaw",
    "CutoffPowerLaw": "cutoffpl",
    "BrokenPowerLaw": "bknpower",
    "TwiceBrokenPowerLaw": "bkn2pow",
    "BandFunction": "grbm",
    "BlackBody": "bbody",
    "DiskBlackBody": "diskbb",
    "GaussianLine": "gaussian",
    "HighEnergyCutoff": "highecut",
    "Constant": "constant",
}
_XSPEC_FILES = {"rmf": "response", "arf": "arf", "background": "backgrnd"}
_XSPEC_STATISTICS = {"chi2": "chi", "cstat": "cstat", "wstat": "cstat"}


def fit_report(result: FitResult, flux_bands: Sequence[tuple[float, float]]) -> dict[str, Any]:
    """Numbers of a fit as ``fit.json`` holds them."""
    from scipy.special import chdtrc

    problem = result.problem
    fluxes = []
    for e1, e2 in flux_bands:
        flux, error = result.flux(e1, e2)
        fluxes.append({"e1_kev": e1, "e2_kev": e2, "flux": flux, "error": error, "unit": "erg/cm2/s"})
    return {
        "model": problem.model.expression,
        "statistic": problem.statistic,
        "value": result.value,
        "dof": result.dof,
        "null_probability": float(chdtrc(result.dof, result.value)) if problem.statistic == "chi2" else None,
        "converged": result.converged,
        "parameters": [_parameter(p) for p in result.parameters],
        "covariance": result.covariance.tolist(),
        "fluxes": fluxes,
    }


def _parameter(fitted: Fitted) -> dict[str, Any]:
    plain = {"name": fitted.name, "value": fitted.value, "error": fitted.error, "unit": fitted.unit}
    minos = {} if fitted.lower is None else {"minos_lower": fitted.lower, "minos_upper": fitted.upper}
    return {**plain, "fixed": fitted.fixed, **minos}


def write_json(path: str | Path, report: Mapping[str, Any]) -> None:
    """Write the report; what is no number becomes null, as JSON has it."""
    with write_aside(path) as aside:
        aside.write_text(json.dumps(finite(report), indent=2, allow_nan=False) + "\n", encoding="utf-8")


def write_xcm(
    path: str | Path,
    result: FitResult,
    files: Sequence[Mapping[str, str]],
    energies_kev: tuple[float | None, float | None] = (None, None),
) -> None:
    """Write a script that makes XSPEC load the same data, range and model with the fitted values.

    Parameters
    ----------
    path : str or Path
    result : FitResult
    files : sequence of mapping
        ``spectrum``, ``rmf`` and perhaps ``arf`` and ``background`` of each spectrum.
    energies_kev : tuple
        Range that channels have to lie in; None where it is open.
    """
    problem = result.problem
    lines = [f"statistic {_XSPEC_STATISTICS[problem.statistic]}"]
    for k, names in enumerate(files, start=1):
        lines.append(f"data {k}:{k} {names['spectrum']}")
        lines += [f"{word} {k} {names[key]}" for key, word in _XSPEC_FILES.items() if key in names]
    low, high = energies_kev
    lines.append("ignore bad")
    lines += [f"ignore **:**-{low:.1f}"] if low else []
    lines += [f"ignore **:{high:.1f}-**"] if high else []
    model = problem.model
    joint = len(problem.spectra) > 1
    lines.append(f"model {'constant*(' if joint else ''}{_xspec_expression(result)}{')' if joint else ''}")
    n = len(model.names)
    for group in range(len(problem.spectra)):
        if joint:
            lines.append("1.0 -0.01" if group == 0 else f"{result.values[n + group - 1]:.8g} 0.01")
        if group == 0:
            lines += [f"{p.value:.8g} {'-' if p.fixed else ''}{_step(p):.3g}" for p in result.parameters[:n]]
        else:
            lines += [f"= p{k + 2}" for k in range(n)]
    with write_aside(path) as aside:
        aside.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _step(fitted: Fitted) -> float:
    return max(0.1 * fitted.error, 1e-3 * abs(fitted.value), 1e-6)


def _xspec_expression(result: FitResult) -> str:
    """The expression as XSPEC reads it: its own names are the same, tables are atable{FILE}."""
    expression = result.problem.model.expression
    for name in result.problem.model.components:
        if name not in _XSPEC_NAMES and name != "TableModel":
            return " + ".join(_XSPEC_NAMES.get(c, c.lower()) for c in result.problem.model.components)
    return expression.replace("table('", "atable{").replace('table("', "atable{").replace("')", "}").replace('")', "}")
