"""Spacecraft and ISGRI frames: from attitude keywords to tangents on the detector and back.

The spacecraft's X axis is the pointing, Z points to the Sun's side, Y completes the right-handed
frame. ISGRI's own axis is misaligned by some 9 arcmin. All positions are J2000 (FK5).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from integral_oda.arrays import Array
from integral_oda.instrument.detector import PIXEL_PITCH_MM
from integral_oda.instrument.mask import MASK_DISTANCE_MM
from integral_oda.instrument.tangent_plane import TangentPlane

if TYPE_CHECKING:
    from astropy.wcs import WCS

__all__ = [
    "MISALIGNMENT",
    "SKY_CENTRE",
    "SKY_PIXEL",
    "SKY_SHAPE",
    "Attitude",
    "Misalignment",
    "pixel_to_tangents",
    "separation_deg",
    "tangents_to_pixel",
    "unit_vector",
]


SKY_SHAPE = (400, 400)
SKY_CENTRE = 199.5
"""Row and column (0-based) of ISGRI's axis in a sky image."""
SKY_PIXEL = PIXEL_PITCH_MM / MASK_DISTANCE_MM
"""Side of a sky pixel in the tangent plane; one detector pixel seen from the mask."""


@dataclass(frozen=True)
class Misalignment:
    """Offset of the ISGRI frame from the spacecraft's, in tangents, with its 1 sigma uncertainty."""

    y: float
    z: float
    uncertainty: float
    origin: str


MISALIGNMENT = Misalignment(
    y=3.266 / MASK_DISTANCE_MM,
    z=7.450 / MASK_DISTANCE_MM,
    uncertainty=0.2 / 60 * np.pi / 180,
    origin="fitted to one OSA PIF of revolution 2559",
)


def unit_vector(ra_deg: Any, dec_deg: Any) -> Array:
    """Unit vectors ``(..., 3)`` of positions in degrees."""
    ra, dec = np.deg2rad(ra_deg), np.deg2rad(dec_deg)
    return np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec) + 0 * ra], axis=-1)


def separation_deg(ra1_deg: Any, dec1_deg: Any, ra2_deg: Any, dec2_deg: Any) -> Any:
    """Angle between positions in degrees; sound at small and large angles."""
    a, b = np.broadcast_arrays(unit_vector(ra1_deg, dec1_deg), unit_vector(ra2_deg, dec2_deg))
    return np.rad2deg(np.arctan2(np.linalg.norm(np.cross(a, b), axis=-1), np.sum(a * b, axis=-1)))


@dataclass(frozen=True)
class Attitude:
    """Where the spacecraft's axes point and how ISGRI sits on them.

    Attributes
    ----------
    x, z : ndarray
        Unit vectors ``(3,)`` of the spacecraft's X and Z axes, J2000.
    misalignment : Misalignment
        Of ISGRI.
    """

    x: Array
    z: Array
    misalignment: Misalignment = MISALIGNMENT

    @classmethod
    def from_keywords(cls, header: Mapping[str, Any], misalignment: Misalignment = MISALIGNMENT) -> Self:
        """Read RA_SCX, DEC_SCX, RA_SCZ and DEC_SCZ (degrees)."""
        x = unit_vector(float(header["RA_SCX"]), float(header["DEC_SCX"]))
        z = unit_vector(float(header["RA_SCZ"]), float(header["DEC_SCZ"]))
        z = z - x * (x @ z)
        return cls(x, z / np.linalg.norm(z), misalignment)

    @property
    def y(self) -> Array:
        """Unit vector of the spacecraft's Y axis."""
        return np.cross(self.z, self.x)

    def tangents(self, ra_deg: Any, dec_deg: Any) -> tuple[Any, Any]:
        """Tangents (ty, tz) in the ISGRI frame; NaN for positions behind the detector plane."""
        s = unit_vector(ra_deg, dec_deg)
        with np.errstate(divide="ignore", invalid="ignore"):
            forward = np.where(s @ self.x > 1e-3, s @ self.x, np.nan)
        return s @ self.y / forward + self.misalignment.y, s @ self.z / forward + self.misalignment.z

    def position(self, ty: Any, tz: Any) -> tuple[Any, Any]:
        """RA and Dec (degrees) of tangents in the ISGRI frame."""
        y = np.asarray(ty) - self.misalignment.y
        z = np.asarray(tz) - self.misalignment.z
        s = self.x + y[..., None] * self.y + z[..., None] * self.z
        s = s / np.linalg.norm(s, axis=-1, keepdims=True)
        return np.rad2deg(np.arctan2(s[..., 1], s[..., 0])) % 360, np.rad2deg(np.arcsin(s[..., 2]))

    def axis(self) -> tuple[float, float]:
        """RA and Dec (degrees) of ISGRI's axis."""
        ra, dec = self.position(0.0, 0.0)
        return float(ra), float(dec)

    def tangent_plane(self) -> TangentPlane:
        """World coordinates of the 400 x 400 sky image: rows along +Z, columns along -Y, gnomonic.

        The tangent plane of an image is that of the spacecraft's X axis, with the ISGRI axis at the
        image centre, so that the misalignment, a shift in that plane, stays exact.
        """
        ra_deg, dec_deg = _position_of(self.x)
        ra, dec = np.deg2rad(ra_deg), np.deg2rad(dec_deg)
        east = np.array([-np.sin(ra), np.cos(ra), 0.0])
        north = np.array([-np.sin(dec) * np.cos(ra), -np.sin(dec) * np.sin(ra), np.cos(dec)])
        scale = float(np.rad2deg(SKY_PIXEL))
        along, across = ((scale * float(-self.y @ axis), scale * float(self.z @ axis)) for axis in (east, north))
        return TangentPlane(
            ra_deg,
            dec_deg,
            column=SKY_CENTRE - self.misalignment.y / SKY_PIXEL,
            row=SKY_CENTRE + self.misalignment.z / SKY_PIXEL,
            cd_deg=(along, across),
        )

    def wcs(self) -> WCS:
        """`tangent_plane` as astropy has it."""
        return self.tangent_plane().wcs()


def tangents_to_pixel(ty: Any, tz: Any) -> tuple[Any, Any]:
    """Column and row (0-based) of tangents in the sky image of one pointing."""
    return SKY_CENTRE - np.asarray(ty) / SKY_PIXEL, SKY_CENTRE + np.asarray(tz) / SKY_PIXEL


def pixel_to_tangents(column: Any, row: Any) -> tuple[Any, Any]:
    """Tangents in the ISGRI frame of a pixel of the sky image."""
    return (SKY_CENTRE - np.asarray(column)) * SKY_PIXEL, (np.asarray(row) - SKY_CENTRE) * SKY_PIXEL


def _position_of(vector: Array) -> tuple[float, float]:
    ra = np.rad2deg(np.arctan2(vector[1], vector[0])) % 360
    return float(ra), float(np.rad2deg(np.arcsin(vector[2])))
