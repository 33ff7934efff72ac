"""Which sources a field holds: catalogue sources placed, new ones found, all of them fitted together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from integral_oda.arrays import Array
from integral_oda.engines.native.field import FieldSources
from integral_oda.engines.native.photometry import Photometry, noise_at
from integral_oda.imaging.search import (
    FLOOR_90_ARCMIN,
    FieldModel,
    FittedSource,
    SuppressedExcess,
    find_new_sources,
    locate,
    osa_radius_arcmin,
    unbiased_by_choice,
)
from integral_oda.imaging.structure import Covariance
from integral_oda.instrument.attitude import Attitude, separation_deg
from integral_oda.instrument.energy import EnergyBand
from integral_oda.products.source_list import Source, SourceBand

__all__ = ["FieldFit", "fit_field"]

Tangents = tuple[float, float]

CATALOGUE_SIGNIFICANCE = 4.0
"""Catalogue sources at least this significant in a band are listed (OSA's MinCatSouSnr)."""
MODEL_SIGNIFICANCE = 3.0
"""Catalogue sources at least this significant stay in the model."""
LOCATED_SIGNIFICANCE = 6.0
"""Sources at least this significant have their position fitted."""
IDENTIFICATION_ARCMIN = 5.0


@dataclass(frozen=True)
class FieldFit:
    """Sources of a field in every band.

    Attributes
    ----------
    models : list of FieldModel
        One a band.
    bands : list of EnergyBand
    places : list of tuple
        Tangents of every modelled source.
    fluxes : list of ndarray
        One a band, ``(n_places,)`` counts/s.
    sources : list of Source
        Those worth a line in the list, and those asked for.
    names : list of str
        Of every modelled source.
    suppressed : list of dict
        Excesses above the threshold that are no sources, with position, band, significance and reason.
    """

    models: list[FieldModel]
    bands: list[EnergyBand]
    places: list[Tangents]
    fluxes: list[Array]
    sources: list[Source]
    names: list[str]
    suppressed: list[dict[str, Any]]


@dataclass
class _Candidate:
    name: str
    place: Tangents
    catalogued: Tangents
    new: bool = False
    radius_90_arcmin: float = float("inf")
    located_in: int | None = None
    """Band that its position was fitted in."""
    asked: bool = False
    """Explains a position that is to be measured whether a source shows there or not."""


def fit_field(
    covariances: Sequence[Covariance],
    bands: Sequence[EnergyBand],
    field: FieldSources,
    attitude: Attitude,
    threshold: float,
    at: Sequence[tuple[str, float, float]] = (),
    photometry: Photometry | None = None,
) -> FieldFit:
    """Fit the catalogue sources of a field, find new ones, and measure at the positions asked for.

    Parameters
    ----------
    covariances : sequence of Covariance
        One a band.
    bands : sequence of EnergyBand
    field : FieldSources
    attitude : Attitude
    threshold : float
        Significance that a new source needs in one of the bands.
    at : sequence of tuple
        Name, RA and Dec (degrees) of positions to be measured whether a source shows there or not.
    photometry : Photometry, optional
        Nominal unless given.
    """
    energies = [float(np.sqrt(b.e1_kev * b.e2_kev)) for b in bands]
    models = [FieldModel(c, e) for c, e in zip(covariances, energies, strict=True)]
    candidates = [_Candidate(n, t, t) for n, t in zip(field.names, field.tangents, strict=True)]
    candidates = [c for c, s in zip(candidates, _significances(models, candidates), strict=True)
                  if s.max() >= MODEL_SIGNIFICANCE]  # fmt: skip
    _place(models, candidates)
    new, suppressed = _new_candidates(models, candidates, threshold)
    known, found = ([c.place for c in some] for some in (candidates, new))
    models = [
        model.with_new(known, [place for place in found if not model.covariance.shadowgram.knows(place)])
        for model in models
    ]
    candidates += new
    forced = _forced_places(attitude, at, models, candidates)
    fit = _measured(models, photometry or Photometry.of(bands, {}), candidates, forced, attitude)
    return replace(fit, suppressed=[_told(k, e, fit, attitude) for k, e in suppressed])


def _significances(models: Sequence[FieldModel], candidates: Sequence[_Candidate]) -> Array:
    """Significance of each candidate in each band, ``(n_candidates, n_bands)``."""
    columns = []
    for model in models:
        fluxes, covariance = model.fit([c.place for c in candidates])
        columns.append(fluxes / np.sqrt(np.diag(covariance)))
    return np.stack(columns, axis=1) if candidates else np.zeros((0, len(models)))


def _place(models: Sequence[FieldModel], candidates: list[_Candidate]) -> None:
    """Fit the positions of significant candidates, the strongest first, each in its best band."""
    significances = _significances(models, candidates)
    for k in np.argsort(-significances.max(axis=1)) if len(candidates) else []:
        best = int(significances[k].argmax())
        if significances[k, best] < LOCATED_SIGNIFICANCE:
            break
        others = [c.place for j, c in enumerate(candidates) if j != k]
        candidate = candidates[k]
        place, radius = locate(models[best], candidate.place, others, float(significances[k, best]))
        offset = np.hypot(place[0] - candidate.catalogued[0], place[1] - candidate.catalogued[1])
        if np.isfinite(radius) and np.rad2deg(offset) * 60 < max(IDENTIFICATION_ARCMIN, 2 * radius):
            candidate.place, candidate.radius_90_arcmin, candidate.located_in = place, radius, best


def _new_candidates(
    models: Sequence[FieldModel], candidates: Sequence[_Candidate], threshold: float
) -> tuple[list[_Candidate], list[tuple[int, SuppressedExcess]]]:
    """New sources of every band, and what was suppressed in each."""
    found: list[_Candidate] = []
    suppressed = []
    for band, model in enumerate(models):
        search = find_new_sources(model, [c.place for c in (*candidates, *found)], threshold)
        suppressed += [(band, excess) for excess in search.suppressed]
        for source in search.sources:
            others = [c.place for c in (*candidates, *found)]
            place, radius = locate(model, source.tangents, others, source.significance)
            name = f"NEW_{len(found) + 1}"
            found.append(_Candidate(name, place, place, new=True, radius_90_arcmin=radius, located_in=band))
    return found, suppressed


def _told(band: int, excess: SuppressedExcess, fit: FieldFit, attitude: Attitude) -> dict[str, Any]:
    """A suppressed excess as in ``summary.json``: what explains it is named, or placed."""
    ra, dec = attitude.position(*excess.tangents)
    reason = excess.reason
    if excess.cause is not None:
        apart = [np.hypot(p[0] - excess.cause[0], p[1] - excess.cause[1]) for p in fit.places]
        cause_ra, cause_dec = attitude.position(*excess.cause)
        known = bool(apart) and min(apart) < np.deg2rad(IDENTIFICATION_ARCMIN / 60)
        who = fit.names[int(np.argmin(apart))] if known else f"RA {cause_ra:.3f} Dec {cause_dec:+.3f}"
        reason = f"{reason}: {who}"
    return {
        "ra_deg": float(ra),
        "dec_deg": float(dec),
        "e1_kev": fit.bands[band].e1_kev,
        "e2_kev": fit.bands[band].e2_kev,
        "significance": excess.significance,
        "reason": reason,
    }


def _forced_places(
    attitude: Attitude,
    at: Sequence[tuple[str, float, float]],
    models: Sequence[FieldModel],
    candidates: Sequence[_Candidate],
) -> list[_Candidate]:
    """Positions asked for that no candidate explains; one that explains a position knows that it was asked for."""
    forced = []
    for name, ra, dec in at:
        ty, tz = (float(t) for t in attitude.tangents(ra, dec))
        if not np.isfinite(ty) or models[0].shadow((ty, tz)).sum() <= 0:
            continue
        covering = [c for c in candidates if c.name == name or _covers(c, attitude, ra, dec)]
        for candidate in covering:
            candidate.asked = True
        if not covering:
            forced.append(_Candidate(name, (ty, tz), (ty, tz)))
    return forced


def _covers(candidate: _Candidate, attitude: Attitude, ra: float, dec: float) -> bool:
    reach = candidate.radius_90_arcmin if np.isfinite(candidate.radius_90_arcmin) else IDENTIFICATION_ARCMIN
    return bool(separation_deg(*attitude.position(*candidate.place), ra, dec) * 60 <= max(reach, 1.0))


def _measured(
    models: list[FieldModel],
    photometry: Photometry,
    candidates: list[_Candidate],
    forced: list[_Candidate],
    attitude: Attitude,
) -> FieldFit:
    places = [c.place for c in candidates]
    fits = [model.fit(places) for model in models]
    listed = []
    for k, candidate in enumerate(candidates):
        measured = tuple(
            photometry.band(b, candidate.place, *_flux(candidate, b, k, f, c)) for b, (f, c) in enumerate(fits)
        )
        detected = candidate.new or max(b.significance for b in measured) >= CATALOGUE_SIGNIFICANCE
        if detected or candidate.asked:
            listed.append(_as_source(candidate, measured, attitude, forced=not detected))
    for candidate in forced:
        joint = [model.fit([*places, candidate.place]) for model in models]
        noises = [noise_at(model, [*places, candidate.place], candidate.place) for model in models]
        measured = tuple(
            photometry.band(b, candidate.place, float(f[-1]), float(np.sqrt(c[-1, -1])), noises[b])
            for b, (f, c) in enumerate(joint)
        )
        listed.append(_as_source(candidate, measured, attitude, forced=True))
    listed.sort(key=lambda source: (source.forced, -source.significance))
    return FieldFit(
        models, list(photometry.bands), places, [f for f, _ in fits], listed, [c.name for c in candidates], []
    )


def _flux(candidate: _Candidate, band: int, k: int, fluxes: Array, covariance: Array) -> tuple[float, float]:
    """Flux and error of a candidate in a band; where its place was chosen by the same counts, freed of that choice."""
    fitted = FittedSource(candidate.place, float(fluxes[k]), float(np.sqrt(covariance[k, k])), float("inf"))
    if candidate.located_in == band:
        fitted = unbiased_by_choice(fitted)
    return fitted.flux, fitted.flux_error


def _as_source(candidate: _Candidate, measured: tuple[SourceBand, ...], attitude: Attitude, *, forced: bool) -> Source:
    ra, dec = attitude.position(*candidate.place)
    osa = osa_radius_arcmin(max(band.significance for band in measured))
    radius = candidate.radius_90_arcmin if np.isfinite(candidate.radius_90_arcmin) else osa
    if forced:
        radius = FLOOR_90_ARCMIN
    return Source(candidate.name, float(ra), float(dec), radius, osa, candidate.new, forced, measured)
