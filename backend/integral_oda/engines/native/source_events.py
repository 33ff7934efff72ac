"""BURST and EVT: bursts of a source, and its events with what each is worth."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from integral_oda.arrays import Array
from integral_oda.engines.native.barycentre import barycentre_keywords, orbit_of
from integral_oda.engines.native.field import live_time_map
from integral_oda.engines.native.timing import window_keywords
from integral_oda.engines.native.window_fit import BandEvents, WindowFit, live_in_bins, select_band
from integral_oda.engines.storage import load_record, save_record
from integral_oda.instrument.attitude import Attitude
from integral_oda.instrument.detector import DETECTOR_SHAPE
from integral_oda.instrument.energy import EnergyBand
from integral_oda.products.burst_list import FoundBurst
from integral_oda.timing.barycentre import barycentric_ijd
from integral_oda.timing.binning import SHORTEST_RATE_S, fixed_edges, silences
from integral_oda.timing.bursts import SourceStream, find_bursts
from integral_oda.timing.good_time import DAY_S, gaps, union

__all__ = ["Bursts", "JoinBursts", "JoinSourceEvents", "SourceEvents", "WeightedEvents"]

_STEADY_BIN_S = 4.0
_BURSTS_FILE = "bursts.json"


@dataclass(frozen=True)
class WeightedEvents:
    """Events of one source in one band, in order of time.

    Attributes
    ----------
    time_ijd : ndarray
        ``(n,)`` IJD, in the frame that the keywords say.
    energy_kev : ndarray
        ``(n,)``.
    det_y, det_z : ndarray
        ``(n,)`` pixel.
    pif : ndarray
        ``(n,)`` illuminated share of the event's pixel.
    probability : ndarray
        ``(n,)`` that the event is the source's, by the mean model of its window.
    weight : ndarray
        ``(n,)`` of the light curve's estimator: a sum over a good time, over that time, is the rate in counts/s.
    gti_ijd : ndarray
        ``(m, 2)``.
    source : dict
        ``name``, ``ra_deg``, ``dec_deg``, ``e1_kev``, ``e2_kev``.
    keywords : dict
        As the light curve's.
    """

    time_ijd: NDArray[np.float64]
    energy_kev: NDArray[np.float32]
    det_y: NDArray[np.uint8]
    det_z: NDArray[np.uint8]
    pif: NDArray[np.float32]
    probability: NDArray[np.float32]
    weight: NDArray[np.float64]
    gti_ijd: NDArray[np.float64]
    source: dict[str, Any]
    keywords: dict[str, Any]


class _SourceModel:
    """Fit of a window in one band for one source, its events, and what each adds to the rate."""

    def __init__(self, inputs: Sequence[Any], parameters: Mapping[str, Any]) -> None:
        self.events, self.good, self.dead, field, *pairs = inputs
        n_bands = len(parameters["bands"])
        shadowgram, widths = pairs[0], pairs[n_bands]
        band = EnergyBand(*parameters["bands"][0])
        attitude = Attitude.from_keywords(self.events.header)
        self.fit = WindowFit(
            shadowgram, widths, field, band, parameters["source"], attitude, live_time_map(self.good, self.dead)
        )
        (self.number,) = self.fit.wanted
        self.chosen = select_band(self.events, self.good, shadowgram, band)
        self.intervals = np.asarray(self.good.intervals_ijd)
        self.weight = self._weights()

    def _weights(self) -> Array:
        edges = fixed_edges(self.intervals[0, 0], self.intervals[-1, 1], SHORTEST_RATE_S)
        live = live_in_bins(self.events, self.good, self.dead, edges)
        bins = np.clip(np.searchsorted(edges, self.chosen.time_ijd, side="right") - 1, 0, len(edges) - 2)
        weights: Array = self.fit.estimator.weights[self.chosen.pixel, self.number]
        return weights / live[self.chosen.module, bins]

    @property
    def steady(self) -> float:
        """Level between the bursts, counts/s: the median rate in bins of 4 s, good time as a whole."""
        edges = np.arange(self.intervals[0, 0], self.intervals[-1, 1], _STEADY_BIN_S / DAY_S)
        sums, _ = np.histogram(self.chosen.time_ijd, edges, weights=self.weight)
        return float(np.median(sums) / _STEADY_BIN_S + self.fit.offset[self.number]) if len(sums) else 0.0

    def expected(self, flux: float) -> Array:
        """Counts of each pixel per live second with the source at a flux, the others at their means."""
        fluxes = np.clip(self.fit.fluxes, 0.0, None)
        fluxes[self.number] = max(flux, 0.0)
        estimator = self.fit.estimator
        return estimator.background + estimator.shadows @ fluxes

    @property
    def stream(self) -> SourceStream:
        """What the burst search reads."""
        steady, live = self.steady, self.dead.deadc
        lost = gaps(self.intervals, self.intervals[0, 0], self.intervals[-1, 1])
        return SourceStream(
            time_ijd=self.chosen.time_ijd,
            weight=self.weight,
            pixel_weights=self.fit.estimator.weights[:, self.number] / live,
            expected=self.expected(steady) * live,
            good_ijd=self.intervals,
            lost_ijd=union(np.concatenate([lost, silences(self.events.of_all_kinds[0])])),
            offset=float(self.fit.offset[self.number]),
            steady=steady,
        )


class Bursts:
    """Bursts of the source asked for, in the first band."""

    def compute(
        self, inputs: Sequence[Any], parameters: Mapping[str, Any], raw: Mapping[str, Path]
    ) -> list[FoundBurst]:
        """Search one window; times stay the spacecraft's."""
        model = _SourceModel(inputs, parameters)
        swid = str(model.events.header.get("SWID", ""))
        name, band = model.fit.names[model.number], model.fit.band
        return [FoundBurst(name, swid, band, burst) for burst in find_bursts(model.stream)]

    def save(self, value: list[FoundBurst], folder: Path) -> None:
        """Write the list as JSON."""
        (folder / _BURSTS_FILE).write_text(json.dumps([asdict(item) for item in value]), encoding="utf-8")

    def load(self, folder: Path) -> list[FoundBurst]:
        """Read the list."""
        return [FoundBurst.from_dict(item) for item in json.loads((folder / _BURSTS_FILE).read_text(encoding="utf-8"))]


class JoinBursts(Bursts):
    """Bursts of all windows in order of time."""

    def compute(
        self, inputs: Sequence[tuple[str, list[FoundBurst]]], parameters: Mapping[str, Any], raw: Mapping[str, Path]
    ) -> list[FoundBurst]:
        """Put the lists together."""
        return sorted((item for _, found in inputs for item in found), key=lambda item: item.burst.start_ijd)


class SourceEvents:
    """Events of the source asked for, in the first band, with their weights."""

    def compute(self, inputs: Sequence[Any], parameters: Mapping[str, Any], raw: Mapping[str, Path]) -> WeightedEvents:
        """Weigh the events of one window, and take them to the barycentre where ``barycentre`` asks for it."""
        model = _SourceModel(inputs, parameters)
        fit, chosen, k = model.fit, model.chosen, model.number
        source = {
            "name": fit.names[k],
            "ra_deg": fit.ra[k],
            "dec_deg": fit.dec[k],
            "offset": float(fit.offset[k]),
            "common_error": float(fit.common_error[k]),
        }
        keywords = window_keywords(model.events, model.good, model.dead)
        time, gti = chosen.time_ijd, model.intervals
        if parameters.get("barycentre"):
            orbit = orbit_of(raw.get("orbit"), model.events.header, time)
            time = barycentric_ijd(time, fit.ra[k], fit.dec[k], orbit)
            gti = barycentric_ijd(gti.ravel(), fit.ra[k], fit.dec[k], orbit).reshape(-1, 2)
            keywords.update(barycentre_keywords(orbit))
        shadow = fit.estimator.shadows[chosen.pixel, k] * max(float(fit.fluxes[k]), 0.0)
        return WeightedEvents(
            time_ijd=time,
            energy_kev=chosen.energy_kev.astype(np.float32),
            det_y=_columns(chosen),
            det_z=_rows(chosen),
            pif=fit.pifs[chosen.pixel, k].astype(np.float32),
            probability=(shadow / model.expected(float(fit.fluxes[k]))[chosen.pixel]).astype(np.float32),
            weight=model.weight,
            gti_ijd=gti,
            source={**source, "e1_kev": fit.band.e1_kev, "e2_kev": fit.band.e2_kev},
            keywords=keywords,
        )

    def save(self, value: WeightedEvents, folder: Path) -> None:
        """Write the columns."""
        save_record(value, folder)

    def load(self, folder: Path) -> WeightedEvents:
        """Read the columns, memory-mapped."""
        return load_record(WeightedEvents, folder)


class JoinSourceEvents(SourceEvents):
    """Events of all windows in order of time."""

    def compute(
        self, inputs: Sequence[tuple[str, WeightedEvents]], parameters: Mapping[str, Any], raw: Mapping[str, Path]
    ) -> WeightedEvents:
        """Put the lists together."""
        lists = sorted((value for _, value in inputs), key=lambda value: float(value.gti_ijd[0, 0]))
        names = ("time_ijd", "energy_kev", "det_y", "det_z", "pif", "probability", "weight", "gti_ijd")
        columns = {name: np.concatenate([getattr(value, name) for value in lists]) for name in names}
        keywords = dict(lists[0].keywords)
        if len(lists) > 1:
            keywords = {key: keywords[key] for key in keywords if key not in ("SWID", "OBTSTART", "OBTEND")}
            for key in ("ONTIME", "EXPOSURE"):
                keywords[key] = float(sum(value.keywords[key] for value in lists))
        return WeightedEvents(**columns, source=lists[0].source, keywords=keywords)


def _columns(chosen: BandEvents) -> NDArray[np.uint8]:
    return (chosen.plane_pixel % _COLUMNS).astype(np.uint8)


def _rows(chosen: BandEvents) -> NDArray[np.uint8]:
    return (chosen.plane_pixel // _COLUMNS).astype(np.uint8)


_COLUMNS = DETECTOR_SHAPE[1]
