from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits

from integral_oda.instrument.mask import BASIC_ORDER, GHOST_PERIOD_PIXELS, basic_pattern, mask_pattern


def test_half_of_the_cells_are_open():
    assert int(basic_pattern().sum()) == 1404
    assert int(mask_pattern().sum()) == 4514
    assert mask_pattern().shape == (95, 95)


def test_the_decoding_array_gives_a_delta():
    pattern = basic_pattern().astype(float)
    decoding = 2 * pattern - 1
    decoding[0, 0] = 1
    product = np.fft.rfft2(decoding) * np.conj(np.fft.rfft2(pattern))
    correlation = np.rint(np.fft.irfft2(product, pattern.shape)).astype(int)
    expected = np.zeros(pattern.shape, int)
    expected[0, 0] = 1404
    assert np.array_equal(correlation, expected)


def test_the_mounted_mask_repeats_the_basic_pattern():
    mask = mask_pattern()
    assert np.array_equal(mask[BASIC_ORDER:], mask[: 95 - BASIC_ORDER])
    assert np.array_equal(mask[:, BASIC_ORDER:], mask[:, : 95 - BASIC_ORDER])


def test_the_centre_lines_are_closed_along_y_and_open_along_z():
    mask = mask_pattern()
    assert not mask[47].any()
    assert mask[:, 47].sum() == 94
    assert np.array_equal(mask, mask[::-1])
    assert np.array_equal(mask, mask[:, ::-1])


def test_ghosts_lie_ten_and_a_half_degrees_away():
    assert pytest.approx(129.04, abs=0.005) == GHOST_PERIOD_PIXELS


def test_a_mask_file_of_others_differs_in_the_centre_cell_alone(real_data):
    theirs = fits.getdata(real_data / "gbelanger_gb-esac-integral/mask-95x95.fits.gz").astype(int)
    assert np.argwhere(theirs != mask_pattern()).tolist() == [[47, 47]]
    assert (theirs != mask_pattern().T).sum() > 100
