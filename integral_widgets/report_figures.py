"""Figures of a printed report (matplotlib); those of the page are in `integral_widgets.bokeh_views`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from integral_oda.products.light_curve import LightCurve
    from integral_oda.products.sky_image import SkyImage
    from integral_oda.products.source_list import Source

__all__ = ["light_curve_report", "png", "sky_image_report"]


def sky_image_report(image: SkyImage, sources: Sequence[Source] = ()) -> Figure:
    """Significance map on celestial axes, colours clipped at -3 and 15 sigma, sources named."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 6.4), layout="constrained")
    axes: Any = figure.add_subplot(projection=image.wcs.celestial)
    shown = np.where(image.observed, image.significance, np.nan)
    drawn = axes.imshow(shown, origin="lower", cmap="inferno", vmin=-3, vmax=15)
    axes.coords.grid(color="white", alpha=0.3)
    figure.suptitle(f"Significance, {image.band} keV")  # a title of the axes may meet the coordinates above them
    # On the coordinates, not on the axes: the pixel grid may be turned against the sky.
    for coordinate, label in zip(axes.coords, ("Right ascension [deg]", "Declination [deg]"), strict=True):
        coordinate.set_axislabel(label)
        coordinate.set_major_formatter("d")
    figure.colorbar(drawn, ax=axes, label="Significance [sigma]")
    for source in sources:
        colour = "magenta" if source.new else "lime"
        at = {"transform": axes.get_transform("fk5"), "color": colour}
        axes.plot(source.ra_deg, source.dec_deg, "o", markersize=10, markerfacecolor="none", **at)
        axes.text(source.ra_deg, source.dec_deg, f"   {_literal(source.name)}", clip_on=True, **at)
    return figure


def light_curve_report(curve: LightCurve, start_ijd: float, marks_s: Sequence[float] = ()) -> Figure:
    """Rate against seconds since a time; ``marks_s`` are drawn as dotted lines."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.2), layout="constrained")
    axes = figure.add_subplot()
    seconds = (curve.time_ijd - start_ijd) * 86400
    few = len(curve) <= 500
    axes.errorbar(
        seconds, curve.rate, curve.error if few else None, curve.width_s / 2 if few else None,
        fmt="." if few else "-", linewidth=0.8, color="#1f4e8c",
    )  # fmt: skip
    for mark in marks_s:
        axes.axvline(mark, linestyle=":", linewidth=0.8, color="#b71c1c")
    width = f"{np.median(curve.width_s):.4g}"
    axes.set(xlabel="Time [s]", ylabel="Rate [counts/s]")
    axes.set_title(f"{_literal(curve.name)}, {curve.band} keV, bins of {width} s")
    return figure


def png(figure: Figure) -> bytes:
    """Figure as a PNG image."""
    from io import BytesIO

    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()


def _literal(text: str) -> str:
    """Text that matplotlib must not read as a formula."""
    return text.replace("$", r"\$")
