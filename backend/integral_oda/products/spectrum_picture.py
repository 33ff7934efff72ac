"""Picture of a count spectrum."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from integral_oda.arrays import Array
from integral_oda.products.fits_io import write_aside
from integral_oda.products.spectrum import Spectrum

__all__ = ["draw_spectrum"]

_DETECTED_SIGMA = 2.0


def draw_spectrum(path: str | Path, spectrum: Spectrum, edges_kev: Array) -> None:
    """Draw rates per keV: channels with a signal, 2 sigma limits of the others, and in grey those not to be used."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    low, high = edges_kev[:-1], edges_kev[1:]
    width, centre = high - low, np.sqrt(low * high)
    rate, error = spectrum.rate / width, spectrum.stat_error / width
    half = np.vstack([centre - low, high - centre])
    known = spectrum.stat_error > 0
    signal = known & (rate > _DETECTED_SIGMA * error)
    good = spectrum.quality == 0
    _points(axes, centre, rate, error, half, signal & good, "tab:blue", spectrum.name)
    _points(axes, centre, rate, error, half, signal & ~good, "silver", "not to be used")
    limit = known & good & ~signal
    shown = (np.clip(rate, 0, None) + _DETECTED_SIGMA * error)[limit]
    axes.errorbar(centre[limit], shown, xerr=half[:, limit], fmt="v", color="tab:blue", alpha=0.4, markersize=3,
                  elinewidth=0.8, label="limits, 2 sigma" if limit.any() else None)  # fmt: skip
    _finish(axes, spectrum, rate[signal & good])
    with write_aside(path) as aside:
        figure.savefig(aside, metadata={"Software": None})


def _points(
    axes: Any, centre: Array, rate: Array, error: Array, half: Array, shown: Array, colour: str, label: str
) -> None:
    if shown.any():
        style = {"fmt": "none", "color": colour, "elinewidth": 1.2, "label": label}
        axes.errorbar(centre[shown], rate[shown], error[shown], half[:, shown], **style)


def _finish(axes: Any, spectrum: Spectrum, rates: Array) -> None:
    from matplotlib.ticker import ScalarFormatter

    axes.set_xscale("log")
    axes.set_yscale("log")
    if len(rates):
        axes.set_ylim(0.1 * float(rates.min()), 4 * float(rates.max()))
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.set_xlabel("energy [keV]")
    axes.set_ylabel("counts/s/keV")
    windows = spectrum.keywords.get("NSCW", 1)
    axes.set_title(
        f"{spectrum.name}: {spectrum.exposure_s:.0f} s, {windows} science window{'s' if windows > 1 else ''}"
    )
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=9)
