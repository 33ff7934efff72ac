"""RO-Crates: an output folder with what it takes for someone else to make the same products again."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from integral_oda import __version__
from integral_oda.background import query_of
from integral_oda.errors import DataError, OutputError

if TYPE_CHECKING:
    from integral_oda.analysis import Products

__all__ = ["CRATE_FILE", "rerun", "write_crate"]

CRATE_FILE = "ro-crate-metadata.json"
_TYPES = {".fits": "application/fits", ".png": "image/png", ".reg": "text/plain", ".json": "application/json"}


def write_crate(out: Path, products: Products) -> Path:
    """Describe the products in ``out`` as an RO-Crate 1.1.

    Parameters
    ----------
    out : Path
        Folder that the products were written to.
    products : Products
    """
    from integral_oda.analysis import ImageProducts

    kind = "image" if isinstance(products, ImageProducts) else "lightcurve"
    names = [name for name in products.summary["files"] if (out / name).is_file()]
    graph = [
        {
            "@id": CRATE_FILE,
            "@type": "CreativeWork",
            "conformsTo": {"@id": "https://w3id.org/ro/crate/1.1"},
            "about": {"@id": "./"},
        },
        {
            "@id": "./",
            "@type": "Dataset",
            "name": f"INTEGRAL/ISGRI {kind}",
            "hasPart": [{"@id": name} for name in names],
            "mentions": {"@id": "#query"},
        },
        *(_file(out / name) for name in names),
        {"@id": "#integral-oda", "@type": "SoftwareApplication", "name": "integral-oda", "version": __version__},
        {
            "@id": "#query",
            "@type": "CreateAction",
            "instrument": {"@id": "#integral-oda"},
            "result": [{"@id": name} for name in names],
            "object": json.dumps({"kind": kind, "query": products.summary["query"]}),
        },
    ]
    text = json.dumps({"@context": "https://w3id.org/ro/crate/1.1/context", "@graph": graph}, indent=2)
    try:
        (out / CRATE_FILE).write_text(text + "\n", encoding="utf-8")
    except OSError as exc:
        raise OutputError(f"{out}: cannot be written to ({exc.strerror or exc})") from exc
    return out / CRATE_FILE


def _file(path: Path) -> dict[str, Any]:
    return {
        "@id": path.name,
        "@type": "File",
        "encodingFormat": _TYPES.get(path.suffix, "application/octet-stream"),
        "contentSize": path.stat().st_size,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
    }


def rerun(crate: Path, out: Path, archive: Path | None = None, store: str | Path | None = None) -> dict[str, bool]:
    """Carry out the query of a crate again, write its products, and compare.

    Parameters
    ----------
    crate : Path
        Folder with ``ro-crate-metadata.json``, or that file.
    out, archive, store
        As for `integral_oda.analysis.analyse`.

    Returns
    -------
    dict of str to bool
        For each FITS file of the crate, whether its arrays are identical.

    Raises
    ------
    DataError
        If this is no crate of integral-oda.
    """
    from integral_oda.analysis import analyse

    path = crate / CRATE_FILE if crate.is_dir() else crate
    try:
        graph = json.loads(path.read_text(encoding="utf-8"))["@graph"]
        action = json.loads(next(item["object"] for item in graph if item.get("@id") == "#query"))
        query = query_of(action["kind"], action["query"])
        files = [item for item in graph if item.get("@type") == "File" and item["@id"].endswith(".fits")]
    except (OSError, ValueError, KeyError, StopIteration, TypeError) as exc:
        raise DataError(f"{path}: no RO-Crate of integral-oda ({exc})") from exc
    products = analyse(query, archive, store)
    products.write(out)
    return {item["@id"]: _same_arrays(path.parent / item["@id"], out / item["@id"]) for item in files}


def _same_arrays(first: Path, second: Path) -> bool:
    """Whether the data of all HDUs of two FITS files are the same, bit for bit."""
    from integral_oda.products.fits_io import open_fits

    if not (first.is_file() and second.is_file()):
        return False
    with open_fits(first) as one, open_fits(second) as other:
        return [_bytes(hdu) for hdu in one] == [_bytes(hdu) for hdu in other]


def _bytes(hdu: Any) -> bytes:
    return b"" if hdu.data is None else bytes(hdu.data.tobytes())
