"""Pixel illumination factors in ISDC's ISGR-PIF.-SHD structure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from integral_oda.arrays import Array
from integral_oda.errors import DataError
from integral_oda.instrument.detector import DETECTOR_SHAPE
from integral_oda.instrument.energy import EnergyBand
from integral_oda.products.fits_io import grouping_hdu, isdc_cards, open_fits, write_aside, write_fits

__all__ = ["PixelIllumination", "draw_pif", "read_pifs", "write_pif"]

_ATTITUDE = ("RA_SCX", "DEC_SCX", "RA_SCZ", "DEC_SCZ", "REVOL", "SWID")


@dataclass(frozen=True, eq=False)
class PixelIllumination:
    """Share of each pixel that a source lights through the mask.

    Attributes
    ----------
    name : str
    ra_deg, dec_deg : float
        Position of the source (FK5); NaN where the file does not say.
    band : EnergyBand
    factor : ndarray
        ``(134, 130)`` float32, 0 to 1, ``[DETZ, DETY]``.
    keywords : mapping
        Attitude and science window.
    """

    name: str
    ra_deg: float
    dec_deg: float
    band: EnergyBand
    factor: Array
    keywords: Mapping[str, Any] = field(default_factory=dict)


def read_pifs(path: str | Path) -> list[PixelIllumination]:
    """Read every PIF of a file, of OSA or of this project.

    Raises
    ------
    DataError
        If the file holds none.
    """
    found = []
    with open_fits(path) as hdus:
        for hdu in hdus:
            if hdu.name == "ISGR-PIF.-SHD" and hdu.data is not None and hdu.data.shape == DETECTOR_SHAPE:
                header = hdu.header
                ra, dec = (float(header.get(key, np.nan)) for key in ("RA_OBJ", "DEC_OBJ"))
                band = EnergyBand(float(header.get("E_MIN", np.nan)), float(header.get("E_MAX", np.nan)))
                kept = {key: header[key] for key in _ATTITUDE if key in header}
                factor = np.asarray(hdu.data, dtype=np.float32)
                found.append(PixelIllumination(str(header.get("NAME", "")).strip(), ra, dec, band, factor, kept))
    if not found:
        raise DataError(f"{path}: holds no pixel illumination factors (ISGR-PIF.-SHD of 134 x 130 pixels)")
    return found


def write_pif(path: str | Path, pif: PixelIllumination) -> None:
    """Write a PIF behind its index."""
    from astropy.io import fits

    image = fits.ImageHDU(np.asarray(pif.factor, dtype=np.float32), name="ISGR-PIF.-SHD")
    image.header.update(isdc_cards("DAL_ARRAY", "BIN_I"))
    told = {"NAME": pif.name, "SOURCEID": pif.name[:16], "RA_OBJ": pif.ra_deg, "DEC_OBJ": pif.dec_deg,
            "E_MIN": pif.band.e1_kev, "E_MAX": pif.band.e2_kev}  # fmt: skip
    image.header.update({key: value for key, value in told.items() if value == value} | dict(pif.keywords))
    columns = {"ISDCLEVL": "8A", "SOURCEID": "16A", "NAME": "20A", "RA_OBJ": "1E", "DEC_OBJ": "1E", "E_MIN": "1E",
               "E_MAX": "1E"}  # fmt: skip
    write_fits(path, [fits.PrimaryHDU(), grouping_hdu("ISGR-PIF.-SHD-IDX", [image], columns), image])


def draw_pif(path: str | Path, pif: PixelIllumination) -> None:
    """Draw a PIF as it lies on the detector."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 6), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    shown = axes.imshow(pif.factor, origin="lower", vmin=0, vmax=1, cmap="viridis", interpolation="nearest")
    figure.colorbar(shown, ax=axes, label="pixel illumination factor", fraction=0.046, pad=0.02)
    axes.set(xlabel="DETY", ylabel="DETZ", title=f"{pif.name or 'source'}, {pif.band} keV")
    with write_aside(path) as aside:
        figure.savefig(aside, metadata={"Software": None})
