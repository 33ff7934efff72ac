"""Closed loop on clean truth: shadowgrams drawn from known sources, fitted by the native engine.

Run: python benchmarks/closed_loop.py [--scale 1.0] [--seed 1] [--only PART ...]; writes closed_loop.json and
closed_loop.md in benchmarks/reports. ``--scale 0.1`` draws a tenth of the trials; parts that are not run stay
as an earlier run left them.
"""

from __future__ import annotations

import argparse
import copy
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from closed_loop_report import write_markdown
from numpy.typing import NDArray

from integral_oda.arrays import Array
from integral_oda.imaging.search import FLOOR_90_ARCMIN, FieldModel, find_new_sources, locate
from integral_oda.imaging.shadowgram import Shadowgram, build_shadowgram
from integral_oda.imaging.sky import SkyMaps, information_map, make_sky_maps, score_map
from integral_oda.imaging.source_noise import with_source_noise
from integral_oda.imaging.structure import Covariance, StructureWidths, fit_widths
from integral_oda.imaging.thresholds import CHANNELS, Thresholds, threshold_sigma_kev
from integral_oda.instrument.detector import DETECTOR_SHAPE, N_PIXELS, PIXEL_PITCH_MM, active_pixels
from integral_oda.instrument.energy import EnergyBand
from integral_oda.instrument.mask import CELL_MM, MASK_CELLS, MASK_DISTANCE_MM
from integral_oda.instrument.response import crab_rate
from integral_oda.simulation.shadowgram import LitSource, draw_shadowgram, expected_shadowgram

REPORTS = Path(__file__).resolve().parent / "reports"
Tangents = tuple[float, float]

BAND = EnergyBand(28.0, 80.0)
ENERGY_KEV = float(np.sqrt(BAND.e1_kev * BAND.e2_kev))
REVOLUTION = 100
LOW_THRESHOLD_KEV = 17.0
BACKGROUND_RATE, DURATION_S, DEAD_TIME, DEAD_PIXELS = 500.0, 1950.0, 0.3, 0.04
ZONES = {"FCFOV": (1.0, 1.0), "PCFOV 0.6-1": (0.6, 1.0), "PCFOV 0.2-0.6": (0.2, 0.6)}
"""Coded fractions, from and to."""
SIGNIFICANCES = (6, 10, 20, 50, 100)
DRAWS_A_PLANE = 25
ARCMIN = np.pi / 180 / 60
START_OFFSET_ARCMIN = 2.0
PAIR_ARCMIN, MATCH_ARCMIN = 20.0, 6.0
FISHER_STEP_ARCMIN, DELTA_90 = 0.2, 4.61
NOISE_VARIANCE_RANGE = 50.0


@dataclass(frozen=True)
class Plane:
    """A detector with exactly known thresholds, in one band.

    Attributes
    ----------
    usable : ndarray of bool
        ``(134, 130)``.
    thresholds : Thresholds
        Of the usable pixels.
    live_time_s : float
    """

    usable: NDArray[np.bool_]
    thresholds: Thresholds
    live_time_s: float

    def shadowgram(self, sources: list[LitSource], rng: np.random.Generator) -> Shadowgram:
        """One Poisson draw of flat background and sources, as the engine takes it."""
        expected = expected_shadowgram(sources, BACKGROUND_RATE, self.live_time_s, self.usable, energy_kev=ENERGY_KEV)
        live = np.where(active_pixels(), self.live_time_s, 0.0)
        counts = draw_shadowgram(expected, rng).astype(float)
        return build_shadowgram(counts, self.usable, self.thresholds, BAND, live)


def draw_clean_plane(rng: np.random.Generator) -> Plane:
    """Plane of the early mission: low thresholds far below the band, some pixels dead."""
    usable = active_pixels() & (rng.random(DETECTOR_SHAPE) >= DEAD_PIXELS)
    live_time_s = DURATION_S * (1 - DEAD_TIME)
    spectrum = 1 / CHANNELS
    inside = (BAND.e1_kev <= CHANNELS) & (BAND.e2_kev > CHANNELS)
    background = spectrum / spectrum[inside].sum() * BACKGROUND_RATE * live_time_s / N_PIXELS
    energy = np.full(int(usable.sum()), LOW_THRESHOLD_KEV)
    sigma = threshold_sigma_kev(REVOLUTION)
    thresholds = Thresholds(energy, sigma, LOW_THRESHOLD_KEV, 1.0, background)
    return Plane(usable, thresholds, live_time_s)


def coding(place: Tangents) -> float:
    """Part of the detector that sees a direction through the mask."""
    shares = []
    for tangent, pixels in zip(place, (DETECTOR_SHAPE[1], DETECTOR_SHAPE[0]), strict=True):
        side = pixels * PIXEL_PITCH_MM
        reach = (MASK_CELLS * CELL_MM + side) / 2 - MASK_DISTANCE_MM * abs(tangent)
        shares.append(np.clip(reach / side, 0.0, 1.0))
    return float(np.prod(shares))


def draw_place(zone: str, rng: np.random.Generator) -> Tangents:
    """Tangents of a random direction in a zone of coding."""
    low, high = ZONES[zone]
    while True:
        ty, tz = rng.uniform(-0.25, 0.25, 2)
        share = coding((ty, tz))
        if low <= share and (share < high or high == low):
            return float(ty), float(tz)


def fitted_model(shadowgram: Shadowgram, places: list[Tangents]) -> FieldModel:
    """Model of a shadowgram with the widths of its structure fitted beside known sources."""
    design = shadowgram.shadows(places, ENERGY_KEV)
    noisier = with_source_noise(shadowgram, design)
    return FieldModel(Covariance(noisier, fit_widths(noisier, design)), ENERGY_KEV)


def flux_error(model: FieldModel, place: Tangents) -> float:
    """Statistical error of the flux at a place."""
    return float(np.sqrt(model.fit([place])[1][0, 0]))


def planes(n_draws: int, rng: np.random.Generator) -> Iterator[tuple[Plane, FieldModel, int]]:
    """Planes with the model of an empty draw of each, its widths fitted, and how many trials each is for."""
    for begin in range(0, n_draws, DRAWS_A_PLANE):
        plane = draw_clean_plane(rng)
        yield plane, fitted_model(plane.shadowgram([], rng), []), min(DRAWS_A_PLANE, n_draws - begin)


@dataclass(frozen=True)
class FitTrial:
    """One source drawn and fitted; radius and offset are of the position fit from a start that is off."""

    zone: str
    wanted: float
    flux: float
    fitted: float
    error: float
    offset_arcmin: float
    radius_90_arcmin: float
    fisher_90_arcmin: float

    @property
    def statistical_radius_arcmin(self) -> float:
        """90 % radius without the systematic floor, which no simulated position has."""
        return float(np.sqrt(self.radius_90_arcmin**2 - FLOOR_90_ARCMIN**2))


def fit_trial(plane: Plane, empty: FieldModel, zone: str, significance: float, rng: np.random.Generator) -> FitTrial:
    """Draw a source of a significance at a random place of a zone; fit flux at the place, and position."""
    place = draw_place(zone, rng)
    flux = significance * flux_error(empty, place)
    model = another_draw(empty, plane.shadowgram([LitSource(*place, flux)], rng), place)
    fitted, covariance = model.fit([place])
    angle = rng.uniform(0, 2 * np.pi)
    where, radius = locate(model, moved(place, START_OFFSET_ARCMIN, angle), [], significance)
    offset = separation_arcmin(where, place)
    error, bound = float(np.sqrt(covariance[0, 0])), fisher_radius_arcmin(model, place, flux)
    return FitTrial(zone, significance, flux, float(fitted[0]), error, offset, radius, bound)


def fisher_radius_arcmin(model: FieldModel, place: Tangents, flux: float) -> float:
    """90 % radius of an ideal position fit at a place, from the derivatives of its shadow."""
    step = FISHER_STEP_ARCMIN * ARCMIN
    corners = [(place[0] + i * step, place[1] + j * step) for i, j in ((1, 0), (-1, 0), (0, 1), (0, -1))]
    shadow, right, left, up, down = model.design([place, *corners]).T
    design = np.stack([shadow, flux * (right - left) / (2 * step), flux * (up - down) / (2 * step)], axis=1)
    covariance = np.linalg.inv(design.T @ model.covariance.solve(design))[1:, 1:]
    return float(np.sqrt(DELTA_90) * np.linalg.det(covariance) ** 0.25 / ARCMIN)


def another_draw(model: FieldModel, shadowgram: Shadowgram, place: Tangents) -> FieldModel:
    """Model of another draw of the same plane; answers and widths are the plane's, the source's noise the draw's."""
    noisier = with_source_noise(shadowgram, shadowgram.shadows([place], model.energy_kev))
    if noisier is not shadowgram:
        return FieldModel(Covariance(noisier, model.covariance.widths), model.energy_kev)
    covariance = copy.copy(model.covariance)
    covariance.shadowgram = shadowgram
    return FieldModel(covariance, model.energy_kev)


def moved(place: Tangents, distance_arcmin: float, angle: float) -> Tangents:
    """A place some way off."""
    distance = distance_arcmin * ARCMIN
    return place[0] + distance * float(np.cos(angle)), place[1] + distance * float(np.sin(angle))


def separation_arcmin(a: Tangents, b: Tangents) -> float:
    """Angle between two directions near to each other."""
    first, second = (np.array([1.0, *place]) for place in (a, b))
    cross = np.linalg.norm(np.cross(first, second))
    return float(np.arctan2(cross, first @ second) / ARCMIN)


def fit_trials(trials_a_cell: int, rng: np.random.Generator) -> list[FitTrial]:
    """Trials of every zone and significance."""
    cells = [(zone, s) for zone in ZONES for s in SIGNIFICANCES] * trials_a_cell
    remaining = iter(cells)
    return [
        fit_trial(plane, empty, *next(remaining), rng) for plane, empty, n in planes(len(cells), rng) for _ in range(n)
    ]


def summarize_fits(trials: list[FitTrial]) -> dict[str, Any]:
    """Bias and pull of fluxes by zone; coverage and size of 90 % radii by zone and significance."""
    summary: dict[str, Any] = {"fits": len(trials), "flux": [], "position": []}
    for zone in ZONES:
        for wanted in SIGNIFICANCES:
            chosen = [t for t in trials if t.zone == zone and t.wanted == wanted]
            if chosen:
                summary["flux"].append({"zone": zone, "significance": wanted, **flux_summary(chosen)})
                summary["position"].append({"zone": zone, "significance": wanted, **position_summary(chosen)})
        chosen = [t for t in trials if t.zone == zone]
        summary["flux"].append({"zone": zone, "significance": "all", **flux_summary(chosen)})
        summary["position"].append({"zone": zone, "significance": "all", **position_summary(chosen)})
    return summary


def flux_summary(trials: list[FitTrial]) -> dict[str, float]:
    """Weighted mean of fitted over true flux with its error, and spread of the pulls."""
    flux, fitted, error = np.array([(t.flux, t.fitted, t.error) for t in trials]).T
    information = (flux / error) ** 2
    pull = (fitted - flux) / error
    return {
        "n": len(trials),
        "ratio": float((fitted / flux * information).sum() / information.sum()),
        "ratio_error": float(information.sum() ** -0.5),
        "pull_mean": float(pull.mean()),
        "pull_sigma": float(pull.std()),
    }


def position_summary(trials: list[FitTrial]) -> dict[str, float]:
    """Part of the positions inside the 90 % radius, without floor and with it, and its size against the bound."""
    offset, radius, total, bound = np.array(
        [(t.offset_arcmin, t.statistical_radius_arcmin, t.radius_90_arcmin, t.fisher_90_arcmin) for t in trials]
    ).T
    wanted = np.array([t.wanted for t in trials])
    return {
        "n": len(trials),
        "inside": float((offset <= radius).mean()),
        "inside_with_floor": float((offset <= total).mean()),
        "radius_over_fisher": float(np.median(radius / bound)),
        "radius_times_significance": float(np.median(radius * wanted)),
        "fisher_times_significance": float(np.median(bound * wanted)),
        "offset_90_over_fisher": float(np.quantile(offset / bound, 0.9)),
        "lost": int((~np.isfinite(radius)).sum()),
    }


def sky_maps(model: FieldModel, places: list[Tangents]) -> SkyMaps:
    """Maps of what is left when the sources at some places are fitted."""
    covariance = model.covariance
    return make_sky_maps(covariance, score_map(covariance, model.residual(places)), information_map(covariance))


def observed(maps: SkyMaps) -> Array:
    """Significances where the noise is reported for: variance at most 50 times the least."""
    variance = np.where(maps.variance > 0, maps.variance, np.inf)
    region = np.isfinite(maps.significance) & (variance < NOISE_VARIANCE_RANGE * variance.min())
    values: Array = maps.significance[region]
    return values


def empty_fields(n: int, rng: np.random.Generator) -> dict[str, Any]:
    """Significance maps of shadowgrams without a source, and the sources found in them."""
    moments, found = [], []
    for _ in range(n):
        model = fitted_model(draw_clean_plane(rng).shadowgram([], rng), [])
        values = observed(sky_maps(model, []))
        moments.append((values.mean(), values.std(), values.max()))
        found += [source.significance for source in find_new_sources(model, [], 5.0).sources]
    mean, sigma, largest = np.array(moments).T
    return {
        "fields": n,
        "mean": float(mean.mean()),
        "sigma": float(sigma.mean()),
        "largest_excess": float(largest.max()),
        "found_above_5": len(found),
        "found_above_5.5": sum(s > 5.5 for s in found),
    }


def bright_source(n: int, rng: np.random.Generator) -> dict[str, Any]:
    """What a source of 1 Crab leaves: residual map and new sources beside it, position fitted."""
    flux, left, found, pulls, inside, sigma = crab_rate(BAND), [], 0, [], [], []
    for k in range(n):
        place = draw_place(list(ZONES)[k % len(ZONES)], rng)
        shadowgram = draw_clean_plane(rng).shadowgram([LitSource(*place, flux)], rng)
        model = fitted_model(shadowgram, [place])
        fitted, covariance = model.fit([place])
        pulls.append((fitted[0] - flux) / np.sqrt(covariance[0, 0]))
        where, radius = locate(model, place, [], float(fitted[0] / np.sqrt(covariance[0, 0])))
        inside.append(separation_arcmin(where, place) <= np.sqrt(radius**2 - FLOOR_90_ARCMIN**2))
        values = observed(sky_maps(model, [where]))
        left.append(values.max())
        sigma.append(values.std())
        found += len(find_new_sources(model, [where], 5.5).sources)
    return {
        "sources": n,
        "largest_residual": float(max(left)),
        "map_sigma": float(np.mean(sigma)),
        "new_above_5.5": found,
        "pull_sigma": float(np.std(pulls)),
        "inside_90": float(np.mean(inside)),
    }


def close_pairs(n: int, rng: np.random.Generator) -> dict[str, Any]:
    """Two sources 20 arcmin apart, neither known: how often both are found, with what fluxes."""
    separated, pulls = 0, []
    for k in range(n):
        place = draw_place(list(ZONES)[k % 2], rng)
        other = moved(place, PAIR_ARCMIN, rng.uniform(0, 2 * np.pi))
        plane = draw_clean_plane(rng)
        error = flux_error(FieldModel(Covariance(plane.shadowgram([], rng), StructureWidths()), ENERGY_KEV), place)
        flux = 20 * error
        shadowgram = plane.shadowgram([LitSource(*place, flux), LitSource(*other, flux)], rng)
        model = fitted_model(shadowgram, [])
        found = find_new_sources(model, [], 5.0).sources
        near = [any(separation_arcmin(s.tangents, p) < 3 for s in found) for p in (place, other)]
        separated += all(near) and len(found) == 2
        fitted, covariance = model.fit([place, other])
        pulls += list((fitted - flux) / np.sqrt(np.diag(covariance)))
    return {"pairs": n, "separated": separated, "pull_mean": float(np.mean(pulls)), "pull_sigma": float(np.std(pulls))}


def completeness(n: int, rng: np.random.Generator, significance: float = 7.0, threshold: float = 5.0) -> dict[str, Any]:
    """Part of unknown sources of a significance that a search finds, by zone, and false ones beside them."""
    found: dict[str, list[bool]] = {zone: [] for zone in ZONES}
    false = 0
    for k in range(n):
        zone = list(ZONES)[k % len(ZONES)]
        place, plane = draw_place(zone, rng), draw_clean_plane(rng)
        error = flux_error(FieldModel(Covariance(plane.shadowgram([], rng), StructureWidths()), ENERGY_KEV), place)
        model = fitted_model(plane.shadowgram([LitSource(*place, significance * error)], rng), [])
        near = [
            separation_arcmin(s.tangents, place) < MATCH_ARCMIN for s in find_new_sources(model, [], threshold).sources
        ]
        found[zone].append(any(near))
        false += len(near) - sum(near)
    every = [hit for hits in found.values() for hit in hits]
    shares = {zone: float(np.mean(hits)) for zone, hits in found.items() if hits}
    return {"sources": n, "complete": float(np.mean(every)), "by_zone": shares, "false": false}


PARTS: dict[str, tuple[Callable[[int, np.random.Generator], Any], int]] = {
    "fits": (lambda n, rng: summarize_fits(fit_trials(n, rng)), 160),
    "empty": (empty_fields, 200),
    "bright": (bright_source, 60),
    "pairs": (close_pairs, 60),
    "completeness": (completeness, 240),
}
"""What is measured, and how many times at full scale."""


def run(scale: float, seed: int, only: list[str]) -> dict[str, Any]:
    """Run parts of the benchmark, each with random numbers of its own."""
    report: dict[str, Any] = {}
    for number, (name, (measure, n)) in enumerate(PARTS.items()):
        if name in only:
            begin = time.perf_counter()
            result = measure(max(1, round(n * scale)), np.random.default_rng([seed, number]))
            report[name] = {"seed": seed, "seconds": round(time.perf_counter() - begin, 1), **result}
    return report


def main() -> None:
    """Run, and write what was run beside what an earlier run found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", nargs="+", choices=list(PARTS), default=list(PARTS))
    arguments = parser.parse_args()
    path = REPORTS / "closed_loop.json"
    report = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    report |= run(arguments.scale, arguments.seed, arguments.only)
    path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    write_markdown(REPORTS)


if __name__ == "__main__":
    main()
