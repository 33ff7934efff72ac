"""What a query would do is what it then does."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from workflow_toys import Toy, image_query

from integral_oda.workflow.executor import execute
from integral_oda.workflow.graph import Node
from integral_oda.workflow.plan import plan
from integral_oda.workflow.store import Store

EMPTY = """\
science window  COR  GTI  BIN_I  BKG_I  IMA  MOSAIC
w1               +    +     +      +     +
w2               +    +     +      +     +
all                                            +
+ 11 to run"""

ONE_MORE = """\
science window  COR  GTI  BIN_I  BKG_I  IMA  MOSAIC
w1               .    .     .      .     =
w2               +    +     +      +     +
all                                            +
= 1 stored, + 6 to run, . 4 not needed"""


def test_text_of_a_new_query(tmp_path, store):
    assert str(plan([image_query(tmp_path, ["w1", "w2"])], store)) == EMPTY
    assert str(plan([image_query(tmp_path, ["w1", "w2"])])) == EMPTY


def test_text_of_a_query_that_is_known_in_part(tmp_path, store):
    execute([image_query(tmp_path, ["w1"])], store)
    assert plan([image_query(tmp_path, ["w1", "w2"])], store).text() == ONE_MORE


def test_a_bad_window_is_announced_with_its_reason(tmp_path, store):
    execute([image_query(tmp_path, bad=["w2"])], store)
    text = plan([image_query(tmp_path, bad=["w2"])], store).text()
    assert "w2               !    !     !      !     !" in text
    assert text.endswith("w2 COR: COR cannot be made")
    target = image_query(tmp_path)
    (tmp_path / "w3.events").unlink()
    text = plan([target]).text()
    assert "w3               !    !     !      !     !" in text
    assert "w3.events cannot be read" in text.splitlines()[-1]


def test_looking_is_no_use_and_computes_nothing(tmp_path, store):
    target = image_query(tmp_path)
    execute([target], store)
    plan([image_query(tmp_path)], store)
    assert store.index.get(target.key).hits == 0
    assert plan([image_query(tmp_path, band=(20.0, 40.0))], store).counts() == {
        "stored": 6,
        "to run": 10,
        "not needed": 0,
        "will fail": 0,
    }
    assert store.info().entries == 16


def test_a_damaged_result_would_run_again(tmp_path, store):
    target = image_query(tmp_path)
    execute([target], store)
    (store.folder(target.key) / "value.json").unlink()
    assert plan([image_query(tmp_path)], store).counts()["to run"] == 1


def test_many_windows_are_shortened(tmp_path):
    lines = plan([image_query(tmp_path, [f"w{number:03}" for number in range(100)])]).text().splitlines()
    assert len(lines) == 43
    assert lines[-3] == "... and 61 more"
    assert lines[-1] == "+ 501 to run"


def test_mermaid_has_a_box_a_node(tmp_path, store):
    execute([image_query(tmp_path, ["w1"])], store)
    chart = plan([image_query(tmp_path, ["w1", "w2"])], store).mermaid().splitlines()
    assert chart[0] == "flowchart LR"
    assert '    n4["IMA<br/>w1"]:::stored' in chart
    assert '    n9["IMA<br/>w2"]:::to_run' in chart
    assert '    n10["MOSAIC<br/>all"]:::to_run' in chart
    assert {"    n4 --> n10", "    n9 --> n10", "    n0 --> n1"} <= set(chart)
    assert sum("-->" in line for line in chart) == 14


def test_mermaid_of_a_large_graph_has_a_box_a_step(tmp_path, store):
    windows = [f"w{number}" for number in range(20)]
    execute([image_query(tmp_path, windows[:5])], store)
    chart = plan([image_query(tmp_path, windows)], store).mermaid()
    assert '    n4["IMA<br/>5 stored<br/>15 to run"]:::to_run' in chart
    assert sum("-->" in line for line in chart.splitlines()) == 7
    assert plan([image_query(tmp_path, windows)], store)._repr_markdown_() == f"```mermaid\n{chart}\n```"


def test_equal_nodes_are_one_box(tmp_path):
    first, second = image_query(tmp_path, ["w1"]), image_query(tmp_path, ["w1"])
    both = plan([first, second])
    assert len(both.nodes) == 6
    pair = Node(Toy("SUM"), "all", inputs=(first, second))
    assert plan([pair]).nodes[-1].inputs == (5,)


def test_a_node_that_one_target_needs_runs_though_another_does_not(tmp_path, store):
    done = image_query(tmp_path, ["w1"])
    execute([done], store)
    store.set_aside(done.inputs[0].inputs[0].key, "to try")
    again, other = image_query(tmp_path, ["w1"]), image_query(tmp_path, ["w1"], catalogue=["Cyg X-1"])
    assert plan([again, other], store).counts() == {"stored": 4, "to run": 3, "not needed": 1, "will fail": 0}


@settings(max_examples=30)
@given(st.sets(st.sampled_from("abcdef"), min_size=1), st.sets(st.sampled_from("abcdef"), min_size=1), st.booleans())
def test_the_plan_is_what_happens(tmp_path_factory, before, after, other_band):
    folder = tmp_path_factory.mktemp("plan")
    store = Store(folder / "store")
    execute([image_query(folder, sorted(before))], store)
    band = (20.0, 40.0) if other_band else (28.0, 80.0)
    counts = plan([image_query(folder, sorted(after), band=band)], store).counts()
    done = execute([image_query(folder, sorted(after), band=band)], store)
    assert (counts["to run"], counts["stored"]) == (done.computed, done.restored)
    assert sum(counts.values()) == 5 * len(after) + 1
    store.close()


def test_an_empty_plan_has_nothing_to_run():
    assert plan([]).text().endswith("\n")
    with pytest.raises(KeyError):
        execute([]).values[Node(Toy("COR"), "w1")]
