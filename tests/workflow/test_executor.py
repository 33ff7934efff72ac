"""Who is computed, restored, failed; with which inputs, under which key, and told to whom."""

import gc
import json
import threading
import weakref

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_graphs import build, expected_values, graphs
from workflow_toys import Computed, Toy, computed_steps, image_query

from integral_oda.errors import DataError, NothingLeftError, OutputError, UnavailableError
from integral_oda.workflow import perform
from integral_oda.workflow.executor import execute
from integral_oda.workflow.graph import Node, gather_as_tree, walk
from integral_oda.workflow.store import Store

WINDOW_STEPS = ["COR", "GTI", "BIN_I", "BKG_I", "IMA"]


def states(events, state):
    return [(event.scope, event.step) for event in events if event.state == state]


# -- reuse -----------------------------------------------------------------------------------------------------------


def test_first_time_computes_everything_and_second_time_nothing(tmp_path, store):
    first, events = execute([image_query(tmp_path)], store), []
    assert (first.computed, first.restored, first.failed) == (16, 0, 0)
    target = image_query(tmp_path)
    second = execute([target], store, events.append)
    assert (second.computed, second.restored, second.failed) == (0, 1, 0)
    assert [(event.step, event.state) for event in events] == [("MOSAIC", "restored")]
    assert second.outcome(target).value == second.values[target]
    assert (second.outcome(target).state, second.outcome(target).seconds) == ("restored", 0.0)


def test_restored_values_equal_computed_ones(tmp_path, store):
    target = image_query(tmp_path)
    computed = execute([target], store).values[target]
    again = image_query(tmp_path)
    assert execute([again], store).values[again] == json.loads(json.dumps(computed))


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({}, {"band": (20.0, 40.0)}, {"BIN_I", "BKG_I", "IMA", "MOSAIC"}),
        ({}, {"catalogue": ("Crab", "Cyg X-1")}, {"IMA", "MOSAIC"}),
        ({"time_bin": 100.0}, {"time_bin": 10.0}, {"BIN_T", "BKG_T", "LCR", "LC"}),
        ({}, {"time_bin": 100.0}, {"BIN_T", "BKG_T", "LCR", "LC"}),
    ],
    ids=["band", "catalogue", "time bin", "other product"],
)
def test_a_change_recomputes_only_what_depends_on_it(tmp_path, store, before, after, expected):
    execute([image_query(tmp_path, **before)], store)
    events = []
    execute([image_query(tmp_path, **after)], store, events.append)
    assert {step for _, step in computed_steps(events)} == expected
    assert not any(event.state == "running" and event.step not in expected for event in events)


def test_one_more_window_recomputes_only_it_and_the_gathering(tmp_path, store):
    execute([image_query(tmp_path, ["w1", "w2"])], store)
    events = []
    done = execute([image_query(tmp_path, ["w1", "w2", "w3"])], store, events.append)
    assert computed_steps(events) == {("w3", step) for step in WINDOW_STEPS} | {("all", "MOSAIC")}
    assert sorted(states(events, "restored")) == [("w1", "IMA"), ("w2", "IMA")]
    assert (done.computed, done.restored) == (6, 2)


def test_a_changed_raw_file_recomputes_its_window(tmp_path, store):
    execute([image_query(tmp_path, ["w1", "w2"])], store)
    (tmp_path / "w1.events").write_text("reprocessed events", encoding="utf-8")
    events = []
    execute([image_query(tmp_path, ["w1", "w2"])], store, events.append)
    assert computed_steps(events) == {("w1", step) for step in WINDOW_STEPS} | {("all", "MOSAIC")}


def test_a_moved_archive_recomputes_nothing(tmp_path, store):
    execute([image_query(tmp_path / "archive")], store)
    (tmp_path / "archive").rename(tmp_path / "moved")
    assert execute([image_query(tmp_path / "moved")], store).computed == 0


def test_what_was_pruned_is_computed_again_as_far_as_it_is_needed(tmp_path, store):
    execute([image_query(tmp_path)], store)
    gc.collect()
    store.prune(0)
    assert execute([image_query(tmp_path)], store).computed == 16


def test_a_damaged_result_is_made_again_from_what_is_there(tmp_path, store):
    target = image_query(tmp_path)
    value = execute([target], store).values[target]
    (store.folder(target.key) / "value.json").write_text("{}")
    again, events = image_query(tmp_path), []
    done = execute([again], store, events.append)
    assert computed_steps(events) == {("all", "MOSAIC")}
    assert json.loads(json.dumps(done.values[again])) == json.loads(json.dumps(value))
    assert (done.restored, store.info().quarantined) == (3, 1)


def test_a_result_that_is_lost_after_it_was_found_is_made_again(tmp_path, store):
    target = image_query(tmp_path, ["w1"])
    value = execute([target], store).values[target]
    again = image_query(tmp_path, ["w1"])
    done = execute([again], store)
    (store.folder(again.key) / "value.json").unlink()
    assert json.loads(json.dumps(done.values[again])) == json.loads(json.dumps(value))
    assert store.verify().damaged == []


def test_values_are_loaded_when_they_are_asked_for(tmp_path, store, monkeypatch):
    execute([image_query(tmp_path)], store)
    loaded = []
    real = Toy.load
    monkeypatch.setattr(Toy, "load", lambda self, folder: loaded.append(self.name) or real(self, folder))
    target = image_query(tmp_path)
    done = execute([target], store)
    assert loaded == []
    assert done.values[target]["step"] == "MOSAIC"
    assert done.values[target] is done.values[target]
    assert loaded == ["MOSAIC"]


def test_what_is_computed_is_handed_on_in_memory(tmp_path, store, monkeypatch):
    loaded = []
    monkeypatch.setattr(Toy, "load", lambda self, folder: loaded.append(self.name))
    execute([image_query(tmp_path)], store)
    assert loaded == []


def test_a_result_stays_while_its_execution_is_in_use(tmp_path, store):
    target = image_query(tmp_path)
    execute([image_query(tmp_path)], store)
    done = execute([target], store)
    gc.collect()
    assert store.prune(0).removed == 15
    assert done.values[target]["step"] == "MOSAIC"
    del done
    gc.collect()
    assert store.prune(0).removed == 1


def test_without_a_store_everything_is_computed_each_time(tmp_path):
    target = image_query(tmp_path)
    done = execute([target])
    assert done.values[target]["step"] == "MOSAIC"
    assert (done.computed, execute([target]).computed) == (16, 16)


# -- the graph -------------------------------------------------------------------------------------------------------


def test_equal_nodes_are_one(tmp_path, store):
    first, second = image_query(tmp_path), image_query(tmp_path)
    done = execute([first, second, first], store)
    assert done.computed == 16
    assert done.values[first] == done.values[second]
    assert done.key(first) == first.key == done.key(second)


def test_a_long_chain_needs_no_recursion(store):
    node = Node(Computed("COR", lambda inputs: 0), "w1")
    for _ in range(3000):
        node = Node(Computed("GTI", lambda inputs: inputs[0] + 1), "w1", inputs=(node,))
    assert execute([node]).values[node] == 3000


def test_windows_are_finished_one_after_the_other(tmp_path, store):
    events = []
    execute([image_query(tmp_path)], store, events.append)
    scopes = [event.scope for event in events if event.state == "computed"]
    assert scopes == ["w1"] * 5 + ["w2"] * 5 + ["w3"] * 5 + ["all"]


def test_gathering_as_a_tree_limits_the_number_of_inputs(store):
    leaves = [Node(Computed("IMA", lambda inputs, n=number: n), f"w{number}", {"n": number}) for number in range(100)]

    def gather(inputs):
        step = Computed("MOSAIC", lambda pairs: sum(value for _, value in pairs), tolerant=True)
        return Node(step, "all", inputs=inputs)

    target = gather_as_tree(leaves, gather, width=7)
    assert max(len(node.inputs) for node in walk([target])) == 7
    assert execute([target], store).values[target] == sum(range(100))
    assert gather_as_tree(leaves[:1], gather).inputs == (leaves[0],)
    for wrong in [(leaves, 1), ([], 2)]:
        with pytest.raises(ValueError, match="at least 2 and at least one node"):
            gather_as_tree(wrong[0], gather, wrong[1])


class Big:
    """A value whose life can be watched."""


def test_memory_does_not_grow_with_the_number_of_windows(tmp_path, store):
    alive, most = weakref.WeakSet(), []

    class Heavy(Toy):
        def compute(self, inputs, parameters, raw):
            value = Big()
            alive.add(value)
            most.append(len(alive))
            return value if self.name != "MOSAIC" else sum(1 for _ in inputs)

        def save(self, value, folder):
            (folder / "value").write_text(str(value) if isinstance(value, int) else "")

        def load(self, folder):
            text = (folder / "value").read_text()
            value = int(text) if text else Big()
            if not text:
                alive.add(value)
                most.append(len(alive))
            return value

    chains = []
    for number in range(60):
        cor = Node(Heavy("COR"), f"w{number}", {"n": number})
        chains.append(Node(Heavy("IMA"), f"w{number}", {"n": number}, (cor,)))
    target = Node(Heavy("MOSAIC", tolerant=True), "all", inputs=tuple(chains))
    assert execute([target], store).values[target] == 60
    assert max(most) <= 12


# -- failures --------------------------------------------------------------------------------------------------------


def test_a_window_fails_alone(tmp_path, store):
    target, events = image_query(tmp_path, bad=["w2"]), []
    done = execute([target], store, events.append)
    assert [scope for scope, _ in done.values[target]["inputs"]] == ["w1", "w3"]
    assert done.failures == [("w2", "COR", "COR cannot be made")]
    assert (done.computed, done.restored, done.failed) == (11, 0, 5)
    assert {event.step: event.message for event in events if event.state == "failed"} == dict.fromkeys(
        WINDOW_STEPS, "COR cannot be made"
    )
    assert done.outcome(target.inputs[1]).reason == "COR cannot be made"
    with pytest.raises(DataError, match="COR cannot be made"):
        done.values[target.inputs[1]]


def test_a_partial_result_has_the_key_of_what_it_was_made_from(tmp_path, store):
    partial = execute([image_query(tmp_path, bad=["w2"])], store)
    two = image_query(tmp_path, ["w1", "w3"])
    assert execute([two], store).computed == 0
    whole = image_query(tmp_path)
    assert store.find(whole.key) is None
    (tmp_path / "w2.events").write_text("repaired", encoding="utf-8")
    whole = image_query(tmp_path)
    done = execute([whole], store)
    assert len(done.values[whole]["inputs"]) == 3
    assert (done.computed, done.restored) == (6, 2)
    assert partial.failed == 5


def test_what_depends_on_a_partial_result_has_its_own_key_too(tmp_path, store):
    def with_sources(bad):
        mosaic = image_query(tmp_path, bad=bad)
        return Node(Toy("CAT_I"), "all", inputs=(mosaic,))

    target = with_sources(["w2"])
    done = execute([target], store)
    assert done.key(target) != target.key
    assert store.find(target.key) is None
    assert store.find(done.key(target)) is not None


def test_nothing_left_is_one_typed_error(tmp_path, store):
    target = image_query(tmp_path, bad=["w1", "w2", "w3"])
    done = execute([target], store)
    with pytest.raises(NothingLeftError, match=r"nothing is left for MOSAIC: each of its 3 inputs failed \(COR cannot"):
        done.values[target]
    assert [scope for scope, _, _ in done.failures] == ["w1", "w2", "w3"]


def test_a_failure_in_the_data_is_remembered_for_these_data_only(tmp_path, store):
    log = tmp_path / "log"
    execute([image_query(tmp_path, bad=["w2"], log=log)], store)
    lines = log.read_text().count("\n")
    done = execute([image_query(tmp_path, bad=["w2"], log=log)], store)
    assert done.failures == [("w2", "COR", "COR cannot be made")]
    assert (done.computed, log.read_text().count("\n")) == (0, lines)
    (tmp_path / "w2.events").write_text("fetched again", encoding="utf-8")
    done = execute([image_query(tmp_path, log=log)], store)
    assert (done.failures, done.computed) == ([], 6)


def test_a_failure_outside_is_not_remembered(tmp_path, store):
    log = tmp_path / "log"
    node = Node(Toy("COR", fails="unavailable", log=log), "w1")
    for _ in range(2):
        with pytest.raises(UnavailableError):
            execute([node], store).values[node]
    assert log.read_text().count("\n") == 2


def test_a_failure_outside_is_tried_again_as_often_as_the_step_says(monkeypatch):
    waits, calls = [], []
    monkeypatch.setattr(perform.time, "sleep", waits.append)

    def unsteady(inputs):
        calls.append(1)
        if len(calls) < 3:
            raise UnavailableError("no network")
        return "there"

    node = Node(Computed("GET", unsteady, retries=2), "w1")
    assert execute([node]).values[node] == "there"
    assert waits == [0.5, 1.0]
    calls.clear()
    node = Node(Computed("GET", unsteady, retries=1), "w1")
    assert execute([node]).failures == [("w1", "GET", "no network")]


def test_a_missing_raw_file_fails_its_window_alone(tmp_path, store):
    target = image_query(tmp_path)
    (tmp_path / "w2.events").unlink()
    done = execute([target], store)
    assert [scope for scope, _ in done.values[target]["inputs"]] == ["w1", "w3"]
    [(scope, step, reason)] = done.failures
    assert (scope, step) == ("w2", "COR")
    assert "w2.events cannot be read: No such file or directory" in reason
    assert (done.computed, done.failed) == (11, 5)


def test_what_is_bound_to_fail_costs_nothing(tmp_path, store):
    good, broken = Node(Toy("COR"), "w1"), Node(Toy("GTI"), "w1", raw={"gti": tmp_path / "gone.fits"})
    target = Node(Toy("BIN_I"), "w1", inputs=(good, broken))
    done = execute([target], store)
    assert (done.computed, done.failed) == (0, 2)
    assert done.failures == [("w1", "GTI", done.outcome(target).reason)]


def test_a_raw_file_of_the_gathering_that_is_missing_is_told(tmp_path, store):
    window = image_query(tmp_path, ["w1"]).inputs[0]
    target = Node(Toy("MOSAIC", tolerant=True), "all", inputs=(window,), raw={"catalogue": tmp_path / "gone.fits"})
    done = execute([target], store)
    assert [(scope, step) for scope, step, _ in done.failures] == [("all", "MOSAIC")]
    broken = image_query(tmp_path, ["w2"]).inputs[0]
    target = Node(target.step, "all", inputs=(window, broken), raw=target.raw)
    (tmp_path / "w2.events").unlink()
    assert {scope for scope, _, _ in execute([target], store).failures} >= {"w2"}


def test_strict_raises_the_first_failure(tmp_path, store):
    events = []
    with pytest.raises(DataError, match="COR cannot be made"):
        execute([image_query(tmp_path, bad=["w2"])], store, events.append, strict=True)
    assert {scope for scope, _ in computed_steps(events)} == {"w1"}


def test_a_full_disk_stops_everything(tmp_path, store, monkeypatch):
    def fail(self, value, folder):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Toy, "save", fail)
    with pytest.raises(OutputError, match="No space left on device"):
        execute([image_query(tmp_path)], store)
    monkeypatch.undo()
    assert execute([image_query(tmp_path)], store).computed == 16


def test_an_error_in_the_program_is_not_hidden(store):
    node = Node(Computed("COR", lambda inputs: 1 / 0), "w1")
    with pytest.raises(ZeroDivisionError):
        execute([node], store)
    assert store.lock(node.key).try_acquire()


# -- events and cancelling -------------------------------------------------------------------------------------------


def test_every_node_is_queued_run_and_computed_in_this_order(tmp_path, store):
    events = []
    execute([image_query(tmp_path, ["w1"])], store, events.append)
    for step in [*WINDOW_STEPS, "MOSAIC"]:
        assert [event.state for event in events if event.step == step] == ["queued", "running", "computed"]
    assert [event.state for event in events[:6]] == ["queued"] * 6
    assert all((event.seconds > 0) == (event.state == "computed") for event in events)


def test_a_cancelled_query_keeps_what_it_has(tmp_path, store):
    cancel, events = threading.Event(), []

    def listen(event):
        events.append(event)
        if event.state == "computed" and event.step == "GTI":
            cancel.set()

    target = image_query(tmp_path)
    done = execute([target], store, listen, cancel=cancel)
    assert done.cancelled
    assert (done.computed, done.failed) == (2, 0)
    with pytest.raises(UnavailableError, match="MOSAIC of all was not done: the query was cancelled"):
        done.values[target]
    again = execute([image_query(tmp_path)], store)
    assert (again.computed, again.restored, again.cancelled) == (14, 2, False)


def test_a_query_that_waits_for_another_can_be_cancelled(tmp_path, store):
    target, cancel = image_query(tmp_path, ["w1"]), threading.Event()
    first = next(iter(walk([target])))
    with store.lock(first.key).hold():
        timer = threading.Timer(0.2, cancel.set)
        timer.start()
        done = execute([target], store, cancel=cancel)
        timer.join(10)
    assert done.cancelled
    assert done.computed == 0


def test_other_nodes_are_done_while_one_is_busy_elsewhere(tmp_path, store):
    target, events = image_query(tmp_path), []
    lock = store.lock(next(iter(walk([target]))).key)
    assert lock.try_acquire()

    def listen(event):
        events.append(event)
        if states(events, "computed").count(("w3", "IMA")):
            lock.release()

    assert execute([target], store, listen).computed == 16
    scopes = list(dict.fromkeys(scope for scope, _ in states(events, "computed")))
    assert scopes == ["w2", "w3", "w1", "all"]


@pytest.mark.parametrize("shared", [True, False], ids=["one store object", "one each"])
def test_threads_that_want_the_same_compute_it_once(tmp_path, store, shared):
    log, results = tmp_path / "log", []

    def work():
        mine = store if shared else Store(store.root)
        target = image_query(tmp_path, log=log, seconds=0.005)
        results.append(execute([target], mine).values[target])
        if not shared:
            mine.close()

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(results) == 6
    assert all(json.dumps(value) == json.dumps(results[0]) for value in results)
    lines = [line.split()[1:] for line in log.read_text().splitlines()]
    assert len(lines) == 16
    assert len({tuple(line) for line in lines}) == 16


# -- any graph -------------------------------------------------------------------------------------------------------


@settings(max_examples=60)
@given(graphs(), st.data())
def test_any_graph_gives_its_values_with_and_without_a_store(tmp_path_factory, shape, data):
    expected, store = expected_values(shape), Store(tmp_path_factory.mktemp("store"))
    wanted = data.draw(st.sets(st.integers(0, len(shape) - 1), min_size=1))
    first_wanted = data.draw(st.sets(st.integers(0, len(shape) - 1)))
    for kept, numbers in [(None, wanted), (store, first_wanted), (store, wanted), (store, wanted)]:
        nodes = build(shape)
        done = execute([nodes[number] for number in sorted(numbers)], kept)
        for number in numbers:
            if expected[number] is None:
                with pytest.raises((UnavailableError, NothingLeftError)):
                    done.values[nodes[number]]
            else:
                assert done.values[nodes[number]] == expected[number]
    assert done.computed == 0
    assert store.verify().damaged == []
    stored = {json.dumps(execute([node], store).values[node]) for node in build(shape) if store.find(node.key)}
    assert stored <= {json.dumps(value) for value in expected}
    store.close()
