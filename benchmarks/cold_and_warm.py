"""Time the image of the real sample window: cold from its gzipped events, another band, and again from the store.

Beside it, in turn, astropy reading the same columns of the same file.

Run: python benchmarks/cold_and_warm.py [--archive DIR]; writes benchmarks/reports/cold_and_warm.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from astropy.io import fits

from integral_oda.archive.sample import fetch_sample
from integral_oda.folders import archive_root

REPORT = Path(__file__).resolve().parent / "reports" / "cold_and_warm.json"
COLUMNS = ("TIME", "ISGRI_ENERGY", "ISGRI_PI", "DETY", "DETZ", "SELECT_FLAG")
COMMAND = [sys.executable, "-m", "integral_oda"]
REPEATS = 5


def seconds_of(command: list[str]) -> float:
    """Wall time of a command."""
    begin = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - begin


def seconds_to_read(path: Path) -> float:
    """Wall time that astropy takes for the columns an image needs."""
    begin = time.perf_counter()
    with fits.open(path, memmap=False) as hdus:
        for name in COLUMNS:
            np.ascontiguousarray(hdus["ISGR-EVTS-ALL"].data[name])
    return time.perf_counter() - begin


def image(archive: Path, store: Path, out: Path, *band: str) -> list[str]:
    """Command that makes the image."""
    window = ["--scw-list", "255900280010.001", "--archive", str(archive), "--store", str(store), "--out", str(out)]
    return [*COMMAND, "image", *window, "--e1", band[0], "--e2", band[1]]


def measure(archive: Path, events: Path) -> dict[str, float]:
    """Median times in seconds."""
    rounds = []
    for _ in range(REPEATS):
        with tempfile.TemporaryDirectory() as folder:
            store, out = Path(folder) / "store", Path(folder) / "out"
            rounds.append(
                (
                    seconds_to_read(events),
                    seconds_of([*COMMAND, "--help"]),
                    seconds_of(image(archive, store, out, "28", "80")),
                    seconds_of(image(archive, store, out, "40", "60")),
                    seconds_of(image(archive, store, out, "28", "80")),
                )
            )
    read, start, cold, band, warm = (float(value) for value in np.median(rounds, axis=0))
    largest = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return {
        "astropy_read_s": read,
        "start_up_s": start,
        "cold_s": cold,
        "cold_beyond_start_up_over_read": (cold - start) / read,
        "another_band_s": band,
        "again_s": warm,
        "again_beyond_start_up_s": warm - start,
        "peak_memory_mb": largest,
    }


def main() -> None:
    """Measure and save the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--archive", type=Path, default=archive_root())
    archive = parser.parse_args().archive
    times = {name: round(value, 3) for name, value in measure(archive, fetch_sample(archive)).items()}
    machine = {"cores": os.cpu_count(), "python": platform.python_version(), "repeats": REPEATS}
    REPORT.write_text(json.dumps({"machine": machine, "median": times}, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(times, indent=2))


if __name__ == "__main__":
    main()
