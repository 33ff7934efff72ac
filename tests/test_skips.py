"""Under CI a test may be skipped only for want of the real data."""

from pathlib import Path

import pytest

CONFTEST = (Path(__file__).parent / "conftest.py").read_text(encoding="utf-8").replace('["pytester"]', "[]")
SKIPPING = {
    "call": "import pytest\ndef test_it():\n    pytest.skip('no time')\n",
    "mark": "import pytest\n@pytest.mark.skip(reason='no time')\ndef test_it():\n    pass\n",
    "module": "import pytest\npytest.skip('no time', allow_module_level=True)\n",
    "import": "import pytest\npytest.importorskip('no_such_module')\n",
    "data": "def test_it(real_data):\n    pass\n",
}


@pytest.fixture
def outcomes(pytester, monkeypatch):
    def run(kind, ci, data=None):
        pytester.makeconftest(CONFTEST)
        pytester.makepyfile(SKIPPING[kind])
        monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
        for name, value in (("CI", ci), ("INTEGRAL_ODA_TESTDATA", data)):
            monkeypatch.setenv(name, value) if value else monkeypatch.delenv(name, raising=False)
        return pytester.runpytest_inprocess("-p", "no:cacheprovider").parseoutcomes()

    return run


@pytest.mark.parametrize("kind", SKIPPING)
def test_outside_ci_skips_stay_skips(outcomes, kind):
    assert outcomes(kind, ci=None) == {"skipped": 1}


@pytest.mark.parametrize("kind", ["call", "mark"])
def test_a_skipped_test_fails_under_ci(outcomes, kind):
    assert "skipped" not in (found := outcomes(kind, ci="true"))
    assert found.keys() & {"failed", "errors"}


@pytest.mark.parametrize("kind", ["module", "import"])
def test_a_skipped_module_fails_under_ci(outcomes, kind):
    assert outcomes(kind, ci="true") == {"errors": 1}


def test_absent_data_may_skip_under_ci(outcomes):
    assert outcomes("data", ci="true") == {"skipped": 1}


def test_data_promised_but_absent_fail(outcomes, tmp_path):
    assert outcomes("data", ci="true", data=str(tmp_path / "nowhere")) == {"errors": 1}
    assert outcomes("data", ci="true", data=str(tmp_path)) == {"passed": 1}
