from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from integral_oda.imaging import search
from integral_oda.imaging.search import FieldModel, find_new_sources, locate, measure, osa_radius_arcmin
from integral_oda.imaging.structure import Covariance, StructureWidths
from integral_oda.instrument.attitude import SKY_PIXEL
from integral_oda.instrument.mask import GHOST_PERIOD_PIXELS
from integral_oda.instrument.pif import pixel_illumination
from integral_oda.simulation.shadowgram import LitSource

ENERGY_KEV = 50.0
FIRST, SECOND = (0.031, -0.052), (-0.12, 0.09)
CRAB = 167.0
"""Counts/s of the Crab, 25-80 keV, with the analytic area."""


@pytest.fixture(scope="module")
def model_of(covariance_of):
    def make(*args, **keywords):
        return FieldModel(covariance_of(*args, **keywords), ENERGY_KEV)

    return make


def offset_arcmin(a, b):
    return np.rad2deg(np.hypot(a[0] - b[0], a[1] - b[1])) * 60


def test_noise_free_fluxes_come_back(model_of):
    model = model_of([LitSource(*FIRST, 30.0), LitSource(*SECOND, 120.0)])
    fluxes, _ = model.fit([FIRST, SECOND])
    assert fluxes == pytest.approx([30, 120], rel=1e-4)
    assert np.abs(model.residual([FIRST, SECOND])).max() < 1e-3


def test_flux_is_unbiased_and_its_error_honest(model_of):
    rng = np.random.default_rng(41)
    pulls = []
    for _ in range(40):
        fluxes, covariance = model_of([LitSource(*FIRST, 10.0)], rng).fit([FIRST])
        pulls.append((fluxes[0] - 10) / np.sqrt(covariance[0, 0]))
    # 40 draws: the mean scatters by 0.16, the spread by 0.11.
    assert np.mean(pulls) == pytest.approx(0, abs=0.5)
    assert np.std(pulls) == pytest.approx(1, abs=0.35)


def test_positions_lie_inside_their_radius(model_of):
    rng = np.random.default_rng(42)
    inside = 0
    for _ in range(20):
        true = tuple(rng.uniform(-0.06, 0.06, 2))
        model = model_of([LitSource(*true, 25.0)], rng)
        start = (true[0] + SKY_PIXEL / 3, true[1] - SKY_PIXEL / 3)
        place, radius = locate(model, start, [], 30.0)
        assert 0.16 < radius < 1.5
        inside += offset_arcmin(place, true) <= radius
    assert inside >= 18


def test_a_brighter_source_is_placed_better(model_of):
    radii = []
    for flux in (5.0, 50.0, 500.0):
        place, radius = locate(model_of([LitSource(*FIRST, flux)]), FIRST, [], flux)
        assert offset_arcmin(place, FIRST) < 0.1
        radii.append(radius)
    assert radii[0] > 2 * radii[1] > radii[2]
    assert radii[2] == pytest.approx(0.16, abs=0.1)


def test_osas_radii():
    # The table of OSA's law, arcmin.
    radii = {5: 4.95, 7: 3.64, 10: 2.64, 30: 1.03, 100: 0.44}
    assert [osa_radius_arcmin(s) for s in radii] == pytest.approx(list(radii.values()), abs=0.006)


def test_gain_is_the_squared_significance(model_of):
    model = model_of([LitSource(*FIRST, 30.0), LitSource(*SECOND, 50.0)])
    both, covariance = model.fit([SECOND, FIRST])
    (gain,) = model.likelihood_at([SECOND])([FIRST])
    assert gain == pytest.approx(both[1] ** 2 / covariance[1, 1], rel=1e-6)
    assert model.likelihood_at([])([FIRST])[0] > 0


def test_a_deficit_gains_nothing(model_of):
    model = model_of([LitSource(*FIRST, -20.0)])
    assert model.likelihood_at([])([FIRST]).tolist() == [0.0]


def test_new_sources_are_found_where_they_are(model_of):
    rng = np.random.default_rng(43)
    model = model_of([LitSource(*FIRST, 30.0), LitSource(*SECOND, 40.0)], rng)
    found = sorted(find_new_sources(model, [], 7.0).sources, key=lambda s: s.flux)
    assert len(found) == 2
    for source, place, flux in zip(found, (FIRST, SECOND), (30.0, 40.0), strict=True):
        assert offset_arcmin(source.tangents, place) < 2
        assert source.flux == pytest.approx(flux, abs=4 * source.flux_error)
        assert source.significance > 7


@pytest.mark.parametrize("place", [(0.09, 0.08), (0.155, 0.02)])
def test_ghosts_of_the_crab_are_never_new(model_of, place):
    model = model_of([LitSource(*place, CRAB)], np.random.default_rng(44))
    found = find_new_sources(model, [], 7.0).sources
    assert [offset_arcmin(source.tangents, place) < 1 for source in found] == [True]
    assert find_new_sources(model, [place], 7.0).sources == []


def test_a_source_at_a_ghosts_place_is_a_source(model_of):
    period = GHOST_PERIOD_PIXELS * SKY_PIXEL
    place, ghost = (0.09, 0.08), (0.09 - period, 0.08)
    model = model_of([LitSource(*place, 60.0), LitSource(*ghost, 50.0)], np.random.default_rng(45))
    found = find_new_sources(model, [place], 7.0).sources
    assert len(found) == 1
    assert offset_arcmin(found[0].tangents, ghost) < 1


@pytest.mark.parametrize("off_arcmin", [0.0, 2.5])
def test_an_excess_that_a_source_a_period_away_explains_better_is_a_ghost(model_of, off_arcmin):
    """Also where noise has moved the ghost: its source is looked for around the place one period away."""
    place, ghost = (0.09, 0.08), (0.09 - GHOST_PERIOD_PIXELS * SKY_PIXEL + off_arcmin * search.ARCMIN, 0.08)
    model = model_of([LitSource(*place, CRAB)])
    beside = search._Beside(model, [])
    assert beside.gain([ghost])[0] > 7**2
    looked_at = search._Search(model, 7.0)
    reason, cause = looked_at._ghost(beside, ghost)
    assert "mask period" in reason
    assert offset_arcmin(cause, place) < 0.3
    assert looked_at._ghost(beside, place) == ("", None)


@pytest.mark.parametrize(("seed", "lost"), [(60, False), (100, True), (84, False)])
def test_the_place_that_a_faint_source_may_have_as_well_is_told(model_of, seed, lost):
    """A ghost has 0.83 of its source: noise may lift it above a faint one, and both places are then in the lists."""
    place = (0.09, 0.08)
    error = float(model_of([]).fit([place])[1][0, 0] ** 0.5)
    search_result = find_new_sources(model_of([LitSource(*place, 6.5 * error)], np.random.default_rng(seed)), [], 5.0)
    (source,) = search_result.sources
    told = [excess for excess in search_result.suppressed if "nearly as well" in excess.reason]
    assert (offset_arcmin(source.tangents, place) > 3) == lost
    assert len(told) <= 1
    assert [offset_arcmin(excess.tangents, place) < 3 for excess in told] == ([True] if lost else [False] * len(told))
    assert all(excess.cause == pytest.approx(source.tangents, abs=1e-4) for excess in told)
    assert bool(told) == (seed != 60)


def test_the_footprint_tells_a_source_from_a_ghost_that_outshines_it(model_of):
    """The ghost lights other pixels: beside a smooth background they are missed, though the mask's pattern fits."""
    place, ghost = (0.09, 0.08), (0.09 - GHOST_PERIOD_PIXELS * SKY_PIXEL, 0.08)
    error = float(model_of([]).fit([place])[1][0, 0] ** 0.5)
    model = model_of([LitSource(*place, 6.5 * error)], np.random.default_rng(90))
    shining, lit = (like([])(search._around(ghost)).max() for like in (model.likelihood_at, model.evidence_at))
    assert shining > model.likelihood_at([])(search._around(place)).max()
    assert lit < model.evidence_at([])(search._around(place)).max()
    (source,) = find_new_sources(model, [], 5.0).sources
    assert offset_arcmin(source.tangents, place) < 3


@pytest.mark.parametrize("place", [(0.155, 0.02), (0.14, 0.12)])
def test_an_excess_that_lights_no_footprint_is_suppressed_with_its_reason(model_of, place):
    """The mask's pattern as a source of 5.8 sigma casts it, with the light in its footprint and without."""
    error = float(model_of([]).fit([place])[1][0, 0] ** 0.5)
    model = model_of([LitSource(*place, 5.8 * error)])
    shadowgram = model.covariance.shadowgram
    lit, shadow = pixel_illumination(*place) > 0, model.shadow(place)
    footprint = shadowgram.flat(lit * shadowgram.background_response)
    level = 5.8 * error * shadow.sum() / footprint.sum()
    dimmed = replace(shadowgram, counts=shadowgram.counts - level * lit * shadowgram.background_response)
    search_result = find_new_sources(FieldModel(Covariance(dimmed, StructureWidths()), ENERGY_KEV), [], 5.0)
    assert len(find_new_sources(model, [], 5.0).sources) == 1
    assert search_result.sources == []
    assert "footprint" in search_result.suppressed[0].reason


def test_what_an_imperfect_model_leaves_of_a_source_is_suppressed_with_its_reason(model_of):
    """A source of a Crab whose modelled place is half an arcmin off leaves excesses beside it, none of them new."""
    place = (0.05, 0.04)
    off = (place[0] + np.deg2rad(0.5 / 60), place[1])
    search = find_new_sources(model_of([LitSource(*place, CRAB)], np.random.default_rng(52)), [off], 5.0)
    assert search.sources == []
    assert search.suppressed
    assert {excess.cause for excess in search.suppressed if "source" in excess.reason} == {off}


def test_an_excess_that_noise_reaches_is_suppressed_with_its_reason(model_of):
    rng = np.random.default_rng(53)
    reasons = [e.reason for _ in range(4) for e in find_new_sources(model_of((), rng), [], 4.2).suppressed]
    assert any(reason.startswith("below the 4.") for reason in reasons)


def test_a_flux_at_a_chosen_place_is_freed_of_the_choice():
    source = search.FittedSource((0.0, 0.0), 8.0, 1.0, 1.0)
    assert search.unbiased_by_choice(source).significance == pytest.approx(np.sqrt(62))


def test_an_empty_field_has_no_source(model_of):
    assert find_new_sources(model_of((), np.random.default_rng(46)), [], 7.0).sources == []


def test_the_number_of_new_sources_is_limited(model_of):
    sources = [LitSource(x, y, 60.0) for x, y in ((0.02, 0.02), (-0.04, 0.03), (0.05, -0.05))]
    assert len(find_new_sources(model_of(sources), [], 7.0, at_most=2).sources) == 2


def test_fitted_radii_go_with_their_source(model_of):
    model = model_of([LitSource(*FIRST, 30.0)])
    first, second = measure(model, [FIRST, SECOND], {0: 0.7})
    assert (first.radius_90_arcmin, second.radius_90_arcmin) == (0.7, float("inf"))
    assert second.flux == pytest.approx(0, abs=1e-3)
