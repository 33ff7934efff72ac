"""Pictures of background maps as PNG files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from integral_oda.arrays import Array
from integral_oda.instrument.energy import EnergyBand
from integral_oda.products.fits_io import write_aside

__all__ = ["draw_background_map"]


def draw_background_map(path: str | Path, relative: Array, band: EnergyBand, n_windows: int) -> None:
    """Draw the detector plane's departure from the smooth background, ``(134, 130)``, relative to it."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 6), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    limit = 2.5 * float(np.nanstd(relative)) or 1.0
    shown = axes.imshow(relative, origin="lower", vmin=-limit, vmax=limit, cmap="RdBu_r", interpolation="nearest")
    figure.colorbar(shown, ax=axes, label="counts above the smooth background, relative to it")
    axes.set(xlabel="DETY [pixel]", ylabel="DETZ [pixel]", title=f"{band} keV, {n_windows} science windows")
    with write_aside(path) as aside:
        figure.savefig(aside, metadata={"Software": None})
