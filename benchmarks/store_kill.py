"""Kill processes that work on a store, 300 times, and see that nothing wrong is left.

Run: python benchmarks/store_kill.py [--trials 300] [--seed 1]; writes benchmarks/reports/store_kill.json.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "workflow"))

from kill_trials import Trial, run_trial

REPORT = Path(__file__).resolve().parent / "reports" / "store_kill.json"


def summary(trials: list[Trial], seed: int, seconds: float) -> dict[str, object]:
    """Sum up what the killed processes left."""
    finished = [trial.finished for trial in trials]
    return {
        "trials": len(trials),
        "seed": seed,
        "wrong": sum(bool(trial.problems) for trial in trials),
        "problems": [problem for trial in trials for problem in trial.problems],
        "kills_amid_writing_or_removing": sum(trial.leftovers > 0 for trial in trials),
        "results_at_the_kill": {"fewest": min(finished), "most": max(finished), "different": len(set(finished))},
        "latest_kill_s": round(max(trial.moment_s for trial in trials), 3),
        "seconds": round(seconds, 1),
        "python": platform.python_version(),
    }


def main() -> int:
    """Run the trials and write the report; the exit status is 1 if anything was wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    generator, begin = random.Random(options.seed), time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        trials = [run_trial(Path(folder) / str(number), generator) for number in range(options.trials)]
    report = summary(trials, options.seed, time.perf_counter() - begin)
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(report, indent=2))
    return 1 if report["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
