"""Instrument characteristics that the executables are handed, and which of their versions is valid when."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from integral_oda.archive.ic_tree import IC_KINDS, IcTree
from integral_oda.errors import UnavailableError

__all__ = ["CALIBRATION", "MASTER_GROUP", "CalibrationFile", "calibration_dol", "epoch_files"]

MASTER_GROUP = "idx/ic/ic_master_file.fits[1]"
_FETCH = "fetch the IC tree (ic and idx/ic) of ISDC's archive and set CURRENT_IC to its root"


@dataclass(frozen=True)
class CalibrationFile:
    """One file below ``ic/ibis``.

    Attributes
    ----------
    pattern : str
        File, with ``NNNN`` where the version follows from the time.
    extension : str
        Of the DOL.
    content : str
        In words.
    osa : str
        ``"10"`` or ``"11"`` where only that OSA takes it.
    """

    pattern: str
    extension: str
    content: str
    osa: str = ""


_TABLE, _IMAGE = ",1,BINTABLE", ",1,IMAGE"

CALIBRATION: Mapping[str, CalibrationFile] = {
    "mask": CalibrationFile("mod/isgr_mask_mod_0003.fits", f"[ISGR-MASK-MOD{_IMAGE}]", "mask model"),
    "deco": CalibrationFile("mod/isgr_deco_mod_0008.fits", f"[ISGR-DECO-MOD{_IMAGE}]", "decoding array"),
    "tungAtt": CalibrationFile("mod/isgr_attn_mod_0010.fits", f"[ISGR-ATTN-MOD{_TABLE}]", "attenuation of tungsten"),
    "aluAtt": CalibrationFile("mod/isgr_attn_mod_0011.fits", f"[ISGR-ATTN-MOD{_TABLE}]", "attenuation of aluminium"),
    "leadAtt": CalibrationFile("mod/isgr_attn_mod_0012.fits", f"[ISGR-ATTN-MOD{_TABLE}]", "attenuation of lead"),
    "covrMod": CalibrationFile("mod/isgr_covr_mod_0002.fits", "[1]", "covariances of mosaics"),
    "corr": CalibrationFile("mod/isgr_effi_mod_0011.fits", "[1]", "off-axis correction maps"),
    "arf": CalibrationFile("mod/isgr_effi_mod_0011.fits", "[ISGR-ARF.-RSP]", "effective area of the rebinning"),
    "back": CalibrationFile("bkg/isgr_back_bkg_0007.fits", "[1]", "background shapes"),
    "unif": CalibrationFile("bkg/isgr_unif_bkg_0002.fits", "[1]", "uniformity maps"),
    "ghosts": CalibrationFile("mod/isgr_ghos_mod_001.fits", f"[ISGR-GHOS-MOD{_IMAGE}]", "defects of the mask"),
    "bti": CalibrationFile("lim/isgr_gnrl_bti_0016.fits", "", "bad time intervals"),
    "gain_offset": CalibrationFile("cal/ibis_isgr_gain_offset_0010.fits", "[ISGR-OFFS-MOD]", "gain of each pixel"),
    "rise": CalibrationFile("mod/isgr_rise_mod_NNNN.fits", "[ISGR-RISE-MOD]", "rise-time correction", "11"),
    "mcec": CalibrationFile("mod/isgr_mcec_mod_NNNN.fits", "[ISGR-MCEC-MOD]", "correction of the modules", "11"),
    "l2re": CalibrationFile("mod/isgr_l2re_mod_NNNN.fits", "[ISGR-L2RE-MOD]", "drift of the gain", "11"),
    "rise_10": CalibrationFile("mod/isgr_3dl2_mod_0001.fits", "", "rise-time correction", "10"),
    "gain_10": CalibrationFile("mod/isgr_gain_mod_NNNN.fits", f"[ISGR-GAIN-MOD{_TABLE}]", "drift of the gain", "10"),
    "offset_10": CalibrationFile("mod/isgr_off2_mod_NNNN.fits", f"[ISGR-OFF2-MOD{_TABLE}]", "drift of offsets", "10"),
    "bounds": CalibrationFile("rsp/isgr_ebds_mod_0001.fits", "[1]", "bounds of the 256 channels"),
    "rmf": CalibrationFile("rsp/isgr_rmf_rsp_NNNN.fits", "", "redistribution matrix by epoch"),
    "area": CalibrationFile("rsp/isgr_arf_rsp_NNNN.fits", "", "effective area by epoch"),
}  # fmt: skip


def calibration_dol(name: str, ic_root: Path, time_ijd: float) -> str:
    """DOL of a calibration file: for a file by epoch the newest version whose validity covers a time.

    Parameters
    ----------
    name : str
        In `CALIBRATION`.
    ic_root : Path
        Folder that holds ``ic/ibis``.
    time_ijd : float
        IJD.

    Raises
    ------
    UnavailableError
        If the tree has no such file, or none for that time.
    """
    item = CALIBRATION[name]
    path = ic_root / "ic" / "ibis" / item.pattern
    if "NNNN" in item.pattern:
        path = _valid_file(ic_root, item.pattern, time_ijd)
    if not path.is_file():
        raise UnavailableError(f"{path}: no such calibration file ({item.content}); {_FETCH}")
    return f"{path}{item.extension}"


def epoch_files(ic_root: Path) -> list[str]:
    """Calibration files of a tree whose version follows from the time."""
    patterns = {item.pattern for item in CALIBRATION.values() if "NNNN" in item.pattern}
    root = ic_root / "ic" / "ibis"
    found = (path for pattern in patterns for path in root.glob(pattern.replace("NNNN", "*")))
    return sorted(str(path.relative_to(root)) for path in found)


def _valid_file(ic_root: Path, pattern: str, time_ijd: float) -> Path:
    kind = next(kind.name for kind in IC_KINDS.values() if pattern.startswith(f"{kind.folder}/{kind.pattern[:-1]}"))
    found = _tree(ic_root).find(kind, time_ijd)
    if found is None:
        raise UnavailableError(f"{ic_root}/ic/ibis/{pattern}: no version is valid at IJD {time_ijd:.3f}; {_FETCH}")
    return found.path


@functools.cache
def _tree(ic_root: Path) -> IcTree:
    return IcTree(ic_root)
