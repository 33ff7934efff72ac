"""OSA's spectra of a science window as the native sum takes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from integral_oda.catalog.designations import lasting_name
from integral_oda.engines.native.spectra import Spe, WindowSpectra, extracted_edges_kev
from integral_oda.engines.osa.sources import SPECTRUM_FILE
from integral_oda.errors import DataError
from integral_oda.instrument.response import osa_channel_edges_kev
from integral_oda.products.spectrum import Spectrum, read_spectra

__all__ = ["ReadSpectra"]

_BACKGROUND = "background"


class ReadSpectra(Spe):
    """Spectra of ii_spectra_extract, of one source or of all, without what a covariance would tell."""

    def compute(self, inputs: Sequence[Any], parameters: Mapping[str, Any], raw: Mapping[str, Path]) -> WindowSpectra:
        """Read those channels that the native engine sums, from the files of a step or the file ``raw["spectra"]``."""
        path = raw["spectra"] if "spectra" in raw else inputs[0].path(SPECTRUM_FILE)
        asked = parameters["source"]
        spectra = [s for s in read_spectra(path) if _wanted(s, asked)]
        if not spectra:
            raise DataError(f"{path.name}: no spectrum of {asked or 'any source'}")
        return _window_spectra(path, spectra)


def _wanted(spectrum: Spectrum, asked: str | None) -> bool:
    return spectrum.name == asked if asked else spectrum.name.lower() != _BACKGROUND


def _extracted_channels() -> slice:
    """Those of OSA's 256 channels that the native engine extracts."""
    edges = extracted_edges_kev()
    first = int(np.searchsorted(osa_channel_edges_kev(), edges[0]))
    return slice(first, first + len(edges) - 1)


def _window_spectra(path: Path, spectra: Sequence[Spectrum]) -> WindowSpectra:
    channels = _extracted_channels()
    wanted = len(osa_channel_edges_kev()) - 1
    flux, covariance = [], []
    for spectrum in spectra:
        if len(spectrum) != wanted:
            raise DataError(
                f"{path.name}: {spectrum.name} has {len(spectrum)} channels, OSA's calibration has {wanted}"
            )
        error = np.where(np.isfinite(spectrum.stat_error), spectrum.stat_error, 0.0)
        known = np.isfinite(spectrum.rate) & (error > 0)
        flux.append(np.where(known, spectrum.rate, np.nan)[channels])
        covariance.append(np.diag(error[channels] ** 2).astype(np.float32))
    n_channels = len(flux[0])
    return WindowSpectra(
        names=[lasting_name(s.name, s.ra_deg, s.dec_deg) for s in spectra],
        ra_deg=[s.ra_deg for s in spectra],
        dec_deg=[s.dec_deg for s in spectra],
        flux=np.stack(flux),
        covariance=np.stack(covariance),
        background=np.zeros(n_channels),
        efficiency=np.ones(n_channels),
        keywords=_keywords(path, spectra[0]),
    )


def _keywords(path: Path, spectrum: Spectrum) -> dict[str, Any]:
    """Keywords of the window; those that a sum needs and OSA leaves out follow from the others."""
    told = {"EXPOSURE": spectrum.exposure_s, **spectrum.keywords}
    try:
        first, last = (float(told.get(a, told.get(b))) for a, b in (("TFIRST", "TSTART"), ("TLAST", "TSTOP")))  # type: ignore[arg-type]
    except TypeError:
        raise DataError(f"{path.name}: {spectrum.name} has neither TFIRST and TLAST nor TSTART and TSTOP") from None
    elapsed = (last - first) * 86400.0
    deadc = float(told.get("DEADC", 1.0))
    return {"TELAPSE": elapsed, "ONTIME": spectrum.exposure_s / deadc, **told, "TFIRST": first, "TLAST": last}
