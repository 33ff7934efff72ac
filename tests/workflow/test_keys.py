"""What must change a key, what must not, and that it is the same everywhere."""

import json
import os
import subprocess
import sys
import time
import weakref
from collections import OrderedDict
from pathlib import Path, PurePosixPath
from types import MappingProxyType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from workflow_toys import Toy, image_query

from integral_oda.errors import DataError
from integral_oda.workflow import keys
from integral_oda.workflow.graph import Node
from integral_oda.workflow.keys import FingerprintCache, canonical_json, digest, fingerprint

# Calculated with sha256sum from texts written by hand; a change of them makes every store useless.
GOLDEN_TEXT = '{"bands":[[28.0,80.0]],"name":"Crab \\u2605","on":true,"seed":7,"sigma":0.1}'
GOLDEN_DIGEST = "d62129647a4d5b42b88eefd37f864403d1bb9ff34030b89ab1e383a423eb0106"
GOLDEN_KEY = "ce8b1343c74e46d8b192314522271df61ff7637ce20b2193810964432067c103"

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def golden_value():
    return {"sigma": 0.1, "bands": ((28.0, 80.0),), "seed": 7, "on": True, "name": "Crab \N{BLACK STAR}"}


def golden_node(folder):
    raw = folder / "isgri_events.fits"
    raw.write_bytes(b"events of a science window")
    cor = Node(Toy("COR", "2"), "255900280010.001", {}, (), {"events": raw}, "native", "0.1")
    return Node(Toy("BIN_I"), "255900280010.001", golden_value(), (cor,), {}, "native", "0.1")


def node(folder, **changes):
    raw = folder / changes.pop("raw_name", "raw.fits")
    raw.parent.mkdir(parents=True, exist_ok=True)
    raw.write_text(changes.pop("content", "photons"), encoding="utf-8")
    cor = Node(Toy("COR", changes.pop("input_version", "1")), "w1", raw={changes.pop("role", "events"): raw})
    step = Toy(changes.pop("name", "IMA"), changes.pop("version", "1"))
    values = {"parameters": {"band": [20.0, 40.0], "sigma": 7}, "inputs": (cor,), "scope": "w1", "engine_version": "1"}
    return Node(step, **{**values, **changes})


def test_canonical_json_is_pinned():
    assert canonical_json(golden_value()) == GOLDEN_TEXT
    assert digest(golden_value()) == GOLDEN_DIGEST


def test_node_key_is_pinned(tmp_path):
    assert golden_node(tmp_path).key == GOLDEN_KEY


@pytest.mark.parametrize("seed", ["0", "1", "4242"])
def test_key_is_the_same_in_other_processes(tmp_path, seed):
    code = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[1]);"
        "from test_keys import golden_node; print(golden_node(Path(sys.argv[2])).key)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(Path(__file__).parent), str(tmp_path)],
        env={**os.environ, "PYTHONHASHSEED": seed},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == GOLDEN_KEY


@pytest.mark.parametrize(
    "change",
    [
        {"content": "photonz"},
        {"role": "gti"},
        {"version": "2"},
        {"input_version": "2"},
        {"name": "SPE"},
        {"engine": "osa"},
        {"engine_version": "2"},
        {"parameters": {"band": [20.0, 40.5], "sigma": 7}},
        {"parameters": {"band": [20.0, 40.0], "sigma": 7, "bright": True}},
        {"parameters": {"band": [20.0, 40.0]}},
        {"parameters": {"band": [40.0, 20.0], "sigma": 7}},
        {"parameters": {"band": [20.0, 40.0], "sigma": "7"}},
        {"parameters": {"band": [20.0, 40.0], "sigma": True}},
        {"inputs": ()},
    ],
    ids=str,
)
def test_what_matters_changes_the_key(tmp_path, change):
    assert node(tmp_path, **change).key != node(tmp_path).key


@pytest.mark.parametrize(
    "change",
    [
        {"raw_name": "other/folder/renamed.fits"},
        {"scope": "w2"},
        {"parameters": {"sigma": 7, "band": (20.0, 40.0)}},
        {"parameters": MappingProxyType({"sigma": 7, "band": [20.0, 40.0]})},
    ],
    ids=["path of a raw file", "scope", "order and kind of sequence", "kind of mapping"],
)
def test_what_does_not_matter_keeps_the_key(tmp_path, change):
    assert node(tmp_path, **change).key == node(tmp_path).key


def test_order_of_the_inputs_matters(tmp_path):
    first, second = node(tmp_path), node(tmp_path, version="2")
    assert node(tmp_path, inputs=(first, second)).key != node(tmp_path, inputs=(second, first)).key


def test_scope_of_an_input_matters_only_where_it_is_handed_on(tmp_path):
    one, other = node(tmp_path, scope="w1"), node(tmp_path, scope="w2")
    assert one.key == other.key
    assert Node(Toy("IMA"), "w", inputs=(one,)).key == Node(Toy("IMA"), "w", inputs=(other,)).key
    gather = Toy("MOSAIC", tolerant=True)
    assert Node(gather, "all", inputs=(one,)).key != Node(gather, "all", inputs=(other,)).key


def test_a_changed_catalogue_leaves_everything_before_imaging(tmp_path):
    old, new = image_query(tmp_path), image_query(tmp_path, catalogue=("Crab", "Cyg X-1"))
    assert old.key != new.key
    old_image, new_image = old.inputs[0], new.inputs[0]
    assert old_image.key != new_image.key
    assert [item.key for item in old_image.inputs] == [item.key for item in new_image.inputs]


@pytest.mark.parametrize(
    ("value", "error", "words"),
    [
        ({"file": Path("/data/scw")}, TypeError, "value.file"),
        ({"file": PurePosixPath("scw")}, TypeError, "PurePosixPath"),
        ([1.0, float("nan")], ValueError, r"value\[1\] = nan"),
        (float("inf"), ValueError, "finite"),
        ({1: "a"}, TypeError, "names in a key must be str"),
        ({"a": {1, 2}}, TypeError, "set"),
        (b"bytes", TypeError, "bytes"),
        (object(), TypeError, "object"),
    ],
)
def test_what_cannot_be_part_of_a_key_is_refused(value, error, words):
    with pytest.raises(error, match=words):
        canonical_json(value)


def test_equal_values_have_equal_texts():
    assert canonical_json(np.float64(0.1)) == "0.1"
    assert canonical_json(-0.0) == canonical_json(0.0) == "0.0"
    assert canonical_json(OrderedDict(b=1, a=(2,))) == canonical_json({"a": [2], "b": 1}) == '{"a":[2],"b":1}'
    assert canonical_json(1) != canonical_json(1.0) != canonical_json("1.0")


@given(json_values, json_values)
def test_texts_are_equal_exactly_when_values_are(one, other):
    assert json.loads(canonical_json(one)) == one
    if canonical_json(one) == canonical_json(other):
        assert one == other


def settle(path, seconds=3600):
    then = time.time_ns() - int(seconds * 1e9)
    os.utime(path, ns=(then, then))


@pytest.fixture
def clock(monkeypatch):
    """Lets files settle at once, as their change time cannot be set back, and forgets the caches of other tests."""
    monkeypatch.setattr(keys, "_caches", weakref.WeakSet())
    real = time.time
    monkeypatch.setattr(keys.time, "time", lambda: real() + 3600)


def test_fingerprint_is_the_sha256_of_the_content(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert fingerprint(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_fingerprint_follows_a_change_that_keeps_size_and_time(tmp_path, clock):
    raw = tmp_path / "raw"
    raw.write_bytes(b"aaaa")
    settle(raw)
    before, times = fingerprint(raw), raw.stat()
    raw.write_bytes(b"bbbb")
    os.utime(raw, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert raw.stat().st_mtime_ns == times.st_mtime_ns
    assert fingerprint(raw) != before


def test_fingerprint_of_a_file_that_just_changed_is_not_trusted(tmp_path, monkeypatch):
    raw = tmp_path / "raw"
    raw.write_bytes(b"aaaa")
    reads = count_reads(monkeypatch)
    fingerprint(raw)
    fingerprint(raw)
    assert reads == [raw, raw]


def test_fingerprint_outlives_the_process(tmp_path, monkeypatch, clock):
    raw = tmp_path / "raw"
    raw.write_bytes(b"photons")
    cache = FingerprintCache(tmp_path / "store")
    reads = count_reads(monkeypatch)
    first = fingerprint(raw)
    assert cache.path.exists()
    for again in (cache, FingerprintCache(tmp_path / "store")):
        monkeypatch.setattr(keys, "_memory", {})
        assert fingerprint(raw) == first, again
    assert reads == [raw]
    raw.write_bytes(b"other photons")
    assert fingerprint(raw) != first


def test_damaged_fingerprint_cache_is_begun_anew(tmp_path, monkeypatch, clock):
    raw = tmp_path / "raw"
    raw.write_bytes(b"photons")
    cache = FingerprintCache(tmp_path)
    cache.path.write_bytes(b"no database at all" * 100)
    reads = count_reads(monkeypatch)
    first = fingerprint(raw)
    for _ in range(3):
        monkeypatch.setattr(keys, "_memory", {})
        assert fingerprint(raw) == first
    assert len(reads) == 2


def test_missing_raw_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"gone\.fits cannot be read: No such file"):
        fingerprint(tmp_path / "gone.fits")
    FingerprintCache(tmp_path).prime([tmp_path / "gone.fits"])


def count_reads(monkeypatch):
    reads = []
    real = keys.file_sha256

    def counted(path):
        reads.append(path)
        return real(path)

    monkeypatch.setattr(keys, "file_sha256", counted)
    return reads
