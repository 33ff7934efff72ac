"""Small products with known content."""

from __future__ import annotations

import numpy as np
import pytest

from integral_oda.instrument.energy import EnergyBand
from integral_oda.products.light_curve import LightCurve
from integral_oda.products.sky_image import SkyImage
from integral_oda.products.source_list import Source, SourceBand


def make_image(shape=(80, 120), band=(28.0, 80.0), peak=(30, 50), sigma=25.0):
    """Flat image with one bright pixel at (row, column) ``peak``; the first five rows are unobserved."""
    from astropy.wcs import WCS

    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crpix = [(shape[1] + 1) / 2, (shape[0] + 1) / 2]
    wcs.wcs.crval = [290.0, 20.0]
    wcs.wcs.cdelt = [-0.1, 0.1]
    wcs.wcs.radesys = "FK5"
    wcs.wcs.equinox = 2000.0
    wcs.wcs.set()
    rng = np.random.default_rng(20221012)
    variance = np.full(shape, 4.0, dtype=np.float32)
    variance[:5] = 0
    significance = rng.normal(size=shape).astype(np.float32)
    significance[peak] = sigma
    intensity = significance * np.float32(2)
    return SkyImage(intensity, variance, significance, np.full(shape, 3000, np.float32), wcs, EnergyBand(*band))


def make_source(name="SGR 1935+2154", ra=290.0, dec=20.0, new=False, forced=False, sigma=25.0):
    return Source(name, ra, dec, 0.4, 0.5, new, forced, (SourceBand(28, 80, 50.0, 2.0, sigma, 400.0),))


def make_curve(n=40, width_s=100.0, name="SGR 1935+2154"):
    rng = np.random.default_rng(20221012)
    rate, error = rng.normal(20, 2, n), np.full(n, 2.0)
    time = 8320.63 + (np.arange(n) + 0.5) * width_s / 86400
    one, zero = np.ones(n), np.zeros(n)
    return LightCurve(
        name, 293.732, 21.8967, EnergyBand(28, 80), time, one * width_s, rate, error, one, zero, zero, zero
    )


@pytest.fixture
def image():
    return make_image()


@pytest.fixture
def source():
    return make_source


@pytest.fixture
def curve():
    return make_curve


@pytest.fixture
def image_of():
    return make_image
