"""Bare shadowgrams with known truth: expected counts of each pixel and Poisson draws of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from integral_oda.arrays import Array
from integral_oda.instrument.detector import N_PIXELS, OPEN_PIXELS, active_pixels
from integral_oda.instrument.pif import pixel_illumination

__all__ = ["LitSource", "draw_shadowgram", "expected_shadowgram"]


class LitSource(NamedTuple):
    """A source in the ISGRI frame: tangents of its direction and flux in counts/s (OSA's unit)."""

    ty: float
    tz: float
    flux: float


def expected_shadowgram(
    sources: Iterable[LitSource],
    background_rate: float,
    live_time_s: float,
    efficiency: Array | float = 1.0,
    background_shape: Array | None = None,
    energy_kev: float = 50.0,
) -> Array:
    """Expected counts of each pixel.

    live time x efficiency x (sum of flux x PIF / 8192.4 + background rate x shape / 16384): efficiency
    multiplies sources and background, the shape the background alone.

    Parameters
    ----------
    sources : iterable of LitSource
        The sources.
    background_rate : float
        Counts/s of the whole plane.
    live_time_s : float
        Seconds, dead time taken off.
    efficiency : float or ndarray
        0 to 1, for all pixels or ``(134, 130)``.
    background_shape : ndarray, optional
        ``(134, 130)`` with mean 1 over the pixels; flat if not given.
    energy_kev : float
        For the transmission of the mask's tungsten.

    Returns
    -------
    ndarray
        ``(134, 130)`` float64, rows DETZ, columns DETY, 0 in the gaps.
    """
    active = active_pixels()
    shape = active.astype(float) if background_shape is None else background_shape
    rate = background_rate / N_PIXELS * shape
    for source in sources:
        rate = rate + source.flux / OPEN_PIXELS * pixel_illumination(source.ty, source.tz, energy_kev)
    return np.where(active, live_time_s * efficiency * rate, 0.0)


def draw_shadowgram(expected: Array, rng: np.random.Generator) -> NDArray[np.int64]:
    """One Poisson draw of expected counts, any shape."""
    return rng.poisson(expected)
