"""What a simulation may hold and an analysis does not know: support, mask defects, diffuse emission."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from integral_oda.arrays import Array
from integral_oda.instrument.attitude import Attitude
from integral_oda.instrument.detector import ACTIVE_SIDE_MM, DETECTOR_SHAPE, pixel_centres_mm
from integral_oda.instrument.mask import MASK_DISTANCE_MM
from integral_oda.instrument.pif import pixel_illumination
from integral_oda.simulation.recipe import MaskDefect, Nuisances, Ridge

__all__ = ["Direction", "defect_shadow", "galactic_vectors", "ridge_directions", "true_illumination"]

Direction = tuple[float, float, float]
"""Tangents (ty, tz) in the ISGRI frame and the part of a source's flux that comes from there."""

_TO_GALACTIC = np.array(
    [
        [-0.0548755604, -0.8734370902, -0.4838350155],
        [0.4941094279, -0.4448296300, 0.7469822445],
        [-0.8676661490, -0.1980763734, 0.4559837762],
    ]
)
_RIDGE_STEP_DEG, _RIDGE_REACH_SIGMA = 1.0, 2.5
_FIELD_TANGENT = 0.3


def true_illumination(nuisances: Nuisances, directions: Sequence[Direction], energy_kev: float) -> Array:
    """PIF with every nuisance in it, weighted over directions; ``(134, 130)``."""
    total = np.zeros(DETECTOR_SHAPE)
    for ty, tz, weight in directions:
        if not math.isfinite(ty + tz):
            continue
        off_axis_deg = math.degrees(math.atan(math.hypot(ty, tz)))
        passed = max(0.0, 1.0 - nuisances.off_axis_loss * (off_axis_deg / 10.0) ** 2)
        shadow = defect_shadow(nuisances.mask_defects, ty, tz)
        total += weight * passed * shadow * pixel_illumination(ty, tz, energy_kev)
    return total


def defect_shadow(defects: Sequence[MaskDefect], ty: float, tz: float) -> Array:
    """Light that mask defects leave to each pixel, 1 where no defect lies on the line of sight; ``(134, 130)``."""
    light = np.ones(DETECTOR_SHAPE)
    y_mm, z_mm = pixel_centres_mm()
    for defect in defects:
        across = _covered(y_mm + MASK_DISTANCE_MM * ty - defect.y_mm, defect.side_mm)
        along = _covered(z_mm + MASK_DISTANCE_MM * tz - defect.z_mm, defect.side_mm)
        light *= 1.0 - (1.0 - defect.transmission) * np.outer(along, across)
    return light


def _covered(offset_mm: Array, side_mm: float) -> Array:
    """Part of a pixel's side that a strip of the mask covers, by the offset of the two centres."""
    overlap = (ACTIVE_SIDE_MM + side_mm) / 2 - np.abs(offset_mm)
    return np.clip(overlap, 0.0, min(ACTIVE_SIDE_MM, side_mm)) / ACTIVE_SIDE_MM


def ridge_directions(ridge: Ridge, attitude: Attitude) -> list[Direction]:
    """Directions of the Galactic ridge that lie in the field of view, with their parts of its whole flux."""
    longitude, latitude = (
        np.arange(-_RIDGE_REACH_SIGMA * sigma, _RIDGE_REACH_SIGMA * sigma + _RIDGE_STEP_DEG / 2, _RIDGE_STEP_DEG)
        for sigma in (ridge.longitude_sigma_deg, ridge.latitude_sigma_deg)
    )
    l_deg, b_deg = (grid.ravel() for grid in np.meshgrid(longitude, latitude))
    weight = np.exp(-0.5 * ((l_deg / ridge.longitude_sigma_deg) ** 2 + (b_deg / ridge.latitude_sigma_deg) ** 2))
    vectors = galactic_vectors(l_deg, b_deg)
    ra, dec = np.degrees(np.arctan2(vectors[:, 1], vectors[:, 0])), np.degrees(np.arcsin(vectors[:, 2]))
    ty, tz = attitude.tangents(ra, dec)
    inside = (np.abs(ty) < _FIELD_TANGENT) & (np.abs(tz) < _FIELD_TANGENT)
    return list(zip(ty[inside], tz[inside], weight[inside] / weight.sum(), strict=True))


def galactic_vectors(l_deg: Array, b_deg: Array) -> Array:
    """Unit vectors ``(n, 3)`` in J2000 equatorial axes of Galactic longitudes and latitudes in degrees."""
    l_rad, b_rad = np.radians(l_deg), np.radians(b_deg)
    galactic = np.stack([np.cos(b_rad) * np.cos(l_rad), np.cos(b_rad) * np.sin(l_rad), np.sin(b_rad)], axis=-1)
    return galactic @ _TO_GALACTIC
