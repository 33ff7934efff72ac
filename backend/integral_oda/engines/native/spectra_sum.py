"""Gathering of spectra: the windows of each source summed, with responses, as files."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from integral_oda.arrays import Array
from integral_oda.catalog.designations import joined_names
from integral_oda.engines.native.image import WindowImage
from integral_oda.engines.native.pack import LISTS_FILE
from integral_oda.engines.native.photometry import response_of
from integral_oda.engines.native.spectra import STRUCTURE_EDGES_KEV, WindowSpectra, extracted_edges_kev
from integral_oda.errors import DataError
from integral_oda.instrument.response import Response, ResponseForm, mean_response, nominal_response
from integral_oda.instrument.usable_energy import (
    TABLE_VERSION,
    THRESHOLD_DOUBT_KEV,
    SpectralEpoch,
    efficiency_uncertainty,
    spectral_epoch,
)
from integral_oda.products.light_curve import file_label
from integral_oda.products.response_file import write_arf, write_rmf
from integral_oda.products.spectrum import Spectrum, write_spectra, write_spectrum
from integral_oda.products.spectrum_picture import draw_spectrum
from integral_oda.spectra.binning import group_channels, rebin_matrix
from integral_oda.spectra.summing import sum_spectra, window_weight

__all__ = ["PackMosaicSpectrum", "PackSpectra", "SourceSpectrum", "made_elsewhere", "save_spectra"]

WEIGHT_KEV = (20.0, 100.0)
"""Energies whose error weighs a window in the sum."""
_TOTALS = ("ONTIME", "EXPOSURE", "TELAPSE")
_FORM: ResponseForm = "OSA10"


@dataclass(frozen=True)
class SourceSpectrum:
    """Spectrum of one source with its response.

    Attributes
    ----------
    spectrum : Spectrum
    response : Response
    windows : list of (str, Spectrum)
        Spectra of the windows that were summed.
    bands : list of dict
        Rates in broad bands, as in the summary.
    """

    spectrum: Spectrum
    response: Response
    windows: list[tuple[str, Spectrum]]
    bands: list[dict[str, float]]


class PackSpectra:
    """PHA, ARF, RMF and picture of every source, and PHA II where there are several windows."""

    def compute(
        self, inputs: Sequence[tuple[str, WindowSpectra]], parameters: Mapping[str, Any], raw: Mapping[str, Path]
    ) -> list[SourceSpectrum]:
        """Sum the windows of each source and rebin the sum."""
        found = [_Part(scw, window, k) for scw, window in inputs for k in range(len(window.names))]
        for part, name in zip(found, joined_names([(p.name, p.ra, p.dec) for p in found]), strict=True):
            part.name = name
        names = dict.fromkeys(part.name for part in found)
        edges = np.array(parameters["edges"], dtype=float)
        group = float(parameters["group"])
        responses = {part.revolution: _response_of(part.revolution, edges, raw) for part in found}
        return [_summed([p for p in found if p.name == name], edges, group, responses) for name in names]

    def save(self, value: list[SourceSpectrum], folder: Path) -> None:
        """Write the product files."""
        save_spectra(value, folder)

    def load(self, folder: Path) -> Path:
        """Give the folder of the product files."""
        return folder


class PackMosaicSpectrum:
    """The same from the fluxes of a source in the images of all channels."""

    def compute(
        self, inputs: Sequence[Any], parameters: Mapping[str, Any], raw: Mapping[str, Path]
    ) -> list[SourceSpectrum]:
        """Take the source's flux in each band."""
        mosaic: WindowImage = inputs[0]
        edges = np.array(parameters["edges"], dtype=float)
        asked = parameters.get("source")
        wanted = [s for s in mosaic.sources if asked is None or asked[0] == s.name]
        if asked is not None and not wanted:
            raise DataError(f"{asked[0]} is not seen in the mosaic")
        keywords = {k: v for k, v in mosaic.images[0].keywords.items() if k != "NSCW"}
        made = []
        for source in wanted:
            rate = np.array([b.flux for b in source.bands])
            covariance = np.diag([b.flux_error**2 for b in source.bands])
            place = (source.name, source.ra_deg, source.dec_deg)
            spectrum = _spectrum(place, rate, covariance, edges, keywords, float(parameters["group"]))
            response = _response_of(_revolution(keywords), edges, raw)
            made.append(SourceSpectrum(spectrum, response, [], _bands(rate, covariance, edges)))
        return made

    def save(self, value: list[SourceSpectrum], folder: Path) -> None:
        """Write the product files."""
        save_spectra(value, folder)

    def load(self, folder: Path) -> Path:
        """Give the folder of the product files."""
        return folder


class _Part:
    """Spectrum of one source in one window."""

    def __init__(self, scw: str, window: WindowSpectra, k: int) -> None:
        self.scw, self.keywords = scw, window.keywords
        self.name, self.ra, self.dec = window.names[k], window.ra_deg[k], window.dec_deg[k]
        self.rate = np.asarray(window.flux[k], dtype=float)
        self.covariance = np.asarray(window.covariance[k], dtype=float)
        self.efficiency = np.asarray(window.efficiency, dtype=float)
        self.revolution = _revolution(window.keywords)

    @property
    def weight(self) -> float:
        """Inverse variance of the rate where the detector sees."""
        edges = extracted_edges_kev()
        inside = (edges[:-1] >= WEIGHT_KEV[0]) & (edges[1:] <= WEIGHT_KEV[1]) & np.isfinite(self.rate)
        inside &= edges[:-1] >= spectral_epoch(self.revolution).usable_kev
        return window_weight(self.covariance, inside)


def made_elsewhere(spectrum: Spectrum, response: Response, edges: Array, group: float) -> SourceSpectrum:
    """Spectrum of a file, OSA's for one, with its own response in the channels that are wanted.

    Parameters
    ----------
    spectrum : Spectrum
        In the channels of the response.
    response : Response
    edges : ndarray
        ``(n + 1,)`` keV, among the edges of those channels.
    group : float
        Significance of a bin in the file's grouping.
    """
    fine = response.channel_edges_kev
    known = np.isfinite(spectrum.rate) & np.isfinite(spectrum.stat_error) & (spectrum.stat_error > 0)
    rate = np.where(known, spectrum.rate, np.nan)
    covariance = np.diag(np.where(known, spectrum.stat_error, 0.0) ** 2)
    keywords = {"EXPOSURE": spectrum.exposure_s, **spectrum.keywords}
    place = (spectrum.name, spectrum.ra_deg, spectrum.dec_deg)
    flux, spread = rate, covariance
    if not np.array_equal(fine, edges):
        flux, spread = _rebinned(rate, covariance, fine, edges)
    made = replace(_spectrum(place, flux, spread, edges, keywords, group), covariance=None)
    if flux is rate:
        made = replace(made, quality=np.maximum(made.quality, spectrum.quality))
    return SourceSpectrum(made, response.rebinned(edges), [], _bands(rate, covariance, fine))


def _revolution(keywords: Mapping[str, Any]) -> int:
    return int(keywords.get("REVOL") or 0)


def _summed(parts: Sequence[_Part], edges: Array, group: float, responses: Mapping[int, Response]) -> SourceSpectrum:
    weights = [part.weight for part in parts]
    rate, covariance = sum_spectra([p.rate for p in parts], [p.covariance for p in parts], weights)
    fine = extracted_edges_kev()
    place = (parts[0].name, parts[0].ra, parts[0].dec)
    binned = _rebinned(rate, covariance, fine, edges)
    efficiency = np.average([p.efficiency for p in parts], axis=0, weights=np.maximum(weights, 1e-30))
    unsure = efficiency_uncertainty(_mean_efficiency(efficiency, fine, edges - THRESHOLD_DOUBT_KEV))
    spectrum = _spectrum(place, *binned, edges, _summed_keywords(parts), group, unsure)
    singles = []
    if len(parts) > 1:
        for part in parts:
            own = _rebinned(part.rate, part.covariance, fine, edges)
            unsure = efficiency_uncertainty(_mean_efficiency(part.efficiency, fine, edges - THRESHOLD_DOUBT_KEV))
            one = _spectrum(place, *own, edges, part.keywords, 0.0, unsure)
            singles.append((part.scw.partition(".")[0], replace(one, covariance=None)))
    return SourceSpectrum(
        spectrum, _summed_response(parts, weights, responses), singles, _bands(rate, covariance, fine)
    )


def _rebinned(rate: Array, covariance: Array, fine: Array, coarse: Array) -> tuple[Array, Array]:
    """Rates and covariance in coarse channels; NaN where a part of a channel is missing."""
    inside = (coarse >= fine[0]) & (coarse <= fine[-1])
    kept = np.flatnonzero(inside[:-1] & inside[1:])
    matrix = np.zeros((len(coarse) - 1, len(rate)))
    if len(kept):
        matrix[kept] = rebin_matrix(fine, coarse[kept[0] : kept[-1] + 2])
    known = matrix @ np.isfinite(rate) == matrix.sum(axis=1)
    known &= matrix.any(axis=1)
    summed = np.where(known, matrix @ np.nan_to_num(rate), np.nan)
    return summed, matrix @ covariance @ matrix.T


def _mean_efficiency(efficiency: Array, fine: Array, coarse: Array) -> Array:
    """Mean efficiency in coarse channels; 0 below those that are extracted, 1 above."""
    centre = (fine[1:] + fine[:-1]) / 2
    cumulative = np.concatenate([[0.0], np.cumsum(efficiency * np.diff(fine))])
    inside = np.interp(coarse, fine, cumulative)
    mean = np.diff(inside) / np.diff(coarse)
    return np.where(coarse[1:] > centre[-1], 1.0, mean)


def _spectrum(
    place: tuple[str, float, float],
    rate: Array,
    covariance: Array,
    edges: Array,
    keywords: Mapping[str, Any],
    group: float,
    unsure: Array | float = 0.0,
) -> Spectrum:
    epoch = spectral_epoch(_revolution(keywords))
    error = np.sqrt(np.diag(covariance))
    quality = _quality(rate, error, edges, epoch)
    known = np.isfinite(rate)
    systematic = 0.0 if keywords.get("SIMULATE") else epoch.systematic
    label = file_label(place[0])
    significance = np.divide(rate, error, out=np.zeros_like(error), where=known & (error > 0))
    return Spectrum(
        *place,
        rate=np.where(known, rate, 0.0),
        stat_error=np.where(known, error, 0.0),
        sys_error=np.hypot(np.full(len(rate), systematic), unsure),
        quality=quality,
        grouping=group_channels(significance, quality == 0, group),
        exposure_s=float(keywords["EXPOSURE"]),
        response_file=f"isgri_rmf_{label}.fits",
        area_file=f"isgri_arf_{label}.fits",
        covariance=np.where(np.outer(known, known), covariance, 0.0),
        keywords={**keywords, "SYSTABLE": TABLE_VERSION},
    )


def _quality(rate: Array, error: Array, edges: Array, epoch: SpectralEpoch) -> NDArray[np.int16]:
    """OGIP's quality: 1 bad, 2 doubtful."""
    quality = np.where(edges[:-1] < epoch.usable_kev, 2, 0)
    bad = (edges[:-1] < epoch.doubtful_kev) | ~np.isfinite(rate) | ~(error > 0)
    flags: NDArray[np.int16] = np.where(bad, 1, quality).astype(np.int16)
    return flags


def _summed_keywords(parts: Sequence[_Part]) -> dict[str, Any]:
    first = dict(parts[0].keywords)
    if len(parts) == 1:
        return first
    totals = {key: float(sum(p.keywords.get(key, 0.0) for p in parts)) for key in _TOTALS}
    deadc = totals["EXPOSURE"] / totals["ONTIME"]
    ends = {
        "TSTART": min(p.keywords.get("TSTART", p.keywords["TFIRST"]) for p in parts),
        "TSTOP": max(p.keywords.get("TSTOP", p.keywords["TLAST"]) for p in parts),
        "TFIRST": min(p.keywords["TFIRST"] for p in parts),
        "TLAST": max(p.keywords["TLAST"] for p in parts),
    }
    gone = ("SWID", "OBTSTART", "OBTEND", "SIMULATE")
    common = {key: value for key, value in first.items() if key not in gone}
    simulated = {"SIMULATE": True} if all(p.keywords.get("SIMULATE") for p in parts) else {}
    latest = max(p.revolution for p in parts)
    return {**common, **totals, **ends, "DEADC": deadc, "NSCW": len(parts), "REVOL": latest, **simulated}


def _summed_response(parts: Sequence[_Part], weights: Sequence[float], responses: Mapping[int, Response]) -> Response:
    """Responses of the revolutions, weighted as the rates are."""
    shares: Counter[int] = Counter()
    for part, weight in zip(parts, weights, strict=True):
        shares[part.revolution] += weight or 1e-30  # type: ignore[assignment]
    return mean_response([responses[revolution] for revolution in shares], list(shares.values()))


def _response_of(revolution: int, edges: Array, raw: Mapping[str, Path]) -> Response:
    """Response of a revolution: the IC tree's, ``ic_rmf_<revolution>`` and ``ic_arf_<revolution>``, else nominal."""
    files = {kind: raw[f"{kind}_{revolution}"] for kind in ("ic_rmf", "ic_arf") if f"{kind}_{revolution}" in raw}
    response = response_of(files)
    return nominal_response(revolution, edges) if response is None else response.resampled(edges)


def _bands(rate: Array, covariance: Array, edges: Array) -> list[dict[str, float]]:
    """Rates between the edges of the structure's bands, as far as channels fill them."""
    bands = []
    for e1, e2 in pairwise(STRUCTURE_EDGES_KEV):
        inside = (edges[:-1] >= e1) & (edges[1:] <= e2) & np.isfinite(rate)
        if not inside.any():
            continue
        flux, error = float(rate[inside].sum()), float(np.sqrt(covariance[np.ix_(inside, inside)].sum()))
        low, high = float(edges[:-1][inside].min()), float(edges[1:][inside].max())
        significance = flux / error if error > 0 else 0.0
        bands.append({"e1_kev": low, "e2_kev": high, "flux": flux, "flux_error": error, "significance": significance})
    return bands


def save_spectra(value: Sequence[SourceSpectrum], folder: Path) -> None:
    """Write PHA, ARF, RMF and picture of every source, PHA II of its windows, and the lists of the summary."""
    written: dict[int, Path] = {}
    for item in value:
        label = file_label(item.spectrum.name)
        write_spectrum(folder / f"isgri_spectrum_{label}.fits", item.spectrum)
        rmf = folder / item.spectrum.response_file
        same = written.get(hash(item.response.matrix.tobytes()))
        if same is None:
            write_rmf(rmf, item.response, _FORM)
            written[hash(item.response.matrix.tobytes())] = rmf
        else:
            shutil.copyfile(same, rmf)
        write_arf(folder / item.spectrum.area_file, item.response, _FORM)
        if item.windows:
            labels, spectra = [scw for scw, _ in item.windows], [one for _, one in item.windows]
            write_spectra(folder / f"isgri_pha2_{label}.fits", spectra, labels)
        draw_spectrum(folder / f"spectrum_{label}.png", item.spectrum, item.response.channel_edges_kev)
    sources = [_listed(item) for item in value]
    (folder / LISTS_FILE).write_text(json.dumps({"sources": sources}), encoding="utf-8")


def _listed(item: SourceSpectrum) -> dict[str, Any]:
    spectrum = item.spectrum
    return {
        "name": spectrum.name,
        "ra_deg": spectrum.ra_deg,
        "dec_deg": spectrum.dec_deg,
        "exposure_s": spectrum.exposure_s,
        "bands": item.bands,
    }
