"""Response of ISGRI: effective area, redistribution, and the conversions that follow from them.

A `Response` is one matrix of cm2, counts in a channel for a photon/cm2 of an energy. Its files come in two forms: in
OSA 10's the ARF holds the area and the RMF is normalised, in OSA 11's the RMF holds the area and the ARF is 1;
`Response.parts` gives either. Where no IC tree has the real one, `nominal_response` is the built-in model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from integral_oda.arrays import Array
from integral_oda.errors import RequestError
from integral_oda.instrument.energy import EnergyBand, resolution_sigma_kev

__all__ = [
    "CRAB_INDEX",
    "CRAB_NORM",
    "CRAB_REFERENCE",
    "NOMINAL_ORIGIN",
    "Response",
    "ResponseForm",
    "crab_photons",
    "crab_rate",
    "effective_area_cm2",
    "energy_flux",
    "erg_per_count",
    "mean_response",
    "nominal_response",
    "osa_channel_edges_kev",
    "redistribution",
]

ResponseForm = Literal["OSA10", "OSA11"]
"""Which file holds the area: the ARF (OSA 10) or the RMF (OSA 11)."""
NOMINAL_ORIGIN = "nominal: area of ii_shadow_build, Gaussian redistribution"
CRAB_NORM, CRAB_INDEX = 9.7, 2.1
CRAB_REFERENCE = "power law, 9.7 ph/cm2/s/keV at 1 keV, photon index 2.1"
_KEV_IN_ERG = 1.602176634e-9
_NOMINAL_ENERGY_EDGES = np.arange(13.0, 1200.01, 0.5)
_EDGE_TOLERANCE = 1e-3
"""Share of a channel by which an edge that is asked for may miss the response's own."""


@dataclass(frozen=True, eq=False)
class Response:
    """What a spectrum of photons becomes in the channels of the detector.

    Attributes
    ----------
    energy_edges_kev : ndarray
        ``(n + 1,)`` edges of the photon energies.
    channel_edges_kev : ndarray
        ``(m + 1,)`` nominal edges of the channels.
    matrix : ndarray
        ``(n, m)`` cm2, effective area included. A row that is all zero is an energy for which no response is known.
    origin : str
        Where it comes from; written into the headers of what is made with it.
    first_channel : int
        Number of the first channel, 0 in OSA's files.
    """

    energy_edges_kev: Array
    channel_edges_kev: Array
    matrix: Array
    origin: str
    first_channel: int = 0

    def __post_init__(self) -> None:
        shape = (len(self.energy_edges_kev) - 1, len(self.channel_edges_kev) - 1)
        if self.matrix.shape != shape:
            raise RequestError(
                "response", self.matrix.shape, f"its edges make {shape[0]} energies by {shape[1]} channels"
            )

    @property
    def energies_kev(self) -> Array:
        """Middles of the photon energies, ``(n,)`` keV."""
        return (self.energy_edges_kev[1:] + self.energy_edges_kev[:-1]) / 2

    @property
    def area_cm2(self) -> Array:
        """Effective area over all channels, ``(n,)`` cm2: the sums of the rows."""
        return self.matrix.sum(axis=1)

    @property
    def incomplete_kev(self) -> tuple[float, float] | None:
        """Range of the energies without any response between others that have one; None if there is none."""
        lit = np.flatnonzero(self.area_cm2 > 0)
        empty = np.setdiff1d(np.arange(lit[0], lit[-1]), lit) if len(lit) else lit
        if not len(empty):
            return None
        return float(self.energy_edges_kev[empty[0]]), float(self.energy_edges_kev[empty[-1] + 1])

    def fold(self, model: Callable[[Array], Array] | Array) -> Array:
        """Count rate in each channel, ``(m,)`` counts/s in the unit of fluxes.

        Parameters
        ----------
        model : callable or ndarray
            Photons/cm2/s/keV of energies in keV, taken at the middle of each energy bin; or photons/cm2/s already
            integrated over the energy bins, ``(n,)``.
        """
        photons = model(self.energies_kev) * np.diff(self.energy_edges_kev) if callable(model) else np.asarray(model)
        rates: Array = photons @ self.matrix
        return rates

    def band_rate(self, model: Callable[[Array], Array] | Array, band: EnergyBand) -> float:
        """Count rate in a band of channels, counts/s; a channel that is cut counts in part."""
        cumulative = np.concatenate([[0.0], np.cumsum(self.fold(model))])
        return float(np.diff(np.interp(band, self.channel_edges_kev, cumulative))[0])

    def parts(self, form: ResponseForm) -> tuple[Array, Array]:
        """ARF ``(n,)`` and RMF ``(n, m)`` whose product is this response.

        Parameters
        ----------
        form : {"OSA10", "OSA11"}
            OSA10: area in cm2 and rows that sum to 1 (0 where there is no area); OSA11: ones, and the matrix in cm2.
        """
        area = self.area_cm2
        if form == "OSA11":
            return np.ones_like(area), self.matrix
        return area, self.matrix / np.where(area > 0, area, 1.0)[:, None]

    def resampled(self, channel_edges_kev: Array) -> Self:
        """The same response on other channels: a channel that is cut gives each its share; outside there is nothing.

        Parameters
        ----------
        channel_edges_kev : ndarray
            Rising edges.
        """
        edges = np.asarray(channel_edges_kev, dtype=float)
        cumulative = np.pad(np.cumsum(self.matrix, axis=1), ((0, 0), (1, 0)))
        place = np.interp(edges, self.channel_edges_kev, np.arange(len(self.channel_edges_kev)))
        low = np.minimum(place.astype(int), cumulative.shape[1] - 2)
        part = place - low
        at_edges = cumulative[:, low] * (1 - part) + cumulative[:, low + 1] * part
        return replace(self, channel_edges_kev=edges, matrix=np.diff(at_edges, axis=1), first_channel=0)

    def rebinned(self, channel_edges_kev: Array) -> Self:
        """The same response on fewer channels.

        Parameters
        ----------
        channel_edges_kev : ndarray
            Edges to keep, each an edge of the channels; channels beyond the first and the last are left out.

        Raises
        ------
        RequestError
            If an edge asked for is none of the response.
        """
        wanted = np.asarray(channel_edges_kev, dtype=float)
        own = self.channel_edges_kev
        index = np.abs(own[None, :] - wanted[:, None]).argmin(axis=1)
        width = np.diff(own).min()
        for edge, nearest in zip(wanted, own[index], strict=True):
            if abs(edge - nearest) > _EDGE_TOLERANCE * width:
                raise RequestError(
                    "channels", f"{edge:g} keV", f"no edge of the response; the nearest is {nearest:g} keV"
                )
        if len(index) < 2 or np.any(np.diff(index) < 1):
            raise RequestError("channels", wanted.tolist(), "edges must rise, two at least")
        sums = np.add.reduceat(self.matrix[:, index[0] : index[-1]], index[:-1] - index[0], axis=1)
        return replace(self, channel_edges_kev=own[index], matrix=sums, first_channel=0)


def mean_response(responses: Sequence[Response], weights: Sequence[float]) -> Response:
    """Weighted mean of responses with the same channels, on the photon energies of the first.

    Parameters
    ----------
    responses : sequence of Response
    weights : sequence of float
    """
    first = responses[0]
    shares = np.asarray(weights, dtype=float) / np.sum(weights)
    matrix = np.zeros_like(first.matrix)
    for share, response in zip(shares, responses, strict=True):
        nearest = np.searchsorted(response.energy_edges_kev, first.energies_kev, side="right") - 1
        inside = (nearest >= 0) & (nearest < len(response.energies_kev))
        matrix[inside] += share * response.matrix[nearest[inside]]
    origins = dict.fromkeys(response.origin for response in responses)
    return replace(first, matrix=matrix, origin="; ".join(origins))


def osa_channel_edges_kev() -> Array:
    """Edges of the 256 channels of OSA 11, ``(257,)`` keV: 12.5 to 1029.5, widths that follow the resolution."""
    number = np.arange(1, 257)
    return 12.5 + np.concatenate([[0.0], np.cumsum(0.5 * (1 + np.round(0.054 * number)))])


def nominal_response(revolution: int, channel_edges_kev: Array | None = None) -> Response:
    """Built-in response of an epoch: the analytic area of `effective_area_cm2`, blurred by the energy resolution.

    A Crab folded through this model has, of the rate that the real responses of OSA 10 (revolution 51) and of OSA 11
    (revolution 2558) give, 0.86 and 0.76 in 28-40 keV, 0.98 and 0.86 in 40-80, 1.09 and 0.92 in 60-100, 1.11 and 1.21
    in 100-200 keV, and twice that rate in 200-400 keV. Real matrices also put counts below the photopeak (escape of Cd
    and Te lines, Compton scattering: 10 to 14 % of them at 60 keV, 15 to 21 % at 150, half at 300 keV); this one does
    not.

    Parameters
    ----------
    revolution : int
        For the resolution.
    channel_edges_kev : ndarray, optional
        ``(m + 1,)``; OSA's 256 channels unless given. Counts beyond the outer edges are lost.

    Returns
    -------
    Response
        Energies of 13 to 1200 keV in steps of 0.5 keV.
    """
    edges = osa_channel_edges_kev() if channel_edges_kev is None else np.asarray(channel_edges_kev, dtype=float)
    return _nominal(int(revolution), tuple(edges.tolist()))


@lru_cache(maxsize=8)
def _nominal(revolution: int, channel_edges: tuple[float, ...]) -> Response:
    channels = np.array(channel_edges)
    centres = (_NOMINAL_ENERGY_EDGES[1:] + _NOMINAL_ENERGY_EDGES[:-1]) / 2
    matrix = redistribution(centres, channels, revolution) * effective_area_cm2(centres)[:, None]
    for array in (channels, matrix):
        array.flags.writeable = False
    return Response(_NOMINAL_ENERGY_EDGES, channels, matrix, NOMINAL_ORIGIN)


def redistribution(energy_kev: Array, channel_edges_kev: Array, revolution: int) -> Array:
    """Share of the counts of each photon energy that falls into each channel, ``(n, m)``: a Gaussian photopeak."""
    from scipy.special import ndtr

    reach = (channel_edges_kev[None, :] - energy_kev[:, None]) / resolution_sigma_kev(energy_kev, revolution)[:, None]
    shares: Array = np.diff(ndtr(reach), axis=1)
    return shares


def effective_area_cm2(energy_kev: Any) -> NDArray[np.float64]:
    """Effective area through the half-open mask, cm2: the analytic weight of OSA's ii_shadow_build."""
    energy = np.asarray(energy_kev, dtype=float)
    above = np.maximum(energy - 13.44, 0.0)
    return 84.3 * above**0.85 * (25900 + energy) / (27200 + energy**2.47)


def crab_photons(energy_kev: Any) -> NDArray[np.float64]:
    """Photons/cm2/s/keV of the Crab (`CRAB_REFERENCE`)."""
    return CRAB_NORM * np.asarray(energy_kev, dtype=float) ** -CRAB_INDEX


def crab_rate(band: EnergyBand) -> float:
    """Rate of the Crab (`CRAB_REFERENCE`) in a band at full efficiency, counts/s."""
    energy, width = _grid(band)
    return float((crab_photons(energy) * effective_area_cm2(energy)).sum() * width)


def erg_per_count(band: EnergyBand, index: float = CRAB_INDEX) -> float:
    """Energy flux in the band of a power law that gives one count/s, erg/cm2/s."""
    energy, width = _grid(band)
    rate = (energy**-index * effective_area_cm2(energy)).sum() * width
    return energy_flux(lambda e: e**-index, band) / float(rate)


def energy_flux(photons: Callable[[Array], Array], band: EnergyBand) -> float:
    """Energy flux in a band, erg/cm2/s, of photons/cm2/s/keV as a function of energy in keV."""
    energy, width = _grid(band)
    return float((photons(energy) * energy).sum() * width * _KEV_IN_ERG)


def _grid(band: EnergyBand) -> tuple[Array, float]:
    steps = round((band.e2_kev - band.e1_kev) / 0.1)
    width = (band.e2_kev - band.e1_kev) / steps
    return band.e1_kev + (np.arange(steps) + 0.5) * width, width
