"""The quality page of a science window: pictures, numbers and verdict on one self-contained page."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from integral_oda.arrays import Array
from integral_oda.instrument.detector import N_MODULES, module_map
from integral_oda.products.fits_io import write_aside
from integral_oda.products.quality_html import band_name, quality_html

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["WindowQuality", "write_quality"]

DAY_S = 86400.0
_WIDTH_IN, _DPI = 13.0, 90
_GREY, _BLUE, _ORANGE = "#8a8f98", "#2166ac", "#d6604d"
_STATE_COLOURS = ("#ffffff", "#d9e6f2", "#22262b", "#d6604d", "#e9a23b", "#4f9d8f", "#7b4fa3", "#8c6d4a")
_MODULE_COLOURS = ("#1b6ca8", "#5aa9d6", "#17806d", "#7bbf6a", "#b8860b", "#e08a3c", "#b13a4b", "#8a5aa8")
_NO_SOFTWARE: Any = {"Software": None}
_PLANE: dict[str, Any] = {"origin": "lower", "interpolation": "nearest"}


@dataclass(frozen=True)
class WindowQuality:
    """What is known of a window's quality.

    Attributes
    ----------
    numbers : dict
        As in ``quality.json``.
    counts : ndarray
        ``(n_bands, 134, 130)`` shadowgrams.
    efficiency, threshold_kev : ndarray
        ``(134, 130)``, 0 where a pixel is not usable; efficiency in the first band.
    pixel_state : ndarray of uint8
        ``(134, 130)`` indices into ``numbers["pixel_state_names"]``.
    spectra : ndarray
        ``(8, n_channels)`` events of each module between ``spectrum_edges_kev``.
    rates : ndarray
        ``(n_bins,)`` selected events per second between ``rate_edges_ijd``.
    intervals_ijd : ndarray
        ``(m, 2)`` good time.
    histograms, null_histograms : ndarray
        ``(n_bands, n_bins)`` sky pixels between ``histogram_edges`` sigma, of the residual map and of its null.
    residuals : ndarray
        ``(n_steps, 400, 400)`` significance left in the first band after no source, after one, and so on.
    """

    numbers: dict[str, Any]
    counts: Array
    efficiency: Array
    threshold_kev: Array
    pixel_state: NDArray[np.uint8]
    spectra: Array
    spectrum_edges_kev: Array
    rate_edges_ijd: Array
    rates: Array
    intervals_ijd: Array
    histogram_edges: Array
    histograms: Array
    null_histograms: Array
    residuals: Array


def write_quality(folder: Path, quality: WindowQuality) -> None:
    """Write ``quality.json``, ``quality.png`` and ``quality.html`` to a folder.

    Raises
    ------
    OutputError
        If they cannot be written.
    """
    import matplotlib.image

    pictures = [(title, note, _pixels(drawn)) for title, note, drawn in _sections(quality)]
    text = json.dumps(quality.numbers, indent=2, allow_nan=False) + "\n"
    with write_aside(folder / "quality.json") as aside:
        aside.write_text(text, encoding="utf-8")
    with write_aside(folder / "quality.png") as aside:
        stacked = np.concatenate([_pixels(_headline(quality.numbers)), *(picture for _, _, picture in pictures)])
        matplotlib.image.imsave(aside, stacked, metadata=_NO_SOFTWARE)
    embedded = [(title, note, _embedded(picture)) for title, note, picture in pictures]
    with write_aside(folder / "quality.html") as aside:
        aside.write_text(quality_html(quality.numbers, _facts(quality.numbers), embedded), encoding="utf-8")


def _sections(quality: WindowQuality) -> list[tuple[str, str, Figure]]:
    """Title, sentence below it, and picture of every section."""
    kinds = (
        ("Time line", "Events of good rise time and energy in bins of 2 s; grey is no good time.", _time_line),
        ("Detector", "DETY to the right, DETZ upwards; numbers are those of the modules.", _detector),
        ("Modules", "Usable pixels only.", _modules),
        ("Image noise", "Sky pixels of the cleaned image away from the sources.", _noise),
        ("Residuals", "Significance in the first band after one source after the other is taken away.", _residuals),
    )
    return [(title, note, draw(quality)) for title, note, draw in kinds]


def _figure(height_in: float, rows: int = 1, columns: int = 1, **grid: Any) -> tuple[Figure, list[Axes]]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_WIDTH_IN, height_in), dpi=_DPI, facecolor="white")
    figure.set_layout_engine("constrained", w_pad=0.12, h_pad=0.1)
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False, **grid)
    for panel in axes.flat:
        panel.tick_params(labelsize=8)
    return figure, list(axes.flat)


def _pixels(figure: Figure) -> NDArray[np.uint8]:
    figure.canvas.draw()
    drawn: NDArray[np.uint8] = np.asarray(figure.canvas.buffer_rgba())[..., :3]  # type: ignore[attr-defined]
    return drawn.copy()


def _embedded(picture: NDArray[np.uint8]) -> str:
    import matplotlib.image

    buffer = io.BytesIO()
    matplotlib.image.imsave(buffer, picture, format="png", metadata=_NO_SOFTWARE)
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def _headline(numbers: Mapping[str, Any]) -> Figure:
    reasons = numbers["reasons"]
    figure, (axes,) = _figure(0.75 + 0.2 * max(len(reasons), 1))
    axes.axis("off")
    colour = _ORANGE if numbers["verdict"] == "drop" else "#17806d"
    top = 1 - 0.3 / figure.get_figheight()
    figure.text(0.012, top, f"ISGRI {numbers['science_window']}", fontsize=15, weight="bold", va="center")
    figure.text(0.25, top, numbers["verdict"].upper(), fontsize=15, weight="bold", color=colour, va="center")
    figure.text(0.33, top, _facts(numbers), fontsize=9, color=_GREY, va="center")
    lines = [f"{reason['level']}: {reason['text']}" for reason in reasons] or ["nothing to remark"]
    for k, line in enumerate(lines):
        figure.text(0.012, top - (0.33 + 0.2 * k) / figure.get_figheight(), line, fontsize=9, va="center")
    return figure


def _facts(numbers: Mapping[str, Any]) -> str:
    return (
        f"revolution {numbers['revolution']}, {_utc(numbers['start_ijd'])} UTC, good time "
        f"{numbers['good_time_s']:.0f} s of {numbers['elapsed_s']:.0f} s, "
        f"live {numbers['deadc']:.3f} ({numbers['dead_time_from']})"
    )


def _utc(ijd: float) -> str:
    from astropy.time import Time

    return str(Time(ijd + 51544.0, format="mjd", scale="tt").utc.strftime("%Y-%m-%d %H:%M:%S"))


def _time_line(quality: WindowQuality) -> Figure:
    figure, (axes,) = _figure(2.3)
    start = float(quality.rate_edges_ijd[0])
    edges = (np.asarray(quality.rate_edges_ijd) - start) * DAY_S
    axes.stairs(quality.rates, edges, color=_BLUE, linewidth=0.7)
    for gap in quality.numbers["gaps"]:
        first = (gap["start_ijd"] - start) * DAY_S
        axes.axvspan(first, first + gap["seconds"], color=_GREY, alpha=0.35, linewidth=0)
    rate = quality.numbers["rate"]
    axes.axhline(rate["mean"], color=_ORANGE, linewidth=0.8, label=f"mean {rate['mean']:.1f} counts/s in good time")
    axes.set(xlim=(edges[0], edges[-1]), xlabel=f"seconds since {_utc(start)} UTC (IJD {start:.5f})", ylabel="counts/s")
    axes.set_title(
        f"all selected events; in 100 s: {rate['smallest']:.2f} to {rate['largest']:.2f} times the median, "
        f"chi2/dof {rate['chi2_reduced']:.1f}; {len(quality.numbers['gaps'])} gaps, "
        f"{sum(g['seconds'] for g in quality.numbers['gaps']):.1f} s",
        fontsize=10, loc="left",
    )  # fmt: skip
    axes.legend(fontsize=8, frameon=False, loc="upper right")
    return figure


def _detector(quality: WindowQuality) -> Figure:
    figure, panels = _figure(7.6, 2, 3)
    shown = [
        (quality.counts[k], f"{band_name(b)}: {b['counts']} counts") for k, b in enumerate(quality.numbers["bands"])
    ]
    for axes, (counts, title) in zip(panels[:2], shown, strict=False):
        _plane(figure, axes, np.where(quality.efficiency > 0, counts, np.nan), title, "counts a pixel")
    band = band_name(quality.numbers["bands"][0])
    efficiency = np.where(quality.efficiency > 0, quality.efficiency, np.nan)
    _plane(figure, panels[2], efficiency, f"efficiency, {band}", "share of a source's counts", "viridis")
    numbers = quality.numbers
    title = f"low threshold, {numbers['threshold_kev']:.1f} +- {numbers['threshold_spread_kev']:.1f} keV"
    thresholds = np.where(quality.threshold_kev > 0, quality.threshold_kev, np.nan)
    _plane(figure, panels[3], thresholds, title, "keV", "cividis")
    _states(panels[4], quality)
    values = thresholds[np.isfinite(thresholds)]
    panels[5].hist(values, np.arange(np.floor(values.min()), values.max() + 0.5, 0.5).tolist(), color=_BLUE)
    panels[5].set(xlabel="low threshold [keV]", ylabel="pixels")
    panels[5].set_title(f"thresholds of the usable pixels: {numbers['thresholds_from']}", fontsize=10, loc="left")
    return figure


def _plane(figure: Figure, axes: Axes, plane: Array, title: str, unit: str, colours: str = "inferno") -> None:
    low, high = np.nanpercentile(plane, (0.5, 99.5))
    shown = axes.imshow(plane, cmap=colours, vmin=low, vmax=max(high, low + 1e-9), **_PLANE)
    bar = figure.colorbar(shown, ax=axes, fraction=0.046, pad=0.02)
    bar.set_label(unit, fontsize=8)
    bar.ax.tick_params(labelsize=8)
    axes.set_facecolor("#d8dade")
    axes.set_title(title, fontsize=10, loc="left")


def _states(axes: Axes, quality: WindowQuality) -> None:
    from matplotlib.colors import ListedColormap
    from matplotlib.patches import Patch

    names = quality.numbers["pixel_state_names"]
    axes.imshow(quality.pixel_state, cmap=ListedColormap(_STATE_COLOURS), vmin=-0.5, vmax=7.5, **_PLANE)
    usable = quality.numbers["usable_fraction"]
    axes.set_title(f"pixels: {100 * usable:.1f} % usable", fontsize=10, loc="left")
    labels = [f"{name} {quality.numbers['pixels'][name]}" for name in names[1:]]
    handles = [Patch(facecolor=c, edgecolor=_GREY, label=t) for c, t in zip(_STATE_COLOURS[1:], labels, strict=True)]
    axes.legend(handles=handles, fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.07), ncols=3, frameon=False)
    for number in range(N_MODULES):
        row, column = np.argwhere(module_map() == number).mean(axis=0)
        axes.text(column, row, str(number), ha="center", va="center", fontsize=15, weight="bold", alpha=0.6)


def _modules(quality: WindowQuality) -> Figure:
    figure, (spectra, rates, gains) = _figure(3.9, 1, 3, width_ratios=(2, 1, 1))
    modules = quality.numbers["modules"]
    edges = np.asarray(quality.spectrum_edges_kev)
    for number, colour in enumerate(_MODULE_COLOURS):
        counts = quality.spectra[number].reshape(-1, 2).sum(axis=1)
        level = max(modules[number]["usable_fraction"] * 2048, 1.0)
        spectra.stairs(counts / level, edges[::2], color=colour, linewidth=0.9, label=str(number))
    for energy, name in ((58.83, "W"), (74.97, "Pb"), (150.0, ""), (196.0, ""), (245.0, "")):
        spectra.axvline(energy, color=_GREY, linewidth=0.6, linestyle=":")
        spectra.annotate(name, (energy, 0.93), xycoords=("data", "axes fraction"), fontsize=8, color=_GREY)
    spectra.set(xscale="log", yscale="log", xlabel="energy [keV]", ylabel="counts per keV and pixel")
    spectra.set_xticks([20, 30, 50, 100, 200], ["20", "30", "50", "100", "200"])
    spectra.minorticks_off()
    spectra.legend(fontsize=7, ncols=4, frameon=False, title="module", title_fontsize=8)
    spectra.set_title("spectra of the modules; dotted: lines of the background", fontsize=10, loc="left")
    rates.bar(range(8), [m["relative_rate"] for m in modules], color=_MODULE_COLOURS)
    rates.axhline(1, color=_GREY, linewidth=0.6)
    rates.set(xlabel="module", ylabel="over the median of the modules", xticks=range(8))
    rates.set_title("rate of a usable pixel", fontsize=10, loc="left")
    _gains(gains, modules, quality.numbers["limits"]["gain_shift_kev"])
    return figure


def _gains(axes: Axes, modules: Sequence[Mapping[str, Any]], limit: float) -> None:
    axes.axhspan(-limit, limit, color=_GREY, alpha=0.15, linewidth=0)
    moved = [m for m in modules if m["shift_kev"] is not None]
    axes.errorbar(
        [m["number"] - 0.1 for m in moved], [m["shift_kev"] for m in moved], [m["shift_error_kev"] for m in moved],
        fmt="o", color=_BLUE, markersize=4, label="spectrum against the others",
    )  # fmt: skip
    lines = [m for m in modules if m["line_kev"] is not None]
    axes.errorbar(
        [m["number"] + 0.1 for m in lines], [m["line_kev"] - 58.83 for m in lines],
        [m["line_error_kev"] for m in lines], fmt="s", color=_ORANGE, markersize=4, label="W line less 58.83 keV",
    )  # fmt: skip
    axes.set(xlabel="module", ylabel="shift [keV]", xticks=range(8))
    axes.set_title("gain" if lines else "gain (no W line stands out)", fontsize=10, loc="left")
    axes.legend(fontsize=7, frameon=False)


def _noise(quality: WindowQuality) -> Figure:
    bands = quality.numbers["bands"]
    figure, panels = _figure(3.4, 1, len(bands))
    edges = np.asarray(quality.histogram_edges)
    middle, width = (edges[1:] + edges[:-1]) / 2, float(edges[1] - edges[0])
    for k, (axes, band) in enumerate(zip(panels, bands, strict=True)):
        counts, null = quality.histograms[k], quality.null_histograms[k]
        normal = counts.sum() * width * np.exp(-(middle**2) / 2) / np.sqrt(2 * np.pi)
        axes.stairs(counts, edges, color=_BLUE, fill=True, alpha=0.35, label=f"image: {_moments(band)}")
        axes.stairs(null, edges, color="black", linewidth=1, label=f"null: sigma {band['null_sigma']:.3f}")
        axes.plot(middle, normal, color=_ORANGE, linewidth=1, label="N(0, 1)")
        axes.set(yscale="log", ylim=(0.5, None), xlabel="significance [sigma]", ylabel="sky pixels")
        ratio = band["significance_sigma"] / band["null_sigma"]
        title = f"{band_name(band)}: noise {ratio:.3f} of its null, largest excess {band['largest_excess']:.1f} sigma"
        axes.set_title(title, fontsize=10, loc="left")
        axes.legend(fontsize=8, frameon=False, loc="lower center")
    return figure


def _moments(band: Mapping[str, Any]) -> str:
    return f"mean {band['significance_mean']:+.3f}, sigma {band['significance_sigma']:.3f}"


def _residuals(quality: WindowQuality) -> Figure:
    steps = quality.numbers["bands"][0]["residuals"]
    figure, panels = _figure(_WIDTH_IN / max(len(steps), 3) + 0.6, 1, max(len(steps), 3))
    for axes in panels[len(steps) :]:
        axes.axis("off")
    gone: list[Mapping[str, Any]] = []
    for axes, step, residual in zip(panels, steps, quality.residuals, strict=False):
        gone += [step] if step["source"] else []
        shown = axes.imshow(residual, cmap="RdBu_r", vmin=-6, vmax=6, **_PLANE)
        axes.plot(
            [s["column"] for s in gone], [s["row"] for s in gone], "o", markersize=9, fillstyle="none", color="black"
        )
        for k, later in enumerate(steps[1:], start=1):
            axes.annotate(
                str(k), (later["column"], later["row"]), xytext=(6, 6), textcoords="offset points", fontsize=8
            )
        title = f"{len(gone)}: less {step['source']}" if step["source"] else "no source taken away"
        axes.set_title(f"{title}\nsigma {step['sigma']:.3f}, largest {step['largest']:.1f}", fontsize=9, loc="left")
        axes.set(xticks=[], yticks=[])
    figure.colorbar(shown, ax=panels[: len(steps)], fraction=0.02, pad=0.01, shrink=0.75).set_label("sigma", fontsize=8)
    return figure
