"""The process beside the kernel: results, errors, cancelling, dying."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from integral_oda.workflow.progress import StepEvent
from integral_widgets.worker import Done, Failed, Step, Worker

TASKS = """
import os, sys, time
from dataclasses import dataclass
from integral_oda.errors import DataError, RequestError
from integral_oda.workflow.progress import StepEvent

@dataclass
class Double:
    number: int
    def run(self, listener):
        print("noise on standard output")
        listener(StepEvent("all", "DOUBLE", "running"))
        return 2 * self.number

@dataclass
class Damaged:
    def run(self, listener):
        raise DataError("x.fits: damaged")

@dataclass
class Refused:
    def run(self, listener):
        raise RequestError("src_name", "nowhere", "not in the catalogue")

@dataclass
class Sleep:
    def run(self, listener):
        listener(StepEvent("all", "SLEEP", "running"))
        time.sleep(600)

@dataclass
class Fault:
    def run(self, listener):
        return 1 / 0

@dataclass
class Die:
    def run(self, listener):
        os._exit(7)
"""


@pytest.fixture
def tasks(tmp_path, monkeypatch):
    """Module of tasks that this process and the worker both can import."""
    (tmp_path / "worker_tasks.py").write_text(TASKS)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    import worker_tasks

    yield worker_tasks
    del sys.modules["worker_tasks"]


@pytest.fixture
def messages():
    return queue.Queue()


@pytest.fixture
def worker(messages, tmp_path, tasks):
    made = Worker(messages.put, tmp_path / "worker.log")
    yield made
    made.close()


def ended(messages):
    while True:
        message = messages.get(timeout=60)
        if not isinstance(message, Step):
            return message


def test_results_come_back_with_their_steps_in_order(worker, messages, tasks):
    first, second = worker.submit(tasks.Double(4)), worker.submit(tasks.Double(5))
    got = [messages.get(timeout=60) for _ in range(4)]
    event = StepEvent("all", "DOUBLE", "running")
    assert got == [Step(first, event), Done(first, 8), Step(second, event), Done(second, 10)]
    assert not worker.busy


def test_what_a_task_prints_goes_to_the_log(worker, messages, tasks):
    worker.submit(tasks.Double(1))
    ended(messages)
    worker.close()
    assert "noise on standard output" in worker.log.read_text()


def test_an_error_comes_back_with_its_parameter_and_the_process_lives_on(worker, messages, tasks):
    worker.submit(tasks.Refused())
    refused = ended(messages)
    assert isinstance(refused, Failed)
    assert (refused.error.kind, refused.error.parameter) == ("RequestError", "src_name")
    assert refused.error.sentence == "src_name = nowhere: not in the catalogue"
    pid = worker.pid
    worker.submit(tasks.Damaged())
    assert ended(messages).error.sentence == "x.fits: damaged"
    assert worker.pid == pid


def test_cancelling_ends_the_process_and_says_nothing_more(worker, messages, tasks):
    worker.submit(tasks.Sleep())
    assert isinstance(messages.get(timeout=60), Step)
    process = psutil.Process(worker.pid)
    worker.cancel()
    process.wait(10)
    assert not worker.busy
    worker.submit(tasks.Double(3))
    assert ended(messages).result == 6


def test_a_process_that_dies_fails_its_tasks_and_the_next_task_gets_a_new_one(worker, messages, tasks):
    first, second = worker.submit(tasks.Die()), worker.submit(tasks.Double(1))
    failures = [ended(messages), ended(messages)]
    assert [failure.number for failure in failures] == [first, second]
    assert "status 7" in failures[0].error.sentence
    worker.submit(tasks.Double(3))
    assert ended(messages).result == 6


def test_a_fault_of_ours_is_named_and_its_traceback_kept(worker, messages, tasks):
    worker.submit(tasks.Fault())
    assert "ZeroDivisionError: division by zero" in ended(messages).error.sentence
    assert "Traceback" in worker.log.read_text()


def test_a_process_killed_from_outside_is_told(worker, messages, tasks):
    worker.submit(tasks.Sleep())
    messages.get(timeout=60)
    os.kill(worker.pid, signal.SIGKILL)
    assert f"status {-signal.SIGKILL}" in ended(messages).error.sentence


def test_the_process_never_outlives_the_kernel(tmp_path, tasks):
    program = (
        "import queue, sys; from pathlib import Path; from integral_widgets.worker import Worker; import worker_tasks\n"
        "got = queue.Queue(); worker = Worker(got.put, Path(sys.argv[1])); worker.submit(worker_tasks.Sleep())\n"
        "got.get(); print(worker.pid, flush=True); sys.stdin.read()\n"
    )
    kernel = subprocess.Popen(
        [sys.executable, "-c", program, str(Path(tmp_path) / "log")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    worker = psutil.Process(int(kernel.stdout.readline()))
    kernel.kill()
    kernel.communicate()
    psutil.wait_procs([worker], timeout=10)
    assert not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE
