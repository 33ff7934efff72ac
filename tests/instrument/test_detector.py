from __future__ import annotations

import numpy as np
import pytest

from integral_oda.archive.events import read_events
from integral_oda.instrument.detector import (
    DETECTOR_SHAPE,
    N_PIXELS,
    active_pixels,
    detector_yz,
    local_coordinates,
    module_map,
    pixel_centres_mm,
)

GAP_ROWS, GAP_COLUMNS = [32, 33, 66, 67, 100, 101], [64, 65]


def test_gaps_are_between_the_modules():
    active = active_pixels()
    assert active.shape == DETECTOR_SHAPE == (134, 130)
    assert active.sum() == N_PIXELS == 16384
    assert np.flatnonzero(~active.any(axis=1)).tolist() == GAP_ROWS
    assert np.flatnonzero(~active.any(axis=0)).tolist() == GAP_COLUMNS


def test_gapless_numbers_fall_on_the_active_pixels():
    y, z = np.meshgrid(np.arange(128), np.arange(128))
    column, row = detector_yz(y, z)
    hit = np.zeros(DETECTOR_SHAPE, int)
    np.add.at(hit, (row, column), 1)
    assert np.array_equal(hit, active_pixels().astype(int))


@pytest.mark.parametrize(
    ("y", "z", "column", "row", "module"),
    [(0, 0, 0, 0, 7), (63, 31, 63, 31, 7), (64, 32, 66, 34, 2), (127, 127, 129, 133, 0), (0, 96, 0, 102, 4),
     (64, 0, 66, 0, 3)],
)  # fmt: skip
def test_places_and_modules_of_single_pixels(y, z, column, row, module):
    assert tuple(int(v) for v in detector_yz(y, z)) == (column, row)
    assert module_map()[row, column] == module == 7 - z // 32 - 4 * (y // 64)


def test_every_module_has_its_2048_pixels():
    numbers, counts = np.unique(module_map(), return_counts=True)
    assert numbers.tolist() == list(range(-1, 8))
    assert set(counts[1:]) == {2048}


def test_local_coordinates_name_each_pixel_of_a_module_once():
    row, column = local_coordinates()
    for module in range(8):
        inside = module_map() == module
        assert len(set(zip(row[inside].tolist(), column[inside].tolist(), strict=True))) == 32 * 64
    assert set(row[~active_pixels()]) == set(column[~active_pixels()]) == {-1}


def test_pixel_centres_are_about_the_detector_centre():
    y, z = pixel_centres_mm()
    assert y[[0, -1]] == pytest.approx([-64.5 * 4.6, 64.5 * 4.6])
    assert z[[0, -1]] == pytest.approx([-66.5 * 4.6, 66.5 * 4.6])


def test_shared_maps_cannot_be_changed():
    for array in (active_pixels(), module_map(), *local_coordinates()):
        with pytest.raises(ValueError, match="read-only"):
            array[0, 0] = 0


def test_real_events_lie_on_the_grid(real_data):
    events = read_events(real_data / "dominp_isgri/isgri_events_255900280010_first300s.fits.gz")
    counts = np.zeros(DETECTOR_SHAPE, int)
    np.add.at(counts, (events.det_z, events.det_y), 1)
    assert counts.sum() == 206265
    assert not counts[~active_pixels()].any()
    assert (counts[active_pixels()] > 0).mean() > 0.9
