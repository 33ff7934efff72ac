"""A simulated source among the events of a real window."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from integral_oda.archive.events import EventList
from integral_oda.errors import DataError
from integral_oda.instrument.attitude import MISALIGNMENT, Attitude, Misalignment
from integral_oda.instrument.detector import DETECTOR_SHAPE, OPEN_PIXELS
from integral_oda.instrument.energy import EnergyBand
from integral_oda.instrument.pif import pixel_illumination
from integral_oda.simulation.behaviour import draw_times, mean_rate
from integral_oda.simulation.events import RISE_TIME_RANGE
from integral_oda.simulation.recipe import SourceModel
from integral_oda.simulation.spectra import source_spectrum

__all__ = ["LowThresholds", "inject"]

_SECONDS_A_DAY = 86400.0
_ALIKE = 300
"""Rise times are those of one of so many events with less and with more energy."""


@dataclass(frozen=True, eq=False)
class LowThresholds:
    """Turn-on of the pixels, which takes events out of a source as it does out of the background.

    Attributes
    ----------
    energy_kev : ndarray, shape (134, 130)
        Energy at which half of a pixel's events are recorded.
    sigma_kev : float
        Width of the turn-on, 1 sigma.
    tail : float
        Part of the events that is recorded far below the threshold.
    """

    energy_kev: NDArray[np.float64]
    sigma_kev: float
    tail: float = 0.0

    def recorded_fraction(
        self, energy_kev: NDArray[np.floating[Any]], pixel: NDArray[np.integer[Any]]
    ) -> NDArray[np.float64]:
        """Fraction of the events of an energy that a pixel (flat index) records."""
        from scipy.special import ndtr

        passed = ndtr((energy_kev - self.energy_kev.ravel()[pixel]) / self.sigma_kev)
        fraction: NDArray[np.float64] = self.tail + (1 - self.tail) * passed
        return fraction


def inject(
    events: EventList,
    source: SourceModel,
    band: EnergyBand,
    live_fraction: NDArray[np.float64] | float,
    seed: int,
    misalignment: Misalignment = MISALIGNMENT,
    low_thresholds: LowThresholds | None = None,
) -> EventList:
    """Add a simulated source to real events, in one energy band.

    The expected counts of a pixel are good time x live fraction x flux x PIF / 8192.4, with the flux of the
    source in the band. Injected events pass the standard selection.

    Parameters
    ----------
    events : EventList
        Real events; they are not changed.
    source : SourceModel
        The source; times of its behaviour count from TSTART.
    band : EnergyBand
        Injected events have energies in it.
    live_fraction : float or ndarray
        Fraction of the good time in which a pixel records events of the band: dead time and dead pixels,
        and thresholds where ``low_thresholds`` does not give them; for all pixels or ``(134, 130)``.
    seed : int
        Of the random numbers; written into the header.
    misalignment : Misalignment
        Of ISGRI.
    low_thresholds : LowThresholds, optional
        Energy by energy, what each pixel records of the source.

    Returns
    -------
    EventList
        All events in time order, with ``SIMULATE``, ``SEED`` and ``INJECTED`` (their number) in the header.
    """
    rng = np.random.default_rng(seed)
    attitude = Attitude.from_keywords(events.header, misalignment)
    ty, tz = (float(tangent) for tangent in attitude.tangents(source.ra, source.dec))
    start = float(events.header["TSTART"])
    good = (events.gti_ijd - start) * _SECONDS_A_DAY
    spectrum = source_spectrum(source.spectrum, source.flux, _revolution(events)).cut(*band)
    pif = pixel_illumination(ty, tz, float(np.sqrt(band.e1_kev * band.e2_kev))) if np.isfinite(ty + tz) else 0.0
    flux = spectrum.total * mean_rate(source.behaviour, good)
    expected = events.ontime_s * live_fraction * flux / OPEN_PIXELS * pif * np.ones(DETECTOR_SHAPE)
    counts = rng.poisson(expected).ravel()
    pixel = rng.permutation(np.repeat(np.arange(counts.size), counts))
    energy = spectrum.draw_energies(len(pixel), rng)
    if low_thresholds is not None:
        kept = rng.random(len(pixel)) < low_thresholds.recorded_fraction(energy, pixel)
        pixel, energy = pixel[kept], energy[kept]
    time = start + np.sort(draw_times(source.behaviour, good, len(pixel), rng)) / _SECONDS_A_DAY
    return _merged(events, _new_events(events, time, pixel, energy, seed, rng))


def _new_events(
    events: EventList,
    time_ijd: NDArray[np.float64],
    pixel: NDArray[np.int64],
    energy: NDArray[np.float32],
    seed: int,
    rng: np.random.Generator,
) -> EventList:
    n = len(pixel)
    det_z, det_y = np.divmod(pixel, DETECTOR_SHAPE[1])
    like = _like_events(events, energy, rng)
    return EventList(
        time_ijd=time_ijd,
        energy_kev=energy,
        rise_time=events.rise_time[like],
        det_y=det_y.astype(np.uint8),
        det_z=det_z.astype(np.uint8),
        select_flag=np.zeros(n, np.uint8),
        gti_ijd=events.gti_ijd,
        header={**events.header, "SIMULATE": True, "SEED": seed, "INJECTED": n},
        raw_rise_time=None if events.raw_rise_time is None else events.raw_rise_time[like],
    )


def _like_events(events: EventList, energy_kev: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.int64]:
    """Events of the window that have about these energies, one for each: theirs are the rise times."""
    kept = np.flatnonzero(
        (events.rise_time >= RISE_TIME_RANGE[0]) & (events.rise_time <= RISE_TIME_RANGE[1]) & (events.energy_kev > 0)
    )
    if not len(kept):
        raise DataError("the window has no event of good rise time and energy to draw rise times from")
    kept = kept[np.argsort(events.energy_kev[kept], kind="stable")]
    place = np.searchsorted(events.energy_kev[kept], energy_kev) + rng.integers(-_ALIKE, _ALIKE + 1, len(energy_kev))
    like: NDArray[np.int64] = kept[np.clip(place, 0, len(kept) - 1)]
    return like


def _revolution(events: EventList) -> int:
    return int(events.header.get("REVOL", 0))


def _merged(events: EventList, new: EventList) -> EventList:
    where = np.searchsorted(events.time_ijd, new.time_ijd, side="right")
    others = ("gti_ijd", "header", *(["raw_rise_time"] if events.raw_rise_time is None else []))
    columns = [field.name for field in fields(EventList) if field.name not in others]
    merged: dict[str, Any] = {name: np.insert(getattr(events, name), where, getattr(new, name)) for name in columns}
    return replace(new, **merged)
