"""Raw files of a science window that the executables read beside its events."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from integral_oda.archive.scw import ScwId
from integral_oda.archive.tree import Archive
from integral_oda.errors import DataError

__all__ = ["CONTENTS", "raw_files", "require_raw_files"]

CONTENTS: Mapping[str, str] = {
    "swg": "",
    "events": "[ISGR-EVTS-ALL]",
    "hk": "[IBIS-DPE.-CNV]",
    "tcor": "[AUXL-TCOR-HIS]",
    "attitude": "[AUXL-ATTI-HIS,1,BINTABLE]",
    "snapshot": "[AUXL-ATTI-SNA,1,BINTABLE]",
    "predicted": "[AUXL-ATTI-PRE,1,BINTABLE]",
    "context": "[1]",
    "noise": "[1]",
    "switch": "[1]",
}
"""Extension of each file that the executables are handed."""

_VERSIONS = ("002", "001", "000")


def raw_files(archive: Archive, scw: str) -> dict[str, Path]:
    """Raw files of a window: its own, those of its revolution and the auxiliary ones.

    Versions may differ from the window's: the same one is tried first, then 002, 001 and 000. Where a file is in none
    of them the path is where it should be, so that reading it names it.
    """
    identifier = ScwId.parse(scw)
    own = archive.folder(scw)
    revolution = f"{identifier.revolution:04d}"
    index = _existing([archive.root / "scw" / revolution / f"rev.{v}" / "idx" for v in _tried(identifier)])
    auxiliary = _existing([archive.root / "aux" / "adp" / f"{revolution}.{v}" for v in _tried(identifier)])
    return {
        "swg": _file(own, "swg.fits"),
        "events": archive.events_file(scw),
        "hk": _file(own, "ibis_hk.fits"),
        "tcor": _file(auxiliary, "time_correlation.fits"),
        **_attitude(auxiliary),
        "context": _file(index, "isgri_context_index.fits"),
        "noise": _file(index, "isgri_prp_noise_index.fits"),
        "switch": _file(index, "isgri_pxlswtch_index.fits"),
    }


def require_raw_files(archive: Archive, scw: str) -> None:
    """Refuse a window that lacks a raw file.

    Raises
    ------
    DataError
        Naming the first one that is missing.
    """
    for path in raw_files(archive, scw).values():
        if not path.is_file():
            raise DataError(f"{path}: no such file, and the engine osa needs it: fetch it from ISDC's archive")


def _tried(identifier: ScwId) -> tuple[str, ...]:
    return tuple(dict.fromkeys((f"{identifier.version:03d}", *_VERSIONS)))


def _existing(folders: list[Path]) -> Path:
    return next((folder for folder in folders if folder.is_dir()), folders[0])


def _file(folder: Path, name: str) -> Path:
    packed = folder / f"{name}.gz"
    return packed if packed.is_file() and not (folder / name).is_file() else folder / name


def _attitude(folder: Path) -> dict[str, Path]:
    """Reconstructed attitude, else snapshot and prediction of near-real-time data."""
    historic, snapshot = _file(folder, "attitude_historic.fits"), _file(folder, "attitude_snapshot.fits")
    predicted = sorted(folder.glob("attitude_predicted_*.fits*"))
    if historic.is_file() or not (snapshot.is_file() and predicted):
        return {"attitude": historic}
    return {"snapshot": snapshot, "predicted": predicted[-1]}
