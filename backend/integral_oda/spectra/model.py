"""Models of a photon spectrum: built from an expression, evaluated in energy bins."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from astropy.modeling import CompoundModel, Model

from integral_oda.arrays import Array
from integral_oda.errors import RequestError
from integral_oda.spectra.components import ADDITIVE, MULTIPLICATIVE, UNITS

__all__ = ["NORMS", "SpectralModel", "energy_flux", "model_from_expression", "wrap_model"]

KEV_IN_ERG = 1.602176634e-9
NORMS = ("norm", "amplitude")
"""Parameters that an additive component is proportional to."""
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(3)
_RULE = (
    f"sums and products of {', '.join(ADDITIVE)}, {', '.join(MULTIPLICATIVE)} and table('FILE'), "
    "such as powerlaw or powerlaw*highecut+gaussian"
)
_FLUX_BINS = 400


@dataclass(frozen=True)
class SpectralModel:
    """A model of a source's photons with its parameters in one flat list.

    Attributes
    ----------
    expression : str
        As the user wrote it; the class name of a model handed in.
    model : Model
        Photons/cm2/s/keV of an energy in keV.
    names, units : tuple of str
        Of the parameters; where two components have the same one, ``_1``, ``_2`` ... say which.
    components : tuple of str
        Components in their order.
    """

    expression: str
    model: Model
    names: tuple[str, ...]
    units: tuple[str, ...]
    components: tuple[str, ...]

    @property
    def values(self) -> Array:
        """Values of the parameters, ``(n,)``."""
        return np.array([float(np.ravel(v)[0]) for v in self.model.parameters])

    @property
    def fixed(self) -> tuple[bool, ...]:
        """Which parameters a fit leaves alone."""
        return tuple(bool(self.model.fixed[name]) for name in self.model.param_names)

    @property
    def bounds(self) -> tuple[tuple[float | None, float | None], ...]:
        """Lowest and highest value of each parameter."""
        return tuple(self.model.bounds[name] for name in self.model.param_names)

    @property
    def norms(self) -> tuple[int, ...]:
        """Indices of the parameters that a component is proportional to."""
        return tuple(k for k, name in enumerate(self.names) if name.partition("_")[0] in NORMS)

    def index_of(self, name: str) -> int:
        """Index of a parameter.

        Raises
        ------
        RequestError
            If the model has none of that name.
        """
        if name not in self.names:
            raise RequestError("parameter", name, f"{self.expression} has {', '.join(self.names)}")
        return self.names.index(name)

    def density(self, energy_kev: Array, values: Array) -> Array:
        """Photons/cm2/s/keV at energies of any shape."""
        return np.asarray(self.model.evaluate(energy_kev, *values), dtype=float)

    def photons(self, low_kev: Array, high_kev: Array, values: Array) -> Array:
        """Photons/cm2/s between energies ``(n,)``, by three-point Gauss-Legendre integration."""
        half = (high_kev - low_kev) / 2
        energy = (low_kev + half)[:, None] + half[:, None] * _NODES
        return half * (self.density(energy, values) @ _WEIGHTS)


def energy_flux(model: SpectralModel, values: Array, e1_kev: float, e2_kev: float) -> float:
    """Energy flux between two energies, erg/cm2/s."""
    edges = np.geomspace(e1_kev, e2_kev, _FLUX_BINS + 1)
    half = np.diff(edges) / 2
    energy = (edges[:-1] + half)[:, None] + half[:, None] * _NODES
    return float((half * ((energy * model.density(energy, values)) @ _WEIGHTS)).sum() * KEV_IN_ERG)


def wrap_model(model: Model, expression: str | None = None) -> SpectralModel:
    """Take any `astropy.modeling` model of one energy in keV as a spectral model."""
    parts = [model[k] for k in range(model.n_submodels)] if isinstance(model, CompoundModel) else [model]
    plain = [(name, k + 1) for k, part in enumerate(parts) for name in part.param_names]
    repeated = {name for name, _ in plain if sum(other == name for other, _ in plain) > 1}
    names = tuple(f"{name}_{k}" if name in repeated else name for name, k in plain)
    components = tuple(type(part).__name__ for part in parts)
    units = tuple(_unit(name, parts[k - 1]) for name, k in plain)
    return SpectralModel(expression or " ".join(components), model, names, units, components)


def _unit(name: str, component: Model) -> str:
    if name not in NORMS:
        return UNITS.get(name, "")
    kind = type(component).__name__
    special = {"GaussianLine": "ph/cm2/s", "BlackBody": "L39/D10^2", "DiskBlackBody": "(km/D10)^2", "TableModel": ""}
    return special.get(kind, "ph/cm2/s/keV")


def model_from_expression(
    expression: str,
    values: Mapping[str, float] | None = None,
    frozen: Sequence[str] = (),
    thawed: Sequence[str] = (),
    read_table: Callable[[str], Any] | None = None,
) -> SpectralModel:
    """Build a model.

    Parameters
    ----------
    expression : str
        Names joined by ``+``, ``*`` and parentheses.
    values : mapping, optional
        Starting values by parameter.
    frozen, thawed : sequence of str
        Parameters that a fit leaves alone, and those that it varies against the model's habit.
    read_table : callable, optional
        Gives the model of ``table('FILE')``.

    Raises
    ------
    RequestError
        Naming what is not known, or a value outside its range.
    """
    model = wrap_model(_build(expression, read_table), expression)
    inner = model.model
    if not any(kind not in {"Constant", "HighEnergyCutoff"} for kind in model.components):
        raise RequestError("model", expression, "at least one component has to give photons; " + _RULE)
    for name, value in (values or {}).items():
        k = model.index_of(name)
        low, high = model.bounds[k]
        if not ((low is None or value >= low) and (high is None or value <= high)):
            raise RequestError("set", f"{name}={value:g}", f"{name} is from {low} to {high}")
        setattr(inner, inner.param_names[k], value)
    for names, state in ((frozen, True), (thawed, False)):
        for name in names:
            inner.fixed[inner.param_names[model.index_of(name)]] = state
    return model


def _build(expression: str, read_table: Callable[[str], Any] | None) -> Model:
    try:
        tree = ast.parse(expression.strip(), mode="eval").body
    except (SyntaxError, ValueError):
        raise RequestError("model", expression, _RULE) from None
    return _component(tree, expression, read_table)


def _component(tree: ast.expr, expression: str, read_table: Callable[[str], Any] | None) -> Model:
    match tree:
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _component(left, expression, read_table) + _component(right, expression, read_table)
        case ast.BinOp(left=left, op=ast.Mult(), right=right):
            return _component(left, expression, read_table) * _component(right, expression, read_table)
        case ast.Name(id=name) if name in ADDITIVE:
            return ADDITIVE[name]()
        case ast.Name(id=name) if name in MULTIPLICATIVE:
            return MULTIPLICATIVE[name]()
        case ast.Call(func=ast.Name(id="table"), args=[ast.Constant(value=str(path))]) if read_table:
            return read_table(path)
    raise RequestError("model", expression, _RULE)
