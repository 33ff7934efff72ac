"""Sky images as Bokeh figures that need nothing from a network, and the way of figures into the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from integral_oda.products.graticule import Frame, GraticuleLine, graticule
from integral_widgets import display

if TYPE_CHECKING:
    from ipywidgets import DOMWidget

    from integral_oda.products.sky_image import SkyImage
    from integral_oda.products.source_list import Source

__all__ = [
    "COLOUR_MAPS",
    "Look",
    "Plane",
    "close_figure_widget",
    "colour_limits",
    "figure_widget",
    "load_bokeh",
    "name_figure",
    "name_slider_handles",
    "restyle",
    "rgb_figure",
    "show_image",
    "sky_image_figure",
]

Figure = Any  # Bokeh's annotations know neither its styling arguments nor integer images
Plane = Literal["significance", "intensity", "exposure", "sensitivity"]
ColourMap = Literal["Inferno", "Viridis", "Cividis", "Greys", "Turbo"]

MAX_IMAGE_PIXELS = 2**20
MAX_HOVER_PIXELS, COARSE_HOVER_PIXELS = 2**18, 2**17
"""As many pixels' values as the pointer reads one by one; of a larger image so many blocks."""
_CLOSEST_TICKS = 8.0
_SMALLEST_REGION = 2.0
GRID_COLOUR = "#d8d8d8"
KNOWN_COLOUR, NEW_COLOUR, FORCED_COLOUR = "#7CFC00", "#ff5cf4", "#9fd8ff"

SUPPRESSED_COLOUR, REGION_COLOUR = "#ffb000", "#40e0ff"
COLOUR_MAPS: tuple[ColourMap, ...] = ("Inferno", "Viridis", "Cividis", "Greys", "Turbo")

_EMPTY_COLOUR, _BAR_TEXT = "#3a3a44", "#f0f0f0"
_PLANE_TITLES = {
    "significance": "Significance [sigma]",
    "intensity": "Flux [counts/s]",
    "exposure": "Exposure [s]",
    "sensitivity": "5 sigma sensitivity [counts/s]",
}


@dataclass(frozen=True)
class Look:
    """How sky images are shown.

    Attributes
    ----------
    plane : {"significance", "intensity", "exposure", "sensitivity"}
        What the colours mean.
    stretch : {"linear", "asinh", "log"}
        How values become colours.
    frame : {"equatorial", "galactic"}
        Of the grid.
    colour_map : str
        One of `COLOUR_MAPS`.
    """

    plane: Plane = "significance"
    stretch: display.Stretch = "linear"
    frame: Frame = "equatorial"
    colour_map: ColourMap = "Inferno"


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


def name_figure(plot: Figure, text: str) -> None:
    """Say in words what a figure shows, for who hears the page."""
    plot.html_attributes = {"role": "figure", "aria-label": text}


def name_slider_handles(plot: Figure, place: str, names: Sequence[str]) -> None:
    """Name the handles of the slider in a place of the page (a CSS class) once a figure beside it is drawn.

    The slider's widget has no words for its handles: a screen reader would tell numbers alone.
    """
    from bokeh.models import CustomJS

    code = """document.querySelectorAll(`.${place} .noUi-handle`).forEach(
        (handle, number) => handle.setAttribute('aria-label', names[number]))"""
    plot.js_on_change("inner_width", CustomJS(args={"place": place, "names": list(names)}, code=code))


def sky_image_figure(
    image: SkyImage,
    sources: Sequence[Source] = (),
    look: Look | None = None,
    width: int = 640,
    *,
    noise: float = 1.0,
    suppressed: Sequence[Mapping[str, Any]] = (),
    regions: Sequence[tuple[str, float, float, float]] = (),
) -> Figure:
    """Sky image with celestial grid, colour bar, values under the pointer and sources.

    Parameters
    ----------
    image : SkyImage
        One band.
    sources : sequence of Source
        Marked and named; new ones in another colour and shape. Those outside the image are left out.
    look : Look, optional
    width : int
        Largest width of the whole figure, screen pixels; on a narrower page it shrinks.
    noise : float
        Measured width of the significance map, for the sensitivity.
    suppressed : sequence of mapping
        Excesses that are no sources, as in ``summary.json``; marked with their reason.
    regions : sequence of tuple
        Name, RA, Dec and radius (degrees, FK5) of circles to draw.

    Returns
    -------
    bokeh.plotting.figure
        Coordinates are 0-based pixels of the image. At most one megapixel of bytes is sent.
    """
    look = look or Look()
    plot = _empty_figure(image.shape, width, _title(image, look))
    _draw_pixels(plot, image, look, noise)
    _draw_all_marks(plot, image, look, sources, suppressed, regions)
    return plot


def rgb_figure(
    images: Sequence[SkyImage],
    sources: Sequence[Source] = (),
    look: Look | None = None,
    width: int = 640,
    *,
    suppressed: Sequence[Mapping[str, Any]] = (),
    regions: Sequence[tuple[str, float, float, float]] = (),
) -> Figure:
    """Two or three bands as the colours red, green and blue of one image, the lowest energies red.

    Parameters are those of `sky_image_figure`; of two bands the higher one is green and blue.
    """
    look = look or Look()
    bands = sorted(images, key=lambda one: one.band)
    red, green, blue = (bands[0], bands[len(bands) // 2], bands[-1])
    names = ", ".join(
        f"{colour} {one.band}" for colour, one in zip(("red", "green", "blue"), (red, green, blue), strict=True)
    )
    plot = _empty_figure(red.shape, width, f"{_PLANE_TITLES[look.plane].split(' [')[0]}: {names} keV")
    loudest = np.fmax.reduce([_significance(one) for one in (red, green, blue)])
    at = display.peak_pixels(loudest, MAX_IMAGE_PIXELS)
    pixels = np.full((*at[0].shape, 4), 255, dtype=np.uint8)
    for channel, one in enumerate((red, green, blue)):
        levels = display.colour_levels(_values(one, look.plane)[at], *colour_limits(one, look.plane), look.stretch)
        pixels[..., channel] = np.where(levels == display.NO_DATA, 58, levels)
    rows, columns = red.shape
    plot.image_rgba([pixels.view(np.uint32)[..., 0]], x=-0.5, y=-0.5, dw=columns, dh=rows, level="image", name="pixels")
    _add_pixel_hover(plot, green)
    _draw_all_marks(plot, red, look, sources, suppressed, regions)
    return plot


def _empty_figure(shape: tuple[int, int], width: int, title: str) -> Figure:
    from bokeh.models import Range1d
    from bokeh.plotting import figure

    rows, columns = shape
    plot: Figure = figure(
        title=title,
        x_range=Range1d(start=-0.5, end=columns - 0.5),
        y_range=Range1d(start=-0.5, end=rows - 0.5),
        width=width,
        height=round((width - 90) * rows / columns) + 60,
        sizing_mode="scale_width",
        max_width=width,
        tools="pan,box_zoom,wheel_zoom,box_select,reset,save",
        name="sky_image",
    )
    plot.axis.visible = False
    plot.grid.visible = False
    plot.background_fill_color = _EMPTY_COLOUR
    name_figure(plot, _in_words(title))
    return plot


def _in_words(title: str) -> str:
    return f"Sky image: {title}; its sources are in the table below"


def _draw_all_marks(
    plot: Figure,
    image: SkyImage,
    look: Look,
    sources: Sequence[Source],
    suppressed: Sequence[Mapping[str, Any]],
    regions: Sequence[tuple[str, float, float, float]],
) -> None:
    _draw_graticule(plot, graticule(image.wcs, image.shape, look.frame), image.shape)
    _draw_suppressed(plot, image, suppressed)
    _draw_regions(plot, image, regions)
    _draw_sources(plot, image, sources)


def colour_limits(image: SkyImage, plane: Plane) -> tuple[float, float]:
    """Values at the ends of the colour scale."""
    if plane == "exposure":
        return 0.0, float(np.nanmax(image.exposure, initial=1.0))
    error = float(np.sqrt(np.median(image.variance[image.observed]))) if image.observed.any() else 1.0
    if plane == "sensitivity":
        return 0.0, 15 * error
    peak = float(np.nanmax(_significance(image), initial=0.0))
    low, high = -3.0, float(np.clip(peak, 8.0, 15.0))
    return (low, high) if plane == "significance" else (low * error, high * error)


def _significance(image: SkyImage) -> NDArray[np.floating]:
    return np.where(image.observed, image.significance, np.nan)


def _values(image: SkyImage, plane: Plane, noise: float = 1.0) -> NDArray[np.floating]:
    """What the colours stand for, NaN where nothing was observed."""
    if plane == "sensitivity":
        from integral_oda.products.sensitivity import sensitivity_map

        return sensitivity_map(image, noise)
    return np.where(image.observed, getattr(image, plane), np.nan)


def _draw_pixels(plot: Figure, image: SkyImage, look: Look, noise: float) -> None:
    from bokeh.models import LinearColorMapper

    mapper = LinearColorMapper(palette=_palette(look), low=0, high=254, high_color=_EMPTY_COLOUR)
    rows, columns = image.shape
    limits = colour_limits(image, look.plane)
    plot.image(
        [_levels(image, look, limits, noise)],
        x=-0.5,
        y=-0.5,
        dw=columns,
        dh=rows,
        color_mapper=mapper,
        level="image",
        name="pixels",
    )
    _add_colour_bar(plot, mapper, _PLANE_TITLES[look.plane], *limits, look.stretch)
    _add_pixel_hover(plot, image)


def _levels(image: SkyImage, look: Look, limits: tuple[float, float], noise: float) -> NDArray[np.uint8]:
    at = display.peak_pixels(_significance(image), MAX_IMAGE_PIXELS)
    return display.colour_levels(_values(image, look.plane, noise)[at], *limits, look.stretch)


def show_image(plot: Figure, image: SkyImage, look: Look) -> None:
    """Put another band of the same pixel grid into a figure of `sky_image_figure` that is on the page."""
    restyle(plot, image, look)
    plot.select_one({"name": "values"}).data_source.data = _pointer_values(image)
    for crosses in plot.select({"name": "suppressed"}):
        crosses.visible = False


def restyle(plot: Figure, image: SkyImage, look: Look, noise: float = 1.0) -> None:
    """Show another plane, scale or colours in a figure of `sky_image_figure` that is on the page, the grid as it is."""
    limits = colour_limits(image, look.plane)
    pixels = plot.select_one({"name": "pixels"})
    pixels.glyph.color_mapper.palette = _palette(look)
    pixels.data_source.data = {**pixels.data_source.data, "image": [_levels(image, look, limits, noise)]}
    places, labels = _ticks(*limits, look.stretch)
    plot.right[0].update(ticker=_fixed(places), major_label_overrides=labels, title=_PLANE_TITLES[look.plane])
    plot.title.text = _title(image, look)
    name_figure(plot, _in_words(plot.title.text))


def _title(image: SkyImage, look: Look) -> str:
    return f"{_PLANE_TITLES[look.plane].split(' [')[0]}, {image.band} keV"


def _palette(look: Look) -> list[str]:
    from bokeh import palettes

    return list(palettes.all_palettes[look.colour_map][256][:255])


def _add_colour_bar(plot: Figure, mapper: Any, title: str, low: float, high: float, stretch: display.Stretch) -> None:
    from bokeh.models.annotations import ColorBar

    places, labels = _ticks(low, high, stretch)
    bar = ColorBar(
        color_mapper=mapper,
        ticker=_fixed(places),
        major_label_overrides=labels,
        title=title,
        title_text_font_style="normal",
        title_text_color=_BAR_TEXT,
        major_label_text_color=_BAR_TEXT,
        background_fill_color=_EMPTY_COLOUR,
        background_fill_alpha=1.0,
        styles={"--bk-background-fill-color": _EMPTY_COLOUR},  # not that of the page's theme, which its text has not
        width=12,
        label_standoff=6,
    )
    plot.add_layout(bar, "right")


def _ticks(low: float, high: float, stretch: display.Stretch) -> tuple[list[float], Any]:
    """Places of round values on the colour scale, and what stands there; those too close to another are left out."""
    values = _round_ticks(low, high)
    places = [float(place) for place in display.level_of(np.array(values), low, high, stretch)]
    kept: list[int] = []
    for k in reversed(range(len(places))):
        if not kept or places[kept[-1]] - places[k] > _CLOSEST_TICKS:
            kept.append(k)
    return [places[k] for k in kept[::-1]], {places[k]: f"{values[k]:g}" for k in kept}


def _fixed(places: Sequence[float]) -> Any:
    from bokeh.models import FixedTicker

    return FixedTicker(ticks=list(places))


def _round_ticks(low: float, high: float) -> list[float]:
    rough = (high - low) / 6
    power = 10.0 ** np.floor(np.log10(rough))
    step = power * next(factor for factor in (1, 2, 5, 10) if factor * power >= rough)
    return [float(np.round(k * step, 10)) for k in range(int(np.ceil(low / step)), int(np.floor(high / step)) + 1)]


def _pointer_values(image: SkyImage) -> dict[str, list[NDArray[np.float32]]]:
    """Floats for the pointer, coarser than the image if that is large; the kernel keeps the full ones."""
    whole = image.significance.size <= MAX_HOVER_PIXELS
    at = display.peak_pixels(_significance(image), MAX_HOVER_PIXELS if whole else COARSE_HOVER_PIXELS)
    position = image.position_of(at[1], at[0])
    with np.errstate(invalid="ignore"):
        error = np.sqrt(image.variance[at])
    seen = image.observed[at]
    planes = {
        "ra": position.ra.deg,
        "dec": position.dec.deg,
        "flux": np.where(seen, image.intensity[at], np.nan),
        "error": np.where(seen, error, np.nan),
        "sigma": np.where(seen, image.significance[at], np.nan),
    }
    return {name: [np.asarray(values, dtype=np.float32)] for name, values in planes.items()}


def _add_pixel_hover(plot: Figure, image: SkyImage) -> None:
    from bokeh.models import HoverTool

    rows, columns = image.shape
    # Blank for the eye, there for the pointer: the coarse planes need a glyph of their own shape.
    glyph = plot.image(
        "sigma",
        source=_pointer_values(image),
        x=-0.5,
        y=-0.5,
        dw=columns,
        dh=rows,
        global_alpha=0.0,
        palette=["#000000"],
        name="values",
    )
    tips = [
        ("RA, Dec", "@ra{0.000}°, @dec{+0.000}°"),
        ("Flux", "@flux{0.00} ± @error{0.00} counts/s"),
        ("Significance", "@sigma{0.0}"),
    ]
    plot.add_tools(HoverTool(renderers=[glyph], tooltips=tips, description="Values under the pointer"))


def _draw_suppressed(plot: Figure, image: SkyImage, suppressed: Sequence[Mapping[str, Any]]) -> None:
    """Crosses where something above the threshold is no source: ghosts, remainders of bright ones, noise."""
    from bokeh.models import HoverTool

    here = [item for item in suppressed if (item["e1_kev"], item["e2_kev"]) == tuple(image.band)]
    column, row, inside = _pixels_of(image, [(item["ra_deg"], item["dec_deg"]) for item in here])
    if not inside.any():
        return
    shown = [item for item, is_inside in zip(here, inside, strict=True) if is_inside]
    glyph = plot.scatter(
        "column",
        "row",
        source={
            "column": column[inside],
            "row": row[inside],
            "reason": [str(item["reason"]) for item in shown],
            "sigma": [float(item["significance"]) for item in shown],
        },
        marker="x",
        size=13,
        line_color=SUPPRESSED_COLOUR,
        line_width=1.8,
        name="suppressed",
    )
    tips = [("No source", "@reason"), ("Significance", "@sigma{0.0}")]
    plot.add_tools(HoverTool(renderers=[glyph], tooltips=tips, description="Excesses that are no sources"))


def _draw_regions(plot: Figure, image: SkyImage, regions: Sequence[tuple[str, float, float, float]]) -> None:
    column, row, inside = _pixels_of(image, [(ra, dec) for _, ra, dec, _ in regions])
    if not inside.any():
        return
    scale = float(np.sqrt(np.abs(np.linalg.det(image.wcs.celestial.pixel_scale_matrix))))
    shown = [region for region, is_inside in zip(regions, inside, strict=True) if is_inside]
    data = {
        "column": column[inside],
        "row": row[inside],
        "radius": [max(radius / scale, _SMALLEST_REGION) for *_, radius in shown],
        "name": [name for name, *_ in shown],
    }
    plot.circle("column", "row", radius="radius", source=data, fill_alpha=0, line_color=REGION_COLOUR, name="regions")
    plot.text(
        "column", "row", text="name", source=data, y_offset=16, x_offset=6, text_color=REGION_COLOUR,
        text_font_size="11px", name="region_names",
    )  # fmt: skip


def _pixels_of(
    image: SkyImage, positions: Sequence[tuple[float, float]]
) -> tuple[NDArray[Any], NDArray[Any], NDArray[np.bool_]]:
    """Columns and rows of positions (RA, Dec, degrees), and which of them are on the image."""
    from astropy.coordinates import SkyCoord

    if not positions:
        return np.zeros(0), np.zeros(0), np.zeros(0, dtype=bool)
    ra, dec = np.transpose(positions)
    column, row = image.pixel_of(SkyCoord(ra, dec, unit="deg", frame="fk5"))
    rows, columns = image.shape
    return column, row, (column > -0.5) & (column < columns - 0.5) & (row > -0.5) & (row < rows - 0.5)


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
    column, row = np.transpose([line.label_point for line in lines])
    right, top = column > 0.85 * shape[1], row > 0.93 * shape[0]
    labels = {
        "column": column,
        "row": row,
        "label": [line.label for line in lines],
        "x_offset": np.where(right, -4, 4),
        "y_offset": np.where(top, 3, -3),
        "align": np.where(right, "right", "left").tolist(),
        "baseline": np.where(top, "top", "bottom").tolist(),
    }
    plot.text(
        "column", "row", text="label", source=labels, x_offset="x_offset", y_offset="y_offset", text_align="align",
        text_baseline="baseline", text_color=GRID_COLOUR, text_font_size="11px", name="graticule_labels",
    )  # fmt: skip


def _draw_sources(plot: Figure, image: SkyImage, sources: Sequence[Source]) -> None:
    column, row, inside = _pixels_of(image, [(source.ra_deg, source.dec_deg) for source in sources])
    styles = (
        ("Known", KNOWN_COLOUR, "circle", [not s.new and not s.forced for s in sources]),
        ("New", NEW_COLOUR, "diamond", [s.new for s in sources]),
        ("Forced", FORCED_COLOUR, "square", [s.forced and not s.new for s in sources]),
    )
    for kind, colour, marker, of_kind in styles:
        chosen = np.flatnonzero(inside & np.array(of_kind, dtype=bool))
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
