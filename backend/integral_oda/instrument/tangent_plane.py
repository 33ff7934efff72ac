"""World coordinates of a gnomonic image as numbers: known without loading a library for those of any image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from integral_oda.arrays import Array

if TYPE_CHECKING:
    from astropy.wcs import WCS

__all__ = ["TangentPlane"]


@dataclass(frozen=True)
class TangentPlane:
    """Gnomonic coordinates (FK5) of a pixel grid.

    Attributes
    ----------
    ra_deg, dec_deg : float
        Tangent point.
    column, row : float
        Its pixel, 0-based.
    cd_deg : tuple
        Two rows of two numbers: degrees a pixel, from (column, row) to (east, north) in the plane.
    """

    ra_deg: float
    dec_deg: float
    column: float
    row: float
    cd_deg: tuple[tuple[float, float], tuple[float, float]]

    @classmethod
    def from_cards(cls, header: Mapping[str, Any]) -> TangentPlane | None:
        """Plane of a header that has the `cards` of one; None for any other header."""
        same = ("CTYPE1", "CTYPE2", "CUNIT1", "CUNIT2", "CDELT1", "CDELT2", "LONPOLE", "RADESYS")
        cards = cls(0.0, 0.0, 0.0, 0.0, ((1.0, 0.0), (0.0, 1.0))).cards
        if not cards.keys() <= set(header) or any(header[name] != cards[name][0] for name in same):
            return None
        names = ("CRVAL1", "CRVAL2", "CRPIX1", "CRPIX2", "PC1_1", "PC1_2", "PC2_1", "PC2_2")
        ra, dec, column, row, pc11, pc12, pc21, pc22 = (float(header[name]) for name in names)
        return cls(ra, dec, column - 1, row - 1, ((pc11, pc12), (pc21, pc22)))

    @property
    def cd(self) -> Array:
        """`cd_deg` as an array, ``(2, 2)``."""
        return np.array(self.cd_deg)

    @property
    def cards(self) -> dict[str, Any]:
        """Keywords of a FITS header with their comments (Calabretta & Greisen 2002)."""
        (pc11, pc12), (pc21, pc22) = self.cd_deg
        matrix = {"PC1_1": pc11, "PC1_2": pc12, "PC2_1": pc21, "PC2_2": pc22}
        step, unit = "[deg] increment at reference point", "of increment and value"
        return {
            "WCSAXES": (2, "number of coordinate axes"),
            "CRPIX1": (self.column + 1, "pixel of reference point"),
            "CRPIX2": (self.row + 1, "pixel of reference point"),
            **{key: (value, "element of the transformation") for key, value in matrix.items()},
            "CDELT1": (1.0, step),
            "CDELT2": (1.0, step),
            "CUNIT1": ("deg", unit),
            "CUNIT2": ("deg", unit),
            "CTYPE1": ("RA---TAN", "right ascension, gnomonic projection"),
            "CTYPE2": ("DEC--TAN", "declination, gnomonic projection"),
            "CRVAL1": (self.ra_deg, "[deg] reference point"),
            "CRVAL2": (self.dec_deg, "[deg] reference point"),
            "LONPOLE": (180.0, "[deg] native longitude of celestial pole"),
            "LATPOLE": (self.dec_deg, "[deg] native latitude of celestial pole"),
            "MJDREF": 51544.0,
            "RADESYS": ("FK5", "equatorial coordinate system"),
            "EQUINOX": (2000.0, "[yr] equinox of the coordinates"),
        }

    def wcs(self) -> WCS:
        """The same as astropy has it."""
        from astropy.wcs import WCS

        wcs = WCS(naxis=2)
        wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
        wcs.wcs.cunit = ["deg", "deg"]
        wcs.wcs.crval = [self.ra_deg, self.dec_deg]
        wcs.wcs.lonpole = 180.0  # the default is another at the celestial poles
        wcs.wcs.crpix = [self.column + 1, self.row + 1]
        wcs.wcs.cd = self.cd
        wcs.wcs.radesys, wcs.wcs.equinox = "FK5", 2000.0
        return wcs
