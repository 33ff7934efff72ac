"""Efficiencies near the low threshold as OSA 11 tabulates them, by module and by group of thresholds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

import numpy as np
from numpy.typing import NDArray

from integral_oda.arrays import Array
from integral_oda.instrument.detector import module_map
from integral_oda.instrument.response import osa_channel_edges_kev

__all__ = ["EfficiencyTable"]

_MODULE, _THRESHOLD = 0, 1
_NO_GROUP = -1
_SAME_THRESHOLD_KEV = 0.6
"""Half a step of the commonest thresholds."""


@dataclass(frozen=True, eq=False)
class EfficiencyTable:
    """Efficiencies ``(256,)`` of modules and of groups of thresholds; those it does not name have efficiency 1.

    Attributes
    ----------
    modules, groups : mapping of int to ndarray
    group_kev : ndarray
        ``(n_groups,)`` low threshold of each group by the law of the context, keV; empty where groups are the steps
        of the context themselves.
    """

    modules: Mapping[int, Array] = field(default_factory=dict)
    groups: Mapping[int, Array] = field(default_factory=dict)
    group_kev: Array = field(default_factory=lambda: np.zeros(0))

    @classmethod
    def from_rows(cls, grouping: NDArray[np.integer], group: NDArray[np.integer], efficiency: Array) -> Self:
        """Table from the columns PIXEL_GROUPING (0 module, 1 threshold), PIXEL_GROUP and EFFICIENCY ``(n, 256)``.

        A row of thresholds whose PIXEL_GROUP is -n has the thresholds of the first n groups, keV, in place of
        efficiencies (dal3ibis, DAL3IBIS_read_EFFC).
        """
        kinds: dict[int, dict[int, Array]] = {
            kind: {int(g): efficiency[k] for k, g in enumerate(group) if grouping[k] == kind}
            for kind in (_MODULE, _THRESHOLD)
        }
        named = [row[:-number] for number, row in kinds[_THRESHOLD].items() if number < 0]
        groups = {number: row for number, row in kinds[_THRESHOLD].items() if number >= 0}
        return cls(kinds[_MODULE], groups, np.asarray(named[0], dtype=float) if named else np.zeros(0))

    def group_of(self, step: int, law_kev: float) -> int:
        """Group of a pixel with a threshold step, ``law_kev`` by the law; -1 where the table has none for it."""
        if not len(self.group_kev):
            return step
        nearest = int(np.abs(self.group_kev - law_kev).argmin())
        return nearest if abs(self.group_kev[nearest] - law_kev) < _SAME_THRESHOLD_KEV else _NO_GROUP

    def at(self, energy_kev: Array, module: int, group: int) -> Array:
        """Efficiency of a pixel of a module and a group; linear between the lower edges of the channels."""
        edges = osa_channel_edges_kev()[:-1]
        parts = (table[key] for table, key in ((self.modules, module), (self.groups, group)) if key in table)
        product = np.ones(np.shape(energy_kev))
        for part in parts:
            product = product * np.interp(energy_kev, edges, part)
        return product

    def half_energy_kev(self, module: int, group: int) -> float:
        """Energy at which the efficiency first reaches one half; NaN where it does so nowhere or from the start."""
        edges = osa_channel_edges_kev()[:-1]
        efficiency = self.at(edges, module, group)
        first = int(np.argmax(efficiency >= 0.5))
        if first == 0 or group not in self.groups:
            return float("nan")
        low, high = efficiency[first - 1 : first + 1]
        return float(edges[first - 1] + (0.5 - low) / (high - low) * (edges[first] - edges[first - 1]))

    def thresholds_kev(self, step: NDArray[np.integer], law_kev: Array) -> Array:
        """Low thresholds of the pixels as the table has them.

        Parameters
        ----------
        step : ndarray
            ``(134, 130)`` threshold steps of the context.
        law_kev : ndarray
            ``(134, 130)`` keV by the law, 0 where the pixel is off.

        Returns
        -------
        ndarray
            ``(134, 130)`` energies at which the pixels' efficiency reaches one half. Pixels that the table leaves
            out have those of the law, moved by the median difference of the others.
        """
        on = law_kev > 0
        rows = np.stack([module_map()[on], step[on], law_kev[on]], axis=1)
        kinds, of_pixel = np.unique(rows, axis=0, return_inverse=True)
        half = np.array([self.half_energy_kev(int(m), self.group_of(int(s), float(e))) for m, s, e in kinds])
        tabled = half[of_pixel.ravel()]
        told = np.isfinite(tabled)
        shift = float(np.median((tabled - law_kev[on])[told])) if told.any() else 0.0
        thresholds = np.array(law_kev, dtype=float)
        thresholds[on] = np.where(told, tabled, law_kev[on] + shift)
        return thresholds
