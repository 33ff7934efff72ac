"""Real data for tests, and the rule that nothing is skipped unseen in continuous integration."""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path
from typing import TypeVar

import platformdirs
import pytest
from hypothesis import settings

TESTDATA = "INTEGRAL_ODA_TESTDATA"
NO_TESTDATA = f"{TESTDATA} is not set: the real data are not here"

Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)

pytest_plugins = ["pytester"]

os.environ.setdefault("INTEGRAL_ODA_OFFLINE", "1")  # no test asks a resolver or an archive of the network

# No test measures a time: a busy machine is no failure. The rest is as Hypothesis has it, here or in CI.
settings.register_profile("unhurried", settings(), deadline=None)
settings.load_profile("unhurried")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real INTEGRAL data; the test is skipped where there is none."""
    folder = os.environ.get(TESTDATA)
    if not folder:
        pytest.skip(NO_TESTDATA)
    path = Path(folder)
    if not path.is_dir():
        pytest.fail(f"{TESTDATA} = {folder}: no such folder")
    return path


@pytest.fixture(scope="session")
def sample_archive() -> Path:
    """Archive with the real sample window, fetched once a machine."""
    from integral_oda.archive.sample import fetch_sample

    root = platformdirs.user_cache_path("integral-oda") / "test-archive"
    fetch_sample(root)
    return root


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skipped test into a failed one under CI."""
    return _unskipped((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Turn a skipped module into a failed one under CI."""
    return _unskipped((yield))


def _unskipped(report: Report) -> Report:
    """Leave a skip alone outside CI, for an expected failure, and where the real data are absent."""
    if not report.skipped or hasattr(report, "wasxfail") or not os.environ.get("CI"):
        return report
    reason = str(report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr)
    if NO_TESTDATA not in reason or os.environ.get(TESTDATA):
        report.outcome = "failed"
        report.longrepr = f"{report.nodeid} must not be skipped under CI: {reason}"
    return report
