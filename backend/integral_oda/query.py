"""What a user asks: one model a product, with the online system's parameter names."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, ValidationError, model_validator

from integral_oda.engine_choice import EngineChoice
from integral_oda.errors import RequestError
from integral_oda.instrument.energy import ENERGY_RANGE_KEV, EnergyBand
from integral_oda.instrument.response import osa_channel_edges_kev
from integral_oda.pointing_query import PointingQuery

__all__ = [
    "MJD_OF_IJD_0",
    "BackgroundQuery",
    "ImageQuery",
    "LightCurveQuery",
    "MappedQuery",
    "QualityQuery",
    "Query",
    "SpectrumQuery",
    "make_query",
    "parse_band",
    "parse_intervals",
    "parse_scw_list",
    "parse_time",
]

_BAND_RULE = "a band needs 15 <= E1 < E2 <= 1000 keV in multiples of 0.5 keV"
_SCW_RULE = "a science window is 12 digits, or 12 digits, a dot and a 3-digit version (255900280010.001)"
_SCW_ID = re.compile(r"\d{12}(\.\d{3})?")
_GTI_RULE = "good time needs START < STOP, each IJD, MJD above 40000 (both TT) or ISO UTC such as 2022-10-12T15:20:00"
_PHASE_RULE = "needs EPOCH (MJD, TT), PERIOD from 0.01 to 1e9 s, START and STOP of the phase, different and from 0 to 1"
_CHANNEL_SETS = (62, 256, 16, 13)
_CHANNEL_RULE = "62, 256, 16, 13, a file, or rising edges in keV that are edges of OSA's 256 channels"
_RATE_RULE = "needs LOW,HIGH in counts/s with LOW < HIGH"
_FOLD_RULE = "needs PERIOD in s, from 0.001 to 1e9, and perhaps its derivative (s/s) and EPOCH of phase 0 (MJD)"
_SEARCH_RULE = "needs LOW,HIGH with 0.001 <= LOW < HIGH <= 1e5 s"
_SHORTEST_FOLD_S = 0.001
_EDGES_RULE = "bin edges are at least two times that rise, each IJD, MJD above 40000 (both TT) or ISO UTC"
_SHORTEST_PERIOD_S, _LONGEST_PERIOD_S = 0.01, 1e9
_LEAST_MJD, _GREATEST_MJD = 40000.0, 100000.0
MJD_OF_IJD_0 = 51544.0


def parse_band(text: str) -> EnergyBand:
    """Read a band written as ``"20-40"``."""
    try:
        e1, e2 = (float(part) for part in text.split("-"))
    except ValueError:
        raise RequestError("band", text, "two energies in keV with a hyphen, such as 20-40") from None
    return EnergyBand(e1, e2)


def parse_scw_list(text: str) -> tuple[str, ...]:
    """Read science windows from ``"ID,ID"`` or, with a leading @, from a file with one a line."""
    if not text.startswith("@"):
        return tuple(part.strip() for part in text.split(",") if part.strip())
    try:
        lines = Path(text[1:]).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        raise RequestError("scw_list", text, "@FILE needs a readable text file, one science window a line") from None
    return tuple(line.strip() for line in lines if line.strip() and not line.startswith("#"))


def parse_intervals(text: str) -> tuple[tuple[float, float], ...]:
    """Read good time written as ``"START,STOP"``, several with semicolons, as IJD.

    Raises
    ------
    ValueError
        Naming what is no time or no interval.
    """
    intervals = []
    for part in text.split(";"):
        times = [parse_time(item) for item in part.split(",")]
        if len(times) != 2:
            raise ValueError(f"{_brief(part)!r} is no interval: {_GTI_RULE}")
        intervals.append((times[0], times[1]))
    return tuple(intervals)


def parse_time(text: str) -> float:
    """Read a time, IJD or MJD (TT) as a number or ISO in UTC, as IJD.

    Raises
    ------
    ValueError
        If it is none of these.
    """
    try:
        number = float(text)
    except ValueError:
        return _ijd_of_iso(text)
    if not abs(number) <= _GREATEST_MJD:
        raise ValueError(f"{_brief(text)!r} is no time: {_GTI_RULE}")
    return number - MJD_OF_IJD_0 if number > _LEAST_MJD else number


def _ijd_of_iso(text: str) -> float:
    import warnings

    from astropy.time import Time

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that leap seconds of a far year are not known
        try:
            return float(Time(text.strip().removesuffix("Z"), scale="utc").tt.mjd - MJD_OF_IJD_0)
        except ValueError:
            raise ValueError(f"{_brief(text)!r} is no time: {_GTI_RULE}") from None


def _numbers(value: Any) -> tuple[float, ...]:
    return tuple(float(part) for part in (value.split(",") if isinstance(value, str) else value))


def _intervals(value: Any) -> Any:
    return parse_intervals(value) if isinstance(value, str) else value


def _in_order(value: tuple[tuple[float, float], ...]) -> tuple[tuple[float, float], ...]:
    for start, stop in value:
        if not (math.isfinite(start) and math.isfinite(stop) and start < stop):
            raise ValueError(f"{start:.9g},{stop:.9g} does not end after its start: {_GTI_RULE}")
    return tuple(sorted(value))


def _phase(value: Any) -> Any:
    try:
        epoch, period, start, stop = _numbers(value)
    except (TypeError, ValueError):
        raise ValueError(_PHASE_RULE) from None
    whole = math.isfinite(epoch) and _SHORTEST_PERIOD_S <= period <= _LONGEST_PERIOD_S
    if not (whole and 0 <= start <= 1 and 0 <= stop <= 1 and start != stop):
        raise ValueError(_PHASE_RULE)
    return epoch, period, start, stop


def _rate_range(value: Any) -> Any:
    try:
        low, high = _numbers(value)
    except (TypeError, ValueError):
        raise ValueError(_RATE_RULE) from None
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ValueError(_RATE_RULE)
    return low, high


def _energy(value: float) -> float:
    low, high = ENERGY_RANGE_KEV
    if not (math.isfinite(value) and low <= value <= high and (2 * value).is_integer()):
        raise ValueError(_BAND_RULE)
    return value


def _scw_ids(value: Any) -> Any:
    items = parse_scw_list(value) if isinstance(value, str) else tuple(value)
    bad = [item for item in items if not _SCW_ID.fullmatch(str(item))]
    if bad:
        raise ValueError(f"{_brief(bad[0])!r} is not one: {_SCW_RULE}")
    if not items:
        raise ValueError(f"at least one is needed; {_SCW_RULE}")
    full = (item if "." in item else f"{item}.001" for item in map(str, items))
    return tuple(dict.fromkeys(full))


def _ephemeris(value: Any) -> Any:
    try:
        period, *rest = [None if part is None else float(part) for part in _parts(value)]
    except (TypeError, ValueError):
        raise ValueError(_FOLD_RULE) from None
    derivative, epoch = ([*rest, None, None])[:2]
    known = period is not None and _SHORTEST_FOLD_S <= period <= _LONGEST_PERIOD_S and len(rest) <= 2
    if not (known and abs(derivative or 0.0) < 1 and (epoch is None or _LEAST_MJD < epoch < _GREATEST_MJD)):
        raise ValueError(_FOLD_RULE)
    return period, derivative or 0.0, epoch


def _period_range(value: Any) -> Any:
    try:
        low, high = (float(part) for part in _parts(value))
    except (TypeError, ValueError):
        raise ValueError(_SEARCH_RULE) from None
    if not _SHORTEST_FOLD_S <= low < high <= 1e5:
        raise ValueError(_SEARCH_RULE)
    return low, high


def _parts(value: Any) -> Any:
    return value.split(",") if isinstance(value, str) else value


def _bands(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return [parse_band(part.strip()) for part in value.split(",") if part.strip()]


def _edges(value: Any) -> Any:
    parts = value.replace(";", ",").split(",") if isinstance(value, str) else value
    try:
        edges = tuple(parse_time(part) if isinstance(part, str) else float(part) for part in parts)
    except (TypeError, AttributeError):
        raise ValueError(_EDGES_RULE) from None
    if edges and (len(edges) < 2 or not all(a < b for a, b in pairwise(edges)) or not math.isfinite(edges[-1])):
        raise ValueError(_EDGES_RULE)
    return edges


def _channels(value: Any) -> Any:
    if value is None or value in _CHANNEL_SETS:
        return value
    try:
        edges = tuple(float(v) for v in (value.split(",") if isinstance(value, str) else value))
    except (TypeError, ValueError):
        raise ValueError(_CHANNEL_RULE) from None
    if len(edges) == 1 and edges[0] in _CHANNEL_SETS:
        return int(edges[0])
    known = osa_channel_edges_kev().tolist()
    if len(edges) < 2 or list(edges) != sorted(set(edges)):
        raise ValueError(_CHANNEL_RULE)
    for edge in edges:
        nearest = min(known, key=lambda k: abs(k - edge))
        if abs(nearest - edge) > 1e-3:
            raise ValueError(f"{edge:g} keV is none of them (near: {nearest:g}): {_CHANNEL_RULE}")
    return edges


Channels = Annotated[int | tuple[float, ...] | None, BeforeValidator(_channels)]
EnergyKeV = Annotated[float, AfterValidator(_energy)]
ScwList = Annotated[tuple[str, ...], BeforeValidator(_scw_ids)]
GoodTimes = Annotated[tuple[tuple[float, float], ...], BeforeValidator(_intervals), AfterValidator(_in_order)]
Phase = Annotated[tuple[float, float, float, float], BeforeValidator(_phase)]
Ephemeris = Annotated[tuple[float, float, float | None], BeforeValidator(_ephemeris)]
PeriodRange = Annotated[tuple[float, float], BeforeValidator(_period_range)]
Bands = Annotated[tuple[tuple[EnergyKeV, EnergyKeV], ...], BeforeValidator(_bands)]
Edges = Annotated[tuple[float, ...], BeforeValidator(_edges)]
RateRange = Annotated[tuple[float, float], BeforeValidator(_rate_range)]


class Query(EngineChoice, PointingQuery):
    """What every product shares.

    Attributes
    ----------
    scw_list : tuple of str
        Science windows, ``RRRRPPPPSSSF.VVV``; where it is empty, they are chosen by time and field.
    src_name : str or None
        Source asked for, any name that the catalogue knows.
    RA, DEC : float or None
        Position asked for, degrees (FK5, J2000), in place of a name.
    catalog : Path or None
        Sources (FITS, or ECSV with name, ra, dec) that are added to the built-in catalogue.
    only_catalog : bool
        Whether ``catalog`` is all there is: the built-in catalogue adds none and no new source is sought.
    gti : tuple of tuple of float
        Intervals, IJD, that the good time of each window is cut to; all of it if there is none.
    phase : tuple of float or None
        Epoch (MJD, TT at the spacecraft), period (s), start and stop of the phases (0 to 1) that are used.
    rate_range : tuple of float or None
        Lowest and highest rate, counts/s, of the source asked for: times with other rates are not used.
    rate_bin : float
        Length of the time bins of ``rate_range``, s.
    """

    scw_list: ScwList = Field((), title="Science windows")
    src_name: str | None = Field(None, title="Source", min_length=1)
    RA: float | None = Field(None, title="Right ascension [deg]", ge=0, lt=360, allow_inf_nan=False)
    DEC: float | None = Field(None, title="Declination [deg]", ge=-90, le=90, allow_inf_nan=False)
    catalog: Path | None = Field(None, title="Source catalogue")
    only_catalog: bool = Field(False, title="These sources only")
    gti: GoodTimes = Field((), title="Good time START,STOP")
    phase: Phase | None = Field(None, title="Phase EPOCH,PERIOD,START,STOP")
    rate_range: RateRange | None = Field(None, title="Rates LOW,HIGH [counts/s]")
    rate_bin: float = Field(10.0, title="Time bin of the rates [s]", ge=0.1, le=1e4, allow_inf_nan=False)

    @model_validator(mode="after")
    def _windows_are_known(self) -> Self:
        somewhere = self.src_name is not None or (self.RA is not None and self.DEC is not None)
        if not self.scw_list and not (self.T1 is not None and somewhere):
            raise ValueError("scw_list is needed, or T1 and T2 with src_name or RA and DEC")
        return self

    @model_validator(mode="after")
    def _only_something(self) -> Self:
        if self.only_catalog and self.catalog is None:
            raise ValueError("only_catalog needs the sources that are meant: catalog")
        return self

    @model_validator(mode="after")
    def _position_is_whole(self) -> Self:
        if (self.RA is None) != (self.DEC is None):
            raise ValueError("RA and DEC are given together or not at all")
        if self.RA is not None and self.src_name is not None:
            raise ValueError("give src_name or RA and DEC, not both")
        if self.rate_range is not None and self.RA is None and self.src_name is None:
            raise ValueError("rate_range needs the source whose rates are meant: src_name, or RA and DEC")
        return self


class MappedQuery(Query):
    """A product that maps of the background may be used for.

    Attributes
    ----------
    background : Path or None
        Folder of background maps (`integral-oda calibrate background`), in place of ``INTEGRAL_ODA_BACKGROUND``.
    """

    background: Path | None = Field(None, title="Background maps")


class ImageQuery(MappedQuery):
    """A sky image in one or several energy bands.

    Attributes
    ----------
    bands : tuple of EnergyBand
        Energy bands in keV.
    detection_threshold : float
        Significance above which an excess that no catalogue source explains is listed as new.
    at : tuple of str
        Names, or positions "RA,DEC" in degrees, at which a flux or its limit is wanted.
    """

    bands: tuple[tuple[EnergyKeV, EnergyKeV], ...] = Field(((28.0, 80.0),), title="Energy bands [keV]", min_length=1)
    at: tuple[str, ...] = Field((), title="Measure at (NAME or RA,DEC)")
    detection_threshold: float = Field(7.0, title="Detection threshold [sigma]", ge=3, le=100, allow_inf_nan=False)

    @model_validator(mode="after")
    def _bands_point_up(self) -> Self:
        for e1, e2 in self.bands:
            _check_order("bands", e1, e2)
        return self

    @property
    def energy_bands(self) -> tuple[EnergyBand, ...]:
        """The bands as `EnergyBand` values."""
        return tuple(EnergyBand(*band) for band in self.bands)


class LightCurveQuery(MappedQuery):
    """Light curves in one or several energy bands.

    Attributes
    ----------
    E1_keV, E2_keV : float
        Energy band in keV.
    time_bin : float
        Bin length in seconds; longer than a science window, whole windows are put together.
    more_bands : tuple of (float, float)
        Further bands; hardness ratios of neighbouring bands are made too.
    binning : str
        ``"fixed"``; ``"scw"`` or ``"revolution"``, one bin each; ``"blocks"``, Bayesian blocks sought in bins of
        ``time_bin``.
    bin_edges : tuple of float
        Edges of the bins, IJD, in place of ``binning``.
    barycentre : bool
        Times at the barycentre of the solar system (TDB).
    bursts : bool
        Search for bursts of the source, in the first band.
    events : bool
        Write the events with what each is worth for the source, in the first band.
    fold : tuple of float or None
        Period (s), its derivative (s/s) and epoch (MJD in the frame of the times) to fold the events with.
    period_search : tuple of float or None
        Shortest and longest period, s.
    epoch_correction : bool
        Make rates of different epochs comparable.
    """

    E1_keV: EnergyKeV = Field(28.0, title="Lower energy [keV]")
    E2_keV: EnergyKeV = Field(80.0, title="Upper energy [keV]")
    time_bin: float = Field(1000.0, title="Time bin [s]", ge=0.001, le=1e7, allow_inf_nan=False)
    more_bands: Bands = Field((), title="Further bands [keV]")
    binning: Literal["fixed", "scw", "revolution", "blocks"] = Field("fixed", title="Binning")
    bin_edges: Edges = Field((), title="Bin edges")
    barycentre: bool = Field(False, title="Barycentric times")
    bursts: bool = Field(False, title="Burst search")
    events: bool = Field(False, title="Event list")
    fold: Ephemeris | None = Field(None, title="Fold with PERIOD,DERIVATIVE,EPOCH")
    period_search: PeriodRange | None = Field(None, title="Period search LOW,HIGH [s]")
    epoch_correction: bool = Field(False, title="Epoch correction")

    @model_validator(mode="after")
    def _bands_point_up(self) -> Self:
        _check_order("E1_keV, E2_keV", self.E1_keV, self.E2_keV)
        for e1, e2 in self.more_bands:
            _check_order("more_bands", e1, e2)
        return self

    @model_validator(mode="after")
    def _blocks_have_a_source(self) -> Self:
        if self.binning == "blocks" and self.src_name is None and self.RA is None:
            raise ValueError("binning = blocks needs the source whose changes are meant: src_name, or RA and DEC")
        wanted = [name for name in ("bursts", "events", "fold", "period_search") if getattr(self, name)]
        if wanted and self.src_name is None and self.RA is None:
            raise ValueError(f"{wanted[0]} needs the source that is meant: src_name, or RA and DEC")
        return self

    def check_osa(self) -> None:
        """Refuse what only the native engine does.

        Raises
        ------
        RequestError
            Naming the first such parameter.
        """
        own = ("more_bands", "bin_edges", "barycentre", "bursts", "events", "fold", "period_search")
        given = [name for name in own if getattr(self, name)] + ["binning"] * (self.binning != "fixed")
        if given:
            raise RequestError(given[0], getattr(self, given[0]), "with the engine osa, leave it out; native does it")

    @property
    def folding(self) -> dict[str, Any]:
        """What is to be made of the event list."""
        given = {"fold": self.fold, "period_search": self.period_search}
        return {name: list(value) for name, value in given.items() if value}

    @property
    def band(self) -> EnergyBand:
        """The first band as an `EnergyBand` value."""
        return EnergyBand(self.E1_keV, self.E2_keV)

    @property
    def energy_bands(self) -> tuple[EnergyBand, ...]:
        """All bands, each once."""
        return tuple(dict.fromkeys((self.band, *(EnergyBand(*band) for band in self.more_bands))))

    @property
    def bins(self) -> dict[str, Any]:
        """Bins of one window, as the step LCR takes them."""
        if self.bin_edges:
            return {"edges_ijd": list(self.bin_edges)}
        if self.binning == "blocks":
            return {"blocks_of_s": self.time_bin}
        return {"width_s": self.time_bin} if self.binning == "fixed" else {"whole": True}

    @property
    def together(self) -> dict[str, Any]:
        """Which windows become one bin."""
        if self.bin_edges:
            return {}
        ways: dict[str, dict[str, Any]] = {"fixed": {"width_s": self.time_bin}, "revolution": {"revolution": True}}
        return ways.get(self.binning, {})


class SpectrumQuery(MappedQuery):
    """Spectra of one source, or of every source of the field, with their responses.

    Attributes
    ----------
    channels : int or tuple of float or None
        62, 256, 16 or 13, or edges in keV that are edges of OSA's 256 channels; None for 62 by the method ``fit`` and
        13 by ``mosaic``.
    method : {"fit", "mosaic"}
        Every channel fitted on the detector plane, or fluxes in the images of all channels.
    group : float
        Significance that the file's grouping gives each bin; 0 leaves every channel alone.
    """

    channels: Channels = Field(None, title="Channels")
    method: Literal["fit", "mosaic"] = Field("fit", title="Method")
    group: float = Field(0.0, title="Significance of a bin", ge=0, le=1000, allow_inf_nan=False)

    @model_validator(mode="after")
    def _few_images(self) -> Self:
        if self.method == "mosaic" and self.channels == 256:
            raise ValueError("channels = 256 is too many images for the method mosaic: 62, 16, 13 or edges in keV")
        return self


class QualityQuery(Query):
    """The quality page of one science window, in the bands 28-80 and 80-200 keV."""

    @model_validator(mode="after")
    def _one_window_as_it_is(self) -> Self:
        if len(self.scw_list) != 1:
            raise ValueError("a quality page is about one science window")
        if self.phase or self.rate_range:
            raise ValueError("a quality page is about the window, or its gti: no phase or rate_range")
        return self

    @property
    def energy_bands(self) -> tuple[EnergyBand, ...]:
        """The bands that are looked at."""
        return EnergyBand(28.0, 80.0), EnergyBand(80.0, 200.0)


class BackgroundQuery(Query):
    """Background maps of science windows in several bands.

    Attributes
    ----------
    bands : tuple of EnergyBand
        Energy bands in keV.
    """

    bands: tuple[tuple[EnergyKeV, EnergyKeV], ...] = Field(
        ((20.0, 40.0), (28.0, 80.0), (40.0, 80.0)), title="Energy bands [keV]", min_length=1
    )

    @model_validator(mode="after")
    def _whole_windows(self) -> Self:
        for e1, e2 in self.bands:
            _check_order("bands", e1, e2)
        if self.gti or self.phase or self.rate_range:
            raise ValueError("a background map is about whole windows: no gti, phase or rate_range")
        return self

    @property
    def energy_bands(self) -> tuple[EnergyBand, ...]:
        """The bands as `EnergyBand` values."""
        return tuple(EnergyBand(*band) for band in self.bands)


def _check_order(fields: str, e1: float, e2: float) -> None:
    if e1 >= e2:
        raise ValueError(f"{e1:g}-{e2:g} keV is upside down or empty: {_BAND_RULE} ({fields})")


QueryType = TypeVar("QueryType", bound=BaseModel)


def make_query(kind: type[QueryType], **values: Any) -> QueryType:
    """Build a query, with the first thing wrong told as a `RequestError`.

    Raises
    ------
    RequestError
        Naming the parameter, the value and what is allowed.
    """
    try:
        return kind(**{name: value for name, value in values.items() if value is not None})
    except ValidationError as exc:
        problem = exc.errors(include_url=False)[0]
    where, message = problem["loc"], problem["msg"].removeprefix("Value error, ")
    if not where:
        about = _named_in(message, kind, values)
        value = values if about == "query" else values.get(about) or "nothing"
        raise RequestError(_spelled(about), _brief(value), message)
    raise RequestError(_spelled(str(where[0])), _brief(problem["input"]), message[:1].lower() + message[1:])


def _spelled(field: str) -> str:
    return "band" if field in ("bands", "more_bands") else field


def _named_in(message: str, kind: type[BaseModel], values: Mapping[str, Any]) -> str:
    """Field that a sentence about several fields begins with, else the first of those it names that was given."""
    found = {name: re.search(rf"\b{name}\b", message) for name in kind.model_fields}
    places = {name: match.start() for name, match in found.items() if match}
    return min(places, key=lambda name: (places[name] > 0 and values.get(name) is None, places[name]), default="query")


def _brief(value: object) -> str:
    bands = isinstance(value, (list, tuple)) and value and all(isinstance(part, EnergyBand) for part in value)
    text = ", ".join(map(str, value)) if bands else str(value)  # type: ignore[call-overload]
    return text if len(text) <= 80 else f"{text[:77]}..."
