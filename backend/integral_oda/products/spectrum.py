"""Count spectra as OGIP PHA files, type I (one) and type II (one a row)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from integral_oda.arrays import Array
from integral_oda.errors import DataError, RequestError
from integral_oda.products.fits_io import carried_keywords, isdc_cards, open_fits, write_fits

__all__ = ["NO_FILE", "Spectrum", "find_companion", "read_spectra", "read_spectrum", "write_spectra", "write_spectrum"]

NO_FILE = "NONE"
_TABLE_NAMES = ("SPECTRUM", "ISGR-EVTS-SPE", "ISGR-PHA1-SPE", "ISGR-PHA2-SPE")
_COVARIANCE = "COVARIANCE"
_OGIP = {
    "HDUCLASS": "OGIP",
    "HDUCLAS1": "SPECTRUM",
    "HDUCLAS2": "NET",
    "HDUCLAS3": "RATE",
    "HDUVERS": "1.2.1",
    "CHANTYPE": "PI",
    "POISSERR": False,
    "AREASCAL": 1.0,
    "BACKSCAL": 1.0,
    "CORRSCAL": 0.0,
    "BACKFILE": NO_FILE,
    "CORRFILE": NO_FILE,
    "FILTER": "none",
}


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Count rates of one source in the channels of a response; every array is ``(n_channels,)``.

    Attributes
    ----------
    name : str
    ra_deg, dec_deg : float
        Position of the source (FK5); NaN where the file does not say.
    rate, stat_error : ndarray
        counts/s and 1 sigma.
    sys_error : ndarray
        Systematic error as a share of the rate.
    quality : ndarray of int
        0 is good (OGIP 92-007).
    grouping : ndarray of int
        1 begins a bin, -1 goes on with it, 0 stands alone.
    exposure_s : float
    first_channel : int
        Number of the first channel.
    response_file, area_file, background_file : str
        As the file names them; ``"NONE"`` where there is none.
    area_scale, back_scale : float
    covariance : ndarray or None
        ``(n_channels, n_channels)`` of the rates, (counts/s)^2, where channels share errors.
    keywords : mapping
        Further FITS keywords.
    """

    name: str
    ra_deg: float
    dec_deg: float
    rate: Array
    stat_error: Array
    sys_error: Array
    quality: NDArray[np.int16]
    grouping: NDArray[np.int16]
    exposure_s: float
    first_channel: int = 0
    response_file: str = NO_FILE
    area_file: str = NO_FILE
    background_file: str = NO_FILE
    area_scale: float = 1.0
    back_scale: float = 1.0
    covariance: Array | None = None
    keywords: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.rate)

    @property
    def usable(self) -> NDArray[np.bool_]:
        """Channels of good quality whose rate and error are numbers, ``(n_channels,)``."""
        finite = np.isfinite(self.rate) & np.isfinite(self.stat_error) & np.isfinite(self.sys_error)
        good: NDArray[np.bool_] = finite & (self.quality == 0) & (self.stat_error >= 0)
        return good


def write_spectrum(path: str | Path, spectrum: Spectrum) -> None:
    """Write a PHA type I file: an ISGR-EVTS-SPE table, and an image of the covariance where there is one."""
    from astropy.io import fits

    columns = [fits.Column("CHANNEL", "1I", array=np.arange(len(spectrum)) + spectrum.first_channel)]
    columns += _value_columns(fits, [spectrum], "1")
    table = fits.BinTableHDU.from_columns(columns, name="ISGR-EVTS-SPE")
    table.header.update({**_cards([spectrum], "TYPE:I"), **_own_cards(spectrum)})
    table.header.update(carried_keywords(spectrum.keywords))
    table.header.update(spectrum.keywords)
    hdus = [fits.PrimaryHDU(), table]
    if spectrum.covariance is not None:
        image = fits.ImageHDU(spectrum.covariance.astype(np.float32), name=_COVARIANCE)
        image.header.update({"BUNIT": "count2/s2", "HDUCLASS": "INTEGRAL-ODA", "HDUCLAS1": "COVARIANCE"})
        hdus.append(image)
    write_fits(path, hdus)


def write_spectra(path: str | Path, spectra: Sequence[Spectrum], labels: Sequence[str]) -> None:
    """Write a PHA type II file, a row a spectrum with its science window in ``SWID``."""
    from astropy.io import fits

    first = spectra[0]
    n = len(first)
    channels = np.tile(np.arange(n, dtype=np.int16) + first.first_channel, (len(spectra), 1))
    columns = [
        fits.Column("SPEC_NUM", "1I", array=np.arange(len(spectra)) + 1),
        fits.Column("ROWID", "20A", array=list(labels)),
        fits.Column("CHANNEL", f"{n}I", array=channels),
        *_value_columns(fits, spectra, str(n)),
        fits.Column("EXPOSURE", "1D", unit="s", array=[s.exposure_s for s in spectra]),
        fits.Column("SWID", "16A", array=list(labels)),
        *(_keyword_column(fits, spectra, name) for name in ("TSTART", "TSTOP", "ONTIME", "DEADC")),
        fits.Column("RESPFILE", "80A", array=[s.response_file for s in spectra]),
        fits.Column("ANCRFILE", "80A", array=[s.area_file for s in spectra]),
        fits.Column("BACKFILE", "8A", array=[NO_FILE] * len(spectra)),
    ]
    table = fits.BinTableHDU.from_columns(columns, name="ISGR-PHA2-SPE")
    common = {key: value for key, value in _cards(spectra, "TYPE:II").items() if key != "BACKFILE"}
    table.header.update({**common, "NAME": first.name, "RA_OBJ": first.ra_deg, "DEC_OBJ": first.dec_deg})
    write_fits(path, [fits.PrimaryHDU(), table])


def _keyword_column(fits: Any, spectra: Sequence[Spectrum], name: str) -> Any:
    units = {"TSTART": "d", "TSTOP": "d", "ONTIME": "s"}
    values = [float(s.keywords.get(name, np.nan)) for s in spectra]
    return fits.Column(name, "1D", unit=units.get(name), array=values)


def _value_columns(fits: Any, spectra: Sequence[Spectrum], repeat: str) -> list[Any]:
    def column(name: str, form: str, attribute: str, unit: str | None = None) -> Any:
        values = np.array([getattr(s, attribute) for s in spectra])
        return fits.Column(name, f"{repeat}{form}", unit=unit, array=values[0] if repeat == "1" else values)

    return [
        column("RATE", "E", "rate", "count/s"),
        column("SYS_ERR", "E", "sys_error"),
        column("STAT_ERR", "E", "stat_error", "count/s"),
        column("QUALITY", "I", "quality"),
        column("GROUPING", "I", "grouping"),
    ]


def _cards(spectra: Sequence[Spectrum], kind: str) -> dict[str, Any]:
    first = spectra[0]
    last = first.first_channel + len(first) - 1
    channels = {"DETCHANS": len(first), "TLMIN1": first.first_channel, "TLMAX1": last} if kind == "TYPE:I" else {
        "DETCHANS": len(first), "TLMIN3": first.first_channel, "TLMAX3": last
    }  # fmt: skip
    return {**isdc_cards("DAL_TABLE", "SPE"), **_OGIP, "HDUCLAS4": kind, **channels}


def _own_cards(spectrum: Spectrum) -> dict[str, Any]:
    position = {"RA_OBJ": spectrum.ra_deg, "DEC_OBJ": spectrum.dec_deg, "RADECSYS": "FK5", "EQUINOX": 2000.0}
    return {
        "NAME": spectrum.name,
        "SOURCEID": spectrum.name[:16],
        "OBJECT": spectrum.name,
        **(position if np.isfinite(spectrum.ra_deg) else {}),
        "EXPOSURE": spectrum.exposure_s,
        "RESPFILE": spectrum.response_file,
        "ANCRFILE": spectrum.area_file,
    }


def read_spectrum(path: str | Path, row: int | None = None) -> Spectrum:
    """Read a PHA file of OGIP or ISDC, of rates or counts.

    Parameters
    ----------
    path : str or Path
    row : int, optional
        Which spectrum of a type II file, from 1.

    Raises
    ------
    DataError
        If the file holds no spectrum, or its exposure is not a positive number.
    RequestError
        If a type II file has no such row, or none was chosen.
    """
    with open_fits(path) as hdus:
        header, cells = _header_and_cells(_spectrum_tables(hdus, path)[0])
        covariance = np.array(hdus[_COVARIANCE].data, dtype=float) if _COVARIANCE in hdus else None
    if np.ndim(cells[_flux_column(list(cells))]) == 2:
        cells = _row_of(cells, path, row)
    elif row not in (None, 1):
        raise RequestError("row", row, f"{path} holds one spectrum")
    return _Reading(path, header, cells, covariance).spectrum()


def read_spectra(path: str | Path) -> list[Spectrum]:
    """Read a file with a table for each source, as ii_spectra_extract writes it for a science window.

    Raises
    ------
    DataError
        If the file holds no spectrum, or the exposure of one is not a positive number.
    """
    with open_fits(path) as hdus:
        parts = [_header_and_cells(table) for table in _spectrum_tables(hdus, path)]
    return [_Reading(path, header, cells, None).spectrum() for header, cells in parts]


def _spectrum_tables(hdus: Any, path: str | Path) -> list[Any]:
    tables = [hdu for hdu in hdus if _holds_spectrum(hdu)]
    if not tables:
        held = ", ".join(hdu.name for hdu in hdus[1:]) or "no extension at all"
        raise DataError(f"{path}: holds no spectrum (a table with CHANNEL and RATE or COUNTS), but {held}")
    return tables


def _holds_spectrum(hdu: Any) -> bool:
    names = set(getattr(getattr(hdu, "columns", None), "names", None) or ())
    named = hdu.header.get("HDUCLAS1") == "SPECTRUM" or hdu.name in _TABLE_NAMES
    return (named or "CHANNEL" in names) and bool(names & {"RATE", "COUNTS"})


def _header_and_cells(table: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    header = {key: value for key, value in table.header.items() if key}
    return header, {name: np.array(table.data[name]) for name in table.columns.names}


def _flux_column(names: Sequence[str]) -> str:
    return "RATE" if "RATE" in names else "COUNTS"


def _row_of(cells: Mapping[str, Any], path: str | Path, row: int | None) -> dict[str, Any]:
    n = len(cells[_flux_column(list(cells))])
    if row is None and n > 1:
        raise RequestError("row", "none", f"{path} holds {n} spectra: one from 1 to {n}")
    number = 1 if row is None else row
    if not 1 <= number <= n:
        raise RequestError("row", row, f"{path} holds {n} spectra: one from 1 to {n}")
    return {name: values[number - 1] for name, values in cells.items()}


@dataclass
class _Reading:
    """The parts of a file on their way to a spectrum; a column goes before the keyword of its name."""

    path: str | Path
    header: Mapping[str, Any]
    cells: Mapping[str, Any]
    covariance: Array | None

    def spectrum(self) -> Spectrum:
        exposure = self._exposure()
        values = np.asarray(self.cells[_flux_column(list(self.cells))], dtype=float)
        counts = "RATE" not in self.cells
        rate = values / exposure if counts else values
        channels = np.atleast_1d(self.cells["CHANNEL"]) if "CHANNEL" in self.cells else np.arange(1, len(rate) + 1)
        return Spectrum(
            name=str(self._text("NAME", "OBJECT", "SOURCEID")),
            ra_deg=float(self.header.get("RA_OBJ", np.nan)),
            dec_deg=float(self.header.get("DEC_OBJ", np.nan)),
            rate=rate,
            stat_error=self._stat_error(values, exposure, counts=counts),
            sys_error=self._array("SYS_ERR", len(rate)),
            quality=self._array("QUALITY", len(rate)).astype(np.int16),
            grouping=self._array("GROUPING", len(rate)).astype(np.int16),
            exposure_s=exposure,
            first_channel=int(channels[0]),
            response_file=self._text("RESPFILE") or NO_FILE,
            area_file=self._text("ANCRFILE") or NO_FILE,
            background_file=self._text("BACKFILE") or NO_FILE,
            area_scale=self._scale("AREASCAL"),
            back_scale=self._scale("BACKSCAL"),
            covariance=self.covariance,
            keywords=carried_keywords(self.header),
        )

    def _exposure(self) -> float:
        given = self.cells.get("EXPOSURE", self.header.get("EXPOSURE"))
        if given is None:
            raise DataError(f"{self.path}: EXPOSURE is missing; a positive number of seconds is needed")
        exposure = _number(given)
        if not (np.isfinite(exposure) and exposure > 0):
            raise DataError(f"{self.path}: EXPOSURE = {given}; a positive number of seconds is needed")
        return exposure

    def _text(self, *names: str) -> str:
        for name in names:
            text = str(self.cells.get(name, self.header.get(name, ""))).strip()
            if text:
                return text
        return ""

    def _array(self, name: str, n: int) -> Array:
        given = self.cells.get(name, self.header.get(name, 0.0))
        return np.broadcast_to(np.asarray(given, dtype=float), (n,)).copy()

    def _scale(self, name: str) -> float:
        value = np.asarray(self.cells.get(name, self.header.get(name, 1.0)), dtype=float)
        return float(np.median(value))

    def _stat_error(self, values: Array, exposure: float, *, counts: bool) -> Array:
        if "STAT_ERR" in self.cells:
            error = np.asarray(self.cells["STAT_ERR"], dtype=float)
            return error / exposure if counts else error
        events = values if counts else values * exposure
        return np.sqrt(np.clip(events, 0.0, None)) / exposure


def _number(given: Any) -> float:
    try:
        return float(given)
    except (TypeError, ValueError):
        return float("nan")


def find_companion(spectrum_path: str | Path, name: str) -> Path | None:
    """File that a spectrum names, beside it unless the name is a path; compressed or not, as cfitsio finds it.

    Raises
    ------
    DataError
        If it is not there.
    """
    if name.strip().upper() in ("", NO_FILE):
        return None
    plain = re.split(r"[\[{]", name, maxsplit=1)[0].strip()
    path = Path(spectrum_path).parent / plain
    for candidate in (path, path.with_name(path.name + ".gz"), path.with_name(path.name.removesuffix(".gz"))):
        if candidate.is_file():
            return candidate
    raise DataError(f"{spectrum_path}: names {plain}, which is not there")
