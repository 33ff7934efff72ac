"""What to simulate: a recipe, as YAML or as Python values."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from integral_oda.errors import RequestError
from integral_oda.instrument.detector import N_MODULES

__all__ = [
    "BackgroundModel",
    "BandFunction",
    "Behaviour",
    "BrokenPowerLaw",
    "Constant",
    "CutoffPowerLaw",
    "DetectorModel",
    "Dither",
    "Flare",
    "Flares",
    "Flux",
    "Heading",
    "HighEnergyCutoff",
    "Line",
    "MaskDefect",
    "Nuisances",
    "Outburst",
    "Periodic",
    "Pointing",
    "PowerLaw",
    "Recipe",
    "Ridge",
    "SourceModel",
    "SpectralModel",
    "make_recipe",
    "read_recipe",
]

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Fraction = Annotated[float, Field(ge=0, lt=1)]
RightAscension = Annotated[float, Field(ge=0, lt=360)]
Declination = Annotated[float, Field(ge=-90, le=90)]
Interval = tuple[Finite, Finite]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Heading(_Part):
    """Direction of the spacecraft's X axis (degrees, J2000) and the roll about it.

    Attributes
    ----------
    roll : float
        Angle from celestial north to the Z axis, degrees, positive towards the west.
    """

    ra: RightAscension
    dec: Declination
    roll: Finite = 0.0


class Pointing(Heading):
    """One science window.

    Attributes
    ----------
    start_s : float or None
        Start in seconds after the recipe's; one window after the other unless given.
    number : int or None
        Pointing of the revolution, in place of counting up.
    """

    start_s: Finite | None = None
    number: int | None = Field(None, ge=0, le=9999)


class Dither(Heading):
    """A pattern of pointings around a centre.

    Attributes
    ----------
    pattern : {"5x5", "hexagonal", "staring"}
        25 pointings on a square, centre and corners of a hexagon (7), or one direction.
    step_deg : float
        Distance between neighbours.
    count : int
        Number of pointings; the pattern is repeated or cut.
    """

    pattern: Literal["5x5", "hexagonal", "staring"] = "5x5"
    step_deg: Positive = 2.17
    count: int = Field(25, ge=1, le=9000)


class Flux(_Part):
    """Flux in a band: OSA counts/s under the nominal response, mCrab, or erg/cm2/s."""

    value: NotNegative
    unit: Literal["counts/s", "mCrab", "erg/cm2/s"] = "counts/s"
    band: tuple[Positive, Positive] = (20.0, 40.0)

    @model_validator(mode="after")
    def _band_points_up(self) -> Self:
        if not 15 <= self.band[0] < self.band[1] <= 1000:
            raise ValueError("a band needs 15 <= E1 < E2 <= 1000 keV")
        return self


class PowerLaw(_Part):
    """Photons ~ E^-index."""

    type: Literal["powerlaw"] = "powerlaw"
    index: Finite = 2.1


class CutoffPowerLaw(_Part):
    """Photons ~ E^-index exp(-E / cutoff)."""

    type: Literal["cutoff"] = "cutoff"
    index: Finite = 1.0
    cutoff_kev: Positive = 50.0


class BandFunction(_Part):
    """Band function: a cut-off power law that turns into a power law at (alpha - beta) e_c."""

    type: Literal["band"] = "band"
    alpha: Finite = -1.98
    beta: Finite = -2.33
    e_c_kev: Positive = 500.0

    @model_validator(mode="after")
    def _turns_down(self) -> Self:
        if self.beta >= self.alpha:
            raise ValueError("beta must be below alpha")
        return self


class HighEnergyCutoff(_Part):
    """Photons ~ E^-index, above ``cutoff_kev`` times exp((cutoff - E) / fold)."""

    type: Literal["highecut"] = "highecut"
    index: Finite = 2.0
    cutoff_kev: Positive = 30.0
    fold_kev: Positive = 130.0


class BrokenPowerLaw(_Part):
    """Power laws joined at breaks: one index more than there are breaks, keV."""

    type: Literal["broken"] = "broken"
    indices: Annotated[tuple[Finite, ...], Field(min_length=2)]
    breaks_kev: Annotated[tuple[Positive, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _breaks_join_indices(self) -> Self:
        if len(self.indices) != len(self.breaks_kev) + 1 or list(self.breaks_kev) != sorted(set(self.breaks_kev)):
            raise ValueError("one index more than there are breaks is needed, and breaks that go up")
        return self


SpectralModel = Annotated[
    PowerLaw | CutoffPowerLaw | BandFunction | HighEnergyCutoff | BrokenPowerLaw, Field(discriminator="type")
]


class Constant(_Part):
    """A steady source."""

    type: Literal["constant"] = "constant"


class Flare(_Part):
    """One flare: exponential rise to ``amplitude`` times the steady flux, exponential decay."""

    at_s: Finite
    amplitude: Positive
    rise_s: Positive = 0.01
    decay_s: Positive = 0.1


class Flares(_Part):
    """Flares on top of a steady level.

    Attributes
    ----------
    level : float
        Steady level relative to the source's flux.
    flares : tuple of Flare
        Times in seconds from the start of the first window.
    """

    type: Literal["flare"] = "flare"
    level: NotNegative = 1.0
    flares: tuple[Flare, ...] = Field(min_length=1)


class Periodic(_Part):
    """A sinusoid of relative amplitude ``pulsed`` around the flux."""

    type: Literal["periodic"] = "periodic"
    period_s: Positive
    pulsed: float = Field(0.5, gt=0, le=1)
    phase: Finite = 0.0


class Outburst(_Part):
    """Nothing before the start, a linear rise to the flux, then an exponential decay (seconds)."""

    type: Literal["outburst"] = "outburst"
    start_s: Finite = 0.0
    rise_s: Positive
    decay_s: Positive


Behaviour = Annotated[Constant | Flares | Periodic | Outburst, Field(discriminator="type")]


class SourceModel(_Part):
    """A point source (degrees, J2000).

    Attributes
    ----------
    catalogued : bool
        False leaves it out of the written source list: a nuisance that an analysis does not know.
    """

    name: str = Field(min_length=1)
    ra: RightAscension
    dec: Declination
    flux: Flux
    spectrum: SpectralModel = PowerLaw()
    behaviour: Behaviour = Constant()
    catalogued: bool = True


class Line(_Part):
    """A background line that holds ``fraction`` of the background rate."""

    energy_kev: float = Field(ge=15, le=1000)
    fraction: Fraction


class BackgroundModel(_Part):
    """Background of the whole plane of 16384 pixels.

    Attributes
    ----------
    rate : float
        Counts/s in ``band``, lines included, before dead time and thresholds.
    continuum : tuple of (float, float)
        Energy in keV and relative rate per keV, joined by straight lines in logarithms.
    lines : tuple of Line
        Lines on top, blurred by the resolution.
    edge_excess : float
        Relative excess at the borders of the plane; half of it at the borders of each module.
    module_spread, pixel_spread, gradient : float
        Relative spread between modules and between pixels, relative slope from side to side.
    """

    rate: NotNegative = 500.0
    band: tuple[Positive, Positive] = (25.0, 80.0)
    continuum: Annotated[tuple[tuple[Positive, Positive], ...], Field(min_length=2)] = (
        *((15.0, 1.6), (20.0, 1.5), (30.0, 1.3), (45.0, 1.1), (60.0, 0.9), (80.0, 0.55), (100.0, 0.4)),
        *((150.0, 0.2), (200.0, 0.12), (300.0, 0.055), (500.0, 0.02), (1000.0, 0.006)),
    )
    lines: tuple[Line, ...] = (
        *(Line(energy_kev=27, fraction=0.05), Line(energy_kev=59, fraction=0.05), Line(energy_kev=75, fraction=0.02)),
        *(
            Line(energy_kev=150, fraction=0.01),
            Line(energy_kev=196, fraction=0.01),
            Line(energy_kev=245, fraction=0.005),
        ),
        Line(energy_kev=511, fraction=0.005),
    )
    edge_excess: NotNegative = 0.1
    module_spread: Fraction = 0.0
    pixel_spread: Fraction = 0.0
    gradient: Fraction = 0.0


class DetectorModel(_Part):
    """State of the detector; clean unless something is asked for.

    Attributes
    ----------
    dead_fraction, noisy_fraction, hot_fraction : float
        Fractions of the pixels that are dead, noisy (flagged) and hot (not flagged).
    modules_off : tuple of int
        Modules (MDU 0 to 7) that are off.
    dead_time, dead_time_spread : float
        Mean dead time of a module and its spread between modules.
    low_threshold_kev, low_threshold_spread_kev : float
        Low threshold of a pixel and its spread; 0 for none.
    context : bool
        Write the pixel context of the revolution, which has the thresholds rounded to its steps, and dead pixels off.
    gain_spread : float
        Relative spread of the gain between pixels.
    module_gains : tuple of float
        Gain of modules 0 to 7, what their energies are multiplied with; none for 1.
    rejected_fraction : float
        Events that a selection must drop (rise time out of range, energy 0), relative to the background.
    """

    dead_fraction: Fraction = 0.0
    noisy_fraction: Fraction = 0.0
    hot_fraction: Fraction = 0.0
    modules_off: tuple[Annotated[int, Field(ge=0, le=7)], ...] = ()
    dead_time: Fraction = 0.2
    dead_time_spread: Fraction = 0.0
    low_threshold_kev: NotNegative = 0.0
    low_threshold_spread_kev: NotNegative = 0.0
    context: bool = False
    gain_spread: Fraction = 0.0
    module_gains: Annotated[tuple[Annotated[float, Field(ge=0.5, le=1.5)], ...], Field(max_length=8)] = ()
    rejected_fraction: Fraction = 0.0

    @model_validator(mode="after")
    def _has_thresholds(self) -> Self:
        if self.context and not self.low_threshold_kev:
            raise ValueError("a context needs low_threshold_kev above 0")
        if len(self.module_gains) not in (0, N_MODULES):
            raise ValueError(f"module_gains has {len(self.module_gains)} values; {N_MODULES} are needed, or none")
        return self


class MaskDefect(_Part):
    """A square spot on the mask that lets less light through, mm from the mask centre."""

    y_mm: float = Field(ge=-532, le=532)
    z_mm: float = Field(ge=-532, le=532)
    side_mm: Positive = 20.0
    transmission: float = Field(0.5, ge=0, le=1)


class Ridge(_Part):
    """Diffuse emission along the Galactic plane, Gaussian in longitude and latitude."""

    flux: Flux
    longitude_sigma_deg: Positive = 30.0
    latitude_sigma_deg: Positive = 1.5
    spectrum: SpectralModel = CutoffPowerLaw(index=0.0, cutoff_kev=15.0)


class Nuisances(_Part):
    """What an analysis does not know.

    Attributes
    ----------
    off_axis_loss : float
        Transmission lost at 10 degrees off axis, growing with the square of the angle.
    misalignment_error_arcmin : tuple of float
        Along Y and Z, added to the true misalignment.
    mask_defects : tuple of MaskDefect
        Screws, glue, dirt.
    ridge : Ridge or None
        Diffuse emission.
    """

    off_axis_loss: Fraction = 0.0
    misalignment_error_arcmin: tuple[Finite, Finite] = (0.0, 0.0)
    mask_defects: tuple[MaskDefect, ...] = ()
    ridge: Ridge | None = None


class Recipe(_Part):
    """Science windows to simulate.

    Attributes
    ----------
    seed : int
        Of all random numbers; written into every product.
    revolution, first_pointing : int
        Identifiers count up from here.
    start_ijd, duration_s, slew_s : float
        Start of the first window, length of each, time between two.
    pointings : tuple of Pointing
        One a window, unless ``dither`` is given.
    gaps_s, bad_times_s : tuple of (start, stop)
        Seconds from the start of every window: telemetry gaps (no events, no good time) and bad times
        (events, no good time).
    misalignment_arcmin : tuple of float or None
        ISGRI's misalignment along Y and Z; None for the nominal one.
    """

    seed: int = Field(1, ge=0)
    revolution: int = Field(665, ge=0, le=9999)
    first_pointing: int = Field(1, ge=0, le=9999)
    start_ijd: Positive = 3006.0
    duration_s: float = Field(2000.0, ge=1, le=200000)
    slew_s: NotNegative = 120.0
    pointings: tuple[Pointing, ...] = ()
    dither: Dither | None = None
    sources: tuple[SourceModel, ...] = ()
    background: BackgroundModel = BackgroundModel()
    detector: DetectorModel = DetectorModel()
    gaps_s: tuple[Interval, ...] = ()
    bad_times_s: tuple[Interval, ...] = ()
    misalignment_arcmin: tuple[Finite, Finite] | None = None
    nuisances: Nuisances = Nuisances()

    @property
    def count(self) -> int:
        """Number of windows."""
        return len(self.pointings) if self.dither is None else self.dither.count

    def pointing_number(self, window: int) -> int:
        """Number of the pointing in the revolution; windows count from 0."""
        own = self.pointings[window].number if self.pointings else None
        return self.first_pointing + window if own is None else own

    def window_start_s(self, window: int) -> float:
        """Start of a window in seconds after ``start_ijd``."""
        own = self.pointings[window].start_s if self.pointings else None
        return window * (self.duration_s + self.slew_s) if own is None else own

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if (not self.pointings) == (self.dither is None):
            raise ValueError("give pointings or dither, one of the two")
        if self.first_pointing + self.count - 1 > 9999:
            raise ValueError("pointings are numbered up to 9999 from first_pointing on")
        if len({self.pointing_number(window) for window in range(self.count)}) < self.count:
            raise ValueError("every window needs a pointing number of its own")
        names = [source.name for source in self.sources]
        if len(set(names)) < len(names):
            raise ValueError("every source needs a name of its own")
        if any(not start < stop for start, stop in (*self.gaps_s, *self.bad_times_s)):
            raise ValueError("gaps_s and bad_times_s are pairs of a start and a later stop")
        return self


def make_recipe(values: Any) -> Recipe:
    """Build a recipe from plain values, with the first thing wrong told as a `RequestError`."""
    try:
        return Recipe.model_validate(values)
    except ValidationError as exc:
        problem = exc.errors(include_url=False)[0]
    where = ".".join(map(str, problem["loc"])) or "recipe"
    message = problem["msg"].removeprefix("Value error, ")
    text = str(problem["input"])
    raise RequestError(where, text if len(text) <= 80 else f"{text[:77]}...", message[:1].lower() + message[1:])


def read_recipe(path: str | Path) -> Recipe:
    """Read a recipe from a YAML file.

    Raises
    ------
    RequestError
        If the file is not there, is no YAML, or asks for something that cannot be simulated.
    """
    import yaml  # type: ignore[import-untyped]

    try:
        values = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as exc:
        raise RequestError("recipe", path, "a readable YAML file is needed") from exc
    except yaml.YAMLError as exc:
        raise RequestError("recipe", path, f"no YAML ({' '.join(str(exc).split())})") from exc
    if not isinstance(values, dict):
        raise RequestError("recipe", path, "the file holds no names and values")
    return make_recipe(values)
