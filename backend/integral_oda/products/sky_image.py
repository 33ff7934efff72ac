"""Sky images as OSA writes them: intensity, variance, significance and exposure with their WCS."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from integral_oda.errors import DataError
from integral_oda.instrument.energy import EnergyBand
from integral_oda.products.fits_io import carried_keywords, grouping_hdu, isdc_cards, open_fits, write_fits

if TYPE_CHECKING:
    from astropy.coordinates import SkyCoord
    from astropy.io import fits
    from astropy.wcs import WCS

__all__ = ["SkyImage", "read_sky_images", "write_sky_images"]

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
    wcs : `~astropy.wcs.WCS`
        Celestial world coordinates of the pixel grid (FK5).
    band : EnergyBand
        The energy band in keV.
    keywords : mapping
        FITS keywords that go with the image (times, science window, exposure, ...).
    """

    intensity: NDArray[np.float32]
    variance: NDArray[np.float32]
    significance: NDArray[np.float32]
    exposure: NDArray[np.float32]
    wcs: WCS
    band: EnergyBand
    keywords: Mapping[str, Any] = field(default_factory=dict)

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
        lon, lat = (np.deg2rad(self.wcs.wcs.crval[i]) for i in (0, 1))
        ra, dec = sky.ra.to_value(u.rad), sky.dec.to_value(u.rad)
        in_front = np.sin(lat) * np.sin(dec) + np.cos(lat) * np.cos(dec) * np.cos(ra - lon) > 0
        column, row = self.wcs.celestial.wcs_world2pix(np.rad2deg(ra), np.rad2deg(dec), 0)
        return np.where(in_front, column, np.nan), np.where(in_front, row, np.nan)

    def position_of(self, column: Any, row: Any) -> SkyCoord:
        """Sky position (FK5) of a pixel, 0-based."""
        from astropy.coordinates import SkyCoord

        ra, dec = self.wcs.celestial.wcs_pix2world(column, row, 0)
        return SkyCoord(ra, dec, unit="deg", frame="fk5")


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
    return [_from_planes(band, planes, _celestial(planes["header"])) for band, planes in whole.items()]


def _celestial(header: fits.Header) -> WCS:
    """World coordinates of a plane, without its times; OSA names the frame by the keyword's old name."""
    from astropy.io import fits
    from astropy.wcs import WCS

    kept = fits.Header([card for card in header.cards if card.keyword.startswith(_WCS_KEYWORDS)])
    if "RADECSYS" in kept:
        kept.rename_keyword("RADECSYS", "RADESYS")
    return WCS(kept, fix=False)


def _from_planes(band: EnergyBand, planes: Mapping[str, Any], wcs: WCS) -> SkyImage:
    intensity, variance = planes["INTENSITY"], planes["VARIANCE"]
    with np.errstate(divide="ignore", invalid="ignore"):
        significance = planes.get("SIGNIFICANCE", intensity / np.sqrt(variance))
    exposure = planes.get("EXPOSURE", np.full_like(intensity, np.nan))
    header = planes["header"]
    return SkyImage(intensity, variance, significance, exposure, wcs, band, carried_keywords(header))


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
    from astropy.io import fits

    planes = [hdu for image in images for hdu in _plane_hdus(image)]
    for version, hdu in enumerate(planes, start=1):
        hdu.header["EXTVER"] = version
    primary = fits.PrimaryHDU()
    primary.header.update({"TELESCOP": "INTEGRAL", "INSTRUME": "IBIS", **(keywords or {})})
    members = {"IMATYPE": "32A", "E_MIN": "1E", "E_MEAN": "1E", "E_MAX": "1E", "TFIRST": "1D", "TLAST": "1D",
               "TELAPSE": "1D", "ONTIME": "1D"}  # fmt: skip
    group = grouping_hdu("ISGR-MOSA-IMA-IDX", planes, members)
    write_fits(path, [primary, group, *planes])


def _plane_hdus(image: SkyImage) -> list[fits.ImageHDU]:
    from astropy.io import fits

    low, high = image.band
    hdus = []
    for kind, unit in PLANE_UNITS.items():
        data = np.asarray(getattr(image, kind.lower()), dtype=np.float32)
        hdu = fits.ImageHDU(data, header=image.wcs.to_header(), name="ISGR-MOSA-IMA")
        hdu.header.update(isdc_cards("DAL_ARRAY", "IMA"))
        hdu.header.update(carried_keywords(image.keywords))
        hdu.header.update(image.keywords)
        hdu.header.update(
            {"HDUCLASS": "OGIP", "HDUCLAS1": "IMAGE", "CHANTYPE": "PI", "CHANMIN": int(low), "CHANMAX": int(high),
             "E_MIN": low, "E_MEAN": (low + high) / 2, "E_MAX": high, "IMATYPE": kind, "BUNIT": unit}
        )  # fmt: skip
        hdus.append(hdu)
    return hdus
