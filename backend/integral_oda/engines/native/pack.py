"""The last nodes: product files as users get them, kept so that a known query is a copy."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from integral_oda.engines.native.image import WindowImage
from integral_oda.products.photometry import FluxScale
from integral_oda.products.sensitivity import write_sensitivity_maps
from integral_oda.products.sky_image import SkyImage, write_sky_images
from integral_oda.products.sky_picture import draw_sky_image
from integral_oda.products.source_list import write_regions, write_source_list

__all__ = ["LISTS_FILE", "PackImage"]

LISTS_FILE = "lists.json"


class PackImage:
    """``mosaic.fits``, ``sensitivity.fits``, ``catalog.fits``, ``catalog.reg``, ``image.png``, lists of the summary."""

    def compute(self, inputs: Sequence[Any], parameters: Mapping[str, Any], raw: Mapping[str, Path]) -> WindowImage:
        """Hand the mosaic on."""
        (mosaic,) = inputs
        result: WindowImage = mosaic
        return result

    def save(self, value: WindowImage, folder: Path) -> None:
        """Write the product files."""
        write_sky_images(folder / "mosaic.fits", value.images)
        references = [_references(image) for image in value.images]
        write_source_list(folder / "catalog.fits", value.sources, references[0], value.suppressed)
        write_sensitivity_maps(folder / "sensitivity.fits", value.images, value.noise)
        write_regions(folder / "catalog.reg", value.sources)
        draw_sky_image(folder / "image.png", value.images[0], value.sources)
        lists = {
            "sources": [source.as_dict() for source in value.sources],
            "noise": value.noise,
            "suppressed": value.suppressed,
            "references": references,
        }
        (folder / LISTS_FILE).write_text(json.dumps(lists), encoding="utf-8")

    def load(self, folder: Path) -> Path:
        """Give the folder of the product files."""
        return folder


def _references(image: SkyImage) -> dict[str, Any]:
    """What the mCrab and erg/cm2/s of a band refer to."""
    scale = FluxScale.from_cards(image.keywords, image.band)
    return {"e1_kev": image.band.e1_kev, "e2_kev": image.band.e2_kev, **scale.references}
