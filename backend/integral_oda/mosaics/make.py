"""A mosaic from files of sky images: summed, searched for sources and written."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from integral_oda.catalog.reference import CatalogSource, reference_catalogue
from integral_oda.errors import RequestError
from integral_oda.imaging.resampling import Resampling
from integral_oda.mosaics.combine import BandSum
from integral_oda.mosaics.inputs import NOISE_LIMIT, ImageFiles, find_images
from integral_oda.mosaics.sources import MosaicSources, Position, find_sources
from integral_oda.products.fits_io import write_aside
from integral_oda.products.pictures import draw_sky_image
from integral_oda.products.sky_grid import SkyGrid, camera_of, choose_grid
from integral_oda.products.sky_image import SkyImage, grid_like, write_sky_images
from integral_oda.products.source_list import write_regions, write_source_list

__all__ = ["MosaicProducts", "MosaicRequest", "make_mosaic"]

PROJECTIONS = ("TAN", "CAR", "AIT", "HEALPIX")
Told = Callable[[int, int], None]


@dataclass(frozen=True)
class MosaicRequest:
    """What a mosaic shall be.

    Attributes
    ----------
    paths : sequence of Path
        Sky images and mosaics.
    projection : {"TAN", "CAR", "AIT", "HEALPIX"}
    galactic : bool
        Grid along galactic coordinates.
    like : Path or None
        Image whose pixel grid is taken, in place of a projection.
    centre : tuple of float or None
        RA and Dec of the middle, degrees.
    size_deg : tuple of float or None
        Width and height, degrees; all of the data unless given.
    resampling : Resampling
    threshold : float
        Significance of new sources, in units of the noise of the mosaic.
    catalogue : sequence of CatalogSource
        Sources beside the built-in ones.
    at : sequence of tuple
        Name, RA, Dec of positions to measure at.
    noise_limit : float
        Width of the significance distribution up to which science windows are used.
    mix_versions, strict : bool
        Sum images of different software; fail where an image would be left out.
    """

    paths: Sequence[Path]
    projection: str = "TAN"
    galactic: bool = False
    like: Path | None = None
    centre: tuple[float, float] | None = None
    size_deg: tuple[float, float] | None = None
    resampling: Resampling = Resampling.CUBIC
    threshold: float = 5.0
    catalogue: Sequence[CatalogSource] = ()
    at: Sequence[Position] = ()
    noise_limit: float = NOISE_LIMIT
    mix_versions: bool = False
    strict: bool = False

    def __post_init__(self) -> None:
        if self.projection not in PROJECTIONS:
            raise RequestError("projection", self.projection, f"one of {', '.join(PROJECTIONS)}")
        if self.size_deg is not None and not all(0 < side <= 360 for side in self.size_deg):
            raise RequestError("size", ",".join(f"{s:g}" for s in self.size_deg), "degrees above 0, at most 360")
        if not self.threshold > 0:
            raise RequestError("threshold", self.threshold, "a significance above 0")
        if not self.noise_limit > 0:
            raise RequestError("noise-limit", self.noise_limit, "a width above 0")


@dataclass(frozen=True)
class MosaicProducts:
    """A mosaic in every band, with its sources.

    Attributes
    ----------
    request : MosaicRequest
    images : list of SkyImage
        One a band.
    found : MosaicSources
    files : ImageFiles
        What was used and what was left out.
    seconds : float
    """

    request: MosaicRequest
    images: list[SkyImage]
    found: MosaicSources
    files: ImageFiles
    seconds: float = field(default=0.0, compare=False)

    def summary(self, names: Sequence[str]) -> dict[str, Any]:
        """Values of ``summary.json``."""
        return {
            "query": _as_json(self.request),
            "science_windows": {"used": self.files.used, "left_out": self.files.left_out},
            "sources": [source.as_dict() for source in self.found.sources],
            "noise": self.found.noise,
            "seconds": round(self.seconds, 3),
            "files": [*names, "summary.json"],
        }

    def write(self, out: Path) -> dict[str, Any]:
        """Write the mosaic, the source list, the regions, the picture and the summary; gives the summary."""
        write_sky_images(out / "mosaic.fits", self.images)
        write_source_list(out / "catalog.fits", self.found.sources)
        write_regions(out / "catalog.reg", self.found.sources)
        draw_sky_image(out / "image.png", self.images[0], self.found.sources)
        summary = self.summary(["mosaic.fits", "catalog.fits", "catalog.reg", "image.png"])
        with write_aside(out / "summary.json") as aside:
            aside.write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
        return summary


def _as_json(request: MosaicRequest) -> dict[str, Any]:
    return {
        **{name: getattr(request, name) for name in ("projection", "galactic", "centre", "size_deg", "threshold")},
        "images": [str(path) for path in request.paths],
        "like": None if request.like is None else str(request.like),
        "resampling": request.resampling.value,
        "noise_limit": request.noise_limit,
        "mix_versions": request.mix_versions,
    }


def make_mosaic(request: MosaicRequest, told: Told | None = None) -> MosaicProducts:
    """Make a mosaic.

    Parameters
    ----------
    request : MosaicRequest
    told : callable, optional
        Told how many images are done, of how many.

    Raises
    ------
    RequestError
        If the images do not belong together, or do not fit the projection.
    NothingLeftError, DataError
        If no image can be used.
    """
    started = time.perf_counter()
    files = find_images(request.paths, request.noise_limit, mix_versions=request.mix_versions, strict=request.strict)
    grid = _grid(request, files)
    sums = [BandSum(band, grid, request.resampling) for band in files.bands]
    plane = None if camera_of(grid.wcs) is not None else choose_grid(files.outlines)
    searched = sums if plane is None else [BandSum(band, plane, request.resampling) for band in files.bands]
    for done, images in enumerate(files.read(), start=1):
        for k, image in enumerate(images):
            sums[k].add(image)
            if plane is not None:
                searched[k].add(image)
        if told is not None:
            told(done, len(files.paths))
    cut = request.like is None and request.size_deg is None
    mosaic = [total.image(cut=cut) for total in sums]
    catalogue = [*request.catalogue, *reference_catalogue()]
    looked_at = mosaic if plane is None else [total.image() for total in searched]
    found = find_sources(looked_at, request.threshold, catalogue, request.at)
    return MosaicProducts(request, mosaic, found, files, time.perf_counter() - started)


def _grid(request: MosaicRequest, files: ImageFiles) -> SkyGrid:
    if request.like is not None:
        return grid_like(request.like)
    return choose_grid(
        files.outlines,
        request.projection,
        galactic=request.galactic,
        centre=request.centre,
        size_deg=request.size_deg,
    )
