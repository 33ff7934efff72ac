"""ISGRI events of one science window, as the archive keeps them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from integral_oda.archive.fits_table import Hdu, Header, find_table, read_hdus
from integral_oda.errors import DataError

__all__ = ["ATTITUDE_KEYWORDS", "EventList", "read_events", "read_raw_amplitudes"]

EVENTS_TABLE, GTI_TABLE, MERGED_GTI = "ISGR-EVTS-ALL", "IBIS-GNRL-GTI", "MERGED_ISGRI"
_CORRECTED_TABLE = "ISGR-EVTS-COR"

_DETECTOR_COLUMNS, _DETECTOR_ROWS, _PIXELS_PER_SIDE = 130, 134, 128
_ATTITUDE = {"RA_SCX": 360.0, "DEC_SCX": 90.0, "RA_SCZ": 360.0, "DEC_SCZ": 90.0}
ATTITUDE_KEYWORDS = tuple(_ATTITUDE)
_TIME_MARGIN_D = 0.5
_SECONDS_A_DAY = 86400.0


@dataclass(frozen=True, eq=False)
class EventList:
    """Events in time order, with the good time of the window.

    Attributes
    ----------
    time_ijd : ndarray of float64, shape (n,)
        Arrival time at the spacecraft, IJD (days, TT).
    energy_kev : ndarray of float32, shape (n,)
        Corrected energy in keV, 0 where it is invalid.
    rise_time : ndarray of uint8, shape (n,)
        Corrected rise time (ISGRI_PI), 255 where it is invalid.
    det_y, det_z : ndarray of uint8, shape (n,)
        Pixel in the grid of 130 columns (DETY) and 134 rows (DETZ), gaps included.
    select_flag : ndarray of uint8, shape (n,)
        0 for a good event, 1 for one of a pixel that was found noisy.
    gti_ijd : ndarray of float64, shape (m, 2)
        Start and stop of the good time intervals, IJD, in order.
    header : dict
        Keywords of ISGR-EVTS-ALL: SWID, REVOL, TSTART, TSTOP, RA_SCX ... as the file has them.
    raw_rise_time : ndarray of uint8, shape (n,), or None
        Rise time as it was measured (RISE_TIME), where the file has it.
    """

    time_ijd: NDArray[np.float64]
    energy_kev: NDArray[np.float32]
    rise_time: NDArray[np.uint8]
    det_y: NDArray[np.uint8]
    det_z: NDArray[np.uint8]
    select_flag: NDArray[np.uint8]
    gti_ijd: NDArray[np.float64]
    header: Header
    raw_rise_time: NDArray[np.uint8] | None = None

    def __len__(self) -> int:
        return len(self.time_ijd)

    @property
    def ontime_s(self) -> float:
        """Sum of the good time intervals in seconds, without the dead time."""
        return float((self.gti_ijd[:, 1] - self.gti_ijd[:, 0]).sum() * _SECONDS_A_DAY)


def read_events(path: str | Path, corrected: str | Path | None = None) -> EventList:
    """Read an archive event file (ISGR-EVTS-ALL, IBIS-GNRL-GTI), plain or gzipped.

    Parameters
    ----------
    path : str or Path
    corrected : str or Path, optional
        Event file of OSA's step COR (ISGR-EVTS-COR), whose energies, rise times and flags stand in place of the
        archive's, row by row.

    Raises
    ------
    DataError
        If a file is missing, damaged or no such file, or they hold different numbers of events; the message names it.
    """
    hdus = read_hdus(path)
    table = find_table(hdus, EVENTS_TABLE)
    measured = table if corrected is None else _corrected_table(corrected, table)
    header = _checked_header(table)
    time = _column(table, "TIME").astype(np.float64, copy=False)
    if not len(time):
        raise DataError(f"{path}: {EVENTS_TABLE} has no events")
    _check_times(table, time)
    columns: dict[str, NDArray[Any]] = {
        "time_ijd": time,
        "energy_kev": _energies(measured),
        "rise_time": _bytes(measured, "ISGRI_PI", 256),
        "det_y": _pixels(table, "DETY", "ISGRI_Y", _DETECTOR_COLUMNS, module=64),
        "det_z": _pixels(table, "DETZ", "ISGRI_Z", _DETECTOR_ROWS, module=32),
        "select_flag": _select_flags(measured if "SELECT_FLAG" in measured.columns else table),
    }
    if "RISE_TIME" in table.columns:
        columns["raw_rise_time"] = _bytes(table, "RISE_TIME", 256)
    if (time[1:] < time[:-1]).any():
        order = np.argsort(time, kind="stable")
        columns = {name: column[order] for name, column in columns.items()}
    return EventList(**columns, gti_ijd=_good_time(hdus, header), header=header)


def _corrected_table(path: str | Path, events: Hdu) -> Hdu:
    table = find_table(read_hdus(path), _CORRECTED_TABLE)
    if table.header["NAXIS2"] != events.header["NAXIS2"]:
        raise DataError(
            f"{path}: {_CORRECTED_TABLE} has {table.header['NAXIS2']} events, "
            f"{events.path} has {events.header['NAXIS2']}: it is of another science window"
        )
    return table


def read_raw_amplitudes(path: str | Path) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Read ISGRI_PHA and RISE_TIME of every event, in the order of `read_events`.

    Raises
    ------
    DataError
        As `read_events`.
    """
    table = find_table(read_hdus(path), EVENTS_TABLE)
    time = _column(table, "TIME")
    amplitude, rise_time = (_column(table, name).astype(np.int64) for name in ("ISGRI_PHA", "RISE_TIME"))
    if (time[1:] < time[:-1]).any():
        order = np.argsort(time, kind="stable")
        amplitude, rise_time = amplitude[order], rise_time[order]
    return amplitude, rise_time


def _checked_header(table: Hdu) -> Header:
    header = {key: value for key, value in table.header.items() if value is not None}
    for key, largest in _ATTITUDE.items():
        value = header.get(key, math.nan)
        if not (_is_number(value) and abs(value) <= largest):
            raise DataError(f"{table.path}: {EVENTS_TABLE} has {key} = {value}, an angle in degrees is needed")
    start, stop = header.get("TSTART", math.nan), header.get("TSTOP", math.nan)
    if not (_is_number(start) and _is_number(stop) and start < stop):
        raise DataError(f"{table.path}: {EVENTS_TABLE} has TSTART = {start}, TSTOP = {stop}, which is no interval")
    return header


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _check_times(table: Hdu, time: NDArray[np.float64]) -> None:
    first, last = time.min(), time.max()
    earliest, latest = table.header["TSTART"] - _TIME_MARGIN_D, table.header["TSTOP"] + _TIME_MARGIN_D
    if not (earliest <= first and last <= latest):
        raise DataError(
            f"{table.path}: event times {first:.6f} to {last:.6f} lie outside the science window, "
            f"IJD {table.header['TSTART']:.6f} to {table.header['TSTOP']:.6f}"
        )


def _column(table: Hdu, name: str) -> NDArray[Any]:
    column = table.column(name)
    if column.ndim != 1 or column.dtype.kind not in "iuf":
        raise DataError(f"{table.path}: column {name} of {table.name} does not hold one number a row")
    return column


def _energies(table: Hdu) -> NDArray[np.float32]:
    energy = _column(table, "ISGRI_ENERGY").astype(np.float32, copy=False)
    if not (math.isfinite(energy.min()) and math.isfinite(energy.max())):
        energy[~np.isfinite(energy)] = 0
    return energy


def _bytes(table: Hdu, name: str, limit: int) -> NDArray[np.uint8]:
    column = _column(table, name)
    if not (column.min() >= 0 and column.max() < limit):
        raise DataError(f"{table.path}: column {name} of {table.name} has values outside 0 to {limit - 1}")
    return column.astype(np.uint8, copy=False)


def _select_flags(table: Hdu) -> NDArray[np.uint8]:
    if "SELECT_FLAG" in table.columns:
        return _bytes(table, "SELECT_FLAG", 256)
    return np.zeros(table.header["NAXIS2"], np.uint8)


def _pixels(table: Hdu, name: str, gapless_name: str, limit: int, module: int) -> NDArray[np.uint8]:
    if name in table.columns or gapless_name not in table.columns:
        return _bytes(table, name, limit)
    gapless = _bytes(table, gapless_name, _PIXELS_PER_SIDE)
    return gapless + np.uint8(2) * (gapless // np.uint8(module))


def _good_time(hdus: list[Hdu], header: Header) -> NDArray[np.float64]:
    tables = [hdu for hdu in hdus if hdu.name == GTI_TABLE]
    if not tables:
        return np.array([[header["TSTART"], header["TSTOP"]]], np.float64)
    merged = [hdu for hdu in tables if hdu.header.get("GTI_NAME") == MERGED_GTI]
    if len(tables) > 1 and len(merged) != 1:
        raise DataError(f"{hdus[0].path}: {len(tables)} tables {GTI_TABLE}, {len(merged)} of them {MERGED_GTI}")
    table = merged[0] if merged else tables[0]
    gti = np.column_stack([_column(table, "START"), _column(table, "STOP")]).astype(np.float64)
    if not len(gti):
        raise DataError(f"{table.path}: {GTI_TABLE} has no good time interval")
    if not (np.isfinite(gti).all() and (gti[:, 0] < gti[:, 1]).all()):
        raise DataError(f"{table.path}: {GTI_TABLE} has an interval that does not end after its start")
    return gti[np.argsort(gti[:, 0], kind="stable")]
