"""From fitted fluxes to lines of a source list: support transmission, local noise, units of the epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from integral_oda.archive.ic_files import read_off_axis_maps
from integral_oda.engines.native.calibration import of_kind
from integral_oda.imaging.search import FieldModel
from integral_oda.imaging.sky import local_noise, score_map
from integral_oda.instrument.attitude import tangents_to_pixel
from integral_oda.instrument.energy import EnergyBand
from integral_oda.instrument.response import Response
from integral_oda.instrument.transmission import SupportTransmission
from integral_oda.products.photometry import FluxScale, flux_scale, source_band
from integral_oda.products.response_file import read_response
from integral_oda.products.source_list import SourceBand

__all__ = ["Photometry", "noise_at", "response_of", "support_of"]

Tangents = tuple[float, float]


def support_of(raw: Mapping[str, Path], bands: Sequence[EnergyBand]) -> list[SupportTransmission]:
    """Transmission of the support in each band: the IC tree's off-axis maps, else 1."""
    energies = [float(np.sqrt(band.e1_kev * band.e2_kev)) for band in bands]
    path = of_kind(raw, "effi").get("effi")
    if path is None:
        return [SupportTransmission(energy) for energy in energies]
    maps = read_off_axis_maps(path)
    return [SupportTransmission(energy, maps.mean(band)) for energy, band in zip(energies, bands, strict=True)]


def response_of(raw: Mapping[str, Path]) -> Response | None:
    """Response of the IC tree among a step's files; None where the nominal one is to be taken."""
    files = of_kind(raw, "rmf", "arf")
    if "rmf" not in files:
        return None
    labels = " and ".join(path.name.removesuffix(".gz").removesuffix(".fits") for path in files.values())
    return read_response(files["rmf"], files.get("arf"), f"IC {labels}")


@dataclass(frozen=True)
class Photometry:
    """How the fluxes of a window become lines of its source list; lists with one entry a band."""

    bands: Sequence[EnergyBand]
    support: Sequence[SupportTransmission]
    scales: Sequence[FluxScale]

    @classmethod
    def of(cls, bands: Sequence[EnergyBand], raw: Mapping[str, Path]) -> Photometry:
        """What a step's files of the IC tree give, nominal where there are none."""
        response = response_of(raw)
        return cls(bands, support_of(raw, bands), [flux_scale(band, response) for band in bands])

    def band(self, k: int, place: Tangents, flux: float, error: float, noise: float = 1.0) -> SourceBand:
        """Line of a band: the flux divided by the support's transmission, its error stretched by the local noise."""
        through = self.support[k].at(*place)
        systematic = self.support[k].systematic(*place)
        return source_band(
            self.bands[k], flux / through, error / through, noise=noise, systematic=systematic, scale=self.scales[k]
        )


def noise_at(model: FieldModel, sources: Sequence[Tangents], place: Tangents) -> float:
    """Width of the significance map about a place, the fitted sources taken away; at least 1."""
    information = model.information
    with np.errstate(divide="ignore", invalid="ignore"):
        significance = score_map(model.covariance, model.residual(sources)) / np.sqrt(information)
    observed = information > _OBSERVED_SHARE * information.max()
    width = local_noise(np.where(observed, significance, np.nan))
    column, row = (round(float(c)) for c in tangents_to_pixel(*place))
    inside = 0 <= row < width.shape[0] and 0 <= column < width.shape[1]
    return float(width[row, column]) if inside and np.isfinite(width[row, column]) else 1.0


_OBSERVED_SHARE = 0.004
