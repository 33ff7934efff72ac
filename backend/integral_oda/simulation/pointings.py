"""Where the spacecraft points in a simulation."""

from __future__ import annotations

import itertools
import math

import numpy as np
from numpy.typing import NDArray

from integral_oda.instrument.attitude import MISALIGNMENT, Attitude, Misalignment, unit_vector
from integral_oda.simulation.recipe import Dither, Heading, Recipe

__all__ = ["attitude_keywords", "axes", "pointing_axes", "true_attitude"]

Axes = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Unit vectors of the spacecraft's X and Z axes, J2000."""

_ARCMIN = math.radians(1 / 60)


def pointing_axes(recipe: Recipe) -> list[Axes]:
    """Axes of every window of a recipe."""
    if recipe.dither is None:
        return [axes(pointing) for pointing in recipe.pointings]
    x, z = axes(recipe.dither)
    y = np.cross(z, x)
    step = math.tan(math.radians(recipe.dither.step_deg))
    offsets = itertools.islice(itertools.cycle(_pattern(recipe.dither)), recipe.dither.count)
    return [_orthogonal(x + step * (across * y + along * z), z) for across, along in offsets]


def axes(pointing: Heading) -> Axes:
    """Axes of one pointing: Z is celestial north turned by the roll towards the west."""
    x = unit_vector(pointing.ra, pointing.dec)
    ra, dec, roll = (math.radians(angle) for angle in (pointing.ra, pointing.dec, pointing.roll))
    north = np.array([-math.sin(dec) * math.cos(ra), -math.sin(dec) * math.sin(ra), math.cos(dec)])
    east = np.array([-math.sin(ra), math.cos(ra), 0.0])
    return x, math.cos(roll) * north - math.sin(roll) * east


def true_attitude(recipe: Recipe, x_and_z: Axes) -> Attitude:
    """Attitude with the misalignment that the simulated instrument really has."""
    y, z = MISALIGNMENT.y, MISALIGNMENT.z
    if recipe.misalignment_arcmin is not None:
        y, z = (angle * _ARCMIN for angle in recipe.misalignment_arcmin)
    error_y, error_z = (angle * _ARCMIN for angle in recipe.nuisances.misalignment_error_arcmin)
    return Attitude(*x_and_z, Misalignment(y + error_y, z + error_z, 0.0, "simulated"))


def attitude_keywords(x_and_z: Axes) -> dict[str, float]:
    """RA_SCX, DEC_SCX, RA_SCZ and DEC_SCZ in degrees."""
    keywords = {}
    for axis, vector in zip("XZ", x_and_z, strict=True):
        keywords[f"RA_SC{axis}"] = math.degrees(math.atan2(vector[1], vector[0])) % 360
        keywords[f"DEC_SC{axis}"] = math.degrees(math.asin(vector[2]))
    return keywords


def _pattern(dither: Dither) -> list[tuple[float, float]]:
    if dither.pattern == "5x5":
        square = [(float(across), float(along)) for across in range(-2, 3) for along in range(-2, 3)]
        return sorted(square, key=lambda offset: math.hypot(*offset))
    if dither.pattern == "hexagonal":
        corners = (math.radians(60 * corner) for corner in range(6))
        return [(0.0, 0.0), *((math.cos(angle), math.sin(angle)) for angle in corners)]
    return [(0.0, 0.0)]


def _orthogonal(x: NDArray[np.float64], z: NDArray[np.float64]) -> Axes:
    x = x / np.linalg.norm(x)
    z = z - x * (x @ z)
    return x, z / np.linalg.norm(z)
