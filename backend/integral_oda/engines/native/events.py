"""COR, GTI and DEAD: from the archive's event file to selected events, good time and live time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from integral_oda.archive.calibration import ic_cards
from integral_oda.archive.events import EventList, read_events
from integral_oda.archive.exclusions import read_bad_time
from integral_oda.archive.housekeeping import read_dead_times
from integral_oda.arrays import Array
from integral_oda.engines.native.calibration import (
    check_mask,
    context_thresholds,
    of_kind,
    pixels_off,
    recalibrated,
    refused_files,
)
from integral_oda.engines.storage import load_record, save_record
from integral_oda.errors import DataError
from integral_oda.imaging.traits import pixel_traits
from integral_oda.instrument.deadtime import module_dead_fraction
from integral_oda.instrument.detector import DETECTOR_SHAPE, N_MODULES, active_pixels, module_map
from integral_oda.timing.binning import good_time_per_bin
from integral_oda.timing.good_time import DAY_S, intersect, phase_intervals, union, without
from integral_oda.timing.silence import find_silence, module_on_fraction

__all__ = [
    "Cor",
    "Dead",
    "DeadTime",
    "GoodTime",
    "Gti",
    "SelectedEvents",
    "mean_dead_fractions",
    "select_events",
    "select_of_window",
]

RISE_TIME_RANGE = (16, 116)
LEAST_ONTIME_S = 1.0
"""Shorter time selections leave a window out."""
_FEWEST_EVENTS = 100
_KEYWORDS = (
    *("REVOL", "SWID", "SW_TYPE", "SWBOUND", "OBTSTART", "OBTEND", "TSTART", "TSTOP", "TELAPSE"),
    *("RA_SCX", "DEC_SCX", "RA_SCZ", "DEC_SCZ", "DEADC", "SIMULATE"),
)


@dataclass(frozen=True)
class SelectedEvents:
    """Events that image and light curve are made of, and what all events tell of the detector.

    Attributes
    ----------
    time_ijd : ndarray
        ``(n,)`` float64, IJD.
    energy_kev : ndarray
        ``(n,)`` float32.
    pixel : ndarray
        ``(n,)`` uint16, 130 * DETZ + DETY.
    all_counts : ndarray
        ``(134, 130)`` events of every kind and energy.
    good_pixels : ndarray of bool
        ``(134, 130)``: not dead, no event flagged as noise.
    gti_ijd : ndarray
        ``(m, 2)`` good time of the archive.
    module_rates : ndarray
        ``(8,)`` mean rate of all events of each module, counts/s.
    rejected_time_ijd, rejected_module : ndarray
        ``(k,)`` float64 and uint8: the events that were not kept, which cost their module time all the same.
    header : dict
        Keywords of the science window, with those that say what its files told of the instrument.
    off_pixels : ndarray of bool
        ``(134, 130)`` switched off as context, telemetry or switch lists have it.
    context_threshold_kev : ndarray
        ``(134, 130)`` low thresholds as the context sets them, 0 where that is not known.
    silence_ijd : ndarray
        ``(k, 3)`` module (-1 for all of them together), start and stop of times without any event.
    traits : ndarray
        ``(n_traits, 134, 130)`` of `pixel_traits`.
    """

    time_ijd: NDArray[np.float64]
    energy_kev: NDArray[np.float32]
    pixel: NDArray[np.uint16]
    all_counts: NDArray[np.int64]
    good_pixels: NDArray[np.bool_]
    gti_ijd: NDArray[np.float64]
    module_rates: NDArray[np.float64]
    rejected_time_ijd: NDArray[np.float64]
    rejected_module: NDArray[np.uint8]
    header: dict[str, Any]
    off_pixels: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(DETECTOR_SHAPE, dtype=bool))
    context_threshold_kev: Array = field(default_factory=lambda: np.zeros(DETECTOR_SHAPE))
    silence_ijd: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 3)))
    traits: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, *DETECTOR_SHAPE), np.float32))

    @property
    def of_all_kinds(self) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
        """Time (IJD) and module of every event, kept or not, in order of time."""
        kept_module = module_map().ravel()[np.asarray(self.pixel)].astype(np.uint8)
        places = np.searchsorted(self.time_ijd, self.rejected_time_ijd, side="right")
        time = np.insert(self.time_ijd, places, self.rejected_time_ijd)
        return time, np.insert(kept_module, places, self.rejected_module)

    @property
    def revolution(self) -> int:
        """Revolution number, 0 where the file does not say."""
        return int(self.header.get("REVOL") or 0)


@dataclass(frozen=True)
class GoodTime:
    """Good time intervals ``(m, 2)`` in IJD, in order and apart."""

    intervals_ijd: NDArray[np.float64]

    @property
    def ontime_s(self) -> float:
        """Sum of the intervals, s."""
        return float(np.diff(self.intervals_ijd, axis=1).sum() * DAY_S)

    def inside(self, time_ijd: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which times are good; times and intervals are in order."""
        inside = np.zeros(len(time_ijd), dtype=bool)
        for first, stop in np.searchsorted(time_ijd, np.asarray(self.intervals_ijd)):
            inside[first:stop] = True
        return inside


@dataclass(frozen=True)
class DeadTime:
    """Share of the time that each module is dead while it is on, ``(8,)``, and where the number comes from.

    Attributes
    ----------
    dead_fraction : ndarray
        ``(8,)``.
    origin : str
    on_fraction : ndarray
        ``(8,)`` share of the good time that each module is on.
    """

    dead_fraction: NDArray[np.float64]
    origin: str
    on_fraction: NDArray[np.float64] = field(default_factory=lambda: np.ones(N_MODULES))

    @property
    def deadc(self) -> float:
        """Live share of the time, mean over the modules."""
        return float(1 - np.mean(self.dead_fraction))


class Cor:
    """Select events: rise time, noise flag, energy; find dead and flagged pixels."""

    def compute(self, inputs: Sequence[Any], parameters: Mapping[str, Any], raw: Mapping[str, Path]) -> SelectedEvents:
        """Read the event file ``raw["events"]`` and select."""
        check_mask(raw)
        events = read_events(raw["events"])
        calibrated = recalibrated(events, raw)
        return select_of_window(calibrated, raw, by_line=calibrated is events)

    def save(self, value: SelectedEvents, folder: Path) -> None:
        """Write the columns."""
        save_record(value, folder)

    def load(self, folder: Path) -> SelectedEvents:
        """Read the columns, memory-mapped."""
        return load_record(SelectedEvents, folder)


def select_of_window(events: EventList, raw: Mapping[str, Path], *, by_line: bool) -> SelectedEvents:
    """Selected events of a window, with what its files tell of the pixels; ``by_line`` as in `select_events`.

    Raises
    ------
    DataError
        If they are too few for an image.
    """
    if len(events) < _FEWEST_EVENTS:
        raise DataError(f"{raw['events']}: only {len(events)} events; an image needs at least {_FEWEST_EVENTS}")
    off, told = pixels_off(raw, events.header)
    thresholds, origin = context_thresholds(raw)
    cards = {**ic_cards(dict(raw), refused_files(raw)), "PIXSTAT": told, "THRORIG": origin}
    selected = select_events(events, off, cards, by_line=by_line)
    return replace(selected, context_threshold_kev=thresholds)


def select_events(
    events: EventList,
    off: NDArray[np.bool_] | None = None,
    cards: Mapping[str, str] | None = None,
    *,
    by_line: bool = True,
) -> SelectedEvents:
    """Keep events of good rise time and energy from pixels that were never flagged.

    Parameters
    ----------
    events : EventList
    off : ndarray of bool, optional
        ``(134, 130)`` pixels that are known to be off.
    cards : mapping, optional
        Keywords to add to the header.
    by_line : bool
        Correct the energies of modules whose tungsten line is not where it belongs.
    """
    pixel = events.det_z.astype(np.uint16) * np.uint16(DETECTOR_SHAPE[1]) + events.det_y
    size = DETECTOR_SHAPE[0] * DETECTOR_SHAPE[1]
    all_counts = np.bincount(pixel, minlength=size)
    flagged = np.bincount(pixel[events.select_flag > 0], minlength=size) > 0
    good = active_pixels().ravel() & (all_counts > 0) & ~flagged
    if off is not None:
        good &= ~off.ravel()
    low, high = RISE_TIME_RANGE
    kept = (events.rise_time >= low) & (events.rise_time <= high) & (events.energy_kev > 0) & good[pixel]
    elapsed = max(float(events.time_ijd[-1] - events.time_ijd[0]) * DAY_S, 1e-3)
    module = module_map().ravel()
    rates = np.array([all_counts[module == m].sum() / elapsed for m in range(N_MODULES)])
    chosen, rejected = np.flatnonzero(kept), np.flatnonzero(~kept)
    energy, kept_pixel = events.energy_kev[chosen], pixel[chosen]
    header = {key: events.header[key] for key in _KEYWORDS if events.header.get(key) is not None}
    energy, gain = _with_gain(energy, module[kept_pixel], int(header.get("REVOL") or 0), by_line)
    return SelectedEvents(
        time_ijd=events.time_ijd[chosen],
        energy_kev=energy,
        pixel=kept_pixel,
        all_counts=all_counts.reshape(DETECTOR_SHAPE),
        good_pixels=good.reshape(DETECTOR_SHAPE),
        gti_ijd=events.gti_ijd,
        module_rates=rates,
        rejected_time_ijd=events.time_ijd[rejected],
        rejected_module=np.maximum(module[pixel[rejected]], 0).astype(np.uint8),
        header=header | gain | dict(cards or {}),
        off_pixels=np.zeros(DETECTOR_SHAPE, dtype=bool) if off is None else off,
        silence_ijd=find_silence(events.time_ijd, module[pixel]),
        traits=pixel_traits(pixel, events.energy_kev, events.rise_time, events.raw_rise_time),
    )


def _with_gain(
    energy_kev: NDArray[np.float32], module: NDArray[np.integer[Any]], revolution: int, by_line: bool
) -> tuple[NDArray[np.float32], dict[str, Any]]:
    """Energies at the gain that the window itself shows, and the cards that tell of it."""
    # Not above: the events are read while another thread still imports the libraries that lines are fitted with
    from integral_oda.engines.native.gain import correction_card, gain_cards, gain_factors, module_spectra

    spectra = module_spectra(energy_kev, module)
    factors = gain_factors(spectra, revolution) if by_line else np.ones(N_MODULES)
    if (factors != 1).any():
        energy_kev = energy_kev * factors.astype(np.float32)[module]
    return energy_kev, gain_cards(spectra, revolution) | correction_card(factors)


class Gti:
    """Good time of the window: the archive's merged intervals, cut to what the query selects."""

    def compute(self, inputs: Sequence[Any], parameters: Mapping[str, Any], raw: Mapping[str, Path]) -> GoodTime:
        """Take the intervals that come with the events; a second input is good time to be cut to as well.

        Parameters are ``intervals`` (IJD) and ``phase`` (epoch in IJD, period in s, start, stop), where they are asked.
        """
        events, *states = inputs
        good = GoodTime(_without_bad_time(events, of_kind(raw, "bti")))
        if good.ontime_s <= 0:
            raise DataError(f"science window {events.header.get('SWID', '')}: no good time")
        if not (parameters or states):
            return good
        selected = GoodTime(_selected(good.intervals_ijd, parameters, states))
        if selected.ontime_s < LEAST_ONTIME_S:
            raise DataError(
                f"science window {events.header.get('SWID', '')}: the time selection leaves {selected.ontime_s:.3g} s "
                f"of {good.ontime_s:.1f} s; at least {LEAST_ONTIME_S:g} s are needed"
            )
        return selected

    def save(self, value: GoodTime, folder: Path) -> None:
        """Write the intervals."""
        save_record(value, folder)

    def load(self, folder: Path) -> GoodTime:
        """Read the intervals."""
        return load_record(GoodTime, folder)


def _without_bad_time(events: SelectedEvents, files: Mapping[str, Path]) -> Array:
    """Good time of the archive less telemetry gaps and the bad time of the IC tree."""
    silence = np.asarray(events.silence_ijd)
    bad = [(float(start), float(stop)) for _, start, stop in silence[silence[:, 0] < 0]]
    bad += [(start, stop) for path in files.values() for start, stop, _ in read_bad_time(path)]
    return without(union(np.array(events.gti_ijd)), bad)


def _selected(good: Array, parameters: Mapping[str, Any], states: Sequence[GoodTime]) -> Array:
    if "intervals" in parameters:
        good = intersect(good, union(parameters["intervals"]))
    if "phase" in parameters and len(good):
        epoch, period, start, stop = parameters["phase"]
        span = (float(good[0, 0]), float(good[-1, 1]))
        good = intersect(good, phase_intervals(span, epoch, period, (start, stop)))
    for state in states:
        good = intersect(good, np.asarray(state.intervals_ijd))
    return good


class Dead:
    """Dead time of each module: from the dead-time file, else DEADC, else the rates of all events."""

    def compute(self, inputs: Sequence[Any], parameters: Mapping[str, Any], raw: Mapping[str, Path]) -> DeadTime:
        """Average over the window."""
        events, good = inputs
        on = module_on_fraction(np.asarray(events.silence_ijd), np.asarray(good.intervals_ijd))
        return replace(self._dead_time(events, good, raw), on_fraction=on)

    def _dead_time(self, events: SelectedEvents, good: GoodTime, raw: Mapping[str, Path]) -> DeadTime:
        if "dead" in raw:
            return DeadTime(mean_dead_fractions(raw["dead"], events.header, good), "isgri_dead.fits")
        deadc = events.header.get("DEADC")
        if deadc is not None and 0 < float(deadc) <= 1:
            return DeadTime(np.full(N_MODULES, 1 - float(deadc)), "DEADC keyword")
        fraction = module_dead_fraction(np.asarray(events.module_rates), events.revolution)
        return DeadTime(fraction, "module rates and nominal veto")

    def save(self, value: DeadTime, folder: Path) -> None:
        """Write the fractions."""
        save_record(value, folder)

    def load(self, folder: Path) -> DeadTime:
        """Read the fractions."""
        return load_record(DeadTime, folder)


def mean_dead_fractions(path: Path, header: Mapping[str, Any], good: GoodTime) -> NDArray[np.float64]:
    """Dead fraction of each module, ``(8,)``, every sample weighted by the good time in its interval."""
    obt, fractions = read_dead_times(path)
    limits = [float(header.get(key, "nan")) for key in ("OBTSTART", "OBTEND", "TSTART", "TSTOP")]
    if len(obt) < 2 or not np.all(np.isfinite(limits)):
        return np.asarray(fractions.mean(axis=0))
    time = np.interp(obt.astype(float), limits[:2], limits[2:])
    half = np.median(np.diff(time)) / 2
    edges = np.concatenate([[time[0] - half], (time[1:] + time[:-1]) / 2, [time[-1] + half]])
    weight = good_time_per_bin(edges, np.asarray(good.intervals_ijd))
    return np.asarray(np.average(fractions, axis=0, weights=weight if weight.any() else None))
