"""Which files of the IC tree and of the reference catalogue a public archive has."""

from __future__ import annotations

import re

from integral_oda.archive.download import PATIENT, AbsentError, Policy
from integral_oda.archive.ic_tree import IC_KINDS
from integral_oda.archive.mirrors import HEASARC, ISDC_IC, RemoteFile, TreeMirror, open_tree

__all__ = ["IC_MIRRORS", "ic_mirror", "list_ic_files"]

IC_MIRRORS = {"heasarc": HEASARC, "isdc": ISDC_IC}
_MASTER = "ic_master_file.fits"
_CATALOGUE = re.compile(r"gnrl_refr_cat_(\d{4})\.fits(\.gz)?")
_CATALOGUE_FOLDER = "cat/hec"


def ic_mirror(name: str, policy: Policy = PATIENT) -> TreeMirror:
    """Give the archive of a name (``heasarc``, ``isdc``) or of the URL of a tree, for the IC tree.

    Raises
    ------
    RequestError
        If it is neither.
    """
    return open_tree(name, IC_MIRRORS, IC_MIRRORS, policy)


def list_ic_files(mirror: TreeMirror, engine: str = "native", catalogue: str | None = None) -> list[RemoteFile]:
    """List what an engine reads of the IC tree, with its indices and the reference catalogue.

    Parameters
    ----------
    mirror : TreeMirror
        Where to look.
    engine : str
        ``"native"``: the kinds of characteristics that it knows; ``"osa"``: all of IBIS and the reference tables.
    catalogue : str, optional
        Version of the reference catalogue, four digits; the newest unless given.

    Raises
    ------
    AbsentError
        If the archive has no IC tree, or not the catalogue asked for.
    UnavailableError
        If it cannot be reached.
    """
    if engine == "osa":
        found = [file for folder in ("idx/ic", "ic/ibis", "ic/sc", "aux/adp/ref") for file in mirror.all_below(folder)]
    else:
        indices = [f"{kind.structure}-IDX.fits" for kind in IC_KINDS.values()]
        found = mirror.below("idx/ic", [p for name in (_MASTER, *indices) for p in (name, f"{name}.gz")])
        for kind in IC_KINDS.values():
            found += mirror.below(f"ic/ibis/{kind.folder}", (f"{kind.pattern}.fits", f"{kind.pattern}.fits.gz"))
    if not any(file.place.startswith("ic/") for file in found):
        raise AbsentError(f"{mirror.name} has no IC tree (ic/ibis)")
    return [*found, *_catalogue(mirror, catalogue)]


def _catalogue(mirror: TreeMirror, version: str | None) -> list[RemoteFile]:
    versions = {match[1]: name for name in mirror.listing(_CATALOGUE_FOLDER) if (match := _CATALOGUE.fullmatch(name))}
    if version is None and not versions:
        return []
    wanted = version or max(versions)
    if wanted not in versions:
        known = ", ".join(sorted(versions)) or "none"
        raise AbsentError(f"{mirror.name} has no reference catalogue of version {wanted}; it has {known}")
    return mirror.below(_CATALOGUE_FOLDER, [versions[wanted]])
