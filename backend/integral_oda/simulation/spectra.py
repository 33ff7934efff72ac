"""Count spectra of sources and background under a nominal response of ISGRI."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, singledispatch
from typing import Self

import numpy as np
from numpy.typing import NDArray

from integral_oda.arrays import Array
from integral_oda.instrument.response import CRAB_INDEX, CRAB_NORM, effective_area_cm2, redistribution
from integral_oda.simulation.recipe import (
    BackgroundModel,
    BandFunction,
    BrokenPowerLaw,
    CutoffPowerLaw,
    Flux,
    HighEnergyCutoff,
    PowerLaw,
)

__all__ = [
    "CountSpectrum",
    "background_spectrum",
    "photon_spectrum",
    "source_spectrum",
]
AnyModel = PowerLaw | CutoffPowerLaw | BandFunction | HighEnergyCutoff | BrokenPowerLaw

_STEP_KEV = 0.5
_EDGES_KEV: Array = np.arange(13.5, 1000.0 + _STEP_KEV / 2, _STEP_KEV)
_CENTRES_KEV: Array = (_EDGES_KEV[:-1] + _EDGES_KEV[1:]) / 2
_ERG_A_KEV = 1.602176634e-9


@dataclass(frozen=True, eq=False)
class CountSpectrum:
    """Counts/s in bins of measured energy.

    Attributes
    ----------
    edges_kev : ndarray, shape (n + 1,)
        Bin edges.
    rate : ndarray, shape (n,)
        Counts/s in each bin.
    """

    edges_kev: Array
    rate: Array

    @property
    def total(self) -> float:
        """Counts/s over all energies."""
        return float(self.rate.sum())

    @property
    def mean_energy_kev(self) -> float:
        """Mean energy of the counts; the middle of the range if there are none."""
        centres = (self.edges_kev[1:] + self.edges_kev[:-1]) / 2
        return float(np.average(centres, weights=self.rate if self.rate.any() else None))

    def band_rate(self, e1_kev: float, e2_kev: float) -> float:
        """Counts/s in [e1_kev, e2_kev); a bin that is cut counts in part."""
        cumulative = np.concatenate([[0.0], np.cumsum(self.rate)])
        return float(np.diff(np.interp([e1_kev, e2_kev], self.edges_kev, cumulative))[0])

    def cut(self, e1_kev: float, e2_kev: float) -> Self:
        """The part between two bin edges."""
        first, last = np.searchsorted(self.edges_kev, [e1_kev - 1e-6, e2_kev - 1e-6])
        return type(self)(self.edges_kev[first : last + 1], self.rate[first:last])

    def scaled(self, factor: float) -> Self:
        """The same shape, ``factor`` times as bright."""
        return type(self)(self.edges_kev, self.rate * factor)

    def draw_energies(self, n: int, rng: np.random.Generator) -> NDArray[np.float32]:
        """Draw ``n`` energies in keV."""
        if n == 0:
            return np.empty(0, np.float32)
        cumulative = np.concatenate([[0.0], np.cumsum(self.rate)])
        return np.interp(rng.random(n) * cumulative[-1], cumulative, self.edges_kev).astype(np.float32)


@singledispatch
def photon_spectrum(model: AnyModel, energy_kev: Array) -> Array:
    """Photons/cm2/s/keV, 1 at 100 keV for the Band function, else 1 at 1 keV of the (first) power law."""
    raise NotImplementedError(type(model).__name__)


@photon_spectrum.register
def _(model: PowerLaw, energy_kev: Array) -> Array:
    return energy_kev**-model.index


@photon_spectrum.register
def _(model: CutoffPowerLaw, energy_kev: Array) -> Array:
    return energy_kev**-model.index * np.exp(-energy_kev / model.cutoff_kev)


@photon_spectrum.register
def _(model: HighEnergyCutoff, energy_kev: Array) -> Array:
    return energy_kev**-model.index * np.exp(-np.clip(energy_kev - model.cutoff_kev, 0, None) / model.fold_kev)


@photon_spectrum.register
def _(model: BrokenPowerLaw, energy_kev: Array) -> Array:
    photons = energy_kev ** -model.indices[0]
    for edge, before, after in zip(model.breaks_kev, model.indices, model.indices[1:], strict=False):
        photons *= np.where(energy_kev > edge, (energy_kev / edge) ** (before - after), 1.0)
    return photons


@photon_spectrum.register
def _(model: BandFunction, energy_kev: Array) -> Array:
    difference = model.alpha - model.beta
    turn = difference * model.e_c_kev
    low = (energy_kev / 100) ** model.alpha * np.exp(-energy_kev / model.e_c_kev)
    high = (energy_kev / 100) ** model.beta * (turn / 100) ** difference * np.exp(-difference)
    return np.where(energy_kev < turn, low, high)


def source_spectrum(model: AnyModel, flux: Flux, revolution: int) -> CountSpectrum:
    """Count spectrum of a source that has the flux asked for, in OSA's rate unit."""
    shape = _folded(model, revolution)
    if flux.unit == "erg/cm2/s":
        inside = (flux.band[0] <= _CENTRES_KEV) & (flux.band[1] > _CENTRES_KEV)
        energy = photon_spectrum(model, _CENTRES_KEV) * _CENTRES_KEV
        return shape.scaled(flux.value / float(energy[inside].sum() * _STEP_KEV * _ERG_A_KEV))
    rate = flux.value
    if flux.unit == "mCrab":
        rate *= 1e-3 * CRAB_NORM * _folded(PowerLaw(index=CRAB_INDEX), revolution).band_rate(*flux.band)
    return shape.scaled(rate / shape.band_rate(*flux.band))


def background_spectrum(model: BackgroundModel, revolution: int) -> CountSpectrum:
    """Count spectrum of the background of the whole plane, before dead time and thresholds."""
    energies, levels = np.log(np.array(sorted(model.continuum))).T
    continuum = np.exp(np.interp(np.log(_CENTRES_KEV), energies, levels))
    spectrum = CountSpectrum(_EDGES_KEV, continuum * _STEP_KEV)
    spectrum = spectrum.scaled(1.0 / spectrum.band_rate(*model.band))
    blur = _redistribution(revolution)
    rate = spectrum.rate.copy()
    for line in model.lines:
        rate += line.fraction * blur[np.searchsorted(_EDGES_KEV, line.energy_kev, side="right") - 1]
    spectrum = CountSpectrum(_EDGES_KEV, rate)
    return spectrum.scaled(model.rate / spectrum.band_rate(*model.band))


def _folded(model: AnyModel, revolution: int) -> CountSpectrum:
    detected = photon_spectrum(model, _CENTRES_KEV) * effective_area_cm2(_CENTRES_KEV) * _STEP_KEV
    return CountSpectrum(_EDGES_KEV, detected @ _redistribution(revolution))


@cache
def _redistribution(revolution: int) -> Array:
    """Fractions of each true energy (rows) in each bin of measured energy (columns)."""
    return redistribution(_CENTRES_KEV, _EDGES_KEV, revolution)
