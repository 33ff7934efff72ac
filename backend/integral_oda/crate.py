"""RO-Crates of products: an output folder that someone else can rerun and compare with."""

from __future__ import annotations

from pathlib import Path
from shutil import copyfile
from typing import TYPE_CHECKING

from integral_oda.background import kind_of, query_of
from integral_oda.errors import DataError, OutputError

if TYPE_CHECKING:
    from integral_oda.analysis import Products
    from integral_oda.query import Query

__all__ = ["make_crate", "rerun"]

_REPORTS = ("summary.json", "provenance.json")
_CATALOGUE = "user_catalogue"


def make_crate(out: Path, query: Query, products: Products) -> Path:
    """Make the folder that products were written to an RO-Crate; gives its metadata file."""
    from integral_oda.workflow.crate import write_crate

    kind = kind_of(query)
    files = [name for name in products.summary["files"] if name not in _REPORTS]
    values = {**query.model_dump(mode="json"), "scw_list": products.summary["query"]["scw_list"]}
    if query.catalog is not None:
        values["catalog"] = f"{_CATALOGUE}{query.catalog.suffix}"
        _copy(query.catalog, out / values["catalog"])
        files.append(values["catalog"])
    return write_crate(
        out,
        files,
        name=f"INTEGRAL/ISGRI {kind}",
        request={"kind": kind, "query": values},
        software=products.summary["versions"],
        inputs=products.raw,
    )


def rerun(crate: Path, out: Path, archive: Path | None = None, store: str | Path | None = None) -> list[str]:
    """Carry out the query of a crate again and write its products.

    Parameters
    ----------
    crate : Path
        Folder of the crate.
    out, archive, store
        As for `integral_oda.analysis.analyse`.

    Returns
    -------
    list of str
        Files of the crate that came out different: byte for byte, or in their data and their headers but for the
        versions of the software where that is another now.

    Raises
    ------
    DataError
        If this is no crate, or the archive's raw files are not those of the crate.
    """
    from integral_oda.analysis import analyse
    from integral_oda.products.signature import same_but_software
    from integral_oda.workflow.crate import read_crate

    known = read_crate(crate)
    values = dict(known.request["query"])
    if values.get("catalog"):
        values["catalog"] = str(crate / values["catalog"])
    query = query_of(known.request["kind"], values)
    products = analyse(query, archive, store)
    other = [name for name, checksum in known.inputs.items() if products.raw.get(name) != checksum]
    if other:
        raise DataError(f"{crate}: made from other raw files than this archive has: {', '.join(other)}")
    products.write(out)
    if query.catalog is not None:
        _copy(query.catalog, out / query.catalog.name)
    return [name for name in known.differences(out) if not same_but_software(crate / name, out / name)]


def _copy(source: Path, target: Path) -> None:
    try:
        copyfile(source, target)
    except OSError as exc:
        raise OutputError(f"{target}: cannot be written ({exc.strerror or exc})") from exc
