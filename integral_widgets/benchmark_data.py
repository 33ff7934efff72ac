"""Where a benchmark's data come from: a twin, an archive or the online system; and how they are measured."""

from __future__ import annotations

import html
import json
import math
import resource
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast, get_args

from integral_oda.engine_choice import EngineName
from integral_oda.errors import RequestError
from integral_oda.folders import archive_root, store_root
from integral_widgets.paths import notebooks_root
from integral_widgets.verdicts import DataOrigin, Expectations, Verdict, judge_all, read_expectations

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from integral_oda.analysis import Products
    from integral_oda.instrument.energy import EnergyBand
    from integral_oda.products.source_list import Source
    from integral_oda.simulation.twins.case import Case
    from integral_oda.simulation.twins.make import Twin

__all__ = [
    "NOT_HERE",
    "BenchmarkData",
    "FluxComparison",
    "compare_fluxes",
    "flux_table_html",
    "open_benchmark",
    "open_windows",
    "published_file",
    "windows_by_visit",
]

TWIN_WARNING = "A twin proves the chain of the analysis, not the sky."
NOT_HERE = "INTEGRAL_ODA_TESTDATA names no folder that holds them"
_COLOURS = {"twin": "#b45f06", "archive": "#0a7d2c", "mmoda": "#1f4e8c"}
_MEGABYTE = 1024.0
_STAMP_HEIGHT = 24


@dataclass(frozen=True)
class BenchmarkData:
    """Science windows of a benchmark, and who analyses them.

    Attributes
    ----------
    name : str
        Of the benchmark.
    case : Case or None
        The published observation; None where named science windows are all there is to it.
    origin : {"twin", "archive", "mmoda"}
    engine : {"native", "osa", "mmoda"}
    archive, store : Path
        Roots of the archive and of the product store.
    windows : dict
        Which science windows, as a query takes them.
    sentence : str
        Where the data come from: the report's first line.
    twin : Twin or None
        What was simulated.
    """

    name: str
    case: Case | None
    origin: DataOrigin
    engine: EngineName
    archive: Path
    store: Path
    windows: dict[str, Any]
    sentence: str
    twin: Twin | None = None
    started: float = field(default_factory=time.perf_counter)

    def first_line_html(self) -> str:
        """The report's first line, coloured by where the data come from."""
        colour = _COLOURS[self.origin]
        return (
            f"<div style='border-left:6px solid {colour};padding:4px 10px'>"
            f"<b style='color:{colour}'>Data:</b> {html.escape(self.sentence)}</div>"
        )

    def png(self, figure: Figure) -> bytes:
        """Figure as a PNG image; that of a twin says so itself."""
        from integral_widgets.report_figures import png

        return self._stamped(png(figure))

    def picture(self, path: str | Path) -> bytes:
        """PNG image of a file, such as that of a fit; that of a twin says so itself."""
        return self._stamped(Path(path).read_bytes())

    def _stamped(self, content: bytes) -> bytes:
        if self.origin != "twin":
            return content
        from io import BytesIO

        from PIL import Image, ImageDraw, ImageOps

        with Image.open(BytesIO(content)) as image:
            stamped = ImageOps.expand(image.convert("RGB"), (0, _STAMP_HEIGHT, 0, 0), "white")
        ImageDraw.Draw(stamped).text((6, 4), "TWIN, simulated", fill=_COLOURS["twin"], font_size=14)
        buffer = BytesIO()
        stamped.save(buffer, format="PNG")
        return buffer.getvalue()

    def last_lines_html(self) -> str:
        """The report's last lines: once more where the data come from, and the versions."""
        from integral_oda.versions import software_versions

        versions = ", ".join(f"{name} {version}" for name, version in software_versions().items())
        return f"<p>{html.escape(self.sentence)}</p><p>{html.escape(versions)}</p>"

    def analyse(self, kind: type[Any], windows: Mapping[str, Any] | None = None, **values: Any) -> Products:
        """Carry out a query about these windows, or about others of them.

        Parameters
        ----------
        kind : type
            `ImageQuery`, `SpectrumQuery` or `LightCurveQuery`.
        windows : mapping, optional
            In place of all windows, such as ``{"scw_list": ...}``.
        **values
            Further parameters of the query.
        """
        from integral_oda.analysis import analyse
        from integral_oda.query import make_query

        query = make_query(kind, **(self.windows if windows is None else windows), **values)
        return analyse(query, self.archive, self.store, engine=self.engine)

    def expectations(self) -> Expectations:
        """Expected numbers of the benchmark."""
        return read_expectations(notebooks_root() / "benchmarks" / f"{self.name}.expected.json")

    def verdicts(self, measured: Mapping[str, tuple[float, float]], verdict_file: str | None) -> list[Verdict]:
        """Judge what was measured, and write it down where a file is named."""
        verdicts = judge_all(self.expectations(), measured, self.origin)
        if verdict_file:
            from integral_oda.versions import software_versions

            content = {
                "benchmark": self.name,
                "data": self.origin,
                "sentence": self.sentence,
                "engine": self.engine,
                "windows": self.windows,
                "seed": self.twin.seed if self.twin else None,
                "seconds": round(time.perf_counter() - self.started, 1),
                "peak_memory_mb": peak_memory_mb(),
                "versions": software_versions(),
                "verdicts": [verdict.as_dict() for verdict in verdicts],
            }
            Path(verdict_file).write_text(json.dumps(content, indent=2), encoding="utf-8")
        return verdicts


def peak_memory_mb() -> float:
    """Largest resident memory of this process and of any of its children, MB."""
    largest = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return round(largest / (_MEGABYTE if sys.platform != "darwin" else _MEGABYTE**2), 1)


def open_benchmark(
    name: str,
    case: str | None = None,
    *,
    data: str = "twin",
    engine: str = "native",
    archive: str | Path | None = None,
    store: str | Path | None = None,
    scw_list: str = "",
    time_range: Sequence[str] = (),
    windows: int | None = None,
    full: bool = False,
    seed: int = 1,
) -> BenchmarkData:
    """Make or find a benchmark's science windows.

    Parameters
    ----------
    name : str
        Of the benchmark.
    case : str, optional
        Of the published observation, unless it has the same name.
    data : {"twin", "archive", "mmoda"}
        Simulated windows, those of an archive, or those of the online system.
    engine : {"native", "osa", "mmoda"}
        ``"mmoda"`` means the online system's data.
    archive, store : str or Path, optional
        Roots; twins are kept beside the store.
    scw_list : str
        Science windows in place of those of the time range, for an archive and the online system.
    time_range : sequence of str
        Two UTC times in place of the published ones.
    windows : int, optional
        How many, in place of the case's own number.
    full : bool
        As many as were published.
    seed : int
        Of the twin, or of the choice of windows.

    Raises
    ------
    RequestError
        If data and engine do not go together.
    """
    from integral_oda.simulation.twins.case import read_case

    published = read_case(case or name)
    origin, who = _origin(data, engine)
    roots = Path(archive) if archive else archive_root(), Path(store) if store else store_root()
    count = windows or (published.full if full else published.windows)
    if origin == "twin":
        return _open_twin(name, published, who, roots, count, seed)
    chosen = _chosen_windows(published, scw_list, time_range, count, seed)
    return BenchmarkData(name, published, origin, who, *roots, chosen, _real_sentence(origin, roots[0], chosen))


def open_windows(
    name: str,
    scw_list: str,
    *,
    engine: str = "native",
    archive: str | Path | None = None,
    store: str | Path | None = None,
) -> BenchmarkData:
    """Find the science windows of a benchmark that has no twin.

    Parameters
    ----------
    name : str
        Of the benchmark.
    scw_list : str
        Science windows.
    engine : {"native", "osa", "mmoda"}
        ``"mmoda"`` means the online system's data.
    archive, store : str or Path, optional
        Roots.

    Raises
    ------
    RequestError
        If the engine is none.
    """
    origin, who = _origin("archive", engine)
    roots = Path(archive) if archive else archive_root(), Path(store) if store else store_root()
    chosen = {"scw_list": scw_list}
    return BenchmarkData(name, None, origin, who, *roots, chosen, _real_sentence(origin, roots[0], chosen))


def _origin(data: str, engine: str) -> tuple[DataOrigin, EngineName]:
    """Data and engine as they go together: the online system analyses its own data."""
    for parameter, value, allowed in (("data", data, get_args(DataOrigin)), ("engine", engine, get_args(EngineName))):
        if value not in allowed:
            raise RequestError(parameter, value, f"one of {', '.join(allowed)}")
    if "mmoda" in (data, engine):
        return "mmoda", "mmoda"
    return cast("DataOrigin", data), cast("EngineName", engine)


def _open_twin(
    name: str, case: Case, engine: EngineName, roots: tuple[Path, Path], count: int, seed: int
) -> BenchmarkData:
    from integral_oda.simulation.twins.make import make_twin

    started = time.perf_counter()
    twin = make_twin(case, roots[1] / "twins", count, seed, _tell)
    sentence = (
        f"TWIN, simulated: {len(twin.windows)} science windows of {case.duration_s:g} s (seed {seed}) for "
        f"{case.publication}. Pointings: {case.attitudes}. {TWIN_WARNING}"
    )
    windows = {"scw_list": twin.scw_list}
    return BenchmarkData(name, case, "twin", engine, twin.root, roots[1], windows, sentence, twin, started)


def _tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _chosen_windows(case: Case, scw_list: str, time_range: Sequence[str], count: int, seed: int) -> dict[str, Any]:
    if scw_list:
        return {"scw_list": scw_list}
    t1, t2 = time_range or (case.t1, case.t2)
    return {
        "T1": t1, "T2": t2, "RA": case.ra, "DEC": case.dec, "radius": case.radius_deg,
        "max_pointings": count, "seed": seed,
    }  # fmt: skip


def _real_sentence(data: str, archive: Path, chosen: Mapping[str, Any]) -> str:
    if "scw_list" in chosen:
        which = f"science windows {chosen['scw_list']}"
    else:
        which = f"at most {chosen['max_pointings']} science windows of {chosen['T1']} to {chosen['T2']} (UTC)"
    if data == "mmoda":
        return f"the online system's own products (engine mmoda), {which}"
    return f"archive {archive}, {which}{_simulated_note(archive, chosen)}"


def _simulated_note(archive: Path, chosen: Mapping[str, Any]) -> str:
    """Says so where a named window of the archive is a simulated one."""
    from integral_oda.archive.tree import Archive
    from integral_oda.products.fits_io import open_fits
    from integral_oda.query import parse_scw_list

    if "scw_list" not in chosen:
        return ""
    tree = Archive(archive)
    for scw in parse_scw_list(chosen["scw_list"]):
        with open_fits(tree.events_file(scw)) as hdus:
            if hdus[0].header.get("SIMULATE"):
                return f". SIMULATED science windows are among them. {TWIN_WARNING}"
    return ""


@dataclass(frozen=True)
class FluxComparison:
    """A source's measured flux beside the one it was simulated with, counts/s."""

    name: str
    measured: float
    error: float
    true: float

    @property
    def pull(self) -> float:
        """Difference in errors."""
        return (self.measured - self.true) / self.error

    def agrees(self, tolerance: float, sigmas: float = 2.0) -> bool:
        """Whether the two are within a share or so many errors, whichever is larger."""
        return abs(self.measured - self.true) <= max(tolerance * self.true, sigmas * self.error)


def compare_fluxes(
    sources: Iterable[Source], twin: Twin, band: EnergyBand, names: Sequence[str]
) -> list[FluxComparison]:
    """Fluxes of named sources beside the truth, with NaN for those that were not found."""
    found = {source.name: source for source in sources}
    compared = []
    for name in names:
        bands = [b for b in found[name].bands if (b.e1_kev, b.e2_kev) == tuple(band)] if name in found else []
        measured = (bands[0].flux, bands[0].flux_error) if bands else (math.nan, math.nan)
        compared.append(FluxComparison(name, *measured, twin.rate(name, band)))
    return compared


def flux_table_html(rows: Sequence[FluxComparison], tolerance: float) -> str:
    """Table of measured and true fluxes, pull and verdict."""
    titles = ("Source", "Measured [counts/s]", "Input [counts/s]", "Ratio", "Pull", f"{tolerance:.0%} or 2 errors")
    head = "".join(f"<th style='text-align:left'>{title}</th>" for title in titles)
    body = "".join(_flux_row(row, tolerance) for row in sorted(rows, key=lambda row: -row.true))
    return f"<table><tr>{head}</tr>{body}</table>"


def _flux_row(row: FluxComparison, tolerance: float) -> str:
    found = math.isfinite(row.measured)
    cells = (
        html.escape(row.name),
        f"{row.measured:.2f} ± {row.error:.2f}" if found else "not found",
        f"{row.true:.2f}",
        f"{row.measured / row.true:.3f}" if found else "",
        f"{row.pull:+.1f}" if found else "",
        "yes" if found and row.agrees(tolerance) else "<b style='color:#b71c1c'>no</b>",
    )
    return f"<tr>{''.join(f'<td style=text-align:left>{cell}</td>' for cell in cells)}</tr>"


def published_file(name: str) -> Path | None:
    """File of published numbers of the online system's benchmarks, None where it is not on this computer.

    They lie in ``oda-hub_oda_api_benchmark`` below the folder ``INTEGRAL_ODA_TESTDATA``.
    """
    import os

    root = os.environ.get("INTEGRAL_ODA_TESTDATA")
    path = Path(root) / "oda-hub_oda_api_benchmark" / name if root else None
    return path if path is not None and path.is_file() else None


def windows_by_visit(data: BenchmarkData, labels: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Science windows of each visit of a twin, or of each year of real data.

    Parameters
    ----------
    data : BenchmarkData
    labels : iterable of str
        Visits in the order wanted; for real data they are years.
    """
    if data.twin:
        groups: dict[str, list[str]] = {}
        for window in data.twin.windows:
            groups.setdefault(window.label, []).append(str(window.scw))
        return {label: {"scw_list": ",".join(groups[label])} for label in labels if label in groups}
    if "T1" not in data.windows:
        raise RequestError("scw_list", data.windows["scw_list"], "a time range is needed where years are compared")
    first, last = (int(str(data.windows[side])[:4]) for side in ("T1", "T2"))
    return {
        year: {**data.windows, "T1": f"{year}-01-01T00:00:00", "T2": f"{year}-12-31T23:59:59"}
        for year in labels
        if first <= int(year) <= last
    }
