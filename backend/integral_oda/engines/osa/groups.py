"""Groups of ISDC's data access layer: what a single executable is handed in place of a whole observation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from integral_oda.engines.osa.workspace import Workspace
from integral_oda.instrument.energy import EnergyBand

__all__ = [
    "BIN_KEYWORDS",
    "BKG_KEYWORDS",
    "CAT_KEYWORDS",
    "GB_KEYWORDS",
    "IMA_KEYWORDS",
    "LIGHT_KEYWORDS",
    "PIF_KEYWORDS",
    "SPE_KEYWORDS",
    "band_index",
    "band_parameters",
    "observation_group",
    "science_window_group",
]

BIN_KEYWORDS = ("OBTSTART", "OBTEND")
BKG_KEYWORDS = (*BIN_KEYWORDS, "SWID", "SW_TYPE", "REVOL", "EXPID", "TSTART", "TSTOP", "SWBOUND")
PIF_KEYWORDS = (*BIN_KEYWORDS, "TSTART", "TSTOP", "SW_TYPE", "TELAPSE")
IMA_KEYWORDS = (*PIF_KEYWORDS, "SWID", "SWBOUND")
SPE_KEYWORDS = (*PIF_KEYWORDS, "SWID")
GB_KEYWORDS = ("TSTART", "TSTOP")
CAT_KEYWORDS = ("RA_SCX", "DEC_SCX")
LIGHT_KEYWORDS = (*BIN_KEYWORDS, "TSTART", "TSTOP", *CAT_KEYWORDS, "RA_SCZ", "DEC_SCZ")
_MOST_CHILDREN = 4


def science_window_group(
    work: Workspace,
    swg: Path,
    members: Sequence[str],
    keywords: Sequence[str] = (),
    level: str | None = None,
    name: str = "og.fits",
    *,
    imaging: bool = False,
) -> str:
    """Group of one science window.

    Parameters
    ----------
    work : Workspace
    swg : Path
        The window's own group, whose keywords are copied.
    members : sequence of str
        DOLs as the executables see them.
    keywords : sequence of str
        To be copied.
    level : str, optional
        ISDCLEVL: BIN_I, BIN_S or BIN_T.
    name : str
        File to make.
    imaging : bool
        Whether it is for the imaging, which asks for INSTRUME.
    """
    work.run("dal_create", (name,), obj_name=f"!{name}", template="GNRL-SCWG-GRP.tpl")
    _write(work, name, "REVOL", _revolution(swg))
    _attach(work, name, members)
    if keywords:
        work.run("dal_attr_copy", indol=work.seen(swg), outdol=name, keylist=",".join(keywords))
    if level is not None:
        _write(work, name, "ISDCLEVL", level)
    if imaging:
        _write(work, name, "INSTRUME", "IBIS")
    return name


def observation_group(work: Workspace, groups: Sequence[str], level: str, members: Sequence[str] = ()) -> str:
    """Observation group of the groups of some science windows, with further members."""
    (work.folder / "swgs.txt").write_text("\n".join(groups) + "\n", encoding="utf-8")
    work.run("txt2idx", ("og_idx.fits",), element="swgs.txt", index="og_idx.fits", template="GNRL-SCWG-GRP-IDX.tpl")
    _write(work, "og_idx.fits", "ISDCLEVL", level)
    work.run("dal_create", ("ogg.fits",), obj_name="!ogg.fits", template="GNRL-OBSG-GRP.tpl")
    _attach(work, "ogg.fits", ["og_idx.fits", *members])
    _write(work, "ogg.fits", "ISDCLEVL", level)
    return "ogg.fits"


def band_index(work: Workspace, bands: Sequence[EnergyBand], level: str) -> str:
    """Empty index of shadowgrams that carries a list of bands to the rebinning of maps."""
    from astropy.io import fits

    work.run("dal_create", ("og.fits",), obj_name="og.fits", template="ISGR-DETE-SHD-IDX.tpl")
    for _ in bands:
        work.run("dal_append", grpDOL="og.fits", element="ISGR-DETE-SHD.tpl")
    with fits.open(work.folder / "og.fits", mode="update") as hdus:
        for row, hdu, band in zip(hdus[1].data, hdus[2:], bands, strict=True):
            for name, value in (("E_MIN", band.e1_kev), ("E_MAX", band.e2_kev), ("ISDCLEVL", level)):
                row[name] = value
                hdu.header[name] = value
    return "og.fits"


def band_parameters(bands: Sequence[EnergyBand]) -> dict[str, Any]:
    """Number and edges of bands as the executables take them."""
    low, high = (" ".join(f"{band[side]:g}" for band in bands) for side in (0, 1))
    return {"num_band": len(bands), "E_band_min": low, "E_band_max": high}


def _attach(work: Workspace, parent: str, members: Sequence[str]) -> None:
    for start in range(0, len(members), _MOST_CHILDREN):
        children = members[start : start + _MOST_CHILDREN]
        work.run("dal_attach", Parent=parent, **{f"Child{n}": child for n, child in enumerate(children, start=1)})


def _write(work: Workspace, name: str, keyword: str, value: int | str) -> None:
    kind = {"type": "DAL_INT", "value_i": value} if isinstance(value, int) else {"type": "DAL_CHAR", "value_s": value}
    work.run("dal_attr", indol=name, keynam=keyword, **kind)


def _revolution(swg: Path) -> int:
    from integral_oda.archive.fits_table import read_hdus

    return int(read_hdus(swg)[1].header.get("REVOL") or 0)
