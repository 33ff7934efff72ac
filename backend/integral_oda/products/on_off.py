"""Spectra as counts on and off a source, the only form that gammapy's spectra have."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from integral_oda.products.fits_io import isdc_cards, write_fits
from integral_oda.products.response_file import bounds_hdu, write_arf, write_rmf

if TYPE_CHECKING:
    from integral_oda.arrays import Array
    from integral_oda.instrument.response import Response
    from integral_oda.products.spectrum import Spectrum

__all__ = ["on_and_off_counts", "write_on_off"]

_BAD = 5


def on_and_off_counts(spectrum: Spectrum) -> tuple[Array, Array]:
    """Counts on and off whose difference and whose variance are those of the source's counts.

    A coded mask's net rate has no off region. Two Poisson numbers of equal exposure with mean ``(V + S) / 2`` and
    ``(V - S) / 2`` have the difference S and the variance V, so that a fit with the W statistic sees the rate with
    its error as long as V is many counts.

    Parameters
    ----------
    spectrum : Spectrum

    Returns
    -------
    on, off : ndarray
        ``(n_channels,)``, not whole numbers; NaN where a channel has no such pair (no error, or one below Poisson's).
    """
    net = spectrum.rate * spectrum.exposure_s
    error = np.hypot(spectrum.stat_error, spectrum.sys_error * spectrum.rate) * spectrum.exposure_s
    variance = np.where(error > 0, error**2, np.nan)
    on, off = (variance + net) / 2, (variance - net) / 2
    possible = (on >= 0) & (off >= 0)
    return np.where(possible, on, np.nan), np.where(possible, off, np.nan)


def write_on_off(folder: str | Path, spectrum: Spectrum, response: Response, tag: str | None = None) -> Path:
    """Write ``pha_obs``, ``bkg_obs``, ``arf_obs`` and ``rmf_obs`` of a spectrum, as gammapy names them.

    Parameters
    ----------
    folder : str or Path
        Made unless it is there.
    spectrum : Spectrum
    response : Response
        Of the spectrum's channels.
    tag : str, optional
        End of the files' names; the source's name unless given.

    Returns
    -------
    Path
        The file to read: ``SpectrumDatasetOnOff.read(path)``.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    tag = tag or re.sub(r"[^\w.+-]+", "_", spectrum.name)
    names = {kind: f"{kind}_obs{tag}.fits" for kind in ("pha", "bkg", "arf", "rmf")}
    files = {"BACKFILE": names["bkg"], "ANCRFILE": names["arf"], "RESPFILE": names["rmf"]}
    response = replace(response, first_channel=0)  # gammapy counts channels from 0, whatever the file says
    on, off = on_and_off_counts(spectrum)
    quality = np.where(spectrum.usable & np.isfinite(on), 0, _BAD).astype(np.int16)
    _write_counts(folder / names["pha"], spectrum, response, np.nan_to_num(on), quality, files)
    _write_counts(folder / names["bkg"], spectrum, response, np.nan_to_num(off), quality, {"HDUCLAS2": "BKG"})
    write_arf(folder / names["arf"], response, "OSA10")
    write_rmf(folder / names["rmf"], response, "OSA10")
    return folder / names["pha"]


def _write_counts(
    path: Path, spectrum: Spectrum, response: Response, counts: Array, quality: Any, cards: Mapping[str, str]
) -> None:
    from astropy.io import fits

    ones = np.ones(len(counts))
    columns = [
        fits.Column("CHANNEL", "1I", array=np.arange(len(counts)) + response.first_channel),
        fits.Column("COUNTS", "1D", unit="count", array=counts),
        fits.Column("QUALITY", "1I", array=quality),
        fits.Column("BACKSCAL", "1E", array=ones),
        fits.Column("AREASCAL", "1E", array=ones),
    ]
    table = fits.BinTableHDU.from_columns(columns, name="SPECTRUM")
    kind = {"HDUCLASS": "OGIP", "HDUCLAS1": "SPECTRUM", "HDUCLAS2": "TOTAL", "HDUCLAS3": "COUNT", "HDUVERS": "1.2.1"}
    table.header.update({**isdc_cards("DAL_TABLE", "SPE"), **kind, "CHANTYPE": "PI", "DETCHANS": len(counts)})
    table.header.update({"OBJECT": spectrum.name, "OBS_ID": spectrum.name, "EXPOSURE": spectrum.exposure_s})
    table.header.update({"POISSERR": True, "CORRSCAL": 1.0, **cards})
    write_fits(path, [fits.PrimaryHDU(), table, bounds_hdu(response)])
