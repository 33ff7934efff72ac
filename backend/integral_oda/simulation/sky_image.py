"""Sky images drawn without events: sources as the point-spread function shows them, and noise correlated as wide."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
from scipy.fft import irfft2, rfft2

from integral_oda.arrays import Array
from integral_oda.imaging.mosaic_fit import FittedPeak, PeakShape, peak_image
from integral_oda.instrument.attitude import SKY_CENTRE, SKY_SHAPE, Attitude, tangents_to_pixel
from integral_oda.instrument.detector import PIXEL_PITCH_MM
from integral_oda.instrument.energy import EnergyBand
from integral_oda.products.sky_image import SkyImage

__all__ = ["coded_fraction", "draw_sky_image"]

_MASK_PIXELS = 95 * 11.2 / PIXEL_PITCH_MM
_DETECTOR_PIXELS = (134, 130)


@cache
def coded_fraction() -> Array:
    """Share of the detector that the mask shadows for a source at each pixel of a sky image, ``(400, 400)``."""
    shares = []
    for size, detector in zip(SKY_SHAPE, _DETECTOR_PIXELS, strict=True):
        away = np.abs(np.arange(size) - SKY_CENTRE)
        shares.append(np.clip(((_MASK_PIXELS + detector) / 2 - away) / detector, 0, 1))
    fraction: Array = np.outer(*shares)
    return fraction


def draw_sky_image(
    attitude: Attitude,
    sources: Sequence[tuple[float, float, float]],
    error_on_axis: float,
    generator: np.random.Generator,
    band: EnergyBand,
    scw: str = "",
) -> SkyImage:
    """Draw the sky image of a science window.

    Parameters
    ----------
    attitude : Attitude
    sources : sequence of tuple
        RA, Dec (degrees) and flux (counts/s).
    error_on_axis : float
        1 sigma of the flux of a fully coded source, counts/s; it grows as one over the root of the coded fraction.
    generator : numpy.random.Generator
    band : EnergyBand
    scw : str
        Identifier for the header.
    """
    form = PeakShape()
    peaks = []
    for ra, dec, flux in sources:
        column, row = tangents_to_pixel(*attitude.tangents(ra, dec))
        if np.isfinite(column) and np.isfinite(row):
            peaks.append(FittedPeak(float(column), float(row), flux, 1.0))
    coded = coded_fraction()
    seen = coded > 0
    variance = np.where(seen, error_on_axis**2 / np.where(seen, coded, 1), 0)
    flux_plane = peak_image(SKY_SHAPE, peaks, form) + _noise(generator, form.correlation) * np.sqrt(variance)
    flux_plane[~seen] = np.nan
    with np.errstate(divide="ignore", invalid="ignore"):
        significance = flux_plane / np.sqrt(variance)
    keywords = {"TFIRST": 0.0, "TLAST": 1.0, "ONTIME": 2000.0, "TELAPSE": 2000.0, "EXPOSURE": 1400.0, "DEADC": 0.7,
                "CREATOR": "integral-oda drawn", "SIMULATE": True} | ({"SWID": scw} if scw else {})  # fmt: skip
    planes = (flux_plane, variance, significance, 1400.0 * coded)
    intensity, spread, ratio, exposure = (plane.astype(np.float32) for plane in planes)
    return SkyImage(intensity, spread, ratio, exposure, attitude.tangent_plane(), band, keywords)


def _noise(generator: np.random.Generator, correlation: float) -> Array:
    """Gaussian field of variance 1, correlated as a Gaussian of a 1 sigma width in pixels."""
    drawn = rfft2(generator.standard_normal(SKY_SHAPE, dtype=np.float32))
    field: Array = irfft2(drawn * _filter(correlation), s=SKY_SHAPE)
    return field


@cache
def _filter(correlation: float) -> Array:
    rows, columns = np.fft.fftfreq(SKY_SHAPE[0])[:, None], np.fft.rfftfreq(SKY_SHAPE[1])
    power = np.exp(-2 * (np.pi * correlation) ** 2 * (rows**2 + np.fft.fftfreq(SKY_SHAPE[1]) ** 2))
    half = np.exp(-2 * (np.pi * correlation) ** 2 * (rows**2 + columns**2))
    weights: Array = np.sqrt(half / power.mean()).astype(np.float32)
    return weights
