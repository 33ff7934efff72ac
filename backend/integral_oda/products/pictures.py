"""Pictures of products as PNG files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from integral_oda.arrays import Array
from integral_oda.instrument.energy import EnergyBand
from integral_oda.products.fits_io import write_aside
from integral_oda.products.sky_image import SkyImage
from integral_oda.products.source_list import Source

__all__ = ["draw_background_map", "draw_sky_image"]


def draw_sky_image(path: str | Path, image: SkyImage, sources: Sequence[Source]) -> None:
    """Draw the significance map with its celestial grid and the sources."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 7.2), dpi=100)
    FigureCanvasAgg(figure)
    axes = figure.add_subplot(projection=image.wcs)
    shown = axes.imshow(image.significance, origin="lower", vmin=-4, vmax=10, cmap="inferno", interpolation="nearest")
    figure.colorbar(shown, ax=axes, label="significance [sigma]", fraction=0.046, pad=0.02)
    axes.coords.grid(color="white", alpha=0.3, linestyle=":")
    galactic = image.wcs.wcs.ctype[0].startswith("GLON")
    axes.coords[0].set_axislabel("Galactic longitude" if galactic else "Right ascension")
    axes.coords[1].set_axislabel("Galactic latitude" if galactic else "Declination")
    axes.set_title(f"ISGRI {image.band} keV")
    for source in sources:
        _mark_source(axes, image, source)
    with write_aside(path) as aside:
        figure.savefig(aside, metadata={"Software": None})


def _mark_source(axes: object, image: SkyImage, source: Source) -> None:
    from astropy.coordinates import SkyCoord

    column, row = image.pixel_of(SkyCoord(source.ra_deg, source.dec_deg, unit="deg", frame="fk5"))
    rows, columns = image.shape
    if not (0 <= column < columns and 0 <= row < rows):
        return
    colour = "magenta" if source.new else "cyan"
    axes.plot(column, row, "o", markersize=14, fillstyle="none", color=colour)  # type: ignore[attr-defined]
    axes.annotate(source.name, (column, row), xytext=(9, 9), textcoords="offset points", color=colour)  # type: ignore[attr-defined]


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
