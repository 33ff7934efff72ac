"""Light curves and events taken to the barycentre of the solar system."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from integral_oda.archive.orbit import REVOLUTION_ORBIT_FILE, read_orbit, read_revolution_orbit
from integral_oda.arrays import Array
from integral_oda.errors import DataError
from integral_oda.products.light_curve import LightCurve
from integral_oda.timing.barycentre import GEOCENTRE_ERROR_S, Orbit, barycentric_ijd

__all__ = ["at_barycentre", "barycentre_keywords", "orbit_of"]


def orbit_of(path: Path | None, window: Mapping[str, Any], time_ijd: Array) -> Orbit | None:
    """Orbit of a window, or None where there is no file, or only a revolution's that does not tell.

    Raises
    ------
    DataError
        If the file is damaged, or the window's own is about other times.
    """
    if path is None:
        return None
    if path.name.removesuffix(".gz") == REVOLUTION_ORBIT_FILE:
        found = read_revolution_orbit(path, window)
        return found if found is not None and found.covers(time_ijd) else None
    orbit = read_orbit(path, window)
    if not orbit.covers(time_ijd):
        raise DataError(f"{path}: the orbit is not that of the science window {window.get('SWID', '')}")
    return orbit


def at_barycentre(curve: LightCurve, orbit_file: Path | None, window: Mapping[str, Any]) -> LightCurve:
    """Light curve of a window with its times at the barycentre."""
    orbit = orbit_of(orbit_file, window, curve.time_ijd)
    time = barycentric_ijd(curve.time_ijd, curve.ra_deg, curve.dec_deg, orbit)
    return replace(curve, time_ijd=time, keywords={**curve.keywords, **barycentre_keywords(orbit)})


def barycentre_keywords(orbit: Orbit | None) -> dict[str, Any]:
    """Keywords that say how times were taken to the barycentre, and what error remains."""
    return {
        "TIMESYS": "TDB",
        "TIMEREF": "SOLARSYSTEM",
        "PLEPHEM": "ERFA epv00",
        "BARYPOS": "GEOCENTRE" if orbit is None else "SPACECRAFT ORBIT",
        "BARYERR": GEOCENTRE_ERROR_S if orbit is None else orbit.error_s,
    }
