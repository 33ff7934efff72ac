from __future__ import annotations

import gzip
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from integral_oda.instrument.attitude import SKY_PIXEL, pixel_to_tangents
from integral_oda.instrument.transmission import SupportTransmission, nominal_systematic

ANGLES = st.floats(0, 18)
ENERGIES = st.floats(18, 500)


@given(ANGLES, ANGLES, ENERGIES)
def test_the_systematic_grows_off_axis(one, other, energy):
    low, high = sorted((one, other))
    assert nominal_systematic(low, energy) <= nominal_systematic(high, energy)


@given(ANGLES, ENERGIES, ENERGIES)
def test_the_systematic_grows_to_low_energies(angle, one, other):
    low, high = sorted((one, other))
    assert nominal_systematic(angle, low) >= nominal_systematic(angle, high) >= 0.01


def test_numbers_of_the_systematic():
    angles, energies = np.array([0, 0, 13.0]), np.array([20, 50, 50])
    assert nominal_systematic(angles, energies) == pytest.approx([0.148, 0.019, 0.110], abs=0.002)


def test_without_a_map_the_support_is_transparent():
    support = SupportTransmission(50.0)
    assert support.at(0.1, -0.05) == 1.0
    assert support.over_field() == 1.0
    assert support.systematic(0.2, 0.0) > support.systematic(0.0, 0.0)


def test_a_map_is_read_between_its_pixels():
    rows, columns = np.indices((400, 400))
    support = SupportTransmission(25.0, 0.9 - 0.001 * np.abs(columns - 199.5) + 0 * rows)
    ty, tz = (float(t) for t in pixel_to_tangents(150.25, 300.0))
    assert support.at(ty, tz) == pytest.approx(0.9 - 0.001 * 49.25)
    assert support.at(500 * SKY_PIXEL, 0.0) > 0
    assert support.systematic(ty, tz) == pytest.approx(0.02)


def test_where_a_map_says_nothing_the_flux_stays():
    support = SupportTransmission(25.0, np.zeros((400, 400)))
    assert support.at(0.0, 0.0) == 1.0
    assert (support.over_field() == 1.0).all()


def test_the_trend_of_the_crab_that_the_systematic_covers(real_data):
    path = real_data / "gbelanger_java-tda/ts_isgri_83.633_22.014_20-35keV.qdp.gz"
    lines = gzip.decompress(path.read_bytes()).decode().splitlines()
    numbers = np.array([line.split() for line in lines if re.match(r"^\s*-?\d", line)], dtype=float)
    rate, angle = numbers[:, 2], numbers[:, 4]
    reference = np.median(rate[angle < 2])
    for low, high in ((2, 5), (5, 8), (8, 11), (11, 15)):
        middle = (low + high) / 2
        trend = np.median(rate[(angle >= low) & (angle < high)]) / reference - 1
        assert abs(trend) < 1.5 * nominal_systematic(middle, 27.0), (low, trend)
