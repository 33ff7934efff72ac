"""Drawn sky images of a few pointings, as files."""

from __future__ import annotations

import numpy as np
import pytest

from integral_oda.instrument.attitude import Attitude
from integral_oda.instrument.energy import EnergyBand
from integral_oda.products.sky_image import write_sky_images
from integral_oda.simulation.sky_image import draw_sky_image

BAND = EnergyBand(20.0, 40.0)
SOURCES = [(83.6332, 22.0145, 150.0), (86.0, 24.0, 12.0), (81.0, 20.0, 30.0)]


def draw(number, *, bands=(BAND,), scw=None, error=1.0):
    generator = np.random.default_rng([3, number])
    ra, roll = 82.0 + number % 4, np.deg2rad(10.0 * number)
    x = Attitude.from_keywords({"RA_SCX": ra, "DEC_SCX": 22.0, "RA_SCZ": ra, "DEC_SCZ": -68.0})
    attitude = Attitude(x.x, np.cos(roll) * x.z + np.sin(roll) * x.y)
    name = f"0665{number:07d}0.001" if scw is None else scw
    return [draw_sky_image(attitude, SOURCES, error, generator, band, name) for band in bands]


@pytest.fixture(scope="session")
def drawn():
    """Images of one pointing by its number."""
    return draw


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    for number in range(5):
        write_sky_images(folder / f"{number}.fits", draw(number))
    return folder


@pytest.fixture(scope="session")
def paths(folder):
    return [folder / f"{number}.fits" for number in range(5)]
