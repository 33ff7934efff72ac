"""Which science windows a query would use: a map of their pointings, a time line, and a choice among them."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets

from integral_widgets.bokeh_views import close_figure_widget, figure_widget, name_figure

if TYPE_CHECKING:
    from integral_oda.archive.plan import PlannedWindow, PointingPlan

__all__ = ["PlanView", "plan_figure"]

MAX_WINDOWS = 5000
_TAKEN, _LEFT, _TARGET = "#1f77b4", "#9a9a9a", "#d62728"
_MOST_ROWS = 12
_MJD_OF_IJD_0, _UNIX_MJD = 51544.0, 40587.0


def plan_figure(plan: PointingPlan) -> Any:
    """Sky map and time line of a plan; what is selected in one is selected in the other.

    Returns
    -------
    figure : bokeh.models.Row
        Its name is ``plan``.
    source : bokeh.models.ColumnDataSource
        One row a window: what is selected there is the user's choice.
    """
    from bokeh.layouts import column
    from bokeh.models import ColumnDataSource

    source = ColumnDataSource(_columns(_shown(plan.windows)))
    return column(_sky_map(plan, source), _time_line(source), sizing_mode="scale_width", name="plan"), source


def _shown(windows: Sequence[PlannedWindow]) -> list[PlannedWindow]:
    placed = [window for window in windows if window.ra_deg is not None and window.tstart_ijd is not None]
    return placed[:: max(1, -(-len(placed) // MAX_WINDOWS))]


def _columns(windows: Sequence[PlannedWindow]) -> dict[str, list[Any]]:
    return {
        "scw": [w.scw for w in windows],
        "ra": [w.ra_deg for w in windows],
        "dec": [w.dec_deg for w in windows],
        "start": [_milliseconds(w.tstart_ijd or 0.0) for w in windows],
        "stop": [_milliseconds(w.tstop_ijd or w.tstart_ijd or 0.0) for w in windows],
        "off_axis": [w.off_axis_deg for w in windows],
        "coded": [w.coded_fraction or 0.0 for w in windows],
        "colour": [_TAKEN if w.chosen else _LEFT for w in windows],
        "why": [w.reason or "taken" for w in windows],
    }


def _milliseconds(ijd: float) -> float:
    """Unix time in ms, which Bokeh's time axes take; the minute between TT and UTC does not show there."""
    return (ijd + _MJD_OF_IJD_0 - _UNIX_MJD) * 86400e3


def _sky_map(plan: PointingPlan, source: Any) -> Any:
    from bokeh.models import HoverTool
    from bokeh.plotting import figure

    plot: Any = figure(
        title="Pointings: blue ones are taken",
        height=300,
        sizing_mode="scale_width",
        tools="pan,wheel_zoom,box_select,lasso_select,tap,reset,save",
        active_drag="box_select",
        x_axis_label="Right ascension [deg]",
        y_axis_label="Declination [deg]",
        name="plan_map",
    )
    name_figure(plot, "Map of the pointings of the science windows; those taken are blue")
    plot.x_range.flipped = True
    dots = plot.scatter(
        "ra", "dec", source=source, size=9, color="colour", alpha=0.8, nonselection_alpha=0.25, line_color="#333333"
    )
    if plan.target is not None:
        plot.scatter([plan.target.ra_deg], [plan.target.dec_deg], marker="star", size=16, color=_TARGET,
                     legend_label=plan.target.name)  # fmt: skip
        plot.legend.location = "top_left"
    tips = [("", "@scw"), ("off axis", "@off_axis{0.0}°"), ("coded", "@coded{0.00}"), ("", "@why")]
    plot.add_tools(HoverTool(tooltips=tips, renderers=[dots]))
    return plot


def _time_line(source: Any) -> Any:
    from bokeh.models import HoverTool, Range1d
    from bokeh.plotting import figure

    plot: Any = figure(
        title="When, and how well the source is seen",
        height=150,
        sizing_mode="scale_width",
        x_axis_type="datetime",
        x_axis_label="UTC",
        y_axis_label="Coded fraction",
        y_range=Range1d(start=0, end=1.05),
        tools="xpan,xwheel_zoom,xbox_select,tap,reset",
        active_drag="xbox_select",
        name="plan_times",
    )
    name_figure(plot, "Time line of the science windows with the coded fraction of the source")
    bars = plot.quad(
        left="start", right="stop", bottom=0, top="coded", source=source, color="colour", line_color="colour",
        alpha=0.8, nonselection_alpha=0.25, line_width=2,
    )  # fmt: skip
    plot.add_tools(HoverTool(tooltips=[("", "@scw"), ("", "@why")], renderers=[bars]))
    return plot


class PlanView:
    """A plan with its pictures; windows can be picked and handed on.

    Parameters
    ----------
    use : callable
        Given the science windows that the user wants.
    """

    def __init__(self, use: Callable[[Sequence[str]], None]) -> None:
        self.plan: PointingPlan | None = None
        self._use = use
        self._source: Any = None
        self.place, self.text = widgets.Box(layout=widgets.Layout(width="100%")), widgets.HTML()
        self.use_button = widgets.Button(
            description="Use these windows",
            tooltip="put the windows taken, or those picked in the pictures, into the form",
            layout=widgets.Layout(width="auto"),
        )
        self.use_button.on_click(lambda _: self._use(self.picked))
        self.widget = widgets.VBox([widgets.HTML("<h2>Science windows</h2>"), self.text, self.place, self.use_button])
        self.widget.add_class("oda-plan")
        self.widget.layout.display = "none"

    def show(self, plan: PointingPlan) -> None:
        """Show a plan."""
        self.plan = plan
        self.text.value = _markup(plan)
        figure, self._source = plan_figure(plan)
        old, self.place.children = self.place.children, (figure_widget(figure),)
        for widget in old:
            close_figure_widget(widget)
        self.use_button.disabled = not plan.windows
        self.widget.layout.display = ""

    @property
    def picked(self) -> tuple[str, ...]:
        """Windows picked in the pictures; all that the plan takes where none is."""
        if self.plan is None:
            return ()
        rows = self._source.selected.indices
        return tuple(self._source.data["scw"][row] for row in sorted(rows)) if rows else self.plan.chosen


def _markup(plan: PointingPlan) -> str:
    *windows, sums = plan.text().splitlines()
    shown = windows[:_MOST_ROWS]
    more = [f"… and {len(windows) - len(shown)} more"] if len(windows) > len(shown) else []
    rows = html.escape("\n".join([*shown, *more]))
    return f"<p class='oda-note oda-plan-sums'>{html.escape(sums)}</p><pre class='oda-code'>{rows}</pre>"
