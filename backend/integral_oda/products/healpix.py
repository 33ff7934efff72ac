"""Mosaics on the HEALPix grid: which pixels, their FITS tables, and HiPS tiles that Aladin opens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from integral_oda.arrays import Array, IntArray
from integral_oda.errors import UnavailableError
from integral_oda.imaging.sky_grid import DirectionGrid, Extent
from integral_oda.instrument.attitude import unit_vector
from integral_oda.instrument.energy import EnergyBand
from integral_oda.products.fits_io import carried_keywords, isdc_cards, write_aside, write_fits
from integral_oda.products.sky_grid import galactic_axes

if TYPE_CHECKING:
    from astropy.io import fits

__all__ = ["NSIDE", "HealpixGrid", "HealpixMap", "write_healpix", "write_hips"]

NSIDE = 1024
"""Pixels of 3.4 arcmin, finer than the 4.9 arcmin of sky images."""
_COARSE_NSIDE = 32
_COARSE_RADIUS = np.deg2rad(2.2)
_TILE_ORDER, _TILE_WIDTH = 3, 512
_SHOWN = (-3.0, 10.0)
"""Range of significances in the pictures of the tiles."""


def _healpix(nside: int) -> Any:
    try:
        from astropy_healpix import HEALPix
    except ImportError as exc:
        raise UnavailableError("HEALPix mosaics need astropy-healpix: pip install 'integral-oda[healpix]'") from exc
    return HEALPix(nside=nside, order="nested")


@dataclass(frozen=True)
class HealpixGrid:
    """Some pixels of a HEALPix grid, nested.

    Attributes
    ----------
    number : ndarray
        ``(n,)`` numbers of the pixels, rising.
    nside : int
    galactic : bool
        Whether the grid is along galactic coordinates, else equatorial.
    """

    number: IntArray
    nside: int = NSIDE
    galactic: bool = False

    @classmethod
    def around(cls, outlines: Sequence[Array], nside: int = NSIDE, *, galactic: bool = False) -> HealpixGrid:
        """Pixels that images may cover.

        Parameters
        ----------
        outlines : sequence of ndarray
            Directions ``(n, 3)`` around each image, FK5.
        nside : int
            A power of 2, at least 32.
        galactic : bool
        """
        coarse = cls(np.arange(12 * _COARSE_NSIDE**2), _COARSE_NSIDE, galactic).directions
        near = np.zeros(len(coarse), dtype=bool)
        for outline in outlines:
            middle = outline.mean(axis=0) / np.linalg.norm(outline.mean(axis=0))
            radius = np.arccos(np.clip((outline @ middle).min(), -1, 1)) + _COARSE_RADIUS
            near |= coarse @ middle > np.cos(min(radius, np.pi))
        children = (nside // _COARSE_NSIDE) ** 2
        return cls((np.flatnonzero(near)[:, None] * children + np.arange(children)).ravel(), nside, galactic)

    @property
    def directions(self) -> Array:
        """Directions of the pixels, ``(n, 3)`` FK5."""
        lon, lat = _healpix(self.nside).healpix_to_lonlat(self.number)
        vectors = unit_vector(lon.to_value("deg"), lat.to_value("deg"))
        return vectors @ galactic_axes() if self.galactic else vectors

    @cached_property
    def pixels(self) -> DirectionGrid:
        """The grid as arrays take it."""
        return DirectionGrid(self.directions)

    @property
    def sum_extent(self) -> Extent:
        """Extent of the sums: one row."""
        return Extent(0, 0, 1, len(self.number))


@dataclass(frozen=True)
class HealpixMap:
    """A mosaic in one band on the observed pixels of a HEALPix grid.

    Attributes
    ----------
    grid : HealpixGrid
    intensity, variance, significance, exposure : ndarray
        ``(n,)`` float32, as of a `SkyImage`.
    band : EnergyBand
    keywords : mapping
    """

    grid: HealpixGrid
    intensity: Array
    variance: Array
    significance: Array
    exposure: Array
    band: EnergyBand
    keywords: Mapping[str, Any]


_COLUMNS = {"INTENSITY": "counts/s", "VARIANCE": "(counts/s)**2", "SIGNIFICANCE": "", "EXPOSURE": "s"}


def write_healpix(path: str | Path, maps: Sequence[HealpixMap], keywords: Mapping[str, Any] | None = None) -> None:
    """Write maps as tables of the observed pixels (explicit index, nested), one extension a band."""
    from astropy.io import fits

    primary = fits.PrimaryHDU()
    primary.header.update({"TELESCOP": "INTEGRAL", "INSTRUME": "IBIS", **(keywords or {})})
    write_fits(path, [primary, *(_table(one) for one in maps)])


def _table(one: HealpixMap) -> fits.BinTableHDU:
    from astropy.io import fits

    columns = [fits.Column("PIXEL", "1K", array=one.grid.number)]
    columns += [fits.Column(n, "1E", unit=unit, array=getattr(one, n.lower())) for n, unit in _COLUMNS.items()]
    table = fits.BinTableHDU.from_columns(columns, name="ISGR-MOSA-IMA")
    table.header.update(isdc_cards("DAL_TABLE", "IMA"))
    table.header.update(carried_keywords(one.keywords))
    low, high = one.band
    table.header.update(
        {"PIXTYPE": "HEALPIX", "ORDERING": "NESTED", "NSIDE": one.grid.nside, "INDXSCHM": "EXPLICIT",
         "OBJECT": "PARTIAL", "COORDSYS": "G" if one.grid.galactic else "C", "E_MIN": low, "E_MAX": high}
    )  # fmt: skip
    return table


def write_hips(folder: Path, one: HealpixMap, title: str) -> None:
    """Write the significance of a map as a HiPS: FITS and PNG tiles of 512 x 512 at order 3, properties and MOC.

    Parameters
    ----------
    folder : Path
        Folder of the HiPS, which Aladin opens.
    one : HealpixMap
    title : str
        Title to show.
    """
    per_tile = (one.grid.nside // 2**_TILE_ORDER) ** 2
    tiles = np.unique(one.grid.number // per_tile)
    for tile in tiles:
        inside = one.grid.number // per_tile == tile
        side = one.grid.nside // 2**_TILE_ORDER
        image = _tile_image(one.grid.number[inside] % per_tile, one.significance[inside], side)
        _write_tile(folder / f"Norder{_TILE_ORDER}" / f"Dir{tile // 10000 * 10000}" / f"Npix{tile}", image, int(tile))
    _write_moc(folder / "Moc.fits", tiles, galactic=one.grid.galactic)
    _write_properties(folder / "properties", one, title, len(tiles) / (12 * 4**_TILE_ORDER))


def _tile_image(number: IntArray, values: Array, side: int) -> Array:
    """Rows and columns of a tile: columns run to the north-west, rows to the south-west."""
    x, y = _deinterleave(number), _deinterleave(number >> 1)
    image = np.full((side, side), np.nan, dtype=np.float32)
    image[side - 1 - x, y] = values
    repeat = _TILE_WIDTH // side
    return np.repeat(np.repeat(image, repeat, axis=0), repeat, axis=1)


def _deinterleave(number: IntArray) -> IntArray:
    """The even bits of numbers below 2**32."""
    bits = np.asarray(number, dtype=np.int64) & 0x55555555
    for shift, mask in ((1, 0x33333333), (2, 0x0F0F0F0F), (4, 0x00FF00FF), (8, 0x0000FFFF)):
        bits = (bits | (bits >> shift)) & mask
    return bits


def _write_tile(stem: Path, image: Array, number: int) -> None:
    from astropy.io import fits
    from matplotlib import colormaps
    from PIL import Image

    hdu = fits.PrimaryHDU(image)
    hdu.header.update({"ORDER": _TILE_ORDER, "NPIX": number})
    write_fits(stem.with_suffix(".fits"), [hdu])
    low, high = _SHOWN
    colours = colormaps["inferno"](np.clip((np.nan_to_num(image, nan=low) - low) / (high - low), 0, 1), bytes=True)
    colours[~np.isfinite(image), 3] = 0
    with write_aside(stem.with_suffix(".png")) as aside:
        Image.fromarray(colours[::-1]).save(aside, format="PNG")


def _write_moc(path: Path, tiles: IntArray, *, galactic: bool) -> None:
    """Coverage as a MOC of version 1: NUNIQ numbers of the tiles."""
    from astropy.io import fits

    unique = fits.Column("UNIQ", "1K", array=4 * 4**_TILE_ORDER + tiles)
    table = fits.BinTableHDU.from_columns([unique])
    table.header.update(
        {"PIXTYPE": "HEALPIX", "ORDERING": "NUNIQ", "COORDSYS": "G" if galactic else "C", "MOCORDER": _TILE_ORDER}
    )
    write_fits(path, [fits.PrimaryHDU(), table])


def _write_properties(path: Path, one: HealpixMap, title: str, share: float) -> None:
    middle = one.grid.directions.mean(axis=0)
    ra = float(np.rad2deg(np.arctan2(middle[1], middle[0])) % 360)
    dec = float(np.rad2deg(np.arctan2(middle[2], np.hypot(middle[0], middle[1]))))
    values = {
        "creator_did": f"ivo://integral-oda/P/{one.band}",
        "obs_title": title,
        "dataproduct_type": "image",
        "hips_version": "1.4",
        "hips_status": "private master clonableOnce",
        "hips_frame": "galactic" if one.grid.galactic else "equatorial",
        "hips_order": _TILE_ORDER,
        "hips_order_min": _TILE_ORDER,
        "hips_tile_width": _TILE_WIDTH,
        "hips_tile_format": "png fits",
        "hips_pixel_bitpix": -32,
        "hips_pixel_cut": "{:g} {:g}".format(*_SHOWN),
        "hips_initial_ra": f"{ra:.4f}",
        "hips_initial_dec": f"{dec:.4f}",
        "hips_initial_fov": 40,
        "moc_sky_fraction": f"{share:.5f}",
        "hips_builder": "integral-oda",
    }
    with write_aside(path) as aside:
        aside.write_text("".join(f"{name:<20} = {value}\n" for name, value in values.items()), encoding="utf-8")
