"""BIN_I, BKG_I and IMA: shadowgram of a band, its background structure, and the cleaned sky image."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from integral_oda.arrays import Array
from integral_oda.engines.native.calibration import decoding_array, detector_maps
from integral_oda.engines.native.events import DeadTime, GoodTime, SelectedEvents
from integral_oda.engines.native.field import DetectorEfficiency, live_time_map, traits_of
from integral_oda.engines.native.photometry import Photometry
from integral_oda.engines.native.sources import FieldFit, fit_field
from integral_oda.engines.storage import load_record, save_record
from integral_oda.imaging.null import draw_null_excesses
from integral_oda.imaging.resampling import PSF_SIGMA_PIXELS
from integral_oda.imaging.shadowgram import Shadowgram, build_shadowgram, with_detector_maps
from integral_oda.imaging.sky import SkyMaps, make_sky_maps, score_map
from integral_oda.imaging.source_noise import with_source_noise
from integral_oda.imaging.structure import Covariance, StructureWidths, fit_widths
from integral_oda.imaging.uniformity import NULL_DRAWS, Template, apply_templates, structure_template
from integral_oda.instrument.attitude import Attitude, tangents_to_pixel
from integral_oda.instrument.detector import DETECTOR_SHAPE, N_PIXELS, OPEN_PIXELS
from integral_oda.instrument.energy import EnergyBand
from integral_oda.instrument.transmission import SupportTransmission
from integral_oda.products.sky_image import SkyImage
from integral_oda.products.source_list import Source
from integral_oda.timing.good_time import DAY_S

__all__ = [
    "BinI",
    "BkgI",
    "Ima",
    "NullDraws",
    "RefI",
    "WindowImage",
    "band_energy_kev",
    "band_maps",
    "counts_in_band",
    "noise_numbers",
    "noise_region",
    "null_of",
    "sky_image",
    "window_image",
    "window_image_keywords",
    "with_ic_files",
    "with_known_sources",
]


MASKED_RADIUS_PIXELS = 5.0
NOISE_VARIANCE_RANGE = 50.0
NULL_SEED = 500


def band_energy_kev(band: EnergyBand) -> float:
    """Energy that the mask's transmission of a band is taken at: the geometric mean."""
    return float(np.sqrt(band.e1_kev * band.e2_kev))


def counts_in_band(events: SelectedEvents, good: GoodTime, band: EnergyBand) -> Array:
    """Events of a band and the good time, ``(134, 130)``."""
    energy = np.asarray(events.energy_kev)
    kept = good.inside(np.asarray(events.time_ijd))
    kept &= (energy >= band.e1_kev) & (energy < band.e2_kev)
    size = DETECTOR_SHAPE[0] * DETECTOR_SHAPE[1]
    pixel = np.asarray(events.pixel)[np.flatnonzero(kept)]
    return np.bincount(pixel, minlength=size).reshape(DETECTOR_SHAPE).astype(float)


class BinI:
    """Shadowgram of one band."""

    def compute(self, inputs: Sequence[Any], parameters: Mapping[str, Any], raw: Mapping[str, Path]) -> Shadowgram:
        """Count the events of the band and work out how the pixels answer.

        With the field the noise of its bright sources is in the variance; of templates of the structure their
        share of the counts is expected.
        """
        events, good, dead, efficiency, *known = inputs
        band = EnergyBand(*parameters["band"])
        counts = counts_in_band(events, good, band)
        usable = np.asarray(efficiency.usable)
        shadowgram = build_shadowgram(counts, usable, efficiency.thresholds, band, live_time_map(good, dead))
        shadowgram = replace(shadowgram, traits=traits_of(events, efficiency))
        shadowgram = with_ic_files(shadowgram, raw, band)
        if not known:
            return shadowgram
        field, *templates = known
        return with_known_sources(shadowgram, efficiency.known_places(field), band, templates)

    def save(self, value: Shadowgram, folder: Path) -> None:
        """Write the planes."""
        save_record(value, folder)

    def load(self, folder: Path) -> Shadowgram:
        """Read the planes."""
        return load_record(Shadowgram, folder)


def with_ic_files(shadowgram: Shadowgram, raw: Mapping[str, Path], band: EnergyBand) -> Shadowgram:
    """The same shadowgram with uniformity, background and decoding array of the IC tree, where it has them."""
    if maps := detector_maps(raw, band):
        shadowgram = with_detector_maps(shadowgram, maps.get("unif"), maps.get("back"))
    decoding = decoding_array(raw)
    if decoding is not None and decoding.contrast is not None:
        shadowgram = replace(shadowgram, decoding=decoding.contrast)
    return shadowgram


def with_known_sources(
    shadowgram: Shadowgram,
    places: Sequence[tuple[float, float]],
    band: EnergyBand,
    templates: Sequence[Template] = (),
    *,
    in_background: bool = False,
) -> Shadowgram:
    """The same shadowgram with the noise of the bright ones of some sources, and what templates tell of it.

    ``in_background`` as in `with_source_noise`.
    """
    design = shadowgram.shadows(places, band_energy_kev(band))
    shadowgram = with_source_noise(shadowgram, design, in_background=in_background)
    clean = np.array(places).reshape(-1, 2)
    shadowgram = replace(shadowgram, clean_response=shadowgram.source_response, clean_tangents=clean)
    return apply_templates(shadowgram, templates, design, band, clean)


def _known(shadowgram: Shadowgram) -> list[tuple[float, float]]:
    """Tangents of the sources that a shadowgram knows of."""
    return [(float(ty), float(tz)) for ty, tz in shadowgram.clean_tangents]


class RefI:
    """Structure of the detector plane in a neighbouring band, as a template for others."""

    def compute(self, inputs: Sequence[Any], parameters: Mapping[str, Any], raw: Mapping[str, Path]) -> Template:
        """Fit the widths of the structure beside the catalogue sources, and take its most probable value."""
        band = EnergyBand(*parameters["band"])
        shadowgram = BinI().compute(inputs, parameters, raw)
        design = shadowgram.shadows(_known(shadowgram), band_energy_kev(band))
        covariance = Covariance(shadowgram, fit_widths(shadowgram, design))
        origin = f"{band} keV of the same window"
        return structure_template(covariance, design, band, np.random.default_rng(NULL_SEED), origin)

    def save(self, value: Template, folder: Path) -> None:
        """Write the maps."""
        save_record(value, folder)

    def load(self, folder: Path) -> Template:
        """Read the maps."""
        return load_record(Template, folder)


class BkgI:
    """Widths of the background's structure in one band, catalogue sources fitted beside it."""

    def compute(self, inputs: Sequence[Any], parameters: Mapping[str, Any], raw: Mapping[str, Path]) -> StructureWidths:
        """Estimate the prior of the structure."""
        shadowgram, _ = inputs
        energy = band_energy_kev(EnergyBand(*parameters["band"]))
        return fit_widths(shadowgram, shadowgram.shadows(_known(shadowgram), energy))

    def save(self, value: StructureWidths, folder: Path) -> None:
        """Write the widths."""
        save_record(value, folder)

    def load(self, folder: Path) -> StructureWidths:
        """Read the widths."""
        return load_record(StructureWidths, folder)


@dataclass(frozen=True)
class WindowImage:
    """Images of one window, one a band, with the sources found and the noise left.

    Attributes
    ----------
    images : list of SkyImage
    sources : list of Source
    noise : list of dict
        One a band, as in ``summary.json``.
    left_out : list of dict
        Science windows (``scw``) that a mosaic goes without, and the ``reason``.
    suppressed : list of dict
        Excesses above the threshold that are no sources, as in ``summary.json``.
    """

    images: list[SkyImage]
    sources: list[Source]
    noise: list[dict[str, Any]]
    left_out: list[dict[str, str]] = field(default_factory=list)
    suppressed: list[dict[str, Any]] = field(default_factory=list)


class Ima:
    """Cleaned sky image in every band, with its sources."""

    def compute(self, inputs: Sequence[Any], parameters: Mapping[str, Any], raw: Mapping[str, Path]) -> WindowImage:
        """Find, place and fit the sources of all bands together, then image what is left."""
        events, good, dead, efficiency, *rest = inputs
        return window_image(events, good, dead, rest, parameters, raw, null_of(efficiency))

    def save(self, value: WindowImage, folder: Path) -> None:
        """Write the images as FITS and the rest as JSON."""
        save_window_image(value, folder)

    def load(self, folder: Path) -> WindowImage:
        """Read images and lists."""
        return load_window_image(folder)


def window_image(
    events: SelectedEvents,
    good: GoodTime,
    dead: DeadTime,
    inputs: Sequence[Any],
    parameters: Mapping[str, Any],
    raw: Mapping[str, Path],
    null: NullDraws,
) -> WindowImage:
    """Image of a window.

    Parameters
    ----------
    events : SelectedEvents
    good : GoodTime
    dead : DeadTime
    inputs : sequence
        The field, then the shadowgrams of all bands, then the widths of their structure.
    parameters, raw : mapping
        Of the step.
    null : callable
        Poisson draws of the fitted model.
    """
    field, *pairs = inputs
    bands = [EnergyBand(*band) for band in parameters["bands"]]
    shadowgrams: list[Shadowgram] = pairs[: len(bands)]
    covariances = [Covariance(s, w) for s, w in zip(shadowgrams, pairs[len(bands) :], strict=True)]
    attitude = Attitude.from_keywords(events.header)
    photometry = Photometry.of(bands, raw)
    fit = fit_field(covariances, bands, field, attitude, parameters["threshold"], parameters.get("at", []), photometry)
    keywords = window_image_keywords(events, good, dead)
    images, noise = [], []
    for k, band in enumerate(bands):
        maps, drawn = band_maps(fit, k, null)
        cards = {"STRUCTUR": shadowgrams[k].template_origin or "this band alone", **photometry.scales[k].cards}
        images.append(sky_image(maps, fit, k, attitude, keywords | cards, photometry.support[k]))
        noise.append(noise_numbers(maps, drawn, fit, band))
    return WindowImage(images, fit.sources, noise, suppressed=fit.suppressed)


def save_window_image(value: WindowImage, folder: Path) -> None:
    """Write images as FITS, sources and noise as JSON."""
    import json

    from integral_oda.products.sky_image import write_sky_images

    write_sky_images(folder / "images.fits", value.images)
    lists = {
        "sources": [source.as_dict() for source in value.sources],
        "noise": value.noise,
        "keywords": [dict(image.keywords) for image in value.images],
        "left_out": value.left_out,
        "suppressed": value.suppressed,
    }
    (folder / "lists.json").write_text(json.dumps(lists), encoding="utf-8")


def load_window_image(folder: Path) -> WindowImage:
    """Read what `save_window_image` has written."""
    import json

    from integral_oda.products.sky_image import read_sky_images
    from integral_oda.products.source_list import source_from_dict

    lists = json.loads((folder / "lists.json").read_text(encoding="utf-8"))
    sources = [source_from_dict(values) for values in lists["sources"]]
    kept = zip(read_sky_images(folder / "images.fits"), lists["keywords"], strict=True)
    images = [replace(image, keywords=keywords) for image, keywords in kept]
    return WindowImage(images, sources, lists["noise"], lists["left_out"], lists["suppressed"])


class NullDraws(Protocol):
    """Draws of what Poisson noise makes of a fitted model."""

    def __call__(
        self, shadowgram: Shadowgram, band: EnergyBand, sources: Array, background: Array, rng: np.random.Generator, /
    ) -> Iterator[Array]:
        """Excesses ``(n_usable,)`` of draws, without end; sources at full efficiency and background in counts."""


def null_of(efficiency: DetectorEfficiency) -> NullDraws:
    """Draws whose thresholds are fitted anew, as the window's were."""

    def draws(
        _shadowgram: Shadowgram, band: EnergyBand, sources: Array, background: Array, rng: np.random.Generator, /
    ) -> Iterator[Array]:
        return draw_null_excesses(efficiency.thresholds, band, sources, background, rng)

    return draws


def band_maps(fit: FieldFit, k: int, null: NullDraws) -> tuple[SkyMaps, Array]:
    """Maps of what is left in a band, and the significance maps of Poisson draws of the model, ``(n, 400, 400)``."""
    model = fit.models[k]
    covariance = model.covariance
    information = model.information
    residual = model.residual(fit.places)
    maps = make_sky_maps(covariance, score_map(covariance, residual), information)
    with np.errstate(divide="ignore", invalid="ignore"):
        scores = [score_map(covariance, drawn) for drawn in _null_residuals(fit, k, null, residual)]
        significance = np.stack(scores) / np.sqrt(information)
    return maps, significance


def _null_residuals(fit: FieldFit, k: int, null: NullDraws, residual: Array) -> Iterator[Array]:
    model, band = fit.models[k], fit.bands[k]
    covariance, shadowgram = model.covariance, model.covariance.shadowgram
    known = shadowgram.flat(shadowgram.template) if shadowgram.template.size else 0.0
    background = shadowgram.flat(shadowgram.expected) + covariance.structure(residual)
    energy = band_energy_kev(band)
    counts = np.zeros(int(shadowgram.usable.sum()))
    for place, flux in zip(fit.places, fit.fluxes[k], strict=True):
        if shadowgram.is_bright(place):
            continue
        counts += flux * shadowgram.flat(shadowgram.illumination_at(place, energy))
    counts *= shadowgram.live_time_s / OPEN_PIXELS
    design = model.design(fit.places)
    generator = np.random.default_rng(NULL_SEED)
    draws = null(shadowgram, band, counts, background, generator)
    for draw in range(NULL_DRAWS):
        drawn = next(draws) - known
        if len(shadowgram.template_noise):
            drawn = drawn - shadowgram.flat(shadowgram.template_noise[draw])
        fluxes, _ = covariance.fit(drawn, design)
        yield drawn - design @ fluxes


def sky_image(
    maps: SkyMaps,
    fit: FieldFit,
    k: int,
    attitude: Attitude,
    keywords: dict[str, Any],
    support: SupportTransmission,
) -> SkyImage:
    """Image of band ``k`` of a fit with a clean peak put back at every source."""
    flux = maps.flux.copy()
    rows, columns = np.indices(flux.shape)
    for place, source_flux in zip(fit.places, fit.fluxes[k], strict=True):
        column, row = tangents_to_pixel(*place)
        flux += source_flux * np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / (2 * PSF_SIGMA_PIXELS**2))
    through = support.over_field()
    with np.errstate(divide="ignore", invalid="ignore"):
        significance = np.where(maps.variance > 0, flux / np.sqrt(maps.variance), np.nan)
    return SkyImage(
        intensity=(flux / through).astype(np.float32),
        variance=(maps.variance / through**2).astype(np.float32),
        significance=significance.astype(np.float32),
        exposure=maps.exposure.astype(np.float32),
        coordinates=attitude.tangent_plane(),
        band=fit.bands[k],
        keywords=keywords,
    )


def window_image_keywords(events: SelectedEvents, good: GoodTime, dead: DeadTime) -> dict[str, Any]:
    """Keywords that the images of a window have in every band."""
    intervals = np.asarray(good.intervals_ijd)
    live = good.ontime_s * dead.deadc
    carried = {key: value for key, value in events.header.items() if not key.endswith(("_SCX", "_SCZ"))}
    return {
        **carried,
        "TFIRST": float(intervals[0, 0]),
        "TLAST": float(intervals[-1, 1]),
        "TELAPSE": float((intervals[-1, 1] - intervals[0, 0]) * DAY_S),
        "ONTIME": good.ontime_s,
        "DEADC": dead.deadc,
        "EXPOSURE": live * float(np.asarray(events.good_pixels).sum()) / N_PIXELS,
        "CREATOR": "integral-oda native",
        "DEADORIG": dead.origin,
    }


def noise_numbers(maps: SkyMaps, null: Array, fit: FieldFit, band: EnergyBand) -> dict[str, Any]:
    """Noise of the residual significance map where it is at most `NOISE_VARIANCE_RANGE` times the least variance."""
    region = noise_region(maps, fit)
    values, drawn = maps.significance[region], null[:, region]
    return {
        **asdict_band(band),
        "significance_mean": float(values.mean()),
        "significance_sigma": float(values.std()),
        "null_sigma": float(drawn.std()),
        "largest_excess": float(values.max()),
        "sources_masked": len(fit.places),
    }


def noise_region(maps: SkyMaps, fit: FieldFit) -> NDArray[np.bool_]:
    """Sky pixels that the noise is measured on: of little variance and away from the sources; ``(400, 400)``."""
    variance = np.where(maps.variance > 0, maps.variance, np.inf)
    region = np.isfinite(maps.significance) & (variance < NOISE_VARIANCE_RANGE * variance.min())
    rows, columns = np.indices(region.shape)
    for place in fit.places:
        column, row = tangents_to_pixel(*place)
        region &= np.hypot(rows - row, columns - column) > MASKED_RADIUS_PIXELS
    return region


def asdict_band(band: EnergyBand) -> dict[str, float]:
    """The edges under their names in ``summary.json``."""
    return {"e1_kev": band.e1_kev, "e2_kev": band.e2_kev}
