"""Where sources fall in the field of view: tangents of many pointings at once, and the coded fraction there."""

from __future__ import annotations

import numpy as np

from integral_oda.arrays import Array
from integral_oda.instrument.attitude import MISALIGNMENT, unit_vector
from integral_oda.instrument.detector import active_pixels, pixel_centres_mm
from integral_oda.instrument.mask import CELL_MM, MASK_CELLS, MASK_DISTANCE_MM

__all__ = ["coded_fraction", "field_position"]

_LEAST_FORWARD = 1e-3
_ROLL_ANGLES = 24


def coded_fraction(ty: Array, tz: Array) -> Array:
    """Fraction of the pixels from which a direction is seen through the mask's area.

    Parameters
    ----------
    ty, tz : ndarray, shape (n,)
        Tangents in the ISGRI frame; NaN behind the detector plane.

    Returns
    -------
    ndarray of float64, shape (n,)
        1 in the fully coded field, 0 outside the partially coded one and where a tangent is NaN. The shadow of
        the passive shield is not in it.
    """
    y_mm, z_mm = pixel_centres_mm()
    active = active_pixels()
    return _covered(y_mm[active.any(axis=0)], ty) * _covered(z_mm[active.any(axis=1)], tz)


def _covered(centres_mm: Array, tangent: Array) -> Array:
    """Fraction of one axis's pixels whose line of sight meets the mask between its rims."""
    half = MASK_CELLS * CELL_MM / 2
    shift = MASK_DISTANCE_MM * np.asarray(tangent, np.float64)
    first = np.searchsorted(centres_mm, -half - shift, side="left")
    beyond = np.searchsorted(centres_mm, half - shift, side="right")
    return np.where(np.isfinite(shift), (beyond - first) / len(centres_mm), 0.0)


def field_position(attitudes: Array, ra_deg: float, dec_deg: float) -> tuple[Array, Array]:
    """Off-axis angle and coded fraction of one position in many pointings.

    Parameters
    ----------
    attitudes : ndarray, shape (n, 4)
        RA_SCX, DEC_SCX, RA_SCZ, DEC_SCZ of each pointing, degrees; NaN for an unknown Z axis.
    ra_deg, dec_deg : float
        Position, degrees (J2000).

    Returns
    -------
    off_axis_deg, fraction : ndarray, shape (n,)
        Angle from ISGRI's axis, from the spacecraft's X axis where the Z axis is unknown; NaN where X is unknown.
        The coded fraction, its mean over all roll angles where the Z axis is unknown.
    """
    x, s = unit_vector(attitudes[:, 0], attitudes[:, 1]), unit_vector(ra_deg, dec_deg)
    ty, tz = _tangents(x, unit_vector(attitudes[:, 2], attitudes[:, 3]), s)
    cosine = x @ s
    unknown = np.isnan(attitudes[:, 2:]).any(axis=1)
    behind = cosine <= _LEAST_FORWARD
    plain = np.rad2deg(np.arctan2(np.linalg.norm(np.cross(x, s), axis=-1), cosine))
    off_axis = np.where(unknown | behind, plain, np.rad2deg(np.arctan(np.hypot(ty, tz))))
    fraction = coded_fraction(ty, tz)
    if unknown.any():
        fraction[unknown] = _mean_over_roll(plain[unknown])
    return off_axis, fraction


def _tangents(x: Array, z: Array, s: Array) -> tuple[Array, Array]:
    """Tangents (ty, tz) of the direction ``s`` in the ISGRI frames of pointings with axes ``x`` and ``z``."""
    z = z - x * np.sum(x * z, axis=-1, keepdims=True)
    z = z / np.linalg.norm(z, axis=-1, keepdims=True)
    cosine = x @ s
    forward = np.where(cosine > _LEAST_FORWARD, cosine, np.nan)
    return np.cross(z, x) @ s / forward + MISALIGNMENT.y, z @ s / forward + MISALIGNMENT.z


def _mean_over_roll(off_axis_deg: Array) -> Array:
    tangent = np.where(off_axis_deg < 90, np.tan(np.deg2rad(off_axis_deg)), np.nan)
    roll = np.arange(_ROLL_ANGLES) * 2 * np.pi / _ROLL_ANGLES
    return np.asarray(np.mean([coded_fraction(tangent * np.cos(a), tangent * np.sin(a)) for a in roll], axis=0))
