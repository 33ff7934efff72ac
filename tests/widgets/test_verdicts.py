"""A verdict follows its rule and nothing else."""

from __future__ import annotations

import json
import math

import pytest

from integral_oda.errors import DataError
from integral_widgets.verdicts import Expectations, Expected, judge, judge_all, read_expectations, verdict_table_html


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


@pytest.mark.parametrize(
    ("measured", "error", "passed"),
    [(104.0, 0.1, True), (108.0, 4.5, True), (108.0, 2.0, False), (math.nan, 1.0, False)],
)
def test_agreement_is_a_share_or_so_many_errors(measured, error, passed):
    assert judge(expected("agree", 100.0, tolerance=0.05, sigmas=2.0), measured, error).passed is passed


def test_the_error_of_the_expected_number_counts_too():
    assert judge(expected("agree", 100.0, error=3.0), 105.0).passed
    assert not judge(expected("agree", 100.0, error=2.0), 105.0).passed


def test_a_rule_of_a_twin_gives_no_verdict_on_the_sky():
    numbers = {"flux": expected("at least", data=["twin"]), "jemx": expected("not measured")}
    expectations = Expectations("title", "data", {}, numbers)
    assert [v.passed for v in judge_all(expectations, {"flux": (1.0, 0.0)}, "twin")] == [False, None]
    assert [v.passed for v in judge_all(expectations, {"flux": (1.0, 0.0)}, "archive")] == [None, None]
    assert "not measured" in verdict_table_html(judge_all(expectations, {}, "archive"))
