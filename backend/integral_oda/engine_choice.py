"""Which engine carries a query out, whole or step by step, and which OSA."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

__all__ = ["DEFAULT_OSA_VERSION", "FIRST_REVOLUTION_OF_OSA_11", "OSA_VERSIONS", "EngineChoice", "EngineName"]

EngineName = Literal["native", "osa", "mmoda"]
OSA_VERSIONS = ("10.2", "11.0", "11.1", "11.2")
DEFAULT_OSA_VERSION = "11.2"
FIRST_REVOLUTION_OF_OSA_11 = 1626
"""OSA 11.0 and 11.1 have no calibration for earlier revolutions (OSA 11.0 release notes); 11.2 has."""

_STEP_RULE = "STEP=ENGINE is needed, such as MOSAIC=native; the engines are native, osa and mmoda"
_PARAMETER_RULE = "EXECUTABLE.PARAMETER=VALUE is needed, such as ii_skyimage.ToSearch=10"
_VERSION_RULE = (
    "one of 11.2, 10.2, 11.1 and 11.0, or 10.2+VERSION: 10.2 before revolution "
    f"{FIRST_REVOLUTION_OF_OSA_11} and VERSION from there on, one product on each side"
)
_STEP = re.compile(r"([A-Z][A-Z_0-9]*)=(native|osa|mmoda)")
_PARAMETER = re.compile(r"(\w+)\.(\w+)=(.*)")


def _texts(value: Any) -> Any:
    return (
        tuple(part.strip() for part in re.split(r"[;\n]", value) if part.strip()) if isinstance(value, str) else value
    )


def _steps(value: tuple[str, ...]) -> tuple[str, ...]:
    for text in value:
        if not _STEP.fullmatch(text):
            raise ValueError(f"{text!r} is no choice: {_STEP_RULE}")
    return tuple(sorted(set(value)))


def _parameters(value: tuple[str, ...]) -> tuple[str, ...]:
    for text in value:
        if not _PARAMETER.fullmatch(text):
            raise ValueError(f"{text!r} is no parameter: {_PARAMETER_RULE}")
    return tuple(sorted(set(value)))


def _version(value: str) -> str:
    parts = value.removeprefix("OSA").split("+")
    known = all(part in OSA_VERSIONS for part in parts)
    if not known or len(parts) > 2 or (len(parts) == 2 and (parts[0] != "10.2" or parts[1] == "10.2")):
        raise ValueError(_VERSION_RULE)
    return "+".join(parts)


class EngineChoice(BaseModel):
    """The part of a query that says who carries it out.

    Attributes
    ----------
    engine : {"native", "osa", "mmoda"}
        Who carries the steps out.
    engine_for : tuple of str
        Steps that another engine carries out, ``"MOSAIC=native"``.
    osa_version : str
        Version of OSA that the osa engine takes; ``"10.2+11.2"`` takes the first before revolution 1626.
    osa_parameters : tuple of str
        Parameters of OSA's executables that differ from the reference's defaults, ``"ii_skyimage.ToSearch=10"``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    engine: EngineName = Field("native", title="Engine")
    engine_for: Annotated[tuple[str, ...], BeforeValidator(_texts), AfterValidator(_steps)] = Field(
        (), title="Engine of single steps"
    )
    osa_version: Annotated[str, AfterValidator(_version)] = Field(DEFAULT_OSA_VERSION, title="OSA version")
    osa_parameters: Annotated[tuple[str, ...], BeforeValidator(_texts), AfterValidator(_parameters)] = Field(
        (), title="Parameters of OSA's executables"
    )

    @property
    def engines_of_steps(self) -> Mapping[str, str]:
        """Engine of each step that is not left to `engine`."""
        pairs = (text.partition("=") for text in self.engine_for)
        return {step: engine for step, _, engine in pairs if engine != self.engine}

    @property
    def parameters_of_executables(self) -> Mapping[str, Mapping[str, str]]:
        """Values given for OSA's executables, by executable and parameter."""
        given: dict[str, dict[str, str]] = {}
        for text in self.osa_parameters:
            match = _PARAMETER.fullmatch(text)
            assert match is not None
            given.setdefault(match[1], {})[match[2]] = match[3]
        return given
