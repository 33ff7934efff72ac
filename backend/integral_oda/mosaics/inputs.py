"""Which images a mosaic is of: read, checked against each other, and left out with a reason where they are bad."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from integral_oda.arrays import Array
from integral_oda.errors import DataError, NothingLeftError, RequestError
from integral_oda.instrument.energy import EnergyBand
from integral_oda.mosaics.keywords import software_of
from integral_oda.products.sky_grid import image_outline
from integral_oda.products.sky_image import SkyImage, SkyImageHeader, read_sky_image_headers, read_sky_images

__all__ = ["NOISE_LIMIT", "ImageFiles", "find_images", "noise_of"]

NOISE_LIMIT = 1.5
"""Largest width of the significance distribution of a science window that is used; quiet ones have 1.0 to 1.1."""
_NOISE_VARIANCE_RANGE = 50.0


@dataclass
class ImageFiles:
    """Images for a mosaic, checked by their headers, their planes read one file at a time.

    Attributes
    ----------
    paths : list of Path
    bands : list of EnergyBand
        Of every file.
    outlines : list of ndarray
        Directions around each image.
    left_out : list of dict
        ``scw`` (or file) and ``reason``; grows as files are read.
    used : list of str
        What was given out, by science window or file name.
    read_paths : list of Path
        The files of those, and in the end those of the instrument that were used with them.
    noise_limit : float
    strict : bool
        Raise in place of leaving out.
    """

    paths: list[Path]
    bands: list[EnergyBand]
    outlines: list[Array]
    left_out: list[dict[str, str]]
    noise_limit: float = NOISE_LIMIT
    strict: bool = False
    used: list[str] = field(default_factory=list)
    read_paths: list[Path] = field(default_factory=list)

    def read(self) -> Iterator[list[SkyImage]]:
        """Images of each file, one a band; a file that cannot be used is left out with its reason.

        Raises
        ------
        NothingLeftError
            If no file could be used.
        """
        for path in self.paths:
            try:
                images = self._checked(path)
            except DataError as exc:
                if self.strict:
                    raise
                self.left_out.append({"scw": path.name, "reason": str(exc)})
                continue
            self.read_paths.append(path)
            self.used.append(str(images[0].keywords.get("SWID", path.name)))
            yield images
        if not self.used:
            raise NothingLeftError(f"no image is left of {len(self.paths)}: {self.left_out[0]['reason']}")

    def _checked(self, path: Path) -> list[SkyImage]:
        images = sorted(read_sky_images(path), key=lambda image: image.band)
        for image in images:
            if not image.observed.any():
                raise DataError(f"{path}: no pixel of the {image.band} keV image has a variance")
            width = noise_of(image)
            if "SWID" in image.keywords and width > self.noise_limit:
                raise DataError(
                    f"{path}: the significance map of {image.band} keV has a width of {width:.2f}, more than the "
                    f"{self.noise_limit:g} that is allowed"
                )
        return images


def noise_of(image: SkyImage) -> float:
    """Width of the significance distribution of an image, from its quartiles: sources do not count."""
    seen = image.observed
    seen &= image.variance < _NOISE_VARIANCE_RANGE * np.min(image.variance, where=seen, initial=np.inf)
    low, high = np.percentile(image.significance[seen], [25, 75])
    return float((high - low) / 1.34898)


def find_images(
    paths: Sequence[Path], noise_limit: float = NOISE_LIMIT, *, mix_versions: bool = False, strict: bool = False
) -> ImageFiles:
    """Look at the headers of image files and check that they may be summed.

    Parameters
    ----------
    paths : sequence of Path
        Sky images and mosaics.
    noise_limit : float
        Science windows whose significance map is wider are left out.
    mix_versions : bool
        Sum images of different software, whose flux scales differ.
    strict : bool
        Fail where an image would be left out.

    Raises
    ------
    RequestError
        If the bands differ, or the software does and mixing was not asked for.
    NothingLeftError, DataError
        If no file can be read.
    """
    files = ImageFiles([], [], [], [], noise_limit, strict)
    known: dict[str, Path] = {}
    software: dict[str, Path] = {}
    for path in paths:
        try:
            headers = read_sky_image_headers(path)
        except DataError as exc:
            if strict or len(paths) == 1:
                raise
            files.left_out.append({"scw": path.name, "reason": str(exc)})
            continue
        first = headers[0]
        _check_bands(files, path, headers)
        software.setdefault(software_of(first.keywords), path)
        name = str(first.keywords.get("SWID", path.resolve()))
        if name in known:
            files.left_out.append({"scw": name, "reason": f"{path}: the same as {known[name]}, counted once"})
            continue
        known[name] = path
        files.paths.append(path)
        files.outlines.append(image_outline(first.wcs, first.shape))
    if not files.paths:
        raise NothingLeftError(f"no image is left of {len(paths)}: {files.left_out[0]['reason']}")
    if len(software) > 1 and not mix_versions:
        raise RequestError(
            "IMAGE", _listed(software), "images of one software, whose flux scales agree; --mix-versions"
        )
    return files


def _check_bands(files: ImageFiles, path: Path, headers: Sequence[SkyImageHeader]) -> None:
    bands = sorted(header.band for header in headers)
    if not files.bands:
        files.bands = bands
    elif len(bands) != len(files.bands) or not np.allclose(bands, files.bands, atol=1e-3):
        wanted = ", ".join(f"{band} keV" for band in files.bands)
        raise RequestError("IMAGE", f"{path} ({', '.join(map(str, bands))} keV)", f"the bands of the first, {wanted}")


def _listed(software: dict[str, Any]) -> str:
    return ", ".join(f"{path.name} ({name})" for name, path in software.items())
