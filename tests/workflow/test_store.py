"""What the store keeps, finds, notices, sets aside, removes and counts."""

import fcntl
import gc
import json
import multiprocessing
import os
import shutil
import sqlite3
import threading
import time
from pathlib import Path

import pytest
from workflow_toys import Toy

from integral_oda.errors import DataError, OutputError
from integral_oda.workflow.graph import Node
from integral_oda.workflow.locks import FileLock, Lease, leased_keys
from integral_oda.workflow.store import Store


def make(number=0, size=0):
    """A node without inputs and its value."""
    node = Node(Toy("COR", bytes=size), f"w{number}", {"number": number})
    return node, node.step.compute([], node.parameters, {})


def put(store, number=0, size=0):
    node, value = make(number, size)
    with store.lock(node.key).hold():
        store.save(node.task, value, 0.5)
    return node


def put_at(store, moments, size=1000):
    """Entries that were last used at given Unix times."""
    nodes = [put(store, number, size) for number in range(len(moments))]
    with sqlite3.connect(store.index.path) as connection:
        for node, moment in zip(nodes, moments, strict=True):
            connection.execute("UPDATE entries SET used = ? WHERE key = ?", (moment, node.key))
    connection.close()
    return nodes


def names(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_a_result_is_found_by_its_key(store):
    node = put(store, 1, size=5000)
    folder = store.find(node.key)
    assert folder == store.root / "objects" / node.key[:2] / node.key
    assert names(folder) == ["bulk.bin", "manifest.json", "value.json"]
    assert node.step.load(folder) == make(1)[1]
    assert store.find("0" * 64) is None


def test_the_manifest_says_what_the_result_was_made_from(store):
    node = put(store, 1)
    manifest = store.manifest(node.key)
    assert (manifest.key, manifest.scope, manifest.seconds) == (node.key, "w1", 0.5)
    assert manifest.recipe == json.loads(json.dumps(node.task.recipe))
    assert manifest.files["bulk.bin"].size == 0
    with pytest.raises(DataError, match="cannot be read"):
        store.manifest("0" * 64)


def test_lineage_follows_the_inputs(store):
    first = put(store, 1)
    second = Node(Toy("GTI"), "w1", inputs=(first,))
    third = Node(Toy("MOSAIC", tolerant=True), "all", inputs=(second, first))
    for node in (second, third):
        with store.lock(node.key).hold():
            store.save(node.task, {}, 0.1)
    assert {item.key for item in store.lineage(third.key)} == {first.key, second.key, third.key}
    assert [item.recipe["step"] for item in store.lineage(second.key)] == ["GTI", "COR"]


def test_index_counts_hits_sizes_and_times(store):
    before = time.time()
    node = put(store, 1, size=5000)
    assert store.index.get(node.key).hits == 0
    store.find(node.key)
    store.find(node.key)
    entry = store.index.get(node.key)
    assert (entry.hits, entry.step, entry.scope, entry.files, entry.seconds) == (2, "COR", "w1", 2, 0.5)
    assert entry.size == sum(item.size for item in store.manifest(node.key).files.values())
    assert entry.size > 5000
    assert json.loads(entry.parameters) == {"number": 1}
    assert before <= entry.created <= entry.used <= time.time()
    assert [item.key for item in store.index.search("COR", "w1")] == [node.key]
    assert store.index.search("COR", "w2") == [] == store.index.search("IMA")
    assert len(store.index.search("COR")) == 1


def test_index_is_rebuilt_from_the_manifests(store):
    nodes = [put(store, number, size=100 * number) for number in range(3)]
    expected = store.info()
    store.close()
    for path in store.root.glob("index.sqlite*"):
        path.unlink()
    again = Store(store.root)
    assert again.info().entries == 0
    assert again.reconcile() == 3
    assert again.info() == expected
    shutil.rmtree(again.folder(nodes[0].key))
    assert again.reconcile() == 1
    assert again.index.keys() == {nodes[1].key, nodes[2].key}
    again.close()


def test_a_result_that_the_index_lost_is_adopted_when_it_is_found(store):
    node = put(store)
    store.index.remove([node.key])
    assert store.find(node.key) is not None
    assert store.index.get(node.key).size == store.manifest(node.key).size


def test_a_damaged_index_is_begun_anew(store):
    node = put(store)
    store.close()
    for path in store.root.glob("index.sqlite-*"):
        path.unlink()
    store.index.path.write_bytes(b"this is no database" * 1000)
    assert store.find(node.key) is not None
    assert store.info().entries == 1


# -- damage ----------------------------------------------------------------------------------------------------------


def flip(path, position=-1):
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(bytes(content))


DAMAGES = {
    "a bit": lambda folder: flip(folder / "bulk.bin"),
    "the end": lambda folder: (folder / "bulk.bin").write_bytes(b"C"),
    "a file": lambda folder: (folder / "value.json").unlink(),
    "the manifest": lambda folder: (folder / "manifest.json").unlink(),
    "a bit of the manifest": lambda folder: flip(folder / "manifest.json", 40),
    "the form of the manifest": lambda folder: (folder / "manifest.json").write_text("[1, 2]"),
    "a size in the manifest": lambda folder: (folder / "manifest.json").write_text(
        (folder / "manifest.json").read_text().replace("5000", "5001")
    ),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_damage_is_noticed_set_aside_and_made_good(store, damage):
    node = put(store, 1, size=5000)
    damage(store.folder(node.key))
    other = Store(store.root)
    assert [key for key, _ in other.verify().damaged] == [node.key]
    assert other.find(node.key) is None
    assert not other.folder(node.key).exists()
    assert other.index.get(node.key) is None
    info = other.info()
    assert (info.entries, info.quarantined) == (0, 1)
    reason = next((other.root / "quarantine").glob("*.txt")).read_text()
    assert reason.strip()
    put(other, 1, size=5000)
    assert other.find(node.key) is not None
    assert other.verify().damaged == []
    other.close()


def test_a_missing_end_is_noticed_by_a_process_that_has_seen_the_result_whole(store):
    node = put(store, 1, size=5000)
    assert store.find(node.key) is not None
    (store.folder(node.key) / "bulk.bin").write_bytes(b"")
    assert store.find(node.key) is None


def test_checksums_are_compared_once_a_process_and_at_every_verify(store, monkeypatch):
    node = put(store, 1, size=5000)
    other = Store(store.root)
    read = []
    real = Store.find.__globals__["find_damage"].__globals__["file_sha256"]
    monkeypatch.setattr("integral_oda.workflow.manifest.file_sha256", lambda path: read.append(path.name) or real(path))
    other.find(node.key)
    assert sorted(read) == ["bulk.bin", "value.json"]
    other.find(node.key)
    assert len(read) == 2
    other.verify()
    assert len(read) == 4
    other.close()


def test_a_result_under_the_name_of_another_is_damage(store):
    first, second = put(store, 1), put(store, 2)
    shutil.rmtree(store.folder(second.key))
    store.folder(second.key).parent.mkdir(exist_ok=True)
    shutil.copytree(store.folder(first.key), store.folder(second.key))
    assert store.verify().damaged == [(second.key, f"manifest of {second.key} belongs to {first.key}")]


def test_verify_leaves_damage_in_place_unless_asked_to_repair(store):
    node = put(store, 1, size=100)
    flip(store.folder(node.key) / "bulk.bin")
    assert store.verify().damaged == store.verify().damaged == [(node.key, "bulk.bin does not have its checksum")]
    assert len(store.verify(repair=True).damaged) == 1
    assert store.verify() == type(store.verify())(0, [])


def test_damage_under_the_lock_of_its_maker_is_left_to_him(store):
    node = put(store, 1, size=100)
    with store.lock(node.key).hold():
        (store.folder(node.key) / "bulk.bin").unlink()
        assert store.find(node.key) is None
        assert store.folder(node.key).exists()
        store.save(node.task, make(1)[1], 0.1)
    assert store.find(node.key) is not None
    assert store.info().quarantined == 1


# -- writing ---------------------------------------------------------------------------------------------------------


class Clumsy(Toy):
    """Writes a part of its result and then meets a given error."""

    def save(self, value, folder):
        (folder / "part.bin").write_bytes(b"x" * 1000)
        raise value


@pytest.mark.parametrize(
    ("raised", "expected", "words"),
    [
        (OSError(28, "No space left on device"), OutputError, "cannot be written: No space left on device"),
        (OSError("4096 requested and 0 written"), OutputError, "4096 requested and 0 written"),
        (DataError("unfit"), DataError, "unfit"),
        (KeyboardInterrupt("stop"), KeyboardInterrupt, "stop"),
        (ZeroDivisionError("bug"), ZeroDivisionError, "bug"),
    ],
)
def test_a_result_that_cannot_be_written_leaves_nothing_behind(store, raised, expected, words):
    node = Node(Clumsy("IMA"), "w1")
    with store.lock(node.key).hold(), pytest.raises(expected, match=words):
        store.save(node.task, raised, 0.0)
    assert names(store.root / "objects") == names(store.root / "aside") == []
    assert store.info().entries == 0
    assert store.verify().damaged == []


def test_a_step_may_not_write_the_manifest(store):
    class Greedy(Toy):
        def save(self, value, folder):
            (folder / "manifest.json").write_text("{}")

    node = Node(Greedy("IMA"), "w1")
    with pytest.raises(ValueError, match=r"step IMA saves a file named manifest\.json"):
        store.save(node.task, {}, 0.0)


def test_a_step_may_write_folders_or_nothing(store):
    class Nested(Toy):
        def save(self, value, folder):
            for name in value:
                (folder / name).parent.mkdir(exist_ok=True)
                (folder / name).write_text(name)

    for number, files in enumerate([[], ["bands/1.fits", "bands/2.fits"]]):
        node = Node(Nested("IMA"), "w1", {"number": number})
        store.save(node.task, files, 0.0)
        assert names(store.find(node.key)) == [*files, "manifest.json"]


@pytest.mark.parametrize("where", ["file", "file/store"])
def test_a_root_that_cannot_be_made_is_named(tmp_path, where):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=f"the store {tmp_path / where} cannot be made"):
        Store(tmp_path / where)


# -- pruning ---------------------------------------------------------------------------------------------------------


def test_prune_removes_the_least_recently_used_first(store):
    nodes = put_at(store, [30.0, 10.0, 40.0, 20.0])
    size = store.index.get(nodes[0].key).size
    done = store.prune(2 * size)
    assert (done.removed, done.removed_bytes, done.bytes_left) == (2, 2 * size, 2 * size)
    assert set(store.keys()) == store.index.keys() == {nodes[0].key, nodes[2].key}
    assert names(store.root / "aside") == []


def test_prune_goes_through_many_with_the_same_time(store):
    put_at(store, [5.0] * 230, size=0)
    assert store.prune(0).removed == 230
    assert store.info().bytes == 0
    assert list(store.keys()) == []


def test_prune_takes_no_more_than_it_must(store):
    nodes = put_at(store, [1.0, 2.0, 3.0])
    sizes = [store.index.get(node.key).size for node in nodes]
    assert store.prune(sum(sizes)).removed == 0
    assert store.prune(sum(sizes) - 1).removed == 1


def test_prune_never_removes_what_is_in_use(store):
    nodes = put_at(store, [1.0, 2.0, 3.0])
    reader = Store(store.root)
    lease = reader.lease()
    assert reader.find(nodes[0].key, lease) is not None
    assert store.info().in_use == 1
    assert store.prune(0).removed == 2
    assert list(store.keys()) == [nodes[0].key]
    lease.close()
    assert store.prune(0).removed == 1
    reader.close()


def test_what_was_just_saved_under_a_lease_is_in_use(store):
    node, value = make(1)
    lease = store.lease()
    store.save(node.task, value, 0.0, lease)
    assert store.prune(0).removed == 0
    del lease
    gc.collect()
    assert store.prune(0).removed == 1


def test_prune_forgets_quarantine_and_failures(store):
    node = put(store)
    store.set_aside(node.key, "to try")
    store.remember_failure(node.task, DataError("truncated"))
    assert str(store.known_failure(node.key)) == "truncated"
    store.prune(10**9)
    assert store.info().quarantined == 0
    assert list((store.root / "quarantine").iterdir()) == []
    assert store.known_failure(node.key) is None


def hold_lease(root, key, found, release):
    store = Store(root)
    lease = store.lease()
    assert store.find(key, lease) is not None
    found.set()
    release.wait(30)
    os._exit(0)


def test_a_lease_of_another_process_counts_until_it_is_killed(store):
    node = put(store)
    context = multiprocessing.get_context("spawn")
    found, release = context.Event(), context.Event()
    reader = context.Process(target=hold_lease, args=(store.root, node.key, found, release))
    reader.start()
    assert found.wait(30)
    assert store.prune(0).removed == 0
    reader.kill()
    reader.join(30)
    assert len(list((store.root / "leases").iterdir())) == 1
    assert store.prune(0).removed == 1
    assert list((store.root / "leases").iterdir()) == []
    reader.close()


def test_readers_and_pruning_side_by_side(store):
    """Whoever has found a result under a lease reads all of it, however much is pruned meanwhile."""
    nodes = [put(store, number, size=3000) for number in range(20)]
    stop, problems = threading.Event(), []

    def read():
        mine = Store(store.root)
        while not stop.is_set():
            for node in nodes:
                lease = mine.lease()
                folder = mine.find(node.key, lease)
                if folder is None:
                    continue
                try:
                    assert len((folder / "bulk.bin").read_bytes()) == 3000
                    node.step.load(folder)
                except (AssertionError, OSError) as exc:
                    problems.append(exc)
                finally:
                    lease.close()
        mine.close()

    readers = [threading.Thread(target=read) for _ in range(3)]
    for thread in readers:
        thread.start()
    pruned = 0
    for round_number in range(10):
        pruned += store.prune(0).removed
        put(store, round_number, size=3000)
    stop.set()
    for thread in readers:
        thread.join(30)
    assert problems == []
    assert pruned >= 20


def test_what_is_found_while_somebody_prunes_is_whole_or_not_found(store, monkeypatch):
    """Between the moment when pruning looks who is reading and the moment when it removes, nobody begins to read."""
    node = put(store, 1, size=100)
    looked, tried = threading.Event(), threading.Event()
    real = Store.prune.__globals__["leased_keys"]

    def slow(folder):
        keys = real(folder)
        looked.set()
        tried.wait(0.3)
        return keys

    monkeypatch.setattr("integral_oda.workflow.store.leased_keys", slow)
    pruning = threading.Thread(target=store._remove_batch, args=([(0.0, node.key, 100)], 100))
    pruning.start()
    assert looked.wait(30)
    lease = store.lease()
    found = store.find(node.key, lease)
    tried.set()
    pruning.join(30)
    assert found is None or found.exists()
    assert found is None or store.find(node.key) is not None
    lease.close()


def test_leftovers_of_the_dead_are_swept_and_those_of_the_living_are_not(store):
    dead, living = make(1)[0].key, make(2)[0].key
    for key in (dead, living):
        (store.root / "aside" / key).mkdir()
    (store.root / "locks" / dead).touch()
    with store.lock(living).hold():
        assert store.verify().damaged == []
        for name in ("aside", "locks"):
            assert [path.name for path in (store.root / name).iterdir()] == [living]
        assert not store.lock(living).try_acquire()


# -- failures --------------------------------------------------------------------------------------------------------


def test_only_errors_in_the_data_are_remembered(store):
    node = make(1)[0]
    store.remember_failure(node.task, OutputError("disk full"))
    assert store.known_failure(node.key) is None
    store.remember_failure(node.task, DataError("truncated"))
    known = store.known_failure(node.key)
    assert (type(known), str(known)) == (DataError, "truncated")


# -- locks -----------------------------------------------------------------------------------------------------------


def test_a_lock_is_held_by_one_and_leaves_no_file(tmp_path):
    first, second = FileLock(tmp_path / "key"), FileLock(tmp_path / "key")
    assert first.try_acquire()
    assert first.held
    assert not second.try_acquire()
    assert not second.acquire(give_up=lambda: True)
    first.release()
    assert list(tmp_path.iterdir()) == []
    assert second.try_acquire()
    second.release()
    assert not second.held


def test_a_lock_is_never_held_twice(tmp_path):
    inside, most, rounds = [], [], 200

    def work():
        for _ in range(rounds):
            with FileLock(tmp_path / "key").hold():
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(most) == 4 * rounds
    assert max(most) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_lock_on_a_file_that_its_holder_has_removed_is_no_lock(tmp_path, monkeypatch):
    path, others = tmp_path / "key", []
    path.touch()
    real = fcntl.flock

    def late(descriptor, operation):
        if not others:
            # Between opening and locking, the holder before lets go and somebody else comes.
            path.unlink()
            others.append(os.open(path, os.O_CREAT | os.O_RDWR))
            real(others[0], fcntl.LOCK_EX)
        real(descriptor, operation)

    monkeypatch.setattr("integral_oda.workflow.locks.fcntl.flock", late)
    lock = FileLock(path)
    assert not lock.try_acquire()
    os.close(others[0])
    assert lock.try_acquire()
    lock.release()


def hold_lock(path, taken):
    FileLock(path).acquire()
    taken.set()
    time.sleep(60)


def test_a_lock_dies_with_its_holder(tmp_path):
    context = multiprocessing.get_context("spawn")
    taken = context.Event()
    holder = context.Process(target=hold_lock, args=(tmp_path / "key", taken))
    holder.start()
    assert taken.wait(30)
    lock = FileLock(tmp_path / "key")
    assert not lock.try_acquire()
    holder.kill()
    holder.join(30)
    assert lock.try_acquire()
    lock.release()
    holder.close()


def test_leases_list_their_keys(tmp_path):
    first, second = Lease(tmp_path), Lease(tmp_path)
    first.add("a")
    first.add("a")
    second.add("b")
    assert leased_keys(tmp_path) == {"a", "b"}
    first.close()
    assert leased_keys(tmp_path) == {"b"}
    first.close()
    second.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("path", ["locks/k", "leases"])
def test_locks_in_a_folder_that_is_gone_are_one_clear_error(tmp_path, path):
    with pytest.raises(OutputError, match="cannot be written"):
        FileLock(tmp_path / path / "x").try_acquire()


def find_in_child(store, key, answers):
    answers.put(store.find(key) is not None)
    store.close()


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_process_uses_a_connection_of_its_own(store):
    node = put(store)
    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    child = context.Process(target=find_in_child, args=(store, node.key, answers))
    child.start()
    assert answers.get(timeout=30) is True
    child.join(30)
    assert child.exitcode == 0
    assert store.index.get(node.key).hits == 1
    child.close()


def test_a_store_that_is_given_up_closes_its_index(tmp_path):
    kept = Store(tmp_path)
    put(kept)
    index = str(kept.index.path)
    del kept
    gc.collect()
    opened = [str(path.readlink()) for path in Path("/proc/self/fd").iterdir() if path.is_symlink()]
    assert index not in opened
