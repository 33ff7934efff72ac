"""The event path: simulated windows as files, read and analysed by the native engine's own steps.

Run: python benchmarks/event_path.py [--windows 3] [--seed 1]; writes event_path.json in benchmarks/reports.
Every source is forced at its true place; its flux is compared with the recipe's.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from blind_injections import BANDS, analyse_window
from closed_loop import REPORTS, ZONES, draw_place

from integral_oda.archive.events import read_events
from integral_oda.archive.tree import Archive
from integral_oda.instrument.attitude import Attitude
from integral_oda.simulation.recipe import Recipe, make_recipe
from integral_oda.simulation.window import simulate

RATES = (8.0, 20.0, 60.0)
POINTING = {"RA_SCX": 83.6, "DEC_SCX": 22.0, "RA_SCZ": 263.6, "DEC_SCZ": 68.0}
ERAS: dict[str, dict[str, Any]] = {
    "early: thresholds 17 +- 1 keV": {
        "revolution": 100,
        "detector": {"low_threshold_kev": 17, "low_threshold_spread_kev": 1, "dead_fraction": 0.04, "dead_time": 0.3},
    },
    "late: thresholds 36 +- 4 keV": {
        "revolution": 2559,
        "detector": {"low_threshold_kev": 36, "low_threshold_spread_kev": 4, "dead_fraction": 0.1, "dead_time": 0.3},
    },
    "early, gain 2 %, hot and noisy pixels": {
        "revolution": 100,
        "detector": {
            "low_threshold_kev": 17,
            "low_threshold_spread_kev": 1,
            "dead_fraction": 0.04,
            "dead_time": 0.3,
            "gain_spread": 0.02,
            "hot_fraction": 0.002,
            "noisy_fraction": 0.002,
            "rejected_fraction": 0.1,
        },
    },
}


def draw_recipe(era: dict[str, Any], seed: int) -> Recipe:
    """A window of 1950 s with one source in each zone of coding."""
    rng = np.random.default_rng(seed)
    attitude = Attitude.from_keywords(POINTING)
    sources = []
    for zone, rate in zip(ZONES, rng.permutation(RATES), strict=True):
        ra, dec = attitude.position(*draw_place(zone, rng))
        sources.append({"name": zone, "ra": ra, "dec": dec, "flux": {"value": float(rate), "band": (40.0, 80.0)}})
    pointing = {"ra": POINTING["RA_SCX"], "dec": POINTING["DEC_SCX"]}
    return make_recipe({**era, "seed": seed, "duration_s": 1950, "pointings": [pointing], "sources": sources})


def analyse(recipe: Recipe) -> list[dict[str, Any]]:
    """Simulate a window, read it back, and fit all its sources together in every band."""
    with tempfile.TemporaryDirectory() as folder:
        (scw,) = simulate(recipe, folder)
        truth = json.loads((Path(folder) / "truth.json").read_text(encoding="utf-8"))["windows"][0]["sources"]
        archive = Archive(Path(folder))
        dead_file = archive.find(str(scw), "isgri_dead.fits")
        window = analyse_window(read_events(archive.events_file(str(scw))), dead_file)
    places = [(float(source["tangents"][0]), float(source["tangents"][1])) for source in truth]
    rows = []
    for band, model in zip(BANDS, window.models, strict=True):
        fluxes, covariance = model.with_new([], [p for p in places if not model.covariance.shadowgram.knows(p)]).fit(
            places
        )
        for source, flux, error in zip(truth, fluxes, np.sqrt(np.diag(covariance)), strict=True):
            true = next(b["flux"] for b in source["bands"] if (b["e1_kev"], b["e2_kev"]) == tuple(band))
            rows.append({"band": str(band), "zone": source["name"], "true": true, "fitted": flux, "error": error})
    return rows


def summarize(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Weighted ratio of fitted over true flux and spread of the pulls, by band."""
    summary = []
    for band in map(str, BANDS):
        true, fitted, error = np.array([(r["true"], r["fitted"], r["error"]) for r in rows if r["band"] == band]).T
        weight = (true / error) ** 2
        summary.append(
            {
                "band": band,
                "sources": len(true),
                "ratio": float((fitted / true * weight).sum() / weight.sum()),
                "ratio_error": float(weight.sum() ** -0.5),
                "pull_mean": float(((fitted - true) / error).mean()),
                "pull_sigma": float(((fitted - true) / error).std()),
            }
        )
    return summary


def main() -> None:
    """Run every era and write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--windows", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    report: dict[str, Any] = {"seed": arguments.seed, "windows": arguments.windows, "eras": {}}
    for name, era in ERAS.items():
        rows = [row for k in range(arguments.windows) for row in analyse(draw_recipe(era, 100 * arguments.seed + k))]
        report["eras"][name] = summarize(rows)
        print(name, *report["eras"][name], sep="\n", flush=True)
    (REPORTS / "event_path.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
