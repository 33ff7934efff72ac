"""MOSAIC: the images of all windows as one, and their sources as one list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from integral_oda.engines.native.image import WindowImage, load_window_image, save_window_image
from integral_oda.engines.native.sources import IDENTIFICATION_ARCMIN
from integral_oda.imaging.mosaic import MosaicSum
from integral_oda.imaging.resampling import Resampler
from integral_oda.imaging.search import osa_radius_arcmin
from integral_oda.instrument.attitude import separation_deg
from integral_oda.instrument.energy import EnergyBand
from integral_oda.products.sky_grid import SkyGrid, gnomonic_grid, image_plane, observed_outline
from integral_oda.products.sky_image import SkyImage
from integral_oda.products.source_list import Source, SourceBand, source_band

__all__ = ["Mosaic"]


class Mosaic:
    """Inverse-variance mosaic; a single window keeps its own grid."""

    def compute(
        self, inputs: Sequence[tuple[str, WindowImage]], parameters: Mapping[str, Any], raw: Mapping[str, Path]
    ) -> WindowImage:
        """Sum the images and merge the lists."""
        windows = [value for _, value in inputs]
        if len(windows) == 1:
            return windows[0]
        grid = gnomonic_grid([observed_outline(w.images[0].wcs, w.images[0].observed) for w in windows])
        bands = range(len(windows[0].images))
        images = [_summed([window.images[k] for window in windows], grid) for k in bands]
        return WindowImage(images, _merged_sources(windows), _merged_noise(windows, images))

    def save(self, value: WindowImage, folder: Path) -> None:
        """Write the mosaic as FITS and the rest as JSON."""
        save_window_image(value, folder)

    def load(self, folder: Path) -> WindowImage:
        """Read mosaic and lists."""
        return load_window_image(folder)


def _summed(images: Sequence[SkyImage], grid: SkyGrid) -> SkyImage:
    total = MosaicSum.empty(grid.extent)
    for image in images:
        values = Resampler(image.intensity, image.variance, image.exposure)
        total = total.with_image(values, image_plane(image.wcs, image.shape), grid.pixels)
    planes = total.planes()
    return SkyImage(
        intensity=planes.flux.astype(np.float32),
        variance=planes.variance.astype(np.float32),
        significance=planes.significance.astype(np.float32),
        exposure=planes.exposure.astype(np.float32),
        wcs=grid.wcs_of(total.extent),
        band=images[0].band,
        keywords=_summed_keywords(images),
    )


def _summed_keywords(images: Sequence[SkyImage]) -> dict[str, Any]:
    first = images[0].keywords
    times = {
        "TFIRST": min(i.keywords["TFIRST"] for i in images),
        "TLAST": max(i.keywords["TLAST"] for i in images),
        "CREATOR": first.get("CREATOR", ""),
    }
    totals = {key: float(sum(i.keywords[key] for i in images)) for key in ("ONTIME", "TELAPSE", "EXPOSURE")}
    deadc = sum(i.keywords["DEADC"] * i.keywords["ONTIME"] for i in images) / totals["ONTIME"]
    return {**times, **totals, "DEADC": float(deadc), "NSCW": len(images)}


def _merged_sources(windows: Sequence[WindowImage]) -> list[Source]:
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
    return source_band(EnergyBand(bands[0].e1_kev, bands[0].e2_kev), flux, float(weights.sum() ** -0.5))


def _merged_noise(windows: Sequence[WindowImage], images: Sequence[SkyImage]) -> list[dict[str, Any]]:
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
