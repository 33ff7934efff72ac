"""Energies from pulse height and rise time, as OSA 11's ibis_isgr_energy reconstructs them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from integral_oda.arrays import Array
from integral_oda.instrument.detector import N_MODULES

__all__ = ["DEFAULT_TEMPERATURE_C", "EnergyCalibration"]

DEFAULT_TEMPERATURE_C = -8.0
"""Temperature of the modules where no housekeeping gives it."""
SEED = 500
"""Seed of the randomisation within a channel, that of OSA."""
_BIAS = 1.2
_OFFSET_POWER = np.array([-1.8, -2.0, -2.3, -2.7, -0.5, -2.4, -0.8, -0.5])
"""Power of the temperature that a module's amplitude offset goes with."""
_N_RISE, _N_AMPLITUDE = 256, 2048


@dataclass(frozen=True, eq=False)
class EnergyCalibration:
    """Tables of the reconstruction.

    Attributes
    ----------
    pixel_terms : ndarray
        ``(4, 16384)`` gain and offset of amplitude, gain and offset of rise time; pixel 128 Y + Z, before the scaling
        by temperature and bias.
    energies_kev : ndarray
        ``(2048, 256)`` energy of amplitude and corrected rise time.
    module_terms : ndarray
        ``(8, 6)`` offset, gain and inverse gain of amplitude, offset and gain of rise time, and the cross gain.
    drift : ndarray
        ``(n, 6)`` IJD; offset, gain and quadratic gain of amplitude; offset and gain of rise time.
    """

    pixel_terms: Array
    energies_kev: Array
    module_terms: Array
    drift: Array

    @classmethod
    def from_tables(
        cls,
        lut1: Sequence[Array],
        lut2: Sequence[Array],
        mcec: Sequence[Array] | None = None,
        l2re: Sequence[Array] | None = None,
    ) -> Self:
        """Tables from the columns of the IC files.

        Parameters
        ----------
        lut1 : sequence of ndarray
            AGAIN, AOFFSET, RTGAIN, RTOFFSET, each ``(16384,)``.
        lut2 : sequence of ndarray
            ENERGY ``(2048,)`` and CORR ``(2048, 256)``.
        mcec : sequence of ndarray, optional
            MCE, PHA_OFFSET, PHA_GAIN, PHA_GAIN2, RT_OFFSET, RT_GAIN, RT_PHA_GAIN; identity unless given.
        l2re : sequence of ndarray, optional
            IJD, PHA_OFFSET, PHA_GAIN, PHA_GAIN2, RT_OFFSET, RT_GAIN; identity unless given.
        """
        gain, offset, rise_gain, rise_offset = lut1
        pixel = np.stack([2 * gain / 10, 2 * offset, 30 * rise_gain / 100, 20 * (rise_offset + 2)])
        energy, correction = lut2
        modules = np.tile([0.0, 1.0, 0.0, 0.0, 1.0, 0.0], (N_MODULES, 1))
        if mcec is not None:
            modules[mcec[0].astype(int)] = np.stack(mcec[1:], axis=1)
        drift = np.array([[0.0, 0.0, 1.0, 0.0, 0.0, 1.0]]) if l2re is None else np.stack(l2re, axis=1)
        drift = drift[np.argsort(drift[:, 0], kind="stable")]
        return cls(pixel, energy[:, None] * correction, modules, drift)

    def energies(
        self,
        amplitude: NDArray[np.integer],
        rise_time: NDArray[np.integer],
        isgri_y: NDArray[np.integer],
        isgri_z: NDArray[np.integer],
        time_ijd: Array,
        temperature_c: Array | None = None,
    ) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Energy (keV) and corrected rise time (ISGRI_PI) of events.

        Parameters
        ----------
        amplitude, rise_time : ndarray
            ``(n,)`` ISGRI_PHA (0 to 2047) and RISE_TIME (0 to 127).
        isgri_y, isgri_z : ndarray
            ``(n,)`` 0 to 127.
        time_ijd : ndarray
            ``(n,)``; the drift is taken at its mean, a science window is short for it.
        temperature_c : ndarray, optional
            ``(8,)`` of the modules.

        Returns
        -------
        energy_kev : ndarray of float32
            ``(n,)``, 0 where the tables give less.
        rise_time : ndarray of uint8
            ``(n,)`` 0 to 255.
        """
        generator = np.random.default_rng(SEED)
        pixel = 128 * isgri_y.astype(np.int64) + isgri_z
        p = amplitude + generator.uniform(-0.5, 0.5, len(pixel))
        r = 2 * (rise_time + generator.uniform(-0.5, 0.5, len(pixel))) / 2.4 + 5
        gain, offset, rise_gain, rise_offset = self._scaled(temperature_c)[:, pixel]
        p, r = p * gain + offset, r * rise_gain + rise_offset
        module = 7 - isgri_z.astype(np.int64) // 32 - 4 * (isgri_y.astype(np.int64) // 64)
        p, r = self._drifted(*self._of_modules(p, r, module), float(np.mean(time_ijd)))
        return self._looked_up(p, r)

    def _scaled(self, temperature_c: Array | None) -> Array:
        """Terms of the pixels at the modules' temperatures."""
        celsius = np.full(N_MODULES, DEFAULT_TEMPERATURE_C) if temperature_c is None else np.asarray(temperature_c)
        index = np.arange(128 * 128)
        module = 7 - index % 128 // 32 - 4 * (index // 128 // 64)
        t = ((celsius + 273) / 273)[module]
        powers = [(-1.11, -0.0832), (_OFFSET_POWER[module], 0.0288), (0.518, 0.583), (0.625, 0.530)]
        return self.pixel_terms * np.stack([t**a * _BIAS**b for a, b in powers])

    def _of_modules(self, p: Array, r: Array, module: Array) -> tuple[Array, Array]:
        offset, gain, inverse, rise_offset, rise_gain, cross = self.module_terms[module].T
        r = r * rise_gain + rise_offset
        with np.errstate(divide="ignore", invalid="ignore"):
            bent = np.where(p != 0, 30 / p * inverse, 0.0)
        return offset + p * gain + bent + r * cross, r

    def _drifted(self, p: Array, r: Array, time_ijd: float) -> tuple[Array, Array]:
        """Terms linear in time, carried on beyond the ends of the table."""
        times, terms = self.drift[:, 0], self.drift[:, 1:]
        if len(times) > 1:
            k = int(np.clip(np.searchsorted(times, time_ijd) - 1, 0, len(times) - 2))
            share = (time_ijd - times[k]) / (times[k + 1] - times[k])
            offset, gain, square, rise_offset, rise_gain = terms[k] + share * (terms[k + 1] - terms[k])
        else:
            offset, gain, square, rise_offset, rise_gain = terms[0]
        return offset + gain * p + square * p**2, rise_offset + rise_gain * r

    def _looked_up(self, p: Array, r: Array) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        rise = np.clip(np.rint(r), 0, _N_RISE - 1).astype(np.int64)
        low = np.clip(np.floor(p), 0, _N_AMPLITUDE - 2).astype(np.int64)
        first = self.energies_kev[low, rise]
        energy = first + (self.energies_kev[low + 1, rise] - first) * (p - low)
        return np.maximum(energy, 0.0).astype(np.float32), rise.astype(np.uint8)
