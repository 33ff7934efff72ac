"""Pictures of products as PNG files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from integral_oda.products.fits_io import write_aside
from integral_oda.products.light_curve import LightCurve
from integral_oda.products.sky_image import SkyImage
from integral_oda.products.source_list import Source

__all__ = ["draw_light_curves", "draw_sky_image"]

_MOST_CURVES = 8


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
    axes.coords[0].set_axislabel("Right ascension")
    axes.coords[1].set_axislabel("Declination")
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


def draw_light_curves(path: str | Path, curves: Sequence[LightCurve]) -> None:
    """Draw the light curves below each other, the first eight of them."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    shown = curves[:_MOST_CURVES]
    figure = Figure(figsize=(9, 1.2 + 2.6 * max(len(shown), 1)), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(max(len(shown), 1), 1, squeeze=False, sharex=True)[:, 0]
    for axes, curve in zip(panels, shown, strict=False):
        start = curve.time_ijd[0] - curve.width_s[0] / 2 / 86400.0 if len(curve) else 0.0
        seconds = (curve.time_ijd - start) * 86400.0
        style = {"linewidth": 0.5} if len(curve) > 300 else {"marker": "o", "markersize": 3, "linestyle": "none"}
        if len(curve) > 300:
            axes.plot(seconds, curve.rate, **style)
        else:
            axes.errorbar(seconds, curve.rate, curve.error, curve.width_s / 2, **style)
        axes.set_ylabel("counts/s")
        axes.set_title(f"{curve.name}, {curve.band} keV; seconds since IJD {start:.5f}", fontsize=9)
        axes.axhline(0, color="grey", linewidth=0.5)
    panels[-1].set_xlabel("time [s]")
    with write_aside(path) as aside:
        figure.savefig(aside, metadata={"Software": None})
