"""How long the pointing index takes: a cone and a time over a mission, and the headers of a whole archive.

python benchmarks/pointing_index.py [--windows 100000] [--folder DIR]   writes reports/pointing_index.json
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits

from integral_oda.archive.indexing import index_path, update_index
from integral_oda.archive.plan import Criteria, Target, plan_pointings
from integral_oda.archive.pointings import PointingIndex, read_index, write_index

REPORT = Path(__file__).resolve().parent / "reports" / "pointing_index.json"
POINTINGS, REVOLUTIONS, REPEATS = 200_000, 2800, 30
CRAB, CYGNUS, CENTRE = (
    Target("Crab", 83.6332, 22.0145),
    Target("Cyg X-1", 299.59, 35.20),
    Target("GC", 266.417, -29.008),
)
KEYWORDS = ("RA_SCX", "DEC_SCX", "RA_SCZ", "DEC_SCZ", "TSTART", "TSTOP")


def mission(count: int, seed: int = 1) -> PointingIndex:
    """Dithered observations as the mission's: a third along the Galactic plane, slews between the pointings."""
    rng = np.random.default_rng(seed)
    number = np.arange(count)
    revolution, within = 46 + number * REVOLUTIONS // count, number % (count // REVOLUTIONS + 1)
    field = np.repeat(rng.integers(0, 400, count // 25 + 1), 25)[:count]
    ra, dec = rng.uniform(0, 360, 400), np.rad2deg(np.arcsin(rng.uniform(-1, 1, 400)))
    ra[:130], dec[:130] = 266.4 + rng.normal(0, 15, 130), -29 + rng.normal(0, 8, 130)
    start = 1000 + number * 8000 / count
    return PointingIndex.build(
        {
            "name": [f"{r:04d}{w:04d}001{n % 2}.001" for n, (r, w) in enumerate(zip(revolution, within, strict=True))],
            "tstart": start,
            "tstop": start + 0.035,
            "ra_x": (ra[field] + rng.uniform(-5, 5, count)) % 360,
            "dec_x": np.clip(dec[field] + rng.uniform(-5, 5, count), -90, 90),
            "ra_z": rng.uniform(0, 360, count),
            "dec_z": rng.uniform(-90, 90, count),
        }
    )


def timed(work: Any) -> dict[str, float]:
    """Smallest and median of several times, ms."""
    seconds = []
    for _ in range(REPEATS):
        begun = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - begun)
    return {"least_ms": round(1e3 * min(seconds), 2), "median_ms": round(1e3 * float(np.median(seconds)), 2)}


def queries(folder: Path) -> dict[str, Any]:
    """Times of reading the index and of looking through it."""
    path = folder / "mission.fits"
    index = mission(POINTINGS)
    write_index(path, index)
    found: dict[str, Any] = {"pointings": len(index), "file_mb": round(path.stat().st_size / 1e6, 1)}
    found["read"] = timed(lambda: read_index(path))
    for target in (CRAB, CYGNUS, CENTRE):
        rows = [0]

        def cone(target: Target = target, rows: list[int] = rows) -> None:
            near = index.near(target.ra_deg, target.dec_deg, 15.0) & index.overlapping(2000, 5000)
            rows[0] = int(near.sum())

        found[f"cone_and_time_{target.name}"] = {**timed(cone), "rows": rows[0]}
    whole = Criteria(interval_ijd=(2000.0, 5000.0), max_pointings=50)
    found["read_cone_and_time_Crab"] = timed(
        lambda: (r := read_index(path)).near(CRAB.ra_deg, CRAB.dec_deg, 15.0) & r.overlapping(2000, 5000)
    )
    found["read_and_plan_Crab"] = timed(lambda: plan_pointings(read_index(path), CRAB, whole))
    found["plan_same_in_three_processes"] = same_elsewhere(path, index, whole)
    return found


def same_elsewhere(path: Path, index: PointingIndex, criteria: Criteria) -> bool:
    """Whether other processes, with other hash seeds, choose the same windows."""
    here = [list(plan_pointings(index, CRAB, c).chosen) for c in (criteria, Criteria(max_pointings=50, seed=12))]
    code = (
        "import sys, json\nfrom integral_oda.archive.plan import *\n"
        "from integral_oda.archive.pointings import read_index\n"
        "index = read_index(sys.argv[1])\ncrab = Target('Crab', 83.6332, 22.0145)\n"
        "both = (Criteria(interval_ijd=(2000.0, 5000.0), max_pointings=50), Criteria(max_pointings=50, seed=12))\n"
        "print(json.dumps([plan_pointings(index, crab, c).chosen for c in both]))\n"
    )
    for seed in ("1", "2", "3"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        command = [sys.executable, "-c", code, str(path)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        if json.loads(done.stdout) != here:
            return False
    return True


def write_tree(root: Path, count: int) -> None:
    """An archive of science windows that have their group file alone."""
    template = fits.BinTableHDU.from_columns(
        [fits.Column("MEMBER_NAME", "32A", array=["ISGR-EVTS-ALL"])], name="GROUPING"
    )
    for key in KEYWORDS:
        template.header[key] = -100.12345678
    primary = fits.PrimaryHDU().header.tostring().encode()
    content = primary + template.header.tostring().encode() + bytes(2880)
    index = mission(count, seed=2)
    cards = {key: content.index(f"{key:<8}= ".encode()) + 10 for key in KEYWORDS}
    for n, name in enumerate(index.names):
        folder = root / "scw" / name[:4] / name
        folder.mkdir(parents=True)
        own = bytearray(content)
        values = (index.ra_x[n], index.dec_x[n], index.ra_z[n], index.dec_z[n], index.tstart[n], index.tstop[n])
        for key, value in zip(KEYWORDS, values, strict=True):
            own[cards[key] : cards[key] + 20] = f"{value:20.10f}".encode()
        (folder / "swg.fits").write_bytes(own)


def building(folder: Path, count: int) -> dict[str, Any]:
    """Times of indexing an archive: all of it, nothing new, a hundred new ones."""
    root = folder / "archive"
    write_tree(root, count)
    found: dict[str, Any] = {"windows": count, "processes": os.cpu_count()}
    for name in ("all_s", "nothing_new_s"):
        begun = time.perf_counter()
        report = update_index(root)
        found[name] = round(time.perf_counter() - begun, 2)
        found[name.replace("_s", "_read")] = report.read
    for path in sorted(root.glob("scw/*/*/swg.fits"))[:100]:
        os.utime(path)
    begun = time.perf_counter()
    found["hundred_changed_read"] = update_index(root).read
    found["hundred_changed_s"] = round(time.perf_counter() - begun, 2)
    found["rows"] = len(read_index(index_path(root)))
    return found


def main() -> None:
    """Measure, and write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--windows", type=int, default=100_000)
    parser.add_argument("--folder", type=Path, default=None, help="Where a temporary archive of 1 GB may lie.")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(dir=options.folder))
    try:
        report = {"queries": queries(folder), "building": building(folder, options.windows)}
        REPORT.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
        print(json.dumps(report, indent=2))
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
