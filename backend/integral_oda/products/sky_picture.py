"""The picture of a sky image: significance in colours, celestial grid, sources and colour bar.

It is drawn with Pillow alone: loading a plotting library with celestial axes takes longer than making the image.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from integral_oda.arrays import Array
from integral_oda.instrument.attitude import unit_vector
from integral_oda.products.fits_io import write_aside
from integral_oda.products.graticule import GraticuleLine, graticule
from integral_oda.products.sky_grid import directions_to_pixels
from integral_oda.products.sky_image import SkyImage
from integral_oda.products.source_list import Source

__all__ = ["colours", "draw_sky_image"]

LOWEST, HIGHEST = -4.0, 10.0
"""Significances at the ends of the colours."""
_INFERNO = (
    "00000402020c0504170a072210092d160b391e0c45260c512f0a5b380962400a67490b6a510e6c59106e61136e69166e71196e78"
    "1c6d801f6c88226a902568982766a02a63a82e5fb0315bb73557bf3952c63d4dcc4248d34743d94d3ddf5337e45a31e9612bed69"
    "25f1711ff47918f78212f98b0bfa9407fb9d07fca60cfcb014fbba1ffac42af8cd37f6d746f4e156f2ea69f2f27df5f992fcffa4"
)
"""Every fifth colour of matplotlib's map inferno (S. van der Walt and N. Smith, CC0)."""
_SIDE = 800
_LEFT, _TOP, _RIGHT, _BOTTOM = 90, 44, 110, 44
_BAR_GAP, _BAR_WIDTH, _BAR_STEP = 18, 26, 2
_FONT, _TITLE_FONT = 15, 19
_FINE = 2
"""Lines are drawn so many times larger and averaged, which smooths them."""
_CIRCLE = 13
_KNOWN, _NEW = "cyan", "magenta"

Colour = str | tuple[int, int, int]


def colours(values: Array, low: float = LOWEST, high: float = HIGHEST) -> NDArray[np.uint8]:
    """Colours of values between two limits.

    Parameters
    ----------
    values : ndarray
        ``(...)``; those beyond the limits have the colours of these.

    Returns
    -------
    ndarray of uint8
        ``(..., 3)`` red, green and blue, from black over red to yellow; white for NaN.
    """
    known = np.frombuffer(bytes.fromhex(_INFERNO), np.uint8).reshape(-1, 3)
    place = np.linspace(0, 1, len(known))
    table = np.stack([np.interp(np.linspace(0, 1, 256), place, channel) for channel in known.T], axis=1)
    table = np.vstack([np.round(table), [255.0] * 3])
    number = np.clip((values - low) / (high - low) * 256, 0, 255)
    shown: NDArray[np.uint8] = table.astype(np.uint8)[np.where(np.isnan(number), 256, number).astype(np.int16)]
    return shown


@dataclass(frozen=True)
class _Frame:
    """Where the image stands in the picture: ``scale`` picture pixels a sky pixel."""

    shape: tuple[int, int]
    scale: float

    @property
    def size(self) -> tuple[int, int]:
        rows, columns = self.shape
        return max(1, round(columns * self.scale)), max(1, round(rows * self.scale))

    @property
    def box(self) -> tuple[int, int, int, int]:
        width, height = self.size
        return _LEFT, _TOP, _LEFT + width, _TOP + height

    def place(self, column: Any, row: Any) -> tuple[Any, Any]:
        """Picture coordinates of pixels (0-based, centres at whole numbers)."""
        return _LEFT + (column + 0.5) * self.scale, _TOP + (self.shape[0] - 0.5 - row) * self.scale


def draw_sky_image(path: str | Path, image: SkyImage, sources: Sequence[Source]) -> None:
    """Draw the significance map with its celestial grid and the sources as PNG."""
    side = max(image.shape)
    frame = _Frame(image.shape, float(_SIDE // side) if side <= _SIDE else _SIDE / side)
    width, height = frame.size
    canvas = Image.new("RGB", (_LEFT + width + _RIGHT, _TOP + height + _BOTTOM), "white")
    plane = Image.fromarray(colours(image.significance[::-1]))
    canvas.paste(plane.resize(frame.size, Image.Resampling.NEAREST), frame.box[:2])
    _draw_grid(canvas, frame, graticule(image.coordinates, image.shape))
    _draw_sources(canvas, frame, image, sources)
    _draw_bar(canvas, frame)
    draw = ImageDraw.Draw(canvas)
    draw.rectangle(_around(frame.box), outline="black")
    draw.text((_LEFT + width / 2, _TOP - 12), f"ISGRI {image.band} keV", "black", _font(_TITLE_FONT), anchor="ms")
    with write_aside(path) as aside:
        canvas.save(aside, format="PNG", compress_level=3)


def _font(size: int = _FONT) -> Any:
    return ImageFont.load_default(size)


def _around(box: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    return box[0] - 1, box[1] - 1, box[2], box[3]


def _paint(canvas: Image.Image, colour: Colour, opacity: float, draw: Callable[[Any], None]) -> None:
    """Lay smooth lines in one colour over a picture; ``draw`` draws them `_FINE` times larger."""
    mask = Image.new("L", (canvas.width * _FINE, canvas.height * _FINE))
    draw(ImageDraw.Draw(mask))
    canvas.paste(Image.new("RGB", canvas.size, colour), mask=mask.reduce(_FINE).point(lambda value: value * opacity))


def _draw_grid(canvas: Image.Image, frame: _Frame, lines: Sequence[GraticuleLine]) -> None:
    _paint(canvas, "white", 0.4, partial(_lines, frame, lines))
    taken: list[tuple[float, float]] = []
    for line in lines:
        _label(canvas, frame, line, taken)


def _lines(frame: _Frame, lines: Sequence[GraticuleLine], fine: Any) -> None:
    for line in lines:
        seen = np.isfinite(line.column)
        for part in np.split(np.arange(len(seen)), np.flatnonzero(np.diff(seen)) + 1):
            if seen[part[0]]:
                places = np.stack(frame.place(line.column[part], line.row[part]), axis=1)
                fine.line((places * _FINE).ravel().tolist(), fill=255, width=_FINE)


def _label(canvas: Image.Image, frame: _Frame, line: GraticuleLine, taken: list[tuple[float, float]]) -> None:
    """Write the coordinate of a line where it leaves the image on the left or below, unless another one is there."""
    seen = np.flatnonzero(np.isfinite(line.column))
    edge = max(2.0, 0.01 * max(frame.shape))
    for end in (seen[0], seen[-1]):
        x, y = (float(value) for value in frame.place(line.column[end], line.row[end]))
        if line.row[end] < edge:
            place, anchor, tick = (x, frame.box[3] + 9.0), "ma", (x, float(frame.box[3]), x, frame.box[3] + 5.0)
        elif line.column[end] < edge:
            place, anchor, tick = (frame.box[0] - 9.0, y), "rm", (frame.box[0] - 6.0, y, frame.box[0] - 1.0, y)
        else:
            continue
        if all(abs(place[0] - other[0]) > 66 or abs(place[1] - other[1]) > 18 for other in taken):
            taken.append(place)
            draw = ImageDraw.Draw(canvas)
            draw.line(tick, fill="black")
            draw.text(place, line.label, "black", _font(), anchor=anchor)
            return


def _draw_sources(canvas: Image.Image, frame: _Frame, image: SkyImage, sources: Sequence[Source]) -> None:
    if not sources:
        return
    directions = unit_vector([s.ra_deg for s in sources], [s.dec_deg for s in sources])
    columns, rows = directions_to_pixels(image.coordinates, directions)
    height, width = image.shape
    inside = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
    places = np.stack(frame.place(columns, rows), axis=1)
    new = np.array([source.new for source in sources])
    for colour, chosen in ((_KNOWN, inside & ~new), (_NEW, inside & new)):
        if chosen.any():
            _paint(canvas, colour, 1.0, partial(_circles, places[chosen]))
    for k in np.flatnonzero(inside).tolist():
        _name(canvas, frame, sources[k], *(float(value) for value in places[k]))


def _circles(places: Array, fine: Any) -> None:
    for x, y in places * _FINE:
        reach = _CIRCLE * _FINE
        fine.ellipse((x - reach, y - reach, x + reach, y + reach), outline=255, width=round(1.6 * _FINE))


def _name(canvas: Image.Image, frame: _Frame, source: Source, x: float, y: float) -> None:
    """Write a source's name beside its circle, on the side where there is room."""
    font, reach = _font(), _CIRCLE + 2
    left = x + reach + font.getlength(source.name) > frame.box[2]
    below = y - reach - _FONT < frame.box[1]
    place = (x - reach if left else x + reach, y + reach if below else y - reach + 4)
    ImageDraw.Draw(canvas).text(
        place, source.name, _NEW if source.new else _KNOWN, font,
        anchor=("r" if left else "l") + ("t" if below else "s"), stroke_width=2, stroke_fill="black",
    )  # fmt: skip


def _draw_bar(canvas: Image.Image, frame: _Frame) -> None:
    """Draw the colours with their significances to the right of the image."""
    _, top, right, bottom = frame.box
    x, height = right + _BAR_GAP, bottom - top
    shades = colours(np.linspace(HIGHEST, LOWEST, height))[:, None].repeat(_BAR_WIDTH, axis=1)
    canvas.paste(Image.fromarray(shades), (x, top))
    draw = ImageDraw.Draw(canvas)
    draw.rectangle(_around((x, top, x + _BAR_WIDTH, bottom)), outline="black")
    for value in np.arange(LOWEST, HIGHEST + 1, _BAR_STEP):
        y = bottom - (value - LOWEST) / (HIGHEST - LOWEST) * height
        draw.line((x + _BAR_WIDTH, y, x + _BAR_WIDTH + 5, y), fill="black")
        draw.text((x + _BAR_WIDTH + 9, y), f"{value:g}", "black", _font(), anchor="lm")
    title = Image.new("L", (height, 24))
    ImageDraw.Draw(title).text((height / 2, 12), "significance [sigma]", 255, _font(), anchor="mm")
    turned = title.transpose(Image.Transpose.ROTATE_90)
    canvas.paste("black", (x + _BAR_WIDTH + 32, top), turned)
