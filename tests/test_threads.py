"""Products have the same bits in every process, so linear algebra runs in one thread, whoever loaded it first."""

import json
import os
import subprocess
import sys

import pytest

ASK = "import json, threadpoolctl; print(json.dumps([p['num_threads'] for p in threadpoolctl.threadpool_info()]))"


def threads(imports, **variables):
    environment = {key: value for key, value in os.environ.items() if not key.endswith("_NUM_THREADS")}
    line = [sys.executable, "-c", f"import {imports}; {ASK}"]
    told = subprocess.run(line, capture_output=True, text=True, env=environment | variables, timeout=60, check=True)
    return json.loads(told.stdout)


@pytest.mark.skipif(os.cpu_count() == 1, reason="one processor: there is never more than one thread")
def test_the_library_would_take_more():
    assert max(threads("numpy")) > 1


@pytest.mark.parametrize("imports", ["numpy, integral_oda", "integral_oda, numpy", "integral_oda, scipy.linalg"])
def test_it_takes_one_in_either_order(imports):
    assert set(threads(imports)) == {1}


@pytest.mark.skipif(os.cpu_count() == 1, reason="one processor: there is never more than one thread")
def test_who_asks_for_more_gets_them():
    assert max(threads("numpy, integral_oda", OPENBLAS_NUM_THREADS="2")) == 2
