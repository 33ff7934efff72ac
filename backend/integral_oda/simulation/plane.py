"""State of the detector plane in a simulation: which pixels work, how well, and the background's shape."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from integral_oda.arrays import Array
from integral_oda.instrument.detector import (
    DETECTOR_SHAPE,
    MODULE_SHAPE,
    N_MODULES,
    active_pixels,
    local_coordinates,
    module_map,
)
from integral_oda.instrument.energy import resolution_sigma_kev
from integral_oda.simulation.recipe import BackgroundModel, DetectorModel

__all__ = ["DetectorPlane", "background_shape", "draw_plane"]


_MODULE_EDGE_PIXELS, _PLANE_EDGE_PIXELS = 2.0, 6.0
_SMALLEST_SHAPE = 0.05


@dataclass(frozen=True, eq=False)
class DetectorPlane:
    """Every pixel's state; arrays of shape (134, 130), rows DETZ, columns DETY.

    Attributes
    ----------
    working : ndarray of bool
        Pixels that record events: not dead, not in a gap, module on.
    noisy, hot : ndarray of bool
        Working pixels with spurious events that carry a flag, and that carry none.
    dead_time : ndarray, shape (8,)
        Dead time of each module (MDU).
    low_threshold_kev : ndarray
        Energy at which half of the events are recorded; 0 for no threshold.
    gain : ndarray
        Measured over true energy.
    background_shape : ndarray
        Relative background, mean 1 over the 16384 pixels, 0 in the gaps.
    """

    working: NDArray[np.bool_]
    noisy: NDArray[np.bool_]
    hot: NDArray[np.bool_]
    dead_time: Array
    low_threshold_kev: Array
    gain: Array
    background_shape: Array

    @property
    def live_fraction(self) -> Array:
        """Fraction of the time that each pixel records events, 0 for those that do not work."""
        return np.where(self.working, 1.0 - self.dead_time[module_map()], 0.0)

    def recorded_fraction(self, energy_kev: NDArray[np.floating], pixel: NDArray[np.integer], revolution: int) -> Array:
        """Fraction of the events of an energy that pass the low threshold of their pixel (flat index)."""
        from scipy.special import ndtr

        threshold = self.low_threshold_kev.ravel()[pixel]
        passed = ndtr((energy_kev - threshold) / resolution_sigma_kev(threshold, revolution))
        return np.where(threshold > 0, passed, 1.0)


def draw_plane(detector: DetectorModel, background: BackgroundModel, rng: np.random.Generator) -> DetectorPlane:
    """Draw the state of a detector plane."""
    active = active_pixels()
    on = active & ~np.isin(module_map(), detector.modules_off)
    lot = rng.random(DETECTOR_SHAPE)
    dead, noisy, hot = detector.dead_fraction, detector.noisy_fraction, detector.hot_fraction
    working = on & (lot >= dead)
    spread = rng.standard_normal(DETECTOR_SHAPE)
    threshold = detector.low_threshold_kev + detector.low_threshold_spread_kev * spread
    dead_time = detector.dead_time + detector.dead_time_spread * rng.standard_normal(N_MODULES)
    return DetectorPlane(
        working=working,
        noisy=working & (lot < dead + noisy),
        hot=working & (lot >= dead + noisy) & (lot < dead + noisy + hot),
        dead_time=np.clip(dead_time, 0.0, 0.99),
        low_threshold_kev=np.where(active, np.clip(threshold, 0.0, None), 0.0),
        gain=_gain(detector, rng),
        background_shape=background_shape(background, rng),
    )


def _gain(detector: DetectorModel, rng: np.random.Generator) -> Array:
    pixels = np.clip(1.0 + detector.gain_spread * rng.standard_normal(DETECTOR_SHAPE), 0.5, 1.5)
    return pixels * np.array(detector.module_gains)[module_map()] if detector.module_gains else pixels


def background_shape(model: BackgroundModel, rng: np.random.Generator) -> Array:
    """Relative background of each pixel, shape (134, 130), mean 1 over the pixels."""
    rows, columns = np.indices(DETECTOR_SHAPE)
    row, column = local_coordinates()
    inside_module = np.minimum(
        np.minimum(row, MODULE_SHAPE[0] - 1 - row), np.minimum(column, MODULE_SHAPE[1] - 1 - column)
    )
    inside_plane = np.minimum(
        np.minimum(rows, DETECTOR_SHAPE[0] - 1 - rows), np.minimum(columns, DETECTOR_SHAPE[1] - 1 - columns)
    )
    shape = 1.0 + model.edge_excess * np.exp(-inside_plane / _PLANE_EDGE_PIXELS)
    shape += model.edge_excess / 2 * np.exp(-inside_module / _MODULE_EDGE_PIXELS)
    across = rows / (DETECTOR_SHAPE[0] - 1) + columns / (DETECTOR_SHAPE[1] - 1) - 1
    shape *= 1.0 + model.gradient * across
    shape *= 1.0 + model.module_spread * rng.standard_normal(N_MODULES)[module_map()]
    shape *= 1.0 + model.pixel_spread * rng.standard_normal(DETECTOR_SHAPE)
    shape = np.where(active_pixels(), np.clip(shape, _SMALLEST_SHAPE, None), 0.0)
    normal: Array = shape / shape[active_pixels()].mean()
    return normal
