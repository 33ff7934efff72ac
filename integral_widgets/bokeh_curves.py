"""Light curves as Bokeh figures: as many bins as a screen can show, more of them when zoomed."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from integral_widgets import display

if TYPE_CHECKING:
    from integral_oda.products.light_curve import LightCurve

__all__ = ["follow_zoom", "light_curve_figure", "show_between", "start_ijd"]

Array = NDArray[np.float64]
Figure = Any  # Bokeh's annotations do not know its styling arguments

MAX_POINTS = 4000
SETTLING_S = 0.15
COLOUR = "#1f4e8c"


def light_curve_figure(curve: LightCurve, width: int = 900, height: int = 340) -> Figure:
    """Light curve as steps with 1 sigma errors.

    Parameters
    ----------
    curve : LightCurve
        Any number of bins; of more than 4000 the extremes are drawn, so that no burst is lost.
    width, height : int
        Largest width, and height, screen pixels.

    Returns
    -------
    bokeh.plotting.figure
        Seconds since the start of the first bin against counts/s.
    """
    from bokeh.models import ColumnDataSource, HoverTool, NumeralTickFormatter, Range1d
    from bokeh.plotting import figure

    seconds = _seconds(curve)
    low, high = (0.0, float(seconds[-1] + curve.width_s[-1] / 2)) if len(curve) else (0.0, 1.0)
    margin = 0.02 * (high - low)
    plot: Figure = figure(
        x_range=Range1d(start=low - margin, end=high + margin),
        y_range=Range1d(start=0, end=1),
        x_axis_label=f"Time [s] since {_utc(start_ijd(curve))} UTC" if len(curve) else "Time [s]",
        y_axis_label="Rate [counts/s]",
        height=height,
        sizing_mode="stretch_width",
        max_width=width,
        tools="xpan,xbox_zoom,xwheel_zoom,reset,save",
        active_drag="xbox_zoom",
        name="light_curve",
    )
    plot.xaxis.formatter = NumeralTickFormatter(format="0.[000]")
    steps, bins = ColumnDataSource({"x": [], "y": []}), ColumnDataSource()
    plot.line([low, high], [0.0, 0.0], color="#888888", line_dash="dotted", name="zero")
    plot.line("x", "y", source=steps, color=COLOUR, line_width=1, name="steps")
    plot.segment("seconds", "low", "seconds", "high", source=bins, color=COLOUR, alpha=0.45, name="errors")
    glyph = plot.scatter("seconds", "rate", source=bins, size=3, color=COLOUR, name="bins")
    tips = [("Time", "@seconds{0.000} s"), ("IJD", "@ijd{0.000000}"), ("Rate", "@rate{0.00} ± @error{0.00} counts/s"),
            ("Significance", "@sigma{0.0}")]  # fmt: skip
    plot.add_tools(HoverTool(renderers=[glyph], tooltips=tips, mode="vline" if len(curve) < 500 else "mouse"))
    show_between(plot, curve, low, high)
    return plot


def show_between(plot: Figure, curve: LightCurve, low_s: float, high_s: float) -> None:
    """Draw the part of a light curve between two times as finely as 4000 points allow.

    Parameters
    ----------
    plot : bokeh.plotting.figure
        Of `light_curve_figure`; each of its data sources is replaced as a whole.
    curve : LightCurve
        The one that was drawn.
    low_s, high_s : float
        Seconds since the start of its first bin.
    """
    seconds = _seconds(curve)
    inside = np.flatnonzero((seconds + curve.width_s / 2 >= low_s) & (seconds - curve.width_s / 2 <= high_s))
    kept = inside[display.extremes(curve.rate[inside], MAX_POINTS)] if len(inside) else inside
    if len(kept) == len(inside):
        x, y = display.bin_edges_with_gaps(seconds[kept], curve.width_s[kept], curve.rate[kept])
    else:
        x, y = seconds[kept], curve.rate[kept]
    reduced = "" if len(kept) == len(inside) else f", extremes of {len(inside)} bins drawn: zoom in for all"
    plot.title.text = f"{curve.name}, {curve.band} keV{reduced}"
    plot.select_one({"name": "steps"}).data_source.data = {"x": x, "y": y}
    columns = _columns(curve, seconds, kept)
    plot.select_one({"name": "bins"}).data_source.data = columns
    plot.y_range.update(**_limits(columns))


def follow_zoom(plot: Figure, curve: LightCurve) -> None:
    """Draw anew whenever the user has zoomed or moved, a moment after the last change: finer, and as high as needed."""
    waiting: list[threading.Timer] = []

    def draw() -> None:
        show_between(plot, curve, plot.x_range.start, plot.x_range.end)

    def changed(_attribute: str, _old: Any, _new: Any) -> None:
        while waiting:
            waiting.pop().cancel()
        timer = threading.Timer(SETTLING_S, draw)
        timer.daemon = True
        waiting.append(timer)
        timer.start()

    plot.x_range.on_change("start", changed)
    plot.x_range.on_change("end", changed)


def _limits(columns: dict[str, Any]) -> dict[str, float]:
    """Ends of the rate axis: all error bars and zero, with a margin."""
    low, high = float(np.nanmin(columns["low"], initial=0.0)), float(np.nanmax(columns["high"], initial=0.0))
    margin = 0.05 * (high - low) or 1.0
    return {"start": low - margin, "end": high + margin}


def _columns(curve: LightCurve, seconds: Array, kept: NDArray[np.intp]) -> dict[str, Any]:
    rate, error = curve.rate[kept], curve.error[kept]
    with np.errstate(divide="ignore", invalid="ignore"):
        sigma = rate / error
    return {
        "seconds": seconds[kept],
        "ijd": curve.time_ijd[kept],
        "rate": rate,
        "error": error,
        "low": rate - error,
        "high": rate + error,
        "sigma": sigma,
    }


def start_ijd(curve: LightCurve) -> float:
    """Start of the first bin, the origin of the figure's time axis, IJD."""
    return float(curve.time_ijd[0] - curve.width_s[0] / 172800)


def _seconds(curve: LightCurve) -> Array:
    return (curve.time_ijd - start_ijd(curve)) * 86400 if len(curve) else np.zeros(0)


def _utc(time_ijd: float) -> str:
    from astropy.time import Time

    return str(Time(51544.0, time_ijd, format="mjd", scale="tt").utc.isot)[:19]
