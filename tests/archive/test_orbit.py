from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits

from integral_oda.archive.orbit import read_orbit
from integral_oda.errors import DataError

WINDOW = {"OBTSTART": "00000213629501702144", "TSTART": 3300.0}


def test_the_orbit_of_a_real_window(real_data):
    orbit = read_orbit(real_data / "USRA-STI_gdt-integral/sc_orbit_param.fits.gz", WINDOW)
    assert orbit.position_km.shape == (244, 3)
    assert np.linalg.norm(orbit.position_km[0]) == pytest.approx(152873.505, abs=0.01)
    assert (orbit.time_ijd[-1] - orbit.time_ijd[0]) * 86400 == pytest.approx(243 * 8, abs=1)
    assert abs(orbit.time_ijd[0] - 3300) * 86400 < 20


def test_times_that_cannot_be_known_are_refused(real_data):
    with pytest.raises(DataError, match="OBTSTART"):
        read_orbit(real_data / "USRA-STI_gdt-integral/sc_orbit_param.fits.gz", {})


def test_a_file_without_positions_is_refused(tmp_path):
    fits.BinTableHDU.from_columns([fits.Column("TIME", "1D", array=[1.0])]).writeto(tmp_path / "x.fits")
    with pytest.raises(DataError, match="XPOS"):
        read_orbit(tmp_path / "x.fits", WINDOW)
