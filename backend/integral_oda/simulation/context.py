"""Pixel context of a simulated revolution: low thresholds and which pixels are on, as the archive has them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from integral_oda.errors import OutputError
from integral_oda.instrument.detector import DETECTOR_SHAPE
from integral_oda.instrument.pixel_status import OFF_STEP, threshold_step, without_gaps
from integral_oda.simulation.files import obt_ticks
from integral_oda.simulation.plane import DetectorPlane

__all__ = ["write_context"]

_GAIN_INDEX = 2
"""The commonest one in the context of revolution 100."""
_FOLDER, _INDEX = "rev.001", "isgri_context_index.fits"
_OPEN_END_IJD = 36525.0
_INDEX_CARDS = {"VERSION": "1I", "VSTART": "1D", "VSTOP": "1D", "REVOL": "1I", "CTXT_OBT": "20A", "CTXT_ORG": "8A"}


def write_context(plane: DetectorPlane, root: str | Path, revolution: int, start_ijd: float) -> Path:
    """Write the context of a revolution below the root of an archive, with its index.

    Parameters
    ----------
    plane : DetectorPlane
        Thresholds are rounded to the steps of OSA's law; pixels that do not work are off.
    root : str or Path
        Root of the archive.
    revolution : int
    start_ijd : float
        When it comes into force, IJD.

    Raises
    ------
    OutputError
        If the revolution has a context already or the folder cannot be written.
    """
    from astropy.io import fits

    from integral_oda.products.fits_io import grouping_hdu, isdc_cards, write_fits

    folder = Path(root) / "scw" / f"{revolution:04d}" / _FOLDER
    path, index_path = folder / "ctxt" / f"isgri_context_{revolution:04d}.fits", folder / "idx" / _INDEX
    if index_path.exists():
        raise OutputError(f"{index_path}: a pixel context is there already")
    try:
        for place in (path.parent, index_path.parent):
            place.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise OutputError(f"{folder}: cannot be written ({exc.strerror or exc})") from exc
    cards = _cards(revolution, start_ijd)
    cube = fits.ImageHDU(_planes(plane), name="ISGR-PXLP-CFG")
    cube.header.update({**isdc_cards("DAL_ARRAY", "PRP"), **cards})
    group = grouping_hdu("ISGR-CTXT-GRP", [cube], {})
    group.header.update({**isdc_cards("DAL_GROUP", "PRP"), **cards})
    index = grouping_hdu("ISGR-CTXT-GRP-IDX", [group], _INDEX_CARDS)
    index.data["MEMBER_LOCATION"] = f"../ctxt/{path.name}"
    index.data["MEMBER_URI_TYPE"] = "URL"
    write_fits(path, [fits.PrimaryHDU(), group, cube])
    write_fits(index_path, [fits.PrimaryHDU(), index])
    return path


def _planes(plane: DetectorPlane) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Gain index, threshold step and status, ``(3, 128, 128)``."""
    gain = np.full(DETECTOR_SHAPE, _GAIN_INDEX, dtype=np.uint8)
    step = np.where(plane.working, threshold_step(gain, plane.low_threshold_kev), OFF_STEP)
    planes = (without_gaps(values) for values in (gain, step, plane.working))
    return np.stack([values.astype(np.uint8) for values in planes])


def _cards(revolution: int, start_ijd: float) -> dict[str, Any]:
    return {
        "SIMULATE": True,
        "REVOL": revolution,
        "VERSION": 1,
        "VSTART": start_ijd,
        "VSTOP": _OPEN_END_IJD,
        "CTXT_OBT": f"{obt_ticks(start_ijd):020d}",
        "CTXT_ORG": "SIMULATE",
    }
