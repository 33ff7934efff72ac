"""Lines of equal right ascension and declination on the pixel grid of a sky image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from astropy.wcs import WCS

__all__ = ["GraticuleLine", "graticule", "line_step"]

Array = NDArray[np.float64]

_STEPS_DEG = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0)
_SAMPLES = 361
_SHORTEST = 0.15


@dataclass(frozen=True)
class GraticuleLine:
    """One line of the celestial grid.

    Attributes
    ----------
    axis : {"RA", "Dec"}
        The coordinate that is constant along the line.
    value_deg : float
        Its value, degrees (frame of the WCS).
    column, row : ndarray
        ``(n,)`` 0-based pixel coordinates; NaN where the line is outside the image.
    """

    axis: Literal["RA", "Dec"]
    value_deg: float
    column: Array
    row: Array

    @property
    def label(self) -> str:
        """Text for people, such as ``"RA 290°"`` or ``"Dec +20°"``."""
        return f"RA {self.value_deg:g}°" if self.axis == "RA" else f"Dec {self.value_deg:+g}°"

    @property
    def label_point(self) -> tuple[float, float]:
        """Column and row where the label goes: the end of the visible line that is nearer to the lower left."""
        seen = np.flatnonzero(np.isfinite(self.column))
        ends = [(float(self.column[i]), float(self.row[i])) for i in (seen[0], seen[-1])]
        return min(ends, key=min)


def line_step(extent_deg: float, lines: int = 6) -> float:
    """Round distance of lines that cuts ``extent_deg`` about ``lines`` times, degrees."""
    return next((step for step in _STEPS_DEG if extent_deg / step <= lines), _STEPS_DEG[-1])


def graticule(wcs: WCS, shape: tuple[int, int]) -> list[GraticuleLine]:
    """Celestial grid of an image.

    Parameters
    ----------
    wcs : `~astropy.wcs.WCS`
        Celestial coordinates of the pixel grid.
    shape : tuple of int
        Rows and columns of the image.

    Returns
    -------
    list of GraticuleLine
        RA lines, then Dec lines; only those that cross more than a corner of the image.
    """
    (ra_low, ra_high), (dec_low, dec_high) = _extent(wcs, shape)
    ra_step, dec_step = line_step(ra_high - ra_low), line_step(dec_high - dec_low)
    ra_along = np.linspace(ra_low, ra_high, _SAMPLES)
    dec_along = np.linspace(max(dec_low, -90.0), min(dec_high, 90.0), _SAMPLES)
    lines = [
        GraticuleLine("RA", float(value % 360), *_on_grid(wcs, shape, np.full(_SAMPLES, value), dec_along))
        for value in _multiples(ra_low, ra_high, ra_step)
    ] + [
        GraticuleLine("Dec", float(value), *_on_grid(wcs, shape, ra_along, np.full(_SAMPLES, value)))
        for value in _multiples(dec_low, dec_high, dec_step)
        if abs(value) < 90
    ]
    return [line for line in lines if _length(line) > _SHORTEST * min(shape)]


def _length(line: GraticuleLine) -> float:
    return float(np.nansum(np.hypot(np.diff(line.column), np.diff(line.row))))


def _multiples(low: float, high: float, step: float) -> Array:
    values = np.arange(np.ceil(low / step), np.floor(high / step) + 1) * step
    return values[values < low + 360] + 0.0


def _extent(wcs: WCS, shape: tuple[int, int]) -> tuple[tuple[float, float], tuple[float, float]]:
    """Range of RA (unwrapped about the middle) and Dec over the image, degrees."""
    rows, columns = shape
    column, row = np.meshgrid(np.linspace(0, columns - 1, 41), np.linspace(0, rows - 1, 41))
    ra, dec = wcs.celestial.wcs_pix2world(column.ravel(), row.ravel(), 0)
    seen = np.isfinite(ra) & np.isfinite(dec)
    middle_ra = wcs.celestial.wcs_pix2world((columns - 1) / 2, (rows - 1) / 2, 0)[0]
    ra = middle_ra + (ra[seen] - middle_ra + 180) % 360 - 180
    low, high = float(ra.min()), float(ra.max())
    return ((middle_ra - 180, middle_ra + 180) if high - low > 300 else (low, high)), (
        float(dec[seen].min()),
        float(dec[seen].max()),
    )


def _on_grid(wcs: WCS, shape: tuple[int, int], ra: Array, dec: Array) -> tuple[Array, Array]:
    """Pixels of points of the sky; NaN outside the image or where the projection folds back."""
    column, row = wcs.celestial.wcs_world2pix(ra, dec, 0)
    back_ra, back_dec = wcs.celestial.wcs_pix2world(column, row, 0)
    turned = (back_ra - ra + 180) % 360 - 180
    same = (np.abs(turned * np.cos(np.deg2rad(dec))) < 1e-3) & (np.abs(back_dec - dec) < 1e-3)
    rows, columns = shape
    inside = same & (column > -0.5) & (column < columns - 0.5) & (row > -0.5) & (row < rows - 0.5)
    return np.where(inside, column, np.nan), np.where(inside, row, np.nan)
