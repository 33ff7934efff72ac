"""Sensitivity maps: the flux that a source at each place of an image would need to be seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from integral_oda.arrays import Array
from integral_oda.products.fits_io import carried_keywords, isdc_cards
from integral_oda.products.fits_writer import ImageUnit, write_units
from integral_oda.products.photometry import FluxScale
from integral_oda.products.sky_image import SkyImage

__all__ = ["SENSITIVITY_SIGMA", "sensitivity_map", "write_sensitivity_maps"]

SENSITIVITY_SIGMA = 5.0


def sensitivity_map(image: SkyImage, noise: float = 1.0, significance: float = SENSITIVITY_SIGMA) -> Array:
    """Flux that reaches a significance at each pixel, counts/s; NaN where nothing was observed.

    Parameters
    ----------
    image : SkyImage
    noise : float
        Measured width of the significance map; errors are stretched by it where it is above 1.
    significance : float
    """
    with np.errstate(invalid="ignore"):
        needed = significance * max(1.0, noise) * np.sqrt(np.asarray(image.variance, dtype=float))
    return np.where(image.observed, needed, np.nan)


def write_sensitivity_maps(
    path: str | Path,
    images: Sequence[SkyImage],
    noise: Sequence[Mapping[str, Any]],
) -> None:
    """Write the 5 sigma sensitivity of every band, counts/s, one image extension ISGR-SENS-IMA a band.

    Parameters
    ----------
    path : str or Path
    images : sequence of SkyImage
    noise : sequence of mapping
        One a band, with ``significance_sigma``. The keywords CRABRATE and ERGCOUNT turn a map into Crab and erg/cm2/s.
    """
    units = []
    for k, image in enumerate(images):
        width = float(noise[k].get("significance_sigma", 1.0))
        plane = sensitivity_map(image, width).astype(np.float32)
        cards = {
            **image.wcs_cards, **isdc_cards("DAL_ARRAY", "IMA"), **carried_keywords(image.keywords),
            "IMATYPE": "SENSITIVITY", "E_MIN": image.band.e1_kev, "E_MAX": image.band.e2_kev, "BUNIT": "counts/s",
            "SIGMA": (SENSITIVITY_SIGMA, "significance that is reached"),
            "NOISE": (max(1.0, width), "errors are stretched by it"),
            **FluxScale.from_cards(image.keywords, image.band).cards, "EXTVER": k + 1,
        }  # fmt: skip
        units.append(ImageUnit("ISGR-SENS-IMA", cards, plane))
    write_units(path, {}, units)
