"""What the page asks of its worker process, and what it gets back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from integral_oda.errors import OutputError
from integral_oda.products.light_curve import LightCurve
from integral_oda.products.sky_image import SkyImage
from integral_oda.products.source_list import Source
from integral_oda.query import ImageQuery, LightCurveQuery
from integral_oda.workflow.progress import Listener, StepEvent

__all__ = ["FetchSample", "ImageResult", "LightCurveResult", "MakeImage", "MakeLightCurve", "SimulateWindow", "Task"]


class Task(Protocol):
    """Something to do in another process; it can be pickled, and so can its result."""

    def run(self, listener: Listener) -> Any:
        """Do it, blocking, and tell the listener of every step."""


@dataclass(frozen=True)
class ImageResult:
    """Sky images, one a band, their sources, the summary and the files written for a query."""

    query: ImageQuery
    images: tuple[SkyImage, ...]
    sources: tuple[Source, ...]
    summary: Mapping[str, Any]
    files: tuple[Path, ...]


@dataclass(frozen=True)
class LightCurveResult:
    """Light curves, one a source, the summary and the files written for a query."""

    query: LightCurveQuery
    curves: tuple[LightCurve, ...]
    summary: Mapping[str, Any]
    files: tuple[Path, ...]


def with_zip(files: Sequence[Path], path: Path) -> tuple[Path, ...]:
    """Files, and after them one that holds them all."""
    import zipfile

    try:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as packed:
            for file in files:
                packed.write(file, file.name)
    except OSError as exc:
        raise OutputError(f"{path}: cannot be written ({exc.strerror or exc})") from exc
    return (*files, path)


@dataclass(frozen=True)
class MakeImage:
    """Analyse an image query and write its products under ``out``."""

    query: ImageQuery
    archive: Path
    store: Path
    out: Path

    def run(self, listener: Listener) -> ImageResult:
        """Blocking; see `integral_oda.analysis.analyse` for its errors."""
        from integral_oda.analysis import analyse

        products = analyse(self.query, archive=self.archive, store=self.store, listener=listener)
        files = with_zip(products.write(self.out), self.out / "image.zip")
        return ImageResult(self.query, tuple(products.images), tuple(products.sources), products.summary, files)


@dataclass(frozen=True)
class MakeLightCurve:
    """Analyse a light-curve query and write its products under ``out``."""

    query: LightCurveQuery
    archive: Path
    store: Path
    out: Path

    def run(self, listener: Listener) -> LightCurveResult:
        """Blocking; see `integral_oda.analysis.analyse` for its errors."""
        from integral_oda.analysis import analyse

        products = analyse(self.query, archive=self.archive, store=self.store, listener=listener)
        files = with_zip(products.write(self.out), self.out / "lightcurve.zip")
        return LightCurveResult(self.query, tuple(products.curves), products.summary, files)


@dataclass(frozen=True)
class SimulateWindow:
    """Simulate one science window into an archive."""

    archive: Path

    def run(self, listener: Listener) -> str:
        """Blocking; gives the identifier of the window."""
        from integral_oda.simulation.window import simulate_demo_window

        listener(StepEvent("all", "SIMULATE", "running"))
        scw = simulate_demo_window(self.archive)
        listener(StepEvent("all", "SIMULATE", "computed"))
        return str(scw)


@dataclass(frozen=True)
class FetchSample:
    """Fetch the real sample window into an archive; needs a package index."""

    archive: Path

    def run(self, listener: Listener) -> str:
        """Blocking; gives the identifier of the window."""
        from integral_oda.archive.sample import fetch_sample

        def report(text: str) -> None:
            listener(StepEvent("all", "FETCH", "running", message=text))

        report("")
        folder = fetch_sample(self.archive, report)
        listener(StepEvent("all", "FETCH", "computed"))
        return folder.name
