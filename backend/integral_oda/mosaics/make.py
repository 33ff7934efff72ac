"""A mosaic from files of sky images: summed, searched for sources and written."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from integral_oda import __version__
from integral_oda.archive.ic_tree import IcTree
from integral_oda.catalog.reference import CatalogSource, reference_catalogue
from integral_oda.errors import RequestError
from integral_oda.folders import ic_root
from integral_oda.imaging.resampling import Resampling
from integral_oda.mosaics.combine import BandSum
from integral_oda.mosaics.inputs import NOISE_LIMIT, ImageFiles, find_images
from integral_oda.mosaics.sources import MosaicSources, Position, find_sources
from integral_oda.products.fits_io import write_aside
from integral_oda.products.healpix import HealpixGrid, HealpixMap, write_healpix, write_hips
from integral_oda.products.sky_grid import SkyGrid, camera_of, choose_grid
from integral_oda.products.sky_image import SkyImage, grid_like, write_sky_images
from integral_oda.products.sky_picture import draw_sky_image
from integral_oda.products.source_list import write_regions, write_source_list
from integral_oda.versions import software_versions
from integral_oda.workflow.keys import digest, file_sha256
from integral_oda.workflow.provenance import Made, prov_document

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
    images : list of SkyImage or list of HealpixMap
        One a band.
    shown : SkyImage
        The first band on a gnomonic grid or on that of the mosaic: what the picture shows.
    found : MosaicSources
    files : ImageFiles
        What was used and what was left out.
    seconds : float
    """

    request: MosaicRequest
    images: list[SkyImage] | list[HealpixMap]
    shown: SkyImage | None
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
            "suppressed": self.found.suppressed,
            "nodes": {"computed": len(self.files.used) + 1, "restored": 0, "failed": len(self.files.left_out)},
            "versions": software_versions(),
            "seconds": round(self.seconds, 3),
            "files": [*names, "provenance.json", "summary.json"],
        }

    def write(self, out: Path) -> dict[str, Any]:
        """Write the mosaic, the source list, the regions, the picture and the summary; gives the summary."""
        names = ["mosaic.fits", "catalog.fits", "catalog.reg"]
        maps = [one for one in self.images if isinstance(one, HealpixMap)]
        if maps:
            write_healpix(out / "mosaic.fits", maps)
            for one in maps:
                names.append(f"hips_{one.band}")
                write_hips(out / names[-1], one, f"INTEGRAL/ISGRI {one.band} keV, significance")
        else:
            write_sky_images(out / "mosaic.fits", [one for one in self.images if isinstance(one, SkyImage)])
        write_source_list(out / "catalog.fits", self.found.sources, suppressed=self.found.suppressed)
        write_regions(out / "catalog.reg", self.found.sources)
        if self.shown is not None:
            names.append("image.png")
            draw_sky_image(out / "image.png", self.shown, self.found.sources)
        summary = self.summary(names)
        for name, values in (("provenance.json", self.provenance()), ("summary.json", summary)):
            with write_aside(out / name) as aside:
                aside.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
        return summary

    def provenance(self) -> dict[str, Any]:
        """PROV-JSON: the files that were summed, by their contents, and how."""
        request = _as_json(self.request)
        raw = {path.name: file_sha256(path) for path in self.files.read_paths}
        key = digest({"request": request, "raw": sorted(raw.values())})
        made = Made(key, "MOSAIC", "2", "all", "integral-oda", __version__, request, (), raw, None, None)
        return prov_document([made], software_versions(), request)


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
    plane = _plane_to_search(grid, files)
    sums = [BandSum(band, grid, request.resampling) for band in files.bands]
    searched = sums if plane is grid else [BandSum(band, plane, request.resampling) for band in files.bands if plane]
    tree = IcTree(ic_root())
    for done, images in enumerate(files.read(), start=1):
        for totals in [sums] if searched is sums or not searched else [sums, searched]:
            for total, image in zip(totals, images, strict=True):
                total.add(image, tree)
        if told is not None:
            told(done, len(files.paths))
    files.read_paths += sorted({path for total in sums for path in total.calibration})
    cut = request.like is None and request.size_deg is None
    planes = [total.image(cut=searched is sums and cut) for total in searched]
    catalogue = [*request.catalogue, *reference_catalogue()]
    found = find_sources(planes, request.threshold, catalogue, request.at) if planes else MosaicSources([], [])
    mosaic = planes if searched is sums else _finished(sums, cut=cut)
    first = mosaic[0]
    shown = first if isinstance(first, SkyImage) else planes[0] if planes else None
    return MosaicProducts(request, mosaic, shown, found, files, time.perf_counter() - started)


def _finished(sums: Sequence[BandSum], *, cut: bool) -> list[SkyImage] | list[HealpixMap]:
    if isinstance(sums[0].grid, HealpixGrid):
        return [total.healpix_map() for total in sums]
    return [total.image(cut=cut) for total in sums]


def _plane_to_search(grid: SkyGrid | HealpixGrid, files: ImageFiles) -> SkyGrid | None:
    """The gnomonic grid that sources are searched on; none if the images are too far apart for one."""
    if isinstance(grid, SkyGrid) and camera_of(grid.wcs) is not None:
        return grid
    try:
        return choose_grid(files.outlines)
    except RequestError:
        return None


def _grid(request: MosaicRequest, files: ImageFiles) -> SkyGrid | HealpixGrid:
    if request.like is not None:
        return grid_like(request.like)
    if request.projection == "HEALPIX":
        return HealpixGrid.around(files.outlines, galactic=request.galactic)
    return choose_grid(
        files.outlines,
        request.projection,
        galactic=request.galactic,
        centre=request.centre,
        size_deg=request.size_deg,
    )
