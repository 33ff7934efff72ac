"""Time reading the real sample window, with astropy beside it, and simulating a window of 2 ks.

Run: python benchmarks/read_and_simulate.py [--archive DIR]; writes benchmarks/reports/read_and_simulate.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from astropy.io import fits

from integral_oda.archive.events import read_events
from integral_oda.archive.sample import fetch_sample
from integral_oda.folders import archive_root
from integral_oda.instrument.energy import EnergyBand
from integral_oda.simulation.inject import inject
from integral_oda.simulation.recipe import Flux, SourceModel, make_recipe
from integral_oda.simulation.shadowgram import LitSource, draw_shadowgram, expected_shadowgram
from integral_oda.simulation.window import simulate

REPORT = Path(__file__).resolve().parent / "reports" / "read_and_simulate.json"
COLUMNS = ("TIME", "ISGRI_ENERGY", "ISGRI_PI", "DETY", "DETZ", "SELECT_FLAG")
RECIPE = {
    "pointings": [{"ra": 83.6, "dec": 22.0}],
    "duration_s": 2000,
    "background": {"rate": 350},
    "sources": [{"name": "Crab", "ra": 83.63, "dec": 22.01, "flux": {"value": 1000, "unit": "mCrab"}}],
    "detector": {"low_threshold_kev": 18, "low_threshold_spread_kev": 1, "dead_fraction": 0.03, "gain_spread": 0.02},
}


def seconds(action: Callable[[], object], repeats: int = 5) -> float:
    """Median time of an action."""
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        action()
        times.append(time.perf_counter() - begin)
    return round(float(np.median(times)), 5)


def read_with_astropy(path: Path) -> list[object]:
    """The same columns, with astropy."""
    with fits.open(path, memmap=False) as hdus:
        return [np.array(hdus["ISGR-EVTS-ALL"].data[name]) for name in COLUMNS]


def simulated_events(folder: Path) -> int:
    """Simulate the window and count its events."""
    simulate(make_recipe(RECIPE), folder)
    return int(json.loads((folder / "truth.json").read_text(encoding="utf-8"))["windows"][0]["events"])


def main() -> None:
    """Take the times and write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--archive", type=Path, default=archive_root())
    path = fetch_sample(parser.parse_args().archive)
    events, generator = read_events(path), np.random.default_rng(1)
    source = SourceModel(name="injected", ra=290.0, dec=18.0, flux=Flux(value=20, band=(28, 80)))
    expected = expected_shadowgram([LitSource(0.02, 0.03, 20.0)], 500, 1500)
    with tempfile.TemporaryDirectory() as folder:
        begin = time.perf_counter()
        count = simulated_events(Path(folder))
        window_s = round(time.perf_counter() - begin, 3)
    report = {
        "read_events_s": seconds(lambda: read_events(path)),
        "astropy_s": seconds(lambda: read_with_astropy(path)),
        "events_read": len(events),
        "simulate_2ks_window_s": window_s,
        "events_simulated": count,
        "expected_shadowgram_s": seconds(lambda: expected_shadowgram([LitSource(0.02, 0.03, 20.0)], 500, 1500), 50),
        "draw_shadowgram_s": seconds(lambda: draw_shadowgram(expected, generator), 50),
        "inject_s": seconds(lambda: inject(events, source, EnergyBand(28.0, 80.0), 0.7, 1)),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
    }
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
