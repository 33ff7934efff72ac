"""The same query again inside a running process: ten windows, nothing computed, and where the time goes.

Run: python benchmarks/repeat_query.py [--windows 10]; writes benchmarks/reports/repeat_query.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import time
from pathlib import Path
from typing import Any

from integral_oda.analysis import analyse
from integral_oda.query import ImageQuery, LightCurveQuery, Query
from integral_oda.simulation.recipe import make_recipe
from integral_oda.simulation.window import simulate

REPORT = Path(__file__).resolve().parent / "reports" / "repeat_query.json"
BAND = (28.0, 80.0)
CRAB = {"name": "Crab", "ra": 83.6332, "dec": 22.0145, "flux": {"value": 100, "band": BAND}}
REPEATS = 15


def archive_of(windows: int, root: Path) -> tuple[str, ...]:
    """Short simulated windows around the Crab; only their number matters here."""
    recipe = {
        "seed": 3,
        "pointings": [
            {"ra": 82.0 + 0.4 * (n % 7), "dec": 20.5 + 0.5 * (n % 5), "roll": 7.0 * n} for n in range(windows)
        ],
        "duration_s": 120,
        "sources": [CRAB],
        "background": {"rate": 150, "band": BAND},
    }
    return tuple(str(scw) for scw in simulate(make_recipe(recipe), root))


def repeated(query: Query, archive: Path, store: Path, out: Path) -> dict[str, Any]:
    """Ask, then ask again and again, products written each time."""
    first = analyse(query, archive, store)
    first.write(out / "first")
    wall, processor = [], []
    for _ in range(REPEATS):
        begin, used = time.perf_counter(), time.process_time()
        again = analyse(query, archive, store)
        again.write(out / "again")
        wall.append(time.perf_counter() - begin)
        processor.append(time.process_time() - used)
        assert again.summary["nodes"]["computed"] == 0
    same = [path.name for path in again.files if path.read_bytes() == (out / "first" / path.name).read_bytes()]
    return {
        "windows": len(query.scw_list),
        "computed_first": first.summary["nodes"]["computed"],
        "computed_again": again.summary["nodes"]["computed"],
        "files_identical_bit_for_bit": len(same) == len(again.files),
        "again_fastest_s": round(min(wall), 4),
        "again_median_s": round(sorted(wall)[REPEATS // 2], 4),
        "again_processor_s": round(min(processor), 4),
    }


def main() -> None:
    """Measure and write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--windows", type=int, default=10)
    windows = parser.parse_args().windows
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        scws = archive_of(windows, root / "archive")
        queries: dict[str, Query] = {
            "image": ImageQuery(scw_list=scws, bands=(BAND,)),
            "image with a source": ImageQuery(scw_list=scws, bands=(BAND,), src_name="Crab"),
            "light curve": LightCurveQuery(scw_list=scws, src_name="Crab", time_bin=60),
        }
        report = {
            "queries": {
                name: repeated(query, root / "archive", root / "store", root / f"out {name}")
                for name, query in queries.items()
            },
            "load_average_at_the_end": round(os.getloadavg()[0], 2),
            "cores": os.cpu_count(),
            "python": platform.python_version(),
        }
    REPORT.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
