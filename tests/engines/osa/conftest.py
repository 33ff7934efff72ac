"""Installations of doubles, and two simulated windows with all that OSA reads."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from integral_oda.simulation.recipe import make_recipe
from integral_oda.simulation.window import simulate

sys.path.insert(0, str(Path(__file__).parent))

from osa_doubles import complete_archive, install

BAND = (28.0, 80.0)
CRAB = {"name": "Crab", "ra": 83.6332, "dec": 22.0145, "flux": {"value": 100, "band": BAND}}
UNKNOWN = {"name": "Unknown", "ra": 86.5, "dec": 25.5, "flux": {"value": 40, "band": BAND}, "catalogued": False}
RECIPE = {
    "seed": 11,
    "pointings": [{"ra": 84.6, "dec": 22.0, "roll": 20}, {"ra": 86.0, "dec": 23.5, "roll": 35}],
    "duration_s": 400,
    "sources": [CRAB, UNKNOWN],
    "background": {"rate": 200, "band": BAND, "edge_excess": 0.1},
    "detector": {"dead_fraction": 0.03, "dead_time": 0.25},
}
_VARIABLES = ("ISDC_ENV", "HEADAS", "CURRENT_IC", "REP_BASE_PROD", "ISDC_REF_CAT", "PFILES")


@pytest.fixture
def no_osa(monkeypatch):
    """A machine without OSA and without containers."""
    for name in [*_VARIABLES, *(name for name in os.environ if name.startswith("INTEGRAL_ODA_OSA"))]:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", "/nowhere")


@pytest.fixture(scope="session")
def doubles(tmp_path_factory):
    return install(tmp_path_factory.mktemp("isdc"))


@pytest.fixture
def osa(doubles, monkeypatch, tmp_path):
    """The installation of doubles as the one that is found, every call of which works."""
    doubles.mend()
    for name, value in {**doubles.environment, "INTEGRAL_ODA_OSA_WORK": str(tmp_path / "work")}.items():
        monkeypatch.setenv(name, value)
    yield doubles
    doubles.mend()


@pytest.fixture(scope="session")
def osa_archive(tmp_path_factory):
    """Root of an archive, and its two windows."""
    root = tmp_path_factory.mktemp("archive")
    windows = tuple(str(scw) for scw in simulate(make_recipe(RECIPE), root))
    complete_archive(root)
    return root, windows
