"""Photon spectra of hard X-ray sources as `astropy.modeling` models, in XSPEC's parameters.

All take an energy in keV. Additive ones give photons/cm2/s/keV and have a parameter ``norm`` that they are
proportional to; multiplicative ones give a factor. Definitions: XSPEC manual, chapter 6.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from astropy.modeling import Fittable1DModel, Parameter

from integral_oda.arrays import Array

__all__ = [
    "ADDITIVE",
    "MULTIPLICATIVE",
    "UNITS",
    "BandFunction",
    "BlackBody",
    "BrokenPowerLaw",
    "Constant",
    "CutoffPowerLaw",
    "DiskBlackBody",
    "GaussianLine",
    "HighEnergyCutoff",
    "PowerLaw",
    "TwiceBrokenPowerLaw",
]

_LARGEST_EXPONENT = 500.0
_NORM = {"default": 1.0, "bounds": (0.0, None)}
_DISK_TEMPERATURES = 48
# 8 pi / 3 (km / 10 kpc)^2 2 / (h^3 c^2), in photons/cm2/s/keV for energies in keV
_DISK_CONSTANT = 2.768e-3
# XSPEC manual, bbody: norm is the luminosity in 1e39 erg/s over the square of the distance in 10 kpc
_BLACK_BODY_CONSTANT = 8.0525


class _OfEnergy(Fittable1DModel):  # type: ignore[misc]  # astropy.modeling is not typed
    """A model of plain numbers: astropy would take the type annotations of ``evaluate`` for units."""

    @property
    def input_units(self) -> None:
        """None."""
        return


class PowerLaw(_OfEnergy):
    """Power law, ``norm`` photons/cm2/s/keV at 1 keV."""

    index = Parameter(default=2.0, bounds=(-3.0, 10.0))
    norm = Parameter(**_NORM)

    @staticmethod
    def evaluate(x: Any, index: Any, norm: Any) -> Array:
        """Photons/cm2/s/keV."""
        return norm * x ** (-index)


class CutoffPowerLaw(_OfEnergy):
    """Power law with an exponential cut-off at ``e_cut`` keV."""

    index = Parameter(default=1.5, bounds=(-3.0, 10.0))
    e_cut = Parameter(default=100.0, bounds=(1.0, 10000.0))
    norm = Parameter(**_NORM)

    @staticmethod
    def evaluate(x: Any, index: Any, e_cut: Any, norm: Any) -> Array:
        """Photons/cm2/s/keV."""
        return norm * x ** (-index) * np.exp(-x / e_cut)


class BrokenPowerLaw(_OfEnergy):
    """Power law whose index changes at ``e_break`` keV; ``norm`` at 1 keV of the first part."""

    index1 = Parameter(default=2.0, bounds=(-3.0, 10.0))
    e_break = Parameter(default=100.0, bounds=(10.0, 1000.0))
    index2 = Parameter(default=2.3, bounds=(-3.0, 10.0))
    norm = Parameter(**_NORM)

    @staticmethod
    def evaluate(x: Any, index1: Any, e_break: Any, index2: Any, norm: Any) -> Array:
        """Photons/cm2/s/keV."""
        low = norm * x ** (-index1)
        return low * np.where(x <= e_break, 1.0, (x / e_break) ** (index1 - index2))


class TwiceBrokenPowerLaw(_OfEnergy):
    """Power law with two breaks; the defaults are those that the Crab has been fitted with between X and gamma rays."""

    index1 = Parameter(default=2.08, bounds=(-3.0, 10.0))
    e_break1 = Parameter(default=20.0, fixed=True, bounds=(1.0, 1000.0))
    index2 = Parameter(default=2.07, bounds=(-3.0, 10.0))
    e_break2 = Parameter(default=100.0, fixed=True, bounds=(1.0, 1000.0))
    index3 = Parameter(default=2.27, bounds=(-3.0, 10.0))
    norm = Parameter(**_NORM)

    @staticmethod
    def evaluate(x: Any, index1: Any, e_break1: Any, index2: Any, e_break2: Any, index3: Any, norm: Any) -> Array:
        """Photons/cm2/s/keV."""
        low = norm * x ** (-index1)
        middle = np.where(x <= e_break1, 1.0, (x / e_break1) ** (index1 - index2))
        return low * middle * np.where(x <= e_break2, 1.0, (x / e_break2) ** (index2 - index3))


class BandFunction(_OfEnergy):
    """Band function of gamma-ray bursts (Band et al. 1993), ``norm`` at 100 keV; ``tem`` is the e-folding energy."""

    alpha = Parameter(default=-1.0, bounds=(-5.0, 3.0))
    beta = Parameter(default=-2.3, bounds=(-10.0, 2.0))
    tem = Parameter(default=200.0, bounds=(10.0, 10000.0))
    norm = Parameter(**_NORM)

    @staticmethod
    def evaluate(x: Any, alpha: Any, beta: Any, tem: Any, norm: Any) -> Array:
        """Photons/cm2/s/keV."""
        difference = np.maximum(alpha - beta, 1e-9)
        turn = difference * tem
        low = (x / 100.0) ** alpha * np.exp(-x / tem)
        high = (x / 100.0) ** beta * (turn / 100.0) ** difference * np.exp(-difference)
        return norm * np.where(x < turn, low, high)


class BlackBody(_OfEnergy):
    """Black body of temperature ``kt`` keV; ``norm`` is L39 / D10^2."""

    kt = Parameter(default=3.0, bounds=(0.01, 100.0))
    norm = Parameter(**_NORM)

    @staticmethod
    def evaluate(x: Any, kt: Any, norm: Any) -> Array:
        """Photons/cm2/s/keV."""
        return norm * _BLACK_BODY_CONSTANT * x**2 / (kt**4 * np.expm1(np.minimum(x / kt, _LARGEST_EXPONENT)))


class DiskBlackBody(_OfEnergy):
    """Disk of many black bodies (Mitsuda et al. 1984), ``t_in`` keV; ``norm`` is (R_in/km / D10)^2 cos(theta)."""

    t_in = Parameter(default=3.0, bounds=(0.01, 100.0))
    norm = Parameter(**_NORM)

    @staticmethod
    def evaluate(x: Any, t_in: Any, norm: Any) -> Array:
        """Photons/cm2/s/keV: the integral over the temperature t of t^(-11/3) / (exp(E / t T) - 1), in u = 1 / t."""
        node, weight = np.polynomial.laguerre.laggauss(_DISK_TEMPERATURES)
        reduced = np.asarray(x, dtype=float)[..., None] / np.asarray(t_in, dtype=float)[..., None]
        u = 1.0 + node / reduced
        decay = np.exp(-np.minimum(reduced, _LARGEST_EXPONENT))[..., 0]
        kernel = u ** (5.0 / 3.0) / -np.expm1(-np.minimum(reduced * u, _LARGEST_EXPONENT))
        integral = decay * (kernel * weight).sum(axis=-1) / reduced[..., 0]
        return norm * _DISK_CONSTANT * x**2 * integral


class GaussianLine(_OfEnergy):
    """Line at ``line_e`` keV of 1 sigma width ``sigma`` keV; ``norm`` photons/cm2/s in all of it."""

    line_e = Parameter(default=60.0, bounds=(5.0, 1000.0))
    sigma = Parameter(default=3.0, bounds=(0.3, 200.0))
    norm = Parameter(**_NORM)

    @staticmethod
    def evaluate(x: Any, line_e: Any, sigma: Any, norm: Any) -> Array:
        """Photons/cm2/s/keV."""
        return norm * np.exp(-0.5 * ((x - line_e) / sigma) ** 2) / (np.sqrt(2 * np.pi) * sigma)


class HighEnergyCutoff(_OfEnergy):
    """Factor exp((e_cut - E) / e_fold) above ``e_cut`` keV."""

    e_cut = Parameter(default=20.0, bounds=(1.0, 1000.0))
    e_fold = Parameter(default=30.0, bounds=(1.0, 10000.0))

    @staticmethod
    def evaluate(x: Any, e_cut: Any, e_fold: Any) -> Array:
        """Factor."""
        return np.exp(np.minimum((e_cut - x) / e_fold, 0.0))


class Constant(_OfEnergy):
    """The same factor at all energies."""

    factor = Parameter(default=1.0, fixed=True, bounds=(0.0, 1e10))

    @staticmethod
    def evaluate(x: Any, factor: Any) -> Array:
        """Factor."""
        return factor * np.ones_like(np.asarray(x, dtype=float))


ADDITIVE: dict[str, type[Fittable1DModel]] = {
    "powerlaw": PowerLaw,
    "cutoffpl": CutoffPowerLaw,
    "bknpower": BrokenPowerLaw,
    "bkn2pow": TwiceBrokenPowerLaw,
    "grbm": BandFunction,
    "bbody": BlackBody,
    "diskbb": DiskBlackBody,
    "gaussian": GaussianLine,
}
MULTIPLICATIVE: dict[str, type[Fittable1DModel]] = {"highecut": HighEnergyCutoff, "constant": Constant}
_ENERGIES = ("e_cut", "e_fold", "e_break", "e_break1", "e_break2", "tem", "kt", "t_in", "line_e", "sigma")
UNITS = {
    **dict.fromkeys(_ENERGIES, "keV"),
    **dict.fromkeys(["index", "index1", "index2", "index3", "alpha", "beta", "factor"], ""),
}
"""Units of the parameters; that of ``norm`` is its component's."""
