from __future__ import annotations

import numpy as np
import pytest

from integral_oda.archive.housekeeping import find_detector_files, read_pixel_context
from integral_oda.archive.tree import Archive
from integral_oda.errors import OutputError, RequestError
from integral_oda.instrument.pixel_status import threshold_kev
from integral_oda.simulation.recipe import make_recipe
from integral_oda.simulation.window import draw_detector, simulate

DETECTOR = {"low_threshold_kev": 36, "low_threshold_spread_kev": 4, "dead_fraction": 0.03, "context": True}


def recipe_of(**changes):
    values = {"seed": 4, "duration_s": 20, "pointings": [{"ra": 10, "dec": 20}, {"ra": 12, "dec": 20}]}
    return make_recipe(values | {"detector": DETECTOR} | changes)


def test_every_window_finds_its_context_with_the_thresholds_in_steps(tmp_path):
    recipe = recipe_of()
    windows = simulate(recipe, tmp_path)
    (path,) = {find_detector_files(Archive(tmp_path), scw)["context"] for scw in windows}
    context, plane = read_pixel_context(path), draw_detector(recipe)
    assert np.array_equal(context.on, plane.working)
    wrong = (threshold_kev(context.gain_index, context.threshold_step) - plane.low_threshold_kev)[plane.working]
    assert np.abs(wrong).max() < 0.55
    assert wrong.std() == pytest.approx(1.09 / np.sqrt(12), rel=0.1)
    assert Archive(tmp_path).windows() == windows
    assert not Archive(tmp_path).verify_shared()


def test_events_are_those_of_the_recipe_without_a_context(tmp_path):
    for name, context in (("with", True), ("without", False)):
        simulate(recipe_of(detector=DETECTOR | {"context": context}), tmp_path / name)
    first = "scw/0665/066500010010.001/isgri_events.fits.gz"
    assert (tmp_path / "with" / first).read_bytes() == (tmp_path / "without" / first).read_bytes()
    assert not list((tmp_path / "without").glob("scw/*/rev*"))


def test_a_revolution_has_one_context(tmp_path):
    simulate(recipe_of(), tmp_path)
    with pytest.raises(OutputError, match="a pixel context is there already"):
        simulate(recipe_of(first_pointing=9), tmp_path)


def test_without_thresholds_there_is_nothing_to_write():
    with pytest.raises(RequestError, match="a context needs low_threshold_kev above 0"):
        recipe_of(detector={"context": True})
