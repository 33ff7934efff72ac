"""What the rise times of its events tell of a pixel.

Charges drift for longer in a pixel that collects them worse, and a rise time that is told wrong spoils the energy
that is corrected with it. So pixels whose rise times are unusual count more or less than their neighbours in every
band up to 100 keV. How far is not known beforehand and is fitted to each band. Means do not depend on how many events
there are, so that nothing of a band's own counts comes in. Further traits of the same kind (spread, share of very short
and of very long rise times) tell hardly more than the mean does.
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
    pixel: Numbers, energy_kev: NDArray[np.floating[Any]], rise_time: Numbers, raw_rise_time: Numbers | None
) -> NDArray[np.float32]:
    """Traits of the pixels, from all events of a window: their mean raw rise time.

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
        ``(1, 134, 130)`` mean rise time above 110 keV against that of the same energy, of mean 0 and standard deviation
        1 over the active pixels; ``(0, 134, 130)`` where it is not told or the events are too few.
    """
    nothing = np.zeros((0, *DETECTOR_SHAPE), np.float32)
    if raw_rise_time is None:
        return nothing
    hard = np.flatnonzero((energy_kev >= LOWEST_KEV) & (rise_time <= LONGEST_RISE_TIME))
    if len(hard) < _FEWEST_EVENTS * active_pixels().sum():
        return nothing
    mean = _mean_of_pixels(pixel[hard].astype(np.intp), _energy_group(energy_kev[hard]), raw_rise_time[hard])
    plane = _normalised(mean)
    return nothing if plane is None else plane[None].astype(np.float32)


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
    normal = np.linalg.pinv(design.T @ design, hermitian=True)  # a module that is off has no level
    amplitudes = (normal @ (design.T @ np.asarray(traits)[:, usable].T))[: len(pifs)]
    errors = np.sqrt(np.maximum(np.diag(normal)[: len(pifs)], 0.0))
    seen = np.where(np.abs(amplitudes) > _SEEN * errors[:, None], amplitudes, 0.0)
    cleaned: Array = traits - np.einsum("st,sij->tij", seen, pifs)
    return cleaned


def _energy_group(energy_kev: NDArray[np.floating[Any]]) -> NDArray[np.int32]:
    """Number of the group of energies that each event belongs to, ``(n,)``."""
    steps = _GROUPS_AN_E_FOLD * np.log(energy_kev / np.float32(LOWEST_KEV))
    return np.minimum(steps, _MOST_GROUPS - 1).astype(np.int32)


def _mean_of_pixels(pixel: Numbers, energy: Numbers, values: Numbers) -> Array:
    """Mean of each pixel against that of the energy, drawn to 0 where events are few; ``(17420,)``."""
    place = energy * np.int32(_MOST_VALUES) + values
    counts = np.bincount(place, minlength=_MOST_GROUPS * _MOST_VALUES).reshape(_MOST_GROUPS, _MOST_VALUES)
    value = np.arange(_MOST_VALUES)
    difference = value - (counts @ value / np.maximum(counts.sum(axis=1), 1))[:, None]
    variance = float((counts * difference**2).sum() / counts.sum())
    number = np.bincount(pixel, minlength=_N_PIXELS)
    mean = np.bincount(pixel, difference.ravel()[place], _N_PIXELS) / np.maximum(number, 1)
    many = number > _FEWEST_EVENTS
    own = float(mean[many].var()) - variance / float(number[many].mean())
    return mean * number / (number + variance / own) if own > 0 else np.zeros(_N_PIXELS)


def _normalised(values: Array) -> Array | None:
    """Plane of mean 0 and standard deviation 1 over the active pixels, 0 elsewhere; None where all are alike."""
    plane, active = values.reshape(DETECTOR_SHAPE), active_pixels()
    plane = np.clip(plane, *np.percentile(plane[active], _OUTLIERS))
    mean, deviation = float(plane[active].mean()), float(plane[active].std())
    alike = deviation <= _ROUNDING * max(abs(mean), 1.0)
    return None if alike else np.where(active, (plane - mean) / deviation, 0.0)
