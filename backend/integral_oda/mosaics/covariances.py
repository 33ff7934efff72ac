"""The IC tree's covariances of neighbouring pixels, for images of windows whose pixels are spread."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from integral_oda.archive.ic_files import read_covariances
from integral_oda.archive.ic_tree import IcFile, IcTree
from integral_oda.errors import DataError
from integral_oda.imaging.neighbours import NeighbourCorrelation, neighbour_correlation
from integral_oda.instrument.attitude import SKY_SHAPE
from integral_oda.products.sky_image import SkyImage

__all__ = ["WindowCovariances", "covariances_of"]


@dataclass(frozen=True)
class WindowCovariances:
    """Correlation of the neighbouring pixels of a window's image, the header's word on it, and the file it is of."""

    neighbours: NeighbourCorrelation | None = None
    card: str = "nominal"
    path: Path | None = None


def covariances_of(image: SkyImage, tree: IcTree) -> WindowCovariances:
    """What an IC tree has for an image.

    Nothing for mosaics, for other grids than that of a window, and where the tree has no table that can be used.
    """
    keywords = image.keywords
    of_window = "PSFSIGMA" not in keywords and image.intensity.shape == SKY_SHAPE and "TSTART" in keywords
    file = tree.find("covr", float(keywords["TSTART"])) if of_window and tree else None
    if file is None:
        return WindowCovariances()
    found = _read(file)
    if found is None:
        return WindowCovariances(card=f"nominal, {file.label} has no covariances of neighbours")
    return WindowCovariances(found, file.label, file.path)


@lru_cache(maxsize=4)
def _read(file: IcFile) -> NeighbourCorrelation | None:
    try:
        return neighbour_correlation(*read_covariances(file.path))
    except DataError:
        return None
