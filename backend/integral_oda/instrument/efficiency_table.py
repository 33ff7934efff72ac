"""Efficiencies near the low threshold as OSA 11 tabulates them, by module and by threshold step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

import numpy as np
from numpy.typing import NDArray

from integral_oda.arrays import Array
from integral_oda.instrument.response import osa_channel_edges_kev

__all__ = ["EfficiencyTable"]

_MODULE, _STEP = 0, 1


@dataclass(frozen=True, eq=False)
class EfficiencyTable:
    """Efficiencies ``(256,)`` of modules and of threshold steps; those it does not name have efficiency 1."""

    modules: Mapping[int, Array] = field(default_factory=dict)
    steps: Mapping[int, Array] = field(default_factory=dict)

    @classmethod
    def from_rows(cls, grouping: NDArray[np.integer], group: NDArray[np.integer], efficiency: Array) -> Self:
        """Table from the columns PIXEL_GROUPING (0 module, 1 threshold), PIXEL_GROUP and EFFICIENCY ``(n, 256)``."""
        kinds = {kind: {int(g): efficiency[k] for k, g in enumerate(group) if grouping[k] == kind} for kind in (0, 1)}
        return cls(kinds[_MODULE], kinds[_STEP])

    def at(self, energy_kev: Array, module: int, step: int) -> Array:
        """Efficiency of a pixel of a module at a threshold step; linear between the lower edges of the channels."""
        edges = osa_channel_edges_kev()[:-1]
        parts = (table[key] for table, key in ((self.modules, module), (self.steps, step)) if key in table)
        product = np.ones(np.shape(energy_kev))
        for part in parts:
            product = product * np.interp(energy_kev, edges, part)
        return product
