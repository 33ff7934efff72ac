"""Light curves from the sky images of science windows: the flux of every source, one point a window."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from integral_oda.engines.native.image import WindowImage
from integral_oda.engines.native.timing import load_light_curves, save_light_curves
from integral_oda.errors import DataError
from integral_oda.mosaics.sources import find_sources
from integral_oda.products.light_curve import LightCurve
from integral_oda.products.sky_image import SkyImage
from integral_oda.products.source_list import Source

__all__ = ["ImageCurves"]

_DAY_S = 86400.0
_NO_NEW_SOURCES = 1e6
_SUM = "all"


class ImageCurves:
    """Flux of the sources of a mosaic in each of its images; the mosaic is the input whose scope is ``all``."""

    def compute(
        self, inputs: Sequence[tuple[str, WindowImage]], parameters: Mapping[str, Any], raw: Mapping[str, Path]
    ) -> list[LightCurve]:
        """Measure every image at the places of all sources."""
        sources = [source for scope, value in inputs if scope == _SUM for source in value.sources]
        windows = [value for scope, value in inputs if scope != _SUM]
        if not sources:
            raise DataError("no source in the images: no light curve")
        points = [self._measured(image, sources) for window in windows for image in window.images]
        curves = [
            _curve(source, points, band) for source in sources for band in dict.fromkeys(p[0].band for p in points)
        ]
        return [curve for curve in curves if len(curve)]

    @staticmethod
    def _measured(image: SkyImage, sources: Sequence[Source]) -> tuple[SkyImage, dict[str, Source]]:
        places = [(source.name, source.ra_deg, source.dec_deg) for source in sources]
        found = find_sources([image], _NO_NEW_SOURCES, [], places)
        return image, {source.name: source for source in found.sources}

    def save(self, value: list[LightCurve], folder: Path) -> None:
        """Write the curves."""
        save_light_curves(value, folder)

    def load(self, folder: Path) -> list[LightCurve]:
        """Read the curves."""
        return load_light_curves(folder)


def _curve(source: Source, points: Sequence[tuple[SkyImage, Mapping[str, Source]]], band: Any) -> LightCurve:
    seen = [
        (image, found[source.name].bands[0]) for image, found in points if image.band == band and source.name in found
    ]
    seen.sort(key=lambda pair: _span(pair[0])[0])
    spans = np.array([_span(image) for image, _ in seen]).reshape(-1, 2)
    width = np.diff(spans, axis=1)[:, 0] * _DAY_S
    ontime = np.array([float(image.keywords.get("ONTIME", np.nan)) for image, _ in seen])
    unknown = np.full(len(seen), np.nan)
    return LightCurve(
        name=source.name,
        ra_deg=source.ra_deg,
        dec_deg=source.dec_deg,
        band=band,
        time_ijd=spans.mean(axis=1),
        width_s=width,
        rate=np.array([measured.flux for _, measured in seen]),
        error=np.array([measured.flux_error for _, measured in seen]),
        fractional_exposure=np.clip(np.divide(ontime, width, out=np.ones(len(seen)), where=width > 0), 0, 1),
        counts=unknown,
        background=unknown,
        background_error=unknown,
        keywords={"CREATOR": str(seen[0][0].keywords.get("CREATOR", ""))} if seen else {},
        mcrab=np.array([measured.flux_mcrab for _, measured in seen]),
        mcrab_error=np.array([measured.flux_error_mcrab for _, measured in seen]),
    )


def _span(image: SkyImage) -> tuple[float, float]:
    """Start and stop of an image, IJD.

    Raises
    ------
    DataError
        If it does not say.
    """
    for start, stop in (("TFIRST", "TLAST"), ("TSTART", "TSTOP")):
        if start in image.keywords and stop in image.keywords:
            return float(image.keywords[start]), float(image.keywords[stop])
    raise DataError("a sky image says neither TFIRST nor TSTART: no light curve")
