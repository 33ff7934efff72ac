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
from pathlib import Path
from typing import Any

from integral_oda.analysis import analyse
from integral_oda.archive.sample import fetch_sample
from integral_oda.engines.native.live import ANCHOR_BANDS, LiveWindow
from integral_oda.folders import archive_root
from integral_oda.live_imaging import live_window
from integral_oda.query import ImageQuery, make_query

import numpy as np  # isort: skip  after the package, which keeps BLAS to one thread

REPORT = Path(__file__).resolve().parent / "reports" / "live_band.json"
SCW = "255900280010.001"
OPENED = (28.0, 80.0)
BANDS = ((28, 80), (30, 60), (33, 47), (20, 45), (22, 35), (50, 75), (40, 90), (20, 110), (70, 130), (120, 250))
REPEATS = 5


def query(band: tuple[float, float]) -> ImageQuery:
    """Image query of one band."""
    return make_query(ImageQuery, scw_list=SCW, bands=[band])


def opened(archive: Path, store: Path) -> tuple[LiveWindow, dict[str, float]]:
    """The window with its bands prepared, and what that took."""
    sources = [(s.name, s.ra_deg, s.dec_deg) for s in analyse(query(OPENED), archive, store).sources]
    begin, cpu = time.perf_counter(), time.process_time()
    live = live_window(query(OPENED), archive, store, sources)
    live.prepare(ANCHOR_BANDS[0])
    ready, ready_cpu = time.perf_counter() - begin, time.process_time() - cpu
    for band in ANCHOR_BANDS:
        live.prepare(band)
    return live, {
        "ready_s": ready,
        "ready_cpu_s": ready_cpu,
        "all_prepared_s": time.perf_counter() - begin,
        "all_prepared_cpu_s": time.process_time() - cpu,
    }


def compare(live: LiveWindow, band: tuple[float, float], archive: Path, store: Path) -> dict[str, Any]:
    """Seconds of a band, first and least, and its difference to the whole analysis."""
    seconds, cpu = [], []
    for _ in range(REPEATS):
        begin, begin_cpu = time.perf_counter(), time.process_time()
        image = live.image(*band)
        seconds.append(time.perf_counter() - begin)
        cpu.append(time.process_time() - begin_cpu)
    whole = analyse(query(band), archive, store).images[0]
    both = image.observed & whole.observed
    away = (image.significance - whole.significance)[both]
    error = np.sqrt(image.variance[both] / whole.variance[both])
    return {
        "band_kev": list(band),
        "first_s": seconds[0],
        "first_cpu_s": cpu[0],
        "least_s": min(seconds),
        "least_cpu_s": min(cpu),
        "widths_of": image.keywords["STRUCWID"],
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
        bands = [compare(live, (float(a), float(b)), archive, Path(folder)) for a, b in BANDS]
    machine = {"cores": os.cpu_count(), "load": os.getloadavg()[0]}
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    report = {"machine": machine, "peak_memory_mb": memory, **times, "bands": bands}
    rounded = json.loads(json.dumps(report), parse_float=lambda text: round(float(text), 4))
    REPORT.write_text(json.dumps(rounded, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(rounded, indent=2))


if __name__ == "__main__":
    main()
