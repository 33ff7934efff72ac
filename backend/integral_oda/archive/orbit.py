"""Where the spacecraft was during a science window."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from integral_oda.archive.fits_table import Hdu, read_hdus
from integral_oda.arrays import Array
from integral_oda.errors import DataError
from integral_oda.timing.barycentre import Orbit, moved_km
from integral_oda.timing.good_time import DAY_S

__all__ = ["ORBIT_FILE", "REVOLUTION_ORBIT_FILE", "read_orbit", "read_revolution_orbit"]

ORBIT_FILE = "sc_orbit_param.fits"
REVOLUTION_ORBIT_FILE = "orbit_historic.fits"
STATE_ERROR_S = 1e-3
"""Some 300 km: what perturbations do in half a day, or 69 s of TT less UTC where the epochs should be UTC."""
_STATE = ("EPOCH", "XYZPOS", "XYZVEL")
_VALID = ("DAYBEG", "DAYEND")
_GRID_STEP_D, _MARGIN_D = 60 / DAY_S, 0.01
_POSITION = ("XPOS", "YPOS", "ZPOS")
_TICKS_A_DAY = 2**20 * 86400


def read_orbit(path: str | Path, window: Mapping[str, Any]) -> Orbit:
    """Read the orbit parameters of a science window (INTL-ORBI-SCP).

    Parameters
    ----------
    path : str or Path
    window : mapping
        Keywords of the science window; OBTSTART and TSTART tell the time of the on-board clock where the table has no
        column TIME.

    Raises
    ------
    DataError
        If the file is damaged, or has no positions or no times.
    """
    for hdu in read_hdus(path):
        if hdu.header.get("XTENSION") == "BINTABLE" and all(name in hdu.columns for name in _POSITION):
            position = np.column_stack([hdu.column(name).astype(float) for name in _POSITION])
            time = _times(hdu, window)
            order = np.argsort(time, kind="stable")
            return Orbit(time[order], position[order])
    raise DataError(f"{path}: no table with the columns {', '.join(_POSITION)}")


def read_revolution_orbit(path: str | Path, window: Mapping[str, Any]) -> Orbit | None:
    """Orbit of a science window from the states of its revolution (AUXL-ORBI-HIS).

    Each row is the state (XYZPOS km, XYZVEL km/s) at EPOCH (IJD), good from DAYBEG to DAYEND, as ESOC's orbit files
    have it; between, the spacecraft moves around the Earth alone.

    Parameters
    ----------
    path : str or Path
    window : mapping
        TSTART and TSTOP of the science window, IJD.

    Returns
    -------
    Orbit or None
        None where the table has no such states, or none of the window's time.

    Raises
    ------
    DataError
        If the file is damaged.
    """
    if "TSTART" not in window or "TSTOP" not in window:
        return None
    start, stop = float(window["TSTART"]) - _MARGIN_D, float(window["TSTOP"]) + _MARGIN_D
    grid = np.linspace(start, stop, int((stop - start) / _GRID_STEP_D) + 2)
    for hdu in read_hdus(path):
        if hdu.header.get("XTENSION") == "BINTABLE" and all(name in hdu.columns for name in (*_STATE, *_VALID)):
            return _of_states(hdu, grid)
    return None


def _of_states(hdu: Hdu, grid: Array) -> Orbit | None:
    epoch, position, velocity = (hdu.column(name).astype(float) for name in _STATE)
    first, last = (hdu.column(name).astype(float) for name in _VALID)
    number = np.searchsorted(first, grid, side="right") - 1
    held = (number >= 0) & (grid <= last[number])
    if not held.any() or position.ndim != 2:
        return None
    times, places = [], []
    for row in np.unique(number[held]):
        time = grid[held & (number == row)]
        times.append(time)
        places.append(moved_km(position[row], velocity[row], (time - epoch[row]) * DAY_S))
    return Orbit(np.concatenate(times), np.concatenate(places), STATE_ERROR_S)


def _times(hdu: Hdu, window: Mapping[str, Any]) -> Array:
    if "TIME" in hdu.columns:
        return hdu.column("TIME").astype(float)
    if "OB_TIME" not in hdu.columns or "OBTSTART" not in window or "TSTART" not in window:
        raise DataError(f"{hdu.path}: {hdu.name} has no TIME, or OB_TIME without OBTSTART and TSTART of its window")
    words = hdu.column("OB_TIME").astype(np.uint64)
    ticks = [int(w[0]) << 48 | int(w[1]) << 32 | int(w[2]) << 16 | int(w[3]) for w in words]
    since = np.array([tick - int(window["OBTSTART"]) for tick in ticks], dtype=float)
    return float(window["TSTART"]) + since / _TICKS_A_DAY
