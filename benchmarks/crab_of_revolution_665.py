"""Noise beside OSA's: the two Crab windows of revolution 665 simulated and imaged by the native engine.

Run: python benchmarks/crab_of_revolution_665.py [--windows 3] [--seed 1]; writes crab_of_revolution_665.json in
benchmarks/reports.

OSA's numbers are those of two images by ii_skyimage 5.4.4, 25-80 keV: error of the fitted height (peak over its
significance), median square root of VARIANCE in the fully coded field, 780 s in the middle of the EXPOSURE plane. The
background is 500 counts/s on the whole detector, the Crab 190.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from integral_oda.analysis import analyse
from integral_oda.instrument.attitude import SKY_CENTRE
from integral_oda.query import ImageQuery, make_query
from integral_oda.simulation.recipe import make_recipe
from integral_oda.simulation.window import simulate

REPORT = Path(__file__).parent / "reports" / "crab_of_revolution_665.json"
CRAB = (83.6332, 22.0145)
OSA: dict[str, dict[str, float]] = {
    "066500280010": {"off_axis_deg": 5.43, "height": 188.3, "height_error": 168.9 / 146.8, "noise": 1.11},
    "066500330010": {"off_axis_deg": 2.72, "height": 190.8, "height_error": 187.1 / 163.5, "noise": 1.13},
}
EFFECTIVE_S = 780.0
DEAD_TIME, DEAD_PIXELS = 0.31, 0.04
FULLY_CODED_PIXELS = 48
"""Half a side of the fully coded field, sky pixels."""


def draw_recipe(off_axis_deg: float, height: float, seed: int) -> Any:
    """A window that many degrees beside the Crab, as long as makes the effective exposure."""
    values = {
        "seed": seed,
        "revolution": 665,
        "duration_s": EFFECTIVE_S / ((1 - DEAD_TIME) * (1 - DEAD_PIXELS)),
        "pointings": [{"ra": CRAB[0], "dec": CRAB[1] + off_axis_deg, "roll": 20.0}],
        "sources": [{"name": "Crab", "ra": CRAB[0], "dec": CRAB[1], "flux": {"value": height, "band": (25, 80)}}],
        "background": {"rate": 500.0, "band": (25, 80)},
        "detector": {
            "low_threshold_kev": 16.0,
            "low_threshold_spread_kev": 0.5,
            "dead_fraction": DEAD_PIXELS,
            "dead_time": DEAD_TIME,
        },
    }
    return make_recipe(values)


def measure(off_axis_deg: float, height: float, seed: int) -> dict[str, float]:
    """Height and noise of one simulated window."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (scw,) = simulate(draw_recipe(off_axis_deg, height, seed), root / "archive")
        query = make_query(ImageQuery, scw_list=str(scw), bands=[(25.0, 80.0)])
        products = analyse(query, root / "archive", root / "store")
        image, noise = products.images[0], products.summary["noise"][0]
        crab = next(source for source in products.sources if source.name == "Crab").bands[0]
    centre = slice(int(SKY_CENTRE) - FULLY_CODED_PIXELS, int(SKY_CENTRE) + FULLY_CODED_PIXELS + 1)
    return {
        "height": crab.flux,
        "height_error": crab.flux_error,
        "noise": float(np.median(np.sqrt(image.variance[centre, centre]))),
        "exposure": float(np.median(image.exposure[centre, centre])),
        "significance_sigma": noise["significance_sigma"],
    }


def report(windows: int, seed: int) -> dict[str, Any]:
    """Numbers of every window, ours over OSA's."""
    result: dict[str, Any] = {"seed": seed, "windows": windows, "effective_s": EFFECTIVE_S, "cases": {}}
    for name, osa in OSA.items():
        runs = [measure(osa["off_axis_deg"], osa["height"], seed + k) for k in range(windows)]
        ours = {key: float(np.mean([run[key] for run in runs])) for key in runs[0]}
        ratios = {key: ours[key] / osa[key] for key in ("height", "height_error", "noise")}
        result["cases"][name] = {"osa": osa, "ours": ours, "ratio": ratios}
    return result


def main() -> None:
    """Measure and write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--windows", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    result = report(options.windows, options.seed)
    REPORT.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    for name, case in result["cases"].items():
        print(name, {key: round(value, 3) for key, value in {**case["ours"], **case["ratio"]}.items()}, case["ratio"])


if __name__ == "__main__":
    main()
