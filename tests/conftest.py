"""Real data for tests, and the rule that nothing is skipped unseen in continuous integration."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs
import pytest

TESTDATA = "INTEGRAL_ODA_TESTDATA"
NO_TESTDATA = f"{TESTDATA} is not set: the real data are not here"
SAMPLE_WINDOW = "255900280010.001"


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
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):
    """Turn a skip into a failure under CI, unless the test data are absent."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get("CI"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        if NO_TESTDATA not in reason or os.environ.get(TESTDATA):
            report.outcome = "failed"
            report.longrepr = f"{item.nodeid} may not be skipped under CI ({reason})"
    return report
