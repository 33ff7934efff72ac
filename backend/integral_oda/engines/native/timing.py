"""LCR: light curves of the sources of one window."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from integral_oda.arrays import Array
from integral_oda.engines.native.events import DeadTime, GoodTime, SelectedEvents
from integral_oda.engines.native.field import FieldSources
from integral_oda.engines.native.image import band_energy_kev
from integral_oda.engines.storage import load_record, save_record
from integral_oda.errors import DataError
from integral_oda.imaging.shadowgram import Shadowgram
from integral_oda.imaging.structure import Covariance, StructureWidths
from integral_oda.instrument.attitude import Attitude
from integral_oda.instrument.detector import DETECTOR_SHAPE, OPEN_PIXELS
from integral_oda.instrument.energy import EnergyBand
from integral_oda.instrument.pif import pixel_illumination
from integral_oda.products.light_curve import LightCurve, read_light_curve, write_light_curve
from integral_oda.timing.good_time import union
from integral_oda.timing.light_curve import BinnedRates, Estimator, fit_bins, fixed_edges, good_time_per_bin

__all__ = ["JoinLcr", "Lcr", "State", "load_light_curves", "save_light_curves"]

DAY_S = 86400.0
_COLUMNS = (
    *("time_ijd", "width_s", "rate", "error", "fractional_exposure"),
    *("counts", "background", "background_error"),
)
_TOUCHING_S = 1e-3
FITTED_SIGNIFICANCE = 3.0
"""Catalogue sources at least this significant in the window are fitted beside the one asked for."""


class Lcr:
    """Light curve of every source of the field, or of the one asked for."""

    def compute(
        self, inputs: Sequence[Any], parameters: Mapping[str, Any], raw: Mapping[str, Path]
    ) -> list[LightCurve]:
        """Fit the bins of one window."""
        events, good, dead, field, shadowgram, widths = inputs
        band = EnergyBand(*parameters["band"])
        asked = parameters.get("source")
        fit = _WindowFit(shadowgram, widths, field, band, asked, Attitude.from_keywords(events.header))
        intervals = np.asarray(good.intervals_ijd)
        edges = fixed_edges(intervals[0, 0], intervals[-1, 1], parameters["time_bin"])
        good_s = good_time_per_bin(edges, intervals)
        binned = _bin_events(fit, events, good, band, edges, good_s * dead.deadc)
        keywords = _keywords(events, good, dead)
        return [_curve(fit, binned, k, edges, good_s, keywords) for k in fit.wanted]

    def save(self, value: list[LightCurve], folder: Path) -> None:
        """Write one FITS file a source."""
        save_light_curves(value, folder)

    def load(self, folder: Path) -> list[LightCurve]:
        """Read the FITS files."""
        return load_light_curves(folder)


class State:
    """Times at which the source of a light curve has a rate in a range, bin by bin."""

    def compute(self, inputs: Sequence[Any], parameters: Mapping[str, Any], raw: Mapping[str, Path]) -> GoodTime:
        """Join the bins whose rate lies in ``rate_range``."""
        ((curve,),) = inputs
        low, high = parameters["rate_range"]
        kept = (np.asarray(curve.rate) >= low) & (np.asarray(curve.rate) <= high)
        if not kept.any():
            swid = curve.keywords.get("SWID", "")
            raise DataError(f"science window {swid}: no bin of {curve.name} has {low:g} to {high:g} counts/s")
        half = np.asarray(curve.width_s)[kept] / 2 / DAY_S
        middle = np.asarray(curve.time_ijd)[kept]
        return GoodTime(union(np.column_stack([middle - half, middle + half]), closer_than_s=_TOUCHING_S))

    def save(self, value: GoodTime, folder: Path) -> None:
        """Write the intervals."""
        save_record(value, folder)

    def load(self, folder: Path) -> GoodTime:
        """Read the intervals."""
        return load_record(GoodTime, folder)


class JoinLcr:
    """Light curves of all windows, joined by source; gaps between windows stay gaps."""

    def compute(
        self, inputs: Sequence[tuple[str, list[LightCurve]]], parameters: Mapping[str, Any], raw: Mapping[str, Path]
    ) -> list[LightCurve]:
        """Put bins of the same source in order of time."""
        by_name: dict[str, list[LightCurve]] = {}
        for _, curves in inputs:
            for curve in curves:
                by_name.setdefault(curve.name, []).append(curve)
        return [_joined(curves) for curves in by_name.values()]

    def save(self, value: list[LightCurve], folder: Path) -> None:
        """Write one FITS file a source."""
        save_light_curves(value, folder)

    def load(self, folder: Path) -> list[LightCurve]:
        """Read the FITS files."""
        return load_light_curves(folder)


def save_light_curves(curves: Sequence[LightCurve], folder: Path) -> None:
    """Write light curves numbered in their order."""
    for number, curve in enumerate(curves):
        write_light_curve(folder / f"curve_{number:04d}.fits", curve)
    (folder / "curves.json").write_text(json.dumps([curve.name for curve in curves]), encoding="utf-8")


def load_light_curves(folder: Path) -> list[LightCurve]:
    """Read what `save_light_curves` has written."""
    return [read_light_curve(path) for path in sorted(folder.glob("curve_*.fits"))]


def _joined(curves: Sequence[LightCurve]) -> LightCurve:
    first = curves[0]
    order = np.argsort(np.concatenate([c.time_ijd for c in curves]), kind="stable")
    columns = {
        name: np.concatenate([getattr(c, name) for c in curves])[order]
        for name in (
            ["time_ijd", "width_s", "rate", "error", "fractional_exposure", "counts", "background", "background_error"]
        )
    }
    keywords = dict(first.keywords)
    if len(curves) > 1:
        for key in ("ONTIME", "EXPOSURE"):
            keywords[key] = float(sum(c.keywords.get(key, 0.0) for c in curves))
        keywords = {key: value for key, value in keywords.items() if key not in ("SWID", "OBTSTART", "OBTEND")}
    return LightCurve(first.name, first.ra_deg, first.dec_deg, first.band, **columns, keywords=keywords)


class _WindowFit:
    """Mean fluxes of the sources of a window, and the estimator that follows from them."""

    def __init__(
        self,
        shadowgram: Shadowgram,
        widths: StructureWidths,
        field: FieldSources,
        band: EnergyBand,
        asked: Sequence[Any] | None,
        attitude: Attitude,
    ) -> None:
        self.shadowgram, self.band = shadowgram, band
        covariance = Covariance(shadowgram, widths)
        energy = band_energy_kev(band)
        names, places = list(field.names), list(field.tangents)
        ra, dec = list(field.ra_deg), list(field.dec_deg)
        if asked is not None and asked[0] not in names:
            ty, tz = (float(t) for t in attitude.tangents(asked[1], asked[2]))
            names, places, ra, dec = [*names, asked[0]], [*places, (ty, tz)], [*ra, asked[1]], [*dec, asked[2]]
        if asked is not None and not _lights(places[names.index(asked[0])], shadowgram):
            raise DataError(f"{asked[0]} does not light the detector in this science window")
        pifs = np.stack([pixel_illumination(*p, energy_kev=energy)[shadowgram.usable] for p in places], axis=1)
        design = shadowgram.shadows(places, energy)
        fluxes, errors = covariance.fit(shadowgram.excess, design)
        significant = fluxes / np.sqrt(np.diag(errors)) > FITTED_SIGNIFICANCE
        kept = [k for k, name in enumerate(names) if significant[k] or asked is None or name == asked[0]]
        self.names, self.ra, self.dec = [names[k] for k in kept], [ra[k] for k in kept], [dec[k] for k in kept]
        self.wanted = range(len(kept)) if asked is None else [self.names.index(asked[0])]
        fluxes, _ = covariance.fit(shadowgram.excess, design[:, kept])
        self.estimator = _estimator(shadowgram, covariance, pifs[:, kept], design[:, kept] @ fluxes, fluxes)


def _lights(place: tuple[float, float], shadowgram: Shadowgram) -> bool:
    return bool(np.isfinite(place[0])) and float(pixel_illumination(*place)[shadowgram.usable].sum()) > 1.0


def _estimator(shadowgram: Shadowgram, covariance: Covariance, pifs: Array, answers: Array, fluxes: Array) -> Estimator:
    """Estimator whose background is the fitted one, less what the thresholds' fit took of the mean sources."""
    full = shadowgram.flat(shadowgram.efficiency) * shadowgram.live_time_s / OPEN_PIXELS
    background = shadowgram.flat(shadowgram.expected) + covariance.structure(shadowgram.excess - answers)
    background = background - full * (pifs @ fluxes) + answers
    live = shadowgram.live_time_s
    return Estimator.from_model(pifs * (full / live)[:, None], background / live, fluxes)


def _bin_events(
    fit: _WindowFit, events: SelectedEvents, good: GoodTime, band: EnergyBand, edges: Array, live_s: Array
) -> BinnedRates:
    energy = np.asarray(events.energy_kev)
    kept = np.flatnonzero((energy >= band.e1_kev) & (energy < band.e2_kev))
    number = np.full(DETECTOR_SHAPE[0] * DETECTOR_SHAPE[1], -1)
    usable = fit.shadowgram.usable.ravel()
    number[usable] = np.arange(int(usable.sum()))
    pixel = number[np.asarray(events.pixel)[kept]]
    time = np.asarray(events.time_ijd)[kept]
    use = (pixel >= 0) & good.inside(time)
    bins = np.clip(np.searchsorted(edges, time[use], side="right") - 1, 0, len(edges) - 2)
    return fit_bins(fit.estimator, bins, pixel[use], live_s)


def _curve(
    fit: _WindowFit, binned: BinnedRates, k: int, edges: Array, good_s: Array, keywords: dict[str, Any]
) -> LightCurve:
    seen = good_s > 0
    width = np.diff(edges) * DAY_S
    level = float(fit.estimator.background.sum())
    return LightCurve(
        name=fit.names[k],
        ra_deg=fit.ra[k],
        dec_deg=fit.dec[k],
        band=fit.band,
        time_ijd=((edges[:-1] + edges[1:]) / 2)[seen],
        width_s=width[seen],
        rate=binned.rate[seen, k],
        error=binned.error[seen, k],
        fractional_exposure=(good_s / width)[seen],
        counts=binned.counts[seen],
        background=level * binned.background[seen],
        background_error=level * binned.background_error[seen],
        keywords=keywords,
    )


def _keywords(events: SelectedEvents, good: GoodTime, dead: DeadTime) -> dict[str, Any]:
    carried = {key: value for key, value in events.header.items() if not key.endswith(("_SCX", "_SCZ"))}
    return {
        **carried,
        "ONTIME": good.ontime_s,
        "DEADC": dead.deadc,
        "EXPOSURE": good.ontime_s * dead.deadc,
        "CREATOR": "integral-oda native",
        "DEADORIG": dead.origin,
    }
