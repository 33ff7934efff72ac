"""Processes that are killed in the middle of a query, and what they must leave behind."""

from __future__ import annotations

import contextlib
import json
import random
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from workflow_toys import image_query

from integral_oda.workflow.executor import execute
from integral_oda.workflow.store import Store

WINDOWS = [f"w{number}" for number in range(4)]
BANDS = [(28.0, 80.0), (20.0, 40.0)]
TOY = {"bytes": 30_000, "seconds": 0.002}


@dataclass
class Trial:
    """What one killed process left.

    ``finished`` counts the results that were whole at the kill, ``leftovers`` those that were half written or removed.
    """

    moment_s: float
    finished: int
    leftovers: int
    problems: list[str]


def busy_process(root: Path, archive: Path) -> None:
    """Compute, prune and compute again without end; to be killed."""
    store = Store(root)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while True:
        for band in BANDS:
            execute([image_query(archive, WINDOWS, band=band, **TOY)], store)
        store.prune(200_000)


def start(root: Path, archive: Path) -> subprocess.Popen[str]:
    """Start a busy process and wait until it works."""
    command = [sys.executable, str(Path(__file__)), str(root), str(archive)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def kill(processes: list[subprocess.Popen[str]]) -> list[str]:
    """Kill processes that should still be at work; give what they complained of."""
    for process in processes:
        process.kill()
    errors = [process.communicate(timeout=30)[1] for process in processes]
    return [text for text in errors if text]


def run_trial(folder: Path, generator: random.Random, longest_s: float = 0.35) -> Trial:
    """Kill one or two processes at a random moment of a query, then ask it again.

    Parameters
    ----------
    folder : Path
        An empty folder; it is removed at the end.
    generator : random.Random
        Draws the moment and the number of processes.
    longest_s : float
        Latest moment of the kill.
    """
    archive, root = folder / "archive", folder / "store"
    expected = {band: _value(archive, band, None) for band in BANDS}
    processes = [start(root, archive) for _ in range(generator.choice([1, 1, 2]))]
    moment = generator.uniform(0, longest_s)
    time.sleep(moment)
    problems = kill(processes)
    store = Store(root)
    finished = len(list(store.keys()))
    leftovers = len(list((root / "aside").iterdir()))
    problems += [f"damaged: {item}" for item in store.verify().damaged]
    problems += [f"wrong product of {band}" for band in BANDS if _value(archive, band, store) != expected[band]]
    problems += [f"damaged afterwards: {item}" for item in store.verify().damaged]
    if store.index.keys() != set(store.keys()):
        problems.append("the index is not that of the results")
    with contextlib.suppress(StopIteration):
        problems.append(f"left aside: {next((root / 'aside').iterdir())}")
    store.close()
    shutil.rmtree(folder)
    return Trial(moment, finished, leftovers, problems)


def _value(archive: Path, band: tuple[float, float], store: Store | None) -> str:
    target = image_query(archive, WINDOWS, band=band, bytes=TOY["bytes"])
    return json.dumps(execute([target], store).values[target])


if __name__ == "__main__":
    busy_process(Path(sys.argv[1]), Path(sys.argv[2]))
