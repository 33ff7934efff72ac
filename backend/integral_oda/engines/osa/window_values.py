"""OSA's corrected events, good time, dead time, catalogue and shadowgrams as the native steps take them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from integral_oda.archive.calibration import ENERGY_TABLES
from integral_oda.archive.events import MERGED_GTI, read_events
from integral_oda.archive.good_time_file import read_named_good_time
from integral_oda.arrays import Array
from integral_oda.catalog.reference import CatalogSource
from integral_oda.engines.native.events import (
    Cor,
    Dead,
    DeadTime,
    GoodTime,
    Gti,
    SelectedEvents,
    mean_dead_fractions,
    select_of_window,
)
from integral_oda.engines.native.field import CatI, FieldSources, lit_sources, live_time_map
from integral_oda.engines.native.image import (
    BinI,
    Ima,
    WindowImage,
    window_image,
    with_ic_files,
    with_known_sources,
)
from integral_oda.engines.osa.window import (
    CATALOGUE_FILE,
    CORRECTED_FILE,
    DEAD_FILE,
    DETECTOR_FILE,
    EFFICIENCY_FILE,
    GTI_FILE,
)
from integral_oda.engines.osa.workspace import OsaFiles
from integral_oda.errors import DataError
from integral_oda.imaging.null import draw_plain_excesses
from integral_oda.imaging.shadowgram import Shadowgram, shadowgram_of_efficiency
from integral_oda.instrument.attitude import Attitude
from integral_oda.instrument.detector import N_MODULES
from integral_oda.instrument.energy import EnergyBand
from integral_oda.instrument.pixel_status import on_grid
from integral_oda.products.fits_io import open_fits
from integral_oda.timing.good_time import intersect, total_s, union
from integral_oda.timing.silence import module_on_fraction

__all__ = ["ImaOfShadowgrams", "ReadCatalogue", "ReadDeadTime", "ReadEvents", "ReadGoodTime", "ReadShadowgram"]

_PIXELS_A_SIDE = 128
_SAME_EDGE_KEV = 0.5


class ReadEvents(Cor):
    """Selected events with energies and rise times of ibis_isgr_energy and flags of ibis_isgr_evts_tag."""

    def compute(self, inputs: Sequence[Any], parameters: Mapping[str, Any], raw: Mapping[str, Path]) -> SelectedEvents:
        """Read the archive's events with OSA's columns in place, and select."""
        (files,) = inputs
        selected = select_of_window(read_events(raw["events"], files.path(CORRECTED_FILE)), raw, by_line=False)
        energies = {f"IC_{kind.upper()}": f"OSA {parameters['osa']}" for kind in ENERGY_TABLES}
        return replace(selected, header=selected.header | energies)


class ReadGoodTime(Gti):
    """Good time as ibis_gti has merged it."""

    def compute(self, inputs: Sequence[Any], parameters: Mapping[str, Any], raw: Mapping[str, Path]) -> GoodTime:
        """Read the merged good time."""
        (files,) = inputs
        good = GoodTime(read_named_good_time(files.path(GTI_FILE))[MERGED_GTI])
        if good.ontime_s <= 0:
            raise DataError(f"{GTI_FILE}: no good time")
        return good


class ReadDeadTime(Dead):
    """Dead time of ibis_dead, and how long each module was on by its own good time."""

    def compute(self, inputs: Sequence[Any], parameters: Mapping[str, Any], raw: Mapping[str, Path]) -> DeadTime:
        """Average over the good time."""
        events, good, dead, *times = inputs
        fraction = mean_dead_fractions(dead.path(DEAD_FILE), events.header, good)
        return DeadTime(fraction, f"{DEAD_FILE} of ibis_dead", _on_fraction(events, good, times))


def _on_fraction(events: SelectedEvents, good: GoodTime, times: Sequence[OsaFiles]) -> Array:
    """Share of the good time that each module is on, ``(8,)``; from the events where OSA's file does not tell."""
    merged = np.asarray(good.intervals_ijd)
    tables = read_named_good_time(times[0].path(GTI_FILE)) if times else {}
    names = [f"ISGRI_MCE{module}" for module in range(N_MODULES)]
    if not all(name in tables for name in names):
        return module_on_fraction(np.asarray(events.silence_ijd), merged)
    return np.array([total_s(intersect(union(tables[name]), merged)) for name in names]) / total_s(merged)


class ReadCatalogue(CatI):
    """Sources that cat_extract found in the field, those that light the detector."""

    def compute(self, inputs: Sequence[Any], parameters: Mapping[str, Any], raw: Mapping[str, Path]) -> FieldSources:
        """Read the catalogue; sources of the user come first."""
        files, events = inputs
        extra = [CatalogSource(str(name), float(ra), float(dec)) for name, ra, dec in parameters["extra"]]
        named = [source.name for source in extra]
        listed = [s for s in _catalogue(files.path(CATALOGUE_FILE)) if s.name not in named]
        return lit_sources([*extra, *listed], named, Attitude.from_keywords(events.header))


def _catalogue(path: Path) -> Iterator[CatalogSource]:
    with open_fits(path) as hdus:
        rows = hdus[1].data
        names = rows.dtype.names or ()
        for row in rows:
            place = (str(row["NAME"]).strip(), float(row["RA_OBJ"]), float(row["DEC_OBJ"]))
            flux = float(row["ISGR_FLUX_1"]) if "ISGR_FLUX_1" in names else float("nan")
            yield CatalogSource(*place, flux_20_40_mcrab=flux)


class ReadShadowgram(BinI):
    """Shadowgram of a band from the counts and efficiencies of ii_shadow_build."""

    def compute(self, inputs: Sequence[Any], parameters: Mapping[str, Any], raw: Mapping[str, Path]) -> Shadowgram:
        """Read both planes of the band; the noise of the field's bright sources is in the variance."""
        files, events, good, dead, field = inputs
        band = EnergyBand(*parameters["band"])
        counts = _plane(files.path(DETECTOR_FILE), "ISGR-DETE-SHD", band)
        efficiency = _plane(files.path(EFFICIENCY_FILE), "ISGR-EFFI-SHD", band)
        if not (np.isfinite(efficiency).all() and efficiency.max() <= 1):
            raise DataError(f"{EFFICIENCY_FILE}: efficiencies outside 0 to 1")
        shadowgram = shadowgram_of_efficiency(counts, efficiency, good.ontime_s, live_time_map(good, dead))
        shadowgram = with_ic_files(replace(shadowgram, traits=np.asarray(events.traits)), raw, band)
        return with_known_sources(shadowgram, field.tangents, band, in_background=True)


def _plane(path: Path, name: str, band: EnergyBand) -> Array:
    """Detector plane of a band, ``(134, 130)``."""
    with open_fits(path) as hdus:
        planes = [hdu for hdu in hdus if hdu.name == name]
        for hdu in planes:
            edges = (float(hdu.header["E_MIN"]), float(hdu.header["E_MAX"]))
            if np.allclose(edges, (band.e1_kev, band.e2_kev), atol=_SAME_EDGE_KEV):
                return on_grid(_square(hdu.data, path, name))
    raise DataError(f"{path}: {len(planes)} planes {name}, none of {band} keV")


def _square(data: Any, path: Path, name: str) -> Array:
    plane = np.asarray(data, dtype=float)
    if plane.shape != (_PIXELS_A_SIDE, _PIXELS_A_SIDE):
        raise DataError(f"{path}: {name} has the shape {plane.shape}; 128 x 128 pixels are needed")
    return plane


class ImaOfShadowgrams(Ima):
    """Cleaned sky image of shadowgrams whose efficiency is OSA's."""

    def compute(self, inputs: Sequence[Any], parameters: Mapping[str, Any], raw: Mapping[str, Path]) -> WindowImage:
        """Find, place and fit the sources of all bands together, then image what is left."""
        events, good, dead, *rest = inputs
        return window_image(events, good, dead, rest, parameters, raw, _plain_null)


def _plain_null(
    shadowgram: Shadowgram, _band: EnergyBand, sources: Array, background: Array, rng: np.random.Generator, /
) -> Iterator[Array]:
    return draw_plain_excesses(shadowgram, sources, background, rng)
