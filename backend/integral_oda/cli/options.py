"""Options that several commands share, and how a command takes them."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from integral_oda.engine_choice import DEFAULT_OSA_VERSION
from integral_oda.errors import RequestError

Windows = Annotated[str | None, typer.Option("--scw-list", help="Science windows: ID,ID,... or @FILE with one a line.")]
SourceName = Annotated[str | None, typer.Option("--source", help="Source, by any name that the catalogue knows.")]
RightAscension = Annotated[float | None, typer.Option("--ra", help="Right ascension of the source, degrees (J2000).")]
Declination = Annotated[float | None, typer.Option("--dec", help="Declination of the source, degrees (J2000).")]
CatalogFile = Annotated[
    Path | None, typer.Option("--catalog", help="Sources to add: FITS, or ECSV with name, ra, dec.")
]
StartTime = Annotated[str | None, typer.Option("--t1", help="In place of a list: science windows from this time on.")]
StopTime = Annotated[str | None, typer.Option("--t2", help="And up to this time.")]
TimeFormat = Annotated[
    str, typer.Option("--t-format", help="Of --t1 and --t2: isot, mjd, ... (UTC), ijd (TT), or revolution.")
]
Radius = Annotated[float, typer.Option("--radius", help="Largest angle of a pointing from the source, degrees.")]
MostPointings = Annotated[int, typer.Option("--max-pointings", help="Use so many science windows at most.")]
Seed = Annotated[
    int | None, typer.Option("--seed", help="Choose them at random with this seed; evenly spread without one.")
]
Readiness = Annotated[str, typer.Option("--readiness", help="cons (consolidated), nrt (near real time), or any.")]
LeastGoodTime = Annotated[float, typer.Option("--min-good-isgri", help="Least good time of ISGRI, seconds.")]
LeastOntime = Annotated[float, typer.Option("--min-ontime", help="Least length of a science window, seconds.")]
MostOffAxis = Annotated[
    float | None, typer.Option("--max-off-axis", help="Largest angle of ISGRI's axis from the source, degrees.")
]
LeastCoded = Annotated[float, typer.Option("--min-coded-fraction", help="Least coded fraction at the source, 0 to 1.")]
Exclude = Annotated[
    list[str] | None,
    typer.Option(
        "--exclude",
        metavar="bti|PATH",
        help="Leave windows out: bti (the IC tree's bad time), a bad time table, quality.json, a list; repeatable.",
    ),
]
IndexFile = Annotated[Path | None, typer.Option("--index", help="Choose from these pointings, not the archive's own.")]
ArchiveRoot = Annotated[Path | None, typer.Option("--archive", help="Root of the local archive.")]
StoreRoot = Annotated[str | None, typer.Option("--store", help="Root of the product store, a folder or a URL.")]
OutFolder = Annotated[Path, typer.Option("--out", help="Folder for the results.")]
GoodTime = Annotated[
    list[str] | None,
    typer.Option("--gti", metavar="FILE|START,STOP", help="Use only this time: IJD, MJD (TT) or ISO UTC; repeatable."),
]
Phase = Annotated[
    str | None, typer.Option("--phase", help="Use only these phases: EPOCH (MJD, TT),PERIOD (s),START,STOP (0 to 1).")
]
RateRange = Annotated[
    str | None, typer.Option("--rate-range", metavar="LOW,HIGH", help="Use only times at which --source has this rate.")
]
RateBin = Annotated[float, typer.Option("--rate-bin", help="Time bin of --rate-range, seconds.")]
EngineOption = Annotated[str, typer.Option("--engine", help="Who carries the steps out: native, osa or mmoda.")]
EngineFor = Annotated[
    list[str] | None,
    typer.Option(
        "--engine-for",
        metavar="STEP=ENGINE",
        help="Another engine for a step and what follows it, such as IMA=native; repeatable.",
    ),
]
OsaVersion = Annotated[
    str, typer.Option("--osa-version", help="OSA of the engine osa: 11.2, 10.2, or 10.2+11.2 split at revolution 1626.")
]
OsaParameter = Annotated[
    list[str] | None,
    typer.Option("--osa-parameter", metavar="EXECUTABLE.PARAMETER=VALUE", help="Parameter of an OSA executable."),
]
BackgroundMaps = Annotated[
    Path | None, typer.Option("--background", help="Folder of background maps, see `calibrate background`.")
]
LowEnergy = Annotated[float, typer.Option("--e1", help="Lower energy, keV.")]
HighEnergy = Annotated[float, typer.Option("--e2", help="Upper energy, keV.")]
AsJson = Annotated[bool, typer.Option("--json", help="Write summary.json to standard output, and nothing else.")]
Strict = Annotated[bool, typer.Option("--strict", help="Fail where a science window would be left out.")]
JobCount = Annotated[int | None, typer.Option("--jobs", help="Processes to work with, on a cluster of this machine.")]
Scheduler = Annotated[str | None, typer.Option("--scheduler", help="Dask scheduler to work with, tcp://HOST:PORT.")]
OnlyCatalog = Annotated[
    bool, typer.Option("--only-catalog", help="Fit the sources of --catalog alone: no built-in ones, no new ones.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would be done, and do nothing.")]
Detach = Annotated[bool, typer.Option("--detach", help="Work in the background; see `integral-oda jobs`.")]
Crate = Annotated[bool, typer.Option("--crate", help="Make the output folder an RO-Crate that can be rerun.")]


@dataclass(frozen=True)
class Pointings:
    """Which source and which science windows a query is about."""

    scw_list: Windows = None
    source: SourceName = None
    ra: RightAscension = None
    dec: Declination = None
    catalog: CatalogFile = None
    t1: StartTime = None
    t2: StopTime = None
    t_format: TimeFormat = "isot"
    radius: Radius = 15.0
    max_pointings: MostPointings = 50
    seed: Seed = None
    readiness: Readiness = "any"
    min_good_isgri: LeastGoodTime = 0.0
    min_ontime: LeastOntime = 0.0
    max_off_axis: MostOffAxis = None
    min_coded_fraction: LeastCoded = 0.0
    exclude: Exclude = None
    index: IndexFile = None

    @property
    def parameters(self) -> dict[str, Any]:
        """The options as a query's parameters."""
        own = {f.name: getattr(self, f.name) for f in fields(Pointings)}
        return {_QUERY_NAMES.get(name, name): value for name, value in own.items()}


_QUERY_NAMES = {"source": "src_name", "ra": "RA", "dec": "DEC", "t1": "T1", "t2": "T2", "t_format": "T_format"}


@dataclass(frozen=True)
class Selection(Pointings):
    """Which source, which science windows and which time of theirs a query is about."""

    only_catalog: OnlyCatalog = False
    gti: GoodTime = None
    phase: Phase = None
    rate_range: RateRange = None
    rate_bin: RateBin = 10.0
    engine: EngineOption = "native"
    engine_for: EngineFor = None
    osa_version: OsaVersion = DEFAULT_OSA_VERSION
    osa_parameter: OsaParameter = None

    @property
    def parameters(self) -> dict[str, Any]:
        """The options as a query's parameters."""
        return {
            **super().parameters,
            "only_catalog": self.only_catalog,
            "gti": good_time(self.gti),
            "phase": self.phase,
            "rate_range": self.rate_range,
            "rate_bin": self.rate_bin,
            "engine": self.engine,
            "engine_for": tuple(self.engine_for) if self.engine_for else None,
            "osa_version": self.osa_version,
            "osa_parameters": tuple(self.osa_parameter) if self.osa_parameter else None,
        }


def with_shared_options(function: Callable[..., None]) -> Callable[..., None]:
    """Make a command of a function: a parameter that is a dataclass becomes one option for each of its fields."""
    signature = inspect.signature(function, eval_str=True)
    kinds: dict[str, Any] = {name: p.annotation for name, p in signature.parameters.items()}
    groups: dict[str, Any] = {name: kind for name, kind in kinds.items() if is_dataclass(kind)}
    own = [p.replace(kind=p.KEYWORD_ONLY) for name, p in signature.parameters.items() if name not in groups]
    shared = [parameter for kind in groups.values() for parameter in _field_parameters(kind)]

    @functools.wraps(function)
    def command(**values: Any) -> None:
        made = {name: kind(**{f.name: values.pop(f.name) for f in fields(kind)}) for name, kind in groups.items()}
        function(**values, **made)

    complete = signature.replace(parameters=[*own, *shared])
    command.__signature__ = complete  # type: ignore[attr-defined]
    command.__annotations__ = {name: p.annotation for name, p in complete.parameters.items()}
    return command


def _field_parameters(kind: Any) -> list[inspect.Parameter]:
    hints = get_type_hints(kind, include_extras=True)
    return [
        p.replace(kind=p.KEYWORD_ONLY, annotation=hints[p.name]) for p in inspect.signature(kind).parameters.values()
    ]


def good_time(texts: list[str] | None) -> Sequence[tuple[float, float]] | None:
    """Intervals of every ``--gti``, a file or START,STOP."""
    if not texts:
        return None
    from integral_oda.archive.good_time_file import read_good_time
    from integral_oda.query import parse_intervals

    try:
        return [
            pair
            for t in texts
            for pair in (parse_intervals(t) if "," in t and not Path(t).exists() else read_good_time(t))
        ]
    except ValueError as exc:
        raise RequestError("gti", " ".join(texts), str(exc)) from None
