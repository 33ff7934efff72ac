"""Time and truth of images at once: how long a band takes, and how far it is from the whole analysis of the band.

Run: python benchmarks/live_band.py [--archive DIR]; writes benchmarks/reports/live_band.json.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from integral_oda.analysis import analyse
from integral_oda.archive.sample import fetch_sample
from integral_oda.engines.native.live import LiveWindow
from integral_oda.folders import archive_root
from integral_oda.live_imaging import live_window
from integral_oda.query import ImageQuery, make_query
from integral_widgets.live_imaging import SLIDER_KEV

import numpy as np  # isort: skip  after the package, which keeps BLAS to one thread

REPORT = Path(__file__).resolve().parent / "reports" / "live_band.json"
SCW = "255900280010.001"
OPENED = (28.0, 80.0)
BANDS = ((28.0, 80.0), (30.0, 60.0), (33.0, 47.0), (20.0, 45.0), (22.0, 35.0), (18.0, 25.0), (50.0, 75.0),
         (40.0, 90.0), (20.0, 110.0), (70.0, 130.0), (120.0, 250.0))  # fmt: skip
REPEATS = 5


def query(band: tuple[float, float]) -> ImageQuery:
    """Image query of one band."""
    return make_query(ImageQuery, scw_list=SCW, bands=[band])


def opened(archive: Path, store: Path) -> tuple[LiveWindow, dict[str, float]]:
    """The window with its bands prepared, and what that took."""
    sources = [(s.name, s.ra_deg, s.dec_deg) for s in analyse(query(OPENED), archive, store).sources]
    begin, cpu = time.perf_counter(), time.process_time()
    live = live_window(query(OPENED), archive, store, sources)
    live.image(*OPENED)
    ready, ready_cpu = time.perf_counter() - begin, time.process_time() - cpu
    for upper in SLIDER_KEV[1:]:
        live.prepare(upper)
    return live, {
        "ready_s": ready,
        "ready_cpu_s": ready_cpu,
        "all_prepared_s": time.perf_counter() - begin,
        "all_prepared_cpu_s": time.process_time() - cpu,
    }


def timed(live: LiveWindow, bands: Sequence[tuple[float, float]]) -> list[dict[str, float]]:
    """Seconds of each band, first and least; the bands take turns, so that none is a repetition."""
    wall = np.zeros((REPEATS, len(bands)))
    cpu = np.zeros_like(wall)
    for turn in range(REPEATS):
        for k, band in enumerate(bands):
            begin, begin_cpu = time.perf_counter(), time.process_time()
            live.image(*band)
            wall[turn, k], cpu[turn, k] = time.perf_counter() - begin, time.process_time() - begin_cpu
    return [
        {"first_s": wall[0, k], "first_cpu_s": cpu[0, k], "least_s": wall[:, k].min(), "least_cpu_s": cpu[:, k].min()}
        for k in range(len(bands))
    ]


def compare(live: LiveWindow, band: tuple[float, float], archive: Path, store: Path) -> dict[str, Any]:
    """Difference of a band to the whole analysis."""
    image = live.image(*band)
    whole = analyse(query(band), archive, store).images[0]
    both = image.observed & whole.observed
    away = (image.significance - whole.significance)[both]
    error = np.sqrt(image.variance[both] / whole.variance[both])
    return {
        "band_kev": list(band),
        "significance_difference_rms": float(away.std()),
        "significance_difference_largest": float(np.abs(away).max()),
        "error_ratio_median": float(np.median(error)),
        "peak_sigma": float(np.nanmax(image.significance)),
        "peak_sigma_whole": float(np.nanmax(whole.significance)),
    }


def main() -> None:
    """Measure and save the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--archive", type=Path, default=archive_root())
    archive = parser.parse_args().archive
    fetch_sample(archive)
    with tempfile.TemporaryDirectory() as folder:
        live, times = opened(archive, Path(folder))
        seconds = timed(live, BANDS)
        away = [compare(live, band, archive, Path(folder)) for band in BANDS]
        bands = [{**difference, **spent} for difference, spent in zip(away, seconds, strict=True)]
    machine = {"cores": os.cpu_count(), "load": os.getloadavg()[0]}
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    report = {"machine": machine, "peak_memory_mb": memory, **times, "bands": bands}
    rounded = json.loads(json.dumps(report), parse_float=lambda text: round(float(text), 4))
    REPORT.write_text(json.dumps(rounded, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(rounded, indent=2))


if __name__ == "__main__":
    main()
