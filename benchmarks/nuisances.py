"""What the analysis does not know, one thing at a time: bias of catalogue sources, false sources, degradation.

Run: python benchmarks/nuisances.py [--windows 20] [--seed 1]; writes nuisances.json in benchmarks/reports.
Each window is a shadowgram with four catalogue sources of 30 sigma and one thing that is in no model. The
sources are placed and fitted as the engine does, the rest is searched for new ones.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from closed_loop import (
    ARCMIN,
    BACKGROUND_RATE,
    BAND,
    ENERGY_KEV,
    MATCH_ARCMIN,
    REPORTS,
    ZONES,
    Plane,
    Tangents,
    draw_clean_plane,
    draw_place,
    fitted_model,
    flux_error,
    observed,
    separation_arcmin,
    sky_maps,
)
from closed_loop_report import write_markdown

from integral_oda.arrays import Array
from integral_oda.imaging.search import FieldModel, find_new_sources, locate
from integral_oda.imaging.shadowgram import Shadowgram, build_shadowgram
from integral_oda.imaging.structure import Covariance, StructureWidths
from integral_oda.instrument.attitude import Attitude
from integral_oda.instrument.detector import N_PIXELS, OPEN_PIXELS, active_pixels
from integral_oda.instrument.response import crab_rate
from integral_oda.simulation.nuisances import ridge_directions, true_illumination
from integral_oda.simulation.plane import background_shape
from integral_oda.simulation.recipe import BackgroundModel, Flux, MaskDefect, Nuisances, Ridge

SOURCES, STRENGTH = 4, 30.0
APART_ARCMIN = 60.0
FLAT = BackgroundModel(edge_excess=0.0)
GALACTIC_CENTRE = {"RA_SCX": 266.4, "DEC_SCX": -28.9, "RA_SCZ": 86.4, "DEC_SCZ": 61.1}


@dataclass(frozen=True)
class Trouble:
    """One thing that no model has.

    Attributes
    ----------
    nuisances : Nuisances
    background : BackgroundModel
    hidden_mcrab : float
        Flux of a source that is in no catalogue.
    """

    nuisances: Nuisances = field(default_factory=Nuisances)
    background: BackgroundModel = FLAT
    hidden_mcrab: float = 0.0


TROUBLES = {
    "none": Trouble(),
    "transmission 3 % less at 10 deg": Trouble(Nuisances(off_axis_loss=0.03)),
    "misalignment off by 0.2 arcmin": Trouble(Nuisances(misalignment_error_arcmin=(0.2, -0.2))),
    "three mask defects of 20 mm": Trouble(
        Nuisances(
            mask_defects=(
                *(MaskDefect(y_mm=-120, z_mm=60), MaskDefect(y_mm=200, z_mm=-30)),
                MaskDefect(y_mm=20, z_mm=250),
            )
        )
    ),
    "uncatalogued source of 100 mCrab": Trouble(hidden_mcrab=100.0),
    "ridge of 300 mCrab in 20-40 keV": Trouble(
        Nuisances(ridge=Ridge(flux=Flux(value=300, unit="mCrab", band=(20.0, 40.0))))
    ),
    "background 10 % up at the rim": Trouble(background=BackgroundModel()),
    "modules differ by 5 %": Trouble(background=BackgroundModel(edge_excess=0.0, module_spread=0.05)),
    "pixels differ by 5 %": Trouble(background=BackgroundModel(edge_excess=0.0, pixel_spread=0.05)),
    "gradient of 10 %": Trouble(background=BackgroundModel(edge_excess=0.0, gradient=0.1)),
}


@dataclass(frozen=True)
class WindowResult:
    """One window: pulls and ratios of the catalogue sources, false and missed new ones, noise left."""

    ratios: list[float]
    pulls: list[float]
    offsets_arcmin: list[float]
    false: list[float]
    hidden_found: bool
    noise: float
    largest: float


def draw_sources(rng: np.random.Generator) -> list[Tangents]:
    """Places apart from each other, at any coding from a fifth on."""
    places: list[Tangents] = []
    while len(places) < SOURCES + 1:
        place = draw_place(str(rng.choice(list(ZONES))), rng)
        if all(separation_arcmin(place, other) > APART_ARCMIN for other in places):
            places.append(place)
    return places


def ridge_rate(ridge: Ridge) -> float:
    """Counts/s of a ridge in the band, by its share of the Crab; its spectrum is softer than that of the Crab."""
    from integral_oda.simulation.spectra import source_spectrum

    return source_spectrum(ridge.spectrum, ridge.flux, 665).band_rate(*BAND)


def draw_window(
    plane: Plane, trouble: Trouble, places: list[Tangents], fluxes: list[float], rng: np.random.Generator
) -> Shadowgram:
    """One Poisson draw of sources and background with the trouble in it."""
    shift = [ARCMIN * offset for offset in trouble.nuisances.misalignment_error_arcmin]
    rate = BACKGROUND_RATE / N_PIXELS * background_shape(trouble.background, rng)
    for (ty, tz), flux in zip(places, fluxes, strict=True):
        seen = [(ty + shift[0], tz + shift[1], 1.0)]
        rate = rate + flux / OPEN_PIXELS * true_illumination(trouble.nuisances, seen, ENERGY_KEV)
    if trouble.nuisances.ridge is not None:
        directions = ridge_directions(trouble.nuisances.ridge, Attitude.from_keywords(GALACTIC_CENTRE))
        diffuse = true_illumination(trouble.nuisances, directions, ENERGY_KEV)
        rate = rate + ridge_rate(trouble.nuisances.ridge) / OPEN_PIXELS * diffuse
    counts = rng.poisson(np.where(plane.usable, rate * plane.live_time_s, 0.0)).astype(float)
    live: Array = np.where(active_pixels(), plane.live_time_s, 0.0)
    return build_shadowgram(counts, plane.usable, plane.thresholds, BAND, live)


def analyse(trouble: Trouble, rng: np.random.Generator) -> WindowResult:
    """Draw a window and analyse it as the engine does."""
    plane = draw_clean_plane(rng)
    *places, hidden = draw_sources(rng)
    empty = FieldModel(Covariance(plane.shadowgram([], rng), StructureWidths()), ENERGY_KEV)
    fluxes = [STRENGTH * flux_error(empty, place) for place in places]
    hidden_flux = trouble.hidden_mcrab / 1000 * crab_rate(BAND)
    shadowgram = draw_window(plane, trouble, [*places, hidden], [*fluxes, hidden_flux], rng)
    model = fitted_model(shadowgram, places)
    located = list(places)
    for k in range(SOURCES):
        others = [place for j, place in enumerate(located) if j != k]
        located[k], _ = locate(model, located[k], others, STRENGTH)
    found = find_new_sources(model, located, 5.0).sources
    matched = [hidden_flux > 0 and separation_arcmin(s.tangents, hidden) < MATCH_ARCMIN for s in found]
    everything = [*located, *(s.tangents for s, is_hidden in zip(found, matched, strict=True) if is_hidden)]
    fitted, covariance = model.fit(everything)
    values = observed(sky_maps(model, everything))
    errors = np.sqrt(np.diag(covariance))
    return WindowResult(
        ratios=[float(f / t) for f, t in zip(fitted, fluxes, strict=False)],
        pulls=[float((f - t) / e) for f, t, e in zip(fitted, fluxes, errors, strict=False)],
        offsets_arcmin=[separation_arcmin(a, b) for a, b in zip(located, places, strict=True)],
        false=[s.significance for s, is_hidden in zip(found, matched, strict=True) if not is_hidden],
        hidden_found=any(matched),
        noise=float(values.std()),
        largest=float(values.max()),
    )


def summarize(results: list[WindowResult]) -> dict[str, Any]:
    """Bias with its error, spread of the pulls, false sources a window, noise."""
    ratios = np.concatenate([r.ratios for r in results])
    pulls = np.concatenate([r.pulls for r in results])
    false = [s for r in results for s in r.false]
    return {
        "windows": len(results),
        "bias": float(ratios.mean() - 1),
        "bias_error": float(ratios.std() / np.sqrt(len(ratios))),
        "pull_sigma": float(pulls.std()),
        "median_offset_arcmin": float(np.median(np.concatenate([r.offsets_arcmin for r in results]))),
        "false_above_5": len(false) / len(results),
        "false_above_7": sum(s > 7 for s in false) / len(results),
        "hidden_found": float(np.mean([r.hidden_found for r in results])),
        "noise": float(np.mean([r.noise for r in results])),
        "largest": float(max(r.largest for r in results)),
    }


def main() -> None:
    """Run every trouble and write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--windows", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    begin, report = time.perf_counter(), {}
    for number, (name, trouble) in enumerate(TROUBLES.items()):
        rng = np.random.default_rng([arguments.seed, number])
        report[name] = summarize([analyse(trouble, rng) for _ in range(arguments.windows)])
        print(name, {key: round(value, 4) for key, value in report[name].items()}, flush=True)
    document = {"seed": arguments.seed, "seconds": round(time.perf_counter() - begin, 1), "troubles": report}
    (REPORTS / "nuisances.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    write_markdown(REPORTS)


if __name__ == "__main__":
    main()
