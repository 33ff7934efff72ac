"""``integral-oda import``: the products of an existing OSA observation directory, as this project's own."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from integral_oda.errors import DataError, NothingLeftError
from integral_oda.folders import store_root
from integral_oda.results import PROVENANCE_FILE, SUMMARY_FILE
from integral_oda.versions import software_versions
from integral_oda.workflow.progress import Listener, silent

__all__ = ["import_observation"]


def import_observation(
    observation: Path, out: Path, store: str | Path | None = None, listener: Listener = silent
) -> dict[str, Any]:
    """Read an observation directory, or one file of it, into products.

    Parameters
    ----------
    observation : Path
        Such as ``obs/<ogid>``.
    out : Path
        Folder for the products: the image in it, light curves, spectra and PIFs in folders below.
    store : str or Path, optional
        Root of the product store, else the user's.
    listener : callable
        Told of every step.

    Returns
    -------
    dict
        As written to ``summary.json``: ``imported`` by folder, ``left_out`` with reasons, ``files``, ``sources``.

    Raises
    ------
    DataError
        If there is nothing to be read.
    NothingLeftError
        If no product could be made.
    """
    from integral_oda.engines.osa.observation import find_products, product_nodes
    from integral_oda.workflow.executor import execute
    from integral_oda.workflow.provenance import lineage, prov_document
    from integral_oda.workflow.shared import open_store

    found = find_products(observation)
    nodes = product_nodes(found)
    kept = open_store(store or store_root())
    execution = execute(list(nodes.values()), kept, listener)
    summary: dict[str, Any] = {"observation": str(observation), "imported": {}, "left_out": [], "files": []}
    for place, node in nodes.items():
        target = out / place
        cell, key = execution.cell(node), execution.key(node)
        if cell is not None and cell.error is not None:
            summary["left_out"].append({"folder": place, "reason": str(cell.error)})
            continue
        folder = None if key is None else kept.find(key)
        if folder is None:
            raise DataError(f"{observation}: its products are not in the store any more")
        made = lineage(execution, node, kept)
        files = _copied(folder, target)
        prov = prov_document(made, software_versions(), {"observation": str(observation)})
        (target / PROVENANCE_FILE).write_text(json.dumps(prov, indent=2) + "\n", encoding="utf-8")
        summary["imported"][place or "."] = json.loads((folder / "lists.json").read_text(encoding="utf-8"))
        summary["files"] += [str(Path(place) / name) for name in (*files, PROVENANCE_FILE)]
    if not summary["imported"]:
        raise NothingLeftError(f"{observation}: {summary['left_out'][0]['reason']}")
    summary |= {"ignored": [str(path) for path in found.others], "versions": software_versions()}
    (out / SUMMARY_FILE).write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    return summary


def _copied(folder: Path, target: Path) -> list[str]:
    target.mkdir(parents=True, exist_ok=True)
    names = sorted(p.name for p in folder.iterdir() if p.suffix in (".fits", ".png", ".reg"))
    for name in names:
        shutil.copyfile(folder / name, target / name)
    return names
