"""A slice of benchmarks/crab_of_revolution_665.py: one window beside OSA's numbers of the real one."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from crab_of_revolution_665 import EFFECTIVE_S, OSA, measure


@pytest.mark.slow
def test_height_error_and_noise_are_those_of_osa():
    osa = OSA["066500280010"]
    ours = measure(osa["off_axis_deg"], osa["height"], seed=11)
    assert ours["exposure"] == pytest.approx(EFFECTIVE_S, rel=0.02)
    assert ours["height_error"] == pytest.approx(osa["height_error"], rel=0.1)
    assert ours["noise"] == pytest.approx(osa["noise"], rel=0.1)
    assert ours["height"] == pytest.approx(osa["height"], abs=4 * ours["height_error"])
