"""Light curves as a Bokeh figure: as many bins as a screen can show, finer ones when zoomed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from integral_oda.products.joining import rebin_curve
from integral_oda.products.light_curve import FLAG_GAP
from integral_oda.timing.variability import ConstantFit, LinearFit, fit_constant, fit_line
from integral_widgets import display
from integral_widgets.bokeh_views import name_figure

if TYPE_CHECKING:
    from integral_oda.products.light_curve import LightCurve

__all__ = ["CurveFigure", "Trend", "light_curve_gaps", "round_width"]

Array = NDArray[np.float64]
Figure = Any  # Bokeh's annotations do not know its styling arguments
Trend = Literal["none", "constant", "linear"]

MAX_POINTS = 4000
MAX_BINS = 600
MAX_MARKS = 400
SETTLING_S = 0.15
COLOURS = ("#2f7fd6", "#d9580d", "#1f9247", "#a259e6", "#e0453f", "#12889f")
GAP_COLOUR, BURST_COLOUR, CHOSEN_COLOUR = "#8a8a94", "#d97706", "#2563eb"
_DAY_S = 86400.0
_ROUND = (1.0, 2.0, 5.0)


class CurveFigure:
    """Light curves of several sources and bands on one axis of time.

    Of more bins than a screen can show, merged ones are drawn with their errors, and behind them the
    extremes of the single ones, so that no burst is lost; zooming draws the part that is seen anew.

    Parameters
    ----------
    curves : sequence of LightCurve
        Any number of bins each.
    bursts : sequence of mapping
        As in ``summary.json``.
    trend : {"none", "constant", "linear"}
        Fitted to the bins of the time that is shown.
    width, height : int
        Largest width, and height, screen pixels.
    told : callable, optional
        Given the fits of each curve whenever they are made anew.

    Attributes
    ----------
    plot : bokeh.plotting.figure
        Seconds since `origin_ijd` against counts/s.
    origin_ijd : float
        Start of the first bin of all curves, IJD.
    """

    def __init__(
        self,
        curves: Sequence[LightCurve],
        bursts: Sequence[Mapping[str, Any]] = (),
        trend: Trend = "none",
        width: int = 900,
        height: int = 360,
        told: Callable[[list[ConstantFit | LinearFit | None]], None] | None = None,
    ) -> None:
        self.curves, self.trend = list(curves), trend
        self._told = told or (lambda _: None)
        filled = [curve for curve in self.curves if len(curve)]
        self.origin_ijd = min((float(curve.edges_ijd[0, 0]) for curve in filled), default=0.0)
        self.end_s = max((self.seconds(float(curve.edges_ijd[-1, 1])) for curve in filled), default=1.0)
        self._draw(width, height)
        self._draw_gaps()
        self._draw_bursts(bursts)
        self.show_between(0.0, self.end_s)

    def seconds(self, time_ijd: Any) -> Any:
        """Place on the figure's axis of times in IJD."""
        return (time_ijd - self.origin_ijd) * _DAY_S

    def ijd(self, seconds: float) -> float:
        """Time (IJD) of a place on the figure's axis."""
        return self.origin_ijd + seconds / _DAY_S

    def show_between(self, low_s: float, high_s: float) -> None:
        """Draw the part between two times as finely as the screen allows.

        Parameters
        ----------
        low_s, high_s : float
            Seconds since `origin_ijd`.
        """
        shown, ends, trends, merged = [], [0.0], [], ""
        for k, curve in enumerate(self.curves):
            inside = curve.select(self._inside(curve, low_s, high_s))
            drawn, merged = self._thinned(inside)
            columns = self._columns(drawn)
            shown.append((f"{k}", drawn, columns, inside))
            ends += [float(np.nanmin(np.r_[columns["low"], inside.rate], initial=0.0))]
            ends += [float(np.nanmax(np.r_[columns["high"], inside.rate], initial=0.0))]
        for name, drawn, columns, inside in shown:
            self._replace(name, drawn, columns, inside)
            trends.append(self._draw_trend(name, drawn, inside))
        low, high = min(ends), max(ends)
        margin = 0.05 * (high - low) or 1.0
        self.plot.y_range.update(start=low - margin, end=high + margin)
        self.plot.title.text = self._title() + merged
        self._told(trends)

    def follow_zoom(self) -> None:
        """Draw anew whenever the user has zoomed or moved, a moment after the last change."""
        waiting: list[threading.Timer] = []
        axis = self.plot.x_range

        def draw() -> None:
            self.show_between(axis.start, axis.end)

        def changed(_attribute: str, _old: Any, _new: Any) -> None:
            while waiting:
                waiting.pop().cancel()
            timer = threading.Timer(SETTLING_S, draw)
            timer.daemon = True
            waiting.append(timer)
            timer.start()

        axis.on_change("start", changed)
        axis.on_change("end", changed)

    def mark_interval(self, low_s: float, high_s: float) -> None:
        """Shade the time that is chosen."""
        self.plot.select_one({"name": "chosen"}).update(left=low_s, right=high_s, visible=True)

    def _inside(self, curve: LightCurve, low_s: float, high_s: float) -> NDArray[np.intp]:
        edges = self.seconds(curve.edges_ijd)
        return np.flatnonzero((edges[:, 1] >= low_s) & (edges[:, 0] <= high_s))

    def _thinned(self, curve: LightCurve) -> tuple[LightCurve, str]:
        """The bins to draw with errors, and what is to be said of them."""
        if len(curve) <= MAX_BINS:
            return curve, ""
        span = float(curve.edges_ijd[-1, 1] - curve.edges_ijd[0, 0]) * _DAY_S
        width = round_width(span / MAX_BINS, float(np.median(curve.width_s)))
        return rebin_curve(curve, width), f"; {len(curve)} bins merged to {width:.4g} s, their extremes behind: zoom in"

    def _title(self) -> str:
        names = list(dict.fromkeys(curve.name or "unnamed" for curve in self.curves))
        bands = list(dict.fromkeys(str(curve.band) for curve in self.curves))
        return f"{', '.join(names[:4])}, {', '.join(bands)} keV"

    def _draw(self, width: int, height: int) -> None:
        from bokeh.models import NumeralTickFormatter, Range1d
        from bokeh.models.annotations import BoxAnnotation
        from bokeh.plotting import figure

        margin = 0.02 * self.end_s
        label = f"Time [s] since {_utc(self.origin_ijd)} UTC" if self.origin_ijd else "Time [s]"
        self.plot: Figure = figure(
            x_range=Range1d(start=-margin, end=self.end_s + margin),
            y_range=Range1d(start=0, end=1),
            x_axis_label=label,
            y_axis_label="Rate [counts/s]",
            height=height,
            sizing_mode="stretch_width",
            max_width=width,
            tools="xpan,xbox_zoom,xwheel_zoom,xbox_select,reset,save",
            active_drag="xbox_zoom",
            name="light_curve",
        )
        name_figure(self.plot, f"Light curve: {self._title()}; its bins are in the file isgri_lc below")
        self.plot.extra_y_ranges = {"share": Range1d(start=0, end=1)}
        self.plot.xaxis.formatter = NumeralTickFormatter(format="0.[000]")
        chosen = BoxAnnotation(left=0, right=0, fill_color=CHOSEN_COLOUR, fill_alpha=0.15, visible=False, name="chosen")
        self.plot.add_layout(chosen)
        self.plot.line([-margin, self.end_s + margin], [0.0, 0.0], color="#888888", line_dash="dotted", name="zero")
        for k, curve in enumerate(self.curves):
            self._add_glyphs(f"{k}", curve, COLOURS[k % len(COLOURS)])
        self.plot.legend.click_policy = "hide"
        self.plot.legend.visible = len(self.curves) > 1
        self.plot.legend.background_fill_alpha = 0.7

    def _add_glyphs(self, name: str, curve: LightCurve, colour: str) -> None:
        from bokeh.models import ColumnDataSource, HoverTool

        plot, label = self.plot, f"{curve.name or 'unnamed'} {curve.band} keV"
        steps, bins = ColumnDataSource({"x": [], "y": []}), ColumnDataSource(_EMPTY)
        single, fitted = ColumnDataSource({"x": [], "y": []}), ColumnDataSource({"x": [], "y": []})
        plot.line("x", "y", source=single, color=colour, alpha=0.25, line_width=1, name=f"extremes{name}")
        plot.line("x", "y", source=steps, color=colour, line_width=1, name=f"steps{name}", legend_label=label)
        plot.segment("seconds", "low", "seconds", "high", source=bins, color=colour, alpha=0.45, name=f"errors{name}")
        glyph = plot.scatter(
            "seconds", "rate", source=bins, size=4, color=colour, fill_color={"field": "fill"}, name=f"bins{name}"
        )
        plot.line("x", "y", source=fitted, color=colour, line_dash="dashed", line_width=2, name=f"trend{name}")
        tips = [("Curve", label), ("Time", "@seconds{0.000} s, IJD @ijd{0.000000}"),
                ("Bin", "@width{0.000} s, exposed @exposed{0.0%}"),
                ("Rate", "@rate{0.00} ± @error{0.00} counts/s"), ("Significance", "@sigma{0.0}")]  # fmt: skip
        plot.add_tools(HoverTool(renderers=[glyph], tooltips=tips, description=label))

    def _draw_gaps(self) -> None:
        """Grey where no curve has good time, over the whole height; a line below where there is."""
        if not any(len(curve) for curve in self.curves):
            return
        good, gaps = light_curve_gaps(self.curves)
        longest = gaps[np.argsort(gaps[:, 0] - gaps[:, 1])[:MAX_MARKS]]
        for name, intervals, top, style in (
            ("gaps", longest, 1.0, {"fill_color": GAP_COLOUR, "fill_alpha": 0.25}),
            ("good_time", good[:MAX_POINTS], 0.012, {"fill_color": "#16a34a", "fill_alpha": 0.8}),
        ):
            ends = self.seconds(intervals)
            self.plot.quad(
                left=ends[:, 0], right=ends[:, 1], bottom=np.zeros(len(ends)), top=np.full(len(ends), top),
                y_range_name="share", line_color=None, level="underlay", name=name, **style,
            )  # fmt: skip

    def _draw_bursts(self, bursts: Sequence[Mapping[str, Any]]) -> None:
        from bokeh.models import HoverTool

        wanted = {curve.name for curve in self.curves}
        here = sorted((b for b in bursts if b["name"] in wanted), key=lambda b: -b["significance"])[:MAX_MARKS]
        if not here:
            return
        middle = [self.seconds((b["start_ijd"] + b["stop_ijd"]) / 2) for b in here]
        numbers = {key: [float(b[key]) for b in here] for key in ("significance", "t90_s", "peak_flux", "fluence")}
        glyph = self.plot.scatter(
            "x", "y", source={"x": middle, "y": [0.97] * len(here), **numbers}, y_range_name="share",
            marker="inverted_triangle", size=9, color=BURST_COLOUR, alpha=0.8, name="bursts",
        )  # fmt: skip
        tips = [("Burst", "@x{0.000} s, @significance{0.0} sigma"), ("T90", "@t90_s{0.000} s"),
                ("Peak in 16 ms", "@peak_flux{0} counts/s"), ("Fluence", "@fluence{0} counts")]  # fmt: skip
        self.plot.add_tools(HoverTool(renderers=[glyph], tooltips=tips, description="Bursts"))

    def _columns(self, curve: LightCurve) -> dict[str, Any]:
        with np.errstate(divide="ignore", invalid="ignore"):
            sigma = curve.rate / curve.error
        whole = (curve.flag & FLAG_GAP) == 0
        colour = np.array(["#808080", "#00000000"])
        return {
            "seconds": self.seconds(curve.time_ijd),
            "ijd": curve.time_ijd,
            "rate": curve.rate,
            "error": curve.error,
            "low": curve.low,
            "high": curve.high,
            "sigma": sigma,
            "width": curve.width_s,
            "exposed": curve.fractional_exposure,
            "fill": colour[whole.astype(int)],
        }

    def _replace(self, name: str, drawn: LightCurve, columns: dict[str, Any], inside: LightCurve) -> None:
        x, y = display.bin_edges_with_gaps(columns["seconds"], drawn.width_s, drawn.rate)
        self._source(f"steps{name}").data = {"x": x, "y": y}
        self._source(f"bins{name}").data = columns
        kept = display.extremes(inside.rate, MAX_POINTS) if len(drawn) < len(inside) else np.zeros(0, dtype=np.intp)
        self._source(f"extremes{name}").data = {"x": self.seconds(inside.time_ijd[kept]), "y": inside.rate[kept]}

    def _draw_trend(self, name: str, drawn: LightCurve, inside: LightCurve) -> ConstantFit | LinearFit | None:
        known = np.isfinite(inside.rate) & np.isfinite(inside.error) & (inside.error > 0)
        if self.trend == "none" or not known.any():
            self._source(f"trend{name}").data = {"x": [], "y": []}
            return None
        time, rate, error = inside.time_ijd, inside.rate, inside.own_error
        fit = fit_line(time, rate, error) if self.trend == "linear" else fit_constant(rate, error)
        ends = drawn.edges_ijd[[0, -1], [0, 1]]
        slope = fit.slope_per_day * (ends - fit.time_ijd) if isinstance(fit, LinearFit) else 0.0
        level = np.full(2, fit.level if fit else np.nan) + slope
        self._source(f"trend{name}").data = {"x": self.seconds(ends), "y": level}
        return fit

    def _source(self, name: str) -> Any:
        return self.plot.select_one({"name": name}).data_source


_EMPTY: dict[str, list[Any]] = {
    name: [] for name in ("seconds", "ijd", "rate", "error", "low", "high", "sigma", "width", "exposed", "fill")
}


def round_width(least_s: float, unit_s: float) -> float:
    """Length of merged bins: 1, 2 or 5 times a power of ten single ones, at least ``least_s`` long."""
    number = max(least_s / unit_s, 1.0)
    power = 10.0 ** np.floor(np.log10(number))
    return float(unit_s * next(f * power for f in (*_ROUND, 10.0) if f * power >= number * (1 - 1e-9)))


def light_curve_gaps(curves: Sequence[LightCurve]) -> tuple[Array, Array]:
    """Times with and, between them, without good time in any of some light curves.

    Returns
    -------
    good, gaps : ndarray
        ``(n, 2)`` and ``(m, 2)`` IJD, in order.
    """
    from integral_oda.timing.good_time import union

    edges = np.concatenate([curve.edges_ijd[curve.fractional_exposure > 0] for curve in curves])
    if not len(edges):
        return np.zeros((0, 2)), np.zeros((0, 2))
    shortest = min(float(curve.width_s.min()) for curve in curves if len(curve)) / _DAY_S
    good = union(edges)
    apart = np.column_stack([good[:-1, 1], good[1:, 0]])
    gaps = apart[apart[:, 1] - apart[:, 0] > 0.01 * shortest]
    joined = np.column_stack([np.r_[good[0, 0], gaps[:, 1]], np.r_[gaps[:, 0], good[-1, 1]]])
    return joined, gaps


def _utc(time_ijd: float) -> str:
    from astropy.time import Time

    return str(Time(51544.0, time_ijd, format="mjd", scale="tt").utc.isot)[:19]
