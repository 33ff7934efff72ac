"""Simulated science windows as files: the archive's own names, tables and column order."""

from __future__ import annotations

import gzip
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from integral_oda import __version__
from integral_oda.archive.scw import ScwId
from integral_oda.arrays import Array
from integral_oda.errors import OutputError
from integral_oda.instrument.detector import DETECTOR_SHAPE
from integral_oda.simulation.events import DrawnEvents, raw_rise_times

__all__ = ["SimulatedWindow", "free_folder", "obt_ticks", "write_window"]

Columns = Sequence[tuple[str, str, str | None]]

SECONDS_A_DAY = 86400.0
_TICKS_A_SECOND, _EVENT_TICKS = 2**20, 64
_DEAD_TIME_STEP_S = 8.0
_ENERGY_OF_PHA = 1.9
_COMPRESS_LEVEL = 1
_BLOCK = 2880

_PRW: Columns = [
    *(("SSC", "1I", None), ("PART_LOBT", "1J", None), ("LOCAL_OBT", "4I", None), ("SSC_HK2", "1I", None)),
    *(("PACK_TIME_HK2", "1I", None), ("ROW_BEGIN", "1J", None), ("ROW_NUM", "1B", None)),
    *(("FIRST_DUMMY_NUM", "1B", None), ("SECOND_DUMMY_NUM", "1B", None)),
]
_SRW: Columns = [
    *(("SSC", "1I", None), ("PART_LOBT", "1J", None), ("POSITION", "1B", None)),
    *(("FIRST_DUMMY", "1B", None), ("SECOND_DUMMY", "1J", None)),
]
_EVENTS: Columns = [
    *(("DELTA_TIME", "1B", None), ("RISE_TIME", "1B", None), ("ISGRI_PHA", "1I", None)),
    *(("ISGRI_Y", "1B", None), ("ISGRI_Z", "1B", None), ("DETY", "1B", None), ("DETZ", "1B", None)),
    *(("OB_TIME", "4I", None), ("ISGRI_PI", "1B", None), ("ISGRI_ENERGY", "1E", "keV")),
    *(("SELECT_FLAG", "1B", None), ("TIME", "1D", "d")),
]
_GTI: Columns = [
    *(("START", "1D", "d"), ("STOP", "1D", "d"), ("OBT_START", "4I", None), ("OBT_END", "4I", None)),
    *(("UTC_START", "32A", None), ("UTC_END", "32A", None)),
]
_DEAD: Columns = [("OB_TIME", "4I", None), *((f"II_DEADTIME_{module}", "1E", None) for module in range(8))]
_FORMATS = {"1B": "u1", "1I": ">i2", "1J": ">i4", "4I": ">u2", "1E": ">f4", "1D": ">f8", "32A": "S32"}


@dataclass(frozen=True, eq=False)
class SimulatedWindow:
    """One simulated science window.

    Attributes
    ----------
    scw : ScwId
        Its identifier.
    attitude : mapping of str to float
        RA_SCX, DEC_SCX, RA_SCZ, DEC_SCZ in degrees.
    start_ijd, duration_s : float
        Start (IJD) and length.
    good_s : ndarray, shape (n, 2)
        Good time, seconds from the start.
    dead_time : ndarray, shape (8,)
        Of each module.
    events : DrawnEvents
        In time order.
    seed : int
        Of the recipe.
    """

    scw: ScwId
    attitude: Mapping[str, float]
    start_ijd: float
    duration_s: float
    good_s: Array
    dead_time: Array
    events: DrawnEvents
    seed: int

    def obt(self, seconds: Array) -> NDArray[np.uint64]:
        """On-board time in ticks of 2^-20 s."""
        start = obt_ticks(self.start_ijd)
        return np.uint64(start) + np.round(np.asarray(seconds) * _TICKS_A_SECOND).astype(np.uint64)

    def ijd(self, seconds: Array) -> Array:
        """Times as IJD."""
        return self.start_ijd + np.asarray(seconds) / SECONDS_A_DAY


def obt_ticks(ijd: float) -> int:
    """On-board time of whole seconds, in ticks of 2^-20 s, that simulations begin with at a time (IJD)."""
    return round(ijd * SECONDS_A_DAY) * _TICKS_A_SECOND


def write_window(window: SimulatedWindow, root: Path, extra: Mapping[str, str]) -> Path:
    """Write a window below the root of an archive, aside first and then renamed.

    Parameters
    ----------
    window : SimulatedWindow
        What to write.
    root : Path
        Root of the archive.
    extra : mapping of str to str
        Names and texts of further files of the window's folder.

    Raises
    ------
    OutputError
        If the window is there already or the folder cannot be written.
    """
    folder = free_folder(root, window.scw)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(prefix=f".{window.scw}.", dir=folder.parent))
        try:
            _write_files(window, aside)
            for name, text in extra.items():
                (aside / name).write_text(text, encoding="utf-8")
            aside.chmod(0o755)
            aside.rename(folder)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
    except OSError as exc:
        raise OutputError(f"{folder}: cannot be written ({exc.strerror or exc})") from exc
    return folder


def free_folder(root: Path, scw: ScwId) -> Path:
    """Folder for a new science window below the root of an archive.

    Raises
    ------
    OutputError
        If the window is there already.
    """
    folder = root / "scw" / f"{scw.revolution:04d}" / str(scw)
    if folder.exists():
        raise OutputError(f"{folder}: a science window is there already")
    return folder


def _write_files(window: SimulatedWindow, folder: Path) -> None:
    common = _common_cards(window)
    tables = [
        _Table("ISGR-EVTS-PRW", _PRW, "RAW", common),
        _Table("ISGR-EVTS-SRW", _SRW, "RAW", common),
        _Table("ISGR-EVTS-ALL", _EVENTS, "COR", common | _EVENT_CARDS, _event_rows(window)),
        _Table("IBIS-GNRL-GTI", _GTI, "GTI", common | {"GTI_NAME": "MERGED_ISGRI"}, _gti_rows(window)),
    ]
    content = _primary(window) + b"".join(table.as_bytes() for table in tables)
    (folder / "isgri_events.fits.gz").write_bytes(gzip.compress(content, _COMPRESS_LEVEL, mtime=0))
    dead = _Table("ISGR-DEAD-SCP", _DEAD, "DEAD", common, _dead_time_rows(window))
    (folder / "isgri_dead.fits").write_bytes(_primary(window) + dead.as_bytes())
    _write_group(window, folder / "swg.fits", tables, dead)


_EVENT_CARDS: dict[str, Any] = {
    "HDUCLASS": "OGIP", "HDUCLAS1": "EVENTS", "HDUCLAS2": "ALL", "TIMEPIXR": 0.5, "TIMECORR": 0,
    "TIMEDEL": _EVENT_TICKS / _TICKS_A_SECOND / SECONDS_A_DAY, "TNULL9": 255,
}  # fmt: skip


def _common_cards(window: SimulatedWindow) -> dict[str, Any]:
    start, stop = (int(tick) for tick in window.obt(np.array([0.0, window.duration_s])))
    return {
        "CREATOR": f"integral-oda simulate {__version__}",
        "SIMULATE": True,
        "SEED": window.seed,
        "REVOL": window.scw.revolution,
        "SWID": window.scw.swid,
        "SW_TYPE": window.scw.kind.name,
        "SWBOUND": "OTF",
        "OBTSTART": f"{start:020d}",
        "OBTEND": f"{stop:020d}",
        "TSTART": window.start_ijd,
        "TSTOP": float(window.ijd(np.array(window.duration_s))),
        "TELAPSE": window.duration_s,
        "RADECSYS": "FK5",
        "EQUINOX": 2000.0,
        **window.attitude,
    }


class _Table:
    """A binary table whose rows go to the file as they lie in memory."""

    def __init__(
        self, name: str, columns: Columns, level: str, cards: Mapping[str, Any], rows: NDArray[Any] | None = None
    ) -> None:
        from astropy.io import fits

        from integral_oda.products.fits_io import isdc_cards

        described = [
            fits.Column(column, form, unit=unit, bzero=_OFFSETS.get(form), null=None) for column, form, unit in columns
        ]
        self.rows = np.empty(0, _layout(columns)) if rows is None else rows
        self.hdu = fits.BinTableHDU.from_columns(described, nrows=0, name=name)
        self.hdu.header.update({**isdc_cards("DAL_TABLE", level), **cards})
        self.hdu.header["NAXIS2"] = len(self.rows)

    def as_bytes(self) -> bytes:
        content = self.rows.tobytes()
        return self.hdu.header.tostring().encode("ascii") + content + b"\0" * (-len(content) % _BLOCK)


_OFFSETS = {"4I": 2**15}


def _layout(columns: Columns) -> np.dtype[Any]:
    return np.dtype([(name, _FORMATS[form], *(((4,),) if form == "4I" else ())) for name, form, _ in columns])


def _primary(window: SimulatedWindow) -> bytes:
    from astropy.io import fits

    header = fits.PrimaryHDU().header
    header.update({"ORIGIN": "integral-oda", "SIMULATE": True, "SEED": window.seed})
    return header.tostring().encode("ascii")


def _event_rows(window: SimulatedWindow) -> NDArray[Any]:
    events = window.events
    rows = np.empty(len(events), _layout(_EVENTS))
    ticks = (events.seconds * (_TICKS_A_SECOND / _EVENT_TICKS)).astype(np.uint64) * np.uint64(_EVENT_TICKS)
    obt = window.obt(np.zeros(1))[0] + ticks
    det_z, det_y = (index.astype(np.uint8) for index in np.divmod(events.pixel, np.uint16(DETECTOR_SHAPE[1])))
    rows["DELTA_TIME"] = (obt // np.uint64(_EVENT_TICKS)).astype(np.uint8)
    rows["RISE_TIME"] = raw_rise_times(events.rise_time)
    rows["ISGRI_PHA"] = np.clip(events.energy_kev / _ENERGY_OF_PHA, 0, 2047)
    rows["ISGRI_Y"], rows["ISGRI_Z"] = det_y - 2 * (det_y >= 66), det_z - 2 * (det_z // 34)
    rows["DETY"], rows["DETZ"] = det_y, det_z
    rows["OB_TIME"] = _obt_words(obt)
    rows["ISGRI_PI"], rows["ISGRI_ENERGY"] = events.rise_time, events.energy_kev
    rows["SELECT_FLAG"] = events.select_flag
    rows["TIME"] = window.ijd(ticks.astype(np.float64) / _TICKS_A_SECOND)
    return rows


def _obt_words(obt: NDArray[np.uint64]) -> NDArray[np.uint16]:
    """Four words a time, most significant first, less the column's TZERO."""
    words: NDArray[np.uint16] = obt.astype(">u8").view(">u2").reshape(-1, 4) ^ np.uint16(0x8000)
    return words


def _gti_rows(window: SimulatedWindow) -> NDArray[Any]:
    from astropy.time import Time

    rows = np.empty(len(window.good_s), _layout(_GTI))
    for column, side in enumerate(("START", "STOP")):
        times = window.ijd(window.good_s[:, column])
        rows[side] = times
        obt_name, utc_name = (f"{kind}_{'START' if column == 0 else 'END'}" for kind in ("OBT", "UTC"))
        rows[obt_name] = _obt_words(window.obt(window.good_s[:, column]))
        rows[utc_name] = Time(51544.0, times, format="mjd", scale="tt", precision=7).utc.isot
    return rows


def _dead_time_rows(window: SimulatedWindow) -> NDArray[Any]:
    seconds = np.arange(_DEAD_TIME_STEP_S / 2, max(window.duration_s, _DEAD_TIME_STEP_S), _DEAD_TIME_STEP_S)
    rows = np.empty(len(seconds), _layout(_DEAD))
    rows["OB_TIME"] = _obt_words(window.obt(seconds))
    for module, fraction in enumerate(window.dead_time):
        rows[f"II_DEADTIME_{module}"] = fraction
    return rows


def _write_group(window: SimulatedWindow, path: Path, tables: Sequence[_Table], dead: _Table) -> None:
    from astropy.io import fits

    from integral_oda.products.fits_io import grouping_hdu, isdc_cards, write_fits

    group = grouping_hdu("GNRL-SCWG-GRP", [table.hdu for table in (*tables, dead)], {})
    group.data["MEMBER_LOCATION"] = [*["isgri_events.fits.gz"] * len(tables), "isgri_dead.fits"]
    group.data["MEMBER_POSITION"] = [*range(2, len(tables) + 2), 2]
    group.data["MEMBER_URI_TYPE"] = "URL"
    group.header.update({**isdc_cards("DAL_GROUP", "SCW"), **_common_cards(window)})
    write_fits(path, [fits.PrimaryHDU(), group])
