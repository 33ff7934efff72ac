"""The instrument characteristics (IC) that a user has: which file of which version holds for a time.

The tree is ISDC's: files under ``ic/ibis/{mod,cal,bkg,lim,rsp}`` and one index a structure,
``idx/ic/<STRUCTURE>-IDX.fits``, whose rows have VERSION, VSTART and VSTOP (IJD). Files without an index are found by
name, with the validity of their headers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from integral_oda.archive.fits_table import find_table, read_hdus
from integral_oda.archive.housekeeping import member_path
from integral_oda.errors import DataError

__all__ = ["IC_KINDS", "IcFile", "IcKind", "IcTree", "checked_tree"]

_FOREVER = 99999.0
"""VSTOP of files that are valid until further notice."""


@dataclass(frozen=True)
class IcKind:
    """One kind of instrument characteristics.

    Attributes
    ----------
    name : str
        What headers and ``ic info`` call it.
    structure : str
        Its ISDC data structure; the index is named after it.
    folder, pattern : str
        Where files without an index are found, below ``ic/ibis``.
    nominal : str
        What stands in its place where there is none.
    """

    name: str
    structure: str
    folder: str
    pattern: str
    nominal: str


IC_KINDS = {
    kind.name: kind
    for kind in (
        IcKind("mask", "ISGR-MASK-MOD", "mod", "isgr_mask_mod_*", "MURA of order 53, 95 x 95 cells"),
        IcKind("deco", "ISGR-DECO-MOD", "mod", "isgr_deco_mod_*", "the mask's contrast on pixels"),
        IcKind("effi", "ISGR-EFFI-MOD", "mod", "isgr_effi_mod_*", "support transmission 1, with a systematic"),
        IcKind("covr", "ISGR-COVR-MOD", "mod", "isgr_covr_mod_*", "Gaussian correlation of the noise"),
        IcKind("back", "ISGR-BACK-BKG", "bkg", "isgr_back_bkg_*", "flat, its structure under a prior"),
        IcKind("unif", "ISGR-UNIF-BKG", "bkg", "isgr_unif_bkg_*", "flat"),
        IcKind("arf", "ISGR-ARF.-RSP", "rsp", "isgr_arf_rsp_*", "area of ii_shadow_build"),
        IcKind("rmf", "ISGR-RMF.-RSP", "rsp", "isgr_rmf_rsp_*", "Gaussian redistribution"),
        IcKind("lut1", "ISGR-OFFS-MOD", "cal", "ibis_isgr_gain_offset_*", "energies of the archive"),
        IcKind("lut2", "ISGR-RISE-MOD", "mod", "isgr_rise_mod_*", "energies of the archive"),
        IcKind("mcec", "ISGR-MCEC-MOD", "mod", "isgr_mcec_mod_*", "energies of the archive"),
        IcKind("l2re", "ISGR-L2RE-MOD", "mod", "isgr_l2re_mod_*", "energies of the archive"),
        IcKind("gain", "ISGR-GAIN-MOD", "mod", "isgr_gain_mod_*", "nothing: only OSA 10 takes it"),
        IcKind("off2", "ISGR-OFF2-MOD", "mod", "isgr_off2_mod_*", "nothing: only OSA 10 takes it"),
        IcKind("effc", "ISGR-EFFC-MOD", "mod", "isgr_effc_mod_*", "OSA's law for the context's steps"),
        IcKind("bti", "ISGR-GNRL-BTI", "lim", "isgr_gnrl_bti_*", "no bad time intervals"),
    )
}
"""The kinds that are read, by name."""


@dataclass(frozen=True)
class IcFile:
    """One file of instrument characteristics with its validity in IJD."""

    kind: str
    path: Path
    version: int
    vstart: float
    vstop: float

    def covers(self, time_ijd: float) -> bool:
        """Whether it is valid at a time."""
        return self.vstart <= time_ijd <= self.vstop

    @property
    def label(self) -> str:
        """Name of the file, as written into headers."""
        return self.path.name.removesuffix(".gz").removesuffix(".fits")


class IcTree:
    """Instrument characteristics under one root folder.

    Parameters
    ----------
    root : str or Path
        The folder that holds ``ic/`` and ``idx/ic/``.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)
        self._files: dict[str, list[IcFile]] = {}

    def __bool__(self) -> bool:
        """Whether there is anything at all."""
        return (self.root / "ic" / "ibis").is_dir()

    def files(self, kind: str) -> list[IcFile]:
        """Every file of a kind that is here, the newest last."""
        if kind not in self._files:
            found = list(self._indexed(IC_KINDS[kind])) or list(self._by_name(IC_KINDS[kind]))
            self._files[kind] = sorted(found, key=lambda f: (f.version, f.vstart, f.path.name))
        return self._files[kind]

    def find(self, kind: str, time_ijd: float) -> IcFile | None:
        """File of a kind for a time: the newest version whose validity covers it, of equal ones the latest to begin."""
        covering = [file for file in self.files(kind) if file.covers(time_ijd)]
        return covering[-1] if covering else None

    def at(self, time_ijd: float) -> dict[str, IcFile]:
        """Files of all kinds for a time; kinds of which there is none are left out."""
        found = {kind: self.find(kind, time_ijd) for kind in IC_KINDS}
        return {kind: file for kind, file in found.items() if file is not None}

    def _indexed(self, kind: IcKind) -> Iterator[IcFile]:
        index = self._index(kind)
        if index is None:
            return
        table = find_table(read_hdus(index), "GROUPING")
        columns = [table.column(name) for name in ("MEMBER_LOCATION", "VERSION", "VSTART", "VSTOP")]
        for location, version, start, stop in zip(*columns, strict=True):
            text = location.decode("ascii", "replace").strip("\0 ") if isinstance(location, bytes) else str(location)
            path = member_path(index.parent, text.strip())
            if path is not None:
                yield IcFile(kind.name, path, int(version), float(start), float(stop))

    def _index(self, kind: IcKind) -> Path | None:
        path = self.root / "idx" / "ic" / f"{kind.structure}-IDX.fits"
        return next((p for p in (path, path.with_name(f"{path.name}.gz")) if p.is_file()), None)

    def _by_name(self, kind: IcKind) -> Iterator[IcFile]:
        for path in sorted((self.root / "ic" / "ibis" / kind.folder).glob(f"{kind.pattern}.fits*")):
            headers = [hdu.header for hdu in read_hdus(path)]
            start, stop = (_first_number(headers, key) for key in ("VSTART", "VSTOP"))
            version = _first_number(headers, "VERSION")
            number = path.name.split(".")[0].rsplit("_", 1)[-1]
            yield IcFile(
                kind.name,
                path,
                int(version if version is not None else number if number.isdigit() else 0),
                -_FOREVER if start is None else start,
                _FOREVER if stop is None else stop,
            )


def _first_number(headers: list[Any], key: str) -> float | None:
    """Value of a keyword in the first header where it is a number; templates leave a word there."""
    values = (header.get(key) for header in headers)
    return next((float(v) for v in values if isinstance(v, int | float) and not isinstance(v, bool)), None)


def checked_tree(root: str | Path) -> IcTree:
    """IC tree of a folder that a user names.

    Raises
    ------
    DataError
        If there is none.
    """
    tree = IcTree(root)
    if not tree:
        raise DataError(f"{root}: no folder ic/ibis in it, so no instrument characteristics")
    return tree
