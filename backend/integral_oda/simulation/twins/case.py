"""A published observation as data: when, where to, which sources at which published flux."""

from __future__ import annotations

from importlib import resources
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from integral_oda.errors import DataError, RequestError
from integral_oda.simulation.recipe import Flux, Ridge, SpectralModel

__all__ = ["Case", "CaseFlare", "CaseSource", "Visit", "case_names", "read_case"]

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class CaseFlare(_Part):
    """A published flare: peak in ``amplitude`` times the source's flux at an MJD (TT)."""

    mjd: float
    amplitude: Positive
    rise_s: Positive
    decay_s: Positive


class CaseSource(_Part):
    """A source of the field.

    Attributes
    ----------
    name : str
        As in the built-in catalogue.
    ra, dec : float or None
        Position of a source that is not there, degrees.
    flux : Flux or None
        Published flux; that of the catalogue in 20-40 keV where there is none.
    spectrum : SpectralModel or None
        Published spectrum; the power law through the catalogue's two fluxes where there is none.
    level : float
        Steady part, relative to the flux.
    flares : tuple of CaseFlare
        On top of it.
    history : tuple of (float, float)
        MJD and flux relative to ``flux``, joined by straight lines: one value a visit.
    source : str
        Where the numbers are published.
    """

    name: str
    ra: float | None = None
    dec: float | None = None
    flux: Flux | None = None
    spectrum: SpectralModel | None = None
    level: Annotated[float, Field(ge=0)] = 1.0
    flares: tuple[CaseFlare, ...] = ()
    history: tuple[tuple[float, float], ...] = ()
    source: str = Field(min_length=1)


class Visit(_Part):
    """Science windows of one revolution.

    Attributes
    ----------
    label : str
        Such as the year.
    revolution : int
    start_mjd : float
        Of the first window (TT).
    numbers : tuple of int
        Pointing numbers, where the list of windows is published; else ``count`` from ``first_number`` on.
    cadence_s : float
        From the start of a window to that of the next number.
    ra, dec, roll : float
        Centre of the pattern and roll, degrees.
    pattern : {"5x5", "spiral"}
        Square dither of 2.17 degrees, or evenly over a circle of ``radius_deg``.
    sources : tuple of CaseSource
        In place of the case's sources of the same name.
    """

    label: str = ""
    revolution: int = Field(ge=1, le=9999)
    start_mjd: float
    numbers: tuple[int, ...] = ()
    first_number: int = 1
    count: int = Field(0, ge=0)
    cadence_s: Positive = 3600.0
    ra: float
    dec: float
    roll: float = 0.0
    pattern: Literal["5x5", "spiral"] = "5x5"
    radius_deg: Positive = 8.0
    sources: tuple[CaseSource, ...] = ()

    @property
    def pointing_numbers(self) -> tuple[int, ...]:
        """Number of every window's pointing."""
        return self.numbers or tuple(range(self.first_number, self.first_number + self.count))


class Case(_Part):
    """What a twin is made from.

    Attributes
    ----------
    name, title : str
    target : str
        Source that the case is about.
    ra, dec : float
        Its position, degrees.
    publication : str
        Where the observation is published.
    attitudes : str
        What is known of the pointings, and what stands in for the rest.
    t1, t2 : str
        Published time range, UTC.
    radius_deg : float
        Published radius of the choice of windows.
    windows, full : int
        Windows of a quick run and the published number; of each visit where ``each_visit``.
    each_visit : bool
        Whether every visit is to be seen.
    events_mjd : tuple of float
        Times that must lie in a window, in its middle.
    duration_s : float
        Length of a window.
    field_mcrab, field_radius_deg : float
        Steady catalogue sources brighter than this (20-40 keV) and nearer than this to the target are in the sky too.
    sources : tuple of CaseSource
    visits : tuple of Visit
    ridge : Ridge or None
        Emission of the Galactic ridge.
    background_rate : float
        Counts/s of the whole plane in 25-80 keV.
    """

    name: str = ""
    title: str
    target: str
    ra: float
    dec: float
    publication: str
    attitudes: str
    t1: str
    t2: str
    radius_deg: Positive
    windows: int = Field(ge=1)
    full: int = Field(ge=1)
    each_visit: bool = False
    events_mjd: tuple[float, ...] = ()
    duration_s: Positive = 2000.0
    field_mcrab: Positive = 3.0
    field_radius_deg: Positive = 20.0
    sources: tuple[CaseSource, ...]
    visits: tuple[Visit, ...] = Field(min_length=1)
    ridge: Ridge | None = None
    background_rate: Positive = 500.0


def case_names() -> tuple[str, ...]:
    """Names of the cases, in alphabetical order."""
    folder = resources.files(__package__) / "data"
    return tuple(sorted(item.name.removesuffix(".yaml") for item in folder.iterdir() if item.name.endswith(".yaml")))


def read_case(name: str) -> Case:
    """Read a case that comes with the package.

    Raises
    ------
    RequestError
        If there is no such case.
    DataError
        If its file is damaged.
    """
    import yaml  # type: ignore[import-untyped]

    if name not in case_names():
        raise RequestError("case", name, f"one of {', '.join(case_names())}")
    text = (resources.files(__package__) / "data" / f"{name}.yaml").read_text(encoding="utf-8")
    try:
        return Case(**{**yaml.safe_load(text), "name": name})
    except (ValidationError, yaml.YAMLError, TypeError) as exc:
        raise DataError(f"{name}.yaml: no case of a twin ({' '.join(str(exc).split())})") from exc
