"""The picture of a sky image shows each pixel in its colour, each source in its circle."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from astropy.wcs import WCS
from hypothesis import given
from hypothesis import strategies as st
from matplotlib import colormaps
from PIL import Image

from integral_oda.instrument.energy import EnergyBand
from integral_oda.products.sky_image import SkyImage
from integral_oda.products.sky_picture import colours, draw_sky_image
from integral_oda.products.source_list import Source, SourceBand

LEFT, TOP = 90, 44
CYAN, MAGENTA, WHITE = (0, 255, 255), (255, 0, 255), (255, 255, 255)


def image_of(shape, wcs=None):
    if wcs is None:
        wcs = WCS(naxis=2)
        wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
        wcs.wcs.crpix, wcs.wcs.crval = [shape[1] / 2 + 0.5, shape[0] / 2 + 0.5], [290.0, 20.0]
        wcs.wcs.cdelt = [-0.1, 0.1]
    ones = np.ones(shape, np.float32)
    values = np.random.default_rng(4).normal(size=shape).astype(np.float32)
    values[:3] = np.nan
    return SkyImage(ones, ones, values, ones, wcs, EnergyBand(28.0, 80.0))


def source(ra, dec, *, new=False):
    return Source("A", ra, dec, 0.4, 0.5, new, False, (SourceBand(28, 80, 50.0, 2.0, 25.0),))


def drawn(tmp_path, image, sources=()):
    draw_sky_image(tmp_path / "image.png", image, sources)
    with Image.open(tmp_path / "image.png") as picture:
        return np.asarray(picture.convert("RGB")).astype(int)


@given(st.floats(-20, 20, allow_nan=False))
def test_colours_are_those_of_the_known_map(value):
    expected = np.array(colormaps["inferno"]((value + 4) / 14)[:3]) * 255
    assert np.abs(colours(np.array(value)) - expected).max() <= 2


def test_every_sky_pixel_stands_in_its_colour(tmp_path):
    image = image_of((80, 120))
    shown = drawn(tmp_path, replace(image, coordinates=_without_lines(image.wcs)))
    scale = 800 // 120
    rows, columns = np.mgrid[0:80, 0:120]
    centres = shown[TOP + (79 - rows) * scale + scale // 2, LEFT + columns * scale + scale // 2]
    same = (np.abs(centres - colours(image.significance)) <= 1).all(axis=-1)
    assert same.mean() > 0.9  # the others lie under a line of the grid
    assert (centres[:3] == WHITE).all()


def _without_lines(wcs):
    wcs = wcs.deepcopy()
    wcs.wcs.cdelt = [-0.01, 0.01]
    return wcs


@pytest.mark.parametrize(("new", "colour"), [(False, CYAN), (True, MAGENTA)])
def test_a_circle_stands_around_each_source(tmp_path, new, colour):
    image = image_of((80, 120))
    shown = drawn(tmp_path, image, [source(290.0, 20.0, new=new), source(110.0, -20.0)])
    scale = 800 // 120
    y, x = np.argwhere((np.abs(shown - colour) < 90).all(axis=-1)).T
    ring = np.hypot(x - (LEFT + 60 * scale), y - (TOP + 40 * scale))
    assert (np.abs(ring - 13) < 2).sum() > 60
    assert ring.max() < 60  # the source behind the observer is not there


@pytest.mark.parametrize(
    ("shape", "size"), [((400, 400), (800, 800)), ((30, 20), (520, 780)), ((900, 1600), (800, 450))]
)
def test_pictures_are_of_one_size(tmp_path, shape, size):
    shown = drawn(tmp_path, image_of(shape))
    assert (shown.shape[1] - 200, shown.shape[0] - 88) == size


@pytest.mark.parametrize("projection", ["CAR", "AIT"])
def test_the_whole_sky_is_drawn_in_any_projection(tmp_path, projection):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crpix = [f"GLON-{projection}", f"GLAT-{projection}"], [60.5, 30.5]
    wcs.wcs.crval, wcs.wcs.cdelt = [0.0, 0.0], [-3.0, 3.0]
    image = image_of((60, 120), wcs)
    shown = drawn(tmp_path, image, [source(266.4, -28.9)])
    assert (shown[TOP + 165 : TOP + 195, LEFT + 345 : LEFT + 375] == CYAN).all(axis=-1).any()  # the Galactic centre
