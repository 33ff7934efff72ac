"""PACK_LC: the files of light curves, bursts, events and periods as users get them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from integral_oda.engines.native.pack import LISTS_FILE
from integral_oda.engines.native.source_events import WeightedEvents
from integral_oda.errors import RequestError
from integral_oda.products.burst_list import FoundBurst, write_burst_list
from integral_oda.products.event_list import write_event_list
from integral_oda.products.light_curve import LightCurve, file_label, write_light_curves
from integral_oda.products.light_curve_pictures import draw_folded, draw_light_curves, draw_periodogram
from integral_oda.products.timing_tables import band_entry, hardness_tables, write_folded, write_periodogram
from integral_oda.timing.periods import Ephemeris, FoldedCurve, Periodogram, fold_events, z_search

__all__ = ["PackLightCurve", "TimingProducts"]

_MJD_OF_IJD_0 = 51544.0


@dataclass(frozen=True)
class TimingProducts:
    """What goes into the files of a light-curve query.

    Attributes
    ----------
    curves : list of LightCurve
    bursts : list of FoundBurst or None
    events : WeightedEvents or None
    folded : tuple or None
        Ephemeris and folded light curve.
    found : Periodogram or None
    """

    curves: list[LightCurve]
    bursts: list[FoundBurst] | None = None
    events: WeightedEvents | None = None
    folded: tuple[Ephemeris, FoldedCurve] | None = None
    found: Periodogram | None = None
    source: Mapping[str, Any] = field(default_factory=dict)


class PackLightCurve:
    """``isgri_lc_<SRC>.fits`` of every source, ``lightcurve.png``, and what else was asked for."""

    def compute(self, inputs: Sequence[Any], parameters: Mapping[str, Any], raw: Mapping[str, Path]) -> TimingProducts:
        """Fold and search the events where ``fold`` and ``period_search`` ask for it."""
        curves, *others = inputs
        further = dict(zip(parameters.get("further", []), others, strict=True))
        events: WeightedEvents | None = further.get("events")
        return TimingProducts(
            curves=curves,
            bursts=further.get("bursts"),
            events=events if parameters.get("event_list") else None,
            folded=_folded(events, parameters.get("fold")),
            found=_searched(events, parameters.get("period_search")),
            source=events.source if events else {},
        )

    def save(self, value: TimingProducts, folder: Path) -> None:
        """Write the product files."""
        of_source: dict[str, list[LightCurve]] = {}
        for curve in value.curves:
            of_source.setdefault(curve.name, []).append(curve)
        for name, curves in of_source.items():
            write_light_curves(folder / f"isgri_lc_{file_label(name)}.fits", curves, hardness_tables(curves))
        draw_light_curves(folder / "lightcurve.png", value.curves)
        lists: dict[str, Any] = {"sources": [_source_entry(curves) for curves in of_source.values()]}
        if value.bursts is not None:
            write_burst_list(folder, value.bursts)
            lists["bursts"] = [item.as_dict() for item in value.bursts]
        if value.events is not None:
            _write_events(folder, value.events)
        timing = _write_periods(folder, value)
        (folder / LISTS_FILE).write_text(json.dumps(lists | ({"timing": timing} if timing else {})), encoding="utf-8")

    def load(self, folder: Path) -> Path:
        """Give the folder of the product files."""
        return folder


def _source_entry(curves: Sequence[LightCurve]) -> dict[str, Any]:
    first = curves[0]
    place = {"name": first.name, "ra_deg": first.ra_deg, "dec_deg": first.dec_deg}
    return {**place, "bands": [band_entry(curve) for curve in curves]}


def _write_events(folder: Path, events: WeightedEvents) -> None:
    columns = {
        item.name: np.asarray(getattr(events, item.name))
        for item in fields(events)
        if item.name not in ("gti_ijd", "source", "keywords")
    }
    path = folder / f"isgri_events_{file_label(events.source['name'])}.fits"
    write_event_list(path, columns, np.asarray(events.gti_ijd), events.source, events.keywords)


def _folded(events: WeightedEvents | None, asked: Sequence[float] | None) -> tuple[Ephemeris, FoldedCurve] | None:
    if events is None or asked is None:
        return None
    period, derivative, epoch = asked
    gti = np.asarray(events.gti_ijd)
    ephemeris = Ephemeris(period, derivative, float(gti[0, 0]) if epoch is None else epoch - _MJD_OF_IJD_0)
    time, weight = np.asarray(events.time_ijd), np.asarray(events.weight)
    shared = {"offset": events.source["offset"], "common_error": events.source["common_error"]}
    return ephemeris, fold_events(time, weight, gti, ephemeris, **shared)


def _searched(events: WeightedEvents | None, asked: Sequence[float] | None) -> Periodogram | None:
    if events is None or asked is None:
        return None
    low, high = asked
    try:
        return z_search(np.asarray(events.time_ijd), np.asarray(events.probability, dtype=float), (low, high))
    except ValueError as exc:
        raise RequestError("period_search", f"{low:g},{high:g}", str(exc)) from None


def _write_periods(folder: Path, value: TimingProducts) -> dict[str, Any]:
    timing: dict[str, Any] = {}
    name = str(value.source.get("name", ""))
    if value.folded is not None:
        ephemeris, folded = value.folded
        write_folded(folder / f"folded_{file_label(name)}.fits", name, folded, ephemeris)
        draw_folded(folder / f"folded_{file_label(name)}.png", name, folded, ephemeris.period_s)
        timing["fold"] = {**asdict(ephemeris), "pulsed_fraction": folded.pulsed, "chi2": folded.chi2,
                          "pulsed_fraction_error": folded.pulsed_error, "chance": folded.chance}  # fmt: skip
    if value.found is not None:
        write_periodogram(folder / f"periodogram_{file_label(name)}.fits", name, value.found)
        draw_periodogram(folder / f"periodogram_{file_label(name)}.png", name, value.found)
        timing["period_search"] = {"period_s": value.found.period_s, "period_error_s": value.found.period_error_s,
                                   "z2": value.found.peak, "harmonics": value.found.harmonics,
                                   "false_alarm": value.found.false_alarm}  # fmt: skip
    return timing
