"""The toy steps are importable here and in the processes that the tests start."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from integral_oda.workflow.store import Store


@pytest.fixture
def store(tmp_path):
    kept = Store(tmp_path / "store")
    yield kept
    kept.close()
