"""Light curves on the page: sources and bands to choose, trends, and an interval to look at alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ipywidgets as widgets

from integral_oda.products.light_curve import LightCurve
from integral_oda.timing.variability import ConstantFit, LinearFit
from integral_widgets.bokeh_curves import CurveFigure
from integral_widgets.callbacks import safe_callback
from integral_widgets.figure_place import FigurePlace, Notice, choice, press, wrapped_row

__all__ = ["LightCurveView", "describe_trend"]

Between = Callable[[float, float], None]

_TRENDS = (("no fit", "none"), ("constant", "constant"), ("linear", "linear"))
_MOST_CURVES = 6
_CHOOSE = "Zoom by dragging; choose an interval with the box-select tool, else the time shown is taken."


class LightCurveView:
    """Light curves of all sources and bands of a product.

    Parameters
    ----------
    products : LightCurveProducts or alike
        With ``curves`` and ``summary``.
    on_interval : callable, optional
        Given start and stop (IJD) of the time that an image is wanted of.
    on_spectrum : callable, optional
        Given start and stop (IJD) of the time that spectra are wanted of.

    Attributes
    ----------
    widget : ipywidgets.Widget
    chosen_s : tuple of float or None
        Interval chosen on the figure, seconds since its origin.
    """

    def __init__(self, products: Any, on_interval: Between | None = None, on_spectrum: Between | None = None) -> None:
        self.products = products
        self.curves: list[LightCurve] = list(products.curves)
        self.chosen_s: tuple[float, float] | None = None
        self.notice = Notice(_CHOOSE)
        self.trends = widgets.HTML()
        labels = [(f"{curve.name or 'unnamed'} {curve.band} keV", k) for k, curve in enumerate(self.curves)]
        self.shown = widgets.SelectMultiple(
            options=labels, value=self._first(), rows=min(5, max(2, len(labels))),
            tooltip="Sources and bands; several with Ctrl or Shift", layout=widgets.Layout(width="280px"),
            description="Curves",
        )  # fmt: skip
        self.shown.add_class("oda-quiet")
        self.trend = choice("Fit", _TRENDS, "Fitted to the time that is shown")
        self.drawn: CurveFigure
        self.place = FigurePlace(self._figure, [self.shown, self.trend])
        controls = [self.shown, self.trend] if len(labels) > 1 else [self.trend]
        self.image_button = press("Image of this interval", lambda: self._hand(on_interval), self.notice)
        self.spectrum_button = press("Spectra of this interval", lambda: self._hand(on_spectrum), self.notice)
        for button, wanted in ((self.image_button, on_interval), (self.spectrum_button, on_spectrum)):
            button.layout.display = "" if wanted else "none"
        self.widget = widgets.VBox(
            [
                wrapped_row(controls),
                self.place.widget,
                self.trends,
                self.notice.widget,
                wrapped_row([self.image_button, self.spectrum_button]),
            ]
        )
        self.widget.add_class("oda-light-curve")

    @property
    def interval_ijd(self) -> tuple[float, float]:
        """Start and stop of the interval chosen, else of the time shown; not beyond the curves' own."""
        shown = self.drawn.plot.x_range
        low, high = self.chosen_s or (float(shown.start), float(shown.end))
        return self.drawn.ijd(max(low, 0.0)), self.drawn.ijd(min(high, self.drawn.end_s))

    def choose(self, low_s: float, high_s: float) -> None:
        """Choose an interval, seconds since the figure's origin."""
        low, high = sorted((low_s, high_s))
        self.chosen_s = low, high
        self.drawn.mark_interval(low, high)
        self.notice.say(f"Interval of {high - low:.3f} s, {low:.3f} to {high:.3f} s")

    def _first(self) -> tuple[int, ...]:
        """The first source in its bands."""
        names = [curve.name for curve in self.curves]
        return tuple(k for k, name in enumerate(names) if name == names[0])[:_MOST_CURVES]

    def _figure(self) -> Any:
        from bokeh.events import Reset, SelectionGeometry

        chosen = [self.curves[k] for k in self.shown.value[:_MOST_CURVES]]
        bursts = self.products.summary.get("bursts", ())
        self.chosen_s = None
        self.drawn = CurveFigure(chosen, bursts, self.trend.value, told=self._tell)
        self.drawn.follow_zoom()
        told = safe_callback(self.notice.fail)
        self.drawn.plot.on_event(SelectionGeometry, told(self._boxed))
        self.drawn.plot.on_event(Reset, told(lambda _: self._forget()))
        return self.drawn.plot

    def _boxed(self, event: Any) -> None:
        if event.final and event.geometry.get("type") == "rect":
            self.choose(event.geometry["x0"], event.geometry["x1"])

    def _forget(self) -> None:
        self.chosen_s = None
        self.drawn.plot.select_one({"name": "chosen"}).visible = False
        self.notice.say(_CHOOSE)

    def _tell(self, fits: list[ConstantFit | LinearFit | None]) -> None:
        import html

        curves = [self.curves[k] for k in self.shown.value[:_MOST_CURVES]]
        lines = [
            f"{curve.name} {curve.band} keV: {describe_trend(fit)}"
            for curve, fit in zip(curves, fits, strict=True)
            if fit is not None
        ]
        self.trends.value = "".join(f"<div class='oda-note'>{html.escape(line)}</div>" for line in lines)

    def _hand(self, receiver: Between | None) -> None:
        if receiver is not None:
            receiver(*self.interval_ijd)


def describe_trend(fit: ConstantFit | LinearFit) -> str:
    """A fit in words: level, slope, chi2 and the chance of so large a one."""
    quality = f"chi2 {fit.chi2:.1f} for {fit.dof} degrees of freedom, chance {fit.chance:.2g}"
    level = f"{fit.level:.3f} ± {fit.level_error:.3f} counts/s"
    if isinstance(fit, LinearFit):
        return f"{level}, slope {fit.slope_per_day:.3g} ± {fit.slope_error:.2g} counts/s per day; {quality}"
    return f"constant {level}; {quality}"
