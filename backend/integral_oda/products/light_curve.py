"""Light curves in ISDC's ISGR-SRC.-LCR structure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from integral_oda.arrays import Array
from integral_oda.errors import DataError
from integral_oda.instrument.energy import EnergyBand
from integral_oda.products.fits_io import carried_keywords, isdc_cards, open_fits, write_fits
from integral_oda.timing.intervals import LEVELS

__all__ = [
    "FLAG_FEW_COUNTS",
    "FLAG_GAP",
    "FLAG_LOSSES",
    "LightCurve",
    "bin_columns",
    "file_label",
    "read_light_curve",
    "read_light_curves",
    "write_light_curve",
    "write_light_curves",
]

FLAG_GAP, FLAG_FEW_COUNTS, FLAG_LOSSES = 1, 2, 4
"""Bits of FLAG: touches a telemetry gap; intervals by the Poisson likelihood; bursts cost over 5 % of the live time."""
_DAY_S = 86400.0
_EXTENSION = "ISGR-SRC.-LCR"
_MJDREF = 51544.0


@dataclass(frozen=True)
class LightCurve:
    """Rate of one source in one band; every array is ``(n_bins,)`` float64 unless said otherwise.

    Attributes
    ----------
    name : str
        Name of the source.
    ra_deg, dec_deg : float
        Its position (FK5).
    band : EnergyBand
        The energy band in keV.
    time_ijd : ndarray
        Bin centres, IJD (TT days since MJD 51544; TDB at the barycentre where the keyword TIMEREF says so).
    width_s : ndarray
        Full bin lengths, s.
    rate, error : ndarray
        counts/s in OSA's unit and its 1 sigma error.
    fractional_exposure : ndarray
        Good time in the bin over its length, 0 to 1.
    counts : ndarray
        Events in the bin, source and background.
    background, background_error : ndarray
        Fitted background, counts/s over the whole detector.
    keywords : mapping
        Further FITS keywords.
    low, high, low_95, high_95 : ndarray
        Ends of the intervals of 68.3 and 95.0 %, counts/s; multiples of the error where a file has none.
    common_error : ndarray
        Part of ``error`` that all bins of a science window share: the shape of the background, fitted once a window.
    live_time_s : ndarray
        Good time less dead time, s, mean over the modules; NaN where a file does not say.
    mcrab, mcrab_error : ndarray
        Rate over a thousandth of the Crab's nominal one in the band; NaN where it is not known.
    flag : ndarray of int
        Sum of `FLAG_GAP`, `FLAG_FEW_COUNTS` and `FLAG_LOSSES`.
    """

    name: str
    ra_deg: float
    dec_deg: float
    band: EnergyBand
    time_ijd: Array
    width_s: Array
    rate: Array
    error: Array
    fractional_exposure: Array
    counts: Array
    background: Array
    background_error: Array
    keywords: Mapping[str, Any] = field(default_factory=dict)
    low: Array = None  # type: ignore[assignment]  # from here on set to the error's multiples, NaN or 0
    high: Array = None  # type: ignore[assignment]
    low_95: Array = None  # type: ignore[assignment]
    high_95: Array = None  # type: ignore[assignment]
    common_error: Array = None  # type: ignore[assignment]
    live_time_s: Array = None  # type: ignore[assignment]
    mcrab: Array = None  # type: ignore[assignment]
    mcrab_error: Array = None  # type: ignore[assignment]
    flag: NDArray[np.int64] = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        unknown = np.full(len(self.time_ijd), np.nan)
        defaults = {
            "low": self.rate - self.error,
            "high": self.rate + self.error,
            "low_95": self.rate - LEVELS[1] * self.error,
            "high_95": self.rate + LEVELS[1] * self.error,
            "common_error": np.zeros(len(self.time_ijd)),
            "live_time_s": unknown,
            "mcrab": unknown,
            "mcrab_error": unknown,
            "flag": np.zeros(len(self.time_ijd), dtype=np.int64),
        }
        for name, value in defaults.items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, value)

    def __len__(self) -> int:
        return len(self.time_ijd)

    @property
    def edges_ijd(self) -> Array:
        """Start and stop of each bin, ``(n_bins, 2)`` IJD."""
        half = self.width_s / 2 / _DAY_S
        return np.column_stack([self.time_ijd - half, self.time_ijd + half])

    @property
    def own_error(self) -> Array:
        """Error of each bin beside the others of its window: without the common part, counts/s."""
        return np.sqrt(np.maximum(self.error**2 - self.common_error**2, 0.0))

    def select(self, which: NDArray[Any]) -> LightCurve:
        """Give the bins of an index or mask."""
        return replace(self, **{name: getattr(self, name)[which] for name in bin_columns()})

    def scaled(self, factor: Array | float) -> LightCurve:
        """Multiply rates and their errors by a factor, one for all or one a bin."""
        names = ("rate", "error", "low", "high", "low_95", "high_95", "common_error", "mcrab", "mcrab_error")
        return replace(self, **{name: getattr(self, name) * factor for name in names})


def bin_columns() -> list[str]:
    """Names of the arrays of a light curve that have one value a bin."""
    others = ("name", "ra_deg", "dec_deg", "band", "keywords")
    return [item.name for item in fields(LightCurve) if item.name not in others]


def file_label(name: str) -> str:
    """Name of a source as a part of a file name."""
    kept = "+-."
    return "".join(c if (c.isascii() and c.isalnum()) or c in kept else "_" for c in name)


def write_light_curve(path: str | Path, curve: LightCurve) -> None:
    """Write an ISGR-SRC.-LCR table; TIME is the bin centre."""
    write_light_curves(path, [curve])


def write_light_curves(path: str | Path, curves: Sequence[LightCurve], further: Sequence[Any] = ()) -> None:
    """Write one ISGR-SRC.-LCR table a band into one file.

    Parameters
    ----------
    path : str or Path
    curves : sequence of LightCurve
        Of one source.
    further : sequence of HDU
        To be put behind them.
    """
    from astropy.io import fits

    tables = [_table(curve) for curve in curves]
    for version, table in enumerate(tables, 1):
        table.header["EXTVER"] = version
    write_fits(path, [fits.PrimaryHDU(), *tables, *further])


def _table(curve: LightCurve) -> Any:
    from astropy.io import fits

    rate = {"unit": "counts/s"}
    columns = [
        fits.Column("TIME", "1D", unit="d", array=curve.time_ijd),
        fits.Column("TOT_COUNTS", "1E", unit="counts", array=curve.counts),
        fits.Column("BACKV", "1E", array=curve.background, **rate),
        fits.Column("BACKE", "1E", array=curve.background_error, **rate),
        fits.Column("RATE", "1E", array=curve.rate, **rate),
        fits.Column("ERROR", "1E", array=curve.error, **rate),
        fits.Column("FRACEXP", "1E", unit="", array=curve.fractional_exposure),
        fits.Column("XAX_E", "1D", unit="d", array=curve.width_s / 2 / _DAY_S),
        fits.Column("TIMEDEL", "1D", unit="d", array=curve.width_s / _DAY_S),
        fits.Column("RATE_LO", "1E", array=curve.low, **rate),
        fits.Column("RATE_HI", "1E", array=curve.high, **rate),
        fits.Column("RATE_LO2", "1E", array=curve.low_95, **rate),
        fits.Column("RATE_HI2", "1E", array=curve.high_95, **rate),
        fits.Column("ERR_COMM", "1E", array=curve.common_error, **rate),
        fits.Column("LIVETIME", "1E", unit="s", array=curve.live_time_s),
        fits.Column("MCRAB", "1E", unit="mCrab", array=curve.mcrab),
        fits.Column("MCRAB_E", "1E", unit="mCrab", array=curve.mcrab_error),
        fits.Column("FLAG", "1I", unit="", array=curve.flag),
    ]
    table = fits.BinTableHDU.from_columns(columns, name=_EXTENSION)
    table.header.update(isdc_cards("DAL_TABLE", "LCR"))
    table.header.update(
        {"NAME": curve.name, "SOURCEID": curve.name[:16], "RA_OBJ": curve.ra_deg, "DEC_OBJ": curve.dec_deg,
         "E_MIN": curve.band.e1_kev, "E_MAX": curve.band.e2_kev, "EUNIT": "keV", "TIMEPIXR": 0.5}
    )  # fmt: skip
    table.header.update(carried_keywords(curve.keywords))
    table.header.update(curve.keywords)
    return table


def read_light_curve(path: str | Path) -> LightCurve:
    """Read the first light curve of a file: ISGR-SRC.-LCR of OSA or of this project, a RATES table, or QDP.

    Raises
    ------
    DataError
        If the file is damaged or holds no light curve.
    """
    return read_light_curves(path)[0]


def read_light_curves(path: str | Path) -> list[LightCurve]:
    """Read every light curve of a file, one a band or source.

    Raises
    ------
    DataError
        If no table of the file has the columns TIME, RATE and ERROR (or RATES and ERRORS).
    """
    from integral_oda.products.qdp import is_qdp, read_qdp

    if is_qdp(path):
        return [read_qdp(path)]
    with open_fits(path) as hdus:
        tables = [hdu for hdu in hdus if _RATES & set(getattr(getattr(hdu, "columns", None), "names", ()))]
        curves = [_from_table(hdu.data, set(hdu.columns.names), hdu.header) for hdu in tables if _has_rates(hdu)]
    if not curves:
        raise DataError(f"{path}: holds no light curve (a table with TIME, RATE and ERROR)")
    return curves


_RATES = {"RATE", "RATES"}


def _has_rates(hdu: Any) -> bool:
    names = set(hdu.columns.names)
    return "TIME" in names and any({rate, error} <= names for rate, error in (("RATE", "ERROR"), ("RATES", "ERRORS")))


def _from_table(rows: Any, names: set[str], header: Any) -> LightCurve:
    def column(name: str, missing: float = np.nan) -> Array:
        return np.array(rows[name], dtype=float) if name in names else np.full(len(rows), missing)

    def optional(name: str) -> Any:
        return column(name) if name in names else None

    plural = "S" if "RATES" in names else ""
    day = _DAY_S if str(header.get("TIMEUNIT", "d")).strip() == "s" else 1.0
    flag = column("FLAG", 0).astype(np.int64)
    return LightCurve(
        name=str(header.get("NAME", header.get("OBJECT", ""))).strip(),
        ra_deg=float(header.get("RA_OBJ", header.get("RA", np.nan))),
        dec_deg=float(header.get("DEC_OBJ", header.get("DEC", np.nan))),
        band=EnergyBand(float(header.get("E_MIN", np.nan)), float(header.get("E_MAX", np.nan))),
        time_ijd=(column("TIME") + _number(header, "TIMEZERO", 0.0)) / day + (_reference_mjd(header) - _MJDREF),
        width_s=_widths(column, names, header, len(rows)) * _DAY_S / day,
        rate=column(f"RATE{plural}"),
        error=column(f"ERROR{plural}"),
        fractional_exposure=column("FRACEXP", 1.0),
        counts=column("TOT_COUNTS"),
        background=column("BACKV"),
        background_error=column("BACKE"),
        keywords={**carried_keywords(header), **{key: header[key] for key in _FRAME_KEYWORDS if key in header}},
        low=optional("RATE_LO"),
        high=optional("RATE_HI"),
        low_95=optional("RATE_LO2"),
        high_95=optional("RATE_HI2"),
        common_error=optional("ERR_COMM"),
        live_time_s=optional("LIVETIME"),
        mcrab=optional("MCRAB"),
        mcrab_error=optional("MCRAB_E"),
        flag=flag,
    )


_FRAME_KEYWORDS = ("TIMESYS", "TIMEREF", "PLEPHEM", "BARYPOS", "BARYERR", "EPOCHCOR", "EPOCHSRC", "OSASEAM")


def _reference_mjd(header: Any) -> float:
    """MJD of time zero; a blank keyword means MJD 0."""
    if "MJDREFI" in header:
        return _number(header, "MJDREFI", 0.0) + _number(header, "MJDREFF", 0.0)
    return _number(header, "MJDREF", 0.0) if "MJDREF" in header else _MJDREF


def _number(header: Any, key: str, missing: float) -> float:
    value = header.get(key, missing)
    return float(value) if isinstance(value, int | float) else missing


def _widths(column: Any, names: set[str], header: Any, n_bins: int) -> Array:
    if "TIMEDEL" in names:
        return np.asarray(column("TIMEDEL"))
    if "XAX_E" in names:
        return np.asarray(2 * column("XAX_E"))
    return np.full(n_bins, float(header.get("TIMEDEL", np.nan)))
