"""Sky images as Bokeh figures that need nothing from a network, and the way of figures into the page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from integral_widgets import display
from integral_widgets.graticule import Frame, GraticuleLine, graticule

if TYPE_CHECKING:
    from ipywidgets import DOMWidget

    from integral_oda.products.sky_image import SkyImage
    from integral_oda.products.source_list import Source

__all__ = ["Plane", "close_figure_widget", "figure_widget", "load_bokeh", "sky_image_figure"]

Figure = Any  # Bokeh's annotations know neither its styling arguments nor integer images
Plane = Literal["significance", "intensity", "exposure"]

MAX_IMAGE_PIXELS = 2**20
MAX_HOVER_PIXELS = 2**18
GRID_COLOUR = "#d8d8d8"
KNOWN_COLOUR, NEW_COLOUR, FORCED_COLOUR = "#7CFC00", "#ff5cf4", "#9fd8ff"

_PLANE_TITLES = {"significance": "Significance [sigma]", "intensity": "Flux [counts/s]", "exposure": "Exposure [s]"}


def load_bokeh() -> None:
    """Put BokehJS into the page; without it figures are an empty gap and nothing says so."""
    from bokeh.io import output_notebook
    from bokeh.resources import Resources

    output_notebook(Resources(mode="inline", components=["bokeh"]), hide_banner=True)


def figure_widget(figure: Figure) -> DOMWidget:
    """Wrap a finished figure; what is changed in it between this call and the browser's connection is lost."""
    from jupyter_bokeh import BokehModel

    return BokehModel(figure, layout={"width": "100%"})


def close_figure_widget(widget: DOMWidget) -> None:
    """Let go of a figure's widget.

    Not with its own ``close``: that fails when Python's garbage collection calls it a second time.
    """
    from ipywidgets import DOMWidget

    DOMWidget.close(widget)


def sky_image_figure(
    image: SkyImage,
    sources: Sequence[Source] = (),
    plane: Plane = "significance",
    stretch: display.Stretch = "linear",
    width: int = 640,
    frame: Frame = "equatorial",
) -> Figure:
    """Sky image with celestial grid, colour bar, values under the pointer and sources.

    Parameters
    ----------
    image : SkyImage
        One band.
    sources : sequence of Source
        Marked and named; new ones in another colour and shape. Those outside the image are left out.
    plane : {"significance", "intensity", "exposure"}
        What the colours mean.
    stretch : {"linear", "asinh", "log"}
        How values become colours.
    width : int
        Largest width of the whole figure, screen pixels; on a narrower page it shrinks.

    frame : {"equatorial", "galactic"}
        Of the grid.

    Returns
    -------
    bokeh.plotting.figure
        Coordinates are 0-based pixels of the image. At most one megapixel of bytes is sent.
    """
    from bokeh.models import Range1d
    from bokeh.plotting import figure

    rows, columns = image.shape
    height = round((width - 90) * rows / columns) + 60
    plot: Figure = figure(
        title=f"{_PLANE_TITLES[plane].split(' [')[0]}, {image.band} keV",
        x_range=Range1d(start=-0.5, end=columns - 0.5),
        y_range=Range1d(start=-0.5, end=rows - 0.5),
        width=width,
        height=height,
        sizing_mode="scale_width",
        max_width=width,
        tools="pan,box_zoom,wheel_zoom,reset,save",
        name="sky_image",
    )
    plot.axis.visible = False
    plot.grid.visible = False
    plot.background_fill_color = "#3a3a44"
    _draw_pixels(plot, image, plane, stretch)
    _draw_graticule(plot, graticule(image.wcs, image.shape, frame), image.shape)
    _draw_sources(plot, image, sources)
    return plot


def colour_limits(image: SkyImage, plane: Plane) -> tuple[float, float]:
    """Values at the ends of the colour scale."""
    if plane == "exposure":
        return 0.0, float(np.nanmax(image.exposure, initial=1.0))
    peak = float(np.nanmax(np.where(image.observed, image.significance, np.nan), initial=0.0))
    low, high = -3.0, float(np.clip(peak, 8.0, 15.0))
    if plane == "significance":
        return low, high
    error = float(np.sqrt(np.median(image.variance[image.observed]))) if image.observed.any() else 1.0
    return low * error, high * error


def _draw_pixels(plot: Figure, image: SkyImage, plane: Plane, stretch: display.Stretch) -> None:
    from bokeh.models import LinearColorMapper
    from bokeh.palettes import Inferno256

    low, high = colour_limits(image, plane)
    shown = np.where(image.observed, image.significance, np.nan)
    values = np.where(image.observed, getattr(image, plane), np.nan)
    at = display.peak_pixels(shown, MAX_IMAGE_PIXELS)
    mapper = LinearColorMapper(palette=Inferno256[:255], low=0, high=254, high_color="#3a3a44")
    rows, columns = image.shape
    plot.image(
        [display.colour_levels(values[at], low, high, stretch)],
        x=-0.5,
        y=-0.5,
        dw=columns,
        dh=rows,
        color_mapper=mapper,
        level="image",
    )
    _add_colour_bar(plot, mapper, _PLANE_TITLES[plane], low, high, stretch)
    _add_pixel_hover(plot, image, shown)


def _add_colour_bar(plot: Figure, mapper: Any, title: str, low: float, high: float, stretch: display.Stretch) -> None:
    from bokeh.models import FixedTicker
    from bokeh.models.annotations import ColorBar

    values = _round_ticks(low, high)
    places = [float(place) for place in display.level_of(np.array(values), low, high, stretch)]
    bar = ColorBar(
        color_mapper=mapper,
        ticker=FixedTicker(ticks=places),
        major_label_overrides={place: f"{value:g}" for place, value in zip(places, values, strict=True)},
        title=title,
        title_text_font_style="normal",
        width=12,
        label_standoff=6,
    )
    plot.add_layout(bar, "right")


def _round_ticks(low: float, high: float) -> list[float]:
    rough = (high - low) / 6
    power = 10.0 ** np.floor(np.log10(rough))
    step = power * next(factor for factor in (1, 2, 5, 10) if factor * power >= rough)
    return [float(np.round(k * step, 10)) for k in range(int(np.ceil(low / step)), int(np.floor(high / step)) + 1)]


def _add_pixel_hover(plot: Figure, image: SkyImage, shown: NDArray[np.floating]) -> None:
    """Floats for the pointer, coarser than the image if that is large; the kernel keeps the full ones."""
    from bokeh.models import HoverTool

    at = display.peak_pixels(shown, MAX_HOVER_PIXELS)
    ra, dec = image.wcs.celestial.wcs_pix2world(at[1].ravel(), at[0].ravel(), 0)
    rows, columns = image.shape
    with np.errstate(invalid="ignore"):
        error = np.sqrt(image.variance[at])
    planes = {
        "ra": ra.reshape(at[0].shape),
        "dec": dec.reshape(at[0].shape),
        "flux": np.where(image.observed[at], image.intensity[at], np.nan),
        "error": np.where(image.observed[at], error, np.nan),
        "sigma": shown[at],
    }
    source = {name: [np.asarray(values, dtype=np.float32)] for name, values in planes.items()}
    # Blank for the eye, there for the pointer: the coarse planes need a glyph of their own shape.
    glyph = plot.image(
        "sigma", source=source, x=-0.5, y=-0.5, dw=columns, dh=rows, global_alpha=0.0, palette=["#000000"]
    )
    tips = [
        ("RA, Dec", "@ra{0.000}°, @dec{+0.000}°"),
        ("Flux", "@flux{0.00} ± @error{0.00} counts/s"),
        ("Significance", "@sigma{0.0}"),
    ]
    plot.add_tools(HoverTool(renderers=[glyph], tooltips=tips, description="Values under the pointer"))


def _draw_graticule(plot: Figure, lines: Sequence[GraticuleLine], shape: tuple[int, int]) -> None:
    if not lines:
        return
    plot.multi_line(
        [line.column for line in lines],
        [line.row for line in lines],
        color=GRID_COLOUR,
        alpha=0.35,
        line_width=1,
        name="graticule",
    )
    rows, columns = shape
    for line in lines:
        column, row = line.label_point
        right, top = column > 0.85 * columns, row > 0.93 * rows
        plot.text(
            [column],
            [row],
            text=[line.label],
            x_offset=-4 if right else 4,
            y_offset=3 if top else -3,
            text_color=GRID_COLOUR,
            text_font_size="11px",
            text_baseline="top" if top else "bottom",
            text_align="right" if right else "left",
            name="graticule_label",
        )


def _draw_sources(plot: Figure, image: SkyImage, sources: Sequence[Source]) -> None:
    from astropy.coordinates import SkyCoord

    if not sources:
        return
    position = SkyCoord([s.ra_deg for s in sources], [s.dec_deg for s in sources], unit="deg", frame="fk5")
    column, row = image.pixel_of(position)
    rows, columns = image.shape
    inside = (column > -0.5) & (column < columns - 0.5) & (row > -0.5) & (row < rows - 0.5)
    styles = (
        ("Known", KNOWN_COLOUR, "circle", [not s.new and not s.forced for s in sources]),
        ("New", NEW_COLOUR, "diamond", [s.new for s in sources]),
        ("Forced", FORCED_COLOUR, "square", [s.forced and not s.new for s in sources]),
    )
    for kind, colour, marker, of_kind in styles:
        chosen = np.flatnonzero(inside & np.array(of_kind))
        if len(chosen):
            marked = [sources[int(i)] for i in chosen]
            _mark(plot, marked, column[chosen], row[chosen], kind, colour, marker)


def _mark(
    plot: Figure,
    sources: Sequence[Source],
    column: NDArray[Any],
    row: NDArray[Any],
    kind: str,
    colour: str,
    marker: str,
) -> None:
    from bokeh.models import ColumnDataSource, HoverTool

    data = ColumnDataSource(
        {
            "column": column,
            "row": row,
            "name": [source.name for source in sources],
            "ra": [source.ra_deg for source in sources],
            "dec": [source.dec_deg for source in sources],
            "sigma": [source.significance for source in sources],
        }
    )
    glyph = plot.scatter(
        "column", "row", source=data, marker=marker, size=17, fill_alpha=0, line_color=colour, line_width=1.8,
        name=f"sources_{kind.lower()}",
    )  # fmt: skip
    plot.text(
        "column", "row", text="name", source=data, x_offset=12, y_offset=-6, text_color=colour, text_font_size="12px",
        background_fill_color="#000000", background_fill_alpha=0.5, padding=2, name=f"source_names_{kind.lower()}",
    )  # fmt: skip
    tips = [("Source", "@name"), ("RA, Dec", "@ra{0.0000}°, @dec{+0.0000}°"), ("Significance", "@sigma{0.0}")]
    plot.add_tools(HoverTool(renderers=[glyph], tooltips=tips, description=f"{kind} sources"))
