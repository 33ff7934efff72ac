"""A plan of pointings as a picture: where they point, how much of the source they see, and when."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from integral_oda.archive.plan import PlannedWindow, PointingPlan

__all__ = ["draw_plan", "plan_figure"]

_LEFT_COLOUR, _MAP = "#9aa3ad", "viridis"
_FULLY_CODED_DEG, _ZERO_DEG = 4.1, 14.6
_SECONDS_A_DAY = 86400.0


def draw_plan(path: str | Path, plan: PointingPlan) -> None:
    """Write the picture of a plan as PNG.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    from integral_oda.products.fits_io import write_aside

    with write_aside(path) as aside:
        plan_figure(plan).savefig(aside, format="png", dpi=130, metadata={"Software": None})


def plan_figure(plan: PointingPlan) -> Figure:
    """Sky map and time line of a plan.

    Colour is the coded fraction at the target; pointings that are not taken are grey. The circles are where the
    coded fraction begins to fall and where it ends.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4.6), layout="constrained")
    sky, line = figure.subplots(1, 2, width_ratios=(1, 1.35))
    _draw_sky(sky, plan)
    shown = _draw_time(line, plan)
    if shown is not None:
        figure.colorbar(shown, ax=[sky, line], label="coded fraction at the target", shrink=0.85)
    name = "" if plan.target is None else f" of {plan.target.name}"
    figure.suptitle(
        f"{len(plan.chosen)} of {len(plan.windows)} pointings taken, {plan.ontime_s / 1000:.1f} ks; "
        f"exposure{name} {plan.exposure_s / 1000:.1f} ks"
    )
    return figure


def _centre(plan: PointingPlan) -> tuple[float, float]:
    if plan.target is not None:
        return plan.target.ra_deg, plan.target.dec_deg
    known = [w for w in plan.windows if w.ra_deg is not None]
    return (known[0].ra_deg or 0.0, known[0].dec_deg or 0.0) if known else (0.0, 0.0)


def _draw_sky(axes: Axes, plan: PointingPlan) -> None:
    """Draw offsets from the target, east to the left; equal areas, so that distances hold in the whole map."""
    ra0, dec0 = _centre(plan)
    for chosen in (False, True):
        windows = [w for w in plan.windows if w.chosen is chosen and w.ra_deg is not None]
        across, up = _offsets(windows, ra0, dec0)
        axes.scatter(across, up, s=22 if chosen else 10, zorder=3 if chosen else 2, **_style(windows, chosen=chosen))
    for radius, form, label in ((_FULLY_CODED_DEG, "--", "fully coded"), (_ZERO_DEG, ":", "coded at all")):
        turn = np.linspace(0, 2 * np.pi, 181)
        axes.plot(radius * np.cos(turn), radius * np.sin(turn), form, color="black", lw=0.8, label=label)
    axes.plot(0, 0, "+", color="#c8373a", ms=12, mew=1.8, zorder=4)
    drawn = np.concatenate([np.asarray(dots.get_offsets(), np.float64).ravel() for dots in axes.collections])
    reach = max(_ZERO_DEG, float(np.abs(drawn).max(initial=0.0))) * 1.05
    axes.set(xlim=(reach, -reach), ylim=(-reach, reach), aspect="equal")
    axes.legend(loc="lower left", fontsize=8, framealpha=0.9)
    axes.set(xlabel=f"degrees east of RA {ra0:.3f}", ylabel=f"degrees north of Dec {dec0:+.3f}")


def _offsets(windows: list[PlannedWindow], ra0: float, dec0: float) -> tuple[Any, Any]:
    """Zenithal equidistant offsets (degrees) to the east and the north."""
    ra = np.deg2rad([w.ra_deg or 0.0 for w in windows]) - np.deg2rad(ra0)
    dec, middle = np.deg2rad([w.dec_deg or 0.0 for w in windows]), np.deg2rad(dec0)
    east = np.cos(dec) * np.sin(ra)
    north = np.sin(dec) * np.cos(middle) - np.cos(dec) * np.sin(middle) * np.cos(ra)
    along = np.sin(dec) * np.sin(middle) + np.cos(dec) * np.cos(middle) * np.cos(ra)
    away, aside = np.arctan2(np.hypot(east, north), along), np.hypot(east, north)
    scale = np.rad2deg(np.divide(away, aside, out=np.ones_like(away), where=aside > 0))
    return east * scale, north * scale


def _style(windows: list[PlannedWindow], *, chosen: bool) -> dict[str, Any]:
    if not chosen:
        return {"color": _LEFT_COLOUR, "alpha": 0.6, "lw": 0}
    values = [np.nan if w.coded_fraction is None else w.coded_fraction for w in windows]
    return {"c": values, "cmap": _MAP, "vmin": 0, "vmax": 1, "lw": 0, "plotnonfinite": True}


def _draw_time(axes: Axes, plan: PointingPlan) -> Any:
    """Draw exposure at the target against time; the scatter of those taken, for the colour bar."""
    shown = None
    for chosen in (False, True):
        windows = [
            w for w in plan.windows if w.chosen is chosen and w.tstart_ijd is not None and w.exposure_s is not None
        ]
        middle = [((w.tstart_ijd or 0.0) + (w.tstop_ijd or w.tstart_ijd or 0.0)) / 2 for w in windows]
        heights = [(w.exposure_s or 0.0) / 1000 for w in windows]
        axes.vlines(middle, 0, heights, color=_LEFT_COLOUR, lw=0.6, alpha=0.9 if chosen else 0.4)
        dots = axes.scatter(middle, heights, s=22 if chosen else 10, zorder=3, **_style(windows, chosen=chosen))
        shown = dots if chosen and windows else shown
    unknown = sum(1 for w in plan.windows if w.tstart_ijd is None or w.exposure_s is None)
    if unknown:
        axes.text(
            0.5, 0.97, f"{unknown} without a known time or attitude", transform=axes.transAxes, ha="center", va="top"
        )
    axes.set_ylim(bottom=0)
    axes.set(xlabel="IJD (days since 2000-01-01, TT)", ylabel="exposure at the target [ks]")
    return shown
