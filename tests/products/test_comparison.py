"""Products of two engines side by side."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from integral_oda.products.comparison import compare_rates, compare_sources
from integral_oda.products.comparison_picture import draw_sequences
from integral_oda.products.source_list import Source, SourceBand


def source(name, ra, flux, error=1.0, new=False, radius=1.0):
    band = SourceBand(28.0, 80.0, flux, error, flux / error)
    return Source(name, ra, 22.0, radius, radius, new, False, (band,))


def test_sources_are_matched_by_name_else_by_place():
    first = [source("Crab", 83.63, 100), source("NEW_1", 86.50, 40, new=True), source("OAO 1657-415", 255.2, 10)]
    second = [source("NEW_1", 83.0, 7, new=True), source("4U 0614+091", 86.52, 42), source("Crab", 83.64, 150, 2.0)]
    rows = compare_sources(first, second)
    assert [row["name"] for row in rows] == ["Crab", "NEW_1", "OAO 1657-415", "NEW_1"]
    (crab,) = rows[0]["bands"]
    assert crab["ratio"] == pytest.approx(1.5)
    assert crab["pull"] == pytest.approx(-50 / np.sqrt(5))
    assert crab["ratio_error"] == pytest.approx(1.5 * np.hypot(0.01, 2 / 150))
    assert rows[0]["separation_arcmin"] == pytest.approx(0.01 * 60 * np.cos(np.deg2rad(22)), rel=1e-3)
    assert rows[1]["bands"][0]["second_flux"] == 42
    assert rows[3]["bands"][0]["first_flux"] is None


def test_what_one_list_lacks_is_none():
    rows = compare_sources([source("Crab", 83.63, 100)], [source("Cyg X-1", 299.6, 200)])
    assert [row["name"] for row in rows] == ["Crab", "Cyg X-1"]
    assert [(row["bands"][0]["first_flux"], row["bands"][0]["second_flux"]) for row in rows] == [
        (100, None),
        (None, 200),
    ]
    assert all(row["bands"][0]["ratio"] is None for row in rows)


@given(st.integers(1, 40), st.floats(0.2, 5), st.integers(0, 2**32 - 1))
def test_a_common_factor_is_found(n, factor, seed):
    rate = np.random.default_rng(seed).uniform(1, 10, n)
    error = np.full(n, 0.5)
    numbers = compare_rates(np.arange(n), (rate, error), (factor * rate, error)).numbers()
    assert numbers["ratio"] == pytest.approx(factor)
    assert numbers["bins"] == n
    told = [ratio for ratio in numbers["table"]["ratio"] if ratio is not None]
    assert told == pytest.approx([factor] * len(told))
    assert len(told) == int((rate > 1.5).sum())


def test_pulls_of_independent_noise_are_normal():
    random = np.random.default_rng(7)
    error = random.uniform(0.5, 2, 4000)
    first, second = (5 + error * random.standard_normal(4000) for _ in range(2))
    numbers = compare_rates(np.arange(4000), (first, error), (second, error)).numbers()
    assert numbers["pull_mean"] == pytest.approx(0, abs=0.06)
    assert numbers["pull_sigma"] == pytest.approx(1, abs=0.05)
    assert numbers["chi2"] == pytest.approx(4000, rel=0.1)
    assert abs(numbers["ratio"] - 1) < 4 * numbers["ratio_error"]


def test_bins_that_one_engine_does_not_know_are_left_out(tmp_path):
    rate, error = np.array([1.0, np.nan, 3.0]), np.array([0.1, 0.1, 0.0])
    compared = compare_rates(np.array([30.0, 50.0, 80.0]), (rate, error), (rate, error))
    assert compared.place.tolist() == [30.0]
    draw_sequences(tmp_path / "a.png", compared, ("native", "osa"), "Crab", "energy [keV]", logarithmic=True)
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
