"""Planes whose efficiency and background are given: what was taken away comes back, whatever its unit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from integral_oda.errors import DataError
from integral_oda.imaging.given_plane import (
    CorrectedPlane,
    GivenPlane,
    plane_of_efficiency,
    planes_of_corrected,
    shadowgram_of_plane,
    sum_planes,
)
from integral_oda.imaging.structure import Covariance, StructureWidths
from integral_oda.instrument.detector import OPEN_PIXELS, active_pixels
from integral_oda.instrument.pif import pixel_illumination

ONTIME_S = 1800.0
ACTIVE = active_pixels()
LIVE = np.where(ACTIVE, 0.75 * ONTIME_S, 0.0)


def detector(seed, mean=20.0, spread=0.05):
    """Efficiency, uniformity and expected background of a detector."""
    rng = np.random.default_rng(seed)
    efficiency = np.where(ACTIVE & (rng.random(ACTIVE.shape) > 0.04), rng.uniform(0.5, 0.75, ACTIVE.shape), 0.0)
    uniformity = np.where(ACTIVE, rng.normal(1, spread, ACTIVE.shape), 0.0)
    used = efficiency > 0
    uniformity /= uniformity[used].mean()
    shape = np.where(ACTIVE, rng.uniform(0.8, 1.2, ACTIVE.shape), 0.0)
    background = efficiency * uniformity * shape
    return rng, efficiency, uniformity, background * mean / background[used].mean()


def corrected_plane(counts, efficiency, uniformity, background, unit):
    seen = np.where(efficiency > 0, efficiency * uniformity * unit, 1.0)
    used = efficiency > 0
    return CorrectedPlane(counts, efficiency, np.where(used, (counts - background) / seen, 0.0),
                          np.where(used, counts / seen**2, 0.0), efficiency, uniformity)  # fmt: skip


@settings(max_examples=25)
@given(seed=st.integers(0, 1000), unit=st.sampled_from([1.0, ONTIME_S, 1e-3, 8192.4]), mean=st.floats(0.2, 50))
def test_what_was_corrected_for_comes_back_in_any_unit(seed, unit, mean):
    rng, efficiency, uniformity, background = detector(seed, mean)
    counts = np.where(efficiency > 0, rng.poisson(background), 0).astype(float)
    (plane,) = planes_of_corrected([corrected_plane(counts, efficiency, uniformity, background, unit)])
    np.testing.assert_allclose(plane.background, np.where(efficiency > 0, background, 0), rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(plane.efficiency, efficiency * uniformity, rtol=1e-6)
    np.testing.assert_array_equal(plane.counts, counts)


def test_channels_of_few_counts_take_their_unit_from_the_others():
    rng, efficiency, uniformity, background = detector(3)
    planes = []
    for mean in (20.0, 0.001):
        counts = np.where(efficiency > 0, rng.poisson(background * mean / 20), 0).astype(float)
        planes.append(corrected_plane(counts, efficiency, uniformity, background * mean / 20, ONTIME_S))
    assert planes[1].counted.sum() < 50
    full, poor = planes_of_corrected(planes)
    np.testing.assert_allclose(poor.background, full.background / 20000, rtol=1e-6, atol=1e-12)
    with pytest.raises(DataError, match="pixels of the corrected shadowgrams have counts"):
        planes_of_corrected(planes[1:])


def test_pixels_that_were_taken_out_are_not_used():
    rng, efficiency, uniformity, background = detector(4)
    counts = np.where(efficiency > 0, rng.poisson(background), 0).astype(float)
    plane = corrected_plane(counts, efficiency, uniformity, background, 1.0)
    weights = efficiency.copy()
    weights[20:30, 40:50] = 0
    (made,) = planes_of_corrected([replace(plane, used=weights)])
    shadowgram = shadowgram_of_plane(made, ONTIME_S, LIVE)
    assert not shadowgram.usable[20:30, 40:50].any()
    assert shadowgram.usable.sum() == (weights > 0).sum()


def test_a_variance_that_is_not_of_these_counts_is_refused():
    rng, efficiency, uniformity, background = detector(5)
    counts = np.where(efficiency > 0, rng.poisson(background), 0).astype(float)
    plane = corrected_plane(counts, efficiency, uniformity, background, 1.0)
    other = plane.variance * rng.uniform(0.01, 10, counts.shape)
    with pytest.raises(DataError, match="variance is not that of their counts"):
        planes_of_corrected([replace(plane, variance=other)])


def test_where_nothing_was_taken_away_the_background_is_flat():
    rng, efficiency, uniformity, background = detector(6)
    counts = np.where(efficiency > 0, rng.poisson(background), 0).astype(float)
    plane = corrected_plane(counts, efficiency, uniformity, np.zeros(counts.shape), 1.0)
    (made,) = planes_of_corrected([plane])
    assert made.background.sum() == pytest.approx(counts.sum())
    seen = made.efficiency > 0
    assert np.ptp(made.background[seen] / made.efficiency[seen]) < 1e-9


def fitted(plane, place):
    shadowgram = shadowgram_of_plane(plane, ONTIME_S, LIVE)
    design = shadowgram.shadows([place], 50.0)
    flux, error = Covariance(shadowgram, StructureWidths()).fit(shadowgram.excess, design)
    return flux[0], float(np.sqrt(error[0, 0]))


def test_a_source_keeps_its_flux_through_a_correction_that_is_no_smooth_one():
    """Uniformities that differ by 20 % bias a flux by as much, unless they are known."""
    place, flux, pulls = (0.03, -0.05), 60.0, []
    shadow = pixel_illumination(*place, energy_kev=50.0) * ONTIME_S / OPEN_PIXELS
    for seed in range(12):
        rng, efficiency, uniformity, background = detector(seed, 20.0, 0.2)
        mean = background + flux * shadow * efficiency * uniformity
        counts = np.where(efficiency > 0, rng.poisson(np.clip(mean, 0, None)), 0).astype(float)
        (plane,) = planes_of_corrected([corrected_plane(counts, efficiency, uniformity, background, ONTIME_S)])
        found, error = fitted(plane, place)
        pulls.append((found - flux) / error)
    assert abs(np.mean(pulls)) < 3 / np.sqrt(len(pulls))
    assert 0.4 < np.std(pulls) < 1.7


def test_maps_shape_the_background_and_the_answer():
    _, efficiency, uniformity, background = detector(7, 20.0, 0.1)
    shape = np.where(efficiency > 0, background / np.maximum(efficiency * uniformity, 1e-9), 0.0)
    plane = plane_of_efficiency(background, efficiency, 3 * uniformity, 7 * shape)
    np.testing.assert_allclose(plane.background, np.where(efficiency > 0, background, 0), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(plane.efficiency, efficiency * uniformity, rtol=1e-9)
    bare = plane_of_efficiency(background, efficiency)
    assert bare.background.sum() == pytest.approx(background[efficiency > 0].sum())
    np.testing.assert_allclose(bare.efficiency, efficiency)


def test_sums_have_the_mean_efficiency_and_all_counts():
    one, two = (
        GivenPlane(np.full((2, 2), c), np.full((2, 2), e), np.full((2, 2), c)) for c, e in ((3.0, 0.2), (5.0, 0.8))
    )
    total = sum_planes([one, two], [3, 1])
    assert total.counts[0, 0] == total.background[0, 0] == 8
    assert total.efficiency[0, 0] == pytest.approx(0.35)


def test_a_plane_that_sees_nothing_is_refused():
    nothing = plane_of_efficiency(np.ones(ACTIVE.shape), np.zeros(ACTIVE.shape))
    assert not nothing.background.any()
    with pytest.raises(DataError, match="without any pixel"):
        shadowgram_of_plane(nothing, ONTIME_S, LIVE)
