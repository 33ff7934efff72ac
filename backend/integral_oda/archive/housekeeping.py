"""What a revolution's files say of the detector: pixel context, noisy-pixel telemetry (HK3) and pixel switch lists."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from integral_oda.archive.fits_table import find_header, find_table, read_hdus
from integral_oda.archive.scw import ScwId
from integral_oda.archive.tree import Archive
from integral_oda.arrays import Array
from integral_oda.errors import DataError
from integral_oda.instrument.detector import DETECTOR_SHAPE, N_MODULES, active_pixels
from integral_oda.instrument.energy_calibration import DEFAULT_TEMPERATURE_C
from integral_oda.instrument.pixel_status import on_grid, pixels_on, pixels_switched_off

__all__ = [
    "PixelContext",
    "WindowTimes",
    "find_detector_files",
    "member_path",
    "read_dead_times",
    "read_noisy_pixels",
    "read_pixel_context",
    "read_switch_list",
    "read_temperatures",
    "read_window_times",
]

_VERSIONS_TRIED = (1, 2, 0)
_COLDEST_C = -50.5
_CONTEXT_INDEX, _NOISY_INDEX, _SWITCH_INDEX = "isgri_context_index", "isgri_prp_noise_index", "isgri_pxlswtch_index"


@dataclass(frozen=True)
class WindowTimes:
    """Start and stop of a science window, on-board time (2^-20 s) and IJD."""

    start_obt: int
    stop_obt: int
    start_ijd: float
    stop_ijd: float


def read_window_times(path: str | Path) -> WindowTimes:
    """Read the times of a science window from its event file, no more of which is unpacked than that takes.

    Raises
    ------
    DataError
        If the file is damaged or does not say.
    """
    header = find_header(path, ("OBTSTART", "OBTEND", "TSTART", "TSTOP"))
    try:
        start, stop = (int(str(header[key])) for key in ("OBTSTART", "OBTEND"))
        return WindowTimes(start, stop, *(float(str(header[key])) for key in ("TSTART", "TSTOP")))
    except ValueError as exc:
        raise DataError(f"{path}: times that are no numbers ({exc})") from None


def find_detector_files(archive: Archive, scw: ScwId | str) -> dict[str, Path]:
    """Files of the revolution that tell of the pixels during a science window.

    Returns
    -------
    dict of str to Path
        ``context`` (the last one not after the window's end), ``noisy_0`` .. and ``switch_0`` .. (those that overlap
        the window); only what the archive has. Empty without the revolution's folder.
    """
    scw = scw if isinstance(scw, ScwId) else ScwId.parse(scw)
    folder = _revolution_folder(archive, scw.revolution)
    if folder is None:
        return {}
    times = read_window_times(archive.events_file(scw))
    files = {}
    if context := _latest_context(folder, times.stop_obt):
        files["context"] = context
    for name, index in (("noisy", _NOISY_INDEX), ("switch", _SWITCH_INDEX)):
        overlapping = _overlapping(folder, index, times)
        files |= {f"{name}_{number}": path for number, path in enumerate(overlapping)}
    return files


def _revolution_folder(archive: Archive, revolution: int) -> Path | None:
    root = archive.root / "scw" / f"{revolution:04d}"
    return next((root / f"rev.{v:03d}" for v in _VERSIONS_TRIED if (root / f"rev.{v:03d}" / "idx").is_dir()), None)


def _latest_context(folder: Path, stop_obt: int) -> Path | None:
    best: tuple[int, Path] | None = None
    for row in _index_rows(folder, _CONTEXT_INDEX, ("CTXT_OBT",)):
        obt = int(row["CTXT_OBT"])
        path = member_path(folder / "idx", row["MEMBER_LOCATION"])
        if obt <= stop_obt and path is not None and (best is None or obt > best[0]):
            best = obt, path
    return best[1] if best else None


def _overlapping(folder: Path, index: str, times: WindowTimes) -> list[Path]:
    paths = []
    for row in _index_rows(folder, index, ("OBTFIRST", "OBTLAST")):
        path = member_path(folder / "idx", row["MEMBER_LOCATION"])
        overlaps = int(row["OBTFIRST"]) < times.stop_obt and int(row["OBTLAST"]) > times.start_obt
        if overlaps and path is not None:
            paths.append(path)
    return paths


def _index_rows(folder: Path, name: str, columns: tuple[str, ...]) -> Iterator[Mapping[str, str]]:
    path = _plain_or_packed(folder / "idx" / f"{name}.fits")
    if path is None:
        return
    table = find_table(read_hdus(path), "GROUPING")
    texts = {key: [_text(value) for value in table.column(key)] for key in ("MEMBER_LOCATION", *columns)}
    for values in zip(*texts.values(), strict=True):
        yield dict(zip(texts, values, strict=True))


def _text(value: object) -> str:
    return value.decode("ascii", "replace").strip("\0 ") if isinstance(value, bytes) else str(value).strip()


def member_path(index_folder: Path, location: str) -> Path | None:
    """File of a row of an index, as it lies relative to the index's folder, gzipped or not; None if it is not there."""
    if not location or PurePosixPath(location).is_absolute():
        return None
    return _plain_or_packed(index_folder / location)


def _plain_or_packed(path: Path) -> Path | None:
    plain = path.with_name(path.name.removesuffix(".gz"))
    return next((p for p in (plain, plain.with_name(f"{plain.name}.gz")) if p.is_file()), None)


@dataclass(frozen=True)
class PixelContext:
    """What the context says of each pixel, planes of ``(134, 130)``.

    Attributes
    ----------
    gain_index, threshold_step : ndarray of uint8
    on : ndarray of bool
        Status 1 and a threshold step that is none of "off".
    """

    gain_index: NDArray[np.uint8]
    threshold_step: NDArray[np.uint8]
    on: NDArray[np.bool_]


def read_pixel_context(path: str | Path) -> PixelContext:
    """Read ISGR-PXLP-CFG of a context.

    Raises
    ------
    DataError
        If the file is damaged or no context.
    """
    from integral_oda.products.fits_io import open_fits

    with open_fits(path) as hdus:
        cube = np.asarray(hdus["ISGR-PXLP-CFG"].data)
    if cube.ndim != 3 or cube.shape[0] < 3 or cube.shape[1:] != (128, 128):
        raise DataError(f"{path}: ISGR-PXLP-CFG is {cube.shape}; at least 3 planes of 128 x 128 are needed")
    gain, step, status = (on_grid(plane) for plane in cube[:3])
    return PixelContext(gain, step, (status == 1) & (step < 63) & active_pixels())


def read_noisy_pixels(path: str | Path, start_obt: int, stop_obt: int) -> NDArray[np.bool_]:
    """Pixels that the noisy-pixel telemetry (ISGR-NOIS-CPR) calls off at any time of a science window.

    Returns
    -------
    ndarray of bool
        ``(134, 130)``; a module without a bit map in that time has none.
    """
    table = find_table(read_hdus(path), "ISGR-NOIS-CPR")
    obt = _obt(table.column("OB_TIME"))
    inside = np.flatnonzero((obt >= np.uint64(start_obt)) & (obt <= np.uint64(stop_obt)))
    modules, status = table.column("MCE_ID"), table.column("PIXEL_STATUS")
    off = np.zeros(DETECTOR_SHAPE, dtype=bool)
    for row in inside:
        module = int(modules[row])
        if module < N_MODULES:
            off |= _members(module) & ~pixels_on(status[row], module)
    return off


def _members(module: int) -> NDArray[np.bool_]:
    from integral_oda.instrument.detector import module_map

    members: NDArray[np.bool_] = module_map() == module
    return members


def read_switch_list(path: str | Path, start_obt: int, stop_obt: int) -> NDArray[np.bool_]:
    """Pixels that a switch list (ISGR-SWIT-STA) has off at any time of a science window, ``(134, 130)``."""
    table = find_table(read_hdus(path), "ISGR-SWIT-STA")
    y, z, flag = (table.column(name).astype(int) for name in ("ISGRI_Y", "ISGRI_Z", "NOIS_FLAG"))
    if len(y) and not (max(y.max(), z.max()) < 128 and min(y.min(), z.min()) >= 0):
        raise DataError(f"{path}: ISGR-SWIT-STA names pixels outside 0 to 127")
    return pixels_switched_off(y, z, flag, _obt(table.column("OBT_SWITCH")), start_obt, stop_obt)


def read_dead_times(path: str | Path) -> tuple[NDArray[np.uint64], Array]:
    """Read ISGR-DEAD-SCP: on-board times ``(n,)`` and dead fractions ``(n, 8)`` of the modules.

    Raises
    ------
    DataError
        If the file has no rows, or fractions outside 0 to 1.
    """
    table = find_table(read_hdus(path), "ISGR-DEAD-SCP")
    fractions = np.stack([table.column(f"II_DEADTIME_{m}") for m in range(N_MODULES)], axis=1).astype(float)
    if not len(fractions):
        raise DataError(f"{path}: ISGR-DEAD-SCP has no rows")
    if not np.all((fractions >= 0) & (fractions < 1)):
        raise DataError(f"{path}: dead-time fractions outside 0 to 1")
    return _obt(table.column("OB_TIME")), fractions


def read_temperatures(path: str | Path) -> Array:
    """Mean temperature of each module in a window, ``(8,)`` C, from the housekeeping (IBIS-DPE.-CNV).

    Raw zeros count for nothing; a module without any value has `DEFAULT_TEMPERATURE_C`.
    """
    table = find_table(read_hdus(path), "IBIS-DPE.-CNV")
    values = np.stack([table.column(f"I0E_MTEMP2_MMDU{m}") for m in range(N_MODULES)]).astype(float)
    valid = np.isfinite(values) & (values > _COLDEST_C)
    sums, numbers = np.where(valid, values, 0.0).sum(axis=1), valid.sum(axis=1)
    return np.where(numbers > 0, sums / np.maximum(numbers, 1), DEFAULT_TEMPERATURE_C)


def _obt(words: NDArray[np.generic]) -> NDArray[np.uint64]:
    """On-board time of four unsigned words a row, the most significant first."""
    obt = np.zeros(len(words), dtype=np.uint64)
    for column in np.asarray(words).reshape(-1, 4).T:
        obt = (obt << np.uint64(16)) | column.astype(np.uint64)
    return obt
