"""MOSAIC_SUM: images of windows added up, one in memory at a time, and kept for mosaics of more of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from integral_oda.engines.native.image import WindowImage, load_window_image, save_window_image
from integral_oda.errors import DataError
from integral_oda.imaging.mosaic import MosaicSum
from integral_oda.imaging.resampling import Resampler
from integral_oda.imaging.sky_grid import Extent, PlaneGrid
from integral_oda.instrument.energy import EnergyBand
from integral_oda.mosaics.inputs import NOISE_LIMIT
from integral_oda.products.sky_grid import SkyGrid, gnomonic_wcs, image_extent, image_plane
from integral_oda.products.sky_image import SkyImage

__all__ = ["PartialMosaic", "SumImages", "WindowLists", "add_up"]

_ARRAYS = tuple(item.name for item in fields(MosaicSum) if item.name not in ("row", "column", "images"))


@dataclass(frozen=True)
class WindowLists:
    """What a mosaic keeps of one window beside its pixels.

    Attributes
    ----------
    noise : list of dict
        One a band, as in ``summary.json``.
    keywords : list of dict
        FITS keywords of the image, one a band.
    """

    noise: list[dict[str, Any]]
    keywords: list[dict[str, Any]]

    @classmethod
    def of(cls, window: WindowImage) -> WindowLists:
        """Lists of a window's images."""
        return cls(window.noise, [dict(image.keywords) for image in window.images])


@dataclass(frozen=True)
class PartialMosaic:
    """Images of some windows, added up on a part of one grid.

    Attributes
    ----------
    bands : list of EnergyBand
    sums : list of MosaicSum
        One a band.
    windows : list of WindowLists
        In the order in which they were added.
    lone : WindowImage or None
        The images themselves where there is but one window.
    left_out : list of dict
        Windows (``scw``) whose noise is too wide to be added, and the ``reason``.
    """

    bands: list[EnergyBand]
    sums: list[MosaicSum]
    windows: list[WindowLists]
    lone: WindowImage | None
    left_out: list[dict[str, str]] = field(default_factory=list)


def add_up(parts: Iterable[WindowImage | PartialMosaic], tangent: Sequence[float]) -> PartialMosaic:
    """Add up images of windows and sums of such, each dropped before the next one is loaded.

    Parameters
    ----------
    parts : iterable of WindowImage or PartialMosaic
        At least one; all in the same bands, sums on the grid of the same tangent point.
    tangent : sequence of float
        RA and Dec (degrees) of the grid's tangent point.

    Raises
    ------
    DataError
        If the bands differ, or no window is left.
    """
    grid = _plane_grid(tangent)
    total: PartialMosaic | None = None
    left_out: list[dict[str, str]] = []
    for part in parts:
        too_wide = _too_wide(part)
        if too_wide:
            left_out.append(too_wide)
            continue
        whole = part if isinstance(part, PartialMosaic) else _empty(part)
        left_out += whole.left_out
        if total is not None and total.bands != whole.bands:
            raise DataError(f"images of the bands {total.bands} and {whole.bands} cannot be added up")
        sums = [_with(grid, None if total is None else total.sums[k], part, k) for k in range(len(whole.bands))]
        windows = whole.windows if total is None else [*total.windows, *whole.windows]
        total = PartialMosaic(whole.bands, sums, windows, whole.lone if total is None else None)
    if total is None:
        raise DataError(left_out[0]["reason"])
    return replace(total, left_out=left_out)


def _too_wide(part: WindowImage | PartialMosaic) -> dict[str, str] | None:
    """Which window is left out and why, if its noise is too wide."""
    if isinstance(part, PartialMosaic):
        return None
    width = max(noise["significance_sigma"] for noise in part.noise)
    if width <= NOISE_LIMIT:
        return None
    scw = str(part.images[0].keywords.get("SWID", ""))
    return {"scw": scw, "reason": f"{scw}: its significance map has a width of {width:.2f}, over {NOISE_LIMIT:g}"}


def _plane_grid(tangent: Sequence[float]) -> PlaneGrid:
    pixels = SkyGrid(gnomonic_wcs(*tangent), Extent(0, 0, 0, 0)).pixels
    assert isinstance(pixels, PlaneGrid)
    return pixels


def _empty(window: WindowImage) -> PartialMosaic:
    return PartialMosaic([image.band for image in window.images], [], [WindowLists.of(window)], window)


def _with(grid: PlaneGrid, total: MosaicSum | None, part: WindowImage | PartialMosaic, k: int) -> MosaicSum:
    """The sum of a band with one part more."""
    if isinstance(part, PartialMosaic):
        # Images are added in place: never to the arrays of an input.
        return (total or MosaicSum.empty(part.sums[k].extent)) + part.sums[k]
    return _with_image(grid, total, part.images[k])


def _with_image(grid: PlaneGrid, total: MosaicSum | None, image: SkyImage) -> MosaicSum:
    extent = image_extent(grid, image.coordinates, image.observed)
    if total is None:
        total = MosaicSum.empty(extent)
    elif total.extent.union(extent) != total.extent:
        total = total + MosaicSum.empty(extent)
    values = Resampler(image.intensity, image.variance, image.exposure)
    return total.with_image(values, image_plane(image.coordinates, image.shape), grid)


class SumImages:
    """Partial sum of a mosaic, of images or of other partial sums."""

    def compute(
        self,
        inputs: Sequence[tuple[str, WindowImage | PartialMosaic]],
        parameters: Mapping[str, Any],
        raw: Mapping[str, Path],
    ) -> PartialMosaic:
        """Add up; an input is loaded when its turn comes."""
        return add_up((value for _, value in inputs), parameters["tangent"])

    def save(self, value: PartialMosaic, folder: Path) -> None:
        """Write the sums as arrays that can be memory-mapped, and the rest as JSON."""
        for k, band_sum in enumerate(value.sums):
            for name in _ARRAYS:
                np.save(folder / f"{name}_{k}.npy", getattr(band_sum, name), allow_pickle=False)
        rest = {
            "bands": [list(band) for band in value.bands],
            "sums": [{"row": s.row, "column": s.column, "images": s.images} for s in value.sums],
            "left_out": value.left_out,
            "windows": [asdict(lists) for lists in value.windows],
        }
        (folder / "record.json").write_text(json.dumps(rest), encoding="utf-8")
        if value.lone is not None:
            (folder / "lone").mkdir()
            save_window_image(value.lone, folder / "lone")

    def load(self, folder: Path) -> PartialMosaic:
        """Read the sums."""
        try:
            rest = json.loads((folder / "record.json").read_text(encoding="utf-8"))
            arrays = [
                {name: np.load(folder / f"{name}_{k}.npy", mmap_mode="r", allow_pickle=False) for name in _ARRAYS}
                for k in range(len(rest["sums"]))
            ]
        except (OSError, EOFError, ValueError) as exc:
            raise DataError(f"{folder}: no stored sum of images ({exc})") from exc
        return PartialMosaic(
            bands=[EnergyBand(*band) for band in rest["bands"]],
            sums=[MosaicSum(**numbers, **planes) for numbers, planes in zip(rest["sums"], arrays, strict=True)],
            windows=[_window_lists(values) for values in rest["windows"]],
            left_out=rest["left_out"],
            lone=load_window_image(folder / "lone") if (folder / "lone").is_dir() else None,
        )


def _window_lists(values: Mapping[str, Any]) -> WindowLists:
    return WindowLists(values["noise"], values["keywords"])
