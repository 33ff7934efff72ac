"""Many windows on one and on two workers: speed, and memory of each process.

The windows are synthetic, with the cost and the size of results of an imaging query (a chain of transforms, images of
1.3 MB), so that what is measured is the graph, the store and the cluster.

Run: python benchmarks/cluster_scaling.py [--windows 200]; writes benchmarks/reports/cluster_scaling.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from integral_oda.workflow.cluster import ClusterExecutor
from integral_oda.workflow.executor import execute
from integral_oda.workflow.graph import Node, gather_as_tree
from integral_oda.workflow.store import Store

REPORT = Path(__file__).resolve().parent / "reports" / "cluster_scaling.json"
SIDE = 400
ROUNDS = 14


class Imaging:
    """A window: an image from a seed, by as many transforms as an imaging step needs."""

    name, version = "IMA", "1"

    def compute(self, _: Sequence[Any], parameters: Mapping[str, Any], *__: Any) -> np.ndarray:
        """Make the image."""
        image = np.random.default_rng(parameters["seed"]).normal(size=(SIDE, SIDE))
        for _ in range(parameters["rounds"]):
            image = np.fft.ifft2(np.fft.fft2(image)).real
        return image

    def save(self, value: np.ndarray, folder: Path) -> None:
        """Write the image."""
        np.save(folder / "image.npy", value)

    def load(self, folder: Path) -> np.ndarray:
        """Read the image."""
        return np.load(folder / "image.npy")


class Mosaic(Imaging):
    """The sum of images, one in memory at a time."""

    name, tolerant = "MOSAIC", True

    def compute(self, inputs: Sequence[Any], *_: Any) -> np.ndarray:
        """Add them up."""
        total = np.zeros((SIDE, SIDE))
        for _, image in inputs:
            total += image
        return total


def query(windows: int, rounds: int = ROUNDS) -> Node:
    """The graph of a mosaic of some windows; a round costs 4 ms."""
    images = [Node(Imaging(), f"w{number}", {"seed": number, "rounds": rounds}) for number in range(windows)]
    return gather_as_tree(images, lambda inputs: Node(Mosaic(), "all", inputs=inputs), width=16)


def peak_mb() -> float:
    """Largest resident memory of this process so far."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)


def run(jobs: int, windows: int, rounds: int) -> dict[str, Any]:
    """Carry a query out on a cluster of its own; give its seconds and the memory of the workers."""
    with tempfile.TemporaryDirectory() as folder, ClusterExecutor(jobs=jobs) as cluster:
        cluster([query(2)], Store(Path(folder) / "warm"))
        target = query(windows, rounds)
        begin = time.perf_counter()
        done = cluster([target], Store(Path(folder) / "store"))
        seconds = time.perf_counter() - begin
        memory = sorted(cluster.client.run(peak_mb).values())
        total = float(done.values[target].sum())
    return {"workers": jobs, "windows": windows, "seconds": round(seconds, 2), "worker_peak_mb": memory, "sum": total}


def in_process(windows: int, rounds: int) -> dict[str, Any]:
    """Carry a query out in this process."""
    with tempfile.TemporaryDirectory() as folder:
        target = query(windows, rounds)
        begin = time.perf_counter()
        done = execute([target], Store(folder))
        seconds = time.perf_counter() - begin
        return {
            "windows": windows,
            "seconds": round(seconds, 2),
            "peak_mb": peak_mb(),
            "sum": float(done.values[target].sum()),
        }


def main() -> None:
    """Measure and write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--windows", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="400 cost as much as a real window")
    windows, rounds = parser.parse_args().windows, parser.parse_args().rounds
    few = in_process(windows // 4, rounds)
    alone = in_process(windows, rounds)
    runs = [
        run(jobs, number, rounds) for jobs, number in ((1, windows // 4), (1, windows), (2, windows // 4), (2, windows))
    ]
    one, two = runs[1], runs[3]
    report = {
        "windows": windows,
        "rounds": rounds,
        "speed_of_two_workers_over_one": round(one["seconds"] / two["seconds"], 2),
        "same_result": len({item["sum"] for item in (alone, one, two)}) == 1,
        "in_process": [few, alone],
        "cluster": runs,
        "load_average_at_the_end": round(os.getloadavg()[0], 2),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
    }
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
