"""BIN_S, BKG_S and SPE: the spectra of all sources of a window over OSA's 256 channels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from integral_oda.arrays import Array
from integral_oda.engines.native.events import DeadTime, GoodTime, SelectedEvents
from integral_oda.engines.native.field import (
    DetectorEfficiency,
    FieldSources,
    live_time_map,
    traits_of,
    unlisted_places,
    with_asked,
)
from integral_oda.engines.native.photometry import support_of
from integral_oda.engines.storage import load_record, save_record
from integral_oda.errors import DataError
from integral_oda.imaging.uniformity import Template
from integral_oda.instrument.attitude import Attitude
from integral_oda.instrument.energy import ENERGY_RANGE_KEV, EnergyBand
from integral_oda.instrument.pif import pixel_illumination
from integral_oda.instrument.response import osa_channel_edges_kev
from integral_oda.spectra.extraction import (
    BandStructure,
    ChannelFit,
    ChannelPlanes,
    DetectorPlane,
    IlluminationTable,
    fit_channels,
    fit_structure,
    no_structure,
    plain_significance,
)
from integral_oda.timing.good_time import DAY_S

__all__ = [
    "BinS",
    "BkgS",
    "DetectorCube",
    "FieldStructure",
    "Spe",
    "WindowSpectra",
    "extracted_edges_kev",
    "field_structure",
    "fit_structured",
    "spectrum_keywords",
    "window_spectra",
]

STRUCTURE_EDGES_KEV = (15.0, 20.0, 28.0, 41.0, 60.5, 99.5, 139.5, 201.0, 502.0, 1000.0)
"""Broad bands in which the structure of the background is fitted."""
FITTED_SIGNIFICANCE = 3.0
"""Catalogue sources at least this significant in one of `PROBED_KEV` are fitted beside the one asked for."""
LEAST_LIT_PIXELS = 1.0
_SAME_STRUCTURE = 0.35
"""Logarithm of the ratio of energies within which the structure of the background is the same but for its size."""
PROBED_KEV = ((28.0, 60.5), (60.5, 201.0))
"""Bands in which it is seen which sources are fitted beside the one asked for."""


def extracted_edges_kev() -> Array:
    """Edges of those of OSA's 256 channels that lie in the engine's energies, keV."""
    edges = osa_channel_edges_kev()
    low, high = ENERGY_RANGE_KEV
    return edges[(edges >= low) & (edges <= high)]


@dataclass(frozen=True)
class DetectorCube:
    """Counts of the usable pixels in the channels of `extracted_edges_kev`, ``(n_pixels, n_channels)``."""

    counts: NDArray[np.unsignedinteger[Any]]


class BinS:
    """Detector cube: counts of every usable pixel in every channel."""

    def compute(self, inputs: Sequence[Any], parameters: Mapping[str, Any], raw: Mapping[str, Path]) -> DetectorCube:
        """Sort the events in good time."""
        events, good, _, efficiency = inputs
        usable = np.asarray(efficiency.usable).ravel()
        number = np.full(len(usable), -1)
        number[usable] = np.arange(int(usable.sum()))
        edges = extracted_edges_kev()
        channel = np.searchsorted(edges, np.asarray(events.energy_kev), side="right") - 1
        pixel = number[np.asarray(events.pixel)]
        kept = (pixel >= 0) & (channel >= 0) & (channel < len(edges) - 1) & good.inside(np.asarray(events.time_ijd))
        n, shape = len(edges) - 1, (int(usable.sum()), len(edges) - 1)
        counts = np.bincount(pixel[kept] * n + channel[kept], minlength=shape[0] * n).reshape(shape)
        return DetectorCube(counts.astype(np.uint8 if counts.max(initial=0) < 256 else np.uint32))

    def save(self, value: DetectorCube, folder: Path) -> None:
        """Write the cube."""
        save_record(value, folder)

    def load(self, folder: Path) -> DetectorCube:
        """Read the cube."""
        return load_record(DetectorCube, folder)


@dataclass(frozen=True)
class FieldStructure:
    """Structure of the background and mean fluxes of the sources that are fitted, band by band.

    Attributes
    ----------
    names : list of str
    ra_deg, dec_deg, tangent_y, tangent_z : list of float
    stops : list of int
        Channel after the last of each band.
    relative : ndarray
        ``(n_bands, n_pixels)``.
    fluxes, shared_variance : ndarray
        ``(n_bands, n_sources)``.
    """

    names: list[str]
    ra_deg: list[float]
    dec_deg: list[float]
    tangent_y: list[float]
    tangent_z: list[float]
    stops: list[int]
    relative: Array
    fluxes: Array
    shared_variance: Array

    @property
    def bands(self) -> list[BandStructure]:
        """As the extraction takes them."""
        starts = [0, *self.stops[:-1]]
        parts = zip(starts, self.stops, self.relative, self.fluxes, self.shared_variance, strict=True)
        return [BandStructure(a, b, np.asarray(r), np.asarray(f), np.asarray(v)) for a, b, r, f, v in parts]


class BkgS:
    """Structure of the background in broad bands, fitted together with the sources."""

    def compute(self, inputs: Sequence[Any], parameters: Mapping[str, Any], raw: Mapping[str, Path]) -> FieldStructure:
        """Fit all sources first; where one is asked for, once more without those that do not show."""
        events, good, dead, efficiency, field, cube, *known = inputs
        plane = _plane(events, good, dead, efficiency, cube)
        return field_structure(plane, field, events.header, parameters.get("source"), known, efficiency.bright)

    def save(self, value: FieldStructure, folder: Path) -> None:
        """Write the maps."""
        save_record(value, folder)

    def load(self, folder: Path) -> FieldStructure:
        """Read the maps."""
        return load_record(FieldStructure, folder)


def _plane(
    events: SelectedEvents, good: GoodTime, dead: DeadTime, efficiency: DetectorEfficiency, cube: DetectorCube
) -> DetectorPlane:
    usable = np.asarray(efficiency.usable)
    live = live_time_map(good, dead)
    counts, traits = np.asarray(cube.counts), traits_of(events, efficiency)
    return DetectorPlane(usable, counts, extracted_edges_kev(), efficiency.thresholds, live, traits)


def field_structure(
    plane: ChannelPlanes,
    field: FieldSources,
    header: Mapping[str, Any],
    asked: Sequence[Any] | None,
    known: Sequence[Template] = (),
    bright: Array | None = None,
) -> FieldStructure:
    """Structure of the background beside the sources of a field that show, and the one asked for.

    Parameters
    ----------
    plane : ChannelPlanes
    field : FieldSources
    header : mapping
        Of the window.
    asked : sequence or None
        Name, RA, Dec (degrees) of the one source wanted; every one of the field if None.
    known : sequence of Template
        Structure that other windows show.
    bright : ndarray, optional
        ``(n, 2)`` tangents of bright sources that no catalogue lists; they are fitted without a name.

    Raises
    ------
    DataError
        If the source asked for does not light the detector, or none does.
    """
    field = with_asked(field, asked, Attitude.from_keywords(header))
    field = field.chosen([k for k, place in enumerate(field.tangents) if _lights(place, plane.usable)])
    if asked is not None and asked[0] not in field.names:
        raise DataError(f"{asked[0]} does not light the detector in this science window")
    if not field.names:
        raise DataError(f"science window {header.get('SWID', '')}: no source lights the detector")
    field = _with_nameless(field, [] if bright is None else unlisted_places(bright, field))
    if asked is not None:
        pairs = enumerate(zip(field.names, _significances(plane, field), strict=True))
        field = field.chosen([k for k, (name, s) in pairs if name == asked[0] or s >= FITTED_SIGNIFICANCE])
    return _fitted(plane, field, known)


def _with_nameless(field: FieldSources, places: Sequence[tuple[float, float]]) -> FieldSources:
    """Field with further sources that have places in the detector's frame alone."""
    unknown = [float("nan")] * len(places)
    return FieldSources(
        [*field.names, *[""] * len(places)],
        [*field.ra_deg, *unknown],
        [*field.dec_deg, *unknown],
        [*field.tangent_y, *(ty for ty, _ in places)],
        [*field.tangent_z, *(tz for _, tz in places)],
    )


def _lights(tangents: tuple[float, float], usable: NDArray[np.bool_]) -> bool:
    return bool(np.isfinite(tangents[0])) and float(pixel_illumination(*tangents)[usable].sum()) > LEAST_LIT_PIXELS


def _illumination(tangents: Sequence[tuple[float, float]], usable: NDArray[np.bool_]) -> IlluminationTable:
    return IlluminationTable(
        lambda energy: np.stack([pixel_illumination(*t, energy_kev=energy)[usable] for t in tangents], axis=1), tangents
    )


def _cuts(edges_kev: Array) -> list[int]:
    """Channels at which the bands of the structure begin and end."""
    cuts = [int(c) for c in np.searchsorted(edges_kev, STRUCTURE_EDGES_KEV)]
    return [*cuts[:-1], len(edges_kev) - 1]


def _significances(plane: ChannelPlanes, field: FieldSources) -> Array:
    """Highest significance of each source in the bands probed, the structure left aside; ``(n_sources,)``."""
    table = _illumination(field.tangents, plane.usable)
    bands = [slice(*np.searchsorted(plane.edges_kev, band).tolist()) for band in PROBED_KEV]
    return np.max([plain_significance(plane, band, table) for band in bands], axis=0)


def _nearest(known: Sequence[Template], band: EnergyBand) -> Template | None:
    """Known structure of the band, or of one whose energies are not far from it."""

    def apart(template: Template) -> float:
        return float(abs(np.log(template.e1_kev * template.e2_kev / (band.e1_kev * band.e2_kev))) / 2)

    nearest = min(known, key=apart, default=None)
    return nearest if nearest is not None and apart(nearest) < _SAME_STRUCTURE else None


def _fitted(plane: ChannelPlanes, field: FieldSources, known: Sequence[Template]) -> FieldStructure:
    """Structure of all bands, with what is known of it; none where no channel of the band is extracted."""
    table = _illumination(field.tangents, plane.usable)
    lowest = plane.lowest_kev()
    cuts = _cuts(plane.edges_kev)
    bands = []
    for a, b in pairwise(cuts):
        channels = slice(a, b)
        if plane.edges_kev[b] > lowest:
            bands.append(fit_structure(plane, channels, table, _nearest(known, plane.band(channels))))
        else:
            bands.append(no_structure(plane, channels, len(field.names)))
    return FieldStructure(
        names=field.names,
        ra_deg=field.ra_deg,
        dec_deg=field.dec_deg,
        tangent_y=field.tangent_y,
        tangent_z=field.tangent_z,
        stops=cuts[1:],
        relative=np.stack([b.relative for b in bands]).astype(np.float32),
        fluxes=np.stack([b.fluxes for b in bands]),
        shared_variance=np.stack([b.shared_variance for b in bands]),
    )


@dataclass(frozen=True)
class WindowSpectra:
    """Spectra of the sources of one window over `extracted_edges_kev`.

    Attributes
    ----------
    names : list of str
    ra_deg, dec_deg : list of float
    flux : ndarray
        ``(n_sources, n_channels)`` counts/s; NaN where nothing can be extracted.
    covariance : ndarray
        ``(n_sources, n_channels, n_channels)`` float32.
    background : ndarray
        ``(n_channels,)`` counts/s.
    efficiency : ndarray
        ``(n_channels,)`` mean share of a source's counts that a pixel registers.
    keywords : dict
        Of the window.
    """

    names: list[str]
    ra_deg: list[float]
    dec_deg: list[float]
    flux: Array
    covariance: Array
    background: Array
    efficiency: Array
    keywords: dict[str, Any]


class Spe:
    """Spectra of the source asked for, or of all sources of the field."""

    def compute(self, inputs: Sequence[Any], parameters: Mapping[str, Any], raw: Mapping[str, Path]) -> WindowSpectra:
        """Fit every channel."""
        events, good, dead, efficiency, structure, cube = inputs
        plane = _plane(events, good, dead, efficiency, cube)
        fit = fit_structured(plane, structure)
        return window_spectra(structure, fit, parameters.get("source"), spectrum_keywords(events, good, dead), raw)

    def save(self, value: WindowSpectra, folder: Path) -> None:
        """Write fluxes and covariance."""
        save_record(value, folder)

    def load(self, folder: Path) -> WindowSpectra:
        """Read fluxes and covariance."""
        return load_record(WindowSpectra, folder)


def fit_structured(plane: ChannelPlanes, structure: FieldStructure) -> ChannelFit:
    """Fluxes of all sources of a structure in every channel."""
    tangents = list(zip(structure.tangent_y, structure.tangent_z, strict=True))
    return fit_channels(plane, structure.bands, _illumination(tangents, plane.usable))


def window_spectra(
    structure: FieldStructure,
    fit: ChannelFit,
    asked: Sequence[Any] | None,
    keywords: dict[str, Any],
    raw: Mapping[str, Path],
) -> WindowSpectra:
    """Spectra of the source asked for, or of all, corrected for the mask's support where there are off-axis maps."""
    wanted = [k for k, name in enumerate(structure.names) if name and (asked is None or name == asked[0])]
    spectra = WindowSpectra(
        names=[structure.names[k] for k in wanted],
        ra_deg=[structure.ra_deg[k] for k in wanted],
        dec_deg=[structure.dec_deg[k] for k in wanted],
        flux=fit.flux[wanted],
        covariance=fit.covariance[wanted].astype(np.float32),
        background=fit.background,
        efficiency=fit.efficiency,
        keywords=keywords,
    )
    places = [(structure.tangent_y[k], structure.tangent_z[k]) for k in wanted]
    return _through_support(spectra, places, raw) if "ic_effi" in raw else spectra


def _through_support(
    spectra: WindowSpectra, tangents: Sequence[tuple[float, float]], raw: Mapping[str, Path]
) -> WindowSpectra:
    """Spectra corrected for what the mask's support takes in each channel."""
    bands = [EnergyBand(float(a), float(b)) for a, b in pairwise(extracted_edges_kev())]
    support = support_of(raw, bands)
    share = np.array([[channel.at(*place) for channel in support] for place in tangents]).reshape(spectra.flux.shape)
    covariance = spectra.covariance / (share[:, :, None] * share[:, None, :])
    return replace(spectra, flux=spectra.flux / share, covariance=covariance.astype(np.float32))


def spectrum_keywords(events: SelectedEvents, good: GoodTime, dead: DeadTime) -> dict[str, Any]:
    """Keywords that the spectra of a window carry."""
    carried = {key: value for key, value in events.header.items() if not key.endswith(("_SCX", "_SCZ"))}
    intervals = np.asarray(good.intervals_ijd)
    return {
        **carried,
        "TFIRST": float(intervals[0, 0]),
        "TLAST": float(intervals[-1, 1]),
        "TELAPSE": float((intervals[-1, 1] - intervals[0, 0]) * DAY_S),
        "ONTIME": good.ontime_s,
        "DEADC": dead.deadc,
        "EXPOSURE": good.ontime_s * dead.deadc,
        "CREATOR": "integral-oda native",
        "DEADORIG": dead.origin,
    }
