"""Files of OSA as values of the native graph: sky images, source lists, light curves, good time, dead time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from integral_oda.catalog.designations import lasting_name
from integral_oda.engines.native.image import WindowImage, asdict_band, load_window_image, save_window_image
from integral_oda.engines.native.spectra_sum import SourceSpectrum, made_elsewhere, save_spectra
from integral_oda.engines.native.timing import load_light_curves, save_light_curves
from integral_oda.engines.osa.images import MOSAIC_FILE, SKY_FILE, SOURCES_FILE
from integral_oda.engines.osa.sources import ARF_END, LCR_FILE, PHA_END, RMF_ENDS
from integral_oda.engines.osa.workspace import OsaFiles
from integral_oda.errors import DataError
from integral_oda.imaging.search import FLOOR_90_ARCMIN, osa_radius_arcmin
from integral_oda.instrument.attitude import separation_deg
from integral_oda.products.light_curve import LightCurve, read_light_curves
from integral_oda.products.photometry import source_band
from integral_oda.products.response_file import read_response
from integral_oda.products.sky_image import SkyImage, read_sky_images
from integral_oda.products.source_list import Source, read_source_list
from integral_oda.products.spectrum import read_spectrum

__all__ = ["PackSpectra", "ReadImage", "ReadLightCurves", "curves_of_file", "read_window_image"]

_MASKED_PIXELS = 5.0
_NOISE_VARIANCE_RANGE = 50.0
_SAME_PLACE_ARCMIN = 5.0


class ReadImage:
    """Sky image or mosaic of OSA with its source list, as the native steps hand them on."""

    def compute(
        self, inputs: Sequence[OsaFiles], parameters: Mapping[str, Any], raw: Mapping[str, Path]
    ) -> WindowImage:
        """Read, leave out new sources below ``threshold``, and measure at the positions of ``at``."""
        (files,) = inputs
        image = files.path(MOSAIC_FILE if MOSAIC_FILE in files.names else SKY_FILE)
        return read_window_image(image, files.path(SOURCES_FILE), parameters["threshold"], parameters.get("at", []))

    def save(self, value: WindowImage, folder: Path) -> None:
        """Write the images as FITS and the rest as JSON."""
        save_window_image(value, folder)

    def load(self, folder: Path) -> WindowImage:
        """Read images and lists."""
        return load_window_image(folder)


def read_window_image(
    image: Path, sources: Path | None, threshold: float = 0.0, at: Sequence[tuple[str, float, float]] = ()
) -> WindowImage:
    """Read an image of OSA with its sources.

    Parameters
    ----------
    image : Path
        ``isgri_sky_ima.fits``, ``isgri_mosa_ima.fits`` or alike.
    sources : Path or None
        ``isgri_srcl_res.fits`` or alike.
    threshold : float
        Significance that a new source needs.
    at : sequence of tuple
        Name, RA, Dec (degrees) of positions whose flux is wanted whether a source is listed there or not.
    """
    images = read_sky_images(image)
    listed = [] if sources is None else read_source_list(sources)
    kept = [_completed(s) for s in listed if s.bands and (not s.new or s.significance >= threshold)]
    kept.sort(key=lambda s: -s.significance)
    new = iter(range(1, len(kept) + 1))
    kept = [replace(s, name=f"NEW_{next(new)}") if s.new else s for s in kept]
    forced = [found for place in at if (found := _forced(images, kept, *place)) is not None]
    return WindowImage(images, [*kept, *forced], [_noise(item, [*kept, *forced]) for item in images])


def _completed(source: Source) -> Source:
    """The same source with its fluxes in all units, its limits, and a radius where the list has none."""
    bands = tuple(source_band(_band(b), b.flux, b.flux_error) for b in source.bands if b.flux_error > 0)
    significant = tuple(
        replace(made, significance=told.significance) if told.significance > 0 else made
        for made, told in zip(bands, (b for b in source.bands if b.flux_error > 0), strict=True)
    )
    osa = osa_radius_arcmin(max((b.significance for b in significant), default=0.0))
    radius = source.error_radius_arcmin if source.error_radius_arcmin > 0 else osa
    return replace(source, bands=significant or source.bands, error_radius_arcmin=radius, error_radius_osa_arcmin=osa)


def _band(band: Any) -> Any:
    from integral_oda.instrument.energy import EnergyBand

    return EnergyBand(band.e1_kev, band.e2_kev)


def _forced(images: Sequence[SkyImage], listed: Sequence[Source], name: str, ra: float, dec: float) -> Source | None:
    """Flux of the images at a position; None where a listed source covers it or nothing was observed."""
    from astropy.coordinates import SkyCoord

    near = (max(s.error_radius_arcmin, 1.0) / 60 >= separation_deg(s.ra_deg, s.dec_deg, ra, dec) for s in listed)
    if any(near):
        return None
    measured = []
    for image in images:
        column, row = (float(p) for p in image.pixel_of(SkyCoord(ra, dec, unit="deg", frame="fk5")))
        if not (np.isfinite(column) and 0 <= round(row) < image.shape[0] and 0 <= round(column) < image.shape[1]):
            return None
        flux, variance = (float(p[round(row), round(column)]) for p in (image.intensity, image.variance))
        if not variance > 0:
            return None
        measured.append(source_band(image.band, flux, float(np.sqrt(variance))))
    osa = osa_radius_arcmin(max(b.significance for b in measured))
    return Source(name, ra, dec, FLOOR_90_ARCMIN, osa, new=False, forced=True, bands=tuple(measured))


def _noise(image: SkyImage, sources: Sequence[Source]) -> dict[str, Any]:
    """Noise of the significance map away from the sources; what Poisson draws would give is not known."""
    region = image.observed & np.isfinite(image.significance)
    if not region.any():
        raise DataError(f"the image in {image.band} keV has no observed pixel")
    region &= image.variance < _NOISE_VARIANCE_RANGE * image.variance[region].min()
    region &= _away_from(image, sources)
    values = image.significance[region]
    return {
        **asdict_band(image.band),
        "significance_mean": float(values.mean()),
        "significance_sigma": float(values.std()),
        "null_sigma": None,
        "largest_excess": float(values.max()),
        "sources_masked": len(sources),
    }


def _away_from(image: SkyImage, sources: Sequence[Source]) -> Any:
    from astropy.coordinates import SkyCoord

    rows, columns = np.indices(image.shape)
    clear = np.ones(image.shape, dtype=bool)
    for source in sources:
        column, row = image.pixel_of(SkyCoord(source.ra_deg, source.dec_deg, unit="deg", frame="fk5"))
        if np.isfinite(column):
            clear &= np.hypot(rows - row, columns - column) > _MASKED_PIXELS
    return clear


class ReadLightCurves:
    """Light curves of OSA as the native steps hand them on."""

    def compute(
        self, inputs: Sequence[OsaFiles], parameters: Mapping[str, Any], raw: Mapping[str, Path]
    ) -> list[LightCurve]:
        """Read those of the band and, where one is asked for, of the source."""
        (files,) = inputs
        picked = [name for name in files.names if name.startswith("lc_")] or [LCR_FILE]
        curves = [curve for name in picked for curve in curves_of_file(files.path(name))]
        low, high = parameters["band"]
        kept = [c for c in curves if abs(c.band.e1_kev - low) < 0.5 and abs(c.band.e2_kev - high) < 0.5]
        source = parameters.get("source")
        if source is not None:
            kept = [curve for curve in kept if curve.name == source]
        if not kept:
            raise DataError(f"no light curve of {source or 'any source'} in {low:g}-{high:g} keV")
        return kept

    def save(self, value: list[LightCurve], folder: Path) -> None:
        """Write one FITS file a source."""
        save_light_curves(value, folder)

    def load(self, folder: Path) -> list[LightCurve]:
        """Read the FITS files."""
        return load_light_curves(folder)


def curves_of_file(path: Path) -> list[LightCurve]:
    """Light curves of a file of OSA, its new sources under the names of their places."""
    found = read_light_curves(path)
    return [replace(curve, name=lasting_name(curve.name, curve.ra_deg, curve.dec_deg)) for curve in found]


class PackSpectra:
    """Product files of the spectra that spe_pick has summed, with their responses, in the channels that are wanted."""

    def compute(
        self, inputs: Sequence[OsaFiles], parameters: Mapping[str, Any], raw: Mapping[str, Path]
    ) -> list[SourceSpectrum]:
        """Read spectrum, matrix and area of every source."""
        (files,) = inputs
        edges, group = np.array(parameters["edges"], dtype=float), float(parameters["group"])
        made = []
        for name in (n for n in files.names if n.endswith(PHA_END)):
            root = name.removesuffix(PHA_END)
            matrix = next((n for end in RMF_ENDS if (n := root + end) in files.names), None)
            if matrix is None:
                raise DataError(f"{name}: spe_pick wrote no response beside it")
            area = files.path(root + ARF_END) if root + ARF_END in files.names else None
            response = read_response(files.path(matrix), area)
            made.append(made_elsewhere(read_spectrum(files.path(name)), response, edges, group))
        return made

    def save(self, value: list[SourceSpectrum], folder: Path) -> None:
        """Write the product files."""
        save_spectra(value, folder)

    def load(self, folder: Path) -> Path:
        """Give the folder of the product files."""
        return folder
