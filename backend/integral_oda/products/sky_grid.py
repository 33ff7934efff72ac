"""Pixel grids of mosaics with their world coordinates: gnomonic around the data, or any other that FITS knows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from integral_oda.arrays import Array
from integral_oda.errors import RequestError
from integral_oda.imaging.sky_grid import DirectionGrid, Extent, ImagePlane, PlaneGrid, gnomonic_camera
from integral_oda.instrument.attitude import SKY_PIXEL, unit_vector
from integral_oda.instrument.tangent_plane import TangentPlane

if TYPE_CHECKING:
    from astropy.wcs import WCS

__all__ = [
    "SkyGrid",
    "camera_of",
    "choose_grid",
    "directions_to_pixels",
    "galactic_axes",
    "gnomonic_grid",
    "gnomonic_wcs",
    "image_extent",
    "image_outline",
    "image_plane",
    "lattice_point",
    "observed_outline",
    "pixel_directions",
]

_TANGENT_STEP_DEG = 4.0
_MARGIN = 4
_WIDEST_PLANE_DEG = 60.0


@dataclass(frozen=True)
class SkyGrid:
    """Pixels of a mosaic: world coordinates whose pixel (0, 0) is that of the grid, and the part in use."""

    wcs: WCS
    extent: Extent

    @cached_property
    def pixels(self) -> PlaneGrid | DirectionGrid:
        """The grid as arrays take it."""
        camera = camera_of(self.wcs)
        if camera is not None:
            return PlaneGrid(camera)
        rows, columns = (index.ravel() for index in np.indices(self.extent.shape))
        return DirectionGrid(pixel_directions(self.wcs, columns + self.extent.column, rows + self.extent.row))

    @property
    def sum_extent(self) -> Extent:
        """Extent of the sums; those of a grid that is not gnomonic are one row."""
        pixels = self.pixels
        return pixels.extent if isinstance(pixels, DirectionGrid) else self.extent

    def wcs_of(self, extent: Extent) -> WCS:
        """World coordinates of the arrays of an extent."""
        wcs = self.wcs.deepcopy()
        wcs.wcs.crpix = [self.wcs.wcs.crpix[0] - extent.column, self.wcs.wcs.crpix[1] - extent.row]
        return wcs


def camera_of(wcs: WCS | TangentPlane) -> Array | None:
    """Camera of a gnomonic image; None for another projection."""
    if isinstance(wcs, TangentPlane):
        return _plane_camera(wcs)
    wcs.wcs.set()
    kinds = [str(kind) for kind in wcs.wcs.ctype]
    if not all(kind.endswith("-TAN") for kind in kinds) or not np.isclose(wcs.wcs.lonpole % 360, 180):
        return None
    if not kinds[0].startswith(("RA", "GLON")):
        return None
    matrix = wcs.pixel_scale_matrix
    reference = (float(wcs.wcs.crpix[0]) - 1, float(wcs.wcs.crpix[1]) - 1)
    camera = gnomonic_camera(float(wcs.wcs.crval[0]), float(wcs.wcs.crval[1]), matrix, reference)
    return camera @ galactic_axes() if kinds[0].startswith("GLON") else camera


def _plane_camera(plane: TangentPlane) -> Array:
    return gnomonic_camera(plane.ra_deg, plane.dec_deg, plane.cd, (plane.column, plane.row))


def galactic_axes() -> Array:
    """Rotation ``(3, 3)`` from FK5 to galactic directions."""
    from astropy.coordinates import SkyCoord

    axes = SkyCoord([0, 90, 0], [0, 0, 90], unit="deg", frame="galactic").fk5.cartesian.xyz.value
    return np.asarray(axes).T


def pixel_directions(wcs: WCS | TangentPlane, column: Array, row: Array) -> Array:
    """FK5 unit vectors ``(..., 3)`` of pixels (0-based); NaN off the sky."""
    if isinstance(wcs, TangentPlane):
        places = np.stack([column, row, np.ones(np.shape(column))], axis=-1)
        directions = places @ np.linalg.inv(_plane_camera(wcs)).T
        return directions / np.linalg.norm(directions, axis=-1, keepdims=True)
    vectors = unit_vector(*wcs.wcs_pix2world(np.ravel(column), np.ravel(row), 0)).reshape(*np.shape(column), 3)
    return vectors @ galactic_axes() if _is_galactic(wcs) else vectors


def directions_to_pixels(wcs: WCS | TangentPlane, directions: Array) -> tuple[Array, Array]:
    """Columns and rows (0-based) of FK5 directions ``(n, 3)``; NaN behind a gnomonic image."""
    camera = camera_of(wcs)
    if isinstance(wcs, TangentPlane) or camera is not None:
        column, row, depth = camera @ directions.T
        depth = np.where(depth > 0, depth, np.nan)
        return column / depth, row / depth
    v = directions @ galactic_axes().T if _is_galactic(wcs) else directions
    lon, lat = np.rad2deg(np.arctan2(v[:, 1], v[:, 0])) % 360, np.rad2deg(np.arcsin(np.clip(v[:, 2], -1, 1)))
    column, row = wcs.wcs_world2pix(lon, lat, 0)
    return column, row


def _is_galactic(wcs: WCS) -> bool:
    return str(wcs.wcs.ctype[0]).startswith("GLON")


def image_plane(wcs: WCS | TangentPlane, shape: tuple[int, int]) -> ImagePlane:
    """Where an image lies, from its world coordinates."""
    camera = camera_of(wcs)
    if camera is not None:
        return ImagePlane.gnomonic(camera, shape)
    rows, columns = (index.ravel() for index in np.indices(shape))
    directions = pixel_directions(wcs, columns, rows)
    directions = directions[np.isfinite(directions).all(axis=1)]
    centre = directions.sum(axis=0)
    centre /= np.linalg.norm(centre)
    radius = float(np.arccos(np.clip(directions @ centre, -1, 1).min()))
    return ImagePlane(shape, centre, radius, to_pixel=lambda v: directions_to_pixels(wcs, v))


def image_outline(wcs: WCS | TangentPlane, shape: tuple[int, int]) -> Array:
    """Directions around an image, ``(n, 3)`` FK5; of one in a projection of the whole sky, those of its pixels."""
    if camera_of(wcs) is not None:
        rim = image_plane(wcs, shape).rim()
        return pixel_directions(wcs, rim[:, 0], rim[:, 1])
    rows, columns = (index.ravel() for index in np.mgrid[0 : shape[0] : 8, 0 : shape[1] : 8])
    found = pixel_directions(wcs, columns, rows)
    return found[np.isfinite(found).all(axis=1)]


def observed_outline(wcs: WCS | TangentPlane, observed: Array) -> Array:
    """Directions around the observed pixels of an image, ``(n, 3)`` FK5."""
    rows = np.flatnonzero(observed.any(axis=1))
    rows = np.unique(np.append(rows[::8], rows[-1]))
    first = observed[rows].argmax(axis=1)
    last = observed.shape[1] - 1 - observed[rows, ::-1].argmax(axis=1)
    return pixel_directions(wcs, np.concatenate([first, last]), np.concatenate([rows, rows]))


def image_extent(grid: PlaneGrid, wcs: WCS | TangentPlane, observed: Array) -> Extent:
    """Extent of a grid around the observed pixels of an image."""
    return grid.extent_of(observed_outline(wcs, observed), _MARGIN)


def gnomonic_grid(outlines: Sequence[Array]) -> SkyGrid:
    """North-up gnomonic grid of the sky pixel's size around all observed pixels of some images.

    The tangent point is rounded to a lattice of 4 degrees, so that a few images more keep the grid, and partial sums
    on it stay of use.

    Parameters
    ----------
    outlines : sequence of ndarray
        Of every image, see `observed_outline`.
    """
    return choose_grid(outlines)


def lattice_point(direction: Array) -> tuple[float, float]:
    """RA and Dec (degrees) of the lattice point nearest to a direction."""
    x, y, z = direction / np.linalg.norm(direction)
    dec = _TANGENT_STEP_DEG * round(np.rad2deg(np.arcsin(z)) / _TANGENT_STEP_DEG)
    around = max(1, round(360 * np.cos(np.deg2rad(dec)) / _TANGENT_STEP_DEG))
    ra = 360 / around * round(np.rad2deg(np.arctan2(y, x)) % 360 / (360 / around))
    return ra % 360, dec


def _wcs(projection: str, lon_deg: float, lat_deg: float, *, galactic: bool) -> WCS:
    """Upright coordinates of the sky pixel's size with the reference point in the middle of pixel (0, 0)."""
    from astropy.wcs import WCS

    scale = np.rad2deg(SKY_PIXEL)
    wcs = WCS(naxis=2)
    axes = ("GLON-", "GLAT-") if galactic else ("RA---", "DEC--")
    wcs.wcs.ctype, wcs.wcs.cunit = [axis + projection for axis in axes], ["deg", "deg"]
    wcs.wcs.crval, wcs.wcs.crpix = [lon_deg, lat_deg], [1.0, 1.0]
    wcs.wcs.cd = np.diag([-scale, scale])
    if not galactic:
        wcs.wcs.radesys, wcs.wcs.equinox = "FK5", 2000.0
    if projection == "TAN":
        wcs.wcs.lonpole = 180.0
    return wcs


def gnomonic_wcs(ra_deg: float, dec_deg: float) -> WCS:
    """North-up gnomonic coordinates of the sky pixel's size, the tangent point in the middle of pixel (0, 0)."""
    return _wcs("TAN", ra_deg, dec_deg, galactic=False)


def choose_grid(
    outlines: Sequence[Array],
    projection: str = "TAN",
    *,
    galactic: bool = False,
    centre: tuple[float, float] | None = None,
    size_deg: tuple[float, float] | None = None,
) -> SkyGrid:
    """Grid of a mosaic in a projection, as large as the data or as asked for.

    Parameters
    ----------
    outlines : sequence of ndarray
        Directions around every image, ``(n, 3)``.
    projection : {"TAN", "CAR", "AIT"}
    galactic : bool
        Rows along galactic latitude.
    centre : tuple of float, optional
        RA and Dec (degrees) of the middle; else that of the data.
    size_deg : tuple of float, optional
        Width and height around the middle; else all of the data.

    Raises
    ------
    RequestError
        If the data do not fit into a gnomonic plane.
    """
    points = np.concatenate(outlines)
    middle = np.stack([outline.mean(axis=0) for outline in outlines]).mean(axis=0) if centre is None else (
        unit_vector(*centre)
    )  # fmt: skip
    if projection == "TAN" and size_deg is None:
        _check_plane(points, middle)
    lon, lat = lattice_point(_in_frame(middle, galactic=galactic)) if centre is None else (
        _angles(_in_frame(middle, galactic=galactic))
    )  # fmt: skip
    wcs = _wcs(projection, lon, lat if projection == "TAN" else 0.0, galactic=galactic)
    if size_deg is None:
        columns, rows = directions_to_pixels(wcs, points)
        columns, rows = columns[np.isfinite(columns)], rows[np.isfinite(rows)]
    else:
        column, row = (float(value[0]) for value in directions_to_pixels(wcs, middle[None]))
        half = np.array(size_deg) / 2 / np.rad2deg(SKY_PIXEL) - _MARGIN
        columns, rows = column + half[0] * np.array([-1, 1]), row + half[1] * np.array([-1, 1])
    low = np.floor([rows.min(), columns.min()]).astype(int) - _MARGIN
    high = np.ceil([rows.max(), columns.max()]).astype(int) + _MARGIN
    return SkyGrid(wcs, Extent(int(low[0]), int(low[1]), *(int(n) for n in high - low + 1)))


def _check_plane(points: Array, middle: Array) -> None:
    farthest = float(np.rad2deg(np.arccos(np.clip((points @ middle).min() / np.linalg.norm(middle), -1, 1))))
    if farthest > _WIDEST_PLANE_DEG:
        raise RequestError(
            "projection",
            "TAN",
            f"the images reach {farthest:.0f} degrees from their middle, a plane {_WIDEST_PLANE_DEG:g}; CAR, AIT or "
            "HEALPIX, or a --size",
        )


def _in_frame(direction: Array, *, galactic: bool) -> Array:
    return galactic_axes() @ direction if galactic else direction


def _angles(direction: Array) -> tuple[float, float]:
    x, y, z = direction / np.linalg.norm(direction)
    return float(np.rad2deg(np.arctan2(y, x)) % 360), float(np.rad2deg(np.arcsin(z)))
