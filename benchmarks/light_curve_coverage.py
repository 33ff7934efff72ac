"""Closed loop of light curves: coverage of the intervals and bias from milliseconds to kiloseconds, leaks, a pulsar.

    python benchmarks/light_curve_coverage.py [--windows 100] [--pulsars 100] [--seed 101]

writes light_curve_coverage.json in benchmarks/reports, after each window and pulsar; 0 of them keeps the earlier
part. Simulated windows go through the native engine's own steps; every source is steady but the pulsar. The bias is the
mean departure from the truth over the scatter of single bins, the error of the ensemble.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from integral_oda.analysis import analyse
from integral_oda.archive.tree import Archive
from integral_oda.engines.native.field import live_time_map
from integral_oda.engines.native.graph import Curves, light_curve_graph
from integral_oda.engines.native.timing import Window, fit_window
from integral_oda.engines.native.window_fit import WindowFit, bright_gradients
from integral_oda.instrument.attitude import Attitude
from integral_oda.instrument.detector import OPEN_PIXELS, active_pixels
from integral_oda.instrument.energy import EnergyBand
from integral_oda.instrument.pif import pixel_illumination
from integral_oda.instrument.response import crab_rate
from integral_oda.products.light_curve import LightCurve
from integral_oda.query import LightCurveQuery
from integral_oda.simulation.recipe import make_recipe
from integral_oda.simulation.window import simulate
from integral_oda.timing.binning import fixed_edges
from integral_oda.timing.light_curve import Estimator, fit_bins
from integral_oda.workflow.executor import execute
from integral_oda.workflow.graph import walk
from integral_oda.workflow.shared import open_store

REPORTS = Path(__file__).parent / "reports"
BAND = (28.0, 80.0)
WIDTHS_S = (1000.0, 100.0, 10.0, 1.0, 0.1)
FLUXES = (0.0, 3.0, 10.0, 30.0, 100.0, 5.0)
PLACES = ((83.6, 22.0), (86.6, 22.0), (81.4, 20.4), (84.4, 25.4), (88.0, 25.5), (80.0, 23.5))
MEAN_COUNTS = (0.1, 1.0, 10.0, 100.0, 1000.0, 10000.0)
"""Events of the whole plane in a bin, for bins drawn without a window."""
MOST_EVENTS, MOST_DRAWN_BINS = 4_000_000, 400_000
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


def curves_of_window(seed: int) -> dict[float, list[LightCurve]]:
    """Light curves of the six places, the empty one too, in every width; bins of more than half their good time."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (scw,) = simulate(make_recipe(window_recipe(seed)), folder / "archive")
        places = [(f"S{k}", *place) for k, place in enumerate(PLACES)]
        asked = Curves((EnergyBand(*BAND),), {"width_s": WIDTHS_S[0]}), places
        graph = light_curve_graph(Archive(folder / "archive"), [str(scw)], *asked)
        node = next(node for node in walk([graph]) if node.step.name == "LCR")
        values = execute(list(node.inputs), open_store(folder / "store"))
        events, good, dead, field, shadowgram, widths = (values.value(part) for part in node.inputs)
        window, attitude = Window(events, good, dead), Attitude.from_keywords(events.header)
        fit = WindowFit(shadowgram, widths, field, EnergyBand(*BAND), None, attitude, live_time_map(good, dead))
        found = {}
        for width in WIDTHS_S:
            curves = fit_window(window, fit, fixed_edges(*window.span, width))
            found[width] = [
                c.select(c.fractional_exposure > 0.5) for c in curves if c.name in {place[0] for place in places}
            ]
        return found


def of_window(curves: list[LightCurve]) -> dict[str, Any]:
    """Bins inside their intervals in one window and width, and sums of the departures of each source."""
    truth = {curve.name: FLUXES[int(curve.name[1:])] for curve in curves}
    away = {curve.name: curve.rate - truth[curve.name] for curve in curves}
    inside = {
        "rate_low_high": [(c.low <= truth[c.name]) & (truth[c.name] <= c.high) for c in curves],
        "rate_low2_high2": [(c.low_95 <= truth[c.name]) & (truth[c.name] <= c.high_95) for c in curves],
        "one_error": [np.abs(away[c.name]) <= c.error for c in curves],
        "two_errors": [np.abs(away[c.name]) <= 2 * c.error for c in curves],
    }
    return {
        "bins": sum(map(len, curves)),
        "inside": {name: int(np.concatenate(values).sum()) for name, values in inside.items()},
        "mean": {name: float(values.mean()) for name, values in sorted(away.items())},
        "square": {name: float((values**2).mean()) for name, values in sorted(away.items())},
    }


def coverage(windows: list[dict[float, dict[str, Any]]]) -> list[dict[str, Any]]:
    """Shares of the bins whose interval holds the truth, and bias of each source; errors from window to window."""
    rows = []
    for width in WIDTHS_S:
        of_width = [window[width] for window in windows]
        bins = np.array([row["bins"] for row in of_width])
        row: dict[str, Any] = {"width_s": width, "bins": int(bins.sum())}
        for name in of_width[0]["inside"]:
            shares = np.array([one["inside"][name] for one in of_width]) / bins
            row[name] = [float(np.average(shares, weights=bins)), _error(shares)]
        rows.append(row | {"bias_over_scatter": _bias(of_width)})
    return rows


def _error(values: np.ndarray) -> float:
    return float(np.std(values, ddof=1) / np.sqrt(len(values))) if len(values) > 1 else float("nan")


def _bias(of_width: list[dict[str, Any]]) -> dict[str, list[float]]:
    """Mean departure of each source over the scatter of its bins, and the error of that."""
    found = {}
    for name in of_width[0]["mean"]:
        means = np.array([row["mean"][name] for row in of_width])
        scatter = np.sqrt(np.mean([row["square"][name] for row in of_width]) - means.mean() ** 2)
        found[name] = [float(means.mean() / scatter), float(_error(means) / scatter)]
    return found


def drawn_bins(seed: int) -> list[dict[str, Any]]:
    """Bias and coverage of the estimator alone at mean counts from a tenth to ten thousand, bins drawn directly."""
    generator = np.random.default_rng(seed)
    attitude = Attitude.from_keywords({"RA_SCX": 83.9, "DEC_SCX": 22.4, "RA_SCZ": 263.9, "DEC_SCZ": 67.6})
    used = active_pixels()
    places = [attitude.tangents(*place) for place in PLACES]
    shadows = np.stack([pixel_illumination(*place, 47.3)[used] for place in places], axis=1) / OPEN_PIXELS
    background, fluxes = np.full(int(used.sum()), 150.0 / used.sum()), np.array(FLUXES)
    estimator = Estimator.from_model(shadows, background, fluxes)
    expected = background + shadows @ fluxes
    rows = []
    for counts in MEAN_COUNTS:
        n_bins = int(min(MOST_EVENTS / counts, MOST_DRAWN_BINS))
        n_events = generator.poisson(counts * n_bins)
        pixels = generator.choice(len(expected), n_events, p=expected / expected.sum())
        live = np.full(n_bins, counts / expected.sum())
        rates = fit_bins(estimator, generator.integers(0, n_bins, n_events), pixels, live)
        away = rates.rate - fluxes
        inside = ((rates.low <= fluxes) & (fluxes <= rates.high)).mean(axis=(1, 2))
        bias = {f"S{k}": float(v) for k, v in enumerate(away.mean(axis=0) / away.std(axis=0))}
        rows.append({"counts": counts, "bins": n_bins, "bias_over_scatter": bias, "error": n_bins**-0.5,
                     "estimator_68": float(inside[0]), "estimator_95": float(inside[1])})  # fmt: skip
    return rows


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


def pulls(found: list[dict[str, Any]]) -> dict[str, Any]:
    """Mean and width of the pulls of period and pulsed fraction, and the share within 1 and 2 errors."""
    summary: dict[str, Any] = {"pulsars": len(found)}
    for name in ("period_pull", "pulsed_pull"):
        values = np.array([one[name] for one in found])
        within = {f"within_{n}": float((np.abs(values) <= n).mean()) for n in (1, 2)}
        summary[name] = {"mean": float(values.mean()), "width": float(values.std(ddof=1)), **within}
    return summary


def main() -> None:
    """Run and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--windows", type=int, default=100)
    parser.add_argument("--pulsars", type=int, default=100)
    parser.add_argument("--seed", type=int, default=101)
    given = parser.parse_args()
    path = REPORTS / "light_curve_coverage.json"
    report: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    report |= {"leaks": leaks(), "drawn_bins": drawn_bins(given.seed)}
    found, windows = [], []
    for k in range(given.pulsars):
        found.append(pulsar(given.seed + 1000 + k))
        if len(found) > 1:
            report |= {"pulsars_seed": given.seed + 1000, "pulls": pulls(found), "pulsars": found}
            path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    for k in range(given.windows):
        windows.append({width: of_window(curves) for width, curves in curves_of_window(given.seed + k).items()})
        report |= {"windows": k + 1, "seed": given.seed, "coverage": coverage(windows)}
        path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(json.dumps({name: report.get(name) for name in ("drawn_bins", "pulls", "coverage")}, indent=1))


if __name__ == "__main__":
    main()
