"""Fluxes in every unit with their limits: what stands in a line of a source list."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist
from typing import Any, Self

from integral_oda.instrument.energy import EnergyBand
from integral_oda.instrument.response import (
    CRAB_INDEX,
    CRAB_REFERENCE,
    NOMINAL_ORIGIN,
    Response,
    crab_photons,
    crab_rate,
    energy_flux,
    erg_per_count,
)
from integral_oda.products.source_list import SourceBand

__all__ = ["FluxScale", "flux_scale", "limit_90", "source_band"]

ERG_REFERENCE = f"power law of photon index {CRAB_INDEX:g}"
"""Spectrum that energy fluxes are stated for."""
_UNDERFLOW = -37.0
"""Sigma below which the normal distribution is too small for a number."""


@dataclass(frozen=True)
class FluxScale:
    """What a count/s is worth in a band.

    Attributes
    ----------
    crab_rate : float
        Rate of the Crab (`CRAB_REFERENCE`), counts/s.
    erg_per_count : float
        Energy flux (erg/cm2/s) in the band of a power law of photon index 2.1 that gives one count/s.
    origin : str
        The response that both come from.
    """

    crab_rate: float
    erg_per_count: float
    origin: str

    @property
    def cards(self) -> dict[str, Any]:
        """Keywords of an image or a list: both numbers and what they refer to."""
        return {
            "CRABRATE": self.crab_rate,
            "ERGCOUNT": self.erg_per_count,
            "CRABREF": CRAB_REFERENCE,
            "ERGREF": ERG_REFERENCE,
            "RESPORIG": self.origin,
        }

    @property
    def references(self) -> dict[str, Any]:
        """The same for a summary."""
        return {
            "crab_rate": self.crab_rate,
            "erg_per_count": self.erg_per_count,
            "crab": CRAB_REFERENCE,
            "erg_spectrum": ERG_REFERENCE,
            "response": self.origin,
        }

    @classmethod
    def from_cards(cls, header: Mapping[str, Any], band: EnergyBand) -> Self:
        """Scale that a header states; the nominal one of the band where it states none."""
        if "CRABRATE" in header and "ERGCOUNT" in header:
            return cls(float(header["CRABRATE"]), float(header["ERGCOUNT"]), str(header.get("RESPORIG", "")))
        nominal = flux_scale(band)
        return cls(nominal.crab_rate, nominal.erg_per_count, nominal.origin)


def flux_scale(band: EnergyBand, response: Response | None = None) -> FluxScale:
    """Scale of a band under a response of the epoch, else under the nominal effective area."""
    if response is None:
        return _nominal_scale(band)
    rate = response.band_rate(crab_photons, band)
    return FluxScale(rate, energy_flux(crab_photons, band) / rate, response.origin)


@lru_cache(maxsize=256)
def _nominal_scale(band: EnergyBand) -> FluxScale:
    return FluxScale(crab_rate(band), erg_per_count(band), NOMINAL_ORIGIN)


def source_band(
    band: EnergyBand,
    flux: float,
    error: float,
    *,
    noise: float = 1.0,
    systematic: float = 0.0,
    scale: FluxScale | None = None,
) -> SourceBand:
    """Flux of one band in all units, with its limits.

    Parameters
    ----------
    band : EnergyBand
    flux, error : float
        Counts/s, the error statistical.
    noise : float
        Width of the significance map about the place; the error is stretched by it where it is above 1.
    systematic : float
        Relative 1 sigma systematic.
    scale : FluxScale, optional
        The nominal one unless given.

    Returns
    -------
    SourceBand
        ``limit_3sigma`` is one-sided, the flux (if positive) plus three errors; ``limit_90`` is Bayesian with a flat
        prior on fluxes >= 0. Both are statistical.
    """
    worth = scale or flux_scale(band)
    error = error * max(1.0, noise)
    return SourceBand(
        e1_kev=band.e1_kev,
        e2_kev=band.e2_kev,
        flux=flux,
        flux_error=error,
        significance=flux / error,
        flux_mcrab=1000 * flux / worth.crab_rate,
        flux_erg=flux * worth.erg_per_count,
        limit_3sigma=max(flux, 0.0) + 3 * error,
        limit_90=limit_90(flux, error),
        flux_systematic=abs(flux) * systematic,
        flux_error_mcrab=1000 * error / worth.crab_rate,
        flux_error_erg=error * worth.erg_per_count,
    )


def limit_90(flux: float, error: float) -> float:
    """Flux that 90 % of the posterior lies below: Gaussian likelihood, flat prior on fluxes >= 0."""
    depth = flux / error
    if depth < _UNDERFLOW:
        return -error * math.log(10) / depth  # an exponential tail, to 2 parts in 1000
    return flux - error * NormalDist().inv_cdf(0.1 * math.erfc(-depth / math.sqrt(2)) / 2)
