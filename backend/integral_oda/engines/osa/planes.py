"""OSA's shadowgrams, corrected ones and rebinned maps as planes that the native functions take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from integral_oda.archive.ic_files import read_detector_maps
from integral_oda.arrays import Array
from integral_oda.engines.osa.window import BKG_FILE, DETECTOR_FILE, EFFICIENCY_FILE, MAP_FILES
from integral_oda.engines.osa.workspace import OsaFiles
from integral_oda.errors import DataError
from integral_oda.imaging.given_plane import CorrectedPlane, GivenPlane, plane_of_efficiency, planes_of_corrected
from integral_oda.instrument.detector import DETECTOR_SHAPE
from integral_oda.instrument.energy import EnergyBand
from integral_oda.instrument.pixel_status import on_grid
from integral_oda.products.fits_io import open_fits

__all__ = ["SAME_EDGE_KEV", "TimedPlane", "find_file", "off_axis_maps", "read_planes"]

_PIXELS_A_SIDE = 128
SAME_EDGE_KEV = 0.3
"""Edges of bands closer than this are the same."""
_SAME_TIME_DAYS = 1e-6
_DECIMALS = 5
_KINDS = ("DETECTOR", "VARIANCE", "EFFICIENCY")
_START, _STOP = ("TFIRST", "TSTART"), ("TLAST", "TSTOP")


@dataclass(frozen=True)
class TimedPlane:
    """A plane with its band and its time.

    Attributes
    ----------
    band : EnergyBand
    start_ijd, stop_ijd : float
        NaN where the file does not tell: the whole window.
    plane : GivenPlane
    """

    band: EnergyBand
    start_ijd: float
    stop_ijd: float
    plane: GivenPlane


@dataclass(frozen=True)
class _Image:
    """An image of an index of shadowgrams."""

    band: EnergyBand
    start_ijd: float
    stop_ijd: float
    kind: str
    plane: Array

    def belongs_to(self, other: _Image) -> bool:
        """Whether it is of the same band and time."""
        times = (self.start_ijd - other.start_ijd, self.stop_ijd - other.stop_ijd)
        edges = (self.band.e1_kev - other.band.e1_kev, self.band.e2_kev - other.band.e2_kev)
        return max(map(abs, edges)) < SAME_EDGE_KEV and not max(map(abs, times)) > _SAME_TIME_DAYS


def find_file(inputs: Sequence[Any], name: str) -> Path | None:
    """File of that name among those that some steps of OSA left."""
    found = (item.path(name) for item in inputs if isinstance(item, OsaFiles) and name in item.names)
    return next(found, None)


def off_axis_maps(inputs: Sequence[Any]) -> dict[str, Path]:
    """The rebinned off-axis maps as the file of the IC tree that they stand for."""
    path = find_file(inputs, MAP_FILES["corr"])
    return {} if path is None else {"ic_effi": path}


def read_planes(inputs: Sequence[Any]) -> list[TimedPlane]:
    """Read the shadowgrams that steps of OSA left, in the order of their times and bands.

    Parameters
    ----------
    inputs : sequence
        Files of ii_shadow_build; those of ii_map_rebin and of ii_shadow_ubc where they are there. Corrected
        shadowgrams bring their own background and uniformity, else those of the maps are taken.

    Raises
    ------
    DataError
        If a plane is missing, of another shape, or not one of the others.
    """
    counts = _images(inputs, DETECTOR_FILE, "ISGR-DETE-SHD")
    others = _images(inputs, EFFICIENCY_FILE, "ISGR-EFFI-SHD")
    efficiencies = [_partner(image, others, EFFICIENCY_FILE) for image in counts]
    if not all(np.isfinite(plane).all() and plane.max() <= 1 for plane in efficiencies):
        raise DataError(f"{EFFICIENCY_FILE}: efficiencies outside 0 to 1")
    made = _plain if find_file(inputs, BKG_FILE) is None else _corrected
    given = made(inputs, counts, efficiencies)
    return [TimedPlane(i.band, i.start_ijd, i.stop_ijd, plane) for i, plane in zip(counts, given, strict=True)]


def _plain(inputs: Sequence[Any], counts: Sequence[_Image], efficiencies: Sequence[Array]) -> list[GivenPlane]:
    """Planes as they were binned, with uniformity and background of the maps."""
    uniformity, background = (_maps(inputs, kind, counts) for kind in ("unif", "back"))
    return [
        plane_of_efficiency(image.plane, efficiency, unif, back)
        for image, efficiency, unif, back in zip(counts, efficiencies, uniformity, background, strict=True)
    ]


def _corrected(inputs: Sequence[Any], counts: Sequence[_Image], efficiencies: Sequence[Array]) -> list[GivenPlane]:
    """Planes with uniformity and background of the corrected shadowgrams; those of a time are taken together."""
    images = _images(inputs, BKG_FILE, "ISGR-CEXP-SHD")
    uniformity = _maps(inputs, "unif", counts)
    times, planes = [], []
    for image, efficiency, unif in zip(counts, efficiencies, uniformity, strict=True):
        detector, variance, used = (_partner(image, images, BKG_FILE, kind) for kind in _KINDS)
        times.append(round(float(np.nan_to_num(image.start_ijd)), _DECIMALS))
        planes.append(CorrectedPlane(image.plane, efficiency, detector, variance, used, unif))
    groups = groupby(zip(times, planes, strict=True), key=lambda pair: pair[0])
    return [given for _, group in groups for given in planes_of_corrected([plane for _, plane in group])]


def _maps(inputs: Sequence[Any], kind: str, images: Sequence[_Image]) -> list[Array | None]:
    """Map of that kind for the band of each image; None where there is no such file."""
    path = find_file(inputs, MAP_FILES[kind])
    if path is None:
        return [None] * len(images)
    maps = read_detector_maps(path)
    return [maps.mean(image.band) for image in images]


def _images(inputs: Sequence[Any], file: str, name: str) -> list[_Image]:
    """Images of a file in the order of their times and bands.

    Raises
    ------
    DataError
        If it holds none.
    """
    path = find_file(inputs, file)
    found = []
    if path is not None:
        with open_fits(path) as hdus:
            found = [_image(hdu, path) for hdu in hdus if hdu.name == name]
    if not found:
        raise DataError(f"{path or file}: no plane {name}")
    return sorted(found, key=lambda image: (np.nan_to_num(image.start_ijd), *image.band))


def _image(hdu: Any, path: Path) -> _Image:
    start, stop = (next((float(hdu.header[k]) for k in keys if k in hdu.header), np.nan) for keys in (_START, _STOP))
    if "E_MIN" not in hdu.header or "E_MAX" not in hdu.header:
        raise DataError(f"{path}: {hdu.name} without the energies of its band (E_MIN, E_MAX)")
    band = EnergyBand(float(hdu.header["E_MIN"]), float(hdu.header["E_MAX"]))
    return _Image(band, start, stop, str(hdu.header.get("SHD_TYPE", "")).strip(), _plane(hdu, path))


def _plane(hdu: Any, path: Path) -> Array:
    plane = np.asarray(hdu.data, dtype=float)
    if plane.shape == (_PIXELS_A_SIDE, _PIXELS_A_SIDE):
        return on_grid(plane)
    if plane.shape != DETECTOR_SHAPE:
        raise DataError(
            f"{path}: {hdu.name} has the shape {plane.shape}; 128 x 128 pixels, or 134 x 130 with the gaps, are needed"
        )
    return plane


def _partner(image: _Image, others: Sequence[_Image], file: str, kind: str = "") -> Array:
    found = [other for other in others if other.kind == kind and other.belongs_to(image)]
    if len(found) != 1:
        number = f"{len(found)} planes" if found else "no plane"
        raise DataError(f"{file}: {number} {kind or 'of efficiency'} of {image.band} keV beside the counts")
    return found[0].plane
