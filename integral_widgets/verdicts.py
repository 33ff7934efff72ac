"""Measured against expected: what a benchmark says of each number."""

from __future__ import annotations

import html
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from integral_oda.errors import DataError

__all__ = ["Expectations", "Expected", "Verdict", "judge", "judge_all", "read_expectations", "verdict_table_html"]

Rule = Literal["at least", "at most", "equal", "within", "agree", "compare", "not measured"]
DataOrigin = Literal["twin", "archive", "mmoda"]
_EVERYWHERE: tuple[DataOrigin, ...] = ("twin", "archive", "mmoda")


@dataclass(frozen=True)
class Expected:
    """A number that a benchmark is measured against.

    Attributes
    ----------
    name : str
        What is measured.
    rule : {"at least", "at most", "equal", "within", "agree", "compare", "not measured"}
        ``"within"`` means a relative difference of at most ``tolerance``; ``"agree"``, that or ``sigmas`` errors,
        whichever is larger; ``"compare"`` gives no verdict; ``"not measured"`` is a published number that ISGRI
        cannot give.
    value : float
        The number expected.
    unit : str
        Its unit.
    source : str
        Where the number comes from; never this project.
    tolerance : float
        For ``"within"`` and ``"agree"``, relative.
    error : float
        1 sigma error of the number, 0 if it has none.
    sigmas : float
        For ``"agree"``.
    data : tuple of {"twin", "archive", "mmoda"}
        Data that the rule holds for; with others the number is only compared.
    """

    name: str
    rule: Rule
    value: float
    unit: str
    source: str
    tolerance: float = 0.0
    error: float = 0.0
    sigmas: float = 2.0
    data: Sequence[DataOrigin] = _EVERYWHERE


@dataclass(frozen=True)
class Expectations:
    """Expected numbers of a benchmark and the origin of its data."""

    title: str
    data: str
    parameters: Mapping[str, Any]
    numbers: Mapping[str, Expected]


@dataclass(frozen=True)
class Verdict:
    """A measured number, the expected one, and whether the rule holds (None where there is no rule)."""

    expected: Expected
    measured: float
    error: float
    passed: bool | None

    @property
    def comparison(self) -> str:
        """Ratio to the expected number, with the pull where either has an error; difference where it is 0."""
        if not math.isfinite(self.measured):
            return "not measured"
        if self.expected.value == 0:
            return f"difference {self.measured:+g}"
        ratio = f"ratio {self.measured / self.expected.value:.3f}"
        sigma = math.hypot(self.error, self.expected.error)
        return f"{ratio}, pull {(self.measured - self.expected.value) / sigma:+.1f}" if sigma > 0 else ratio

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON; a number that was not measured is null."""
        return {
            "name": self.expected.name,
            "measured": self.measured if math.isfinite(self.measured) else None,
            "error": self.error,
            "rule": self.expected.rule,
            "expected": self.expected.value,
            "tolerance": self.expected.tolerance,
            "unit": self.expected.unit,
            "source": self.expected.source,
            "comparison": self.comparison,
            "passed": self.passed,
        }


def read_expectations(path: str | Path) -> Expectations:
    """Read the expected numbers that lie beside a benchmark's notebook.

    Raises
    ------
    DataError
        If the file is missing or not of the form written in `Expected`.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        numbers = {key: Expected(**item) for key, item in content["numbers"].items()}
        return Expectations(content["title"], content["data"], content["parameters"], numbers)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as exc:
        raise DataError(f"{path}: not a file of expected numbers ({exc})") from exc


def judge(expected: Expected, measured: float, error: float = 0.0) -> Verdict:
    """Hold a measured number against the rule; one that is not finite never passes."""
    if expected.rule in ("compare", "not measured"):
        return Verdict(expected, measured, error, None)
    apart, share = abs(measured - expected.value), expected.tolerance * abs(expected.value)
    allowed = {
        "at least": measured >= expected.value,
        "at most": measured <= expected.value,
        "equal": measured == expected.value,
        "within": apart <= share,
        "agree": apart <= max(share, expected.sigmas * math.hypot(error, expected.error)),
    }
    return Verdict(expected, measured, error, math.isfinite(measured) and bool(allowed[expected.rule]))


def judge_all(
    expectations: Expectations, measured: Mapping[str, tuple[float, float]], origin: DataOrigin = "archive"
) -> list[Verdict]:
    """Judge every expected number of a benchmark.

    Parameters
    ----------
    expectations : Expectations
    measured : mapping of str to (float, float)
        Number and its error; what is missing was not measured.
    origin : {"twin", "archive", "mmoda"}
        Where the data come from; a rule that is not meant for them gives no verdict.
    """
    verdicts = []
    for key, expected in expectations.numbers.items():
        rule = expected if origin in expected.data else replace(expected, rule="compare")
        verdicts.append(judge(rule, *(float(value) for value in measured.get(key, (math.nan, 0.0)))))
    return verdicts


def verdict_table_html(verdicts: Sequence[Verdict]) -> str:
    """Table measured, expected, ratio or pull, verdict, with the source of each expected number."""
    titles = ("Number", "Measured", "Expected", "Comparison", "Verdict", "Expected number from")
    head = "".join(f"<th style='text-align:left'>{title}</th>" for title in titles)
    return f"<table><tr>{head}</tr>{''.join(_row(verdict) for verdict in verdicts)}</table>"


def _row(verdict: Verdict) -> str:
    expected = verdict.expected
    word, colour = {True: ("pass", "#0a7d2c"), False: ("FAIL", "#b71c1c"), None: ("no verdict", "inherit")}[
        verdict.passed
    ]
    error = f" ± {verdict.error:.3g}" if verdict.error else ""
    known = math.isfinite(verdict.measured)
    cells = (
        html.escape(expected.name),
        html.escape(f"{verdict.measured:.4g}{error} {expected.unit}" if known else "not measured"),
        html.escape(f"{_rule_text(expected)} {expected.unit}"),
        html.escape(verdict.comparison),
        f"<b style='color:{colour}'>{word if known or verdict.passed is False else 'not measured'}</b>",
        html.escape(expected.source),
    )
    return f"<tr>{''.join(f'<td style=text-align:left>{cell}</td>' for cell in cells)}</tr>"


def _rule_text(expected: Expected) -> str:
    error = f" ± {expected.error:.3g}" if expected.error else ""
    number = f"{expected.value:.4g}{error}"
    if expected.rule == "within":
        return f"{number} within {expected.tolerance:.0%}"
    if expected.rule == "agree":
        share = f"{expected.tolerance:.0%} or " if expected.tolerance else ""
        return f"{number} within {share}{expected.sigmas:g} errors"
    return number if expected.rule in ("compare", "not measured") else f"{expected.rule} {expected.value:g}"
