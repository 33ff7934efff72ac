"""From a recipe to science windows with known truth."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from integral_oda.archive.scw import ScwId
from integral_oda.arrays import Array
from integral_oda.errors import RequestError
from integral_oda.instrument.attitude import Attitude
from integral_oda.simulation.behaviour import mean_rate
from integral_oda.simulation.context import write_context
from integral_oda.simulation.events import DrawnEvents, WindowSetting, draw_background, draw_source
from integral_oda.simulation.files import SECONDS_A_DAY, SimulatedWindow, free_folder, write_window
from integral_oda.simulation.nuisances import Direction, ridge_directions
from integral_oda.simulation.plane import DetectorPlane, draw_plane
from integral_oda.simulation.pointings import attitude_keywords, pointing_axes, true_attitude
from integral_oda.simulation.recipe import Constant, Recipe, SourceModel, read_recipe
from integral_oda.simulation.spectra import background_spectrum, source_spectrum

__all__ = ["DEMO_SCW", "TRUTH_BANDS", "draw_detector", "simulate", "simulate_demo_window", "simulate_window"]


TRUTH_BANDS = ((20.0, 40.0), (28.0, 40.0), (28.0, 80.0), (40.0, 80.0), (80.0, 200.0))
DEMO_SCW = ScwId(2559, 9001, 1)
"""Of the demo window; no real revolution has that many pointings."""


def simulate(recipe: Recipe, out: str | Path, report: Callable[[str], None] | None = None) -> list[ScwId]:
    """Simulate science windows and write them as an archive, with ``truth.json`` and ``sources.ecsv``.

    Parameters
    ----------
    recipe : Recipe
        What to simulate.
    out : str or Path
        Root of the archive to write.
    report : callable, optional
        Called with one line of text for each window.

    Returns
    -------
    list of ScwId
        The windows, in order.

    Raises
    ------
    OutputError
        If a window or a context is there already or the folder cannot be written.
    RequestError
        If the recipe leaves no good time.
    """
    from integral_oda.products.fits_io import write_aside

    out, windows = Path(out), []
    truth: dict[str, Any] = {"seed": recipe.seed, "recipe": recipe.model_dump(mode="json"), "windows": []}
    for number in range(recipe.count):
        free_folder(out, _scw(recipe, number))
    if recipe.detector.context:
        write_context(draw_detector(recipe), out, recipe.revolution, recipe.start_ijd)
    for number in range(recipe.count):
        window, window_truth = simulate_window(recipe, number)
        write_window(window, out, {})
        truth["windows"].append(window_truth)
        windows.append(window.scw)
        if report is not None:
            report(f"{window.scw}: {len(window.events)} events in {window_truth['ontime_s']:.0f} s of good time")
    truth["detector"] = _plane_truth(draw_detector(recipe))
    with write_aside(out / "truth.json") as aside:
        aside.write_text(json.dumps(truth, indent=1), encoding="utf-8")
    with write_aside(out / "sources.ecsv") as aside:
        aside.write_text(_source_list(recipe.sources), encoding="utf-8")
    return windows


def simulate_demo_window(root: str | Path) -> ScwId:
    """Simulate the field of SGR 1935+2154 during a burst storm, where the real sample cannot be had.

    The window's header has ``SIMULATE`` = T and its truth lies beside it; a second call does nothing.
    """
    root = Path(root)
    if (root / "scw" / f"{DEMO_SCW.revolution:04d}" / str(DEMO_SCW)).is_dir():
        return DEMO_SCW
    with resources.as_file(resources.files(__package__) / "data" / "sgr1935.yaml") as path:
        recipe = read_recipe(path)
    window, truth = simulate_window(recipe, 0)
    write_window(window, root, {"truth.json": json.dumps(truth, indent=1)})
    return window.scw


def simulate_window(recipe: Recipe, number: int) -> tuple[SimulatedWindow, dict[str, Any]]:
    """Simulate one window of a recipe; the same whatever other windows are simulated.

    Parameters
    ----------
    recipe : Recipe
        What to simulate.
    number : int
        Index of the window, from 0.

    Returns
    -------
    window : SimulatedWindow
        The window, not yet written.
    truth : dict
        What is in it, for JSON.
    """
    x_and_z = pointing_axes(recipe)[number]
    plane, attitude = draw_detector(recipe), true_attitude(recipe, x_and_z)
    start_s = recipe.window_start_s(number)
    whole = np.array([[0.0, recipe.duration_s]])
    recorded = _without(whole, recipe.gaps_s)
    good = _without(recorded, recipe.bad_times_s)
    if not len(good):
        raise RequestError("gaps_s", recipe.gaps_s, f"some of the {recipe.duration_s:g} s of a window must stay good")
    setting = WindowSetting(plane, recorded, start_s, recipe.revolution, recipe.nuisances)
    streams = _streams(recipe)[1 + number].spawn(len(recipe.sources) + 2)
    events, sources = _draw_all(recipe, setting, attitude, [np.random.default_rng(seed) for seed in streams])
    window = SimulatedWindow(
        scw=_scw(recipe, number),
        attitude=attitude_keywords(x_and_z),
        start_ijd=recipe.start_ijd + start_s / SECONDS_A_DAY,
        duration_s=recipe.duration_s,
        good_s=good,
        dead_time=plane.dead_time,
        events=events.in_time_order(),
        seed=recipe.seed,
    )
    return window, _window_truth(window, sources, attitude)


def _scw(recipe: Recipe, number: int) -> ScwId:
    return ScwId(recipe.revolution, recipe.pointing_number(number), 1)


def _streams(recipe: Recipe) -> list[np.random.SeedSequence]:
    return np.random.SeedSequence(recipe.seed).spawn(1 + recipe.count)


def draw_detector(recipe: Recipe) -> DetectorPlane:
    """State of the detector that all windows of a recipe share."""
    return draw_plane(recipe.detector, recipe.background, np.random.default_rng(_streams(recipe)[0]))


def _without(intervals: Array, cuts: Sequence[tuple[float, float]]) -> Array:
    for start, stop in cuts:
        before, after = intervals.copy(), intervals.copy()
        before[:, 1] = np.minimum(before[:, 1], start)
        after[:, 0] = np.maximum(after[:, 0], stop)
        intervals = np.concatenate([before, after])
        intervals = intervals[intervals[:, 0] < intervals[:, 1]]
    return intervals[np.argsort(intervals[:, 0])]


def _draw_all(
    recipe: Recipe, setting: WindowSetting, attitude: Attitude, generators: Sequence[np.random.Generator]
) -> tuple[DrawnEvents, list[dict[str, Any]]]:
    spectrum = background_spectrum(recipe.background, recipe.revolution)
    parts = [draw_background(setting, spectrum, recipe.detector.rejected_fraction, generators[0])]
    truth = []
    for source, rng in zip(recipe.sources, generators[2:], strict=True):
        ty, tz = (float(tangent) for tangent in attitude.tangents(source.ra, source.dec))
        drawn = _draw_source(setting, source, [(ty, tz, 1.0)], rng)
        parts.append(drawn)
        truth.append(_source_truth(setting, source, (ty, tz), drawn))
    ridge = recipe.nuisances.ridge
    if ridge is not None:
        diffuse = source_spectrum(ridge.spectrum, ridge.flux, recipe.revolution)
        parts.append(draw_source(setting, ridge_directions(ridge, attitude), diffuse, Constant(), generators[1]))
    return DrawnEvents.joined(parts), truth


def _draw_source(
    setting: WindowSetting, source: SourceModel, directions: Sequence[Direction], rng: np.random.Generator
) -> DrawnEvents:
    spectrum = source_spectrum(source.spectrum, source.flux, setting.revolution)
    return draw_source(setting, directions, spectrum, source.behaviour, rng)


def _source_truth(
    setting: WindowSetting, source: SourceModel, tangents: tuple[float, float], drawn: DrawnEvents
) -> dict[str, Any]:
    spectrum = source_spectrum(source.spectrum, source.flux, setting.revolution)
    mean = mean_rate(source.behaviour, setting.recorded_s + setting.start_s)
    return {
        "name": source.name,
        "ra_deg": source.ra,
        "dec_deg": source.dec,
        "catalogued": source.catalogued,
        "tangents": [tangent if np.isfinite(tangent) else None for tangent in tangents],
        "mean_rate": mean,
        "events": len(drawn),
        "bands": [
            {
                "e1_kev": e1,
                "e2_kev": e2,
                "flux": mean * spectrum.band_rate(e1, e2),
                "events": int(((drawn.energy_kev >= e1) & (drawn.energy_kev < e2)).sum()),
            }
            for e1, e2 in TRUTH_BANDS
        ],
    }


def _window_truth(window: SimulatedWindow, sources: list[dict[str, Any]], attitude: Attitude) -> dict[str, Any]:
    return {
        "scw": str(window.scw),
        "seed": window.seed,
        "attitude": dict(window.attitude),
        "misalignment": [attitude.misalignment.y, attitude.misalignment.z],
        "start_ijd": window.start_ijd,
        "good_s": window.good_s.tolist(),
        "ontime_s": float((window.good_s[:, 1] - window.good_s[:, 0]).sum()),
        "dead_time": window.dead_time.tolist(),
        "events": len(window.events),
        "flagged_events": int(window.events.select_flag.sum()),
        "sources": sources,
    }


def _plane_truth(plane: DetectorPlane) -> dict[str, Any]:
    return {
        "working_pixels": int(plane.working.sum()),
        "noisy_pixels": np.argwhere(plane.noisy).tolist(),
        "hot_pixels": np.argwhere(plane.hot).tolist(),
        "low_threshold_kev": [round(value, 3) for value in plane.low_threshold_kev[plane.working].tolist()],
    }


def _source_list(sources: Sequence[SourceModel]) -> str:
    columns = ("name, datatype: string", "ra, unit: deg, datatype: float64", "dec, unit: deg, datatype: float64")
    lines = ["# %ECSV 1.0", "# ---", "# delimiter: ','", "# datatype:", *(f"# - {{name: {text}}}" for text in columns)]
    lines.append("name,ra,dec")
    for source in sources:
        if source.catalogued:
            name = source.name.replace('"', '""')
            lines.append(f'"{name}",{source.ra!r},{source.dec!r}')
    return "\n".join(lines) + "\n"
