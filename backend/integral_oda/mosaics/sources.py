"""Sources of a mosaic: catalogue sources measured, new ones found in all bands together, all of them named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np
from astropy.coordinates import SkyCoord

from integral_oda.arrays import Array
from integral_oda.catalog.reference import CatalogSource, sources_near
from integral_oda.imaging.mosaic_fit import FittedPeak, ImageNoise
from integral_oda.imaging.mosaic_search import RejectedPeak, SearchedMap, combined_map
from integral_oda.imaging.search import FLOOR_90_ARCMIN, osa_radius_arcmin
from integral_oda.instrument.attitude import separation_deg
from integral_oda.instrument.response import crab_rate
from integral_oda.mosaics.combine import peak_shape
from integral_oda.products.photometry import FluxScale, source_band
from integral_oda.products.sky_image import SkyImage
from integral_oda.products.source_list import Source, SourceBand

__all__ = ["MosaicSources", "find_sources"]

LISTED_SIGNIFICANCE = 4.0
"""Catalogue sources at least this significant in a band are listed (OSA's MinCatSouSnr)."""
MODEL_SIGNIFICANCE = 3.0
"""Catalogue sources at least this significant are fitted."""
LOCATED_SIGNIFICANCE = 6.0
"""Sources at least this significant have their position fitted."""
IDENTIFICATION_ARCMIN = 5.0

Position = tuple[str, float, float]


@dataclass(frozen=True)
class MosaicSources:
    """Sources of a mosaic, and the noise that is left of each band.

    Attributes
    ----------
    sources : list of Source
    noise : list of dict
        One a band, as in ``summary.json``.
    suppressed : list of dict
        Excesses above the threshold that are no sources, with the reason, as in ``summary.json``.
    """

    sources: list[Source]
    noise: list[dict[str, Any]]
    suppressed: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class _Candidate:
    name: str
    place: tuple[float, float]
    new: bool = False
    forced: bool = False
    asked: bool = False
    radius_arcmin: float = float("inf")
    best: int = 0
    gain: float = 0.0


def find_sources(
    images: Sequence[SkyImage], threshold: float, catalogue: Sequence[CatalogSource], at: Sequence[Position] = ()
) -> MosaicSources:
    """Find and measure the sources of a mosaic.

    Catalogue sources are measured where they are, or where they are found if they are bright. New ones are looked for
    in every band and, if no bands overlap, in all of them together as a spectrum like the Crab's would show. What
    counts is the significance over the noise of the map itself, sources masked, where that is above 1.

    Parameters
    ----------
    images : sequence of SkyImage
        One a band, on one gnomonic grid.
    threshold : float
        Significance of a new source, in units of the map's noise.
    catalogue : sequence of CatalogSource
    at : sequence of tuple
        Name, RA and Dec (degrees) of positions to be measured whether a source shows there or not.
    """
    search = _Search(images)
    candidates = search.known(catalogue)
    search.locate(candidates)
    candidates += search.unknown(candidates, threshold, catalogue)
    suppressed = search.suppressed(candidates, threshold)
    return replace(search.measured(candidates, search.asked(candidates, at)), suppressed=suppressed)


class _Search:
    def __init__(self, images: Sequence[SkyImage]) -> None:
        self.images = images
        self.bands = [
            SearchedMap(i.intensity.astype(float), i.variance.astype(float), peak_shape(i.keywords)) for i in images
        ]
        self.maps = list(self.bands)
        edges = sorted(image.band for image in images)
        if len(edges) > 1 and all(low[1] <= high[0] for low, high in pairwise(edges)):
            self.maps.append(combined_map(self.bands, [crab_rate(image.band) for image in images]))
        self.noises: list[ImageNoise] = []
        # What a window's position is off by differs from window to window: 0.20 and 0.06 arcmin for the Crab in two.
        self.floor_arcmin = FLOOR_90_ARCMIN / np.sqrt(max(1, int(images[0].keywords.get("NSCW", 1))))

    def places(self, candidates: Sequence[_Candidate]) -> Array:
        return np.array([c.place for c in candidates], dtype=float).reshape(-1, 2)

    def measure_noise(self, candidates: Sequence[_Candidate]) -> None:
        self.noises = [one.noise(self.places(candidates)) for one in self.maps]

    def significances(self, candidates: Sequence[_Candidate]) -> Array:
        """Of each candidate in each map, over the map's own noise, ``(n, n_maps)``."""
        places, fixed = self.places(candidates), np.zeros(len(candidates), bool)
        columns = [
            [peak.significance / max(1.0, noise.sigma) for peak in one.fit(places, fixed, noise.level)]
            for one, noise in zip(self.maps, self.noises, strict=True)
        ]
        return np.array(columns).T.reshape(len(candidates), len(self.maps))

    def known(self, catalogue: Sequence[CatalogSource]) -> list[_Candidate]:
        """Catalogue sources that may be seen."""
        places = self._places([s.ra_deg for s in catalogue], [s.dec_deg for s in catalogue])
        inside = [_Candidate(s.name, place) for s, place in zip(catalogue, places, strict=True)]
        inside = [c for c in inside if self._observed(c.place)]
        # What stands out at all masks the noise; the noise then says what stands out.
        bright = [c for c in inside if max(self._height(one, c.place) for one in self.maps) > 2 * MODEL_SIGNIFICANCE]
        self.measure_noise(bright)
        near = [c for c in inside if max(self._height(one, c.place) for one in self.maps) > 0.5 * MODEL_SIGNIFICANCE]
        strengths = self.significances(near).max(axis=1) if near else []
        return [c for c, strength in zip(near, strengths, strict=True) if strength >= MODEL_SIGNIFICANCE]

    def locate(self, candidates: list[_Candidate]) -> None:
        """Fit the positions of bright candidates, each in its best map."""
        strengths = self.significances(candidates)
        places = self.places(candidates)
        for m, (one, noise) in enumerate(zip(self.maps, self.noises, strict=True)):
            best = strengths.argmax(axis=1) == m if len(candidates) else np.zeros(0, bool)
            free = best & (strengths.max(axis=1, initial=0) >= LOCATED_SIGNIFICANCE)
            if not free.any():
                continue
            for k, peak in enumerate(one.fit(places, free, noise.level)):
                if free[k]:
                    self._move(candidates[k], peak, m)

    def _move(self, candidate: _Candidate, peak: FittedPeak, number: int) -> None:
        scale = self._arcmin_per_pixel(*candidate.place)
        offset = np.hypot(peak.column - candidate.place[0], peak.row - candidate.place[1]) * scale
        radius = float(np.hypot(peak.radius_90 * scale, self.floor_arcmin))
        if candidate.new or offset < max(IDENTIFICATION_ARCMIN, 2 * radius):
            candidate.place, candidate.radius_arcmin = (peak.column, peak.row), radius
            candidate.best, candidate.gain = number, min(1.0, (peak.flux_error / peak.flux) ** 2)

    def unknown(
        self, candidates: Sequence[_Candidate], threshold: float, catalogue: Sequence[CatalogSource]
    ) -> list[_Candidate]:
        """New sources of every map, the strongest map first; those at a catalogue source's place have its name."""
        found: list[_Candidate] = []
        for m, one in enumerate(self.maps):
            for peak in one.new_sources(self.places([*candidates, *found]), threshold):
                candidate = _Candidate("", (peak.column, peak.row), new=True)
                self._move(candidate, peak, m)
                self._name(candidate, catalogue, [*candidates, *found])
                found.append(candidate)
        return found

    def _name(self, candidate: _Candidate, catalogue: Sequence[CatalogSource], others: Sequence[_Candidate]) -> None:
        ra, dec = self.position(candidate.place)
        taken = {other.name for other in others}
        near = sources_near(ra, dec, max(IDENTIFICATION_ARCMIN / 2, candidate.radius_arcmin) / 60, catalogue)
        free = [source.name for source in near if source.name not in taken]
        if free:
            candidate.name, candidate.new = free[0], False

    def suppressed(self, candidates: Sequence[_Candidate], threshold: float) -> list[dict[str, Any]]:
        """What the search of each band has rejected, and why."""
        found = []
        for one, image in zip(self.bands, self.images, strict=True):
            for rejected in one.rejected(self.places(candidates), threshold):
                ra, dec = self.position((rejected.peak.column, rejected.peak.row))
                reason = self._why(rejected, candidates, threshold)
                found.append({"ra_deg": ra, "dec_deg": dec, "e1_kev": image.band.e1_kev, "e2_kev": image.band.e2_kev,
                              "significance": rejected.peak.significance, "reason": reason})  # fmt: skip
        return found

    def _why(self, rejected: RejectedPeak, candidates: Sequence[_Candidate], threshold: float) -> str:
        peak, noise = rejected.peak, rejected.noise
        if rejected.beside is None:
            return (
                f"{peak.significance / noise:.1f} times the noise of the map, which is {noise:.2f} times the "
                f"statistical; {threshold:g} are needed"
            )
        source = candidates[rejected.beside]
        apart = np.hypot(source.place[0] - peak.column, source.place[1] - peak.row)
        apart *= self._arcmin_per_pixel(*source.place)
        name = source.name or "RA {:.3f} Dec {:+.3f}".format(*self.position(source.place))
        return f"as much as the shape of a source may leave {apart:.1f} arcmin beside it: {name}"

    def asked(self, candidates: Sequence[_Candidate], at: Sequence[Position]) -> list[_Candidate]:
        """Positions asked for that no source explains; a source that explains one knows that it was asked for."""
        forced = []
        for name, ra, dec in at:
            (place,) = self._places([ra], [dec])
            covering = [c for c in candidates if c.name == name or self._covers(c, ra, dec)]
            for candidate in covering:
                candidate.asked = True
            if self._observed(place) and not covering:
                forced.append(_Candidate(name, place, forced=True))
        return forced

    def _covers(self, candidate: _Candidate, ra: float, dec: float) -> bool:
        reach = candidate.radius_arcmin if np.isfinite(candidate.radius_arcmin) else IDENTIFICATION_ARCMIN
        return bool(separation_deg(*self.position(candidate.place), ra, dec) * 60 <= max(reach, 1.0))

    def _fluxes(self, candidates: Sequence[_Candidate]) -> list[list[FittedPeak]]:
        """Of all candidates together, in each band."""
        places, fixed = self.places(candidates), np.zeros(len(candidates), bool)
        return [b.fit(places, fixed, n.level) for b, n in zip(self.bands, self.noises, strict=False)]

    def measured(self, candidates: Sequence[_Candidate], forced: Sequence[_Candidate]) -> MosaicSources:
        """Fluxes in every band, all sources together, and the noise without them; a forced place changes no source."""
        self.measure_noise([*candidates, *forced])
        fits, together = self._fluxes(candidates), self._fluxes([*candidates, *forced])
        listed = [self._source(c, [fit[len(candidates) + k] for fit in together]) for k, c in enumerate(forced)]
        for k, candidate in enumerate(candidates):
            peaks = [self._without_gain(candidate, b, fit[k]) for b, fit in enumerate(fits)]
            noise = zip(peaks, self.noises, strict=False)
            strongest = max(p.significance / max(1.0, n.sigma) for p, n in noise)
            candidate.forced |= candidate.asked and not candidate.new and strongest < LISTED_SIGNIFICANCE
            if candidate.new or candidate.forced or strongest >= LISTED_SIGNIFICANCE:
                listed.append(self._source(candidate, peaks))
        listed.sort(key=lambda source: (source.forced, -source.significance))
        number = iter(range(1, len(listed) + 1))
        named = [replace(source, name=f"NEW_{next(number)}") if source.new else source for source in listed]
        return MosaicSources(
            named, [self._noise_dict(k, len(candidates) + len(forced)) for k in range(len(self.bands))]
        )

    def _without_gain(self, candidate: _Candidate, band: int, peak: FittedPeak) -> FittedPeak:
        """Without what choosing the highest place has added to the bands that it was chosen in."""
        chosen = candidate.best in (band, len(self.bands))
        return replace(peak, flux=peak.flux * (1 - candidate.gain)) if chosen else peak

    def _source(self, candidate: _Candidate, peaks: Sequence[FittedPeak]) -> Source:
        ra, dec = self.position(candidate.place)
        fluxes = tuple(self._band(candidate, k, peak) for k, peak in enumerate(peaks))
        osa = osa_radius_arcmin(max(band.significance for band in fluxes))
        radius = candidate.radius_arcmin if np.isfinite(candidate.radius_arcmin) else osa
        if candidate.forced:
            radius = self.floor_arcmin
        return Source(candidate.name, ra, dec, radius, osa, candidate.new, candidate.forced, fluxes)

    def _band(self, candidate: _Candidate, k: int, peak: FittedPeak) -> SourceBand:
        """Flux in one band; limits of a position that was asked for are in units of the map's own noise."""
        image = self.images[k]
        noise = self.noises[k].sigma if candidate.forced else 1.0
        scale = FluxScale.from_cards(image.keywords, image.band)
        return source_band(image.band, peak.flux, peak.flux_error, noise=noise, scale=scale)

    def _noise_dict(self, k: int, masked: int) -> dict[str, Any]:
        """Empirical noise beside the statistical one, which is 1 for Poisson draws of what was summed."""
        noise, band = self.noises[k], self.images[k].band
        return {"e1_kev": band.e1_kev, "e2_kev": band.e2_kev, "significance_mean": noise.mean,
                "significance_sigma": noise.sigma, "null_sigma": 1.0, "largest_excess": noise.largest,
                "sources_masked": masked}  # fmt: skip

    def position(self, place: tuple[float, float]) -> tuple[float, float]:
        sky = self.images[0].position_of(*place)
        return float(sky.ra.deg), float(sky.dec.deg)

    def _places(self, ra: Sequence[float], dec: Sequence[float]) -> list[tuple[float, float]]:
        columns, rows = self.images[0].pixel_of(SkyCoord(ra, dec, unit="deg", frame="fk5"))
        return [(float(column), float(row)) for column, row in zip(columns, rows, strict=True)]

    def _arcmin_per_pixel(self, column: float, row: float) -> float:
        """Root of the sky area of a pixel."""
        corners = [self.position((column + dx, row + dy)) for dx, dy in ((-0.5, 0), (0.5, 0), (0, -0.5), (0, 0.5))]
        across = separation_deg(*corners[0], *corners[1])
        return float(np.sqrt(across * separation_deg(*corners[2], *corners[3]))) * 60

    def _observed(self, place: tuple[float, float]) -> bool:
        return any(np.isfinite(self._height(one, place)) for one in self.maps)

    def _height(self, one: SearchedMap, place: tuple[float, float]) -> float:
        """Largest significance of the 3 x 3 pixels around a place; minus infinity where nothing was observed."""
        if not np.isfinite(place).all():
            return float("-inf")
        i, j = round(place[1]), round(place[0])
        part = np.s_[max(0, i - 1) : max(0, i + 2), max(0, j - 1) : max(0, j + 2)]
        seen = (one.variance[part] > 0) & np.isfinite(one.flux[part])
        if not seen.any():
            return float("-inf")
        return float((one.flux[part][seen] / np.sqrt(one.variance[part][seen])).max())
