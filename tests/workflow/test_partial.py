"""The mosaic of the windows done so far."""

import threading

from workflow_toys import Gated, Toy, image_query, wait_for

from integral_oda.workflow.executor import execute
from integral_oda.workflow.graph import Node, gather_as_tree
from integral_oda.workflow.partial import so_far, value_so_far
from integral_oda.workflow.store import Store


def scopes(node, store):
    return [scope for scope, _ in execute([node], store).values[node]["inputs"]]


def run_some(target, store, number):
    """Stop after some images."""
    cancel, seen = threading.Event(), []

    def listen(event):
        if event.step == "IMA" and event.state == "computed":
            seen.append(event)
            if len(seen) == number:
                cancel.set()

    execute([target], store, listen, cancel=cancel)


def test_a_mosaic_grows_with_the_windows_that_are_done(tmp_path, store):
    windows = ["w1", "w2", "w3", "w4"]
    assert so_far(image_query(tmp_path, windows), store) is None
    for number in (1, 1, 2):
        run_some(image_query(tmp_path, windows), store, number)
        target, events = image_query(tmp_path, windows), []
        partial = so_far(target, store)
        done = execute([partial], store, events.append)
        assert {event.step for event in events if event.state == "computed"} <= {"MOSAIC"}
        assert (done.restored, partial.key == target.key) == (len(partial.inputs), len(partial.inputs) == 4)
    assert scopes(so_far(target, store), store) == windows


def test_a_partial_mosaic_is_not_taken_for_the_whole(tmp_path, store):
    target = image_query(tmp_path, ["w1", "w2"])
    run_some(target, store, 1)
    assert scopes(so_far(target, store), store) == ["w1"]
    assert store.find(target.key) is None
    assert scopes(target, store) == ["w1", "w2"]
    assert so_far(target, store) is target


def test_what_follows_the_mosaic_is_made_of_the_partial_one(tmp_path, store):
    mosaic = image_query(tmp_path, ["w1", "w2"])
    target = Node(Toy("CAT_I"), "all", inputs=(mosaic,))
    run_some(target, store, 1)
    partial = so_far(target, store)
    assert len(execute([partial], store).values[partial]["inputs"][0]["inputs"]) == 1
    both = Node(Toy("PACK"), "all", inputs=(mosaic, Node(Toy("SPE"), "w1")))
    assert so_far(both, store) is None


def test_a_tree_of_mosaics_is_narrowed_in_every_branch(tmp_path, store):
    leaves = image_query(tmp_path, [f"w{number}" for number in range(8)]).inputs
    for number in (0, 5):
        execute([leaves[number]], store)
    tree = gather_as_tree(leaves, lambda inputs: Node(Toy("MOSAIC", tolerant=True), "all", inputs=inputs), width=2)
    partial = so_far(tree, store)
    value = execute([partial], store).values[partial]
    found = str(value)
    assert [f"events of w{number}" in found for number in range(8)] == [number in (0, 5) for number in range(8)]


def test_a_window_that_cannot_be_read_is_no_hindrance(tmp_path, store):
    target = image_query(tmp_path, ["w1", "w2"])
    run_some(target, store, 1)
    (tmp_path / "w2.events").unlink()
    fresh = Node(
        target.step, "all", inputs=(target.inputs[0], Node(Toy("COR"), "w2", raw={"events": tmp_path / "gone"}))
    )
    assert scopes(so_far(fresh, store), store) == ["w1"]


def test_another_thread_sees_the_mosaic_while_the_rest_runs(tmp_path, store):
    ready = Node(Toy("IMA"), "w1", {"number": 1})
    late = Node(Gated("IMA", folder=tmp_path), "w2", {"number": 2})
    target = Node(Toy("MOSAIC", tolerant=True), "all", inputs=(ready, late))
    whole = []
    runner = threading.Thread(target=lambda: whole.append(execute([target], Store(store.root)).values[target]))
    runner.start()
    wait_for((tmp_path / "begun-2").exists)
    assert scopes(so_far(target, store), store) == ["w1"]
    assert whole == []
    (tmp_path / "open").touch()
    runner.join(60)
    assert [scope for scope, _ in whole[0]["inputs"]] == ["w1", "w2"]


def test_a_value_so_far_is_worked_out_and_not_kept(tmp_path, store):
    windows = ["w1", "w2", "w3"]
    target = image_query(tmp_path, windows)
    assert value_so_far(target, store) is None
    run_some(image_query(tmp_path, windows), store, 2)
    before = set(store.keys())
    value, seen = value_so_far(target, store)
    assert [scope for scope, _ in value["inputs"]] == list(seen) == ["w1", "w2"]
    assert set(store.keys()) == before
    execute([target], store)
    value, seen = value_so_far(target, store)
    assert seen == ("w1", "w2", "w3")
    assert value == execute([target], store).values[target]


def test_a_value_so_far_goes_through_a_tree(tmp_path, store):
    leaves = [Node(Toy("IMA"), f"w{number}", {"number": number}) for number in range(7)]
    tree = gather_as_tree(leaves, lambda inputs: Node(Toy("MOSAIC", tolerant=True), "all", inputs=inputs), width=2)
    execute(leaves[2:5], store)
    _, seen = value_so_far(tree, store)
    assert seen == ("w2", "w3", "w4")
