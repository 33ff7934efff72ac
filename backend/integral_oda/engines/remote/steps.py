"""Steps that the online system carries out: a few windows each, all of them in one request."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from integral_oda.engines.native.image import WindowImage, load_window_image, save_window_image
from integral_oda.engines.native.timing import load_light_curves, save_light_curves
from integral_oda.engines.remote.decoding import CatalogueRow, read_catalogue
from integral_oda.engines.remote.reply import ask, same_source
from integral_oda.errors import DataError
from integral_oda.imaging.search import osa_radius_arcmin
from integral_oda.instrument.attitude import separation_deg
from integral_oda.mosaics.sources import MosaicSources, find_sources
from integral_oda.products.light_curve import LightCurve, read_light_curve
from integral_oda.products.sky_image import SkyImage, read_sky_images
from integral_oda.products.source_list import Source

__all__ = ["RemoteImage", "RemoteLightCurves"]

_SAME_PLACE_ARCMIN = 1.0


class RemoteImage:
    """Sky image of some windows in every band, with its sources."""

    def compute(self, inputs: Sequence[Any], parameters: Mapping[str, Any], raw: Mapping[str, Path]) -> WindowImage:
        """Ask for one band after the other, and measure the sources of all in each."""
        found = [self._band(parameters, *band) for band in parameters["bands"]]
        images, lists = [image for image, _ in found], [rows for _, rows in found]
        listed = {row[0]: row for rows in reversed(lists) for row in rows}
        places = [row[:3] for row in listed.values()]
        asked = [place for place in parameters["at"] if not _covered(place, listed.values())]
        measured = [find_sources([image], math.inf, [], [*places, *asked]) for image in images]
        sources = [_source(row, lists, measured) for row in listed.values()]
        forced = [_in_all_bands(place[0], measured) for place in asked]
        kept = sorted((s for s in sources if s is not None), key=lambda s: -s.significance)
        noise = [band.noise[0] for band in measured]
        return WindowImage(images, [*kept, *(s for s in forced if s is not None)], noise)

    def _band(self, parameters: Mapping[str, Any], e1_kev: float, e2_kev: float) -> tuple[SkyImage, list[Any]]:
        request = {"E1_keV": e1_kev, "E2_keV": e2_kev, "detection_threshold": parameters["threshold"]}
        reply = ask("isgri_image", parameters, request)
        try:
            files = reply.files("mosaic_image")
            if len(files) != 1:
                raise DataError(f"{parameters['url']}: {len(files)} images where one was asked for")
            images = read_sky_images(files[0][0])
        finally:
            reply.close()
        return images[0], read_catalogue(reply.products.get("catalog") or {"cat_column_names": [], "ra": []})

    def save(self, value: WindowImage, folder: Path) -> None:
        """Write the images as FITS and the rest as JSON."""
        save_window_image(value, folder)

    def load(self, folder: Path) -> WindowImage:
        """Read images and lists."""
        return load_window_image(folder)


def _covered(place: Sequence[Any], rows: Iterable[CatalogueRow]) -> bool:
    name, ra, dec = place
    return any(row[0] == name or separation_deg(ra, dec, row[1], row[2]) * 60 < _SAME_PLACE_ARCMIN for row in rows)


def _in_all_bands(name: str, measured: Sequence[MosaicSources]) -> Source | None:
    """Source with the fluxes of all bands; None where a band does not see its place."""
    found = [next((s for s in band.sources if s.name == name), None) for band in measured]
    if any(source is None for source in found):
        return None
    whole = [source for source in found if source is not None]
    return replace(whole[0], bands=tuple(source.bands[0] for source in whole))


def _source(
    row: CatalogueRow, lists: Sequence[Sequence[CatalogueRow]], measured: Sequence[MosaicSources]
) -> Source | None:
    """Source of the server's catalogues: their significances, and the fluxes fitted in the images."""
    name, _, _, significance, new, radius_deg = row
    source = _in_all_bands(name, measured)
    if source is None:
        return None
    told = [next((r[3] for r in rows if r[0] == name), 0.0) for rows in lists]
    bands = tuple(replace(b, significance=t) if t > 0 else b for b, t in zip(source.bands, told, strict=True))
    law = osa_radius_arcmin(max([significance, *told]))
    radius = radius_deg * 60 if radius_deg > 0 else law
    return replace(source, bands=bands, new=new, forced=False, error_radius_arcmin=radius, error_radius_osa_arcmin=law)


class RemoteLightCurves:
    """Light curves of some windows in every band, of one source or of all that the server gives."""

    def compute(
        self, inputs: Sequence[Any], parameters: Mapping[str, Any], raw: Mapping[str, Path]
    ) -> list[LightCurve]:
        """Ask for one band after the other."""
        curves = [curve for band in parameters["bands"] for curve in self._band(parameters, *band)]
        wanted = parameters.get("source")
        kept = [curve for curve in curves if wanted is None or same_source(curve.name, wanted)]
        if not kept:
            raise DataError(f"{parameters['url']}: no light curve of {wanted or 'any source'} in the reply")
        return kept

    def _band(self, parameters: Mapping[str, Any], e1_kev: float, e2_kev: float) -> list[LightCurve]:
        request = {"E1_keV": e1_kev, "E2_keV": e2_kev, "time_bin": parameters["time_bin"]}
        reply = ask("isgri_lc", parameters, request)
        try:
            return [read_light_curve(path) for path, _ in reply.files("isgri_lc")]
        finally:
            reply.close()

    def save(self, value: list[LightCurve], folder: Path) -> None:
        """Write one FITS file a source."""
        save_light_curves(value, folder)

    def load(self, folder: Path) -> list[LightCurve]:
        """Read the FITS files."""
        return load_light_curves(folder)
