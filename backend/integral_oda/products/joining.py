"""Light curves of several science windows as one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from integral_oda.arrays import Array
from integral_oda.products.light_curve import LightCurve, bin_columns
from integral_oda.timing.intervals import LEVELS

__all__ = ["join_curves", "rebin_curve"]

_OF_ONE_WINDOW = ("SWID", "OBTSTART", "OBTEND")
_DAY_S = 86400.0


def join_curves(curves: Sequence[LightCurve], together: Mapping[str, Any] | None = None) -> LightCurve:
    """Join light curves of one source and band; gaps between them stay gaps.

    Parameters
    ----------
    curves : sequence of LightCurve
        One a science window, each with its window's keywords.
    together : mapping, optional
        Which windows become one bin: ``{"revolution": True}`` those of a revolution, ``{"width_s": s}`` those whose
        centres fall into the same bin of that length from the start of the first, where every window is one bin.
    """
    joined = _in_order(curves)
    if together and "revolution" in together:
        revolution = np.concatenate([np.full(len(c), int(c.keywords.get("REVOL") or 0)) for c in curves])
        order = np.argsort(np.concatenate([c.time_ijd for c in curves]), kind="stable")
        return _merged(joined, revolution[order])
    if together and len(curves) > 1 and all(len(curve) == 1 for curve in curves):
        first = joined.edges_ijd[0, 0]
        return _merged(joined, np.floor((joined.time_ijd - first) * _DAY_S / together["width_s"]).astype(int))
    return joined


def _in_order(curves: Sequence[LightCurve]) -> LightCurve:
    first = curves[0]
    if len(curves) == 1:
        return first
    order = np.argsort(np.concatenate([c.time_ijd for c in curves]), kind="stable")
    columns = {name: np.concatenate([getattr(c, name) for c in curves])[order] for name in bin_columns()}
    keywords = {key: value for key, value in first.keywords.items() if key not in _OF_ONE_WINDOW}
    for key in ("ONTIME", "EXPOSURE"):
        keywords[key] = float(sum(c.keywords.get(key, 0.0) for c in curves))
    if keywords["ONTIME"] > 0:
        keywords["DEADC"] = keywords["EXPOSURE"] / keywords["ONTIME"]
    return LightCurve(first.name, first.ra_deg, first.dec_deg, first.band, **columns, keywords=keywords)


def rebin_curve(curve: LightCurve, width_s: float) -> LightCurve:
    """Merge bins into longer ones that start at the first; gaps between them stay gaps.

    Rates are means weighted with the live time (where a file has none, with the good time), so that a burst in a few
    bins is neither lost nor favoured; the error that all bins share stays whole.

    Parameters
    ----------
    curve : LightCurve
    width_s : float
        Length of the merged bins, s.
    """
    exposure = np.where(np.isfinite(curve.live_time_s), curve.live_time_s, curve.width_s * curve.fractional_exposure)
    known = np.isfinite(curve.rate) & np.isfinite(curve.error) & (exposure > 0)
    if not known.any():
        return curve.select(known)
    kept = curve.select(known)
    start = curve.edges_ijd[0, 0]
    return _merged(kept, np.floor((kept.time_ijd - start) * _DAY_S / width_s + 1e-6).astype(int), exposure[known])


def _merged(curve: LightCurve, group: NDArray[np.int64], exposure: Array | None = None) -> LightCurve:
    """One bin for each group of neighbours, counts and live time summed; rates by inverse variance, or by exposure."""
    starts = np.flatnonzero(np.r_[True, np.diff(group) != 0])

    def total(values: Array) -> Array:
        return np.add.reduceat(values, starts)

    weight = 1 / curve.error**2 if exposure is None else exposure

    def mean(values: Array) -> Array:
        return total(values * weight) / total(weight)

    edges = curve.edges_ijd
    begin, end = edges[starts, 0], np.maximum.reduceat(edges[:, 1], starts)
    width, rate = (end - begin) * _DAY_S, mean(curve.rate)
    if exposure is None:
        error = total(weight) ** -0.5
        common = np.sqrt(total((weight * curve.common_error) ** 2)) / total(weight)
    else:
        common = mean(curve.common_error)
        error = np.hypot(np.sqrt(total((weight * curve.own_error) ** 2)) / total(weight), common)
    live = total(curve.live_time_s)
    crab = (curve.mcrab_error / curve.error)[np.isfinite(curve.mcrab_error)]
    ratio = float(np.median(crab)) if len(crab) else np.nan
    return replace(
        curve,
        time_ijd=(begin + end) / 2,
        width_s=width,
        rate=rate,
        error=error,
        fractional_exposure=total(curve.fractional_exposure * curve.width_s) / width,
        counts=total(curve.counts),
        background=total(curve.background * curve.live_time_s) / live,
        background_error=np.sqrt(total((curve.background_error * curve.live_time_s) ** 2)) / live,
        low=rate - error,
        high=rate + error,
        low_95=rate - LEVELS[1] * error,
        high_95=rate + LEVELS[1] * error,
        common_error=common,
        live_time_s=live,
        mcrab=rate * ratio,
        mcrab_error=error * ratio,
        flag=np.bitwise_or.reduceat(curve.flag, starts),
    )
