"""Sky images as OSA writes them: intensity, variance, significance and exposure with their WCS."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from integral_oda.errors import DataError
from integral_oda.imaging.sky_grid import Extent
from integral_oda.instrument.attitude import unit_vector
from integral_oda.instrument.energy import EnergyBand
from integral_oda.instrument.tangent_plane import TangentPlane
from integral_oda.products.fits_io import carried_keywords, isdc_cards, open_fits, open_headers
from integral_oda.products.fits_writer import ImageUnit, grouping_unit, write_units
from integral_oda.products.sky_grid import SkyGrid, directions_to_pixels, pixel_directions

if TYPE_CHECKING:
    from astropy.coordinates import SkyCoord
    from astropy.io import fits
    from astropy.wcs import WCS

__all__ = ["SkyImage", "SkyImageHeader", "grid_like", "read_sky_image_headers", "read_sky_images", "write_sky_images"]

PLANE_UNITS = {
    "INTENSITY": "counts/sec",
    "VARIANCE": "(counts/sec)**2",
    "SIGNIFICANCE": "no units",
    "EXPOSURE": "sec",
}
_WCS_KEYWORDS = (
    *("NAXIS", "WCSAXES", "CTYPE", "CRPIX", "CRVAL", "CUNIT", "CDELT", "CD1_", "CD2_", "PC1_", "PC2_", "PV1_", "PV2_"),
    *("LONPOLE", "LATPOLE", "RADESYS", "RADECSYS", "EQUINOX"),
)


@dataclass(frozen=True)
class SkyImage:
    """The sky in one energy band.

    Attributes
    ----------
    intensity, variance, significance, exposure : ndarray
        ``(n_rows, n_columns)`` float32; counts/s, (counts/s)**2, sigma, s. Where nothing was
        observed the variance is 0 and the others are NaN, or as the file has them.
    coordinates : `~astropy.wcs.WCS` or TangentPlane
        Celestial world coordinates of the pixel grid (FK5); ``wcs`` has them as astropy does.
    band : EnergyBand
        The energy band in keV.
    keywords : mapping
        FITS keywords that go with the image (times, science window, exposure, ...).
    """

    intensity: NDArray[np.float32]
    variance: NDArray[np.float32]
    significance: NDArray[np.float32]
    exposure: NDArray[np.float32]
    coordinates: WCS | TangentPlane
    band: EnergyBand
    keywords: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def wcs(self) -> WCS:
        """World coordinates of the pixel grid."""
        return self.coordinates.wcs() if isinstance(self.coordinates, TangentPlane) else self.coordinates

    @property
    def wcs_cards(self) -> dict[str, Any]:
        """Keywords of the world coordinates with their comments."""
        if isinstance(self.coordinates, TangentPlane):
            return self.coordinates.cards
        header = self.coordinates.to_header()
        plane = TangentPlane.from_cards(header)
        return plane.cards if plane else {card.keyword: (card.value, card.comment) for card in header.cards}

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows and columns."""
        rows, columns = self.intensity.shape
        return rows, columns

    @property
    def observed(self) -> NDArray[np.bool_]:
        """Pixels with an exposure, ``(n_rows, n_columns)``."""
        return np.isfinite(self.intensity) & (self.variance > 0)

    def pixel_of(self, position: SkyCoord) -> tuple[Any, Any]:
        """Column and row (0-based, fractional) of a position; NaN behind the pointing."""
        from astropy import units as u

        sky = position.transform_to("fk5")
        directions = np.atleast_2d(unit_vector(sky.ra.to_value(u.deg), sky.dec.to_value(u.deg)))
        column, row = directions_to_pixels(self.wcs.celestial, directions)
        return column.reshape(sky.shape), row.reshape(sky.shape)

    def position_of(self, column: Any, row: Any) -> SkyCoord:
        """Sky position (FK5) of a pixel, 0-based."""
        from astropy.coordinates import SkyCoord

        x, y = np.broadcast_arrays(column, row)
        vectors = pixel_directions(self.wcs.celestial, x, y)
        ra, dec = np.arctan2(vectors[..., 1], vectors[..., 0]), np.arcsin(np.clip(vectors[..., 2], -1, 1))
        return SkyCoord(np.rad2deg(ra) % 360, np.rad2deg(dec), unit="deg", frame="fk5")


@dataclass(frozen=True)
class SkyImageHeader:
    """What a file says of its image in one band, without the image itself."""

    band: EnergyBand
    shape: tuple[int, int]
    wcs: WCS
    keywords: Mapping[str, Any]


def read_sky_image_headers(path: str | Path) -> list[SkyImageHeader]:
    """Read the headers of every band of a sky image or mosaic.

    Raises
    ------
    DataError
        If the file is no FITS file or holds no INTENSITY plane.
    """
    found = []
    with open_headers(path) as hdus:
        for hdu in hdus:
            header = hdu.header
            if str(header.get("IMATYPE", "")).strip() == "INTENSITY" and header.get("NAXIS") == 2:
                band = EnergyBand(float(header["E_MIN"]), float(header["E_MAX"]))
                shape = int(header["NAXIS2"]), int(header["NAXIS1"])
                found.append(SkyImageHeader(band, shape, _celestial(header), carried_keywords(header)))
    if not found:
        raise DataError(f"{path}: holds no sky image with the planes INTENSITY and VARIANCE")
    return found


def grid_like(path: str | Path) -> SkyGrid:
    """The pixel grid of the first image with world coordinates in a FITS file.

    Raises
    ------
    DataError
        If the file holds none.
    """
    with open_headers(path) as hdus:
        for hdu in hdus:
            if hdu.header.get("NAXIS") == 2 and "CTYPE1" in hdu.header and hdu.is_image:
                wcs = _celestial(hdu.header)
                if wcs.has_celestial:
                    return SkyGrid(wcs, Extent(0, 0, int(hdu.header["NAXIS2"]), int(hdu.header["NAXIS1"])))
    raise DataError(f"{path}: holds no image with celestial world coordinates")


def read_sky_images(path: str | Path) -> list[SkyImage]:
    """Read every band of a sky image or mosaic, of OSA or of this project.

    Planes are found by ``IMATYPE`` and energy, not by their place in the file.

    Raises
    ------
    DataError
        If the file is no FITS file or holds no INTENSITY plane with its VARIANCE.
    """
    bands: dict[EnergyBand, dict[str, Any]] = {}
    with open_fits(path) as hdus:
        for hdu in hdus:
            if "IMATYPE" not in hdu.header or hdu.data is None or hdu.data.ndim != 2:
                continue
            band = EnergyBand(float(hdu.header["E_MIN"]), float(hdu.header["E_MAX"]))
            planes = bands.setdefault(band, {})
            planes.setdefault(hdu.header["IMATYPE"].strip(), np.asarray(hdu.data, dtype=np.float32))
            planes.setdefault("header", hdu.header.copy())
    whole = {band: planes for band, planes in bands.items() if {"INTENSITY", "VARIANCE"} <= planes.keys()}
    if not whole:
        raise DataError(f"{path}: holds no sky image with the planes INTENSITY and VARIANCE")
    return [_from_planes(band, planes, _coordinates(planes["header"])) for band, planes in whole.items()]


def _coordinates(header: fits.Header) -> WCS | TangentPlane:
    """World coordinates of a plane, as numbers where this project has written them so."""
    return TangentPlane.from_cards(header) or _celestial(header)


def _celestial(header: fits.Header) -> WCS:
    """World coordinates of a plane, without its times; OSA names the frame by the keyword's old name."""
    from astropy.io import fits
    from astropy.wcs import WCS

    kept = fits.Header([card for card in header.cards if card.keyword.startswith(_WCS_KEYWORDS)])
    if "RADECSYS" in kept:
        kept.rename_keyword("RADECSYS", "RADESYS")
    return WCS(kept, fix=False)


def _from_planes(band: EnergyBand, planes: Mapping[str, Any], coordinates: WCS | TangentPlane) -> SkyImage:
    intensity, variance = planes["INTENSITY"], planes["VARIANCE"]
    with np.errstate(divide="ignore", invalid="ignore"):
        significance = planes.get("SIGNIFICANCE", intensity / np.sqrt(variance))
    exposure = planes.get("EXPOSURE", np.full_like(intensity, np.nan))
    header = planes["header"]
    return SkyImage(intensity, variance, significance, exposure, coordinates, band, carried_keywords(header))


def write_sky_images(path: str | Path, images: Sequence[SkyImage], keywords: Mapping[str, Any] | None = None) -> None:
    """Write images as OSA's mosaic file: primary, GROUPING, then four planes a band.

    Parameters
    ----------
    path : str or Path
        Where to; written aside and renamed.
    images : sequence of SkyImage
        One a band.
    keywords : mapping, optional
        Keywords for the primary header (provenance, what the engine assumed).
    """
    planes = [unit for image in images for unit in _plane_units(image)]
    for version, unit in enumerate(planes, start=1):
        unit.header["EXTVER"] = version
    members = {"IMATYPE": "32A", "E_MIN": "1E", "E_MEAN": "1E", "E_MAX": "1E", "TFIRST": "1D", "TLAST": "1D",
               "TELAPSE": "1D", "ONTIME": "1D"}  # fmt: skip
    group = grouping_unit("ISGR-MOSA-IMA-IDX", planes, members)
    write_units(path, {"TELESCOP": "INTEGRAL", "INSTRUME": "IBIS", **(keywords or {})}, [group, *planes])


def _plane_units(image: SkyImage) -> list[ImageUnit]:
    low, high = image.band
    shared = {**image.wcs_cards, **isdc_cards("DAL_ARRAY", "IMA"), **carried_keywords(image.keywords), **image.keywords}
    shared |= {"HDUCLASS": "OGIP", "HDUCLAS1": "IMAGE", "CHANTYPE": "PI", "CHANMIN": int(low), "CHANMAX": int(high),
               "E_MIN": low, "E_MEAN": (low + high) / 2, "E_MAX": high}  # fmt: skip
    units = []
    for kind, unit in PLANE_UNITS.items():
        data = np.asarray(getattr(image, kind.lower()), dtype=np.float32)
        units.append(ImageUnit("ISGR-MOSA-IMA", {**shared, "IMATYPE": kind, "BUNIT": unit}, data))
    return units
