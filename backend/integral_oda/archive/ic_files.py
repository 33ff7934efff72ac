"""Files of the IC tree as arrays: mask, decoding array, off-axis maps, detector maps, tables, bad time."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from integral_oda.archive.fits_table import Hdu, find_table, read_hdus
from integral_oda.arrays import Array
from integral_oda.errors import DataError
from integral_oda.instrument.attitude import SKY_SHAPE
from integral_oda.instrument.detector import DETECTOR_SHAPE
from integral_oda.instrument.efficiency_table import EfficiencyTable
from integral_oda.instrument.energy import EnergyBand
from integral_oda.instrument.energy_calibration import EnergyCalibration
from integral_oda.instrument.mask import MASK_CELLS
from integral_oda.instrument.pixel_status import on_grid

__all__ = [
    "BandMaps",
    "read_covariances",
    "read_decoding",
    "read_detector_maps",
    "read_efficiency_table",
    "read_energy_calibration",
    "read_mask",
    "read_off_axis_maps",
]


@dataclass(frozen=True, eq=False)
class BandMaps:
    """Maps of some energy bands.

    Attributes
    ----------
    bands : ndarray
        ``(n, 2)`` keV, in order.
    planes : ndarray
        ``(n, rows, columns)``.
    """

    bands: Array
    planes: Array

    def mean(self, band: EnergyBand, index: float = 2.0) -> Array:
        """Map of a band: those that it overlaps, weighted by a power law; the nearest one where it overlaps none.

        Parameters
        ----------
        band : EnergyBand
        index : float
            Photon index of the weights (OSA's ii_map_rebin takes 2).
        """
        low = np.maximum(self.bands[:, 0], band.e1_kev)
        high = np.maximum(np.minimum(self.bands[:, 1], band.e2_kev), low)
        weights = low ** (1 - index) - high ** (1 - index)
        if not weights.sum() > 0:
            middle = self.bands.mean(axis=1)
            return np.asarray(self.planes[np.abs(np.log(middle / np.sqrt(band.e1_kev * band.e2_kev))).argmin()])
        used = weights > 0
        return np.tensordot(weights[used] / weights.sum(), self.planes[used], axes=1)


def read_mask(path: str | Path) -> NDArray[np.int8]:
    """Read ISGR-MASK-MOD as ``(95, 95)``, 1 = open, rows along Z.

    Raises
    ------
    DataError
        If it is no mask of that size.
    """
    (plane,) = _images(path, "ISGR-MASK-MOD", most=1)
    cells = np.asarray(plane[1])
    if cells.shape != (MASK_CELLS, MASK_CELLS):
        raise DataError(f"{path}: ISGR-MASK-MOD is {cells.shape}; {MASK_CELLS} x {MASK_CELLS} cells are needed")
    return (cells > 0.5).astype(np.int8)


def read_decoding(path: str | Path) -> Array:
    """Read the decoding array (ISGR-DECO-MOD), rows along Z; of cells or of pixels, as the file has it."""
    ((_, plane),) = _images(path, "ISGR-DECO-MOD", most=1)
    return np.asarray(plane, dtype=float)


def read_covariances(path: str | Path) -> tuple[Array, Array]:
    """Read the covariances of neighbouring sky pixels (ISGR-COVR-MOD), along a side and over a corner.

    Each ``(400, 400)`` on the grid of a sky image; COVRTYPE, in the images' headers or in the index before them, says
    which is which (CARTESIAN, DIAGONAL).

    Raises
    ------
    DataError
        If one of the two is missing or has another shape.
    """
    images = _images(path, "ISGR-COVR-MOD")
    listed = _listed_types(Path(path))
    found = {}
    for number, (header, plane) in enumerate(images):
        named = str(header.get("COVRTYPE", listed[number] if number < len(listed) else "")).strip()
        found[named] = np.asarray(plane, dtype=float)
    side, corner = (found.get(name) for name in ("CARTESIAN", "DIAGONAL"))
    if side is None or corner is None or side.shape != SKY_SHAPE or corner.shape != SKY_SHAPE:
        raise DataError(f"{path}: no maps CARTESIAN and DIAGONAL of {SKY_SHAPE[0]} x {SKY_SHAPE[1]} in ISGR-COVR-MOD")
    return side, corner


def _listed_types(path: Path) -> list[str]:
    """COVRTYPE of the members of an index, in its order; empty without one."""
    try:
        table = find_table(read_hdus(path), "GROUPING")
    except DataError:
        return []
    if "COVRTYPE" not in table.columns:
        return []
    values = table.column("COVRTYPE")
    return [v.decode("ascii", "replace").strip("\0 ") if isinstance(v, bytes) else str(v).strip() for v in values]


def read_off_axis_maps(path: str | Path) -> BandMaps:
    """Read the off-axis correction maps (ISGR-EFFI-MOD), ``(n, 400, 400)`` on the grid of a sky image.

    Of a file without any of that name, as OSA's rebinned ones may be, every image is taken for one.
    """
    images = _images(path, None)
    return _band_maps(path, [i for i in images if i[0].get("EXTNAME") == "ISGR-EFFI-MOD"] or images, SKY_SHAPE)


def read_detector_maps(path: str | Path) -> BandMaps:
    """Read background (ISGR-BACK-BKG) or uniformity maps (ISGR-UNIF-BKG), ``(n, 134, 130)``; gaps are 0."""
    return _band_maps(path, _images(path, None), DETECTOR_SHAPE)


def _band_maps(path: str | Path, images: list[tuple[Any, Any]], shape: tuple[int, int]) -> BandMaps:
    bands, planes = [], []
    for header, plane in images:
        grid = on_grid(plane) if shape == DETECTOR_SHAPE and plane.shape == (128, 128) else plane
        if grid.shape != shape:
            raise DataError(f"{path}: a map is {plane.shape}; {shape[0]} x {shape[1]} is needed")
        if "E_MIN" not in header or "E_MAX" not in header:
            raise DataError(f"{path}: a map without the energies of its band (E_MIN, E_MAX)")
        bands.append((float(header["E_MIN"]), float(header["E_MAX"])))
        planes.append(np.nan_to_num(np.asarray(grid, dtype=np.float32)))
    order = np.argsort([low for low, _ in bands], kind="stable")
    return BandMaps(np.array(bands)[order], np.stack([planes[k] for k in order]))


def _images(path: str | Path, name: str | None, most: int | None = None) -> list[tuple[Any, Any]]:
    """Headers and data of the two-dimensional images of a file, of one extension name where one is given."""
    from integral_oda.products.fits_io import open_fits

    with open_fits(path) as hdus:
        found = [
            (hdu.header, hdu.data)
            for hdu in hdus
            if hdu.is_image and hdu.data is not None and hdu.data.ndim == 2 and name in (None, hdu.name)
        ]
    if not found:
        raise DataError(f"{path}: no image {name or 'with a map'}")
    return found[:most]


def read_energy_calibration(files: dict[str, Path]) -> EnergyCalibration | None:
    """Tables of the energy reconstruction; None unless both look-up tables are there.

    Parameters
    ----------
    files : dict of str to Path
        ``lut1`` and ``lut2``, and where there are any ``mcec`` and ``l2re``.
    """
    if not {"lut1", "lut2"} <= files.keys():
        return None
    lut1 = _columns(files["lut1"], ("AGAIN", "AOFFSET", "RTGAIN", "RTOFFSET"))
    if len(lut1[0]) != 128 * 128:
        raise DataError(f"{files['lut1']}: {len(lut1[0])} rows; {128 * 128} are needed")
    lut2 = _columns(files["lut2"], ("ENERGY", "CORR"))
    terms = ("PHA_OFFSET", "PHA_GAIN", "PHA_GAIN2", "RT_OFFSET", "RT_GAIN")
    mcec = _columns(files["mcec"], ("MCE", *terms, "RT_PHA_GAIN")) if "mcec" in files else None
    l2re = _columns(files["l2re"], (_time_column(files["l2re"]), *terms)) if "l2re" in files else None
    return EnergyCalibration.from_tables(lut1, lut2, mcec, l2re)


def _time_column(path: Path) -> str:
    """Name of the column of times: IJD where a table has it, else TIME."""
    return "IJD" if any("IJD" in hdu.columns for hdu in _tables(path)) else "TIME"


def read_efficiency_table(path: str | Path) -> EfficiencyTable:
    """Read ISGR-EFFC-MOD: efficiencies by module and by group of threshold, and the thresholds of the groups."""
    grouping, group, efficiency = _columns(Path(path), ("PIXEL_GROUPING", "PIXEL_GROUP", "EFFICIENCY"))
    return EfficiencyTable.from_rows(grouping.astype(int), group.astype(int), efficiency)


def _columns(path: Path, names: tuple[str, ...]) -> list[Array]:
    for hdu in _tables(path):
        if set(names) <= hdu.columns.keys():
            return [np.asarray(hdu.column(name), dtype=float) for name in names]
    raise DataError(f"{path}: no table with the columns {', '.join(names)}")


def _tables(path: str | Path) -> list[Hdu]:
    return [hdu for hdu in read_hdus(path) if hdu.header.get("XTENSION") == "BINTABLE"]
