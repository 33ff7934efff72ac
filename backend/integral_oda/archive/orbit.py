"""Where the spacecraft was during a science window."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from integral_oda.archive.fits_table import Hdu, read_hdus
from integral_oda.arrays import Array
from integral_oda.errors import DataError
from integral_oda.timing.barycentre import Orbit

__all__ = ["ORBIT_FILE", "read_orbit"]

ORBIT_FILE = "sc_orbit_param.fits"
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


def _times(hdu: Hdu, window: Mapping[str, Any]) -> Array:
    if "TIME" in hdu.columns:
        return hdu.column("TIME").astype(float)
    if "OB_TIME" not in hdu.columns or "OBTSTART" not in window or "TSTART" not in window:
        raise DataError(f"{hdu.path}: {hdu.name} has no TIME, or OB_TIME without OBTSTART and TSTART of its window")
    words = hdu.column("OB_TIME").astype(np.uint64)
    ticks = [int(w[0]) << 48 | int(w[1]) << 32 | int(w[2]) << 16 | int(w[3]) for w in words]
    since = np.array([tick - int(window["OBTSTART"]) for tick in ticks], dtype=float)
    return float(window["TSTART"]) + since / _TICKS_A_DAY
