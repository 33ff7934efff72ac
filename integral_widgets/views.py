"""Results on the page: figures with their controls, the source table, what was left out."""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ipywidgets as widgets

from integral_oda.products.sky_image import SkyImage
from integral_oda.products.source_list import Source
from integral_oda.query import Query
from integral_widgets.bokeh_curves import follow_zoom, light_curve_figure, start_ijd
from integral_widgets.bokeh_views import close_figure_widget, figure_widget, sky_image_figure
from integral_widgets.downloads import download_list
from integral_widgets.reproduce import command_line, python_code
from integral_widgets.tasks import ImageResult, LightCurveResult

__all__ = ["ImageView", "LightCurveView", "describe_pixel", "left_out_html", "source_table_html"]

FULL_WIDTH = 900
_ALL = -1
_PLANES = (("Significance", "significance"), ("Flux", "intensity"), ("Exposure", "exposure"))
_FRAMES = (("RA, Dec", "equatorial"), ("l, b", "galactic"))
_STRETCHES = (("linear", "linear"), ("asinh", "asinh"), ("log", "log"))


class _View:
    """A figure that is made anew whenever a control changes; a finished one is never altered."""

    def __init__(self, draw: Callable[[], Any], controls: Sequence[widgets.Widget]) -> None:
        self._draw = draw
        self.figure: Any = None
        self.place = widgets.Box(layout=widgets.Layout(width="100%"))
        self.controls = widgets.HBox(list(controls), layout=widgets.Layout(flex_flow="row wrap"))
        for control in controls:
            control.observe(self.refresh, names="value")
        self.refresh()

    def refresh(self, _: Any = None) -> None:
        """Draw the figure as the controls ask."""
        self.figure = self._draw()
        old, self.place.children = self.place.children, (figure_widget(self.figure),)
        for widget in old:
            close_figure_widget(widget)


class ImageView:
    """Sky image with its band, plane and colour scale to choose; sources; downloads.

    Parameters
    ----------
    result : ImageResult
        What the analysis gave.
    measure : callable
        Given right ascension and declination (degrees, FK5) where the user wants a flux.
    """

    def __init__(self, result: ImageResult, measure: Callable[[float, float], None]) -> None:
        self.result = result
        self.picked: tuple[float, float] | None = None
        self.pixel = widgets.HTML("<span class='oda-note'>Click the image to read a position.</span>")
        self.measure_button = widgets.Button(description="Measure the flux here", disabled=True)
        self.measure_button.on_click(lambda _: measure(*self.picked) if self.picked else None)
        bands = [(f"{image.band} keV", number) for number, image in enumerate(result.images)]
        if len(bands) > 1:
            bands.append(("side by side", _ALL))
        self.band = _choice("Band", bands)
        self.plane = _choice("Show", _PLANES)
        self.stretch = _choice("Scale", _STRETCHES)
        self.frame = _choice("Grid", _FRAMES)
        controls = [self.band] if len(bands) > 1 else []
        self.view = _View(self._figure, [*controls, self.plane, self.stretch, self.frame])
        self.widget = widgets.VBox(
            [
                self.view.controls,
                self.view.place,
                widgets.HBox([self.measure_button, self.pixel]),
                widgets.HTML(source_table_html(result.sources)),
                widgets.HTML(left_out_html(result.summary)),
                download_list(result.files),
                reproduction(result.query),
            ]
        )
        self.widget.add_class("oda-image")

    def _figure(self) -> Any:
        from bokeh.layouts import row

        if self.band.value != _ALL:
            return self._figure_of(self.band.value)
        count = len(self.result.images)
        figures = [self._figure_of(number, FULL_WIDTH // count) for number in range(count)]
        for figure in figures[1:]:
            figure.x_range, figure.y_range = figures[0].x_range, figures[0].y_range
        return row(*figures, sizing_mode="scale_width", max_width=FULL_WIDTH, name="side_by_side")

    def _figure_of(self, number: int, width: int = 640) -> Any:
        from bokeh.events import Tap

        image = self.result.images[number]
        figure = sky_image_figure(
            image, self.result.sources, self.plane.value, self.stretch.value, width, self.frame.value
        )
        figure.on_event(Tap, lambda event: self.pick(event.x, event.y, number))
        return figure

    def pick(self, column: float, row: float, number: int = 0) -> None:
        """Read one of the images at a pixel, 0-based, and offer to measure there."""
        image = self.result.images[number]
        position = image.position_of(column, row)
        self.picked = float(position.ra.deg), float(position.dec.deg)
        self.pixel.value = f"<span class='oda-note oda-pixel'>{describe_pixel(image, column, row)}</span>"
        self.measure_button.disabled = False


class LightCurveView:
    """Light curve with its source to choose; downloads.

    Parameters
    ----------
    result : LightCurveResult
        What the analysis gave.
    image_between : callable
        Given the start and stop (IJD) of the time that the user sees and wants an image of.
    """

    def __init__(self, result: LightCurveResult, image_between: Callable[[float, float], None]) -> None:
        self.result = result
        self.image_button = widgets.Button(
            description="Image of the time shown",
            tooltip="zoom to an interval first",
            layout=widgets.Layout(width="auto"),
        )
        self.image_button.on_click(lambda _: image_between(*self.interval_ijd))
        names = [(curve.name or "unnamed", number) for number, curve in enumerate(result.curves)]
        self.source = _choice("Source", names)
        self.view = _View(self._figure, [self.source] if len(names) > 1 else [])
        self.widget = widgets.VBox(
            [
                self.view.controls,
                self.view.place,
                self.image_button,
                widgets.HTML(left_out_html(result.summary)),
                download_list(result.files),
                reproduction(result.query),
            ]
        )
        self.widget.add_class("oda-light-curve")

    @property
    def interval_ijd(self) -> tuple[float, float]:
        """Start and stop of the time shown, not beyond the curve's own."""
        curve, shown = self.result.curves[self.source.value], self.view.figure.x_range
        origin, end = start_ijd(curve), float(curve.time_ijd[-1] + curve.width_s[-1] / 172800)
        return max(origin, origin + shown.start / 86400), min(end, origin + shown.end / 86400)

    def _figure(self) -> Any:
        curve = self.result.curves[self.source.value]
        figure = light_curve_figure(curve)
        follow_zoom(figure, curve)
        return figure


def describe_pixel(image: SkyImage, column: float, row: float) -> str:
    """Position, and flux with its error and significance of the nearest pixel, for people."""
    position = image.position_of(column, row)
    where = f"RA {position.ra.deg:.3f}°, Dec {position.dec.deg:+.3f}°"
    pixel = round(row), round(column)
    inside = all(0 <= index < size for index, size in zip(pixel, image.shape, strict=True))
    if not (inside and image.observed[pixel]):
        return f"{where}: not observed"
    error = math.sqrt(image.variance[pixel])
    return (
        f"{where}: {image.intensity[pixel]:.2f} ± {error:.2f} counts/s, "
        f"{image.significance[pixel]:.1f} sigma in {image.band} keV"
    )


def reproduction(query: Query) -> widgets.Accordion:
    """The query as a command and as Python code, folded away."""
    texts = ("Command line", command_line(query)), ("Python", python_code(query))
    blocks = [widgets.HTML(f"<b>{title}</b><pre class='oda-code'>{html.escape(text)}</pre>") for title, text in texts]
    folded = widgets.Accordion([widgets.VBox(blocks)], titles=("The same from the shell or from Python",))
    folded.add_class("oda-reproduction")
    return folded


def _choice(description: str, options: Sequence[tuple[str, Any]]) -> widgets.Dropdown:
    return widgets.Dropdown(
        description=description,
        options=options,
        value=options[0][1],
        layout=widgets.Layout(width="170px"),
        style={"description_width": "50px"},
    )


def source_table_html(sources: Sequence[Source]) -> str:
    """Sources, the most significant first, one row a source and band; names are text, never markup."""
    if not sources:
        return "<p class='oda-note'>No source above the threshold.</p>"
    rows = [
        _source_row(source, number)
        for source in sorted(sources, key=lambda s: -s.significance)
        for number in range(len(source.bands))
    ]
    titles = ("Source", "RA [deg]", "Dec [deg]", "90 % radius [′]", "Band [keV]", "Flux [counts/s]", "[mCrab]", "Sigma")
    head = "".join(f"<th>{title}</th>" for title in titles)
    return f"<div class='oda-wide'><table class='oda-sources'><tr>{head}</tr>{''.join(rows)}</table></div>"


def _source_row(source: Source, number: int) -> str:
    band = source.bands[number]
    mark = " (new)" if source.new else " (forced)" if source.forced else ""
    mcrab = f"{band.flux_mcrab:.1f}" if math.isfinite(band.flux_mcrab) else ""
    cells = (
        html.escape(source.name + mark),
        f"{source.ra_deg:.4f}",
        f"{source.dec_deg:+.4f}",
        f"{source.error_radius_arcmin:.2f}",
        f"{band.e1_kev:g}-{band.e2_kev:g}",
        f"{band.flux:.2f} ± {band.flux_error:.2f}",
        mcrab,
        f"{band.significance:.1f}",
    )
    kind = "oda-new" if source.new else "oda-known"
    return f"<tr class='{kind}'>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def left_out_html(summary: Mapping[str, Any]) -> str:
    """Science windows that were left out, with the reason, and how the result came about."""
    windows = summary.get("science_windows", {})
    lines = [f"{item['scw']} left out: {item['reason']}" for item in windows.get("left_out", ())]
    nodes = summary.get("nodes")
    if nodes:
        lines.append(f"{nodes['computed']} steps computed, {nodes['restored']} taken from the store")
    return "".join(f"<div class='oda-note'>{html.escape(line)}</div>" for line in lines)
