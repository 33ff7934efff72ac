"""Light curves of several science windows as one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from integral_oda.arrays import Array
from integral_oda.products.light_curve import LightCurve, bin_columns

__all__ = ["join_curves"]

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


def _merged(curve: LightCurve, group: NDArray[np.int64]) -> LightCurve:
    """One bin for each group of neighbours: rates by inverse variance, counts and live time summed."""
    starts = np.flatnonzero(np.r_[True, np.diff(group) != 0])

    def total(values: Array) -> Array:
        return np.add.reduceat(values, starts)

    weight = 1 / curve.error**2

    def mean(values: Array) -> Array:
        return total(values * weight) / total(weight)

    edges = curve.edges_ijd
    begin, end = edges[starts, 0], np.maximum.reduceat(edges[:, 1], starts)
    width, error, rate = (end - begin) * _DAY_S, total(weight) ** -0.5, mean(curve.rate)
    live = total(curve.live_time_s)
    ratio = float(np.nanmedian(curve.mcrab_error / curve.error)) if len(curve) else np.nan
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
        low_95=rate - 2 * error,
        high_95=rate + 2 * error,
        common_error=np.sqrt(total((weight * curve.common_error) ** 2)) / total(weight),
        live_time_s=live,
        mcrab=rate * ratio,
        mcrab_error=error * ratio,
        flag=np.bitwise_or.reduceat(curve.flag, starts),
    )
