"""What the rise times of its events tell of a pixel.

Charges drift for longer in a pixel that collects them worse, and a rise time that is told wrong spoils the energy
that is corrected with it. So pixels whose rise times are unusual count more or less than their neighbours in every
band up to 100 keV. How far is not known beforehand and is fitted to each band. The traits themselves are of events
above 110 keV and of those that are never kept; means and shares do not depend on how many events there are.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from integral_oda.arrays import Array
from integral_oda.imaging.surfaces import smooth_surfaces
from integral_oda.instrument.detector import DETECTOR_SHAPE, active_pixels

__all__ = ["free_of_sources", "pixel_traits"]

LOWEST_KEV = 110.0
"""Structure of single pixels is seen up to here, and most sources have few events above."""
LONGEST_RISE_TIME = 116
"""The longest corrected rise time that OSA keeps."""
_SHORT_RISE_TIME = 40
_GROUPS_AN_E_FOLD, _MOST_GROUPS, _MOST_VALUES = 12, 30, 256
_OUTLIERS = (0.5, 99.5)
"""Percentiles that values are kept between: a few strange pixels would set the scale."""
_FEWEST_EVENTS = 20.0
"""A window with fewer events a pixel, on the average, tells nothing."""
_ROUNDING = 1e-9
_SEEN = 3.0
"""Significance of a source in a trait, whose standard deviation is 1."""
_N_PIXELS = DETECTOR_SHAPE[0] * DETECTOR_SHAPE[1]

Numbers = NDArray[np.integer[Any]]


def pixel_traits(
    pixel: Numbers,
    energy_kev: NDArray[np.floating[Any]],
    rise_time: Numbers,
    raw_rise_time: Numbers | None,
) -> NDArray[np.float32]:
    """Traits of the pixels, from all events of a window.

    Parameters
    ----------
    pixel : ndarray of int
        ``(n,)`` 130 * DETZ + DETY.
    energy_kev : ndarray
        ``(n,)``, 0 where invalid.
    rise_time, raw_rise_time : ndarray of int
        ``(n,)`` corrected (ISGRI_PI) and raw (RISE_TIME); the latter None where the file has none.

    Returns
    -------
    ndarray
        ``(n_traits, 134, 130)``, each of mean 0 and standard deviation 1 over the active pixels: mean and spread of the
        rise times above 110 keV against those of the same energy, share of short ones, number of events too long to be
        kept (logarithm and its square) and of those without energy. None where the events are too few.
    """
    hard = np.flatnonzero((energy_kev >= LOWEST_KEV) & (rise_time <= LONGEST_RISE_TIME))
    if len(hard) < _FEWEST_EVENTS * active_pixels().sum():
        return np.zeros((0, *DETECTOR_SHAPE), np.float32)
    where, energy = pixel[hard].astype(np.intp), _energy_group(energy_kev[hard])
    number = np.bincount(where, minlength=_N_PIXELS)
    planes = []
    for values in (rise_time, raw_rise_time):
        if values is not None:
            planes += _mean_and_spread(where, number, energy, values[hard])
    short = np.bincount(where[rise_time[hard] < _SHORT_RISE_TIME], minlength=_N_PIXELS)
    valid, late = energy_kev > 0, rise_time > LONGEST_RISE_TIME
    long = np.log1p(np.bincount(pixel[late & valid], minlength=_N_PIXELS))
    invalid = np.log1p(np.bincount(pixel[~valid], minlength=_N_PIXELS))
    planes += [np.log((short + 0.5) / (number + 1.0)), long, long**2, invalid]
    kept = [plane for plane in map(_normalised, planes) if plane is not None]
    return np.stack(kept).astype(np.float32) if kept else np.zeros((0, *DETECTOR_SHAPE), np.float32)


def free_of_sources(traits: NDArray[np.float32], pifs: Array, usable: NDArray[np.bool_]) -> Array:
    """Traits less what the events of bright sources tell of the pixels that they light.

    Photons of a source are absorbed nearer to the top than the background's, so that rise times are others where it
    shines, and what is fitted to the traits would take a share of the source. Only what shows in a trait is taken off:
    the rest is smaller than the chance likeness of a pixel illumination factor and the pixels' own traits.

    Parameters
    ----------
    traits : ndarray
        ``(n_traits, 134, 130)``.
    pifs : ndarray
        ``(n_sources, 134, 130)`` pixel illumination factors.
    usable : ndarray of bool
        ``(134, 130)``.
    """
    if not (len(traits) and len(pifs)):
        return np.asarray(traits)
    design = np.column_stack([np.asarray(pifs)[:, usable].T, smooth_surfaces()[usable]])
    normal = np.linalg.inv(design.T @ design)
    amplitudes = (normal @ (design.T @ np.asarray(traits)[:, usable].T))[: len(pifs)]
    errors = np.sqrt(np.diag(normal)[: len(pifs)])
    seen = np.where(np.abs(amplitudes) > _SEEN * errors[:, None], amplitudes, 0.0)
    cleaned: Array = traits - np.einsum("st,sij->tij", seen, pifs)
    return cleaned


def _energy_group(energy_kev: NDArray[np.floating[Any]]) -> NDArray[np.int32]:
    """Number of the group of energies that each event belongs to, ``(n,)``."""
    steps = _GROUPS_AN_E_FOLD * np.log(energy_kev / np.float32(LOWEST_KEV))
    return np.minimum(steps, _MOST_GROUPS - 1).astype(np.int32)


def _mean_and_spread(pixel: Numbers, number: Numbers, energy: Numbers, values: Numbers) -> list[Array]:
    """Mean of each pixel against that of the energy, drawn to 0 where events are few, and root mean square.

    ``(17420,)`` each.
    """
    place = energy * np.int32(_MOST_VALUES) + values
    counts = np.bincount(place, minlength=_MOST_GROUPS * _MOST_VALUES).reshape(_MOST_GROUPS, _MOST_VALUES)
    value = np.arange(_MOST_VALUES)
    difference = value - (counts @ value / np.maximum(counts.sum(axis=1), 1))[:, None]
    variance = float((counts * difference**2).sum() / counts.sum())
    mean, square = (
        np.bincount(pixel, of_place.ravel()[place], _N_PIXELS) / np.maximum(number, 1)
        for of_place in (difference, difference**2)
    )
    many = number > _FEWEST_EVENTS
    own = float(mean[many].var()) - variance / float(number[many].mean())
    drawn = mean * number / (number + variance / own) if own > 0 else np.zeros(_N_PIXELS)
    return [drawn, np.where(many, np.sqrt(square), np.sqrt(square[many].mean()))]


def _normalised(values: Array) -> Array | None:
    """Plane of mean 0 and standard deviation 1 over the active pixels, 0 elsewhere; None where all are alike."""
    plane, active = values.reshape(DETECTOR_SHAPE), active_pixels()
    plane = np.clip(plane, *np.percentile(plane[active], _OUTLIERS))
    mean, deviation = float(plane[active].mean()), float(plane[active].std())
    alike = deviation <= _ROUNDING * max(abs(mean), 1.0)
    return None if alike else np.where(active, (plane - mean) / deviation, 0.0)
