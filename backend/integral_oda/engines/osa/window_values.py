"""OSA's corrected events, good time, dead time, catalogue and source list as the native steps take them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from integral_oda.archive.calibration import ENERGY_TABLES
from integral_oda.archive.events import MERGED_GTI, read_events
from integral_oda.archive.good_time_file import read_named_good_time
from integral_oda.arrays import Array
from integral_oda.catalog.designations import lasting_name
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
from integral_oda.engines.native.field import CatI, FieldSources, lit_sources
from integral_oda.engines.osa.images import SOURCES_FILE
from integral_oda.engines.osa.window import CATALOGUE_FILE, CORRECTED_FILE, DEAD_FILE, GTI_FILE
from integral_oda.engines.osa.workspace import OsaFiles
from integral_oda.errors import DataError
from integral_oda.instrument.attitude import Attitude
from integral_oda.instrument.detector import N_MODULES
from integral_oda.instrument.energy import EnergyBand
from integral_oda.instrument.response import crab_rate
from integral_oda.products.fits_io import open_fits
from integral_oda.timing.good_time import intersect, total_s, union
from integral_oda.timing.silence import module_on_fraction

__all__ = ["ReadCatalogue", "ReadDeadTime", "ReadEvents", "ReadGoodTime", "ReadSourceList"]


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
        return _lit(_catalogue(files.path(CATALOGUE_FILE)), parameters["extra"], events)


class ReadSourceList(CatI):
    """Sources that ii_skyimage lists, those that light the detector."""

    def compute(self, inputs: Sequence[Any], parameters: Mapping[str, Any], raw: Mapping[str, Path]) -> FieldSources:
        """Read the list; sources of the user come first, new ones are named by their places."""
        files, events = inputs
        return _lit(_listed(files.path(SOURCES_FILE)), parameters["extra"], events)


def _lit(sources: Iterable[CatalogSource], extra: Sequence[Sequence[Any]], events: SelectedEvents) -> FieldSources:
    own = [CatalogSource(str(name), float(ra), float(dec)) for name, ra, dec in extra]
    named = [source.name for source in own]
    others = [source for source in sources if source.name not in named]
    return lit_sources([*own, *others], named, Attitude.from_keywords(events.header))


def _catalogue(path: Path) -> Iterator[CatalogSource]:
    with open_fits(path) as hdus:
        rows = hdus[1].data
        names = rows.dtype.names or ()
        for row in rows:
            place = (str(row["NAME"]).strip(), float(row["RA_OBJ"]), float(row["DEC_OBJ"]))
            flux = float(row["ISGR_FLUX_1"]) if "ISGR_FLUX_1" in names else float("nan")
            yield CatalogSource(*place, flux_20_40_mcrab=flux)


def _listed(path: Path) -> Iterator[CatalogSource]:
    """Sources of a list at their catalogue places, as bright as their brightest band; windows number their own new."""
    with open_fits(path) as hdus:
        rows = hdus["ISGR-SRCL-RES"].data
        for row in rows:
            ra, dec = (float(row[f"{axis}_OBJ"]) or float(row[f"{axis}_FIN"]) for axis in ("RA", "DEC"))
            yield CatalogSource(
                lasting_name(str(row["NAME"]).strip(), ra, dec), ra, dec, flux_20_40_mcrab=_brightest_mcrab(row)
            )


def _brightest_mcrab(row: Any) -> float:
    columns = (np.atleast_1d(np.asarray(row[name], dtype=float)) for name in ("FLUX", "E_MIN", "E_MAX"))
    bands = [(flux, EnergyBand(low, high)) for flux, low, high in zip(*columns, strict=True) if high > low]
    return max((flux * 1000 / crab_rate(band) for flux, band in bands), default=float("nan"))
