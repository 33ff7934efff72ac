"""The steps of an analysis, declared apart from the code that carries them out.

A declared step knows its name and its version; what computes, saves and loads its result is imported
when it is needed. So a graph is planned, and a known product taken from the store, without loading any
numerical library.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

__all__ = ["Carrier", "DeclaredStep"]


class Carrier(Protocol):
    """What carries a step out."""

    def compute(self, inputs: Sequence[Any], parameters: Mapping[str, Any], raw: Mapping[str, Path]) -> Any:
        """Make the result."""

    def save(self, value: Any, folder: Path) -> None:
        """Write a result as files into an empty folder."""

    def load(self, folder: Path) -> Any:
        """Read a result."""


@dataclass(frozen=True)
class DeclaredStep:
    """One step of the analysis.

    Attributes
    ----------
    name : str
        OSA's name of the step.
    version : str
        To be changed whenever the step's results change.
    carrier : str
        ``module:class`` that carries it out.
    tolerant : bool
        Whether it gathers, and goes on with the inputs that are left when some have failed.
    """

    name: str
    version: str
    carrier: str
    tolerant: bool = False

    def _carrier(self) -> Carrier:
        module, _, kind = self.carrier.partition(":")
        carrier: Carrier = getattr(importlib.import_module(module), kind)()
        return carrier

    def compute(self, inputs: Sequence[Any], parameters: Mapping[str, Any], raw: Mapping[str, Path]) -> Any:
        """Make the result from the values of the inputs, the parameters and the raw files."""
        return self._carrier().compute(inputs, parameters, raw)

    def save(self, value: Any, folder: Path) -> None:
        """Write a result as files into an empty folder."""
        self._carrier().save(value, folder)

    def load(self, folder: Path) -> Any:
        """Read a result that `save` has written."""
        return self._carrier().load(folder)
