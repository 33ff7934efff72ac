"""Sky maps of a shadowgram: the flux that a source at each sky pixel would have, and its variance.

The balanced correlation of the decoding array G = 2 M - footprint with the detector is written as
generalised least squares: G is correlated with C^-1 (counts - model), which balances a background of
any smooth shape, and divided by what a source of unit flux gives. G/2 rather than the mask M itself: a
level inside the footprint of a partially coded direction tells background from source no better. Where a
shadowgram has a decoding array of its own, that is G/2.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from integral_oda.arrays import Array, IntArray
from integral_oda.imaging.decoding import (
    MaskCorrelator,
    cast,
    mask_contrast,
    mask_footprint,
    thickness_transmission,
    thin_shadow,
)
from integral_oda.imaging.shadowgram import Shadowgram
from integral_oda.imaging.structure import Covariance
from integral_oda.imaging.surfaces import ASIC_SIDE, BLOCK_SIDE, structure_groups
from integral_oda.instrument.attitude import SKY_CENTRE
from integral_oda.instrument.detector import MODULE_SHAPE, N_PIXELS

__all__ = [
    "SkyMaps",
    "counting_information",
    "information_map",
    "least_significance",
    "local_noise",
    "make_sky_maps",
    "score_map",
]


_SMALLEST_SHARE = 0.004
"""Directions with less than this share of the largest information are left out of the image."""
_LEAST_EIGENVALUE = 1e-15
"""Over the largest: below it are shapes that the window does not tell from others (that of `numpy.linalg.pinv`)."""
_GRID_STEP = 40
_DIRECTIONS_AT_ONCE = 16
_SURFACE_ORDER = 6
_BLOCKS = {"row": (1, MODULE_SHAPE[1]), "column": (MODULE_SHAPE[0], 1), "block": (BLOCK_SIDE, BLOCK_SIDE),
           "asic": (ASIC_SIDE, ASIC_SIDE)}  # fmt: skip


@dataclass(frozen=True)
class SkyMaps:
    """Maps over the sky image, each ``(400, 400)``; NaN (variance 0) where nothing was observed."""

    flux: Array
    variance: Array
    significance: Array
    exposure: Array


def _correlator(shadowgram: Shadowgram, kind: str) -> MaskCorrelator:
    """Correlator of a kind with the array that a shadowgram is decoded with."""
    return _made_correlator(kind, _key(shadowgram))


def _key(shadowgram: Shadowgram) -> bytes:
    """The decoding array of a shadowgram as something to keep results under."""
    return np.asarray(shadowgram.decoding).tobytes()


@lru_cache(maxsize=2 * (len(_BLOCKS) + 3))
def _made_correlator(kind: str, decoding: bytes) -> MaskCorrelator:
    contrast = _contrast(decoding)
    if kind == "contrast":
        return MaskCorrelator(contrast)
    if kind == "contrast squared":
        return MaskCorrelator(contrast * mask_contrast())
    if kind == "footprint":
        return MaskCorrelator(mask_footprint())
    return _block_correlator(contrast, *_BLOCKS[kind])


def _contrast(decoding: bytes) -> Array:
    """Decoding array of a shadowgram from its bytes: the mask's contrast where it has none of its own."""
    return np.frombuffer(decoding).reshape(mask_contrast().shape) if decoding else mask_contrast()


def _block_correlator(contrast: Array, rows: int, columns: int) -> MaskCorrelator:
    """Correlator with the squared sum of the contrast over a block whose first pixel has the weight."""
    contrast = np.pad(contrast, ((rows - 1, 0), (columns - 1, 0)))
    for axis, size in enumerate((rows, columns)):
        sums = np.cumsum(np.pad(contrast, [(0, size) if a == axis else (0, 0) for a in (0, 1)]), axis=axis)
        first = np.take(sums, np.arange(size - 1, size - 1 + contrast.shape[axis]), axis=axis)
        before = np.concatenate([np.zeros_like(np.take(sums, [0], axis=axis)), sums], axis=axis)
        contrast = first - np.take(before, np.arange(contrast.shape[axis]), axis=axis)
    return MaskCorrelator(contrast**2, before=(rows - 1, columns - 1))


def score_map(covariance: Covariance, values: Array) -> Array:
    """g'C^-1 x of the decoding shadow g at unit flux for every sky pixel; ``(400, 400)``.

    Parameters
    ----------
    covariance : Covariance
    values : ndarray
        ``(n_usable,)`` counts above the model.
    """
    shadowgram = covariance.shadowgram
    weighted = shadowgram.flat(shadowgram.source_response) * covariance.solve(values)
    return _correlator(shadowgram, "contrast")(shadowgram.unflat(weighted))


def least_significance(covariance: Covariance, values: Array) -> Array:
    """Significance that a source at each sky pixel has about at least: nothing is taken off for the background."""
    information = counting_information(covariance)
    seen = information > _SMALLEST_SHARE * information.max()
    return np.where(seen, score_map(covariance, values) / np.sqrt(np.maximum(information, 1e-30)), 0.0)


def counting_information(covariance: Covariance) -> Array:
    """Information that every sky pixel would have if the background's shape were known; ``(400, 400)``."""
    shadowgram = covariance.shadowgram
    source = shadowgram.flat(shadowgram.source_response)
    return _correlator(shadowgram, "contrast squared")(shadowgram.unflat(source**2 / covariance.variance))


def information_map(covariance: Covariance) -> Array:
    """g'C^-1 s for every sky pixel, s the shadow at unit flux, g its decoding; ``(400, 400)``.

    It is the score of a source of unit flux and, to a percent down to a coding of a tenth, the variance of the score;
    with a decoding array that is not the mask's contrast, to as much as that is uneven (`match_decoding`).

    Noise and smooth background are exact; what the structure's prior takes is summed block by block, as
    if blocks were independent, and the sum is calibrated with the exact value on a grid of directions.
    """
    information = counting_information(covariance)
    information -= _taken_by_smooth(covariance)
    for group in _BLOCKS:
        if getattr(covariance.widths, group) > 0:
            information -= _taken_by_group(covariance, group)
    return np.maximum(information, 0.0) / _excess_of_approximation(covariance, information)


def _excess_of_approximation(covariance: Covariance, information: Array) -> Array:
    """Ratio of the approximate information to the exact one, a smooth surface through a grid of directions."""
    observed = information > 0.5 * _SMALLEST_SHARE * information.max()
    rows, columns = (index.ravel() for index in np.mgrid[22:380:_GRID_STEP, 22:380:_GRID_STEP])
    inside = observed[rows, columns]
    rows, columns = rows[inside], columns[inside]
    exact = _exact_information(covariance, rows, columns)
    ratio = np.clip(information[rows, columns] / exact, 0.5, 2.0)
    orders = [(i, j) for i in range(_SURFACE_ORDER + 1) for j in range(_SURFACE_ORDER + 1 - i)]
    z, y = ((index - SKY_CENTRE) / 180 for index in (rows, columns))
    terms = np.stack([z**i * y**j for i, j in orders], axis=-1)
    coefficients = np.zeros((_SURFACE_ORDER + 1, _SURFACE_ORDER + 1))
    coefficients[tuple(np.transpose(orders))] = np.linalg.lstsq(terms, np.log(ratio))[0]
    powers = [((np.arange(n) - SKY_CENTRE) / 180)[:, None] ** np.arange(_SURFACE_ORDER + 1) for n in information.shape]
    surface = powers[0] @ coefficients @ powers[1].T
    return np.exp(np.clip(surface, -0.7, 0.7))


def _exact_information(covariance: Covariance, rows: IntArray, columns: IntArray) -> Array:
    usable = covariance.shadowgram.usable
    contrast = _contrast(_key(covariance.shadowgram))
    response = covariance.shadowgram.flat(covariance.shadowgram.source_response)[:, None]
    parts = []
    for first in range(0, len(rows), _DIRECTIONS_AT_ONCE):
        some = slice(first, first + _DIRECTIONS_AT_ONCE)
        places = list(zip(rows[some], columns[some], strict=True))
        shadows = np.stack([thin_shadow(r, c)[usable] for r, c in places], axis=1) * response
        decoding = np.stack([cast(contrast, r, c)[usable] for r, c in places], axis=1) * response
        parts.append(np.einsum("ij,ij->j", decoding, covariance.solve(shadows)))
    return np.concatenate([np.zeros(0), *parts])


def _taken_by_smooth(covariance: Covariance) -> Array:
    shadowgram = covariance.shadowgram
    weighted = covariance.smooth * (shadowgram.flat(shadowgram.source_response) / covariance.variance)[:, None]
    normal = covariance.smooth.T @ (covariance.smooth / covariance.variance[:, None])
    # w'N^-1 w as a sum of squares: of shapes that share nothing with one another
    values, vectors = np.linalg.eigh(normal)
    apart = values > _LEAST_EIGENVALUE * values[-1]
    weighted = weighted @ (vectors[:, apart] / np.sqrt(values[apart]))
    return _correlator(shadowgram, "contrast").sum_of_squares(shadowgram.unflat(column) for column in weighted.T)


def _taken_by_group(covariance: Covariance, group: str) -> Array:
    """Information that one kind of structure takes: sum over its blocks of w^2 / (W + tau^-2)."""
    shadowgram = covariance.shadowgram
    source, background = (shadowgram.flat(p) for p in (shadowgram.source_response, shadowgram.background_response))
    number = structure_groups()[group]
    member = number[shadowgram.usable]
    size = int(number.max()) + 1
    own = np.bincount(member, background**2 / covariance.variance, size)
    cross = np.bincount(member, (source * background / covariance.variance) ** 2, size)
    rows, columns = _BLOCKS[group]
    strength = cross / (rows * columns) / (own + getattr(covariance.widths, group) ** -2.0)
    plane = np.zeros(number.shape)
    flat_number = number.ravel()
    first = np.unique(flat_number[flat_number >= 0], return_index=True)[1]
    plane.ravel()[np.flatnonzero(flat_number >= 0)[first]] = strength
    return _correlator(shadowgram, group)(plane)


def make_sky_maps(covariance: Covariance, score: Array, information: Array) -> SkyMaps:
    """Flux, variance, significance and exposure maps from score and information.

    Parameters
    ----------
    covariance : Covariance
    score, information : ndarray
        ``(400, 400)`` from `score_map` and `information_map`.
    """
    observed = information > _SMALLEST_SHARE * information.max()
    transmission = thickness_transmission()
    with np.errstate(divide="ignore", invalid="ignore"):
        flux = np.where(observed, score / (information * transmission), np.nan)
        variance = np.where(observed, 1 / (information * transmission**2), 0.0)
        significance = np.where(observed, score / np.sqrt(information), np.nan)
    shadowgram = covariance.shadowgram
    efficiency = shadowgram.unflat(np.full(int(shadowgram.usable.sum()), shadowgram.live_time_s))
    exposure = np.where(observed, _correlator(shadowgram, "footprint")(efficiency) / N_PIXELS, 0.0)
    return SkyMaps(flux, variance, significance, exposure)


def local_noise(significance: Array, size: int = 61) -> Array:
    """Local standard deviation of a significance map in boxes of ``size`` pixels, at least 1."""
    observed = np.isfinite(significance)
    values = np.where(observed, np.clip(significance, -5, 5), 0.0)
    share = np.maximum(_box_mean(observed.astype(float), size), 1e-3)
    mean_square = np.maximum(_box_mean(values**2, size), 0.0) / share
    return np.maximum(1.0, np.sqrt(mean_square))


def _box_mean(plane: Array, size: int) -> Array:
    """Mean over a box around each pixel; the plane is mirrored at its edges. ``size`` is odd."""
    for axis in (0, 1):
        reach = [(size // 2 + 1, size // 2) if a == axis else (0, 0) for a in (0, 1)]
        sums = np.cumsum(np.pad(plane, reach, mode="symmetric"), axis=axis)
        last, before = (np.arange(plane.shape[axis]) + shift for shift in (size, 0))
        plane = (sums.take(last, axis=axis) - sums.take(before, axis=axis)) / size
    return plane
