"""A store behind a URL that several machines (here: several local stores) share."""

import errno
import json
import pickle
import uuid

import fsspec
import pytest
from typer.testing import CliRunner
from workflow_toys import image_query

from integral_oda.cli.cache import cache_app
from integral_oda.errors import OutputError, RequestError, UnavailableError
from integral_oda.workflow import shared
from integral_oda.workflow.executor import execute
from integral_oda.workflow.plan import plan
from integral_oda.workflow.shared import SharedStore, open_store
from integral_oda.workflow.store import Store


@pytest.fixture(params=["memory", "file"])
def url(request, tmp_path):
    return f"memory://{uuid.uuid4().hex}/store" if request.param == "memory" else f"file://{tmp_path}/team"


@pytest.fixture
def machine(tmp_path, url):
    """Opens the shared store as one more machine does."""
    opened = []

    def start():
        opened.append(SharedStore(url, tmp_path / f"machine-{len(opened)}"))
        return opened[-1]

    yield start
    for store in opened:
        store.close()


def files_of(url):
    files, base = fsspec.core.url_to_fs(url)
    return files, sorted(files.find(base))


def test_what_one_machine_computed_another_takes(tmp_path, machine):
    first, second = machine(), machine()
    target = image_query(tmp_path / "archive", bytes=3000)
    value = execute([target], first).values[target]
    again, events = image_query(tmp_path / "archive", bytes=3000), []
    done = execute([again], second, events.append)
    assert done.values[again] == json.loads(json.dumps(value))
    assert (done.computed, done.restored, len(list(second.keys()))) == (0, 1, 1)
    assert second.verify().damaged == []
    more = image_query(tmp_path / "archive", ["w1", "w2", "w3", "w4"], bytes=3000)
    assert execute([more], second).computed == 6
    assert execute([more], first).computed == 0


def test_only_what_is_needed_is_fetched_and_looking_fetches_nothing(tmp_path, machine):
    execute([image_query(tmp_path)], machine())
    other = machine()
    assert plan([image_query(tmp_path)], other).counts()["stored"] == 1
    assert list(other.keys()) == []
    execute([image_query(tmp_path, catalogue=["Cyg X-1"])], other)
    assert {other.manifest(key).recipe["step"] for key in other.keys()} == {"BIN_I", "BKG_I", "IMA", "MOSAIC"}  # noqa: SIM118


@pytest.mark.parametrize("victim", ["bulk.bin", "value.json", "pointer"])
def test_damage_in_the_shared_store_is_made_good(tmp_path, machine, url, victim):
    target = image_query(tmp_path, ["w1"], bytes=3000)
    execute([target], machine())
    files, names = files_of(url)
    [name] = [name for name in names if target.key in name and name.endswith(".json" if victim == "pointer" else victim)
              and ("/index/" in name) == (victim == "pointer")]  # fmt: skip
    files.pipe_file(name, b"spoilt")
    other = machine()
    assert execute([image_query(tmp_path, ["w1"], bytes=3000)], other).computed == 1
    assert execute([image_query(tmp_path, ["w1"], bytes=3000)], machine()).computed == 0


def test_a_result_without_its_last_object_is_not_there(tmp_path, machine, url):
    target = image_query(tmp_path, ["w1"])
    execute([target], machine())
    files, names = files_of(url)
    for name in names:
        if "/index/" in name and target.key in name:
            files.rm(name)
    assert execute([image_query(tmp_path, ["w1"])], machine()).computed == 1


def test_two_machines_that_make_the_same_do_not_mix_it(tmp_path, machine, url):
    target = image_query(tmp_path, ["w1"])
    first, second = machine(), machine()
    task, value = target.task, {"made": "by one"}
    first.save(task, value, 0.1)
    second.save(task, {"made": "by the other, and longer"}, 0.1)
    third = machine()
    assert target.step.load(third.find(target.key)) == {"made": "by the other, and longer"}
    assert third.verify().damaged == []
    assert len([name for name in files_of(url)[1] if name.endswith("value.json")]) == 2
    assert not [name for name in files_of(url)[1] if "/index/" in name and not name.endswith(f"{target.key}.json")]


def test_a_pointer_cannot_lead_elsewhere(tmp_path, machine, url):
    target = image_query(tmp_path, ["w1"])
    first = machine()
    execute([target], first)
    files, names = files_of(url)
    [name] = [name for name in names if "/index/" in name and target.key in name]
    pointer = json.loads(files.cat_file(name))
    pointer["manifest"] = pointer["manifest"].replace("value.json", "../../../../evil")
    files.pipe_file(name, json.dumps(pointer).encode())
    assert execute([image_query(tmp_path, ["w1"])], machine()).computed == 1
    assert list(tmp_path.rglob("evil")) == []


class Flaky:
    """A file system that fails a number of times."""

    def __init__(self, files, times):
        self._files, self.left = files, times

    def __getattr__(self, name):
        def call(*arguments, **options):
            if self.left:
                self.left -= 1
                raise OSError(errno.ETIMEDOUT, "Connection timed out")
            return getattr(self._files, name)(*arguments, **options)

        return call


def test_the_network_is_tried_again(tmp_path, machine, monkeypatch):
    monkeypatch.setattr(shared.time, "sleep", lambda seconds: None)
    target = image_query(tmp_path, ["w1"])
    first = machine()
    first._files = Flaky(first._files, 2)
    assert execute([target], first).computed == 6
    first._files.left = 10**6
    with pytest.raises(UnavailableError, match=f"the store {first.url} cannot be read: Connection timed out"):
        first.find("0" * 64)
    with pytest.raises(OutputError, match=f"the store {first.url} cannot be written: Connection timed out"):
        first.save(target.task, {}, 0.1)
    assert execute([image_query(tmp_path, ["w1"])], first).computed == 0


def test_a_url_opens_a_shared_store_and_a_folder_a_plain_one(tmp_path, monkeypatch):
    monkeypatch.setenv("INTEGRAL_ODA_STORE", str(tmp_path / "cache"))
    kept = open_store("memory://team/store/")
    assert isinstance(kept, SharedStore)
    assert kept.root.parent == tmp_path / "cache" / "shared"
    assert open_store("memory://team/store").root == kept.root != open_store("memory://other").root
    copy = pickle.loads(pickle.dumps(kept))
    assert (copy.url, copy.root) == (kept.url, kept.root)
    for root in (tmp_path / "plain", str(tmp_path / "plain")):
        assert type(open_store(root)) is Store


def test_the_cache_commands_take_a_url(tmp_path, monkeypatch):
    monkeypatch.setenv("INTEGRAL_ODA_STORE", str(tmp_path / "cache"))
    url = f"file://{tmp_path}/team"
    execute([image_query(tmp_path, ["w1"])], open_store(url))
    done = CliRunner().invoke(cache_app, ["info", "--store", url, "--json"])
    assert json.loads(done.stdout)["entries"] == 6


def test_a_url_that_nothing_opens_is_refused(tmp_path):
    with pytest.raises(RequestError, match=r"store = nonsense://x: a folder, or a URL that fsspec opens"):
        SharedStore("nonsense://x", tmp_path)
