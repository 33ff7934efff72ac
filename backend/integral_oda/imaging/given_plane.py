"""Detector planes whose efficiency and background are given, as OSA's are, and their shadowgrams."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from integral_oda.arrays import Array
from integral_oda.errors import DataError
from integral_oda.imaging.shadowgram import LEAST_VARIANCE, Shadowgram, relative_map
from integral_oda.instrument.detector import OPEN_PIXELS

__all__ = [
    "CorrectedPlane",
    "GivenPlane",
    "plane_of_efficiency",
    "planes_of_corrected",
    "shadowgram_of_plane",
    "sum_planes",
]

_FEWEST_COUNTED = 100
_LEAST_BACKGROUND = 0.01
"""Share of the counts; there is no detector whose background is less."""
_ODD_UNIFORMITY, _ODD_SHARE = 0.5, 0.1
"""No pixel answers by half more or less than another; more than this share of such pixels is no uniformity."""


@dataclass(frozen=True)
class GivenPlane:
    """Counts of a band, with how the pixels answer to sources and what the background should be.

    Attributes
    ----------
    counts : ndarray
        ``(134, 130)``.
    efficiency : ndarray
        ``(134, 130)`` share of a source's counts in the good time that a pixel registers, dead time and uniformity
        included; 0 where it is not used.
    background : ndarray
        ``(134, 130)`` expected counts, 0 where not used.
    """

    counts: Array
    efficiency: Array
    background: Array


def plane_of_efficiency(
    counts: Array, efficiency: Array, uniformity: Array | None = None, background: Array | None = None
) -> GivenPlane:
    """Plane with the background that has all the counts, in a shape that is given.

    Parameters
    ----------
    counts : ndarray
        ``(134, 130)``.
    efficiency : ndarray
        ``(134, 130)``, dead time included; 0 where it is not used.
    uniformity, background : ndarray, optional
        ``(134, 130)`` response of each pixel to sources and background, and shape of the background, each relative
        to its mean; 1 unless given.
    """
    usable = efficiency > 0
    seen = np.where(usable, efficiency, 0.0) * relative_map(uniformity, usable)
    shape = seen * relative_map(background, usable)
    level = counts[usable].sum() / shape.sum() if usable.any() else 0.0
    return GivenPlane(np.where(usable, counts, 0.0), seen, shape * level)


@dataclass(frozen=True)
class CorrectedPlane:
    """A shadowgram before and after its correction for efficiency, uniformity and background, all ``(134, 130)``.

    Attributes
    ----------
    counts, efficiency : ndarray
        D and e, dead time included.
    corrected, variance : ndarray
        C = (D/e - b B)/U and D/(e U)^2 in any unit of time, U the uniformity and b B the background.
    used : ndarray
        Weights that the correction left, 0 for pixels that are not to be used.
    uniformity : ndarray or None
        U of pixels without counts, whose variance tells nothing, relative to its mean; 1 where it is None.
    """

    counts: Array
    efficiency: Array
    corrected: Array
    variance: Array
    used: Array
    uniformity: Array | None = None

    @property
    def usable(self) -> NDArray[np.bool_]:
        """Pixels that are used."""
        usable: NDArray[np.bool_] = (self.efficiency > 0) & (self.used > 0) & np.isfinite(self.corrected)
        return usable

    @property
    def counted(self) -> NDArray[np.bool_]:
        """Pixels whose variance tells how they answer."""
        counted: NDArray[np.bool_] = self.usable & (self.counts > 0) & (self.variance > 0)
        return counted

    @property
    def answer(self) -> Array:
        """U times the unit of time of C where it is told, 0 elsewhere."""
        told = self.counted
        root = np.sqrt(np.divide(self.counts, self.variance, out=np.zeros(told.shape), where=told))
        return np.divide(root, self.efficiency, out=np.zeros(told.shape), where=told)


def planes_of_corrected(planes: Sequence[CorrectedPlane]) -> list[GivenPlane]:
    """Planes of one time whose background and uniformity are those that they were corrected for.

    Variance and counts together tell e U and the unit of C; C e U is then D - e b B, whatever the unit. Where nothing
    was taken away the background is one that all pixels answer to as they do to the sky.

    Raises
    ------
    DataError
        If the variances are not those of the counts.
    """
    uniform = [relative_map(plane.uniformity, plane.usable) for plane in planes]
    pairs = list(zip(planes, uniform, strict=True))
    answers = np.concatenate([(plane.answer / flat)[plane.counted] for plane, flat in pairs])
    if len(answers) < _FEWEST_COUNTED:
        raise DataError(f"only {len(answers)} pixels of the corrected shadowgrams have counts and a variance")
    unit = float(np.median(answers))
    if (np.abs(answers / unit - 1) > _ODD_UNIFORMITY).mean() > _ODD_SHARE:
        raise DataError("corrected shadowgrams whose variance is not that of their counts")
    return [_uncorrected(plane, flat, unit) for plane, flat in pairs]


def _uncorrected(plane: CorrectedPlane, uniform: Array, unit: float) -> GivenPlane:
    usable = plane.usable
    seen = np.where(usable, plane.efficiency * np.where(plane.counted, plane.answer / unit, uniform), 0.0)
    excess = unit * seen * np.where(usable, plane.corrected, 0.0)
    counts = np.where(usable, plane.counts, 0.0)
    background = np.maximum(counts - excess, 0.0)
    if background.sum() < _LEAST_BACKGROUND * counts.sum():
        return plane_of_efficiency(counts, seen)
    return GivenPlane(counts, seen, background)


def sum_planes(planes: Sequence[GivenPlane], shares: Sequence[float] | Array) -> GivenPlane:
    """Sum of planes of adjoining bands or times.

    Parameters
    ----------
    planes : sequence of GivenPlane
    shares : sequence of float or ndarray
        Share that a source's counts in each have in all of its counts, which the efficiencies are weighted with.
    """
    weights = np.asarray(shares, dtype=float) / np.sum(shares)
    return GivenPlane(
        np.sum([plane.counts for plane in planes], axis=0),
        np.tensordot(weights, [plane.efficiency for plane in planes], axes=1),
        np.sum([plane.background for plane in planes], axis=0),
    )


def shadowgram_of_plane(plane: GivenPlane, ontime_s: float, live_time: Array) -> Shadowgram:
    """Shadowgram of a band; its variance has all the counts, as if there were no source.

    Parameters
    ----------
    plane : GivenPlane
    ontime_s : float
        Good time.
    live_time : ndarray
        ``(134, 130)`` live time of each pixel, s.

    Raises
    ------
    DataError
        If no pixel is used.
    """
    usable = (plane.efficiency > 0) & (live_time > 0)
    if not usable.any():
        raise DataError("a shadowgram without any pixel of positive efficiency")
    seen, expected = (np.where(usable, values, 0.0) for values in (plane.efficiency, plane.background))
    level = max(float(plane.counts[usable].sum()) / max(float(expected.sum()), LEAST_VARIANCE), LEAST_VARIANCE)
    return Shadowgram(
        usable=usable,
        counts=np.where(usable, plane.counts, 0.0),
        expected=expected,
        source_response=seen * ontime_s / OPEN_PIXELS,
        background_response=expected,
        variance=np.where(usable, np.maximum(level * expected, LEAST_VARIANCE), 0.0),
        efficiency=seen * ontime_s / np.where(usable, live_time, 1.0),
        live_time_s=float(live_time[usable].mean()),
    )
