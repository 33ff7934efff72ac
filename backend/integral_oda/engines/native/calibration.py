"""What the steps take from the files of the revolution and of the IC tree: energies, pixels that are off, bad time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from integral_oda.archive.calibration import ENERGY_TABLES, IC_PREFIX
from integral_oda.archive.events import EventList, read_raw_amplitudes
from integral_oda.archive.housekeeping import (
    read_noisy_pixels,
    read_pixel_context,
    read_switch_list,
    read_temperatures,
)
from integral_oda.archive.ic_files import (
    read_decoding,
    read_detector_maps,
    read_efficiency_table,
    read_energy_calibration,
    read_mask,
)
from integral_oda.arrays import Array
from integral_oda.errors import DataError
from integral_oda.instrument.detector import DETECTOR_SHAPE, active_pixels
from integral_oda.instrument.energy import EnergyBand
from integral_oda.instrument.mask import mask_pattern
from integral_oda.instrument.pixel_status import threshold_kev

if TYPE_CHECKING:
    from integral_oda.imaging.decoding_array import DecodingMatch

__all__ = [
    "check_mask",
    "context_thresholds",
    "decoding_array",
    "detector_maps",
    "of_kind",
    "pixels_off",
    "recalibrated",
    "refused_files",
]


def of_kind(raw: Mapping[str, Path], *kinds: str) -> dict[str, Path]:
    """Files of the IC tree of some kinds, under the names of the kinds."""
    return {kind: raw[f"{IC_PREFIX}{kind}"] for kind in kinds if f"{IC_PREFIX}{kind}" in raw}


def recalibrated(events: EventList, raw: Mapping[str, Path]) -> EventList:
    """Events with energies and rise times of the IC tree's look-up tables; as they are where there are none."""
    calibration = read_energy_calibration(of_kind(raw, *ENERGY_TABLES))
    if calibration is None:
        return events
    amplitude, rise_time = read_raw_amplitudes(raw["events"])
    temperature = read_temperatures(raw["hk"]) if "hk" in raw else None
    y = events.det_y - 2 * (events.det_y >= 66)
    z = events.det_z - 2 * (events.det_z // 34)
    energy, rise = calibration.energies(amplitude, rise_time, y, z, events.time_ijd, temperature)
    return replace(events, energy_kev=energy, rise_time=rise)


def pixels_off(raw: Mapping[str, Path], header: Mapping[str, Any]) -> tuple[NDArray[np.bool_], str]:
    """Pixels that context, noisy-pixel telemetry or switch lists have off in a window, and which of these there were.

    Returns
    -------
    off : ndarray of bool
        ``(134, 130)``.
    origin : str
        For headers; ``"events"`` where none is there.
    """
    off, told = np.zeros(DETECTOR_SHAPE, dtype=bool), []
    if "context" in raw:
        off |= active_pixels() & ~read_pixel_context(raw["context"]).on
        told.append("context")
    start, stop = (int(str(header.get(key, 0))) for key in ("OBTSTART", "OBTEND"))
    for name, read in (("noisy", read_noisy_pixels), ("switch", read_switch_list)):
        paths = [path for key, path in raw.items() if key.startswith(f"{name}_")]
        for path in paths:
            off |= read(path, start, stop)
        if paths:
            told.append("HK3" if name == "noisy" else "switch list")
    return off, " + ".join(["events", *told])


def context_thresholds(raw: Mapping[str, Path]) -> tuple[Array, str]:
    """Low thresholds as the context sets them, and where the thresholds of the pixels come from.

    Returns
    -------
    threshold : ndarray
        ``(134, 130)`` keV, by OSA's law or the IC tree's table of efficiencies (effc); 0 where they are not known.
    origin : str
        For headers; ``"events"`` where the context tells nothing: then they are fitted to the events alone.
    """
    if "context" not in raw:
        return np.zeros(DETECTOR_SHAPE), "events"
    context, origin = read_pixel_context(raw["context"]), "context + events"
    threshold = np.where(context.on, threshold_kev(context.gain_index, context.threshold_step), 0.0)
    for path in of_kind(raw, "effc").values():
        threshold = read_efficiency_table(path).thresholds_kev(context.threshold_step, threshold)
        origin = "context, effc + events"
    if len(np.unique(threshold[threshold > 0])) < 2:
        return np.zeros(DETECTOR_SHAPE), "events"
    return threshold, origin


def detector_maps(raw: Mapping[str, Path], band: EnergyBand) -> dict[str, Array]:
    """Uniformity (``unif``) and background shape (``back``) of a band, ``(134, 130)``, where the IC tree has them."""
    return {kind: read_detector_maps(path).mean(band) for kind, path in of_kind(raw, "unif", "back").items()}


def check_mask(raw: Mapping[str, Path]) -> None:
    """Compare the IC tree's mask with the built-in one, which is what shadows are cast with.

    Raises
    ------
    DataError
        If they differ by more than a cell: then the tree is not this instrument's.
    """
    for path in of_kind(raw, "mask").values():
        different = int((read_mask(path) != mask_pattern()).sum())
        if different > 1:
            raise DataError(f"{path}: {different} of 9025 mask cells are not those of IBIS")


def decoding_array(raw: Mapping[str, Path]) -> DecodingMatch | None:
    """The IC tree's decoding array against the mask; None where there is none."""
    for path in of_kind(raw, "deco").values():
        from integral_oda.imaging.decoding_array import DecodingMatch, match_decoding

        try:
            return match_decoding(read_decoding(path))
        except DataError:
            return DecodingMatch(None, "has no such image")
    return None


def refused_files(raw: Mapping[str, Path]) -> dict[str, str]:
    """Kinds of the IC tree's files that are there and cannot be used, and why."""
    match = decoding_array(raw)
    return {"deco": match.reason} if match is not None and match.contrast is None else {}
