"""Light curves in QDP text, as plotting programs of X-ray astronomy keep them."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import numpy as np

from integral_oda.errors import DataError
from integral_oda.instrument.energy import EnergyBand
from integral_oda.products.light_curve import LightCurve

__all__ = ["is_qdp", "read_qdp"]

_MJDREF, _DAY_S = 51544.0, 86400.0
_COLUMNS = 4
_NUMBER = r"[-+]?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?"


def is_qdp(path: str | Path) -> bool:
    """Whether a file's name says that it is QDP text, gzipped or not."""
    return Path(path).name.removesuffix(".gz").endswith(".qdp")


def read_qdp(path: str | Path) -> LightCurve:
    """Read a light curve with symmetric errors on time and rate.

    Times are seconds since the MJD that the label of the X axis names (TT); of further columns an off-axis
    angle is the fifth. Name, position and band are taken from the labels.

    Raises
    ------
    DataError
        If the file is missing, no QDP light curve, or names no start.
    """
    text = _text(Path(path))
    reference = re.search(rf"since MJD\s+({_NUMBER})", text)
    lines = (line.split() for line in text.splitlines())
    rows = [fields for fields in lines if len(fields) >= _COLUMNS and re.fullmatch(_NUMBER, fields[0])]
    if reference is None or not rows or len({len(fields) for fields in rows}) != 1:
        raise DataError(f"{path}: holds no light curve (columns time, half width, rate, error since a MJD)")
    try:
        table = np.array(rows, dtype=float)
    except ValueError as exc:
        raise DataError(f"{path}: {exc}") from None
    unknown = np.full(len(table), np.nan)
    name, ra, dec = _object(text)
    return LightCurve(
        name=name,
        ra_deg=ra,
        dec_deg=dec,
        band=_band(text),
        time_ijd=float(reference[1]) - _MJDREF + table[:, 0] / _DAY_S,
        width_s=2 * table[:, 1],
        rate=table[:, 2],
        error=table[:, 3],
        fractional_exposure=np.ones(len(table)),
        counts=unknown,
        background=unknown,
        background_error=unknown,
        keywords={},
    )


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
        if path.name.endswith(".gz"):
            content = gzip.decompress(content)
        return content.decode("utf-8", errors="replace")
    except FileNotFoundError as exc:
        raise DataError(f"{path}: no such file") from exc
    except (OSError, EOFError) as exc:
        raise DataError(f"{path}: damaged ({exc})") from exc


def _object(text: str) -> tuple[str, float, float]:
    found = re.search(rf"LAB T\s+(.*?)\s*\(RA=({_NUMBER}), Dec=({_NUMBER})\)", text)
    return (found[1], float(found[2]), float(found[3])) if found else ("", np.nan, np.nan)


def _band(text: str) -> EnergyBand:
    found = re.search(r"\((\d+(?:\.\d+)?)-(\d+(?:\.\d+)?) keV\)", text)
    return EnergyBand(float(found[1]), float(found[2])) if found else EnergyBand(np.nan, np.nan)
