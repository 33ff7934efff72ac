"""QUALITY: what a science window is like, before anything is asked of its sources."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from integral_oda.engines.native.events import DeadTime, GoodTime, SelectedEvents
from integral_oda.engines.native.field import (
    DetectorEfficiency,
    FieldSources,
    live_time_map,
)
from integral_oda.engines.native.gain import SPECTRUM_EDGES_KEV, corrected_by, module_gain, module_spectra
from integral_oda.engines.native.image import band_maps, noise_numbers, noise_region, null_of
from integral_oda.engines.native.sources import FieldFit, fit_field
from integral_oda.engines.storage import load_record, save_record
from integral_oda.imaging.quality import (
    LIMITS,
    PIXEL_STATES,
    judge,
    mean_rates,
    pixel_states,
    rate_variation,
    residual_maps,
    significance_histogram,
)
from integral_oda.imaging.shadowgram import Shadowgram
from integral_oda.imaging.structure import Covariance
from integral_oda.imaging.thresholds import threshold_sigma_kev
from integral_oda.instrument.attitude import Attitude, tangents_to_pixel
from integral_oda.instrument.detector import DETECTOR_SHAPE, N_MODULES, N_PIXELS, module_map
from integral_oda.instrument.energy import EnergyBand
from integral_oda.products.quality_page import WindowQuality, write_quality
from integral_oda.timing.binning import fixed_edges, good_time_per_bin
from integral_oda.timing.good_time import DAY_S, gaps

__all__ = ["PackQuality", "Quality"]

NEW_SOURCE_SIGNIFICANCE = 7.0
_HISTOGRAM_EDGES = np.arange(-6.0, 6.01, 0.25)
_RATE_BIN_S, _VARIATION_BIN_S = 2.0, 100.0
_MOST_STEPS = 4


class Quality:
    """Numbers and maps of a window's quality, with a verdict."""

    def compute(self, inputs: Sequence[Any], parameters: Mapping[str, Any], raw: Mapping[str, Path]) -> WindowQuality:
        """Look at detector, time line and image in every band."""
        events, good, dead, efficiency, field, *pairs = inputs
        bands = [EnergyBand(*band) for band in parameters["bands"]]
        shadowgrams: list[Shadowgram] = pairs[: len(bands)]
        covariances = [Covariance(s, w) for s, w in zip(shadowgrams, pairs[len(bands) :], strict=True)]
        window = _Window(events, good, dead, efficiency)
        sky = _Sky(covariances, bands, field, efficiency, Attitude.from_keywords(events.header))
        numbers = {**window.numbers(), "modules": window.modules(), "bands": sky.numbers(shadowgrams)}
        verdict, reasons = judge(numbers)
        numbers |= {
            "verdict": verdict,
            "reasons": [asdict(reason) for reason in reasons],
            "limits": asdict(LIMITS),
            "pixel_state_names": list(PIXEL_STATES),
        }
        return WindowQuality(
            numbers=numbers,
            counts=np.stack([s.counts for s in shadowgrams]),
            efficiency=shadowgrams[0].efficiency,
            threshold_kev=shadowgrams[0].unflat(np.asarray(efficiency.threshold_kev)),
            pixel_state=window.states,
            spectra=window.spectra,
            spectrum_edges_kev=SPECTRUM_EDGES_KEV,
            rate_edges_ijd=window.rate_edges,
            rates=window.rates,
            intervals_ijd=np.asarray(good.intervals_ijd),
            histogram_edges=_HISTOGRAM_EDGES,
            histograms=sky.histograms,
            null_histograms=sky.null_histograms,
            residuals=sky.residuals,
        )

    def save(self, value: WindowQuality, folder: Path) -> None:
        """Write the maps and the numbers."""
        save_record(value, folder)

    def load(self, folder: Path) -> WindowQuality:
        """Read the maps and the numbers."""
        return load_record(WindowQuality, folder)


class PackQuality:
    """``quality.html``, ``quality.png`` and ``quality.json``."""

    def compute(self, inputs: Sequence[Any], parameters: Mapping[str, Any], raw: Mapping[str, Path]) -> WindowQuality:
        """Hand the quality on."""
        (quality,) = inputs
        result: WindowQuality = quality
        return result

    def save(self, value: WindowQuality, folder: Path) -> None:
        """Write the product files."""
        write_quality(folder, value)
        lists = {name: value.numbers[name] for name in ("verdict", "reasons")}
        lists["noise"] = [
            {name: number for name, number in band.items() if name in _NOISE} for band in value.numbers["bands"]
        ]
        (folder / "lists.json").write_text(json.dumps(lists), encoding="utf-8")

    def load(self, folder: Path) -> Path:
        """Give the folder of the product files."""
        return folder


_NOISE = ("e1_kev", "e2_kev", "significance_mean", "significance_sigma", "null_sigma", "largest_excess",
          "sources_masked")  # fmt: skip


class _Window:
    """What the events tell without any image."""

    def __init__(self, events: SelectedEvents, good: GoodTime, dead: DeadTime, efficiency: DetectorEfficiency) -> None:
        self.events, self.good, self.dead, self.efficiency = events, good, dead, efficiency
        self.usable = np.asarray(efficiency.usable)
        time = np.asarray(events.time_ijd)
        self.span = _span(events, good)
        self.rate_edges = fixed_edges(*self.span, _RATE_BIN_S)
        self.rates = np.histogram(time, self.rate_edges)[0] / (np.diff(self.rate_edges) * DAY_S)
        inside = good.inside(time)
        self.time, self.energy, pixel = time[inside], np.asarray(events.energy_kev)[inside], events.pixel[inside]
        self.counts = np.bincount(pixel, minlength=DETECTOR_SHAPE[0] * DETECTOR_SHAPE[1]).reshape(DETECTOR_SHAPE)
        self.module = np.where(self.usable, module_map(), -1).ravel()[pixel]
        self.states = self._states()
        # As the archive has them: the page tells of the instrument.
        self.spectra = module_spectra(self.energy / corrected_by(events.header)[self.module], self.module)

    def _states(self) -> NDArray[np.uint8]:
        good, quiet = np.asarray(self.events.good_pixels), np.asarray(self.efficiency.quiet)
        off = np.asarray(self.events.off_pixels)
        return pixel_states(np.asarray(self.events.all_counts), good, quiet | self.usable, self.usable, off)

    def numbers(self) -> dict[str, Any]:
        """Time, pixels and rate of the window."""
        header, good_s = self.events.header, self.good.ontime_s
        elapsed = (self.span[1] - self.span[0]) * DAY_S
        lost = gaps(np.asarray(self.good.intervals_ijd), *self.span)
        return {
            "science_window": str(header.get("SWID", "")),
            "revolution": self.events.revolution,
            "start_ijd": self.span[0],
            "stop_ijd": self.span[1],
            "elapsed_s": elapsed,
            "good_time_s": good_s,
            "gaps": [{"start_ijd": float(a), "seconds": float((b - a) * DAY_S)} for a, b in lost],
            "deadc": self.dead.deadc,
            "dead_time_from": self.dead.origin,
            "pixel_status_from": header.get("PIXSTAT", "events"),
            "gain_warning": header.get("GAINWARN", "none"),
            "gain_correction": header.get("GAINCORR", "none"),
            "pixels": {name: int((self.states == k).sum()) for k, name in enumerate(PIXEL_STATES) if k},
            "usable_fraction": float(self.usable.sum()) / N_PIXELS,
            "threshold_kev": self.efficiency.thresholds.mean_kev,
            "threshold_spread_kev": self.efficiency.thresholds.spread_kev,
            "thresholds_from": header.get("THRORIG", "events"),
            "rate": self._variation(),
        }

    def _variation(self) -> dict[str, float]:
        edges = fixed_edges(*self.span, _VARIATION_BIN_S)
        seconds = good_time_per_bin(edges, np.asarray(self.good.intervals_ijd))
        return rate_variation(np.histogram(self.time, edges)[0], seconds)

    def modules(self) -> list[dict[str, Any]]:
        """One entry a module."""
        live = live_time_map(self.good, self.dead)
        rates = mean_rates(self.counts, self.usable, live)
        median = float(np.nanmedian(rates))
        pixels = np.bincount(module_map()[self.usable], minlength=N_MODULES)
        sigma = threshold_sigma_kev(self.events.revolution)
        return [
            {
                "number": m,
                "usable_fraction": float(pixels[m]) / (N_PIXELS // N_MODULES),
                "all_events_rate": float(self.events.module_rates[m]),
                "relative_rate": _finite(rates[m] / median),
                "on_fraction": float(self.dead.on_fraction[m]),
                "dead_fraction": float(self.dead.dead_fraction[m]),
                **module_gain(self.spectra, m, sigma),
            }
            for m in range(N_MODULES)
        ]


def _span(events: SelectedEvents, good: GoodTime) -> tuple[float, float]:
    intervals = np.asarray(good.intervals_ijd)
    start, stop = (events.header.get(key) for key in ("TSTART", "TSTOP"))
    first, last = float(intervals[0, 0]), float(intervals[-1, 1])
    return min(first, float(start or first)), max(last, float(stop or last))


def _finite(value: float) -> float:
    return float(value) if np.isfinite(value) else 0.0


class _Sky:
    """What the images of the bands tell."""

    def __init__(
        self,
        covariances: list[Covariance],
        bands: list[EnergyBand],
        field: FieldSources,
        efficiency: DetectorEfficiency,
        attitude: Attitude,
    ) -> None:
        self.fit: FieldFit = fit_field(covariances, bands, field, attitude, NEW_SOURCE_SIGNIFICANCE)
        self.noise, histograms, null_histograms = [], [], []
        for k, band in enumerate(bands):
            maps, null = band_maps(self.fit, k, null_of(efficiency))
            region = noise_region(maps, self.fit)
            self.noise.append(noise_numbers(maps, null, self.fit, band))
            histograms.append(significance_histogram(maps.significance[region], _HISTOGRAM_EDGES))
            null_histograms.append(significance_histogram(null[0][region], _HISTOGRAM_EDGES))
            if k == 0:
                self.strongest = self._by_significance(k)[:_MOST_STEPS]
                self.residuals = residual_maps(self.fit.models[k], [self.fit.places[s] for s in self.strongest])
        self.histograms, self.null_histograms = np.stack(histograms), np.stack(null_histograms)

    def _by_significance(self, k: int) -> list[int]:
        model = self.fit.models[k]
        fluxes, covariance = model.fit(self.fit.places)
        return [int(s) for s in np.argsort(-fluxes / np.sqrt(np.diag(covariance)))]

    def numbers(self, shadowgrams: Sequence[Shadowgram]) -> list[dict[str, Any]]:
        """One entry a band: counts, noise, and in the first band what each source leaves."""
        bands = [
            {**noise, "counts": int(s.counts.sum()), "sources": self._fluxes(k)}
            for k, (noise, s) in enumerate(zip(self.noise, shadowgrams, strict=True))
        ]
        bands[0]["residuals"] = self._steps()
        return bands

    def _fluxes(self, k: int) -> list[dict[str, Any]]:
        fluxes, covariance = self.fit.models[k].fit(self.fit.places)
        errors = np.sqrt(np.diag(covariance))
        return [
            {"name": self.fit.names[s], "flux": float(fluxes[s]), "flux_error": float(errors[s])}
            for s in self._by_significance(0)
        ]

    def _steps(self) -> list[dict[str, Any]]:
        """Noise of the residual maps, each with the source that was taken away last and its pixel."""
        steps: list[dict[str, Any]] = []
        for k, residual in enumerate(self.residuals):
            step: dict[str, Any] = {"source": None, "column": None, "row": None}
            if k:
                column, row = tangents_to_pixel(*self.fit.places[self.strongest[k - 1]])
                step = {"source": self.fit.names[self.strongest[k - 1]], "column": float(column), "row": float(row)}
            step |= {"sigma": float(np.nanstd(residual)), "largest": float(np.nanmax(residual))}
            steps.append(step)
        return steps
