"""Figures of the kinds that the papers behind the benchmarks show (matplotlib), and the table of the Crab."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from integral_oda.arrays import Array

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from integral_oda.products.light_curve import LightCurve
    from integral_widgets.benchmark_data import FluxComparison

__all__ = ["crab_report", "crab_table_html", "flux_report", "long_term_report", "peaks_report", "unfolded_report"]

Points = Mapping[str, tuple[Array, Array, Array]]
_OURS, _OTHERS, _MARK = "#1f4e8c", ("#b45f06", "#0a7d2c", "#7a2b8f"), "#b71c1c"
_ERG_A_KEV = 1.602176634e-9


def flux_report(rows: Sequence[FluxComparison], band: str) -> Figure:
    """Measured over input flux of each source, a line a source, the brightest on top."""
    from matplotlib.figure import Figure

    known = sorted((row for row in rows if np.isfinite(row.measured)), key=lambda row: row.true)
    figure = Figure(figsize=(8, 1.5 + 0.22 * len(known)), layout="constrained")
    axes = figure.add_subplot()
    place = np.arange(len(known))
    ratio, error = [row.measured / row.true for row in known], [row.error / row.true for row in known]
    axes.errorbar(ratio, place, xerr=error, fmt="o", color=_OURS, markersize=4)
    axes.set_yticks(place, [f"{row.name}, {row.true:.2f}" for row in known], fontsize=8)
    axes.axvline(1, color="grey", linewidth=0.8)
    axes.axvspan(0.95, 1.05, color="grey", alpha=0.15, label="5 %")
    axes.set(xlabel="Measured / input", ylabel="Input [counts/s]", title=f"Fluxes, {band} keV")
    axes.legend(loc="upper right")
    return figure


def peaks_report(curve: LightCurve, crab: Array, flares_mjd: Sequence[float]) -> Figure:
    """Light curve in Crab: the whole of it, and each flare on its own."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 6), layout="constrained")
    time = curve.time_ijd + 51544.0
    error, width = np.abs(crab * curve.error / curve.rate), max(len(flares_mjd), 1)
    grid = figure.add_gridspec(2, width)
    whole: Any = figure.add_subplot(grid[0, :])
    whole.plot(time, crab, ".", markersize=2, color=_OURS)
    for number, flare in enumerate(flares_mjd):
        whole.axvline(flare, linestyle=":", linewidth=0.8, color=_MARK)
        panel: Any = figure.add_subplot(grid[1, number])
        near = np.abs(time - flare) < 0.02
        panel.errorbar((time[near] - flare) * 86400, crab[near], error[near], fmt=".", color=_OURS, markersize=4)
        panel.axvline(0, linestyle=":", linewidth=0.8, color=_MARK)
        panel.set_title(f"MJD {flare:.2f}", fontsize=9)
        panel.set_xlabel("Time from the flare [s]")
    whole.set(xlabel="MJD (TT)", ylabel="Crab", title=f"{curve.name}, {curve.band} keV, published flares dotted")
    whole.ticklabel_format(axis="x", useOffset=False)
    return figure


def long_term_report(mjd: Array, rate: Array, error: Array, label: str, title: str, others: Points) -> Figure:
    """Light curve against MJD, with those of other instruments."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    axes = figure.add_subplot()
    for (name, (time, value, sigma)), colour in zip(others.items(), _OTHERS, strict=False):
        axes.errorbar(time, value, sigma, fmt="s", markersize=2.5, linewidth=0.7, color=colour, label=name)
    axes.errorbar(mjd, rate, error, fmt="o", markersize=3.5, linewidth=1, color=_OURS, label="this report", zorder=3)
    axes.set(xlabel="MJD (TT)", ylabel=label, title=title)
    axes.ticklabel_format(axis="x", useOffset=False)
    if others:
        axes.legend(fontsize=8)
    else:
        axes.axhline(0, color="grey", linewidth=0.6)
    return figure


def unfolded_report(
    index: tuple[float, float], flux: tuple[float, float], band: tuple[float, float],
    published: Mapping[str, tuple[Array, Array]],
) -> Figure:  # fmt: skip
    """Power law as E^2 N(E) in keV/cm2/s, with its 1 sigma band of norm and index, beside published points."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = figure.add_subplot()
    energy = np.geomspace(*band, 60)

    def e2n(slope: float) -> Array:
        shape = energy ** (2 - slope)
        curve: Array = shape * flux[0] / _ERG_A_KEV / np.trapezoid(energy ** (1 - slope), energy)
        return curve

    middle = e2n(index[0])
    sides = [e2n(index[0] + side * index[1]) for side in (-1, 1)]
    scale = flux[1] / flux[0]
    low, high = np.min(sides, axis=0) * (1 - scale), np.max(sides, axis=0) * (1 + scale)
    axes.fill_between(energy, low, high, color=_OURS, alpha=0.25)
    axes.plot(energy, middle, color=_OURS, label="this report, power law")
    for (name, (at, value)), colour in zip(published.items(), _OTHERS, strict=False):
        axes.plot(at, value, "o", markersize=4, color=colour, label=name)
    axes.set(xscale="log", yscale="log", xlabel="Energy [keV]", ylabel="E$^2$ N(E) [keV/cm$^2$/s]")
    axes.legend(fontsize=8)
    return figure


def crab_report(rows: Mapping[str, Mapping[str, Any]], published: Mapping[str, Sequence[float]]) -> Figure:
    """Flux and indices of each year beside the published ones."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 7), layout="constrained")
    years = [int(year) for year in rows]
    panels = (
        ("flux", 0, "F(20-100) [1e-8 erg/cm$^2$/s]"),
        ("index2", 2, "Index 20-100 keV"),
        ("index3", 3, "Index > 100 keV"),
    )
    for number, (name, column, label) in enumerate(panels, start=1):
        axes: Any = figure.add_subplot(3, 1, number)
        values, errors = zip(*(rows[str(year)][name] for year in years), strict=True)
        known = [published[str(year)][column] for year in years]
        axes.plot(years, known, "s", color=_OTHERS[0], markersize=5, label="published")
        axes.errorbar(years, values, errors, fmt="o", color=_OURS, markersize=4, label="this report")
        axes.axvline(2015.5, color="grey", linestyle="--", linewidth=0.8)
        axes.set_ylabel(label)
    figure.axes[0].legend(fontsize=8)
    figure.axes[-1].set_xlabel("Year (dashed: OSA 10 to OSA 11)")
    return figure


def crab_table_html(rows: Mapping[str, Mapping[str, Any]], published: Mapping[str, Sequence[float]]) -> str:
    """Table of flux, indices and reduced chi2 of each year, the published ones in brackets."""
    titles = ("Year", "F(20-100) [1e-8 erg/cm2/s]", "Index 20-100 keV", "Index above 100 keV", "Reduced chi2")
    head = "".join(f"<th>{title}</th>" for title in titles)
    columns = {"flux": 0, "index2": 2, "index3": 3}
    body = ""
    for year, row in rows.items():
        cells = [f"{row[n][0]:.3f} ± {row[n][1]:.3f} ({published[year][k]:.3f})" for n, k in columns.items()]
        body += "".join(f"<td>{cell}</td>" for cell in (year, *cells, f"{row['chi2red']:.2f}")).join(("<tr>", "</tr>"))
    return f"<table><tr>{head}</tr>{body}</table>"
