"""Look-ups in a store whose index has a million entries (synthetic ones, without files).

Run: python benchmarks/index_million.py [--entries 1000000]; writes benchmarks/reports/index_million.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from integral_oda.workflow.graph import Node
from integral_oda.workflow.index import Entry
from integral_oda.workflow.keys import digest
from integral_oda.workflow.store import Store

REPORT = Path(__file__).resolve().parent / "reports" / "index_million.json"
STEPS = ("COR", "GTI", "DEAD", "BIN_I", "BKG_I", "IMA", "BIN_T", "BKG_T", "LCR", "MOSAIC")
CHUNK = 50_000
ROUNDS = 500


class Note:
    """A step whose result is a small text."""

    name, version = "IMA", "1"

    def compute(self, *_: Any) -> str:
        """Make the text."""
        return "text"

    def save(self, value: str, folder: Path) -> None:
        """Write the text."""
        (folder / "text").write_text(value, encoding="utf-8")

    def load(self, folder: Path) -> str:
        """Read the text."""
        return (folder / "text").read_text(encoding="utf-8")


def synthetic(numbers: range) -> Iterator[Entry]:
    """Entries as queries of thousands of science windows would leave them."""
    for number in numbers:
        yield Entry(
            key=digest(number),
            step=STEPS[number % len(STEPS)],
            step_version="1",
            scope=f"{number // 10:012d}.001",
            engine="native",
            engine_version="0.1",
            parameters='{"bands":[[28.0,80.0]]}',
            inputs=json.dumps([digest(number - 1)]),
            size=100_000 + number % 1000,
            files=2,
            seconds=0.5,
            created=1.6e9 + number,
            used=1.6e9 + (number * 7919) % 1_000_000,
            hits=0,
        )


def measure(action: Callable[[], object], rounds: int = ROUNDS) -> dict[str, float]:
    """Milliseconds of an action: median, 99th percentile, longest, and the 99th percentile of its processor time."""
    times, busy = [], []
    for _ in range(rounds):
        begin, begin_busy = time.perf_counter(), time.thread_time()
        action()
        times.append(1e3 * (time.perf_counter() - begin))
        busy.append(1e3 * (time.thread_time() - begin_busy))
    times.sort()
    busy.sort()
    return {
        "median_ms": round(statistics.median(times), 3),
        "p99_ms": round(times[int(0.99 * rounds)], 3),
        "longest_ms": round(times[-1], 3),
        "processor_p99_ms": round(busy[int(0.99 * rounds)], 3),
    }


def fill(store: Store, entries: int) -> float:
    """Enter synthetic results; give the seconds."""
    begin = time.perf_counter()
    for start in range(0, entries, CHUNK):
        store.index.add(synthetic(range(start, min(start + CHUNK, entries))))
    return time.perf_counter() - begin


def look_ups(store: Store, entries: int) -> dict[str, dict[str, float]]:
    """Measure what a query and a user ask of a large store."""
    generator, numbers = random.Random(1), iter(range(10**9))
    nodes = [Node(Note(), "w", {"note": number}) for number in range(2 * ROUNDS)]

    def save() -> None:
        node = nodes[next(numbers)]
        with store.lock(node.key).hold():
            store.save(node.task, "text", 0.1)

    def some_key() -> str:
        return digest(generator.randrange(entries))

    report = {"save a result": measure(save)}
    known = [node.key for node in nodes[:ROUNDS]]
    return report | {
        "find a result": measure(lambda: store.find(generator.choice(known))),
        "find a result that is not there": measure(lambda: store.find("f" * 64)),
        "index: get": measure(lambda: store.index.get(some_key())),
        "index: touch": measure(lambda: store.index.touch(some_key())),
        "index: one step of one window": measure(
            lambda: store.index.search("IMA", f"{generator.randrange(entries) // 10:012d}.001")
        ),
        "index: known failure": measure(lambda: store.index.known_failure(some_key())),
        "index: least recently used 100": measure(lambda: store.index.least_recently_used(100)),
        "info": measure(store.info),
        "open a store and find": measure(lambda: open_and_find(store.root, generator.choice(known)), 50),
    }


def open_and_find(root: Path, key: str) -> None:
    """What the first look-up of a new process costs."""
    store = Store(root)
    store.find(key)
    store.close()


def main() -> None:
    """Fill, measure, and write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=1_000_000)
    entries = parser.parse_args().entries
    with tempfile.TemporaryDirectory() as folder:
        store = Store(folder)
        seconds = fill(store, entries)
        times = look_ups(store, entries)
        size = store.index.path.stat().st_size
        store.close()
    looks = [item for name, item in times.items() if name != "save a result"]
    worst = max(item["p99_ms"] for item in looks)
    report = {
        "entries": entries,
        "seconds_to_fill": round(seconds, 1),
        "index_bytes": size,
        "p99_of_the_slowest_look_up_ms": worst,
        "p99_of_the_slowest_look_up_processor_ms": max(item["processor_p99_ms"] for item in looks),
        "all_under_5_ms": worst < 5,
        "load_average_at_the_end": round(os.getloadavg()[0], 2),
        "cores": os.cpu_count(),
        "times": times,
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
    }
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
