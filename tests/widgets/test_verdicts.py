"""A verdict follows its rule and nothing else."""

from __future__ import annotations

import json
import math

import pytest

from integral_oda.errors import DataError
from integral_widgets.verdicts import Expected, judge, read_expectations, verdict_table_html


def expected(rule, value=10.0, **more):
    return Expected("a number", rule, value, "sigma", "OSA 11.2", **more)


@pytest.mark.parametrize(
    ("rule", "good", "bad"),
    [("at least", 10.0, 9.99), ("at most", 10.0, 10.01), ("equal", 10.0, 11.0), ("within", 10.7, 10.8)],
)
def test_each_rule_at_its_border(rule, good, bad):
    number = expected(rule, tolerance=0.07)
    assert judge(number, good).passed is True
    assert judge(number, bad).passed is False


@pytest.mark.parametrize("rule", ["at least", "at most", "equal", "within"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_was_not_measured_never_passes(rule, value):
    assert judge(expected(rule, tolerance=1), value).passed is False


def test_a_comparison_gives_ratio_and_pull_and_no_verdict():
    verdict = judge(expected("compare", error=3.0), 20.0, 4.0)
    assert verdict.passed is None
    assert verdict.comparison == "ratio 2.000, pull +2.0"


def test_the_table_names_the_source_and_verdict_and_escapes():
    table = verdict_table_html([judge(Expected("<b>", "at least", 1, "", "OSA <11>"), 0.5)])
    assert "FAIL" in table
    assert "OSA &lt;11&gt;" in table
    assert "&lt;b&gt;" in table


def test_verdicts_are_valid_json_also_without_a_measurement():
    assert json.loads(json.dumps(judge(expected("at least"), math.nan).as_dict(), allow_nan=False))["measured"] is None


@pytest.mark.parametrize(
    "text", ["", "[]", '{"title": "x"}', '{"title":"","data":"","parameters":{},"numbers":{"a":1}}']
)
def test_a_damaged_file_of_expected_numbers_is_one_error(tmp_path, text):
    path = tmp_path / "x.expected.json"
    path.write_text(text)
    with pytest.raises(DataError, match="expected numbers"):
        read_expectations(path)
