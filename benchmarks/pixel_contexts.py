"""What a pixel context is worth where thresholds reach into the band, and what harm a wrong one does.

Run: python benchmarks/pixel_contexts.py [--windows 8] [--seed 1]; writes pixel_contexts.json in benchmarks/reports.
Simulated windows of late years, thresholds 36 +- 4 keV, are analysed without their context, with it, with all its
thresholds two steps higher or half as far apart, and with its thresholds shuffled among the pixels; in each is one
source of some 20 sigma.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from closed_loop import REPORTS

from integral_oda.archive.calibration import calibration_files
from integral_oda.archive.tree import Archive
from integral_oda.arrays import Array
from integral_oda.engines.native.events import Cor, Dead, Gti, SelectedEvents
from integral_oda.engines.native.field import CatI, DetectorEfficiency, Effi
from integral_oda.engines.native.image import BinI, BkgI, band_energy_kev
from integral_oda.imaging.search import FieldModel
from integral_oda.imaging.structure import Covariance
from integral_oda.instrument.energy import EnergyBand
from integral_oda.instrument.pixel_status import OFF_STEP
from integral_oda.simulation.recipe import Recipe, make_recipe
from integral_oda.simulation.window import draw_detector, simulate

BAND = EnergyBand(28.0, 80.0)
CONTEXTS = ("none", "as it is", "two steps higher", "half as far apart", "shuffled")
_FLUX = 18.0


def draw_recipe(seed: int) -> Recipe:
    """A window of 1900 s with one source in the fully coded field."""
    rng = np.random.default_rng(seed)
    ra, dec = 200.0 + rng.uniform(-4, 4), 40.0 + rng.uniform(-3, 3)
    return make_recipe(
        {
            "seed": seed,
            "revolution": 2559,
            "duration_s": 1900.0,
            "pointings": [{"ra": 200.0, "dec": 40.0, "roll": 10}],
            "sources": [{"name": "S", "ra": ra, "dec": dec, "flux": {"value": _FLUX, "band": tuple(BAND)}}],
            "detector": {
                "low_threshold_kev": 36,
                "low_threshold_spread_kev": 4,
                "dead_fraction": 0.05,
                "dead_time": 0.3,
                "context": True,
            },
        }
    )


def changed_context(path: Path, kind: str, folder: Path, seed: int) -> dict[str, Path]:
    """The context under the name that steps know it by, changed; nothing for ``"none"``."""
    if kind == "none":
        return {}
    copy = folder / f"{kind.replace(' ', '_')}.fits"
    shutil.copy(path, copy)
    with fits.open(copy, mode="update") as hdus:
        step = hdus["ISGR-PXLP-CFG"].data[1]
        on = step < OFF_STEP
        if kind == "two steps higher":
            step[on] += 2
        elif kind == "half as far apart":
            step[on] = np.rint(step[on] / 2 + 10)
        elif kind == "shuffled":
            step[on] = np.random.default_rng(seed).permutation(step[on])
    return {"context": copy}


def flux_of(events: SelectedEvents, dead_file: Path, source: dict[str, Any]) -> tuple[float, float, DetectorEfficiency]:
    """Flux of the source in the band, its error, and the efficiency of the pixels."""
    good = Gti().compute([events], {}, {})
    dead = Dead().compute([events, good], {}, {"dead": dead_file})
    listed = [[source["name"], source["ra_deg"], source["dec_deg"]]]
    field = CatI().compute([events], {"extra": listed, "only": True}, {})
    efficiency = Effi().compute([events, good, dead, field], {}, {})
    shadowgram = BinI().compute([events, good, dead, efficiency, field], {"band": list(BAND)}, {})
    widths = BkgI().compute([shadowgram, field], {"band": list(BAND)}, {})
    model = FieldModel(Covariance(shadowgram, widths), band_energy_kev(BAND))
    fluxes, covariance = model.fit([tuple(source["tangents"])])
    return float(fluxes[0]), float(np.sqrt(covariance[0, 0])), efficiency


def analyse(recipe: Recipe) -> list[dict[str, Any]]:
    """Simulate a window and measure its source with every kind of context."""
    true_kev, rows = draw_detector(recipe).low_threshold_kev, []
    with tempfile.TemporaryDirectory() as name:
        (scw,) = simulate(recipe, name)
        archive, folder = Archive(Path(name)), Path(name)
        (source,) = json.loads((folder / "truth.json").read_text(encoding="utf-8"))["windows"][0]["sources"]
        context = calibration_files(archive, str(scw))["context"]
        dead_file = archive.find(str(scw), "isgri_dead.fits")
        assert dead_file is not None
        for kind in CONTEXTS:
            raw = {"events": archive.events_file(str(scw)), **changed_context(context, kind, folder, recipe.seed)}
            flux, error, efficiency = flux_of(Cor().compute([], {}, raw), dead_file, source)
            rows.append({"context": kind, "ratio": flux / _FLUX, "error": error / _FLUX, **of(efficiency, true_kev)})
    return rows


def of(efficiency: DetectorEfficiency, true_kev: Array) -> dict[str, float]:
    """How well the thresholds are known, keV, and how many pixels are used."""
    wrong = efficiency.threshold_kev - true_kev[efficiency.usable]
    numbers = {
        "mean_kev": wrong.mean(),
        "scatter_kev": wrong.std(),
        "width_kev": efficiency.width_kev,
        "stretch": efficiency.stretch,
    }
    return {name: float(value) for name, value in numbers.items()} | {"pixels": int(efficiency.usable.sum())}


def summarize(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Means over the windows for each kind of context; the ratio of fluxes weighted, with its scatter."""
    summary = []
    for kind in CONTEXTS:
        own = [row for row in rows if row["context"] == kind]
        ratio, error = (np.array([row[name] for row in own]) for name in ("ratio", "error"))
        means = {
            name: float(np.mean([row[name] for row in own])) for name in own[0] if name not in ("context", "ratio")
        }
        pulls = (ratio - 1) / error
        scatter = {
            "ratio_error": float(error.mean() / np.sqrt(len(own))),
            "pull_sigma": float(np.sqrt((pulls**2).mean())),
        }
        summary.append({"context": kind, "windows": len(own), "ratio": float(ratio.mean()), **scatter, **means})
    return summary


def main() -> None:
    """Run the windows and write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--windows", type=int, default=8)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    rows = [row for k in range(arguments.windows) for row in analyse(draw_recipe(100 * arguments.seed + k))]
    report = {"seed": arguments.seed, "summary": summarize(rows), "rows": rows}
    print(*report["summary"], sep="\n")
    (REPORTS / "pixel_contexts.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
