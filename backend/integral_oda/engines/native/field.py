"""CAT_I and EFFI: the catalogue sources of a window's field, and the efficiency of its pixels."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from integral_oda.arrays import Array
from integral_oda.catalog.reference import SAME_PLACE_ARCMIN, CatalogSource, reference_catalogue, sources_near
from integral_oda.engines.native.events import DeadTime, GoodTime, SelectedEvents
from integral_oda.engines.storage import load_record, save_record
from integral_oda.errors import DataError
from integral_oda.imaging.bright import fit_roughly
from integral_oda.imaging.efficiency import measure_pliancy
from integral_oda.imaging.search import FieldModel, find_new_sources
from integral_oda.imaging.shadowgram import Shadowgram, build_shadowgram
from integral_oda.imaging.sky import least_significance
from integral_oda.imaging.structure import Covariance, StructureWidths
from integral_oda.imaging.thresholds import (
    CHANNELS,
    SPECTRUM_EDGES,
    STEP_KEV,
    PixelSpectra,
    Thresholds,
    fit_thresholds,
    threshold_sigma_kev,
)
from integral_oda.imaging.traits import free_of_sources
from integral_oda.instrument.attitude import Attitude, separation_deg
from integral_oda.instrument.detector import DETECTOR_SHAPE, active_pixels, module_map
from integral_oda.instrument.energy import EnergyBand
from integral_oda.instrument.pif import pixel_illumination

__all__ = [
    "CatI",
    "DetectorEfficiency",
    "Effi",
    "FieldSources",
    "lit_sources",
    "live_time_map",
    "traits_of",
    "unlisted_places",
    "with_asked",
]


FIELD_RADIUS_DEG = 21.0
LEAST_LIT_PIXELS = 15.0
HIGHEST_THRESHOLD_WIDTHS = 1.6
_PROBE_BAND = EnergyBand(28.0, 100.0)
_FEWEST_PIXELS = 500
UNKNOWN_SIGNIFICANCE = 20.0
BRIGHT_SIGNIFICANCE = 10.0
"""Of sources at least this significant the spectrum is fitted beside the thresholds."""
_HARD_KEV = 50.0
"""No pixel that is used turns on above."""
_PEAK_SHARE = 0.6
"""A source between pixel centres shows at least this share of its significance in a pixel of a hasty map."""


@dataclass(frozen=True)
class FieldSources:
    """Catalogue sources that light the detector; lists in one order, brightest first.

    Attributes
    ----------
    names : list of str
    ra_deg, dec_deg, tangent_y, tangent_z : list of float
        Positions (FK5, degrees) and tangents in the ISGRI frame.
    """

    names: list[str]
    ra_deg: list[float]
    dec_deg: list[float]
    tangent_y: list[float]
    tangent_z: list[float]

    def chosen(self, index: Sequence[int]) -> FieldSources:
        """Some of the sources."""

        def some(values: list[Any]) -> list[Any]:
            return [values[k] for k in index]

        places = (self.ra_deg, self.dec_deg, self.tangent_y, self.tangent_z)
        return FieldSources(some(self.names), *map(some, places))

    @property
    def tangents(self) -> list[tuple[float, float]]:
        """Tangents of each source."""
        return list(zip(self.tangent_y, self.tangent_z, strict=True))


@dataclass(frozen=True)
class DetectorEfficiency:
    """Usable pixels with their fitted low thresholds.

    Attributes
    ----------
    usable, quiet : ndarray of bool
        ``(134, 130)``: pixels that are used, and those that are not noisy.
    threshold_kev : ndarray
        ``(n_usable,)``.
    background : ndarray
        ``(1970,)`` counts of a fully efficient pixel per 0.5 keV.
    light, glow, places : ndarray
        ``(n_usable, n_bright)``, ``(n_bright, 1970)`` and ``(n_bright, 2)``: bright sources, see `Thresholds`.
    pliancy : ndarray
        ``(233,)``, see `Thresholds`.
    bright : ndarray
        ``(n, 2)`` tangents of bright sources that the catalogue lacks: their light is no background.
    sigma_kev, tail, centre_kev, width_kev : float
        Of the turn-on and of the thresholds' prior.
    offset_kev : ndarray
        ``(n_usable,)`` of that prior, see `Thresholds`; empty where no context tells of the thresholds.
    stretch : float
        Of the context's differences, see `Thresholds`.
    """

    usable: NDArray[np.bool_]
    quiet: NDArray[np.bool_]
    threshold_kev: Array
    background: Array
    light: Array
    glow: Array
    places: Array
    pliancy: Array
    bright: Array
    sigma_kev: float
    tail: float
    centre_kev: float
    width_kev: float
    offset_kev: Array = field(default_factory=lambda: np.zeros(0))
    stretch: float = 1.0

    def known_places(self, field: FieldSources) -> list[tuple[float, float]]:
        """Tangents of the catalogue's sources and of the bright ones that it lacks."""
        return [*field.tangents, *((float(ty), float(tz)) for ty, tz in self.bright)]

    @property
    def thresholds(self) -> Thresholds:
        """As the imaging functions take them."""
        return Thresholds(
            energy_kev=np.asarray(self.threshold_kev),
            sigma_kev=self.sigma_kev,
            tail=self.tail,
            centre_kev=self.centre_kev,
            width_kev=self.width_kev,
            background=np.asarray(self.background),
            light=np.asarray(self.light),
            glow=np.asarray(self.glow),
            places=np.asarray(self.places),
            pliancy=np.asarray(self.pliancy),
            offset_kev=np.asarray(self.offset_kev),
            stretch=self.stretch,
        )


def traits_of(events: SelectedEvents, efficiency: DetectorEfficiency) -> Array:
    """Traits of the pixels, ``(n_traits, 134, 130)``, free of the sources that the thresholds were fitted with."""
    pifs = [pixel_illumination(float(ty), float(tz)) for ty, tz in efficiency.places]
    return free_of_sources(np.asarray(events.traits), np.array(pifs), np.asarray(efficiency.usable))


class CatI:
    """Extract the catalogue sources of the field, and those asked for."""

    def compute(self, inputs: Sequence[Any], parameters: Mapping[str, Any], raw: Mapping[str, Path]) -> FieldSources:
        """Sources whose PIF lights at least `LEAST_LIT_PIXELS` pixels; of a close pair the brighter one."""
        (events,) = inputs
        attitude = Attitude.from_keywords(events.header)
        extra = [CatalogSource(name, ra, dec) for name, ra, dec in parameters.get("extra", [])]
        ra, dec = attitude.axis()
        known = () if parameters.get("only") else reference_catalogue()
        near = sources_near(ra, dec, FIELD_RADIUS_DEG, [*extra, *known])
        return lit_sources(near, [source.name for source in extra], attitude)

    def save(self, value: FieldSources, folder: Path) -> None:
        """Write the list."""
        save_record(value, folder)

    def load(self, folder: Path) -> FieldSources:
        """Read the list."""
        return load_record(FieldSources, folder)


def lit_sources(sources: Sequence[CatalogSource], first: Sequence[str], attitude: Attitude) -> FieldSources:
    """Those of some sources that light the detector, some names first, then by their brightness.

    Of a pair closer than `SAME_PLACE_ARCMIN` the latter is left out.
    """
    ordered = sorted(sources, key=lambda s: (s.name not in first, -np.nan_to_num(s.flux_20_40_mcrab), s.name))
    kept: list[CatalogSource] = []
    for source in ordered:
        if not _crowds(source, kept) and _lights(source, attitude):
            kept.append(source)
    tangents = [attitude.tangents(s.ra_deg, s.dec_deg) for s in kept]
    return FieldSources([s.name for s in kept], [s.ra_deg for s in kept], [s.dec_deg for s in kept],
                        [float(t[0]) for t in tangents], [float(t[1]) for t in tangents])  # fmt: skip


def with_asked(field: FieldSources, asked: Sequence[Any] | None, attitude: Attitude) -> FieldSources:
    """Sources of the field and the one asked for, in place of any that is too close to it to be told apart.

    Parameters
    ----------
    field : FieldSources
    asked : sequence or None
        Name, RA, Dec (degrees).
    attitude : Attitude
    """
    if asked is None or asked[0] in field.names:
        return field
    name, ra, dec = asked
    away = separation_deg(np.asarray(field.ra_deg, dtype=float), np.asarray(field.dec_deg, dtype=float), ra, dec) * 60
    kept = field.chosen([k for k, apart in enumerate(away) if apart >= SAME_PLACE_ARCMIN])
    ty, tz = (float(t) for t in attitude.tangents(ra, dec))
    return FieldSources(
        [*kept.names, name], [*kept.ra_deg, ra], [*kept.dec_deg, dec], [*kept.tangent_y, ty], [*kept.tangent_z, tz]
    )


def unlisted_places(places: Array, field: FieldSources) -> list[tuple[float, float]]:
    """Those of some tangents ``(n, 2)`` at which the field has no source: of bright sources that no catalogue lists."""
    bright, known = (np.asarray(values, dtype=float).reshape(-1, 2) for values in (places, field.tangents))
    apart = np.rad2deg(np.hypot(*np.moveaxis(bright[:, None] - known, -1, 0))) * 60
    return [(float(ty), float(tz)) for ty, tz in bright[(apart >= SAME_PLACE_ARCMIN).all(axis=1)]]


def _crowds(source: CatalogSource, kept: Sequence[CatalogSource]) -> bool:
    ra, dec = np.array([(k.ra_deg, k.dec_deg) for k in kept]).reshape(-1, 2).T
    return bool((separation_deg(source.ra_deg, source.dec_deg, ra, dec) * 60 < SAME_PLACE_ARCMIN).any())


def _lights(source: CatalogSource, attitude: Attitude) -> bool:
    ty, tz = (float(t) for t in attitude.tangents(source.ra_deg, source.dec_deg))
    return bool(np.isfinite(ty)) and float(pixel_illumination(ty, tz).sum()) >= LEAST_LIT_PIXELS


def live_time_map(good: GoodTime, dead: DeadTime) -> Array:
    """Live time of each pixel, ``(134, 130)`` s."""
    live = good.ontime_s * (1 - np.asarray(dead.dead_fraction)) * np.asarray(dead.on_fraction)
    return np.where(active_pixels(), live[np.clip(module_map(), 0, None)], 0.0)


class Effi:
    """Find noisy pixels and fit the low threshold of every other one, about the context's where there is one."""

    def compute(
        self, inputs: Sequence[Any], parameters: Mapping[str, Any], raw: Mapping[str, Path]
    ) -> DetectorEfficiency:
        """Fit from the events; where the catalogue lacks bright sources, once more with them."""
        events, good, dead, field = inputs
        pixels = _Pixels(events, good, dead)
        usable, quiet, fitted = pixels.fit(field.tangents)
        bright = _bright_unknown(pixels.probe(usable, fitted), field)
        if bright:
            usable, quiet, fitted = pixels.fit([*field.tangents, *bright])
        fitted = measure_pliancy(fitted, pixels.counts(usable))
        return DetectorEfficiency(
            usable=usable,
            quiet=quiet,
            threshold_kev=fitted.energy_kev,
            background=fitted.background,
            light=fitted.light,
            glow=fitted.glow,
            places=fitted.places,
            pliancy=np.asarray(fitted.pliancy),
            bright=np.array(bright).reshape(-1, 2),
            sigma_kev=fitted.sigma_kev,
            tail=fitted.tail,
            centre_kev=fitted.centre_kev,
            width_kev=fitted.width_kev,
            offset_kev=fitted.offset_kev,
            stretch=fitted.stretch,
        )

    def save(self, value: DetectorEfficiency, folder: Path) -> None:
        """Write the maps."""
        save_record(value, folder)

    def load(self, folder: Path) -> DetectorEfficiency:
        """Read the maps."""
        return load_record(DetectorEfficiency, folder)


class _Pixels:
    """Spectra of the pixels in good time, and what they tell of noise, thresholds and bright sources."""

    def __init__(self, events: SelectedEvents, good: GoodTime, dead: DeadTime) -> None:
        self._scw = str(events.header.get("SWID", ""))
        self._sigma = threshold_sigma_kev(events.revolution)
        self._good = np.asarray(events.good_pixels)
        self._offset = _context_offset(np.asarray(events.context_threshold_kev), self._good)
        self._live = live_time_map(good, dead)
        # Channels from 1 on; 0, and the one behind the last, are of events that do not count
        channel = np.clip((np.asarray(events.energy_kev) - float(CHANNELS[0])) / STEP_KEV + 1, 0, len(CHANNELS) + 1)
        self._channel = channel.astype(np.int32) * good.inside(np.asarray(events.time_ijd))
        self._pixel = np.asarray(events.pixel).astype(np.int32)
        n_bins, shape = len(SPECTRUM_EDGES) + 1, (*DETECTOR_SHAPE, len(SPECTRUM_EDGES) + 2)
        bins = np.pad(np.searchsorted(SPECTRUM_EDGES, CHANNELS, side="right"), 1, constant_values=n_bins)
        place = self._pixel * np.int32(shape[2]) + bins.astype(np.int32)[self._channel]
        cube = np.bincount(place, minlength=math.prod(shape)).reshape(shape)
        self._cube = cube[:, :, :n_bins].astype(float)

    def fit(self, places: Sequence[tuple[float, float]]) -> tuple[NDArray[np.bool_], NDArray[np.bool_], Thresholds]:
        """Usable and quiet pixels, and their thresholds beside the bright ones of some sources."""
        bright, expected = self._bright(places)
        quiet = self._quiet(expected)
        fitted = self._thresholds(quiet, bright, None)
        usable = np.zeros(DETECTOR_SHAPE, dtype=bool)
        usable[quiet] = fitted.energy_kev < fitted.mean_kev + HIGHEST_THRESHOLD_WIDTHS * fitted.spread_kev
        quiet = self._not_noisy_below(quiet, fitted)
        usable &= quiet
        if usable.sum() < _FEWEST_PIXELS:
            raise DataError(f"science window {self._scw}: only {usable.sum()} usable pixels")
        return usable, quiet, self._thresholds(usable, bright, fitted)

    def spectra(self, usable: NDArray[np.bool_]) -> PixelSpectra:
        """Spectra of some pixels."""
        number = self._channel * usable.ravel()[self._pixel]  # 0 for those of other pixels
        total = np.bincount(number, minlength=len(CHANNELS) + 2)[1:-1].astype(float)
        return PixelSpectra(self.counts(usable), total)

    def counts(self, usable: NDArray[np.bool_]) -> Array:
        """Counts of some pixels in the bins of `SPECTRUM_EDGES`, ``(n_usable, 25)``."""
        counts: Array = self._cube[usable][:, 1:-1]
        return counts

    def probe(self, usable: NDArray[np.bool_], fitted: Thresholds) -> Shadowgram:
        """Shadowgram of a broad band that bright sources are found in."""
        lower = np.searchsorted(SPECTRUM_EDGES, _PROBE_BAND.e1_kev, side="right")
        return build_shadowgram(self._cube[:, :, lower:-1].sum(axis=2), usable, fitted, _PROBE_BAND, self._live)

    def _light(self, places: Sequence[tuple[float, float]], pixels: NDArray[np.bool_]) -> Array:
        """Illumination by some sources times live time over its mean, ``(n_pixels, n_places)``."""
        share = self._live[pixels] / max(float(self._live[pixels].mean()), 1e-9)
        columns = [pixel_illumination(*place)[pixels] * share for place in places]
        return np.stack(columns, axis=1) if columns else np.zeros((int(pixels.sum()), 0))

    def _bright(self, places: Sequence[tuple[float, float]]) -> tuple[list[tuple[float, float]], Array]:
        """Those of some sources that are bright, and the counts above 16 keV that are expected with them."""
        module, all_light = module_map()[self._good], self._light(places, self._good)
        hard = self._cube[self._good][:, np.searchsorted(SPECTRUM_EDGES, _HARD_KEV) + 1 : -1].sum(axis=1)
        counts = self._cube[self._good][:, 1:].sum(axis=1)
        significance = [fit_roughly(values, module, all_light).significance for values in (hard, counts)]
        kept = np.max(significance, axis=0) > BRIGHT_SIGNIFICANCE
        expected = np.zeros(DETECTOR_SHAPE)
        expected[self._good] = fit_roughly(counts, module, all_light[:, kept]).expected
        return [place for place, keep in zip(places, kept, strict=True) if keep], expected

    def _quiet(self, expected: Array) -> NDArray[np.bool_]:
        """Pixels whose counts above 16 keV are between half and two and a half times those expected."""
        counts = self._cube[:, :, 1:].sum(axis=2)
        spread = 6 * np.sqrt(expected)
        quiet: NDArray[np.bool_] = self._good & (counts > 0.5 * expected - spread / 2)
        return quiet & (counts < 2.5 * expected + spread)

    def _not_noisy_below(self, usable: NDArray[np.bool_], fitted: Thresholds) -> NDArray[np.bool_]:
        """Pixels without an excess of counts below the energy where the detector switches on."""
        edges = np.append(SPECTRUM_EDGES, np.inf)
        below = edges[1:] <= fitted.mean_kev - 0.5 * fitted.sigma_kev
        if not below.any():
            return usable
        quiet = usable.copy()
        counts, light = self._cube[usable][:, 1:][:, below].sum(axis=1), fitted.amplitude()[:, below[:-1]].mean(axis=1)
        expected = max(float(np.median(counts / light)), 1.0) * light
        quiet[usable] = counts <= expected + 8 * np.sqrt(expected)
        return quiet

    def _thresholds(
        self, usable: NDArray[np.bool_], bright: Sequence[tuple[float, float]], start: Thresholds | None
    ) -> Thresholds:
        offset = None if self._offset is None else self._offset[usable]
        fitted = fit_thresholds(self.spectra(usable), self._sigma, self._light(bright, usable), start, offset)
        return replace(fitted, places=np.array(bright).reshape(-1, 2))


def _context_offset(threshold_kev: Array, good: NDArray[np.bool_]) -> Array | None:
    """How far the context has the threshold of each pixel from the mean of the good ones, ``(134, 130)`` keV.

    None where it tells nothing: there is none, or all its thresholds are equal.
    """
    known = good & (threshold_kev > 0)
    if not known.any() or np.ptp(threshold_kev[known]) == 0:
        return None
    return np.where(known, threshold_kev - threshold_kev[known].mean(), 0.0)


def _bright_unknown(probe: Shadowgram, field: FieldSources) -> list[tuple[float, float]]:
    """Tangents of bright sources that the catalogue lacks.

    The thresholds' fit answers to faint sources alone as it is expected to; of one of 0.4 Crab it would make 8 %.
    """
    model = FieldModel(Covariance(probe, StructureWidths()), float(np.sqrt(_PROBE_BAND.e1_kev * _PROBE_BAND.e2_kev)))
    residual = model.residual(field.tangents)
    if least_significance(model.covariance, residual).max() < _PEAK_SHARE * UNKNOWN_SIGNIFICANCE:
        return []
    return [source.tangents for source in find_new_sources(model, field.tangents, UNKNOWN_SIGNIFICANCE).sources]
