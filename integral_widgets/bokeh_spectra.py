"""Spectra as Bokeh figures: counts, residuals, unfolded spectrum, contours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from integral_oda.arrays import Array
from integral_oda.spectra.fit import FitResult, SpectrumData
from integral_widgets.bokeh_views import name_figure

__all__ = ["contour_figure", "fit_figure", "spectrum_figure"]

Figure = Any  # Bokeh's annotations do not know its styling arguments

KEV_IN_ERG = 1.602176634e-9
DATA_COLOURS = ("#2f7fd6", "#d9580d", "#1f9247", "#a259e6", "#e0453f", "#12889f")
LEVEL_COLOURS = ("#2f7fd6", "#a259e6", "#d9580d")
MODEL_COLOUR = "#808080"


def spectrum_figure(data: SpectrumData, width: int = 760) -> Figure:
    """Counts of a spectrum in its bins, before any model.

    Parameters
    ----------
    data : SpectrumData
    width : int
        Largest width, screen pixels.
    """
    plot = _panel("counts/s/keV", width, 360, "counts")
    plot.xaxis.axis_label = "Energy [keV]"
    plot.title.text = data.name
    _errors(plot, data, data.rate, data.error, DATA_COLOURS[0], "counts")
    return plot


def fit_figure(result: FitResult, width: int = 760) -> Figure:
    """Counts with the folded model, residuals and the unfolded spectrum with the model's confidence band.

    Parameters
    ----------
    result : FitResult
    width : int
        Largest width, screen pixels.

    Returns
    -------
    bokeh layout
        Three figures with one axis of energy, named ``counts``, ``residuals`` and ``unfolded``.
    """
    from bokeh.layouts import column
    from bokeh.models import FixedTicker, PrintfTickFormatter
    from bokeh.models.annotations import Span

    counts = _panel("counts/s/keV", width, 260, "counts")
    residuals = _panel("Residual [sigma]", width, 150, "residuals", counts.x_range, logarithmic=False)
    unfolded = _panel("E² N(E) [erg/cm²/s]", width, 280, "unfolded", counts.x_range)
    unfolded.xaxis.axis_label = "Energy [keV]"
    unfolded.yaxis.ticker = FixedTicker(ticks=[m * 10.0**k for k in range(-16, 0) for m in (1, 2, 5)])
    unfolded.yaxis.formatter = PrintfTickFormatter(format="%.2g")
    counts.title.text = (
        f"{result.problem.model.expression}: {result.problem.statistic} {result.value:.1f} / {result.dof}"
    )
    for k, data in enumerate(result.problem.spectra):
        colour = DATA_COLOURS[k % len(DATA_COLOURS)]
        _draw_spectrum(counts, residuals, result, k, colour)
        middle, width_kev = np.sqrt(data.low_kev * data.high_kev), data.high_kev - data.low_kev
        scale = middle**2 * KEV_IN_ERG * width_kev
        rate, error = result.unfolded(k)
        _errors(unfolded, data, rate * scale, error * scale, colour, f"unfolded{k}")
    residuals.add_layout(Span(location=0.0, dimension="width", line_color=MODEL_COLOUR, line_width=1))
    _draw_band(unfolded, result)
    return column(counts, residuals, unfolded, sizing_mode="scale_width", max_width=width, name="fit")


def contour_figure(contours: Mapping[str, Any], best: Mapping[str, float], width: int = 420) -> Figure:
    """Lines of constant statistic in the plane of two parameters.

    Parameters
    ----------
    contours : mapping
        As in ``fit.json``: ``parameters`` and ``lines``.
    best : mapping
        Fitted values by parameter.
    width : int
        Screen pixels.
    """
    from bokeh.plotting import figure

    first, second = contours["parameters"]
    plot: Figure = figure(
        x_axis_label=first, y_axis_label=second, width=width, height=round(0.8 * width),
        tools="pan,wheel_zoom,reset,save", sizing_mode="scale_width", max_width=width, name="contours",
    )  # fmt: skip
    levels = ", ".join(f"{line['sigma']:g}" for line in contours["lines"])
    name_figure(plot, f"Contours of {first} and {second} at {levels} sigma")
    for k, line in enumerate(contours["lines"]):
        points = np.array([*line["points"], line["points"][0]])
        plot.line(
            points[:, 0],
            points[:, 1],
            color=LEVEL_COLOURS[k % 3],
            line_width=2,
            legend_label=f"{line['sigma']:g} sigma",
        )
    plot.scatter([best[first]], [best[second]], marker="cross", size=14, color=MODEL_COLOUR, name="best")
    without = " and ".join(f"{sigma:g}" for sigma in contours.get("without_contour", ()))
    plot.title.text = f"None at {without} sigma: the fit does not hold them" if without else ""
    plot.legend.orientation = "horizontal"
    plot.add_layout(plot.legend[0], "above")  # inside it would hide the tip of a contour
    return plot


def _panel(label: str, width: int, height: int, name: str, energies: Any = None, *, logarithmic: bool = True) -> Figure:
    from bokeh.models import LogTicker, NumeralTickFormatter
    from bokeh.plotting import figure

    shared = {} if energies is None else {"x_range": energies}
    plot: Figure = figure(
        x_axis_type="log", y_axis_type="log" if logarithmic else "linear", y_axis_label=label, width=width,
        height=height, sizing_mode="scale_width", max_width=width, tools="pan,box_zoom,wheel_zoom,reset,save",
        name=name, **shared,
    )  # fmt: skip
    name_figure(plot, f"Spectrum: {label} against energy in keV; parameters of a fit are in the table below")
    plot.xaxis.ticker = LogTicker(mantissas=[1, 2, 3, 5, 7])
    plot.xaxis.formatter = NumeralTickFormatter(format="0")
    return plot


def _errors(plot: Figure, data: SpectrumData, rate: Array, error: Array, colour: str, name: str) -> None:
    """Crosses of bins per keV; below the axis of a logarithmic scale an error bar ends at a thousandth of the rest."""
    from bokeh.models import HoverTool

    per_kev = 1 / (data.high_kev - data.low_kev)
    value, spread = rate * per_kev, error * per_kev
    positive = value[value > 0]
    floor = 1e-3 * float(positive.min()) if len(positive) else 1e-30
    columns = {
        "energy": np.sqrt(data.low_kev * data.high_kev),
        "low": data.low_kev,
        "high": data.high_kev,
        "value": value,
        "error": spread,
        "top": np.maximum(value + spread, floor),
        "bottom": np.maximum(value - spread, floor),
    }
    seen = np.isfinite(value) & (value > 0)
    kept = {key: column[seen] for key, column in columns.items()}
    plot.segment("energy", "bottom", "energy", "top", source=kept, color=colour, name=f"{name}_errors")
    plot.segment("low", "value", "high", "value", source=kept, color=colour, name=f"{name}_widths")
    glyph = plot.scatter("energy", "value", source=kept, size=4, color=colour, name=name)
    # Bins at or below zero have no place on the axis: what they allow is shown as a limit of 2 sigma
    limit = np.where(np.isfinite(value) & ~seen, value + 2 * spread, np.nan)
    shown = limit > 0
    plot.scatter(
        columns["energy"][shown], limit[shown], marker="inverted_triangle", size=8, fill_alpha=0, line_color=colour,
        name=f"{name}_limits",
    )  # fmt: skip
    if len(positive):
        plot.y_range.start, plot.y_range.end = 0.3 * float(positive.min()), 3 * float(np.nanmax(value + spread))
    tips = [("Energy", "@low{0.0}-@high{0.0} keV"), ("Value", "@value{0.00e} ± @error{0.0e}")]
    plot.add_tools(HoverTool(renderers=[glyph], tooltips=tips, description="Values of the bins"))


def _draw_spectrum(counts: Figure, residuals: Figure, result: FitResult, k: int, colour: str) -> None:
    from bokeh.models import HoverTool

    data, predicted = result.problem.spectra[k], result.problem.predicted(result.values)[k]
    _errors(counts, data, data.rate, data.error, colour, f"counts{k}")
    per_kev = 1 / (data.high_kev - data.low_kev)
    x = np.column_stack([data.low_kev, data.high_kev]).ravel()
    counts.line(x, np.repeat(predicted * per_kev, 2), color=MODEL_COLOUR, line_width=1.5, name=f"model{k}")
    energy = np.sqrt(data.low_kev * data.high_kev)
    pull = (data.rate - predicted) / data.scatter
    source = {"energy": energy, "pull": pull, "top": pull + 1, "bottom": pull - 1}
    residuals.segment("energy", "bottom", "energy", "top", source=source, color=colour)
    glyph = residuals.scatter("energy", "pull", source=source, size=4, color=colour, name=f"residuals{k}")
    residuals.add_tools(
        HoverTool(renderers=[glyph], tooltips=[("Energy", "@energy{0.0} keV"), ("Residual", "@pull{0.0}")])
    )


def _draw_band(plot: Figure, result: FitResult) -> None:
    low = min(float(data.low_kev.min()) for data in result.problem.spectra)
    high = max(float(data.high_kev.max()) for data in result.problem.spectra)
    energy = np.geomspace(low, high, 200)
    middle, lower, upper = (energy**2 * KEV_IN_ERG * values for values in result.band(energy))
    plot.varea(energy, lower, upper, fill_color="#888888", fill_alpha=0.35, level="underlay", name="band")
    plot.line(energy, middle, color=MODEL_COLOUR, line_width=1.5, name="model")
    if np.all(middle > 0):
        plot.y_range.start, plot.y_range.end = 0.2 * float(middle.min()), 5 * float(middle.max())
