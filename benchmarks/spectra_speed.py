"""Speed of spectra: processor time of each step for one real window, ten sources and one, 256 channels.

Run: python benchmarks/spectra_speed.py [--archive DIR] [--repeat 5]; writes spectra_speed.json in benchmarks/reports.
The smallest of the repeats counts. A sum of many windows costs the steps of each and the gathering at its end.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from integral_oda.archive.tree import Archive
from integral_oda.engines.native.events import Cor, Dead, Gti
from integral_oda.engines.native.field import CatI, Effi, FieldSources
from integral_oda.engines.native.spectra import BinS, BkgS, Spe
from integral_oda.engines.native.spectra_sum import PackSpectra
from integral_oda.folders import archive_root
from integral_oda.spectra.binning import channel_edges

REPORT = Path(__file__).resolve().parent / "reports/spectra_speed.json"
SCW = "255900280010.001"
SGR = ["SGR 1935+2154", 293.732, 21.8967]
CORES = 2


def timed(seconds: dict[str, float], name: str, work: Callable[[], Any]) -> Any:
    """Result of some work; its processor time is kept if it is the smallest."""
    started = time.process_time()
    value = work()
    seconds[name] = min(seconds.get(name, 1e9), time.process_time() - started)
    return value


def first(field: FieldSources, n: int) -> FieldSources:
    """The first sources of a field."""
    return FieldSources(field.names[:n], field.ra_deg[:n], field.dec_deg[:n], field.tangent_y[:n], field.tangent_z[:n])


def measure(seconds: dict[str, float], archive: Archive, source: list[Any] | None) -> None:
    """Carry every step out once."""
    raw = {"events": archive.events_file(SCW)}
    edges = {"edges": channel_edges(256).tolist(), "group": 0.0}
    events = timed(seconds, "COR", lambda: Cor().compute([], {}, raw))
    good = Gti().compute([events], {}, {})
    dead = Dead().compute([events, good], {}, {})
    field = timed(seconds, "CAT_I", lambda: first(CatI().compute([events], {"extra": []}, {}), 10))
    effi = timed(seconds, "EFFI", lambda: Effi().compute([events, good, dead, field], {}, {}))
    base = [events, good, dead, effi]
    cube = timed(seconds, "BIN_S", lambda: BinS().compute(base, {}, {}))
    structure = timed(seconds, "BKG_S", lambda: BkgS().compute([*base, field, cube], {"source": source}, {}))
    spectra = timed(seconds, "SPE", lambda: Spe().compute([*base, structure, cube], {"source": source}, {}))
    if source is None:
        return
    windows = [(f"{number:012d}.001", spectra) for number in range(50)]
    made = timed(seconds, "sum of 50", lambda: PackSpectra().compute(windows, edges, {}))
    with tempfile.TemporaryDirectory() as name:
        timed(seconds, "files of 50", lambda: PackSpectra().save(made, Path(name)))


def rounded(seconds: dict[str, float]) -> dict[str, float]:
    """To milliseconds."""
    return {name: round(value, 3) for name, value in seconds.items()}


def main() -> None:
    """Measure and write the report."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--archive", type=Path, default=None)
    parser.add_argument("--repeat", type=int, default=5)
    arguments = parser.parse_args()
    archive = Archive(arguments.archive or archive_root())
    ten: dict[str, float] = {}
    one: dict[str, float] = {}
    for _ in range(arguments.repeat):
        measure(ten, archive, None)
        measure(one, archive, SGR)
    gathering = one["sum of 50"] + one["files of 50"]
    window = sum(one.values()) - gathering
    report = {
        "science_window": SCW,
        "seconds_ten_sources": rounded(ten),
        "seconds_one_window_ten_sources": round(sum(ten.values()), 2),
        "seconds_one_source": rounded(one),
        "seconds_50_windows_on_two_cores": round(50 * window / CORES + gathering, 1),
    }
    REPORT.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
