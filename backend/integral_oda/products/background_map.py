"""Background maps: what each window of an epoch counts above its model, in one band, pixel by pixel."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from integral_oda.arrays import Array
from integral_oda.errors import DataError
from integral_oda.instrument.energy import EnergyBand
from integral_oda.products.fits_io import isdc_cards, open_fits, write_fits

__all__ = ["BackgroundMap", "read_background_map", "write_background_map"]

_PLANES = ("excess", "response", "source_response", "variance")


@dataclass(frozen=True)
class BackgroundMap:
    """Windows of one epoch in one band; every array has a row a window.

    Attributes
    ----------
    band : EnergyBand
    scw : list of str
        Science windows.
    ra_deg, dec_deg : ndarray
        Their axes.
    excess, response, source_response, variance : ndarray
        ``(n, 134, 130)`` as in `integral_oda.imaging.stacking.ResidualPlane`.
    """

    band: EnergyBand
    scw: list[str]
    ra_deg: Array
    dec_deg: Array
    excess: Array
    response: Array
    source_response: Array
    variance: Array


def write_background_map(path: str | Path, background: BackgroundMap) -> None:
    """Write a map: one image cube a plane, and the table of its windows."""
    from astropy.io import fits

    columns = [
        fits.Column("SWID", "16A", array=np.array(background.scw)),
        *(fits.Column(n, "1D", unit="deg", array=getattr(background, f"{n.lower()}_deg"))
          for n in ("RA", "DEC")),
    ]  # fmt: skip
    table = fits.BinTableHDU.from_columns(columns, name="WINDOWS")
    cubes = [fits.ImageHDU(np.float32(getattr(background, name)), name=name.upper()) for name in _PLANES]
    for cube in cubes:
        cube.header["BUNIT"] = "count"
    for hdu in (table, *cubes):
        hdu.header["E_MIN"], hdu.header["E_MAX"] = background.band
        hdu.header.update(isdc_cards("DAL_TABLE" if hdu is table else "DAL_ARRAY", "BKG_I"))
    write_fits(path, [fits.PrimaryHDU(), table, *cubes])


def read_background_map(path: str | Path) -> BackgroundMap:
    """Read a map written by `write_background_map`.

    Raises
    ------
    DataError
        If the file is no such map.
    """
    try:
        with open_fits(path) as hdus:
            rows = hdus["WINDOWS"].data
            header = hdus["WINDOWS"].header
            cubes = {name: np.array(hdus[name.upper()].data, dtype=float) for name in _PLANES}
            angles = {f"{n.lower()}_deg": np.array(rows[n], dtype=float) for n in ("RA", "DEC")}
            band = EnergyBand(float(header["E_MIN"]), float(header["E_MAX"]))
            return BackgroundMap(band, [str(scw).strip() for scw in rows["SWID"]], **angles, **cubes)
    except (KeyError, TypeError, ValueError) as exc:
        raise DataError(f"{path}: not a background map ({exc})") from exc
