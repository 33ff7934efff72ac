"""A seeded slice of benchmarks/closed_loop.py: what is drawn is what the engine finds, with honest errors."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

from closed_loop import (
    SIGNIFICANCES,
    ZONES,
    FitTrial,
    bright_source,
    close_pairs,
    coding,
    completeness,
    draw_place,
    empty_fields,
    fit_trials,
    flux_summary,
    position_summary,
)


@pytest.fixture(scope="module")
def trials() -> list[FitTrial]:
    return fit_trials(5, np.random.default_rng(11))


@pytest.mark.parametrize("zone", ZONES)
def test_fluxes_are_unbiased_with_pulls_of_unit_width(trials, zone):
    chosen = [trial for trial in trials if trial.zone == zone]
    summary = flux_summary(chosen)
    assert summary["n"] == 5 * len(SIGNIFICANCES)
    assert summary["ratio"] == pytest.approx(1.0, abs=0.01)
    assert summary["pull_mean"] == pytest.approx(0.0, abs=0.6)
    assert 0.7 < summary["pull_sigma"] < 1.35


def test_nine_in_ten_positions_lie_inside_their_radius_and_it_is_as_small_as_can_be(trials):
    summary = position_summary(trials)
    assert summary["lost"] == 0
    assert 0.8 <= summary["inside"] <= 0.98
    assert 0.9 < summary["radius_over_fisher"] < 1.15
    assert 0.8 < summary["offset_90_over_fisher"] < 1.25


def test_a_position_fit_that_starts_two_arcmin_off_arrives_at_any_strength(trials):
    for significance in SIGNIFICANCES:
        offsets = [t.offset_arcmin * t.wanted for t in trials if t.wanted == significance]
        assert np.median(offsets) < 11.0


def test_an_empty_field_is_empty_with_noise_as_stated():
    summary = empty_fields(3, np.random.default_rng(12))
    assert summary["mean"] == pytest.approx(0.0, abs=0.02)
    assert summary["sigma"] == pytest.approx(1.0, abs=0.03)
    assert summary["found_above_5.5"] == 0


def test_the_crab_leaves_nothing_behind():
    summary = bright_source(3, np.random.default_rng(13))
    assert summary["largest_residual"] < 5.5
    assert summary["new_above_5.5"] == 0
    assert summary["map_sigma"] == pytest.approx(1.0, abs=0.04)


def test_sources_twenty_arcmin_apart_are_two():
    summary = close_pairs(2, np.random.default_rng(14))
    assert summary["separated"] == 2


def test_sources_of_seven_sigma_are_found():
    summary = completeness(6, np.random.default_rng(15))
    assert summary["complete"] > 0.8
    assert summary["false"] <= 1


def test_zones_are_what_they_are_called():
    generator = np.random.default_rng(16)
    assert coding((0.0, 0.0)) == 1.0
    assert coding((0.0727, 0.0)) == pytest.approx(1.0, abs=0.01)
    assert coding((0.2, 0.2)) == pytest.approx(0.32 * 0.32, abs=0.03)
    for zone, (low, high) in ZONES.items():
        shares = [coding(draw_place(zone, generator)) for _ in range(20)]
        assert low <= min(shares)
        assert max(shares) <= high
