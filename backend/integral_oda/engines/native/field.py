"""CAT_I and EFFI: the catalogue sources of a window's field, and the efficiency of its pixels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from integral_oda.arrays import Array
from integral_oda.catalog.reference import CatalogSource, reference_catalogue, sources_near
from integral_oda.engines.native.events import DeadTime, GoodTime, SelectedEvents
from integral_oda.engines.storage import load_record, save_record
from integral_oda.errors import DataError
from integral_oda.imaging.efficiency import (
    CHANNELS,
    SPECTRUM_EDGES,
    STEP_KEV,
    PixelSpectra,
    Thresholds,
    fit_thresholds,
    measure_pliancy,
    threshold_sigma_kev,
)
from integral_oda.imaging.search import FieldModel, find_new_sources
from integral_oda.imaging.shadowgram import Shadowgram, build_shadowgram
from integral_oda.imaging.sky import least_significance
from integral_oda.imaging.structure import Covariance, StructureWidths
from integral_oda.instrument.attitude import Attitude, separation_deg
from integral_oda.instrument.detector import DETECTOR_SHAPE, N_MODULES, OPEN_PIXELS, active_pixels, module_map
from integral_oda.instrument.energy import EnergyBand
from integral_oda.instrument.pif import pixel_illumination

__all__ = [
    "CatI",
    "DetectorEfficiency",
    "Effi",
    "FieldSources",
    "channel_counts",
    "live_time_map",
    "not_noisy_below",
    "quiet_pixels",
]


FIELD_RADIUS_DEG = 21.0
LEAST_LIT_PIXELS = 15.0
CLOSEST_PAIR_ARCMIN = 6.0
HIGHEST_THRESHOLD_WIDTHS = 1.6
_PROBE_BAND = EnergyBand(28.0, 100.0)
_FEWEST_PIXELS = 500
UNKNOWN_SIGNIFICANCE = 20.0
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

    @property
    def tangents(self) -> list[tuple[float, float]]:
        """Tangents of each source."""
        return list(zip(self.tangent_y, self.tangent_z, strict=True))


@dataclass(frozen=True)
class DetectorEfficiency:
    """Usable pixels with their fitted low thresholds.

    Attributes
    ----------
    usable : ndarray of bool
        ``(134, 130)``.
    threshold_kev : ndarray
        ``(n_usable,)``.
    background : ndarray
        ``(1970,)`` counts of a fully efficient pixel per 0.5 keV.
    amplitude : ndarray
        ``(n_usable,)`` rate of each pixel relative to the background alone.
    pliancy : ndarray
        ``(233,)``, see `Thresholds`.
    bright : ndarray
        ``(n, 2)`` tangents of bright sources that the catalogue lacks: their light is no background.
    sigma_kev, centre_kev, width_kev : float
        Of the turn-on and of the thresholds' prior.
    """

    usable: NDArray[np.bool_]
    threshold_kev: Array
    background: Array
    amplitude: Array
    pliancy: Array
    bright: Array
    sigma_kev: float
    centre_kev: float
    width_kev: float

    def known_places(self, field: FieldSources) -> list[tuple[float, float]]:
        """Tangents of the catalogue's sources and of the bright ones that it lacks."""
        return [*field.tangents, *((float(ty), float(tz)) for ty, tz in self.bright)]

    @property
    def thresholds(self) -> Thresholds:
        """As the imaging functions take them."""
        return Thresholds(
            energy_kev=np.asarray(self.threshold_kev),
            sigma_kev=self.sigma_kev,
            centre_kev=self.centre_kev,
            width_kev=self.width_kev,
            background=np.asarray(self.background),
            amplitude=np.asarray(self.amplitude),
            pliancy=np.asarray(self.pliancy),
        )


class CatI:
    """Extract the catalogue sources of the field, and those asked for."""

    def compute(self, inputs: Sequence[Any], parameters: Mapping[str, Any], raw: Mapping[str, Path]) -> FieldSources:
        """Sources whose PIF lights at least `LEAST_LIT_PIXELS` pixels; of a close pair the brighter one."""
        (events,) = inputs
        attitude = Attitude.from_keywords(events.header)
        extra = [CatalogSource(name, ra, dec) for name, ra, dec in parameters.get("extra", [])]
        ra, dec = attitude.axis()
        near = sources_near(ra, dec, FIELD_RADIUS_DEG, [*extra, *reference_catalogue()])
        ordered = sorted(near, key=lambda s: (s not in extra, -np.nan_to_num(s.flux_20_40_mcrab), s.name))
        kept: list[CatalogSource] = []
        for source in ordered:
            if not _crowds(source, kept) and _lights(source, attitude):
                kept.append(source)
        tangents = [attitude.tangents(s.ra_deg, s.dec_deg) for s in kept]
        return FieldSources([s.name for s in kept], [s.ra_deg for s in kept], [s.dec_deg for s in kept],
                            [float(t[0]) for t in tangents], [float(t[1]) for t in tangents])  # fmt: skip

    def save(self, value: FieldSources, folder: Path) -> None:
        """Write the list."""
        save_record(value, folder)

    def load(self, folder: Path) -> FieldSources:
        """Read the list."""
        return load_record(FieldSources, folder)


def _crowds(source: CatalogSource, kept: Sequence[CatalogSource]) -> bool:
    return any(
        separation_deg(source.ra_deg, source.dec_deg, k.ra_deg, k.dec_deg) * 60 < CLOSEST_PAIR_ARCMIN for k in kept
    )


def _lights(source: CatalogSource, attitude: Attitude) -> bool:
    ty, tz = (float(t) for t in attitude.tangents(source.ra_deg, source.dec_deg))
    return bool(np.isfinite(ty)) and float(pixel_illumination(ty, tz).sum()) >= LEAST_LIT_PIXELS


def live_time_map(good: GoodTime, dead: DeadTime) -> Array:
    """Live time of each pixel, ``(134, 130)`` s."""
    live = good.ontime_s * (1 - np.asarray(dead.dead_fraction)) * np.asarray(dead.on_fraction)
    return np.where(active_pixels(), live[np.clip(module_map(), 0, None)], 0.0)


class Effi:
    """Find noisy pixels and fit the low threshold of every other one."""

    def compute(
        self, inputs: Sequence[Any], parameters: Mapping[str, Any], raw: Mapping[str, Path]
    ) -> DetectorEfficiency:
        """Fit from the events; where bright sources light pixels, once more with their rates."""
        events, good, dead, field = inputs
        channels = channel_counts(events, good)
        sigma = threshold_sigma_kev(events.revolution)
        usable = quiet_pixels(channels, np.asarray(events.good_pixels))
        fitted = fit_thresholds(_spectra(channels, usable), sigma)
        usable = usable & not_noisy_below(channels, usable, fitted)
        fitted = fit_thresholds(_spectra(channels, usable), sigma, start=fitted)
        usable = _without_high_thresholds(usable, fitted)
        if usable.sum() < _FEWEST_PIXELS:
            raise DataError(f"science window {events.header.get('SWID', '')}: only {usable.sum()} usable pixels")
        spectra = _spectra(channels, usable)
        fitted = fit_thresholds(spectra, sigma, start=fitted)
        live = live_time_map(good, dead)
        probe = _probe(channels, usable, fitted, live)
        bright = _bright_unknown(probe, field)
        amplitude = _bright_amplitude(probe, live, [*field.tangents, *bright])
        if amplitude is not None:
            fitted = fit_thresholds(spectra, sigma, amplitude, start=fitted)
        fitted = measure_pliancy(fitted, spectra.counts)
        return DetectorEfficiency(
            usable=usable,
            threshold_kev=fitted.energy_kev,
            background=fitted.background,
            amplitude=fitted.amplitude,
            pliancy=np.asarray(fitted.pliancy),
            bright=np.array(bright).reshape(-1, 2),
            sigma_kev=fitted.sigma_kev,
            centre_kev=fitted.centre_kev,
            width_kev=fitted.width_kev,
        )

    def save(self, value: DetectorEfficiency, folder: Path) -> None:
        """Write the maps."""
        save_record(value, folder)

    def load(self, folder: Path) -> DetectorEfficiency:
        """Read the maps."""
        return load_record(DetectorEfficiency, folder)


def channel_counts(events: SelectedEvents, good: GoodTime) -> tuple[Array, NDArray[np.int32]]:
    """Counts of each pixel in the bins of `SPECTRUM_EDGES` and above, and channel and pixel of every event."""
    energy = np.asarray(events.energy_kev)
    kept = good.inside(np.asarray(events.time_ijd))
    kept &= (energy >= CHANNELS[0]) & (energy < CHANNELS[-1] + STEP_KEV)
    chosen = np.flatnonzero(kept)
    channel = ((energy[chosen] - CHANNELS[0]) / STEP_KEV).astype(np.int32)
    bins = np.searchsorted(SPECTRUM_EDGES, CHANNELS, side="right")
    size = DETECTOR_SHAPE[0] * DETECTOR_SHAPE[1]
    pixel = np.asarray(events.pixel)[chosen].astype(np.int32)
    n_bins = len(SPECTRUM_EDGES) + 1
    cube = np.bincount(pixel * n_bins + bins[channel], minlength=size * n_bins).reshape(size, n_bins)
    return cube.astype(float), np.stack([pixel, channel])


def _spectra(channels: tuple[Array, NDArray[np.int32]], usable: NDArray[np.bool_]) -> PixelSpectra:
    cube, (pixel, channel) = channels
    total = np.bincount(channel, usable.ravel().astype(float)[pixel], len(CHANNELS))
    return PixelSpectra(cube[usable.ravel(), 1:-1], total)


def quiet_pixels(channels: tuple[Array, NDArray[np.int32]], good: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Pixels whose counts above 16 keV are between half and two and a half times their module's median."""
    counts = channels[0][:, 1:].sum(axis=1).reshape(DETECTOR_SHAPE)
    quiet = np.zeros(DETECTOR_SHAPE, dtype=bool)
    for module in range(N_MODULES):
        member = (module_map() == module) & good
        if not member.any():
            continue
        median = max(float(np.median(counts[member])), 1.0)
        spread = 6 * np.sqrt(median)
        quiet |= member & (counts > 0.5 * median - spread / 2) & (counts < 2.5 * median + spread)
    return quiet


def not_noisy_below(
    channels: tuple[Array, NDArray[np.int32]], usable: NDArray[np.bool_], fitted: Thresholds
) -> NDArray[np.bool_]:
    """Pixels without an excess of counts below the energy where the detector switches on."""
    edges = np.append(SPECTRUM_EDGES, np.inf)
    below = edges[1:] <= fitted.centre_kev - 0.5 * fitted.sigma_kev
    counts = channels[0][:, 1:][:, below].sum(axis=1).reshape(DETECTOR_SHAPE)
    if not below.any():
        return usable
    median = max(float(np.median(counts[usable])), 1.0)
    return counts <= median + 8 * np.sqrt(median)


def _without_high_thresholds(usable: NDArray[np.bool_], fitted: Thresholds) -> NDArray[np.bool_]:
    """Pixels whose threshold is not far above the others': such pixels answer unlike any model at all energies."""
    kept = usable.copy()
    kept[usable] = fitted.energy_kev < fitted.centre_kev + HIGHEST_THRESHOLD_WIDTHS * fitted.width_kev
    return kept


def _probe(
    channels: tuple[Array, NDArray[np.int32]], usable: NDArray[np.bool_], fitted: Thresholds, live: Array
) -> Shadowgram:
    """Shadowgram of a broad band that bright sources are found in."""
    lower = np.searchsorted(SPECTRUM_EDGES, _PROBE_BAND.e1_kev, side="right")
    counts = channels[0][:, lower:-1].sum(axis=1).reshape(DETECTOR_SHAPE)
    return build_shadowgram(counts, usable, fitted, _PROBE_BAND, live)


def _bright_unknown(probe: Shadowgram, field: FieldSources) -> list[tuple[float, float]]:
    """Tangents of bright sources that the catalogue lacks.

    The thresholds' fit answers to faint sources alone as it is expected to; of one of 0.4 Crab it would make 8 %.
    """
    model = FieldModel(Covariance(probe, StructureWidths()), float(np.sqrt(_PROBE_BAND.e1_kev * _PROBE_BAND.e2_kev)))
    residual = model.residual(field.tangents)
    if least_significance(model.covariance, residual).max() < _PEAK_SHARE * UNKNOWN_SIGNIFICANCE:
        return []
    return [source.tangents for source in find_new_sources(model, field.tangents, UNKNOWN_SIGNIFICANCE).sources]


def _bright_amplitude(probe: Shadowgram, live: Array, places: Sequence[tuple[float, float]]) -> Array | None:
    """Rate of each pixel relative to its background where significant sources light it; None where there are none."""
    if not places:
        return None
    pifs = np.stack([pixel_illumination(*place)[probe.usable] for place in places], axis=1)
    design = pifs * probe.flat(probe.source_response)[:, None]
    fluxes, covariance = Covariance(probe, StructureWidths()).fit(probe.excess, design)
    bright = fluxes > 10 * np.sqrt(np.diag(covariance))
    registered = probe.flat(probe.efficiency * live)[:, None] / OPEN_PIXELS * pifs
    relative = (registered[:, bright] @ fluxes[bright]) / np.maximum(probe.flat(probe.expected), 1e-9)
    return 1 + np.clip(relative, 0.0, None) if bright.any() else None
