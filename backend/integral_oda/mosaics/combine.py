"""Sky images of one band summed on a grid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from integral_oda.archive.ic_tree import IcTree
from integral_oda.imaging.mosaic import MosaicSum
from integral_oda.imaging.mosaic_fit import PeakShape
from integral_oda.imaging.resampling import PSF_SIGMA_PIXELS, Resampler, Resampling, without_ripples
from integral_oda.instrument.energy import EnergyBand
from integral_oda.mosaics.covariances import covariances_of
from integral_oda.mosaics.keywords import summed_keywords
from integral_oda.products.healpix import HealpixGrid, HealpixMap
from integral_oda.products.sky_grid import SkyGrid, image_plane
from integral_oda.products.sky_image import SkyImage

__all__ = ["BandSum", "mosaic_image", "peak_shape"]

_OSA_SPREAD_VARIANCE = 1 / 6
"""Width of OSA's pixel spread along one axis, pixels**2: each pixel shared out by overlap."""

_SHAPE_KEYWORDS = ("PSFSIGMA", "PSFPEAK", "CORRLEN", "PIXVAR")


def peak_shape(keywords: Mapping[str, Any]) -> PeakShape:
    """What a source and the noise look like in an image with these keywords.

    OSA's mosaics with pixel spread have wider peaks; their flux stays as OSA gives it, the height of the peak.
    """
    if "PSFSIGMA" in keywords:
        return PeakShape(*(float(keywords[name]) for name in _SHAPE_KEYWORDS))
    if _spread_by_osa(keywords):
        widths = (np.sqrt(PSF_SIGMA_PIXELS**2 + n * _OSA_SPREAD_VARIANCE) for n in (1, 2))
        psf_sigma, correlation = (float(width) for width in widths)
        return PeakShape(psf_sigma=psf_sigma, correlation=correlation)
    return PeakShape()


def _spread_by_osa(keywords: Mapping[str, Any]) -> bool:
    return "PSFSIGMA" not in keywords and int(keywords.get("MOSASPR", 0)) == 1


@dataclass
class BandSum:
    """Images of one band on their way to a mosaic.

    Attributes
    ----------
    band : EnergyBand
    grid : SkyGrid or HealpixGrid
    method : Resampling
    total : MosaicSum
    calibration : set of Path
        Files of an IC tree that were used.
    """

    band: EnergyBand
    grid: SkyGrid | HealpixGrid
    method: Resampling = Resampling.CUBIC
    total: MosaicSum = field(init=False)
    calibration: set[Path] = field(default_factory=set)
    _keywords: list[Mapping[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.total = MosaicSum.empty(self.grid.sum_extent)

    def add(self, image: SkyImage, tree: IcTree | None = None) -> None:
        """Add one image of the band; where its pixels are spread, with the covariances of an IC tree."""
        neighbours, said = None, {}
        if tree is not None and self.method is Resampling.SPREAD:
            found = covariances_of(image, tree)
            neighbours, said = found.neighbours, {"IC_COVR": found.card}
            if found.path is not None:
                self.calibration.add(found.path)
        form = peak_shape(image.keywords)
        variance = without_ripples(image.variance) if _spread_by_osa(image.keywords) else image.variance
        planes = image.intensity, variance, image.exposure
        values = Resampler(*planes, self.method, form.correlation, form.share, neighbours)
        self.total = self.total.with_image(values, image_plane(image.coordinates, image.shape), self.grid.pixels)
        self._keywords.append({**image.keywords, **said})

    def image(self, *, cut: bool = False) -> SkyImage:
        """The mosaic; ``cut`` to the rows and columns that have been observed."""
        assert isinstance(self.grid, SkyGrid)
        total = self.total.reshaped(self.grid.extent)
        if cut:
            total = total.cut()
        return mosaic_image(total, self.grid, self.band, self._keywords, self.method)

    def healpix_map(self) -> HealpixMap:
        """The mosaic on the observed pixels of a HEALPix grid."""
        assert isinstance(self.grid, HealpixGrid)
        planes = self.total.planes()
        seen = planes.variance[0] > 0
        arrays = (planes.flux, planes.variance, planes.significance, planes.exposure)
        flux, variance, significance, exposure = (np.asarray(plane[0, seen], np.float32) for plane in arrays)
        grid = replace(self.grid, number=self.grid.number[seen])
        keywords = mosaic_keywords(self.total, self._keywords, self.method)
        return HealpixMap(grid, flux, variance, significance, exposure, self.band, keywords)


def mosaic_image(
    total: MosaicSum,
    grid: SkyGrid,
    band: EnergyBand,
    all_keywords: Sequence[Mapping[str, Any]],
    method: Resampling = Resampling.CUBIC,
) -> SkyImage:
    """Make a sky image of a sum.

    Parameters
    ----------
    total : MosaicSum
    grid : SkyGrid
        The grid of the sum.
    band : EnergyBand
    all_keywords : sequence of mapping
        Keywords of each image in the sum.
    method : Resampling
        By which the images were added.
    """
    planes = total.planes()
    arrays = (planes.flux, planes.variance, planes.significance, planes.exposure)
    flux, variance, significance, exposure = (np.asarray(plane, dtype=np.float32) for plane in arrays)
    keywords = mosaic_keywords(total, all_keywords, method)
    return SkyImage(flux, variance, significance, exposure, grid.wcs_of(total.extent), band, keywords)


def mosaic_keywords(total: MosaicSum, all_keywords: Sequence[Mapping[str, Any]], method: Resampling) -> dict[str, Any]:
    """Keywords of a mosaic: times, exposures, origin, and what sources and noise look like in it."""
    share = float(total.pixel_weight.sum() / max(float(total.weight.sum()), 1e-300))
    form = PeakShape.mean([peak_shape(keywords) for keywords in all_keywords]).resampled(method, share)
    values = (form.psf_sigma, form.peak, form.correlation, form.share)
    shape = {name: round(value, 5) for name, value in zip(_SHAPE_KEYWORDS, values, strict=True)}
    return {**summed_keywords(all_keywords), "RESAMPLE": method.value, **shape}
