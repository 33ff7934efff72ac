"""Blind injections: simulated sources among the events of the real sample window, measured by the native engine.

Run: python benchmarks/blind_injections.py [--sources 200] [--seed 1] [--archive DIR]; writes blind_injections.json
in benchmarks/reports. Each source is in no model; its forced flux, less the forced flux at the same place without
it, is compared with what was injected. Its events pass the low threshold that was fitted to each pixel.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from closed_loop import REPORTS, ZONES, Tangents, draw_place
from closed_loop_report import write_markdown

from integral_oda.archive.events import EventList, read_events
from integral_oda.archive.sample import fetch_sample
from integral_oda.arrays import Array
from integral_oda.engines.native.events import Dead, DeadTime, Gti, SelectedEvents, select_events
from integral_oda.engines.native.field import CatI, DetectorEfficiency, Effi, FieldSources
from integral_oda.engines.native.image import BinI, BkgI, RefI, band_energy_kev
from integral_oda.engines.native.sources import MODEL_SIGNIFICANCE
from integral_oda.folders import archive_root
from integral_oda.imaging.search import FieldModel
from integral_oda.imaging.structure import Covariance
from integral_oda.imaging.thresholds import CHANNELS, SPECTRUM_EDGES, refit_thresholds
from integral_oda.instrument.attitude import Attitude
from integral_oda.instrument.detector import DETECTOR_SHAPE, module_map
from integral_oda.instrument.energy import EnergyBand, neighbour_band
from integral_oda.simulation.inject import LowThresholds, inject
from integral_oda.simulation.recipe import Flux, PowerLaw, SourceModel
from integral_oda.simulation.spectra import source_spectrum

BANDS = (EnergyBand(40.0, 80.0), EnergyBand(28.0, 80.0))
STRENGTHS = (3, 6, 15)
INJECTED_BAND = EnergyBand(15.0, 300.0)
NEAREST_ARCMIN = 30.0


@dataclass(frozen=True)
class Window:
    """A window as the engine sees it: events, live time, sources, and the model of each band."""

    selected: SelectedEvents
    dead: DeadTime
    field: FieldSources
    efficiency: DetectorEfficiency
    models: list[FieldModel]

    @property
    def low_thresholds(self) -> LowThresholds:
        """Turn-on of every pixel; of those that the engine leaves out, fitted as that of the others is."""
        events, counted = self.selected, np.zeros((DETECTOR_SHAPE[0] * DETECTOR_SHAPE[1], len(SPECTRUM_EDGES) + 1))
        bins = np.searchsorted(SPECTRUM_EDGES, np.asarray(events.energy_kev), side="right")
        np.add.at(counted, (np.asarray(events.pixel), bins), 1)
        n, empty = len(counted), np.zeros((0, 2))
        fitted = self.efficiency.thresholds
        all_pixels = replace(
            fitted, energy_kev=np.zeros(n), light=np.zeros((n, 0)), glow=np.zeros((0, len(CHANNELS))), places=empty,
            centre_kev=fitted.mean_kev, width_kev=fitted.spread_kev, offset_kev=np.zeros(0),
        )  # fmt: skip
        fitted = refit_thresholds(all_pixels, counted[:, 1:-1])
        plane = fitted.energy_kev.reshape(DETECTOR_SHAPE)
        plane[self.efficiency.usable] = self.efficiency.threshold_kev
        return LowThresholds(plane, self.efficiency.sigma_kev, self.efficiency.tail)

    @property
    def live_fraction(self) -> Array:
        """Live part of the good time of each pixel, 0 for dead ones."""
        working = np.asarray(self.selected.all_counts) > 0
        return np.where(working, 1 - np.asarray(self.dead.dead_fraction)[module_map()], 0.0)


def analyse_window(events: EventList, dead_file: Path | None = None) -> Window:
    """COR to BKG_I of the native engine on events in memory, in every band; dead time from a file if there is one."""
    selected = select_events(events)
    good = Gti().compute([selected], {}, {})
    dead = Dead().compute([selected, good], {}, {} if dead_file is None else {"dead": dead_file})
    field = CatI().compute([selected], {}, {})
    efficiency = Effi().compute([selected, good, dead, field], {}, {})
    models: list[FieldModel] = []
    base = [selected, good, dead, efficiency, field]
    above = {band: neighbour_band(band) for band in BANDS}
    references = {n: RefI().compute(base, {"band": list(n)}, {}) for n in set(above.values()) if n is not None}
    for band in BANDS:
        parameters = {"band": list(band)}
        known = [references[n] for n in [above[band]] if n is not None]
        shadowgram = BinI().compute([*base, *known], parameters, {})
        widths = BkgI().compute([shadowgram, field], parameters, {})
        models.append(FieldModel(Covariance(shadowgram, widths), band_energy_kev(band)))
    return Window(selected, dead, field, efficiency, models)


def field_places(window: Window) -> list[Tangents]:
    """Catalogue sources that are significant in a band."""
    strongest = np.full(len(window.field.names), -np.inf)
    for model in window.models:
        fluxes, covariance = model.fit(window.field.tangents)
        strongest = np.maximum(strongest, fluxes / np.sqrt(np.diag(covariance)))
    return [t for t, s in zip(window.field.tangents, strongest, strict=True) if s >= MODEL_SIGNIFICANCE]


def forced(window: Window, known: list[Tangents], place: Tangents) -> list[tuple[float, float]]:
    """Flux and error at a place in every band, beside known sources."""
    fits = (model.fit([*known, place]) for model in window.models)
    return [(float(fluxes[-1]), float(np.sqrt(covariance[-1, -1]))) for fluxes, covariance in fits]


@dataclass(frozen=True)
class Injection:
    """One injected source in one band; fluxes in counts/s."""

    zone: str
    strength: int
    band: str
    injected: float
    measured: float
    before: float
    error: float

    @property
    def gain(self) -> float:
        """What the source adds to the forced flux."""
        return self.measured - self.before


def inject_and_measure(
    events: EventList, window: Window, known: list[Tangents], zone: str, strength: int, seed: int
) -> list[Injection]:
    """Inject one source at a random place of a zone and force its flux in every band."""
    rng = np.random.default_rng(seed)
    attitude = Attitude.from_keywords(events.header)
    place = draw_free_place(zone, known, rng)
    before = forced(window, known, place)
    flux = Flux(value=strength * before[0][1], band=(BANDS[0].e1_kev, BANDS[0].e2_kev))
    ra, dec = attitude.position(*place)
    source = SourceModel(name="injected", ra=ra, dec=dec, flux=flux, spectrum=PowerLaw(index=2.1))
    merged = inject(events, source, INJECTED_BAND, window.live_fraction, seed, low_thresholds=window.low_thresholds)
    after = forced(analyse_window(merged), known, place)
    spectrum = source_spectrum(source.spectrum, source.flux, window.selected.revolution)
    return [
        Injection(zone, strength, str(band), spectrum.band_rate(*band), new[0], old[0], old[1])
        for band, new, old in zip(BANDS, after, before, strict=True)
    ]


def draw_free_place(zone: str, known: list[Tangents], rng: np.random.Generator) -> Tangents:
    """Random place of a zone away from known sources."""
    while True:
        place = draw_place(zone, rng)
        distances = [np.rad2deg(np.hypot(place[0] - k[0], place[1] - k[1])) * 60 for k in known]
        if min(distances, default=np.inf) > NEAREST_ARCMIN:
            return place


def summarize(injections: list[Injection]) -> list[dict[str, Any]]:
    """Weighted mean of gained over injected flux, its error from the scatter, by band, zone and strength."""
    rows = []
    for band in map(str, BANDS):
        for zone in (*ZONES, "all"):
            for strength in (*STRENGTHS, "all"):
                chosen = [
                    i for i in injections
                    if i.band == band and zone in (i.zone, "all") and strength in (i.strength, "all")
                ]  # fmt: skip
                rows.append({"band": band, "zone": zone, "strength": strength, **ratio(chosen)})
    return rows


def ratio(injections: list[Injection]) -> dict[str, float]:
    """Mean ratio of what is gained and what was injected, each source weighted by its significance squared."""
    if len(injections) < 2:
        return {"n": len(injections)}
    flux, gain, error = np.array([(i.injected, i.gain, i.error) for i in injections]).T
    weight = (flux / error) ** 2 / ((flux / error) ** 2).sum()
    mean = float((weight * gain / flux).sum())
    scatter = np.sqrt((weight**2 * (gain / flux - mean) ** 2).sum() * len(flux) / (len(flux) - 1))
    before = np.array([i.before / i.error for i in injections])
    return {"n": len(flux), "ratio": mean, "ratio_error": float(scatter), "noise_before": float(before.std())}


def main() -> None:
    """Inject, measure, and write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sources", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--archive", type=Path, default=archive_root())
    arguments = parser.parse_args()
    begin = time.perf_counter()
    events = read_events(fetch_sample(arguments.archive))
    window = analyse_window(events)
    known = field_places(window)
    cells = [(zone, strength) for zone in ZONES for strength in STRENGTHS]
    injections = []
    for k in range(arguments.sources):
        zone, strength = cells[k % len(cells)]
        injections += inject_and_measure(events, window, known, zone, strength, 1000 * arguments.seed + k)
    report = {
        "seed": arguments.seed,
        "sources": arguments.sources,
        "known_sources": len(known),
        "seconds": round(time.perf_counter() - begin, 1),
        "ratios": summarize(injections),
        "injections": [asdict(i) for i in injections],
    }
    (REPORTS / "blind_injections.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    write_markdown(REPORTS)
    for row in report["ratios"]:
        print({key: round(value, 4) if isinstance(value, float) else value for key, value in row.items()})


if __name__ == "__main__":
    main()
