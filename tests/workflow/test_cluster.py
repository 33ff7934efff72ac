"""The same graph on a Dask cluster: same results, same counts, one worker less, and no longer than it is wanted."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_graphs import build, graphs
from workflow_toys import Buggy, Gated, Toy, Unwritable, image_query, wait_for

from integral_oda.errors import DataError, NothingLeftError, OutputError, RequestError, UnavailableError
from integral_oda.workflow.cluster import ClusterExecutor, bundles, open_executor
from integral_oda.workflow.executor import execute
from integral_oda.workflow.graph import Node, gather_as_tree
from integral_oda.workflow.schedule import Schedule
from integral_oda.workflow.store import Store

HERE = str(Path(__file__).parent)
WINDOWS = [f"w{number}" for number in range(6)]


@pytest.fixture(scope="module")
def cluster():
    with ClusterExecutor(jobs=2) as executor:
        yield executor


def counted(events, states=("queued", "running", "computed", "restored", "failed")):
    return Counter((event.scope, event.step, event.state) for event in events if event.state in states)


def plain(value):
    return json.loads(json.dumps(value))


# -- like in one process ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [[], ["w2"], ["w0", "w5"], WINDOWS])
def test_everything_is_as_in_one_process(tmp_path, cluster, bad):
    results, told = [], []
    for executor, name in [(execute, "one"), (cluster, "many")]:
        target, events = image_query(tmp_path, WINDOWS, bad=bad), []
        done = executor([target], Store(tmp_path / name), events.append)
        counts = (done.computed, done.restored, done.failed, sorted(done.failures), done.cancelled)
        value = None if len(bad) == len(WINDOWS) else plain(done.values[target])
        results.append((counts, value, done.key(target)))
        told.append(counted(events))
    assert results[0] == results[1]
    assert told[0] == told[1]
    assert set(Store(tmp_path / "one").keys()) == set(Store(tmp_path / "many").keys())
    if len(bad) == len(WINDOWS):
        with pytest.raises(NothingLeftError):
            done.values[target]


def test_what_is_known_is_not_done_again(tmp_path, cluster, store):
    execute([image_query(tmp_path, WINDOWS[:4])], store)
    target, events = image_query(tmp_path, WINDOWS), []
    done = cluster([target], store, events.append)
    assert (done.computed, done.restored) == (11, 4)
    assert {event.scope for event in events if event.state == "computed"} == {"w4", "w5", "all"}
    again = cluster([image_query(tmp_path, WINDOWS)], store)
    assert (again.computed, again.restored) == (0, 1)


def test_work_is_spread_over_the_workers(tmp_path, cluster, store):
    log = tmp_path / "log"
    cluster([image_query(tmp_path, WINDOWS, log=log, seconds=0.02)], store)
    lines = [line.split() for line in log.read_text().splitlines()]
    assert len({pid for pid, _, _ in lines}) == 2
    assert str(os.getpid()) not in {pid for pid, _, _ in lines}
    assert len({(step, value) for _, step, value in lines}) == len(lines) == 31


def test_a_tree_of_gathering_nodes(tmp_path, cluster, store):
    leaves = image_query(tmp_path, WINDOWS, bad=["w1"]).inputs
    target = gather_as_tree(leaves, lambda inputs: Node(Toy("MOSAIC", tolerant=True), "all", inputs=inputs), width=2)
    done = cluster([target], store)
    expected = execute([target], Store(tmp_path / "other"))
    assert plain(done.values[target]) == plain(expected.values[target])
    assert (done.computed, done.failed) == (expected.computed, expected.failed)
    assert done.key(target) == expected.key(target) != target.key


def test_a_missing_raw_file_fails_its_window_alone(tmp_path, cluster, store):
    target = image_query(tmp_path, WINDOWS)
    (tmp_path / "w3.events").unlink()
    done = cluster([target], store)
    assert [scope for scope, _ in done.values[target]["inputs"]] == ["w0", "w1", "w2", "w4", "w5"]
    assert [(scope, step) for scope, step, _ in done.failures] == [("w3", "COR")]
    assert (done.computed, done.failed) == (26, 5)


def test_a_failure_outside_fails_its_window_once(tmp_path, cluster, store):
    log = tmp_path / "log"
    good = image_query(tmp_path, WINDOWS[:2]).inputs
    bad = Node(Toy("IMA", fails="unavailable", log=log), "w9", {"n": 9})
    target = Node(Toy("MOSAIC", tolerant=True), "all", inputs=(*good, bad))
    done = cluster([target], store)
    assert done.failures == [("w9", "IMA", "IMA cannot be made")]
    assert log.read_text().count("\n") == 1


def test_strict_raises_the_first_failure(tmp_path, cluster, store):
    with pytest.raises(DataError, match="COR cannot be made"):
        cluster([image_query(tmp_path, WINDOWS, bad=["w2"])], store, strict=True)


def test_an_error_in_the_program_is_not_hidden(cluster, store):
    with pytest.raises(ZeroDivisionError):
        cluster([Node(Buggy("COR"), "w1")], store)


def test_a_full_disk_on_a_worker_is_one_clear_error(cluster, store):
    with pytest.raises(OutputError, match=f"the store {store.root} cannot be written: No space left on device"):
        cluster([Node(Unwritable("COR"), "w1")], store)
    assert list((store.root / "aside").iterdir()) == []


def test_nothing_stays_behind(tmp_path, cluster, store):
    cluster([image_query(tmp_path, WINDOWS)], store)
    assert list((store.root / "locks").iterdir()) == []
    assert store.verify().damaged == []


@settings(max_examples=25)
@given(graphs(), st.data())
def test_any_graph_ends_as_in_one_process(tmp_path_factory, cluster, shape, data):
    """Nodes of a few windows in any order, so that bundles depend on one another in every way."""
    folder, scopes = (
        tmp_path_factory.mktemp("graphs"),
        data.draw(st.lists(st.sampled_from("abc"), min_size=12, max_size=12)),
    )
    wanted = sorted(data.draw(st.sets(st.integers(0, len(shape) - 1), min_size=1)))
    ends = []
    for executor, name in [(execute, "one"), (cluster, "many")]:
        nodes = build(shape, scopes)
        targets = [nodes[number] for number in wanted]
        done = executor(targets, Store(folder / name))
        values = [str(done.outcome(node).value) for node in targets]
        ends.append(
            (
                values,
                done.computed,
                done.restored,
                done.failed,
                sorted(done.failures),
                [done.key(node) for node in targets],
            )
        )
    assert ends[0] == ends[1]


# -- bundles ---------------------------------------------------------------------------------------------------------


def bundled(targets):
    schedule = Schedule(lambda key: None, lambda cell, done: None)
    schedule.add(targets)
    return [[(cell.node.scope, cell.node.step.name) for cell in item.cells] for item in bundles(schedule.to_do)]


def test_a_window_is_one_bundle(tmp_path):
    window = ["COR", "GTI", "BIN_I", "BKG_I", "IMA"]
    assert bundled([image_query(tmp_path, ["w1", "w2"])]) == [
        [("w1", step) for step in window],
        [("w2", step) for step in window],
        [("all", "MOSAIC")],
    ]


def test_two_products_of_a_window_share_its_bundle(tmp_path):
    image, curve = image_query(tmp_path, ["w1"]), image_query(tmp_path, ["w1"], time_bin=10.0)
    first, *others = bundled([image, curve])
    assert {step for _, step in first} == {"COR", "GTI", "BIN_I", "BKG_I", "IMA", "BIN_T", "BKG_T", "LCR"}
    assert others == [[("all", "MOSAIC")], [("all", "LC")]]


def test_what_follows_gathering_is_its_bundle(tmp_path):
    sources = Node(Toy("CAT_I"), "all", inputs=(image_query(tmp_path, ["w1"]),))
    forced = Node(Toy("SPE"), "w1", inputs=(sources,))
    assert bundled([forced])[1:] == [[("all", "MOSAIC"), ("all", "CAT_I")], [("w1", "SPE")]]


# -- cancelling ------------------------------------------------------------------------------------------------------


def test_a_cancelled_query_ends_at_once_and_keeps_what_it_has(tmp_path, cluster, store):
    first = [Node(Toy("COR"), f"w{number}", {"number": number}) for number in range(8)]
    second = [Node(Gated("IMA", folder=tmp_path), node.scope, node.parameters, (node,)) for node in first]
    target = Node(Toy("MOSAIC", tolerant=True), "all", inputs=tuple(second))
    cancel = threading.Event()

    def listen(event):
        if event.step == "IMA" and event.state == "running":
            cancel.set()

    done = cluster([target], store, listen, cancel=cancel)
    assert done.cancelled
    assert not (tmp_path / "open").exists()
    with pytest.raises(UnavailableError, match="the query was cancelled"):
        done.values[target]
    (tmp_path / "open").touch()
    wait_for(lambda: not list((store.root / "locks").iterdir()))
    kept = set(store.keys())
    assert 1 <= len(list(tmp_path.glob("begun-*"))) <= 2
    assert 2 <= len(kept) <= 4
    assert cluster([target], store).computed == 17 - len(kept)


def test_a_closed_local_cluster_leaves_no_process_whatever_it_was_at(tmp_path, store):
    executor, cancel, begun = ClusterExecutor(jobs=1), threading.Event(), tmp_path / "begun-1"
    node = Node(Gated("IMA", folder=tmp_path), "w1", {"number": 1})
    with ThreadPoolExecutor(1) as thread:
        query = thread.submit(executor, [node], store, cancel=cancel)
        wait_for(begun.exists)
        cancel.set()
        assert query.result(60).cancelled
    worker = int(begun.read_text())
    executor.close()
    assert not (tmp_path / "open").exists()
    wait_for(lambda: not Path(f"/proc/{worker}").exists())
    assert store.verify().damaged == []


# -- a scheduler of its own ------------------------------------------------------------------------------------------


@pytest.fixture
def scheduler(tmp_path):
    """A scheduler and three workers on loopback, each a process of its own."""
    where = tmp_path / "scheduler.json"
    common = ["--scheduler-file", str(where)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([HERE, *sys.path])}
    commands = [["scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", *common]]
    commands += [["worker", "--nthreads", "1", "--no-nanny", "--no-dashboard", *common] for _ in range(3)]
    processes = []
    with (tmp_path / "cluster.log").open("w") as log:
        for command in commands:
            line = [sys.executable, "-m", "dask", *command]
            processes.append(subprocess.Popen(line, env=environment, cwd=tmp_path, stdout=log, stderr=log))
            wait_for(where.exists)
    address = json.loads(where.read_text())["address"]
    with ClusterExecutor(scheduler=address) as executor:
        executor.client.wait_for_workers(3, timeout=60)
        yield executor
    for process in processes:
        process.send_signal(signal.SIGKILL)
        process.wait(30)


def test_a_worker_killed_in_the_middle_is_made_good(tmp_path, scheduler, store):
    windows = [f"w{number}" for number in range(9)]
    events = [Node(Toy("COR"), scw, {"number": number}) for number, scw in enumerate(windows)]
    images = [Node(Gated("IMA", folder=tmp_path), node.scope, node.parameters, (node,)) for node in events]
    target = Node(Toy("MOSAIC", tolerant=True), "all", inputs=tuple(images))
    told = []

    def kill_one():
        """Kill the worker of the second window, which has its COR and is at its IMA."""
        wait_for(lambda: counted(told, ["computed"])[("w1", "COR", "computed")] == 1)
        wait_for(lambda: len(list(tmp_path.glob("begun-*"))) >= 3 and (tmp_path / "begun-1").exists())
        os.kill(int((tmp_path / "begun-1").read_text()), signal.SIGKILL)
        (tmp_path / "open").touch()

    killer = threading.Thread(target=kill_one)
    killer.start()
    done = scheduler([target], store, told.append)
    killer.join(60)
    assert (done.computed, done.restored, done.failed) == (19, 0, 0)
    assert [scope for scope, _ in done.values[target]["inputs"]] == windows
    nodes = [*events, *images, target]
    assert counted(told, ["computed"]) == {(node.scope, node.step.name, "computed"): 1 for node in nodes}
    assert len(scheduler.client.scheduler_info()["workers"]) == 2
    assert store.verify().damaged == []
    assert plain(done.values[target]) == plain(execute([target], Store(tmp_path / "other")).values[target])


# -- requests --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"jobs": 0}, {"jobs": 2, "scheduler": "tcp://127.0.0.1:1"}])
def test_a_request_that_makes_no_sense_is_refused(options):
    with pytest.raises(RequestError, match="jobs ="):
        ClusterExecutor(**options)


def test_the_executor_that_is_asked_for_is_opened(tmp_path, store):
    for options in ({}, {"jobs": 1}):
        with open_executor(**options) as executor:
            assert executor is execute
    with open_executor(jobs=2) as executor:
        assert len(executor.client.scheduler_info()["workers"]) == 2
        assert executor([image_query(tmp_path, ["w1"])], store).computed == 6
    with pytest.raises(RequestError, match="give one of the two"), open_executor(jobs=2, scheduler="tcp://127.0.0.1:9"):
        pass


def test_a_cluster_needs_a_store(tmp_path, cluster):
    with pytest.raises(RequestError, match="store = None: a cluster hands results on through a store"):
        cluster([image_query(tmp_path)])


def test_a_scheduler_that_does_not_answer_is_named(monkeypatch):
    monkeypatch.setattr("integral_oda.workflow.cluster._ANSWER_S", 0.5)
    with pytest.raises(UnavailableError, match=r"the scheduler tcp://127\.0\.0\.1:9 does not answer"):
        ClusterExecutor(scheduler="tcp://127.0.0.1:9")


@pytest.mark.parametrize("address", ["nonsense://x:1", "localhost:8786", "tcp://localhost", ""])
def test_what_is_no_address_is_refused(address):
    with pytest.raises(RequestError, match=f"scheduler = {address}: an address such as"):
        ClusterExecutor(scheduler=address)


def test_without_dask_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(UnavailableError, match=r"need Dask: pip install 'integral-oda\[cluster\]'"):
        ClusterExecutor(jobs=1)
