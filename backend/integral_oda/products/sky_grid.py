"""Pixel grids of mosaics with their world coordinates: gnomonic around the data, or any other that FITS knows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from integral_oda.arrays import Array
from integral_oda.imaging.sky_grid import DirectionGrid, Extent, ImagePlane, PlaneGrid, gnomonic_camera
from integral_oda.instrument.attitude import SKY_PIXEL, unit_vector

if TYPE_CHECKING:
    from astropy.wcs import WCS

__all__ = ["SkyGrid", "gnomonic_grid", "image_plane", "observed_outline"]

_TANGENT_STEP_DEG = 4.0
_MARGIN = 4


@dataclass(frozen=True)
class SkyGrid:
    """Pixels of a mosaic: world coordinates whose pixel (0, 0) is that of the grid, and the part in use."""

    wcs: WCS
    extent: Extent

    @cached_property
    def pixels(self) -> PlaneGrid | DirectionGrid:
        """The grid as arrays take it."""
        camera = camera_of(self.wcs)
        return DirectionGrid(pixel_directions(self.wcs, self.extent)) if camera is None else PlaneGrid(camera)

    def wcs_of(self, extent: Extent) -> WCS:
        """World coordinates of the arrays of an extent."""
        wcs = self.wcs.deepcopy()
        wcs.wcs.crpix = [self.wcs.wcs.crpix[0] - extent.column, self.wcs.wcs.crpix[1] - extent.row]
        return wcs


def camera_of(wcs: WCS) -> Array | None:
    """Camera of a gnomonic image; None for another projection."""
    wcs.wcs.set()
    kinds = [str(kind) for kind in wcs.wcs.ctype]
    if not all(kind.endswith("-TAN") for kind in kinds) or not np.isclose(wcs.wcs.lonpole % 360, 180):
        return None
    if not kinds[0].startswith(("RA", "GLON")):
        return None
    matrix = wcs.pixel_scale_matrix
    reference = (float(wcs.wcs.crpix[0]) - 1, float(wcs.wcs.crpix[1]) - 1)
    camera = gnomonic_camera(float(wcs.wcs.crval[0]), float(wcs.wcs.crval[1]), matrix, reference)
    return camera @ _galactic_axes() if kinds[0].startswith("GLON") else camera


def _galactic_axes() -> Array:
    """Rotation ``(3, 3)`` from FK5 to galactic directions."""
    from astropy.coordinates import SkyCoord

    axes = SkyCoord([0, 90, 0], [0, 0, 90], unit="deg", frame="galactic").fk5.cartesian.xyz.value
    return np.asarray(axes).T


def pixel_directions(wcs: WCS, extent: Extent) -> Array:
    """Directions of the pixels of an extent, ``(n, 3)`` FK5, NaN off the sky."""
    rows, columns = (index.ravel() for index in np.indices(extent.shape))
    lon, lat = wcs.wcs_pix2world(columns + extent.column, rows + extent.row, 0)
    vectors = unit_vector(lon, lat)
    return vectors @ _galactic_axes() if _is_galactic(wcs) else vectors


def directions_to_pixels(wcs: WCS, directions: Array) -> tuple[Array, Array]:
    """Columns and rows (0-based) of FK5 directions ``(n, 3)``."""
    v = directions @ _galactic_axes().T if _is_galactic(wcs) else directions
    lon, lat = np.rad2deg(np.arctan2(v[:, 1], v[:, 0])) % 360, np.rad2deg(np.arcsin(np.clip(v[:, 2], -1, 1)))
    column, row = wcs.wcs_world2pix(lon, lat, 0)
    return column, row


def _is_galactic(wcs: WCS) -> bool:
    return str(wcs.wcs.ctype[0]).startswith("GLON")


def image_plane(wcs: WCS, shape: tuple[int, int]) -> ImagePlane:
    """Where an image lies, from its world coordinates."""
    camera = camera_of(wcs)
    if camera is not None:
        return ImagePlane.gnomonic(camera, shape)
    directions = pixel_directions(wcs, Extent(0, 0, *shape))
    directions = directions[np.isfinite(directions).all(axis=1)]
    centre = directions.sum(axis=0)
    centre /= np.linalg.norm(centre)
    radius = float(np.arccos(np.clip(directions @ centre, -1, 1).min()))
    return ImagePlane(shape, centre, radius, to_pixel=lambda v: directions_to_pixels(wcs, v))


def observed_outline(wcs: WCS, observed: Array) -> Array:
    """Directions around the observed pixels of an image, ``(n, 3)`` FK5."""
    rows = np.flatnonzero(observed.any(axis=1))[::8]
    first = observed[rows].argmax(axis=1)
    last = observed.shape[1] - 1 - observed[rows, ::-1].argmax(axis=1)
    column, row = np.concatenate([first, last]), np.concatenate([rows, rows])
    vectors = unit_vector(*wcs.wcs_pix2world(column, row, 0))
    return vectors @ _galactic_axes() if _is_galactic(wcs) else vectors


def gnomonic_grid(outlines: Sequence[Array]) -> SkyGrid:
    """North-up gnomonic grid of the sky pixel's size around all observed pixels of some images.

    The tangent point is rounded to a lattice of 4 degrees, so that a few images more keep the grid, and partial sums
    on it stay of use.

    Parameters
    ----------
    outlines : sequence of ndarray
        Of every image, see `observed_outline`.
    """
    middles = np.stack([outline.mean(axis=0) for outline in outlines])
    wcs = gnomonic_wcs(*_lattice_point(middles.mean(axis=0)))
    camera = camera_of(wcs)
    assert camera is not None
    return SkyGrid(wcs, PlaneGrid(camera).extent_of(np.concatenate(outlines), _MARGIN))


def _lattice_point(direction: Array) -> tuple[float, float]:
    """RA and Dec (degrees) of the lattice point nearest to a direction."""
    x, y, z = direction / np.linalg.norm(direction)
    dec = _TANGENT_STEP_DEG * round(np.rad2deg(np.arcsin(z)) / _TANGENT_STEP_DEG)
    around = max(1, round(360 * np.cos(np.deg2rad(dec)) / _TANGENT_STEP_DEG))
    ra = 360 / around * round(np.rad2deg(np.arctan2(y, x)) % 360 / (360 / around))
    return ra % 360, dec


def gnomonic_wcs(ra_deg: float, dec_deg: float) -> WCS:
    """North-up gnomonic coordinates of the sky pixel's size, the tangent point in the middle of pixel (0, 0)."""
    from astropy.wcs import WCS

    scale = np.rad2deg(SKY_PIXEL)
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.cunit = ["RA---TAN", "DEC--TAN"], ["deg", "deg"]
    wcs.wcs.crval, wcs.wcs.crpix = [ra_deg, dec_deg], [1.0, 1.0]
    wcs.wcs.cd = np.diag([-scale, scale])
    wcs.wcs.radesys, wcs.wcs.equinox, wcs.wcs.lonpole = "FK5", 2000.0, 180.0
    return wcs
