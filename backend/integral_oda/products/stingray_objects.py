"""Light curves and event lists as stingray's objects, where stingray is installed (extra ``timing``)."""

from __future__ import annotations

import gc
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from integral_oda.errors import UnavailableError
from integral_oda.products.light_curve import LightCurve
from integral_oda.timing.good_time import union

if TYPE_CHECKING:
    from stingray import EventList, Lightcurve

__all__ = ["to_stingray", "to_stingray_events"]

_DAY_S, _MJDREF = 86400.0, 51544.0
_TOUCHING_S = 1e-3


def to_stingray(curve: LightCurve) -> Lightcurve:
    """Light curve as stingray's, with rates as counts a second, times in seconds since MJD 51544 and its gaps.

    Raises
    ------
    UnavailableError
        If stingray is not installed.
    """
    known = np.isfinite(curve.rate) & np.isfinite(curve.error)
    kept = curve.select(known)
    gti = union(kept.edges_ijd, closer_than_s=_TOUCHING_S) * _DAY_S
    stingray = _stingray()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that stingray takes every error for a Gaussian or a Poisson one
        return stingray.Lightcurve(
            kept.time_ijd * _DAY_S,
            kept.rate,
            err=kept.error,
            input_counts=False,
            gti=gti,
            dt=np.asarray(kept.width_s),
            mjdref=_MJDREF,
            err_dist="gauss",
            skip_checks=True,
            mission="integral",
            instr="ibis",
        )


def to_stingray_events(path: str | Path) -> EventList:
    """Event list that this project has written, as stingray's.

    Raises
    ------
    UnavailableError
        If stingray is not installed.
    """
    stingray = _stingray()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        events = stingray.EventList.read(str(path), fmt="hea", additional_columns=["PIF", "PROB", "WEIGHT"])
        gc.collect()  # stingray leaves the file open until then
    return events


def _stingray() -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that numba is not there
            import stingray
    except ImportError as exc:
        raise UnavailableError("stingray is not installed: pip install 'integral-oda[timing]'") from exc
    return stingray
