"""Names of new sources: by their places, the same in every science window."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from integral_oda.catalog.reference import SAME_PLACE_ARCMIN
from integral_oda.instrument.attitude import separation_deg

__all__ = ["designation", "joined_names", "lasting_name"]

_NEW, _NUMBERED = "NEW", re.compile(r"NEW_\d+")


def designation(prefix: str, ra_deg: float, dec_deg: float) -> str:
    """Designation of a place (J2000, degrees), cut off to tenths of a minute of time and to minutes of arc."""
    hours, tenths = divmod(int(ra_deg % 360 * 40), 600)
    degrees, minutes = divmod(int(abs(dec_deg) * 60), 60)
    sign = "-" if dec_deg < 0 else "+"
    return f"{prefix} J{hours:02d}{tenths // 10:02d}{tenths % 10}{sign}{degrees:02d}{minutes:02d}"


def lasting_name(name: str, ra_deg: float, dec_deg: float) -> str:
    """Name of a source beyond its science window: OSA numbers the new ones of each, here their places name them."""
    numbered = _NUMBERED.fullmatch(name) and math.isfinite(ra_deg) and math.isfinite(dec_deg)
    return designation(_NEW, ra_deg, dec_deg) if numbered else name


def joined_names(sources: Sequence[tuple[str, float, float]]) -> list[str]:
    """Names of sources of several science windows: new ones at one place have the name of the first of them.

    Parameters
    ----------
    sources : sequence of tuple
        Name, RA, Dec (degrees).
    """
    known: list[tuple[str, float, float]] = []
    names = []
    for name, ra, dec in sources:
        if not name.startswith(f"{_NEW} J"):
            names.append(name)
            continue
        near = (k for k, *place in known if float(separation_deg(ra, dec, *place)) * 60 < SAME_PLACE_ARCMIN)
        names.append(next(near, name))
        if names[-1] == name:
            known.append((name, ra, dec))
    return names
