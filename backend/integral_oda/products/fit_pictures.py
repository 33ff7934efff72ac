"""Picture of a spectral fit: folded data with the model, residuals, unfolded spectrum with its confidence band."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from integral_oda.products.fits_io import write_aside
from integral_oda.spectra.fit import FitResult, SpectrumData

__all__ = ["draw_fit"]

_LABELLED = "235"
"""First digits of the energies that are written at minor ticks."""

KEV_IN_ERG = 1.602176634e-9
_COLOURS = ("tab:blue", "tab:orange", "tab:green", "tab:red", "tab:purple", "tab:brown")


def draw_fit(path: str | Path, result: FitResult, contours: Mapping[str, Any] | None = None) -> None:
    """Draw a fit; with contours in a panel of their own."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    wide = contours is not None
    figure = Figure(figsize=(14 if wide else 8.5, 9), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(3, 2 if wide else 1, height_ratios=[3, 1.2, 3])
    counts = figure.add_subplot(grid[0, 0])
    residuals = figure.add_subplot(grid[1, 0], sharex=counts)
    unfolded = figure.add_subplot(grid[2, 0], sharex=counts)
    for k, (data, predicted) in enumerate(
        zip(result.problem.spectra, result.problem.predicted(result.values), strict=True)
    ):
        colour = _COLOURS[k % len(_COLOURS)]
        _draw_counts(counts, data, predicted, colour)
        _draw_residuals(residuals, data, predicted, colour)
        _draw_unfolded(unfolded, result, k, colour)
    _draw_band(unfolded, result)
    _label(counts, residuals, unfolded, result)
    if contours is not None:
        _draw_contours(figure.add_subplot(grid[:, 1]), result, contours)
    with write_aside(path) as aside:
        figure.savefig(aside, metadata={"Software": None})


def _middle(data: SpectrumData) -> tuple[Any, Any]:
    centre = np.sqrt(data.low_kev * data.high_kev)
    return centre, np.vstack([centre - data.low_kev, data.high_kev - centre])


def _draw_counts(axes: Any, data: SpectrumData, predicted: Any, colour: str) -> None:
    centre, half = _middle(data)
    width = data.high_kev - data.low_kev
    style = {"fmt": "none", "color": colour, "elinewidth": 1}
    axes.errorbar(centre, data.rate / width, data.error / width, half, label=data.name, **style)
    axes.stairs(predicted / width, np.append(data.low_kev, data.high_kev[-1]), color="black", linewidth=1)
    positive = predicted[predicted > 0] / width[predicted > 0]
    if len(positive):
        low = 0.3 * positive.min()
        axes.set_yscale("log")
        axes.set_ylim(low, 5 * max(positive.max(), float(np.max(data.rate / width))))


def _draw_residuals(axes: Any, data: SpectrumData, predicted: Any, colour: str) -> None:
    centre, half = _middle(data)
    pull = (data.rate - predicted) / np.where(data.error > 0, data.error, np.inf)
    axes.errorbar(centre, pull, 1.0, half, fmt="none", color=colour, elinewidth=1)
    axes.axhline(0, color="black", linewidth=0.8)


def _draw_unfolded(axes: Any, result: FitResult, k: int, colour: str) -> None:
    """E^2 N(E) of the data under the assumption of the model."""
    centre, half = _middle(result.problem.spectra[k])
    rate, error = (values * centre**2 * KEV_IN_ERG for values in result.unfolded(k))
    axes.errorbar(centre, rate, error, half, fmt="none", color=colour, elinewidth=1)


def _draw_band(axes: Any, result: FitResult) -> None:
    low = min(d.low_kev.min() for d in result.problem.spectra)
    high = max(d.high_kev.max() for d in result.problem.spectra)
    energy = np.geomspace(low, high, 200)
    middle, lower, upper = result.band(energy)
    square = energy**2 * KEV_IN_ERG
    axes.fill_between(energy, square * lower, square * upper, color="grey", alpha=0.4, linewidth=0)
    axes.plot(energy, square * middle, color="black", linewidth=1)
    shown = square * middle
    if np.all(shown > 0):
        axes.set_yscale("log")
        axes.set_ylim(0.2 * shown.min(), 5 * shown.max())


def _label(counts: Any, residuals: Any, unfolded: Any, result: FitResult) -> None:
    from matplotlib.ticker import FuncFormatter, ScalarFormatter

    unfolded.set_xscale("log")
    unfolded.xaxis.set_major_formatter(ScalarFormatter())
    unfolded.xaxis.set_minor_formatter(FuncFormatter(_some_energies))
    unfolded.tick_params(axis="x", which="minor", labelsize=8)
    counts.tick_params(labelbottom=False, which="both")
    residuals.tick_params(labelbottom=False, which="both")
    counts.set_ylabel("counts/s/keV")
    residuals.set_ylabel("residual [sigma]")
    unfolded.set_ylabel(r"$E^2 N(E)$ [erg/cm$^2$/s]")
    unfolded.set_xlabel("energy [keV]")
    counts.legend(loc="upper right", fontsize=9)
    free = [p for p in result.parameters if not p.fixed]
    values = ", ".join(f"{p.name} = {p.value:.4g} ± {p.error:.2g}" for p in free)
    statistic = f"{result.problem.statistic} {result.value:.1f} / {result.dof}"
    counts.set_title(f"{result.problem.model.expression}: {values}; {statistic}", fontsize=9)


def _some_energies(energy: float, _position: int | None = None) -> str:
    """Label of a minor tick: only those that leave room for the others."""
    return f"{energy:g}" if f"{energy:.0e}"[0] in _LABELLED else ""


def _draw_contours(axes: Any, result: FitResult, contours: Mapping[str, Any]) -> None:
    first, second = contours["parameters"]
    for line in contours["lines"]:
        points = np.array([*line["points"], line["points"][0]])
        axes.plot(points[:, 0], points[:, 1], label=f"{line['sigma']:g} sigma")
    best = {p.name: p.value for p in result.parameters}
    axes.plot(best[first], best[second], "k+", markersize=12)
    axes.set_xlabel(first)
    axes.set_ylabel(second)
    without = " and ".join(f"{sigma:g}" for sigma in contours.get("without_contour", ()))
    axes.set_title(f"none at {without} sigma: the fit does not hold them" if without else "", fontsize="small")
    axes.legend()
