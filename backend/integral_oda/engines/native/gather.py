"""MOSAIC: the images of all windows as one, and their sources as one list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from integral_oda.engines.native.image import WindowImage, load_window_image, save_window_image
from integral_oda.engines.native.mosaic_sum import PartialMosaic, WindowLists, add_up
from integral_oda.engines.native.sources import IDENTIFICATION_ARCMIN
from integral_oda.imaging.search import osa_radius_arcmin
from integral_oda.instrument.attitude import separation_deg
from integral_oda.instrument.energy import EnergyBand
from integral_oda.products.photometry import FluxScale, source_band
from integral_oda.products.sky_grid import SkyGrid, gnomonic_wcs
from integral_oda.products.sky_image import SkyImage
from integral_oda.products.source_list import Source, SourceBand

__all__ = ["Mosaic"]


class Mosaic:
    """Inverse-variance mosaic of images or of sums of them; a single window keeps its own grid."""

    def compute(
        self,
        inputs: Sequence[tuple[str, WindowImage | PartialMosaic]],
        parameters: Mapping[str, Any],
        raw: Mapping[str, Path],
    ) -> WindowImage:
        """Finish the sum and merge the lists."""
        first = inputs[0][1]
        if len(inputs) == 1 and isinstance(first, WindowImage):
            return first
        total = add_up((value for _, value in inputs), parameters["tangent"])
        if total.lone is not None:
            return total.lone
        images = [_image(total, k, parameters["tangent"]) for k in range(len(total.bands))]
        return WindowImage(images, _merged_sources(total.windows), _merged_noise(total.windows, images))

    def save(self, value: WindowImage, folder: Path) -> None:
        """Write the mosaic as FITS and the rest as JSON."""
        save_window_image(value, folder)

    def load(self, folder: Path) -> WindowImage:
        """Read mosaic and lists."""
        return load_window_image(folder)


def _image(total: PartialMosaic, k: int, tangent: Sequence[float]) -> SkyImage:
    planes, extent = total.sums[k].planes(), total.sums[k].extent
    return SkyImage(
        intensity=planes.flux.astype(np.float32),
        variance=planes.variance.astype(np.float32),
        significance=planes.significance.astype(np.float32),
        exposure=planes.exposure.astype(np.float32),
        wcs=SkyGrid(gnomonic_wcs(*tangent), extent).wcs_of(extent),
        band=total.bands[k],
        keywords=_summed_keywords([window.keywords[k] for window in total.windows]),
    )


def _summed_keywords(windows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    times = {
        "TFIRST": min(keywords["TFIRST"] for keywords in windows),
        "TLAST": max(keywords["TLAST"] for keywords in windows),
        "CREATOR": windows[0].get("CREATOR", ""),
    }
    totals = {key: float(sum(keywords[key] for keywords in windows)) for key in ("ONTIME", "TELAPSE", "EXPOSURE")}
    deadc = sum(keywords["DEADC"] * keywords["ONTIME"] for keywords in windows) / totals["ONTIME"]
    return {**times, **totals, "DEADC": float(deadc), "NSCW": len(windows)}


def _merged_sources(windows: Sequence[WindowLists]) -> list[Source]:
    groups: list[list[Source]] = []
    for source in (s for window in windows for s in window.sources):
        for group in groups:
            if _same(group[0], source):
                group.append(source)
                break
        else:
            groups.append([source])
    merged = [_merge(group) for group in groups]
    merged.sort(key=lambda s: (s.forced, -s.significance))
    new = iter(range(1, len(merged) + 1))
    return [replace(s, name=f"NEW_{next(new)}") if s.new else s for s in merged]


def _same(first: Source, other: Source) -> bool:
    if first.new or other.new:
        both_new = first.new and other.new
        distance = separation_deg(first.ra_deg, first.dec_deg, other.ra_deg, other.dec_deg) * 60
        return bool(both_new and distance < 2 * IDENTIFICATION_ARCMIN)
    return first.name == other.name


def _merge(group: Sequence[Source]) -> Source:
    """Weighted mean fluxes, with the position of the window that saw the source best."""
    best = max(group, key=lambda s: s.significance)
    if len(group) == 1:
        return best
    bands = tuple(_mean_band([s.bands[k] for s in group]) for k in range(len(best.bands)))
    osa = osa_radius_arcmin(max(b.significance for b in bands))
    forced = all(s.forced for s in group)
    return replace(best, bands=bands, error_radius_osa_arcmin=osa, forced=forced)


def _mean_band(bands: Sequence[SourceBand]) -> SourceBand:
    weights = np.array([b.flux_error**-2.0 for b in bands])
    flux = float((weights * [b.flux for b in bands]).sum() / weights.sum())
    band = EnergyBand(bands[0].e1_kev, bands[0].e2_kev)
    fluxes = np.array([b.flux for b in bands])
    relative = np.array([b.flux_systematic for b in bands]) / np.where(fluxes != 0, np.abs(fluxes), 1.0)
    systematic = float((weights * relative).sum() / weights.sum())
    return source_band(band, flux, float(weights.sum() ** -0.5), systematic=systematic, scale=_mean_scale(bands))


def _mean_scale(bands: Sequence[SourceBand]) -> FluxScale | None:
    """Scale of several windows: the mean of theirs; None, the nominal one, where they do not say."""
    told = [b for b in bands if b.flux_error_mcrab > 0]
    if not told:
        return None
    crab = float(np.mean([1000 * b.flux_error / b.flux_error_mcrab for b in told]))
    erg = float(np.mean([b.flux_error_erg / b.flux_error for b in told]))
    return FluxScale(crab, erg, "mean of the windows")


def _merged_noise(windows: Sequence[WindowLists], images: Sequence[SkyImage]) -> list[dict[str, Any]]:
    """Noise of the mosaic away from sources; its null is the mean null of the windows."""
    sources = [s for window in windows for s in window.sources]
    noise = []
    for k, image in enumerate(images):
        region = image.observed & (image.variance < 50 * np.min(image.variance[image.observed]))
        region &= _away_from(image, sources)
        values = image.significance[region]
        noise.append(
            {
                **windows[0].noise[k],
                "significance_mean": float(values.mean()),
                "significance_sigma": float(values.std()),
                "null_sigma": float(np.sqrt(np.mean([w.noise[k]["null_sigma"] ** 2 for w in windows]))),
                "largest_excess": float(values.max()),
                "sources_masked": len({s.name for s in sources}),
            }
        )
    return noise


def _away_from(image: SkyImage, sources: Sequence[Source]) -> Any:
    from astropy.coordinates import SkyCoord

    rows, columns = np.indices(image.shape)
    clear = np.ones(image.shape, dtype=bool)
    for source in sources:
        column, row = image.pixel_of(SkyCoord(source.ra_deg, source.dec_deg, unit="deg", frame="fk5"))
        if np.isfinite(column):
            clear &= np.hypot(rows - row, columns - column) > 5
    return clear
