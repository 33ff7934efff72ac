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
from typing import TYPE_CHECKING, Any, Protocol

from integral_oda.versions import software_versions

if TYPE_CHECKING:
    from integral_oda.products.signature import Origin
    from integral_oda.workflow.provenance import Made

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
    product : bool
        Whether it makes the files that users get: where they come from is written into them. Its parameter ``query``
        is what was asked.
    """

    name: str
    version: str
    carrier: str
    tolerant: bool = False
    product: bool = False

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

    def sign(self, folder: Path, made: Sequence[Made]) -> None:
        """Write into the files of a product what they were made from."""
        if self.product:
            from integral_oda.products.signature import sign_files

            sign_files(folder, _origin(made))


def _origin(made: Sequence[Made]) -> Origin:
    from integral_oda.products.signature import Origin

    last, by_key = made[-1], {item.key: item for item in made}
    inputs = [("input", by_key[key].scope, by_key[key].step, key) for key in last.inputs]
    raw = [("raw", item.scope, name, digest) for item in made for name, digest in item.raw.items()]
    return Origin(
        key=last.key,
        step=last.step,
        engine=f"{last.engine} {last.engine_version}".strip(),
        query=last.parameters.get("query", {}),
        software=software_versions(),
        steps={item.step: item.step_version for item in made},
        inputs=inputs + raw,
    )
