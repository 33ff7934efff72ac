"""Images, spectra and light curves by the native functions from shadowgrams, maps and PIFs of OSA."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from integral_oda.arrays import Array
from integral_oda.engines.native.field import live_time_map
from integral_oda.engines.native.image import (
    BinI,
    Ima,
    WindowImage,
    band_energy_kev,
    window_image,
    with_ic_files,
    with_known_sources,
)
from integral_oda.engines.native.spectra import (
    Spe,
    WindowSpectra,
    extracted_edges_kev,
    field_structure,
    fit_structured,
    spectrum_keywords,
    window_spectra,
)
from integral_oda.engines.native.timing import BinnedCounts, Lcr, Window, fit_counts, through_support
from integral_oda.engines.native.window_fit import WindowFit
from integral_oda.engines.osa.planes import SAME_EDGE_KEV, TimedPlane, off_axis_maps, read_planes
from integral_oda.engines.osa.sources import PIF_FILE
from integral_oda.engines.osa.workspace import OsaFiles
from integral_oda.errors import DataError
from integral_oda.imaging.given_plane import GivenPlane, shadowgram_of_plane, sum_planes
from integral_oda.imaging.null import draw_plain_excesses
from integral_oda.imaging.shadowgram import Shadowgram
from integral_oda.imaging.structure import fit_widths
from integral_oda.instrument.attitude import Attitude
from integral_oda.instrument.detector import N_MODULES, module_map
from integral_oda.instrument.energy import EnergyBand
from integral_oda.products.light_curve import LightCurve
from integral_oda.products.pif import read_pifs
from integral_oda.spectra.given_channels import GivenChannels
from integral_oda.timing.binning import good_time_per_bin
from integral_oda.timing.light_curve import PartialPlane

__all__ = ["ImaOfShadowgrams", "LcrOfPifs", "LcrOfShadowgrams", "LitShadowgram", "ReadShadowgram", "SpeOfShadowgrams"]

_ROUNDING_DAYS = 1e-7


class ReadShadowgram(BinI):
    """Shadowgram of a band from those of ii_shadow_build, or of ii_shadow_ubc and ghost_busters."""

    def compute(self, inputs: Sequence[Any], parameters: Mapping[str, Any], raw: Mapping[str, Path]) -> Shadowgram:
        """Read the band's planes; the noise of the field's bright sources is in the variance."""
        events, good, dead, field, *files = inputs
        band = EnergyBand(*parameters["band"])
        (found,) = _of_band(read_planes(files), band)
        shadowgram = shadowgram_of_plane(found.plane, good.ontime_s, live_time_map(good, dead))
        shadowgram = with_ic_files(replace(shadowgram, traits=np.asarray(events.traits)), raw, band)
        return with_known_sources(shadowgram, field.tangents, band, in_background=True)


def _of_band(planes: Sequence[TimedPlane], band: EnergyBand) -> list[TimedPlane]:
    found = [p for p in planes if np.allclose(p.band, band, atol=SAME_EDGE_KEV, rtol=0)]
    if not found:
        raise DataError(f"{len(planes)} shadowgrams, none of {band} keV")
    return found


class LitShadowgram(BinI):
    """Shadowgram whose sources light the detector by the PIFs of ii_spectra_extract."""

    def compute(self, inputs: Sequence[Any], parameters: Mapping[str, Any], raw: Mapping[str, Path]) -> Shadowgram:
        """Give the PIFs their places; sources without one have the native one."""
        shadowgram, events, files = inputs
        attitude, pifs = Attitude.from_keywords(events.header), read_pifs(files.path(PIF_FILE))
        places = np.array([attitude.tangents(pif.ra_deg, pif.dec_deg) for pif in pifs], dtype=float)
        told = np.isfinite(places).all(axis=1)
        factors = np.stack([np.asarray(pif.factor, dtype=float) for pif in pifs])
        return replace(shadowgram, given_pifs=factors[told], given_tangents=places[told])


class ImaOfShadowgrams(Ima):
    """Cleaned sky image of shadowgrams of OSA, corrected by its off-axis maps."""

    def compute(self, inputs: Sequence[Any], parameters: Mapping[str, Any], raw: Mapping[str, Path]) -> WindowImage:
        """Find, place and fit the sources of all bands together, then image what is left."""
        events, good, dead, *rest = [value for value in inputs if not isinstance(value, OsaFiles)]
        return window_image(events, good, dead, rest, parameters, {**raw, **off_axis_maps(inputs)}, _plain_null)


def _plain_null(
    shadowgram: Shadowgram, _band: EnergyBand, sources: Array, background: Array, rng: np.random.Generator, /
) -> Iterator[Array]:
    return draw_plain_excesses(shadowgram, sources, background, rng)


class SpeOfShadowgrams(Spe):
    """Spectra from the shadowgrams of all channels."""

    def compute(self, inputs: Sequence[Any], parameters: Mapping[str, Any], raw: Mapping[str, Path]) -> WindowSpectra:
        """Fit every channel twice: with the level of its background as it is given, and as the first fit finds it."""
        events, good, dead, field, *files = inputs
        asked, live = parameters.get("source"), live_time_map(good, dead)
        planes = _of_channels(read_planes(files))
        channels = GivenChannels(planes, extracted_edges_kev(), good.ontime_s, live, np.asarray(events.traits))
        first = fit_structured(channels, field_structure(channels, field, events.header, asked))
        channels = channels.with_background(first.background * float(live[channels.usable].mean()))
        structure = field_structure(channels, field, events.header, asked)
        fit, keywords = fit_structured(channels, structure), spectrum_keywords(events, good, dead)
        return window_spectra(structure, fit, asked, keywords, {**raw, **off_axis_maps(files)})


def _of_channels(planes: Sequence[TimedPlane]) -> list[GivenPlane]:
    """Planes of the channels that are extracted."""
    wanted = [EnergyBand(float(a), float(b)) for a, b in pairwise(extracted_edges_kev())]
    found = [p for p in planes if p.band.e1_kev > wanted[0].e1_kev - SAME_EDGE_KEV]
    found = [p for p in found if p.band.e2_kev < wanted[-1].e2_kev + SAME_EDGE_KEV]
    bands = np.array([p.band for p in found]).reshape(-1, 2)
    if len(found) != len(wanted) or not np.allclose(bands, wanted, atol=SAME_EDGE_KEV, rtol=0):
        raise DataError(f"{len(found)} shadowgrams in OSA's channels; {len(wanted)} are needed")
    return [p.plane for p in found]


class LcrOfPifs(Lcr):
    """Light curves of events whose sources have OSA's PIFs, corrected by its off-axis maps."""

    def compute(
        self, inputs: Sequence[Any], parameters: Mapping[str, Any], raw: Mapping[str, Path]
    ) -> list[LightCurve]:
        """Fit the bins as the native step does."""
        own = [value for value in inputs if not isinstance(value, OsaFiles)]
        return super().compute(own, parameters, {**raw, **off_axis_maps(inputs)})


class LcrOfShadowgrams(Lcr):
    """Light curves from the shadowgrams of time bins."""

    def compute(
        self, inputs: Sequence[Any], parameters: Mapping[str, Any], raw: Mapping[str, Path]
    ) -> list[LightCurve]:
        """Fit the mean of the window, then its bins; parameters are ``bands`` (one) and ``source`` (or None)."""
        events, good, dead, field, *files = inputs
        band = EnergyBand(*parameters["bands"][0])
        window, attitude = Window(events, good, dead), Attitude.from_keywords(events.header)
        binned = _TimeBins(_of_band(read_planes(files), band), window)
        shadowgram = replace(binned.mean_shadowgram(), traits=np.asarray(events.traits))
        shadowgram = with_known_sources(shadowgram, field.tangents, band, in_background=True)
        widths = fit_widths(shadowgram, shadowgram.shadows(field.tangents, band_energy_kev(band)))
        fit = WindowFit(shadowgram, widths, field, band, parameters.get("source"), attitude, binned.live_time)
        curves = fit_counts(window, fit, binned.edges_ijd, binned.counts(shadowgram))
        return through_support(curves, {**raw, **off_axis_maps(files)}, attitude)


class _TimeBins:
    """Planes of a band in the time bins of a window, those with good time."""

    def __init__(self, planes: Sequence[TimedPlane], window: Window) -> None:
        times = np.array([(p.start_ijd, p.stop_ijd) for p in planes])
        times = np.where(np.isfinite(times), times, window.span)
        self.edges_ijd = _distinct(times.ravel())
        number = np.searchsorted(self.edges_ijd, times.mean(axis=1)) - 1
        good_s = good_time_per_bin(self.edges_ijd, window.intervals)
        if len(np.unique(number)) < len(number):
            raise DataError(f"{len(planes)} shadowgrams of one band in {len(np.unique(number))} time bins")
        self.good_s = np.where(np.isin(np.arange(len(good_s)), number), good_s, 0.0)
        seen = self.good_s[number] > 0
        if not seen.any():
            raise DataError("no time bin of the shadowgrams lies in the good time")
        self.number, self.planes = number[seen], [p.plane for p, s in zip(planes, seen, strict=True) if s]
        self.live_time = live_time_map(window.good, window.dead)
        self.ontime_s = float(self.good_s.sum())

    def mean_shadowgram(self) -> Shadowgram:
        """Shadowgram of all bins."""
        return shadowgram_of_plane(sum_planes(self.planes, self.good_s[self.number]), self.ontime_s, self.live_time)

    def counts(self, shadowgram: Shadowgram) -> BinnedCounts:
        """Counts of the bins on the pixels that a shadowgram uses, one entry a count."""
        counts = np.stack([shadowgram.flat(plane.counts) for plane in self.planes]).astype(int)
        place, pixel = np.nonzero(counts)
        times = counts[place, pixel]
        live = self._live(shadowgram)
        on, partial = self._on(shadowgram, live)
        mean = live.sum(axis=1) / np.maximum(on.sum(axis=1), 1)
        relative = live / np.maximum(mean, 1e-9)[:, None]
        live_s = np.zeros(len(self.good_s))
        live_s[self.number] = mean
        return BinnedCounts(
            np.repeat(self.number[place], times),
            np.repeat(pixel, times),
            np.repeat(relative[place, pixel], times),
            self.good_s,
            live_s,
            partial,
        )

    def _live(self, shadowgram: Shadowgram) -> Array:
        """Live time of every pixel in every bin by its efficiency there, ``(n_bins, n_usable)`` s."""
        of_window = shadowgram.flat(shadowgram.efficiency)
        seen = np.stack([shadowgram.flat(plane.efficiency) for plane in self.planes])
        return seen * self.good_s[self.number][:, None] / of_window

    def _on(self, shadowgram: Shadowgram, live: Array) -> tuple[NDArray[np.bool_], PartialPlane | None]:
        """Pixels that are on in each bin, and the modules that are, where not all of them always are."""
        on = live > 0
        module = module_map()[shadowgram.usable]
        shares = np.ones((N_MODULES, len(self.good_s)))
        for m in np.unique(module):
            shares[m, self.number] = on[:, module == m].any(axis=1)
        return on, PartialPlane(module, shares) if (shares < 1).any() else None


def _distinct(times_ijd: Array) -> Array:
    """Times in order, those that rounding alone sets apart once."""
    times = np.sort(times_ijd)
    return times[np.append(True, np.diff(times) > _ROUNDING_DAYS)]
