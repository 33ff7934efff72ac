"""Sources, detector and nuisances of a twin, as a recipe of the simulator takes them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from integral_oda.catalog.reference import CatalogSource, reference_catalogue, resolve, sources_near
from integral_oda.simulation.recipe import (
    BackgroundModel,
    Constant,
    DetectorModel,
    Flare,
    Flares,
    Flux,
    MaskDefect,
    Nuisances,
    PowerLaw,
    SourceModel,
)
from integral_oda.simulation.twins.case import Case, CaseSource, Visit

__all__ = ["epoch_detector", "twin_background", "twin_nuisances", "twin_sources"]

DAY_S = 86400.0
_CATALOGUE_BAND = (20.0, 40.0)
_LOW_KEV, _HIGH_KEV, _CRAB_INDEX = 27.0, 60.0, 2.1
_INDEX_RANGE = (0.5, 6.0)

# Mean and spread of the pixels' low thresholds by revolution. Where OSA's manual has spectra begin (18 keV, 22 keV from
# revolution 1000, 30 keV from 1626) 96 % of the events pass thresholds of these means; contexts of revolution 100 have
# a mean step of 15, some 14 keV; turn-ons fitted to the real window 255900280010 give 28, 32, 35, 38 and 45 keV at the
# 5, 25, 50, 75 and 95 % quantiles.
_THRESHOLD_REVOLUTION = (50.0, 1000.0, 1625.0, 1626.0, 2559.0)
_THRESHOLD_KEV = (14.0, 17.0, 17.0, 24.0, 35.0)
_THRESHOLD_SPREAD_KEV = (1.0, 1.5, 1.5, 2.0, 4.5)

_MASK_SEED, _MASK_SIDE_MM, _DEFECT_SIDE_MM, _DEFECT_TRANSMISSION, _DEFECT_LOSS = 2002, 1064.0, 20.0, 0.5, 0.005
_MISALIGNMENT_ERROR_ARCMIN = (0.2, -0.2)


def twin_sources(case: Case, visit: Visit, start_mjd: float) -> tuple[SourceModel, ...]:
    """Sources of a visit: the case's own, and the steady ones of the catalogue around the target.

    Parameters
    ----------
    case : Case
    visit : Visit
    start_mjd : float
        MJD (TT) that the recipe's clock starts at.
    """
    own = {source.name: source for source in case.sources} | {source.name: source for source in visit.sources}
    models = [_model(source, _known(source), start_mjd) for source in own.values()]
    near = sources_near(case.ra, case.dec, case.field_radius_deg, reference_catalogue())
    field = [
        _model(CaseSource(name=source.name, source=source.reference), source, start_mjd)
        for source in near
        if source.name not in own and not source.transient and source.flux_20_40_mcrab >= case.field_mcrab
    ]
    return (*models, *field)


def _known(source: CaseSource) -> CatalogSource:
    if source.ra is None or source.dec is None:
        return resolve(source.name)
    return CatalogSource(source.name, source.ra, source.dec)


def _model(source: CaseSource, known: CatalogSource, start_mjd: float) -> SourceModel:
    flux = source.flux or Flux(value=known.flux_20_40_mcrab, unit="mCrab", band=_CATALOGUE_BAND)
    factor = _history_factor(source.history, start_mjd)
    behaviour: Constant | Flares = Constant()
    if source.flares:
        flares = [
            Flare(at_s=(f.mjd - start_mjd) * DAY_S, amplitude=f.amplitude, rise_s=f.rise_s, decay_s=f.decay_s)
            for f in source.flares
        ]
        behaviour = Flares(level=source.level, flares=tuple(flares))
    return SourceModel(
        name=known.name,
        ra=known.ra_deg,
        dec=known.dec_deg,
        flux=flux.model_copy(update={"value": flux.value * factor}),
        spectrum=source.spectrum or PowerLaw(index=_catalogue_index(known)),
        behaviour=behaviour,
    )


def _history_factor(history: Sequence[tuple[float, float]], mjd: float) -> float:
    if not history:
        return 1.0
    times, factors = zip(*sorted(history), strict=True)
    return float(np.interp(mjd, times, factors))


def _catalogue_index(known: CatalogSource) -> float:
    """Photon index of the power law through the catalogue's fluxes of 20-40 and 40-100 keV."""
    ratio = known.flux_40_100_mcrab / known.flux_20_40_mcrab
    if not math.isfinite(ratio) or ratio <= 0:
        return _CRAB_INDEX
    index = _CRAB_INDEX - math.log(ratio) / math.log(_HIGH_KEV / _LOW_KEV)
    return float(np.clip(index, *_INDEX_RANGE))


def epoch_detector(revolution: int) -> DetectorModel:
    """State of the detector in a revolution: thresholds of the epoch, dead and noisy pixels, dead time."""
    return DetectorModel(
        dead_fraction=0.03,
        noisy_fraction=0.003,
        dead_time=0.2,
        dead_time_spread=0.01,
        low_threshold_kev=float(np.interp(revolution, _THRESHOLD_REVOLUTION, _THRESHOLD_KEV)),
        low_threshold_spread_kev=float(np.interp(revolution, _THRESHOLD_REVOLUTION, _THRESHOLD_SPREAD_KEV)),
        gain_spread=0.01,
        rejected_fraction=0.05,
    )


def twin_background(case: Case) -> BackgroundModel:
    """Background of the plane, up at the rim, with modules and pixels that differ."""
    return BackgroundModel(rate=case.background_rate, module_spread=0.02, pixel_spread=0.02)


def twin_nuisances(case: Case) -> Nuisances:
    """What the analysis does not know: misalignment 0.2 arcmin off on each axis, mask defects, perhaps the ridge."""
    return Nuisances(
        misalignment_error_arcmin=_MISALIGNMENT_ERROR_ARCMIN, mask_defects=_mask_defects(), ridge=case.ridge
    )


def _mask_defects() -> tuple[MaskDefect, ...]:
    """Spots all over the mask that take 0.5 % of its light, the same in every twin."""
    loss = _DEFECT_SIDE_MM**2 * (1 - _DEFECT_TRANSMISSION)
    count = round(_DEFECT_LOSS * _MASK_SIDE_MM**2 / loss)
    places = np.random.default_rng(_MASK_SEED).uniform(-_MASK_SIDE_MM / 2, _MASK_SIDE_MM / 2, (count, 2))
    shape = {"side_mm": _DEFECT_SIDE_MM, "transmission": _DEFECT_TRANSMISSION}
    return tuple(MaskDefect(y_mm=float(y), z_mm=float(z), **shape) for y, z in places)
