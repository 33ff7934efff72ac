"""MOSAIC: the images of all windows as one, and their sources as one list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from integral_oda.catalog.reference import CatalogSource, reference_catalogue
from integral_oda.engines.native.image import WindowImage, load_window_image, save_window_image
from integral_oda.engines.native.mosaic_sum import PartialMosaic, WindowLists, add_up
from integral_oda.instrument.transmission import MAPPED_SYSTEMATIC, nominal_systematic
from integral_oda.products.sky_grid import SkyGrid, gnomonic_wcs
from integral_oda.products.sky_image import SkyImage
from integral_oda.products.source_list import Source

__all__ = ["Mosaic"]


class Mosaic:
    """Inverse-variance mosaic of images or of sums of them; a single window keeps its own grid."""

    def compute(
        self,
        inputs: Sequence[tuple[str, WindowImage | PartialMosaic]],
        parameters: Mapping[str, Any],
        raw: Mapping[str, Path],
    ) -> WindowImage:
        """Finish the sum, find and fit the sources in it."""
        first = inputs[0][1]
        if len(inputs) == 1 and isinstance(first, WindowImage):
            return first
        from integral_oda.mosaics.sources import find_sources  # loads astropy.coordinates

        total = add_up((value for _, value in inputs), parameters["tangent"])
        if total.lone is not None and not parameters["at"]:
            return replace(total.lone, left_out=total.left_out)
        images = [_image(total, k, parameters["tangent"]) for k in range(len(total.bands))]
        extra = [CatalogSource(*place) for place in parameters["extra"]]
        catalogue = extra if parameters.get("only") else [*extra, *reference_catalogue()]
        found = find_sources(images, parameters["threshold"], catalogue, parameters["at"])
        sources = [_with_systematic(source, total.windows) for source in found.sources]
        noise = _with_null(found.noise, total.windows)
        return WindowImage(images, sources, noise, total.left_out, found.suppressed)

    def save(self, value: WindowImage, folder: Path) -> None:
        """Write the mosaic as FITS and the rest as JSON."""
        save_window_image(value, folder)

    def load(self, folder: Path) -> WindowImage:
        """Read mosaic and lists."""
        return load_window_image(folder)


def _image(total: PartialMosaic, k: int, tangent: Sequence[float]) -> SkyImage:
    from integral_oda.mosaics.combine import mosaic_image  # one window needs none of it

    grid = SkyGrid(gnomonic_wcs(*tangent), total.sums[k].extent)
    image = mosaic_image(total.sums[k], grid, total.bands[k], [window.keywords[k] for window in total.windows])
    return replace(image, keywords={**image.keywords, "CREATOR": total.windows[0].keywords[k].get("CREATOR", "")})


def _with_systematic(source: Source, windows: Sequence[WindowLists]) -> Source:
    """The source with the systematic of the mask's support, as if all windows saw it at the edge of the full coding."""
    mapped = all(str(window.keywords[0].get("IC_EFFI", "nominal")) != "nominal" for window in windows)
    bands = []
    for band in source.bands:
        energy = float(np.sqrt(band.e1_kev * band.e2_kev))
        share = MAPPED_SYSTEMATIC if mapped else float(nominal_systematic(_EDGE_OF_FIELD_DEG, energy))
        bands.append(replace(band, flux_systematic=share * abs(band.flux)))
    return replace(source, bands=tuple(bands))


_EDGE_OF_FIELD_DEG = 6.0
"""Half a diagonal of the fully coded field."""


def _with_null(noise: Sequence[Mapping[str, Any]], windows: Sequence[WindowLists]) -> list[dict[str, Any]]:
    """Noise of the mosaic; its null is the mean null of the windows, None where one does not know its own."""
    nulls = [_mean_null([window.noise[k]["null_sigma"] for window in windows]) for k in range(len(noise))]
    return [{**values, "null_sigma": null} for values, null in zip(noise, nulls, strict=True)]


def _mean_null(nulls: Sequence[float | None]) -> float | None:
    known = [null for null in nulls if null is not None]
    return float(np.sqrt(np.mean(np.square(known)))) if len(known) == len(nulls) else None
