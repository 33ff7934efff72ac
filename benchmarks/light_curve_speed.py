"""Cost of 3.5 ks of the real sample window in bins of 0.1 s for ten sources, beside the package isgri 0.7.2.

Run: python benchmarks/light_curve_speed.py [--archive DIR] [--isgri FOLDER]; writes light_curve_speed.json in
benchmarks/reports. FOLDER is where ``pip install --target FOLDER --no-deps isgri==0.7.2 joblib tomli_w`` put it; that
package sums weighted events and fits nothing. Every number is the least of several runs, each in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

from integral_oda.archive.tree import Archive
from integral_oda.folders import archive_root

REPORTS = Path(__file__).parent / "reports"
SCW, SOURCES = "255900280010.001", 10
PIF = "dominp_isgri/255900280010_isgri_model.fits.gz"

OURS = """
import resource, sys, tempfile, time
from pathlib import Path
from integral_oda.archive.tree import Archive
from integral_oda.engines.native.graph import Curves, light_curve_graph
from integral_oda.engines.native.timing import Window, fit_window
from integral_oda.engines.native.window_fit import WindowFit
from integral_oda.engines.native.field import FieldSources, live_time_map
from integral_oda.engines.native.image import BinI
from integral_oda.instrument.attitude import Attitude
from integral_oda.instrument.energy import EnergyBand
from integral_oda.timing.binning import fixed_edges
from integral_oda.workflow.executor import execute
from integral_oda.workflow.graph import walk
from integral_oda.workflow.shared import open_store

archive, store, n = Archive(Path(sys.argv[1])), open_store(sys.argv[2]), int(sys.argv[3])
start, cpu = time.perf_counter(), time.process_time()
band = EnergyBand(28.0, 80.0)
packed = light_curve_graph(archive, [sys.argv[4]], Curves((band,), {"width_s": 0.1}))
lcr = next(node for node in walk([packed]) if node.step.name == "LCR")
values = execute(list(lcr.inputs), store)
events, good, dead, field, shadowgram, widths = (values.value(node) for node in lcr.inputs)
made = (time.perf_counter() - start, time.process_time() - cpu)
columns = ("names", "ra_deg", "dec_deg", "tangent_y", "tangent_z")
few = FieldSources(*(list(getattr(field, name))[:n] for name in columns))
start, cpu = time.perf_counter(), time.process_time()
window = Window(events, good, dead)
fit = WindowFit(shadowgram, widths, few, band, None, Attitude.from_keywords(events.header), live_time_map(good, dead))
curves = fit_window(window, fit, fixed_edges(*window.span, 0.1))
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(made[0], made[1], time.perf_counter() - start, time.process_time() - cpu, peak, len(curves), len(curves[0]))
"""
THEIRS = """
import resource, sys, time
start, cpu = time.perf_counter(), time.process_time()
from isgri.utils import LightCurve
loaded = LightCurve.load_data(events_path=sys.argv[1], pif_path=sys.argv[2], pif_threshold=0.5)
bins, counts = loaded.rebin(binsize=0.1, emin=28, emax=80)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(time.perf_counter() - start, time.process_time() - cpu, peak, len(counts))
"""


def run(code: str, *arguments: str, path: str = "") -> list[float]:
    """Numbers that a process of its own prints."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [path, os.environ.get("PYTHONPATH", "")]))}
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True, env=environment
    )
    return [float(word) for word in done.stdout.split()[-8:] if word.replace(".", "").replace("e-", "").isdigit()]


def main() -> None:
    """Run and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--archive", type=Path, default=archive_root())
    parser.add_argument("--isgri", default="")
    parser.add_argument("--runs", type=int, default=3)
    given = parser.parse_args()
    import tempfile

    with tempfile.TemporaryDirectory() as store:
        ours = [run(OURS, str(given.archive), store, str(SOURCES), SCW) for _ in range(given.runs + 1)]
    cold, warm = ours[0], ours[1:]
    report = {
        "steps_before_cold_s": cold[0],
        "steps_before_cold_cpu_s": cold[1],
        "light_curves_s": min(row[2] for row in warm),
        "light_curves_cpu_s": min(row[3] for row in warm),
        "peak_memory_mb": max(row[4] for row in ours),
        "sources": int(warm[0][5]),
        "bins": int(warm[0][6]),
    }
    if given.isgri:
        events = str(Archive(given.archive).events_file(SCW))
        pif = str(Path(os.environ["INTEGRAL_ODA_TESTDATA"]) / PIF)
        theirs = [run(THEIRS, events, pif, path=given.isgri) for _ in range(given.runs)]
        report["isgri_0.7.2"] = {
            "load_and_bin_s": min(row[0] for row in theirs),
            "load_and_bin_cpu_s": min(row[1] for row in theirs),
            "peak_memory_mb": max(row[2] for row in theirs),
            "bins": int(theirs[0][3]),
        }
    (REPORTS / "light_curve_speed.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
