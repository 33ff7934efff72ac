"""Light curves in ISDC's ISGR-SRC.-LCR structure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from integral_oda.arrays import Array
from integral_oda.errors import DataError
from integral_oda.instrument.energy import EnergyBand
from integral_oda.products.fits_io import carried_keywords, isdc_cards, open_fits, write_fits

__all__ = ["LightCurve", "file_label", "read_light_curve", "read_light_curves", "write_light_curve"]


@dataclass(frozen=True)
class LightCurve:
    """Rate of one source in one band; every array is ``(n_bins,)`` float64.

    Attributes
    ----------
    name : str
        Name of the source.
    ra_deg, dec_deg : float
        Its position (FK5).
    band : EnergyBand
        The energy band in keV.
    time_ijd : ndarray
        Bin centres, IJD (TT days since MJD 51544).
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

    def __len__(self) -> int:
        return len(self.time_ijd)


def file_label(name: str) -> str:
    """Name of a source as a part of a file name."""
    kept = "+-."
    return "".join(c if (c.isascii() and c.isalnum()) or c in kept else "_" for c in name)


def write_light_curve(path: str | Path, curve: LightCurve) -> None:
    """Write an ISGR-SRC.-LCR table; TIME is the bin centre."""
    from astropy.io import fits

    day = 86400.0
    columns = [
        fits.Column("TIME", "1D", unit="d", array=curve.time_ijd),
        fits.Column("TOT_COUNTS", "1E", unit="counts", array=curve.counts),
        fits.Column("BACKV", "1E", unit="counts/s", array=curve.background),
        fits.Column("BACKE", "1E", unit="counts/s", array=curve.background_error),
        fits.Column("RATE", "1E", unit="counts/s", array=curve.rate),
        fits.Column("ERROR", "1E", unit="counts/s", array=curve.error),
        fits.Column("FRACEXP", "1E", unit="", array=curve.fractional_exposure),
        fits.Column("XAX_E", "1D", unit="d", array=curve.width_s / 2 / day),
        fits.Column("TIMEDEL", "1D", unit="d", array=curve.width_s / day),
    ]
    table = fits.BinTableHDU.from_columns(columns, name="ISGR-SRC.-LCR")
    table.header.update(isdc_cards("DAL_TABLE", "LCR"))
    table.header.update(
        {"NAME": curve.name, "SOURCEID": curve.name[:16], "RA_OBJ": curve.ra_deg, "DEC_OBJ": curve.dec_deg,
         "E_MIN": curve.band.e1_kev, "E_MAX": curve.band.e2_kev, "EUNIT": "keV", "TIMEPIXR": 0.5}
    )  # fmt: skip
    table.header.update(carried_keywords(curve.keywords))
    table.header.update(curve.keywords)
    write_fits(path, [fits.PrimaryHDU(), table])


def read_light_curve(path: str | Path) -> LightCurve:
    """Read an ISGR-SRC.-LCR table of OSA or of this project.

    Raises
    ------
    DataError
        If no table of the file has the columns TIME, RATE and ERROR.
    """
    return read_light_curves(path)[0]


def read_light_curves(path: str | Path) -> list[LightCurve]:
    """Read every ISGR-SRC.-LCR table of a file, such as ii_lc_extract's, one a source and band.

    Raises
    ------
    DataError
        If no table of the file has the columns TIME, RATE and ERROR.
    """
    found = []
    with open_fits(path) as hdus:
        for hdu in hdus:
            names = set(getattr(getattr(hdu, "columns", None), "names", ()))
            if {"TIME", "RATE", "ERROR"} <= names:
                found.append(_from_table(hdu.data, names, hdu.header))
    if not found:
        raise DataError(f"{path}: holds no light curve (a table with TIME, RATE and ERROR)")
    return found


def _from_table(rows: Any, names: set[str], header: Any) -> LightCurve:
    def column(name: str, missing: float = np.nan) -> Array:
        return np.array(rows[name], dtype=float) if name in names else np.full(len(rows), missing)

    if "TIMEDEL" in names:
        width = column("TIMEDEL")
    elif "XAX_E" in names:
        width = 2 * column("XAX_E")
    else:
        width = np.full(len(rows), float(header.get("TIMEDEL", np.nan)))
    return LightCurve(
        name=str(header.get("NAME", "")).strip(),
        ra_deg=float(header.get("RA_OBJ", np.nan)),
        dec_deg=float(header.get("DEC_OBJ", np.nan)),
        band=EnergyBand(float(header.get("E_MIN", np.nan)), float(header.get("E_MAX", np.nan))),
        time_ijd=column("TIME"),
        width_s=width * 86400.0,
        rate=column("RATE"),
        error=column("ERROR"),
        fractional_exposure=column("FRACEXP", 1.0),
        counts=column("TOT_COUNTS"),
        background=column("BACKV"),
        background_error=column("BACKE"),
        keywords=carried_keywords(header),
    )
