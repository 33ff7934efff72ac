from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits

from integral_oda.archive.orbit import read_orbit, read_revolution_orbit
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


def states_of(real_orbit_file, window, path, every=60):
    """Real positions and velocities as the states of a revolution's file, each good until the next."""
    orbit = read_orbit(real_orbit_file, window)
    rows = fits.getdata(real_orbit_file, 1)[::every]
    epoch = orbit.time_ijd[::every]
    begin, end = epoch - 1 / 86400, np.append(epoch[1:], epoch[-1] + 1)
    vectors = {name: np.stack([rows[axis + name[3:]] for axis in "XYZ"], axis=1) for name in ("XYZPOS", "XYZVEL")}
    columns = [fits.Column(n, "1D", array=v) for n, v in (("EPOCH", epoch), ("DAYBEG", begin), ("DAYEND", end))]
    columns += [fits.Column(name, "3D", array=values) for name, values in vectors.items()]
    fits.BinTableHDU.from_columns(columns, name="AUXL-ORBI-HIS").writeto(path)
    return orbit


@pytest.mark.parametrize("every", [60, 500])
def test_states_of_a_revolution_give_the_real_orbit(real_data, tmp_path, every):
    real = real_data / "USRA-STI_gdt-integral/sc_orbit_param.fits.gz"
    orbit = states_of(real, WINDOW, tmp_path / "orbit_historic.fits", every)
    window = {"TSTART": orbit.time_ijd[0] + 0.01, "TSTOP": orbit.time_ijd[-1]}
    found = read_revolution_orbit(tmp_path / "orbit_historic.fits", window)
    assert found.covers(orbit.time_ijd)
    between = np.stack([np.interp(orbit.time_ijd, found.time_ijd, axis) for axis in found.position_km.T], axis=1)
    inside = orbit.time_ijd >= found.time_ijd[0]
    assert np.abs(between - orbit.position_km)[inside].max() < 0.5
    assert found.error_s == 1e-3


def test_a_revolution_of_other_times_or_columns_tells_nothing(real_data, tmp_path):
    states_of(real_data / "USRA-STI_gdt-integral/sc_orbit_param.fits.gz", WINDOW, tmp_path / "orbit_historic.fits")
    assert read_revolution_orbit(tmp_path / "orbit_historic.fits", {"TSTART": 5000.0, "TSTOP": 5000.1}) is None
    assert read_revolution_orbit(tmp_path / "orbit_historic.fits", {}) is None
    fits.BinTableHDU.from_columns([fits.Column("EPOCH", "1D", array=[1.0])]).writeto(tmp_path / "other.fits")
    assert read_revolution_orbit(tmp_path / "other.fits", {"TSTART": 1.0, "TSTOP": 1.1}) is None
