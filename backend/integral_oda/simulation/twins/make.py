"""From a case to an archive of simulated science windows, with what is true in them."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np

from integral_oda import __version__
from integral_oda.archive.scw import ScwId
from integral_oda.arrays import Array
from integral_oda.errors import OutputError, RequestError
from integral_oda.instrument.energy import EnergyBand
from integral_oda.simulation.behaviour import mean_rate
from integral_oda.simulation.files import write_window
from integral_oda.simulation.recipe import Pointing, Recipe, SourceModel
from integral_oda.simulation.spectra import source_spectrum
from integral_oda.simulation.twins.case import Case
from integral_oda.simulation.twins.choice import ChosenWindow, choose_windows
from integral_oda.simulation.twins.sky import epoch_detector, twin_background, twin_nuisances, twin_sources
from integral_oda.simulation.window import simulate_window
from integral_oda.workflow.locks import FileLock

__all__ = ["Twin", "TwinWindow", "make_twin", "twin_recipes"]

_MJD_OF_IJD_0 = 51544.0
DAY_S = 86400.0


@dataclass(frozen=True)
class TwinWindow:
    """A science window of a twin: the recipe that it is the number-th window of, and its identifier."""

    recipe: Recipe
    number: int
    label: str

    @property
    def scw(self) -> ScwId:
        """Its identifier."""
        return ScwId(self.recipe.revolution, self.recipe.pointing_number(self.number), 1)

    @property
    def span_s(self) -> Array:
        """Start and stop on the recipe's clock, shape (1, 2), seconds."""
        start = self.recipe.window_start_s(self.number)
        return np.array([[start, start + self.recipe.duration_s]])

    @property
    def start_ijd(self) -> float:
        """Start, IJD."""
        return self.recipe.start_ijd + self.recipe.window_start_s(self.number) / DAY_S

    def source(self, name: str) -> SourceModel:
        """One of its sources.

        Raises
        ------
        RequestError
            If there is no such source.
        """
        found = next((source for source in self.recipe.sources if source.name == name), None)
        if found is None:
            raise RequestError("src_name", name, "not in this twin")
        return found

    def rate(self, name: str, band: EnergyBand) -> float:
        """Mean rate that a source was given in the window, counts/s in a band at full efficiency."""
        source = self.source(name)
        spectrum = _spectrum(source.spectrum, source.flux, self.recipe.revolution)
        return spectrum.band_rate(*band) * mean_rate(source.behaviour, self.span_s)


@dataclass(frozen=True)
class Twin:
    """A case that was simulated.

    Attributes
    ----------
    case : Case
    seed : int
    root : Path
        Root of its archive.
    windows : tuple of TwinWindow
    """

    case: Case
    seed: int
    root: Path
    windows: tuple[TwinWindow, ...]

    @property
    def scw_list(self) -> str:
        """Identifiers with commas between."""
        return ",".join(str(window.scw) for window in self.windows)

    @cached_property
    def sources(self) -> tuple[str, ...]:
        """Names of all sources that were simulated."""
        return tuple(dict.fromkeys(s.name for window in self.windows for s in window.recipe.sources))

    def rate(self, name: str, band: EnergyBand) -> float:
        """Mean over the windows of the rate that a source was given, counts/s in a band."""
        return float(np.mean([window.rate(name, band) for window in self.windows]))


_spectrum = lru_cache(maxsize=512)(source_spectrum)


def twin_recipes(case: Case, windows: Sequence[ChosenWindow], seed: int) -> list[TwinWindow]:
    """Recipes of the chosen windows, one a visit."""
    made = []
    for _, group in itertools.groupby(windows, key=lambda window: (window.visit.revolution, window.visit.label)):
        chosen = list(group)
        visit, start_mjd = chosen[0].visit, min(window.start_mjd for window in chosen)
        recipe = Recipe(
            seed=seed,
            revolution=visit.revolution,
            first_pointing=chosen[0].number,
            start_ijd=start_mjd - _MJD_OF_IJD_0,
            duration_s=case.duration_s,
            pointings=tuple(
                Pointing(
                    ra=w.ra, dec=w.dec, roll=visit.roll, number=w.number, start_s=(w.start_mjd - start_mjd) * DAY_S
                )
                for w in chosen
            ),
            sources=twin_sources(case, visit, start_mjd),
            background=twin_background(case),
            detector=epoch_detector(visit.revolution),
            nuisances=twin_nuisances(case),
        )
        made += [TwinWindow(recipe, number, visit.label) for number in range(len(chosen))]
    return made


def make_twin(
    case: Case, root: str | Path, count: int | None = None, seed: int = 1, report: Callable[[str], None] | None = None
) -> Twin:
    """Simulate the twin of a case; windows that are there already are used again.

    Parameters
    ----------
    case : Case
    root : str or Path
        Folder of all twins.
    count : int, optional
        Number of windows, the case's own unless given.
    seed : int
        Of all random numbers.
    report : callable, optional
        Given a line for each window.

    Raises
    ------
    RequestError
        If the case has not so many windows.
    OutputError
        If the folder cannot be written.
    """
    windows = twin_recipes(case, choose_windows(case, count or case.windows), seed)
    recipes = [window.recipe.model_dump(mode="json") for window in windows]
    label = hashlib.sha256(json.dumps([__version__, recipes], sort_keys=True).encode()).hexdigest()[:12]
    twin = Twin(case, seed, Path(root) / f"{case.name}-{label}", tuple(windows))
    _make_windows(twin, report or (lambda _: None))
    return twin


def _make_windows(twin: Twin, report: Callable[[str], None]) -> None:
    """Make what is missing; windows that another process is at are left to it, and waited for at the end."""
    missing, made = list(twin.windows), 0
    for wait in (False, True):
        later = []
        for window in missing:
            if not _make_window(window, twin.root, wait):
                later.append(window)
                continue
            made += 1
            report(f"{twin.case.name}: twin window {made} of {len(twin.windows)}, {window.scw}")
        missing = later


def _make_window(window: TwinWindow, root: Path, wait: bool) -> bool:
    """Make a window unless it is there; False where another process is at it and is not waited for."""
    folder = root / "scw" / f"{window.scw.revolution:04d}" / str(window.scw)
    if folder.is_dir():
        return True
    lock = FileLock(root / f"{window.scw}.lock")
    try:
        root.mkdir(parents=True, exist_ok=True)
        if not lock.acquire(give_up=lambda: not wait):
            return False
        if not folder.is_dir():
            simulated, truth = simulate_window(window.recipe, window.number)
            write_window(simulated, root, {"truth.json": json.dumps(truth, indent=1)})
    except OSError as exc:
        raise OutputError(f"{root}: cannot be written to ({exc.strerror})") from exc
    finally:
        lock.release()
    return True
