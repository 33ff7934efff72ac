from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import nnls

from integral_oda.imaging.structure import Covariance, StructureWidths, fit_widths, non_negative_fit
from integral_oda.imaging.surfaces import smooth_surfaces, structure_groups
from integral_oda.instrument.detector import active_pixels, module_map
from integral_oda.simulation.shadowgram import LitSource

WIDTHS = StructureWidths(**{item.name: 0.02 * (k + 1) for k, item in enumerate(fields(StructureWidths))})
SMOOTH_VARIANCE = 1e6


def dense(covariance):
    """C as a full matrix: noise, free smooth shapes as very wide ones, and every group of the structure."""
    shadowgram, widths = covariance.shadowgram, covariance.widths
    response = shadowgram.flat(shadowgram.background_response)
    matrix = np.diag(shadowgram.flat(shadowgram.variance) + (widths.pixel * response) ** 2)
    matrix += SMOOTH_VARIANCE * covariance.smooth @ covariance.smooth.T
    for name, number in structure_groups().items():
        member = number[shadowgram.usable]
        shared = member[:, None] == member[None, :]
        matrix += getattr(widths, name) ** 2 * shared * np.outer(response, response)
    return matrix


@pytest.fixture(scope="module")
def small(shadowgram_of):
    """Six hundred pixels of two modules: enough for shared rows, columns and blocks."""
    candidates = np.isin(module_map(), [2, 5])
    chosen = np.random.default_rng(2).choice(np.flatnonzero(candidates), 600, replace=False)
    usable = np.zeros((134, 130), bool)
    usable.ravel()[chosen] = True
    return shadowgram_of(usable=usable)


@pytest.mark.parametrize(
    "widths", [StructureWidths(), StructureWidths(block=0.1), WIDTHS], ids=["none", "block", "all"]
)
def test_solving_is_the_dense_inverse(small, widths):
    covariance = Covariance(small, widths)
    values = np.random.default_rng(5).normal(size=(600, 3)) * 3
    expected = np.linalg.solve(dense(covariance), values)
    assert np.allclose(covariance.solve(values), expected, atol=1e-5 * np.abs(expected).max())
    assert np.allclose(covariance.solve(values[:, 0]), covariance.solve(values)[:, 0])


def test_a_smooth_background_is_nothing_to_the_inverse(small):
    covariance = Covariance(small, WIDTHS)
    smooth = covariance.smooth @ np.random.default_rng(6).normal(size=covariance.smooth.shape[1])
    kept = np.abs(covariance.solve(smooth)).max() / np.abs(smooth / covariance.variance).max()
    assert kept < 1e-3


def test_fluxes_are_the_weighted_least_squares(small):
    covariance = Covariance(small, WIDTHS)
    rng = np.random.default_rng(7)
    design, values = rng.random((600, 2)), rng.normal(size=600)
    inverse = np.linalg.inv(dense(covariance))
    flux_covariance = np.linalg.inv(design.T @ inverse @ design)
    fluxes, reported = covariance.fit(values, design)
    assert reported == pytest.approx(flux_covariance, rel=1e-4)
    assert fluxes == pytest.approx(flux_covariance @ design.T @ inverse @ values, rel=1e-4, abs=1e-6)


def test_no_source_is_fitted_where_none_is_given(small):
    fluxes, covariance = Covariance(small, WIDTHS).fit(np.ones(600), np.zeros((600, 0)))
    assert fluxes.shape == (0,)
    assert covariance.shape == (0, 0)


def test_the_most_probable_structure_is_the_conditional_mean(small):
    covariance = Covariance(small, StructureWidths(row=0.1, block=0.2))
    values = np.random.default_rng(9).normal(size=600) * 5
    full = dense(covariance)
    expected = (full - np.diag(covariance.variance)) @ np.linalg.solve(full, values)
    assert np.allclose(covariance.structure(values), expected, atol=1e-3 * np.abs(expected).max())


def test_a_residual_has_neither_source_nor_smooth_shape_left(shadowgram_of, covariance_of):
    covariance = covariance_of()
    shadow = np.random.default_rng(11).random(int(covariance.shadowgram.usable.sum()))
    values = 3 * shadow + covariance.smooth @ np.arange(covariance.smooth.shape[1])
    assert np.abs(covariance.residual(values, shadow[:, None])).max() < 1e-3 * np.abs(values).max()


def structured(shadowgram_of, seed, **widths):
    """A Poisson draw whose background has structure of known widths."""
    rng = np.random.default_rng(seed)
    shape = np.ones((134, 130))
    for name, width in widths.items():
        number = np.arange(shape.size).reshape(shape.shape) if name == "pixel" else structure_groups()[name]
        shape *= 1 + (width * rng.normal(size=number.max() + 1))[number]
    shape = np.clip(shape, 0, None) * active_pixels()
    return shadowgram_of((), rng, background_shape=shape, background_rate=3000.0)


@pytest.mark.parametrize("name", ["row", "column", "block", "asic", "pixel"])
def test_the_width_of_one_kind_of_structure_is_found(shadowgram_of, name):
    shadowgram = structured(shadowgram_of, 21, **{name: 0.1})
    no_source = np.zeros((int(shadowgram.usable.sum()), 0))
    widths = fit_widths(shadowgram, no_source)
    assert getattr(widths, name) == pytest.approx(0.1, rel=0.2)
    others = {item.name: getattr(widths, item.name) for item in fields(widths) if item.name != name}
    assert max(others.values()) < 0.035, others


def test_poisson_noise_has_no_structure(shadowgram_of):
    shadowgram = structured(shadowgram_of, 22)
    widths = fit_widths(shadowgram, np.zeros((int(shadowgram.usable.sum()), 0)))
    assert max(getattr(widths, item.name) for item in fields(widths)) < 0.03


def test_a_source_is_not_taken_for_structure(shadowgram_of):
    place = (0.03, -0.04)
    shadowgram = shadowgram_of([LitSource(*place, 200.0)], np.random.default_rng(23))
    from integral_oda.instrument.pif import pixel_illumination

    shadow = (pixel_illumination(*place) * shadowgram.source_response)[shadowgram.usable]
    with_source = fit_widths(shadowgram, shadow[:, None])
    without = fit_widths(shadowgram, shadow[:, None][:, :0])
    assert with_source.pixel < 0.1 < without.pixel


def test_groups_number_every_pixel_and_no_gap():
    for number in structure_groups().values():
        assert np.array_equal(number >= 0, active_pixels())
        counts = np.bincount(number[number >= 0])
        assert len(set(counts)) == 1, counts
    block = structure_groups()["block"]
    assert len(np.unique(module_map()[block == block.max()])) == 1


def test_smooth_shapes_are_independent():
    shapes = smooth_surfaces()[active_pixels()]
    assert np.linalg.matrix_rank(shapes) == shapes.shape[1]


@given(seed=st.integers(0, 10**6), n=st.integers(1, 9), more=st.integers(0, 4), scale=st.floats(-3, 3))
def test_the_non_negative_fit_is_scipys(seed, n, more, scale):
    generator = np.random.default_rng(seed)
    matrix = generator.normal(size=(n + more, n)) * 10.0 ** np.linspace(-scale, scale, n)
    values = generator.normal(size=n + more)
    found = non_negative_fit(matrix, values)
    assert (found >= 0).all()
    np.testing.assert_allclose(matrix @ found, matrix @ nnls(matrix, values)[0], atol=1e-8)


def test_nothing_is_fitted_where_all_slopes_are_negative():
    assert (non_negative_fit(np.eye(3), -np.ones(3)) == 0).all()
