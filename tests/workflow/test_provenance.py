"""Where a product comes from, and a crate with which it is made again."""

import json
from datetime import UTC, datetime

import pytest
from workflow_toys import Toy, image_query

from integral_oda.errors import DataError, OutputError
from integral_oda.workflow.crate import METADATA_NAME, read_crate, write_crate
from integral_oda.workflow.executor import execute
from integral_oda.workflow.graph import Node
from integral_oda.workflow.keys import fingerprint
from integral_oda.workflow.provenance import lineage, prov_document

SOFTWARE = {"integral-oda": "0.1", "python": "3.11"}


def steps(made):
    return [(item.scope, item.step) for item in made]


# -- lineage ---------------------------------------------------------------------------------------------------------


def test_lineage_lists_everything_inputs_first(tmp_path, store):
    target = image_query(tmp_path, ["w1", "w2"])
    made = lineage(execute([target], store), target, store)
    assert steps(made)[-1] == ("all", "MOSAIC")
    assert len(made) == 11
    places = {item.key: place for place, item in enumerate(made)}
    assert all(places[key] < place for place, item in enumerate(made) for key in item.inputs)
    assert made[0].raw == {"events": fingerprint(tmp_path / "w1.events")}
    assert made[-1].key == target.key
    assert all(item.seconds is not None and item.created > 1.6e9 for item in made)


def test_a_restored_product_has_the_lineage_of_the_computed_one(tmp_path, store):
    first, second = image_query(tmp_path), image_query(tmp_path)
    computed = lineage(execute([first], store), first, store)
    assert lineage(execute([second], store), second, store) == computed


def test_a_window_that_failed_is_no_part_of_the_product(tmp_path, store):
    target = Node(Toy("CAT_I"), "all", inputs=(image_query(tmp_path, ["w1", "w2", "w3"], bad=["w2"]),))
    for again in (False, True):
        done = execute([target], store)
        made = lineage(done, target, store)
        assert {item.scope for item in made} == {"w1", "w3", "all"}, again
        assert made[-1].inputs == (made[-2].key,)
        assert store.find(made[-2].key) is not None
        assert made[-2].key != target.inputs[0].key
        assert len(made[-2].inputs) == 2


def test_lineage_without_a_store_and_of_what_was_pruned(tmp_path, store):
    target = image_query(tmp_path, ["w1"])
    assert {item.created for item in lineage(execute([target]), target)} == {None}
    done = execute([target], store)
    store.set_aside(target.inputs[0].key, "to try")
    assert [item.created is None for item in lineage(done, target, store)] == [False] * 4 + [True, False]


# -- PROV ------------------------------------------------------------------------------------------------------------


def test_the_document_connects_everything(tmp_path, store):
    target = image_query(tmp_path, ["w1"])
    made = lineage(execute([target], store), target, store)
    document = prov_document(made, SOFTWARE, {"scw_list": ["w1"]})
    assert document["agent"]["oda:software"]["oda:integral-oda"] == "0.1"
    assert set(document["entity"]) == {f"oda:{item.key}" for item in made} | {
        "oda:request",
        f"sha256:{fingerprint(tmp_path / 'w1.events')}",
    }
    assert document["entity"]["oda:request"] == {"prov:value": '{"scw_list":["w1"]}'}
    generated = {item["prov:entity"]: item["prov:activity"] for item in document["wasGeneratedBy"].values()}
    assert len(generated) == len(made)
    used = {(item["prov:activity"], item["prov:entity"]) for item in document["used"].values()}
    assert (generated[f"oda:{target.key}"], f"oda:{target.inputs[0].key}") in used
    for kind in ("used", "wasGeneratedBy", "wasAssociatedWith"):
        for relation in document[kind].values():
            assert relation.get("prov:activity") in document["activity"]
            assert relation.get("prov:entity", "oda:request") in document["entity"]
    activity = document["activity"][generated[f"oda:{target.key}"]]
    assert activity["oda:step"] == "MOSAIC"
    begin, end = (datetime.fromisoformat(activity[f"prov:{name}Time"]) for name in ("start", "end"))
    assert begin <= end <= datetime.now(UTC)
    assert json.loads(json.dumps(document)) == document


# -- crate -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def product(tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "mosaic.fits").write_bytes(b"SIMPLE")
    (folder / "image.png").write_bytes(b"PNG")
    return folder


def crate_of(folder):
    request = {"kind": "image", "query": {"scw_list": ["w1"], "bands": [[28.0, 80.0]]}}
    return write_crate(
        folder,
        ["mosaic.fits", "image.png"],
        name="ISGRI image",
        request=request,
        software=SOFTWARE,
        inputs={"w1 events": "ab" * 32},
        moment=datetime(2022, 10, 12, tzinfo=UTC),
    )


def test_a_crate_is_read_as_it_was_written(product):
    assert crate_of(product) == product / METADATA_NAME
    crate = read_crate(product)
    assert crate.request["query"]["bands"] == [[28.0, 80.0]]
    assert crate.software == SOFTWARE
    assert crate.inputs == {"w1 events": "ab" * 32}
    assert set(crate.files) == {"mosaic.fits", "image.png"}


def test_a_crate_follows_the_specification(product):
    document = json.loads(crate_of(product).read_text())
    assert document["@context"] == "https://w3id.org/ro/crate/1.1/context"
    entities = {item["@id"]: item for item in document["@graph"]}
    assert len(entities) == len(document["@graph"])
    assert entities[METADATA_NAME]["about"] == {"@id": "./"}
    assert entities[METADATA_NAME]["conformsTo"] == {"@id": "https://w3id.org/ro/crate/1.1"}
    root = entities["./"]
    assert {item["@id"] for item in root["hasPart"]} == {"request.json", "mosaic.fits", "image.png"}
    assert all(root[name] for name in ("name", "description", "datePublished", "license"))

    def references(value):
        if isinstance(value, dict) and set(value) == {"@id"}:
            yield value["@id"]
        elif isinstance(value, dict):
            for item in value.values():
                yield from references(item)
        elif isinstance(value, list):
            for item in value:
                yield from references(item)

    assert set(references(document["@graph"])) <= set(entities) | {"https://w3id.org/ro/crate/1.1"}


def test_a_product_made_again_is_compared_byte_for_byte(product, tmp_path):
    crate_of(product)
    crate, again = read_crate(product), tmp_path / "again"
    again.mkdir()
    assert crate.differences(product) == []
    (again / "mosaic.fits").write_bytes(b"SIMPLE")
    assert crate.differences(again) == ["image.png"]
    (again / "image.png").write_bytes(b"png")
    assert crate.differences(again) == ["image.png"]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        (METADATA_NAME, None, "is no crate of a product: .*No such file"),
        (METADATA_NAME, "{}", "is no crate of a product: '@graph'"),
        (METADATA_NAME, "[]", "is no crate of a product"),
        (METADATA_NAME, '{"@graph": [{"@id": "./"}]}', "is no crate of a product: '#run'"),
        ("request.json", "{}", "was changed since the crate was made"),
        ("request.json", "{", "is no crate of a product"),
        ("request.json", None, "is no crate of a product"),
    ],
)
def test_a_crate_that_is_none_is_told(product, name, content, words):
    crate_of(product)
    (product / name).unlink()
    if content is not None:
        (product / name).write_text(content)
    with pytest.raises(DataError, match=words):
        read_crate(product)


def test_a_crate_that_cannot_be_written_is_told(tmp_path):
    with pytest.raises(OutputError, match="cannot be written: No such file"):
        write_crate(tmp_path / "gone", [], name="image", request={}, software={}, inputs={})
