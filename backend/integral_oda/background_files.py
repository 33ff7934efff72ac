"""Names of background maps, and the one that a window takes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from integral_oda.errors import RequestError
from integral_oda.instrument.energy import EnergyBand

__all__ = ["EPOCH_REVOLUTIONS", "bands_of_maps", "check_folder", "find_map", "map_name"]

EPOCH_REVOLUTIONS = 30
"""Windows further apart (some 80 days) are of different epochs: thresholds and pixels change."""
_NAME = re.compile(r"isgri_background_([\d.]+)-([\d.]+)_(\d{4})-(\d{4})\.fits")


def map_name(band: EnergyBand, scws: Iterable[str]) -> str:
    """Name of the map of a band and an epoch."""
    revolutions = sorted(scw[:4] for scw in scws)
    return f"isgri_background_{band}_{revolutions[0]}-{revolutions[-1]}.fits"


def find_map(folder: Path, band: EnergyBand, scw: str) -> Path | None:
    """The map of a band whose epoch is nearest to a window; None if none is near."""
    revolution = int(scw[:4])
    nearest: tuple[int, Path] | None = None
    for path in sorted(folder.glob("isgri_background_*.fits")):
        match = _NAME.fullmatch(path.name)
        if match is None or (float(match[1]), float(match[2])) != tuple(band):
            continue
        distance = max(int(match[3]) - revolution, revolution - int(match[4]), 0)
        if distance <= EPOCH_REVOLUTIONS and (nearest is None or distance < nearest[0]):
            nearest = distance, path
    return None if nearest is None else nearest[1]


def bands_of_maps(folder: Path) -> list[EnergyBand]:
    """Bands that a folder has maps of, from the lowest on."""
    names = (_NAME.fullmatch(path.name) for path in folder.glob("isgri_background_*.fits"))
    return sorted({EnergyBand(float(m[1]), float(m[2])) for m in names if m})


def check_folder(folder: Path, bands: Iterable[EnergyBand]) -> None:
    """Refuse a folder that has no map of a band at all.

    Raises
    ------
    RequestError
        Naming the bands that there are.
    """
    known = bands_of_maps(folder)
    if not known:
        raise RequestError("background", folder, "a folder with maps of `integral-oda calibrate background`")
    missing = [band for band in bands if band not in known]
    if missing:
        there = ", ".join(map(str, known))
        raise RequestError("background", folder, f"a map of {missing[0]} keV; the folder has {there}")
