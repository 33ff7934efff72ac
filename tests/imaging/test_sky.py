from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
from scipy.ndimage import uniform_filter

from integral_oda.imaging.decoding import thin_footprint, thin_shadow
from integral_oda.imaging.sky import information_map, local_noise, make_sky_maps, score_map
from integral_oda.imaging.structure import StructureWidths
from integral_oda.instrument.attitude import pixel_to_tangents, tangents_to_pixel
from integral_oda.instrument.mask import GHOST_PERIOD_PIXELS
from integral_oda.simulation.shadowgram import LitSource

STRUCTURED = StructureWidths(**{item.name: 0.03 for item in fields(StructureWidths)})
RNG = np.random.default_rng(31)
FULLY_CODED = RNG.integers(155, 245, (12, 2)).tolist()
PARTIALLY_CODED = [[199, 300], [90, 199], [300, 300], [110, 290], [330, 120]]


def shadow_and_decoding(shadowgram, row, column):
    """Counts at unit flux of a direction, and the same less half of what the mask covers."""
    shadow = shadowgram.flat(thin_shadow(row, column) * shadowgram.source_response)
    covered = shadowgram.flat(thin_footprint(row, column) * shadowgram.source_response)
    return shadow, shadow - covered / 2


def exact_information(covariance, row, column):
    shadow, decoding = shadow_and_decoding(covariance.shadowgram, row, column)
    return float(decoding @ covariance.solve(shadow))


def maps_of(covariance):
    return make_sky_maps(covariance, score_map(covariance, covariance.shadowgram.excess), information_map(covariance))


@pytest.mark.parametrize("widths", [StructureWidths(), STRUCTURED], ids=["noise", "structure"])
def test_information_is_that_of_the_full_covariance(covariance_of, widths):
    covariance = covariance_of(widths=widths)
    information = information_map(covariance)
    inside = [information[r, c] / exact_information(covariance, r, c) for r, c in FULLY_CODED]
    assert inside == pytest.approx([1] * len(inside), abs=0.04)
    outside = [information[r, c] / exact_information(covariance, r, c) for r, c in PARTIALLY_CODED]
    assert outside == pytest.approx([1] * len(outside), abs=0.15)


def test_score_is_the_direct_product(covariance_of):
    covariance = covariance_of((), np.random.default_rng(32), widths=STRUCTURED)
    shadowgram = covariance.shadowgram
    score = score_map(covariance, shadowgram.excess)
    for row, column in FULLY_CODED[:4] + PARTIALLY_CODED:
        _, decoding = shadow_and_decoding(shadowgram, row, column)
        assert score[row, column] == pytest.approx(decoding @ covariance.solve(shadowgram.excess), rel=1e-6)


@pytest.mark.parametrize(("row", "column"), [(199, 199), (170, 240), (220, 150), (199, 290), (285, 285)])
def test_a_source_at_a_pixel_centre_shows_its_flux(covariance_of, row, column):
    source = LitSource(*(float(t) for t in pixel_to_tangents(column, row)), 100.0)
    maps = maps_of(covariance_of([source]))
    assert maps.flux[row, column] == pytest.approx(100, rel=0.04)
    assert np.nanargmax(maps.significance) == row * 400 + column


@pytest.fixture(scope="module")
def empty_maps(covariance_of):
    return maps_of(covariance_of((), np.random.default_rng(33)))


def test_an_empty_field_has_unit_noise(empty_maps):
    # Section 12.3 of the reference: mean 0, sigma 1.00..1.06 in an empty field; here nothing but Poisson noise.
    central = empty_maps.significance[160:240, 160:240]
    assert central.mean() == pytest.approx(0, abs=0.1)
    assert central.std() == pytest.approx(1, abs=0.08)
    assert np.nanstd(empty_maps.significance) == pytest.approx(1, abs=0.05)
    assert np.nanmax(empty_maps.significance) < 5.5


def test_planes_agree_where_anything_was_observed(empty_maps):
    observed = np.isfinite(empty_maps.flux)
    assert 0.5 < observed.mean() < 0.9
    assert np.array_equal(observed, empty_maps.variance > 0)
    assert np.array_equal(observed, np.isfinite(empty_maps.significance))
    assert np.array_equal(observed, empty_maps.exposure > 0)
    ratio = empty_maps.flux[observed] / np.sqrt(empty_maps.variance[observed])
    assert np.allclose(ratio, empty_maps.significance[observed])


def test_the_centre_is_exposed_most_and_for_the_live_time_at_most(empty_maps):
    # 96 % of the pixels are usable, 2000 s live.
    assert empty_maps.exposure.max() == pytest.approx(0.96 * 2000, rel=0.01)
    assert empty_maps.exposure[199, 199] == pytest.approx(empty_maps.exposure.max(), rel=1e-6)
    assert empty_maps.exposure[199, 330] < 0.5 * empty_maps.exposure.max()


def test_an_uncleaned_source_has_its_ghosts_a_mask_period_away(covariance_of):
    source = LitSource(0.09, 0.08, 200.0)
    maps = maps_of(covariance_of([source]))
    column, row = (float(p) for p in tangents_to_pixel(*source[:2]))
    ghost = round(row - GHOST_PERIOD_PIXELS), round(column + GHOST_PERIOD_PIXELS)
    box = maps.flux[ghost[0] - 1 : ghost[0] + 2, ghost[1] - 1 : ghost[1] + 2]
    assert box.max() > 60


def test_local_noise_is_the_root_mean_square_of_boxes_that_end_at_the_image():
    significance = 3 * np.random.default_rng(5).normal(size=(90, 130))
    significance[:20, :30] = np.nan
    seen, values = np.isfinite(significance), np.clip(np.nan_to_num(significance), -5, 5)
    expected = np.sqrt(uniform_filter(values**2, 31) / np.maximum(uniform_filter(seen.astype(float), 31), 1e-3))
    np.testing.assert_allclose(local_noise(significance, 31), np.maximum(1, expected), rtol=1e-9)


def test_local_noise_is_one_at_least_and_follows_the_map():
    rng = np.random.default_rng(34)
    map_ = rng.normal(size=(400, 400))
    map_[:, 200:] *= 2
    map_[:20] = np.nan
    noise = local_noise(map_)
    assert noise.min() >= 1
    assert noise[200, 60] == pytest.approx(1, abs=0.05)
    assert noise[200, 330] == pytest.approx(1.97, abs=0.1)
    assert noise[25, 330] == pytest.approx(1.97, abs=0.15)


def test_a_hasty_significance_is_not_much_above_the_exact_one(covariance_of):
    from integral_oda.imaging.sky import information_map, least_significance, score_map
    from integral_oda.simulation.shadowgram import LitSource

    covariance = covariance_of([LitSource(0.03, -0.04, 80.0)], np.random.default_rng(61))
    values = covariance.shadowgram.excess
    hasty = least_significance(covariance, values)
    information = information_map(covariance)
    exact = score_map(covariance, values) / np.sqrt(np.maximum(information, 1e-30))
    seen = (hasty > 3) & (information > 0.1 * information.max())
    assert (hasty[seen] <= 1.05 * exact[seen]).all()
    assert hasty.max() > 0.8 * exact[hasty > 0].max()
