"""Lines of equal celestial coordinates, equatorial or galactic, on the pixel grid of a sky image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from integral_oda.arrays import Array
from integral_oda.instrument.attitude import unit_vector
from integral_oda.instrument.tangent_plane import TangentPlane
from integral_oda.products.sky_grid import directions_to_pixels, galactic_axes, pixel_directions

if TYPE_CHECKING:
    from astropy.wcs import WCS

__all__ = ["Frame", "GraticuleLine", "graticule", "line_step"]

Axis = Literal["RA", "Dec", "l", "b"]
Frame = Literal["equatorial", "galactic"]

_STEPS_DEG = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0)
_SAMPLES = 361
_SHORTEST = 0.15


@dataclass(frozen=True)
class GraticuleLine:
    """One line of the celestial grid.

    Attributes
    ----------
    axis : {"RA", "Dec", "l", "b"}
        The coordinate that is constant along the line.
    value_deg : float
        Its value, degrees (FK5 or galactic).
    column, row : ndarray
        ``(n,)`` 0-based pixel coordinates; NaN where the line is outside the image.
    """

    axis: Axis
    value_deg: float
    column: Array
    row: Array

    @property
    def label(self) -> str:
        """Text for people, such as ``"RA 290°"`` or ``"Dec +20°"``."""
        sign = "+" if self.axis in ("Dec", "b") else ""
        return f"{self.axis} {self.value_deg:{sign}g}°"

    @property
    def label_point(self) -> tuple[float, float]:
        """Column and row where the label goes: the end of the visible line that is nearer to the lower left."""
        seen = np.flatnonzero(np.isfinite(self.column))
        ends = [(float(self.column[i]), float(self.row[i])) for i in (seen[0], seen[-1])]
        return min(ends, key=min)


def line_step(extent_deg: float, lines: int = 6) -> float:
    """Round distance of lines that cuts ``extent_deg`` about ``lines`` times, degrees."""
    return next((step for step in _STEPS_DEG if extent_deg / step <= lines), _STEPS_DEG[-1])


@dataclass(frozen=True)
class _Grid:
    """Longitude and latitude of a frame, degrees, to pixels and back."""

    wcs: WCS | TangentPlane
    frame: Frame

    def to_pixel(self, longitude: Array, latitude: Array) -> tuple[Array, Array]:
        directions = unit_vector(longitude, latitude)
        if self.frame == "galactic":
            directions = directions @ galactic_axes()
        return directions_to_pixels(self.wcs, directions)

    def to_sky(self, column: Array, row: Array) -> tuple[Array, Array]:
        v = pixel_directions(self.wcs, column, row)
        if self.frame == "galactic":
            v = v @ galactic_axes().T
        return np.rad2deg(np.arctan2(v[:, 1], v[:, 0])) % 360, np.rad2deg(np.arcsin(np.clip(v[:, 2], -1, 1)))


def graticule(wcs: WCS | TangentPlane, shape: tuple[int, int], frame: Frame = "equatorial") -> list[GraticuleLine]:
    """Celestial grid of an image.

    Parameters
    ----------
    wcs : `~astropy.wcs.WCS` or TangentPlane
        Celestial coordinates (FK5 or galactic) of the pixel grid.
    shape : tuple of int
        Rows and columns of the image.
    frame : {"equatorial", "galactic"}
        RA and Dec, or l and b.

    Returns
    -------
    list of GraticuleLine
        Lines of equal longitude, then of equal latitude; only those that cross more than a corner of the image.
    """
    grid = _Grid(wcs, frame)
    (west, east), (south, north) = _extent(grid, shape)
    meridians: Axis = "l" if frame == "galactic" else "RA"
    parallels: Axis = "b" if frame == "galactic" else "Dec"
    longitudes = np.linspace(west, east, _SAMPLES)
    latitudes = np.linspace(max(south, -90.0), min(north, 90.0), _SAMPLES)
    lines = [
        GraticuleLine(meridians, float(value % 360), *_on_grid(grid, shape, np.full(_SAMPLES, value), latitudes))
        for value in _multiples(west, east, line_step(east - west))
    ] + [
        GraticuleLine(parallels, float(value), *_on_grid(grid, shape, longitudes, np.full(_SAMPLES, value)))
        for value in _multiples(south, north, line_step(north - south))
        if abs(value) < 90
    ]
    return [line for line in lines if _length(line) > _SHORTEST * min(shape)]


def _length(line: GraticuleLine) -> float:
    return float(np.nansum(np.hypot(np.diff(line.column), np.diff(line.row))))


def _multiples(low: float, high: float, step: float) -> Array:
    values = np.arange(np.ceil(low / step), np.floor(high / step) + 1) * step
    return values[values < low + 360] + 0.0


def _extent(grid: _Grid, shape: tuple[int, int]) -> tuple[tuple[float, float], tuple[float, float]]:
    """Range of longitude (unwrapped about the middle) and latitude over the image, degrees."""
    rows, columns = shape
    column, row = np.meshgrid(np.linspace(0, columns - 1, 41), np.linspace(0, rows - 1, 41))
    longitude, latitude = grid.to_sky(column.ravel(), row.ravel())
    seen = np.isfinite(longitude) & np.isfinite(latitude)
    middle = float(grid.to_sky(np.array([(columns - 1) / 2]), np.array([(rows - 1) / 2]))[0][0])
    unwrapped = middle + (longitude[seen] - middle + 180) % 360 - 180
    low, high = float(unwrapped.min()), float(unwrapped.max())
    around = high - low > 300
    return (
        (middle - 180, middle + 180) if around else (low, high),
        (float(latitude[seen].min()), float(latitude[seen].max())),
    )


def _on_grid(grid: _Grid, shape: tuple[int, int], longitude: Array, latitude: Array) -> tuple[Array, Array]:
    """Pixels of points of the sky; NaN outside the image or where the projection folds back."""
    column, row = grid.to_pixel(longitude, latitude)
    finite = np.isfinite(column) & np.isfinite(row)
    back_longitude, back_latitude = grid.to_sky(np.where(finite, column, 0.0), np.where(finite, row, 0.0))
    turned = (back_longitude - longitude + 180) % 360 - 180
    same = finite & (np.abs(turned * np.cos(np.deg2rad(latitude))) < 1e-3) & (np.abs(back_latitude - latitude) < 1e-3)
    rows, columns = shape
    inside = same & (column > -0.5) & (column < columns - 0.5) & (row > -0.5) & (row < rows - 0.5)
    return np.where(inside, column, np.nan), np.where(inside, row, np.nan)
