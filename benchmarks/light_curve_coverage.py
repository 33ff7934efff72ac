"""Closed loop of light curves: coverage of the intervals and bias from milliseconds to kiloseconds, leaks, a pulsar.

Run: python benchmarks/light_curve_coverage.py [--windows 12] [--seed 1]; writes light_curve_coverage.json in
benchmarks/reports. Simulated windows go through the native engine's own steps; every source is steady but the pulsar.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from integral_oda.analysis import analyse
from integral_oda.engines.native.window_fit import bright_gradients
from integral_oda.instrument.attitude import Attitude
from integral_oda.instrument.detector import OPEN_PIXELS, active_pixels
from integral_oda.instrument.energy import EnergyBand
from integral_oda.instrument.pif import pixel_illumination
from integral_oda.instrument.response import crab_rate
from integral_oda.products.light_curve import LightCurve
from integral_oda.query import LightCurveQuery
from integral_oda.simulation.recipe import make_recipe
from integral_oda.simulation.window import simulate
from integral_oda.timing.light_curve import Estimator

REPORTS = Path(__file__).parent / "reports"
BAND = (28.0, 80.0)
WIDTHS_S = (1000.0, 100.0, 10.0, 1.0, 0.1)
FLUXES = (0.0, 3.0, 10.0, 30.0, 100.0, 5.0)
PLACES = ((83.6, 22.0), (86.6, 22.0), (81.4, 20.4), (84.4, 25.4), (88.0, 25.5), (80.0, 23.5))
PULSAR = {"period_s": 7.3, "pulsed": 0.4, "phase": 0.1}


def window_recipe(seed: int) -> dict[str, Any]:
    """One pointing on six sources with real-looking background, thresholds and gaps."""
    sources = [
        {"name": f"S{k}", "ra": ra, "dec": dec, "flux": {"value": flux, "band": BAND}}
        for k, (flux, (ra, dec)) in enumerate(zip(FLUXES, PLACES, strict=True))
        if flux > 0
    ]
    return {
        "seed": seed,
        "revolution": 665,
        "pointings": [{"ra": 83.9 + 0.2 * (seed % 5), "dec": 22.4 - 0.1 * (seed % 7), "roll": 20 + 7 * (seed % 11)}],
        "duration_s": 3500,
        "sources": sources,
        "gaps_s": [[700, 703.5], [2100.2, 2102]],
        "background": {"rate": 150, "band": BAND, "edge_excess": 0.1},
        "detector": {"dead_fraction": 0.05, "dead_time": 0.28, "low_threshold_kev": 17, "low_threshold_spread_kev": 1},
    }


def truth_catalogue(folder: Path) -> Path:
    """All six places, the empty one too."""
    lines = ["# %ECSV 1.0", "# ---", "# delimiter: ','", "# datatype:"]
    lines += ["# - {name: name, datatype: string}", "# - {name: ra, unit: deg, datatype: float64}"]
    lines += ["# - {name: dec, unit: deg, datatype: float64}", "name,ra,dec"]
    lines += [f"S{k},{ra},{dec}" for k, (ra, dec) in enumerate(PLACES)]
    path = folder / "places.ecsv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def curves_of_window(seed: int) -> dict[float, list[LightCurve]]:
    """Light curves of the six places in every width."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (scw,) = simulate(make_recipe(window_recipe(seed)), folder / "archive")
        catalogue = truth_catalogue(folder)
        found = {}
        for width in WIDTHS_S:
            query = LightCurveQuery(scw_list=(str(scw),), time_bin=width, catalog=catalogue)
            products = analyse(query, folder / "archive", folder / "store")
            found[width] = [curve for curve in products.curves if curve.name in {f"S{k}" for k in range(len(PLACES))}]
        return found


def coverage(windows: list[dict[float, list[LightCurve]]]) -> list[dict[str, Any]]:
    """Shares of the bins whose interval holds the truth, and the mean bias over the error of the ensemble."""
    rows = []
    for width in WIDTHS_S:
        curves = [curve for window in windows for curve in window[width]]
        whole = [c.select(c.fractional_exposure > 0.5) for c in curves]
        truth = [np.full(len(c), FLUXES[int(c.name[1:])]) for c in whole]
        inside = {
            "rate_low_high": [(c.low <= t) & (t <= c.high) for c, t in zip(whole, truth, strict=True)],
            "rate_low2_high2": [(c.low_95 <= t) & (t <= c.high_95) for c, t in zip(whole, truth, strict=True)],
            "one_error": [np.abs(c.rate - t) <= c.error for c, t in zip(whole, truth, strict=True)],
            "two_errors": [np.abs(c.rate - t) <= 2 * c.error for c, t in zip(whole, truth, strict=True)],
        }
        shares = {name: float(np.concatenate(values).mean()) for name, values in inside.items()}
        rows.append({"width_s": width, "bins": sum(map(len, whole)), **shares, **_bias(whole)})
    return rows


def _bias(curves: list[LightCurve]) -> dict[str, Any]:
    """Mean over windows of each source's departure, over the scatter from window to window."""
    by_source: dict[str, list[float]] = {}
    for curve in curves:
        mean = float((curve.rate * curve.live_time_s).sum() / curve.live_time_s.sum())
        by_source.setdefault(curve.name, []).append(mean - FLUXES[int(curve.name[1:])])
    biases = {name: [float(np.mean(v)), float(np.std(v, ddof=1))] for name, v in sorted(by_source.items())}
    ratios = {name: mean / scatter for name, (mean, scatter) in biases.items()}
    return {"bias_and_scatter": biases, "bias_over_scatter": ratios}


def leaks() -> dict[str, float]:
    """Share of a 1 Crab source's rate that a place 3 degrees away gets, without noise."""
    crab = crab_rate(EnergyBand(*BAND))
    attitude = Attitude.from_keywords({"RA_SCX": 84.5, "DEC_SCX": 22.0, "RA_SCZ": 264.5, "DEC_SCZ": 68.0})
    used = active_pixels()
    background = np.full(int(used.sum()), 150.0 / used.sum())
    bright, faint = (attitude.tangents(ra, 22.0) for ra in (83.0, 83.0 + 3.0 / np.cos(np.deg2rad(22.0))))
    worst = {}
    for name, offset_arcmin in (("true position", 0.0), ("0.2 arcmin off", 0.2)):
        values = []
        for angle in np.linspace(0, 2 * np.pi, 8, endpoint=False):
            step = np.deg2rad(offset_arcmin / 60) * np.array([np.cos(angle), np.sin(angle)])
            assumed = tuple(np.array(bright) + step)
            shadows = np.stack([pixel_illumination(*p, 47.3)[used] for p in (assumed, faint)], axis=1) / OPEN_PIXELS
            gradients = bright_gradients([assumed], 47.3)[used] / OPEN_PIXELS
            estimator = Estimator.from_model(shadows, background, np.array([crab, 0.01 * crab]), gradients)
            true = (
                pixel_illumination(*bright, 47.3)[used] / OPEN_PIXELS * crab + shadows[:, 1] * 0.01 * crab + background
            )
            values.append((true @ estimator.weights[:, 1] - 0.01 * crab) / crab)
        worst[name] = float(np.max(np.abs(values)))
    return worst


def pulsar(seed: int) -> dict[str, Any]:
    """Period and pulsed fraction of a simulated pulsar, found by search and fold."""
    recipe = window_recipe(seed)
    recipe["sources"] = [{"name": "P", "ra": 83.6, "dec": 22.0, "flux": {"value": 100, "band": BAND},
                          "behaviour": {"type": "periodic", **PULSAR}}]  # fmt: skip
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (scw,) = simulate(make_recipe(recipe), folder / "archive")
        asked = {"scw_list": (str(scw),), "catalog": folder / "archive" / "sources.ecsv", "src_name": "P"}
        found = analyse(LightCurveQuery(**asked, period_search=(5.0, 10.0)), folder / "archive", folder / "store")
        search = found.summary["timing"]["period_search"]
        fold = (search["period_s"], 0.0, None)
        timing = analyse(LightCurveQuery(**asked, fold=fold), folder / "archive", folder / "store").summary["timing"]
    return {
        "period_s": search["period_s"],
        "period_error_s": search["period_error_s"],
        "period_pull": (search["period_s"] - PULSAR["period_s"]) / search["period_error_s"],
        "pulsed": timing["fold"]["pulsed_fraction"],
        "pulsed_error": timing["fold"]["pulsed_fraction_error"],
        "pulsed_pull": (timing["fold"]["pulsed_fraction"] - PULSAR["pulsed"]) / timing["fold"]["pulsed_fraction_error"],
    }


def main() -> None:
    """Run and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--windows", type=int, default=12)
    parser.add_argument("--pulsars", type=int, default=6)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    report: dict[str, Any] = {"leaks": leaks()}
    print(json.dumps(report))
    report["pulsars"] = [pulsar(given.seed + 1000 + k) for k in range(given.pulsars)]
    print(json.dumps(report["pulsars"], indent=1))
    windows = [curves_of_window(given.seed + k) for k in range(given.windows)]
    report |= {"windows": given.windows, "seed": given.seed, "coverage": coverage(windows)}
    (REPORTS / "light_curve_coverage.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(report["coverage"], indent=1))


if __name__ == "__main__":
    main()
