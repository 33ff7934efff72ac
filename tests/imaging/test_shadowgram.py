from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from integral_oda.imaging.shadowgram import Shadowgram, with_detector_maps
from integral_oda.instrument.detector import active_pixels, module_map


def test_maps_of_the_detector_plane_change_what_they_should():
    usable = active_pixels()
    planes = {
        name: np.where(usable, 10.0, 0.0)
        for name in ("counts", "expected", "source_response", "background_response", "variance", "efficiency")
    }
    plain = Shadowgram(usable=usable, live_time_s=100.0, **planes)
    half = np.where(module_map() == 2, 0.5, 1.0) * 7.0
    mapped = with_detector_maps(plain, half, None)
    inside, outside = module_map() == 2, usable & (module_map() != 2)
    for name in ("expected", "source_response", "background_response", "variance", "efficiency"):
        values = getattr(mapped, name)
        assert values[inside].mean() / values[outside].mean() == pytest.approx(0.5), name
        assert values[usable].mean() == pytest.approx(10.0), name
    shaped = with_detector_maps(plain, None, half)
    assert shaped.source_response is not None
    assert shaped.source_response[usable] == pytest.approx(10.0)
    assert shaped.expected[inside].mean() / shaped.expected[outside].mean() == pytest.approx(0.5)
    same = with_detector_maps(plain, None, None)
    for item in fields(Shadowgram):
        np.testing.assert_array_equal(getattr(same, item.name), getattr(plain, item.name))
