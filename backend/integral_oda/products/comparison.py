"""The same product of two engines side by side: differences, ratios and pulls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from integral_oda.arrays import Array
from integral_oda.instrument.attitude import separation_deg
from integral_oda.products.light_curve import LightCurve
from integral_oda.products.source_list import Source

__all__ = ["Sequences", "compare_light_curves", "compare_rates", "compare_sources"]

_SAME_PLACE_ARCMIN = 5.0
_SIGNIFICANT = 3.0


@dataclass(frozen=True)
class Sequences:
    """Rates of two engines in the same bins, each ``(n,)``: channels of a spectrum or bins of a light curve.

    Attributes
    ----------
    place : ndarray
        Middle of the bins, keV or IJD.
    first, first_error, second, second_error : ndarray
        counts/s.
    """

    place: Array
    first: Array
    first_error: Array
    second: Array
    second_error: Array

    @property
    def pulls(self) -> Array:
        """Differences over their errors in quadrature, as if the two were independent."""
        return (self.first - self.second) / np.hypot(self.first_error, self.second_error)

    @property
    def ratios(self) -> tuple[Array, Array]:
        """Second over first and its error; NaN where the first is not significant (3 sigma)."""
        known = self.first > _SIGNIFICANT * self.first_error
        first = np.where(known, self.first, np.nan)
        ratio = self.second / first
        return ratio, np.hypot(self.second_error, ratio * self.first_error) / first

    def numbers(self) -> dict[str, Any]:
        """Ratio of the weighted sums, mean, width and chi2 of the pulls, and all of it bin by bin."""
        ratio, error = _ratio(self.first, self.first_error, self.second, self.second_error)
        pulls = self.pulls
        return {
            "bins": len(self.place),
            "ratio": ratio,
            "ratio_error": error,
            "pull_mean": float(pulls.mean()) if len(pulls) else None,
            "pull_sigma": float(pulls.std()) if len(pulls) else None,
            "chi2": float((pulls**2).sum()),
            "table": {
                "place": self.place.tolist(),
                "first": self.first.tolist(),
                "second": self.second.tolist(),
                "ratio": [float(r) if np.isfinite(r) else None for r in self.ratios[0]],
                "pull": pulls.tolist(),
            },
        }


def _ratio(first: Array, first_error: Array, second: Array, second_error: Array) -> tuple[float | None, float | None]:
    """Second over first, from sums with the same weights."""
    weight = 1 / (first_error**2 + second_error**2) if len(first) else np.zeros(0)
    a, b = float((weight * first).sum()), float((weight * second).sum())
    if a == 0:
        return None, None
    spread = float(np.sqrt(((weight * second_error) ** 2).sum() + (b / a) ** 2 * ((weight * first_error) ** 2).sum()))
    return b / a, spread / abs(a)


def compare_sources(first: Sequence[Source], second: Sequence[Source]) -> list[dict[str, Any]]:
    """Match two source lists by name, else by place, and set them side by side.

    Returns
    -------
    list of dict
        One a source of either list: ``name``, ``separation_arcmin`` with ``radius_arcmin`` (both 90 % radii in
        quadrature), and one entry of ``bands`` for each band: both fluxes with errors and significances, ``ratio``
        (second over first) with its error, and ``pull``. What one list lacks is None.
    """
    rest = list(second)
    rows = []
    for source in first:
        other = next((s for s in rest if _same(source, s)), None)
        if other is not None:
            rest.remove(other)
        rows.append(_row(source, other))
    return rows + [_row(None, source) for source in rest]


def _same(one: Source, other: Source) -> bool:
    if one.name == other.name and not (one.new or other.new):
        return True
    reach = max(_SAME_PLACE_ARCMIN, float(np.hypot(one.error_radius_arcmin, other.error_radius_arcmin)))
    near = bool(separation_deg(one.ra_deg, one.dec_deg, other.ra_deg, other.dec_deg) * 60 <= reach)
    return near and (one.new or other.new)


def _row(first: Source | None, second: Source | None) -> dict[str, Any]:
    known = first or second
    assert known is not None
    row: dict[str, Any] = {"name": known.name, "separation_arcmin": None, "radius_arcmin": None, "bands": []}
    if first is not None and second is not None:
        away = separation_deg(first.ra_deg, first.dec_deg, second.ra_deg, second.dec_deg) * 60
        row["separation_arcmin"] = float(away)
        row["radius_arcmin"] = float(np.hypot(first.error_radius_arcmin, second.error_radius_arcmin))
    for k, band in enumerate(known.bands):
        one, other = (s.bands[k] if s is not None and k < len(s.bands) else None for s in (first, second))
        row["bands"].append({"e1_kev": band.e1_kev, "e2_kev": band.e2_kev, **_side_by_side(one, other)})
    return row


def _side_by_side(one: Any, other: Any) -> dict[str, float | None]:
    told: dict[str, float | None] = {}
    for side, band in (("first", one), ("second", other)):
        for name in ("flux", "flux_error", "significance"):
            told[f"{side}_{name}"] = None if band is None else getattr(band, name)
    if one is None or other is None:
        return told | {"ratio": None, "ratio_error": None, "pull": None}
    values = (np.array([v]) for v in (one.flux, one.flux_error, other.flux, other.flux_error))
    ratio, error = _ratio(*values)
    pull = (one.flux - other.flux) / float(np.hypot(one.flux_error, other.flux_error))
    return told | {"ratio": ratio, "ratio_error": error, "pull": pull}


def compare_rates(
    place: Array, first: tuple[Array, Array], second: tuple[Array, Array], usable: Array | None = None
) -> Sequences:
    """Rates with their errors in the same bins, where both are known.

    Parameters
    ----------
    place : ndarray
        ``(n,)`` middle of the bins.
    first, second : tuple of ndarray
        Rates and errors, each ``(n,)``.
    usable : ndarray of bool, optional
        ``(n,)``.
    """
    kept = np.ones(len(place), bool) if usable is None else np.asarray(usable, bool)
    for rate, error in (first, second):
        kept = kept & np.isfinite(rate) & np.isfinite(error) & (error > 0)
    return Sequences(place[kept], first[0][kept], first[1][kept], second[0][kept], second[1][kept])


def compare_light_curves(first: LightCurve, second: LightCurve) -> Sequences:
    """Bins of two light curves whose centres are less than half a bin apart."""
    if not len(first) or not len(second):
        nothing = np.zeros(0)
        return Sequences(nothing, nothing, nothing, nothing, nothing)
    nearest = np.abs(second.time_ijd[None, :] - first.time_ijd[:, None]).argmin(axis=1)
    away = np.abs(second.time_ijd[nearest] - first.time_ijd) * 86400.0
    return compare_rates(
        first.time_ijd,
        (first.rate, first.error),
        (second.rate[nearest], second.error[nearest]),
        away < first.width_s / 2,
    )
