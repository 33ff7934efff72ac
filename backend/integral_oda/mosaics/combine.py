"""Sky images of one band summed on a grid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from integral_oda.arrays import Array
from integral_oda.imaging.mosaic import MosaicSum
from integral_oda.imaging.mosaic_fit import PeakShape
from integral_oda.imaging.resampling import PSF_SIGMA_PIXELS, Resampler, Resampling
from integral_oda.imaging.sky_grid import Extent
from integral_oda.instrument.energy import EnergyBand
from integral_oda.mosaics.keywords import summed_keywords
from integral_oda.products.sky_grid import SkyGrid, image_plane
from integral_oda.products.sky_image import SkyImage

__all__ = ["BandSum", "peak_shape"]

_OSA_SPREAD_VARIANCE = 1 / 6
"""Width of OSA's pixel spread along one axis, pixels**2: each pixel shared out by overlap."""

_SHAPE_KEYWORDS = ("PSFSIGMA", "PSFPEAK", "CORRLEN", "PIXVAR")


def peak_shape(image: SkyImage) -> PeakShape:
    """What a source and the noise look like in an image, by its keywords.

    OSA's mosaics with pixel spread have wider peaks; their flux stays as OSA gives it, the height of the peak.
    """
    keywords = image.keywords
    if "PSFSIGMA" in keywords:
        return PeakShape(*(float(keywords[name]) for name in _SHAPE_KEYWORDS))
    if int(keywords.get("MOSASPR", 0)) == 1:
        widths = (np.sqrt(PSF_SIGMA_PIXELS**2 + n * _OSA_SPREAD_VARIANCE) for n in (1, 2))
        psf_sigma, correlation = (float(width) for width in widths)
        return PeakShape(psf_sigma=psf_sigma, correlation=correlation)
    return PeakShape()


@dataclass
class BandSum:
    """Images of one band on their way to a mosaic.

    Attributes
    ----------
    band : EnergyBand
    grid : SkyGrid
    method : Resampling
    total : MosaicSum
    """

    band: EnergyBand
    grid: SkyGrid
    method: Resampling = Resampling.CUBIC
    total: MosaicSum = field(init=False)
    _keywords: list[Mapping[str, Any]] = field(default_factory=list)
    _forms: list[PeakShape] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.total = MosaicSum.empty(self.grid.sum_extent)

    def add(self, image: SkyImage) -> None:
        """Add one image of the band."""
        form = peak_shape(image)
        planes = image.intensity, image.variance, image.exposure
        values = Resampler(*planes, self.method, form.correlation, form.share)
        self.total = self.total.with_image(values, image_plane(image.wcs, image.shape), self.grid.pixels)
        self._keywords.append(image.keywords)
        self._forms.append(form)

    @property
    def keywords(self) -> dict[str, Any]:
        """Keywords of the mosaic: times, exposures, origin, and what sources and noise look like in it."""
        share = float(self.total.pixel_weight.sum() / max(float(self.total.weight.sum()), 1e-300))
        form = PeakShape.mean(self._forms).resampled(self.method, share)
        values = (form.psf_sigma, form.peak, form.correlation, form.share)
        shape = {name: round(value, 5) for name, value in zip(_SHAPE_KEYWORDS, values, strict=True)}
        return {**summed_keywords(self._keywords), "RESAMPLE": self.method.value, **shape}

    def image(self, *, cut: bool = False) -> SkyImage:
        """The mosaic; ``cut`` to the rows and columns that have been observed."""
        found, extent = self.total.planes(), self.grid.extent
        planes = [p.reshape(extent.shape) for p in (found.flux, found.variance, found.significance, found.exposure)]
        part = _observed_part(planes[1]) if cut else Extent(0, 0, *extent.shape)
        index = part.within(Extent(0, 0, *extent.shape))
        wcs = self.grid.wcs_of(Extent(extent.row + part.row, extent.column + part.column, *part.shape))
        flux, variance, significance, exposure = (np.ascontiguousarray(plane[index], np.float32) for plane in planes)
        return SkyImage(flux, variance, significance, exposure, wcs, self.band, self.keywords)


def _observed_part(variance: Array) -> Extent:
    """The smallest part with every pixel that has a variance; all of it if none has."""
    rows, columns = (np.flatnonzero((variance > 0).any(axis=axis)) for axis in (1, 0))
    if not rows.size:
        return Extent(0, 0, *variance.shape)
    return Extent(int(rows[0]), int(columns[0]), int(np.ptp(rows)) + 1, int(np.ptp(columns)) + 1)
