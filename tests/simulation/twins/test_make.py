"""From a case to science windows."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from integral_oda.archive.events import read_events
from integral_oda.archive.tree import Archive
from integral_oda.errors import RequestError
from integral_oda.instrument.energy import EnergyBand
from integral_oda.simulation.twins.case import read_case
from integral_oda.simulation.twins.choice import choose_windows
from integral_oda.simulation.twins.make import make_twin, twin_recipes

BAND = EnergyBand(20.0, 40.0)
MAKE = """
import sys
from integral_oda.simulation.twins.case import Case
from integral_oda.simulation.twins.make import make_twin
print(make_twin(Case.model_validate_json(sys.argv[2]), sys.argv[1], 4, seed=5).root)
"""


@pytest.fixture(scope="module")
def short_case():
    return read_case("mrk421").model_copy(update={"duration_s": 100.0})


def test_windows_are_simulated_with_their_own_identifiers_and_used_again(short_case, tmp_path):
    told = []
    twin = make_twin(short_case, tmp_path, 2, seed=5, report=told.append)
    assert twin.scw_list.split(",") == [str(scw) for scw in Archive(twin.root).windows()]
    assert [str(window.scw)[:4] for window in twin.windows] == ["1283", "1284"]
    assert len(told) == 2
    path = Archive(twin.root).events_file(twin.windows[0].scw)
    made = path.stat().st_mtime_ns
    assert make_twin(short_case, tmp_path, 2, seed=5).root == twin.root
    assert path.stat().st_mtime_ns == made
    assert make_twin(short_case, tmp_path, 1, seed=6).root != twin.root
    events = read_events(path)
    assert events.header["SIMULATE"]
    assert abs(events.time_ijd[0] - twin.windows[0].start_ijd) < 1 / 86400
    truth = json.loads((path.parent / "truth.json").read_text())
    assert "Mrk 421" in {source["name"] for source in truth["sources"]}


def test_processes_that_make_the_same_twin_share_its_windows(short_case, tmp_path):
    command = [sys.executable, "-c", MAKE, str(tmp_path), short_case.model_dump_json()]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    texts = [process.communicate(timeout=60)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert texts[0] == texts[1]
    twin = make_twin(short_case, tmp_path, 4, seed=5)
    assert texts[0].strip() == str(twin.root)
    assert [str(scw) for scw in Archive(twin.root).windows()] == sorted(twin.scw_list.split(","))
    assert list(twin.root.glob("*.lock")) == []


def test_windows_of_one_revolution_share_a_detector():
    case = read_case("v404_cyg")
    windows = twin_recipes(case, choose_windows(case, 6), seed=1)
    first = [window for window in windows if window.recipe.revolution == 1555]
    assert len({id(window.recipe) for window in first}) == 1
    assert [window.number for window in first] == list(range(len(first)))


def test_the_rate_of_a_flaring_source_is_its_mean_over_the_window():
    case = read_case("v404_cyg")
    windows = twin_recipes(case, choose_windows(case, 16), seed=1)
    rates = np.array([window.rate("V404 Cyg", BAND) for window in windows])
    flares = np.array([any(0 < (m - 51544 - w.start_ijd) * 86400 < 2000 for m in case.events_mjd) for w in windows])
    assert flares.sum() == 4
    assert rates[flares].min() > 8 * rates[~flares].min()
    crab = 1e3 * rates[~flares].min() / windows[0].rate("Cyg X-1", BAND) * 0.764
    assert crab == pytest.approx(1000, rel=0.05)


def test_a_source_that_is_not_there_is_told():
    case = read_case("crab")
    window = twin_recipes(case, choose_windows(case, 1), seed=1)[0]
    with pytest.raises(RequestError, match="src_name = Vela X-1: not in this twin"):
        window.rate("Vela X-1", BAND)
