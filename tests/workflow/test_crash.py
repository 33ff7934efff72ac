"""Processes killed at any instant, eight processes at once, and a disk that fills up."""

import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from kill_trials import run_trial
from workflow_toys import image_query

from integral_oda.workflow.executor import execute
from integral_oda.workflow.store import Store

HERE = str(Path(__file__).parent)


def test_a_killed_process_leaves_nothing_wrong(tmp_path):
    generator = random.Random(20220612)
    trials = [run_trial(tmp_path / str(number), generator) for number in range(20)]
    assert [trial for trial in trials if trial.problems] == []
    assert len({trial.finished for trial in trials}) > 5
    assert any(trial.leftovers for trial in trials)


ASK = """
import json, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from workflow_toys import image_query
from integral_oda.workflow.executor import execute
from integral_oda.workflow.store import Store
folder, windows = Path(sys.argv[2]), sys.argv[3].split(",")
print("ready", flush=True)
sys.stdin.readline()
target = image_query(folder / "archive", windows, log=folder / "log", seconds=0.004, bytes=9000)
done = execute([target], Store(folder / "store"))
print(json.dumps([done.computed, done.restored, done.failed, done.values[target]]))
"""


def test_eight_processes_compute_every_node_once(tmp_path):
    generator = random.Random(7)
    image_query(tmp_path / "archive", [f"w{number}" for number in range(12)])
    choices = [sorted(generator.sample([f"w{number}" for number in range(12)], 6)) for _ in range(7)]
    choices.append(choices[0])
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", ASK, HERE, str(tmp_path), ",".join(windows)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for windows in choices
    ]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    answers = [json.loads(process.communicate(timeout=120)[0]) for process in processes]
    lines = [line.split() for line in (tmp_path / "log").read_text().splitlines()]
    nodes = [(step, value) for _, step, value in lines]
    asked = len({window for windows in choices for window in windows})
    assert len(nodes) == len(set(nodes)) == 5 * asked + len({tuple(windows) for windows in choices})
    assert sum(computed for computed, _, _, _ in answers) == len(nodes)
    assert len({pid for pid, _, _ in lines}) > 1
    for windows, (_, _, failed, value) in zip(choices, answers, strict=True):
        assert failed == 0
        assert [scope for scope, _ in value["inputs"]] == windows
    store = Store(tmp_path / "store")
    assert store.verify().damaged == []
    assert store.info().entries == len(nodes)
    store.close()


FILL = """
import resource, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from workflow_toys import image_query
from integral_oda.errors import OutputError
from integral_oda.workflow.executor import execute
from integral_oda.workflow.store import Store
limit = int(sys.argv[4])
if limit:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
target = image_query(Path(sys.argv[2]), bytes=int(sys.argv[5]))
try:
    execute([target], Store(sys.argv[3]))
except OutputError as exc:
    print(exc)
"""


def fill(tmp_path, root, limit, size):
    command = [sys.executable, "-c", FILL, HERE, str(tmp_path / "archive"), str(root), str(limit), str(size)]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)


def check_after_full_disk(tmp_path, root, size):
    store = Store(root)
    assert store.verify().damaged == []
    assert list((root / "aside").iterdir()) == []
    target = image_query(tmp_path / "archive", bytes=size)
    done = execute([target], store)
    assert len(done.values[target]["inputs"]) == 3
    assert done.failed == 0
    assert (store.info().entries, store.verify().damaged) == (16, [])
    store.close()


def test_a_file_that_cannot_grow_is_one_clear_error_and_no_damage(tmp_path):
    root = tmp_path / "store"
    done = fill(tmp_path, root, limit=600_000, size=1_000_000)
    assert done.stdout == f"the store {root} cannot be written: File too large\n"
    assert done.stderr == ""
    check_after_full_disk(tmp_path, root, 1_000_000)


def mount_small_disk(folder):
    """Mount a file system of 3 MB, where this process may; say whether it did."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        return False
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)], check=False)
    return done.returncode == 0


@pytest.fixture
def small_disk(tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    if not mount_small_disk(folder):
        yield None
        return
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.parametrize("size", [50_000, 300_000, 2_900_000])
def test_a_full_disk_is_one_clear_error_and_no_damage(tmp_path, small_disk, size):
    root = (small_disk or tmp_path) / "store"
    if small_disk is not None:
        (small_disk / "ballast").write_bytes(b"x" * 2_400_000)
    done = fill(tmp_path, root, 0 if small_disk else size - 1, size)
    assert done.stdout.count("\n") == 1
    assert done.stdout.startswith(("the store", "lock", "lease", "the index", str(root)))
    assert "No space left" in done.stdout or "full" in done.stdout or "File too large" in done.stdout
    assert done.stderr == ""
    if small_disk is not None:
        (small_disk / "ballast").unlink()
        subprocess.run(["mount", "-o", "remount,size=80m", str(small_disk)], check=True)
    check_after_full_disk(tmp_path, root, size)
