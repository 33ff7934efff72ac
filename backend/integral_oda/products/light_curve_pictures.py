"""Pictures of light curves, folded curves and periodograms as PNG files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from integral_oda.instrument.epochs import OSA_SEAM_IJD
from integral_oda.products.fits_io import write_aside
from integral_oda.products.light_curve import FLAG_GAP, LightCurve
from integral_oda.timing.periods import FoldedCurve, Periodogram

__all__ = ["draw_folded", "draw_light_curves", "draw_periodogram"]

_MOST_CURVES, _MOST_MARKED_BINS = 8, 300
_DAY_S = 86400.0
_LONG_D = 2.0
_SCATTERED = 0.02
_COLOUR, _FLAGGED, _SEAM = "#1f4e8c", "#c2571a", "#7a2b8f"


def draw_light_curves(path: str | Path, curves: Sequence[LightCurve]) -> None:
    """Draw the first eight light curves below each other; bins at telemetry gaps are hollow, OSA's seam is marked."""
    figure, panels = _panels(min(max(len(curves), 1), _MOST_CURVES))
    known = [curve for curve in curves if len(curve)]
    start = min((float(np.nanmin(c.edges_ijd)) for c in known), default=0.0)
    unit_s, unit = _time_unit(known, start)
    for axes, curve in zip(panels, curves, strict=False):
        _draw_curve(axes, curve, start, unit_s)
    panels[-1].set_xlabel(f"time [{unit}] since {_utc(start)}" if known else "time")
    _save(figure, path)


def _draw_curve(axes: Any, curve: LightCurve, start: float, unit_s: float) -> None:
    time, half = (curve.time_ijd - start) * _DAY_S / unit_s, curve.width_s / 2 / unit_s
    axes.axhline(0, color="grey", linewidth=0.5)
    if len(curve) > _MOST_MARKED_BINS:
        _draw_many(axes, time, half, curve)
    else:
        flagged = (curve.flag & FLAG_GAP) > 0
        for which, face, colour in ((~flagged, _COLOUR, _COLOUR), (flagged, "white", _FLAGGED)):
            errors = np.clip([(curve.rate - curve.low)[which], (curve.high - curve.rate)[which]], 0.0, None)
            style = {"fmt": "o", "markersize": 3.5, "linewidth": 1, "color": colour, "markerfacecolor": face}
            axes.errorbar(time[which], curve.rate[which], errors, half[which], **style)
    seam = (OSA_SEAM_IJD - start) * _DAY_S / unit_s
    if len(curve) and time[0] < seam < time[-1]:
        axes.axvline(seam, color=_SEAM, linestyle="--", linewidth=1)
        axes.annotate("OSA 10 | 11", (seam, 0.97), xycoords=("data", "axes fraction"), color=_SEAM, fontsize=8,
                      ha="center", va="top")  # fmt: skip
    axes.set_ylabel("counts/s")
    name = curve.name or "unnamed source"
    corrected = ", epoch-corrected" if curve.keywords.get("EPOCHCOR") else ""
    axes.set_title(f"{name}, {curve.band} keV{corrected}", fontsize=9, loc="left")
    axes.margins(x=0.02)


def _draw_many(axes: Any, time: Any, half: Any, curve: LightCurve) -> None:
    """Steps that break at gaps; bare points where most bins stand alone."""
    apart = np.diff(time) > 1.5 * (half[1:] + half[:-1])
    if apart.mean() > _SCATTERED:
        axes.errorbar(time, curve.rate, curve.error, fmt=".", markersize=2, linewidth=0.3, color=_COLOUR)
        return
    breaks = np.flatnonzero(apart) + 1
    x, y = np.insert(time, breaks, np.nan), np.insert(curve.rate, breaks, np.nan)
    axes.plot(x, y, linewidth=0.5, color=_COLOUR, drawstyle="steps-mid")


def _time_unit(curves: Sequence[LightCurve], start: float) -> tuple[float, str]:
    span = max((float(np.nanmax(c.edges_ijd)) - start for c in curves), default=0.0)
    return (_DAY_S, "d") if span > _LONG_D else (1.0, "s")


def _utc(ijd: float) -> str:
    import warnings

    from astropy.time import Time

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that leap seconds of a far year are not known
        return f"{Time(51544.0, ijd, format='mjd', scale='tt').utc.isot[:19]} UTC"


def draw_folded(path: str | Path, name: str, folded: FoldedCurve, period_s: float) -> None:
    """Draw two cycles of a folded light curve."""
    figure, (axes,) = _panels(1)
    phase = np.concatenate([folded.phase, folded.phase + 1])
    half = 0.5 / len(folded.phase)
    axes.errorbar(
        phase, np.tile(folded.rate, 2), np.tile(folded.error, 2), half, fmt="o", markersize=3.5, color=_COLOUR
    )
    axes.set_xlabel("phase")
    axes.set_ylabel("counts/s")
    pulsed = f"pulsed fraction {folded.pulsed:.3f} +- {folded.pulsed_error:.3f}"
    axes.set_title(f"{name} folded with {period_s:.9g} s; {pulsed}", fontsize=9, loc="left")
    _save(figure, path)


def draw_periodogram(path: str | Path, name: str, found: Periodogram) -> None:
    """Draw the highest powers of a periodogram against frequency."""
    figure, (axes,) = _panels(1)
    axes.plot(*_highest(found.frequency_hz, found.power), linewidth=0.6, color=_COLOUR)
    axes.plot(1 / found.period_s, found.peak, "v", color=_FLAGGED, markersize=6)
    axes.set_xlabel("frequency [Hz]")
    axes.set_ylabel(f"$Z^2_{found.harmonics}$")
    title = f"{name}: {found.period_s:.9g} +- {found.period_error_s:.2g} s, chance {found.false_alarm:.2g}"
    axes.set_title(title, fontsize=9, loc="left")
    _save(figure, path)


def _highest(x: Any, y: Any, points: int = 4000) -> tuple[Any, Any]:
    """Highest of every group of neighbours, as many as a picture can show."""
    size = max(len(x) // points, 1)
    kept = len(x) // size * size
    best = y[:kept].reshape(-1, size).argmax(axis=1) + np.arange(0, kept, size)
    return x[best], y[best]


def _panels(count: int) -> tuple[Any, Any]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 1.2 + 2.4 * count), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(count, 1, squeeze=False, sharex=True)[:, 0]


def _save(figure: Any, path: str | Path) -> None:
    with write_aside(path) as aside:
        figure.savefig(aside, metadata={"Software": None})
