"""Time the image of the real sample window against astropy merely reading the same columns of the same file.

In turn, in one run: astropy's reading; the command line, imports included, cold from the gzipped events, with another
band, and again from the store; the same analysis inside this process, cold; a further band of a window that is open,
its structure known and worked out anew. Times are least ones of several rounds, of the processor and of the wall: on a
machine that others use the wall tells of them too. Modules are compiled before, as those of any installation are;
where PYTHONDONTWRITEBYTECODE keeps an editable one from being so, every start takes some 0.15 s longer.

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
from collections.abc import Callable
from pathlib import Path

from integral_oda.analysis import analyse
from integral_oda.archive.sample import fetch_sample
from integral_oda.folders import archive_root
from integral_oda.live_imaging import live_window
from integral_oda.query import ImageQuery, make_query

import numpy as np  # isort: skip  after the package, which keeps BLAS to one thread
from astropy.io import fits  # isort: skip

REPORT = Path(__file__).resolve().parent / "reports" / "cold_and_warm.json"
COLUMNS = ("TIME", "ISGRI_ENERGY", "ISGRI_PI", "DETY", "DETZ", "SELECT_FLAG")
COMMAND = [sys.executable, "-m", "integral_oda"]
SCW = "255900280010.001"
BAND, OTHER_BAND = (28.0, 80.0), (40.0, 60.0)
FURTHER_BANDS = ((30.0, 60.0), (35.0, 70.0), (40.0, 80.0))
REPEATS = 5

Seconds = tuple[float, float]
"""Of the processor and of the wall."""


def timed(action: Callable[[], object]) -> Seconds:
    """Time of an action in this process or in processes that it waits for."""
    begin, cpu = time.perf_counter(), _cpu_s()
    action()
    return _cpu_s() - cpu, time.perf_counter() - begin


def _cpu_s() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def read(path: Path) -> None:
    """Read the columns that an image needs with astropy."""
    with fits.open(path, memmap=False) as hdus:
        for name in COLUMNS:
            np.ascontiguousarray(hdus["ISGR-EVTS-ALL"].data[name])


def run(command: list[str]) -> None:
    """Carry a command out; what it compiles is kept."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    subprocess.run([*COMMAND, *command], check=True, capture_output=True, env=environment)


def image_command(archive: Path, folder: Path, band: tuple[float, float]) -> list[str]:
    """Command that makes the image."""
    window = [
        "--scw-list",
        SCW,
        "--archive",
        str(archive),
        "--store",
        str(folder / "store"),
        "--out",
        str(folder / "out"),
    ]
    return ["image", *window, "--e1", str(band[0]), "--e2", str(band[1])]


def query(band: tuple[float, float]) -> ImageQuery:
    """The same inside the process."""
    return make_query(ImageQuery, scw_list=SCW, bands=[band])


def further_bands(archive: Path, store: Path) -> dict[str, Seconds]:
    """Images of further bands of an open window: the first one works the structure out anew, the others know it."""
    sources = [(s.name, s.ra_deg, s.dec_deg) for s in analyse(query(BAND), archive, store).sources]
    window = live_window(query(BAND), archive, store, sources)
    anew = timed(lambda: window.image(*BAND))
    known = [timed(lambda band=band: window.image(*band)) for band in FURTHER_BANDS]
    return {"further_band_anew": anew, "further_band_structure_known": tuple(np.median(known, axis=0))}


def one_round(archive: Path, events: Path) -> dict[str, Seconds]:
    """Times of everything once."""
    with tempfile.TemporaryDirectory() as name:
        folder, inside = Path(name) / "command", Path(name) / "inside"
        folder.mkdir()
        return {
            "astropy_read": timed(lambda: read(events)),
            "start_up": timed(lambda: run(["--help"])),
            "cold": timed(lambda: run(image_command(archive, folder, BAND))),
            "another_band": timed(lambda: run(image_command(archive, folder, OTHER_BAND))),
            "again": timed(lambda: run(image_command(archive, folder, BAND))),
            "cold_inside": timed(lambda: analyse(query(BAND), archive, inside)),
            **further_bands(archive, inside),
        }


def measure(archive: Path, events: Path) -> dict[str, float]:
    """Least times in seconds, and their ratios to astropy's reading."""
    with tempfile.TemporaryDirectory() as folder:
        analyse(query(BAND), archive, Path(folder) / "inside")  # loads what the rounds shall not wait for
        run(image_command(archive, Path(folder), BAND))
    rounds = [one_round(archive, events) for _ in range(REPEATS)]
    least = {name: np.min([times[name] for times in rounds], axis=0) for name in rounds[0]}
    report = {f"{name}_{clock}_s": least[name][k] for name in least for k, clock in enumerate(("cpu", "wall"))}
    for k, clock in enumerate(("cpu", "wall")):
        reading, start_up, cold, inside = (least[n][k] for n in ("astropy_read", "start_up", "cold", "cold_inside"))
        report[f"cold_over_read_{clock}"] = cold / reading
        report[f"cold_beyond_start_up_over_read_{clock}"] = (cold - start_up) / reading
        report[f"cold_inside_over_read_{clock}"] = inside / reading
    report["peak_memory_of_command_mb"] = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return report


def main() -> None:
    """Measure and save the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--archive", type=Path, default=archive_root())
    archive = parser.parse_args().archive
    times = {name: round(float(value), 3) for name, value in measure(archive, fetch_sample(archive)).items()}
    machine = {"cores": os.cpu_count(), "python": platform.python_version(), "repeats": REPEATS}
    REPORT.write_text(json.dumps({"machine": machine, "least": times}, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(times, indent=2))


if __name__ == "__main__":
    main()
