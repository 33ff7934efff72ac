"""A product as an RO-Crate: a folder that says what was asked and what came of it, so that it can be asked again."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from integral_oda.errors import DataError, OutputError
from integral_oda.workflow.keys import file_sha256

__all__ = ["METADATA_NAME", "REQUEST_NAME", "Crate", "read_crate", "write_crate"]

METADATA_NAME = "ro-crate-metadata.json"
REQUEST_NAME = "request.json"
_CONTEXT = "https://w3id.org/ro/crate/1.1/context"
_CONFORMS = "https://w3id.org/ro/crate/1.1"
_MEDIA = {".fits": "application/fits", ".json": "application/json", ".png": "image/png", ".reg": "text/plain"}


@dataclass(frozen=True)
class Crate:
    """What a crate says.

    Attributes
    ----------
    request : mapping
        What was asked.
    software : mapping
        Names and versions of the software that answered.
    inputs : mapping
        sha256 of the raw files that it was made from, by a name.
    files : mapping
        sha256 of the files of the product, by their names in the crate.
    """

    request: Mapping[str, Any]
    software: Mapping[str, str]
    inputs: Mapping[str, str]
    files: Mapping[str, str]

    def differences(self, folder: Path) -> list[str]:
        """Names of the product's files that are not the same, byte for byte, in another folder."""
        return [name for name, checksum in self.files.items() if not _is_file(folder / name, checksum)]


def write_crate(
    folder: Path,
    files: Iterable[str],
    *,
    name: str,
    request: Mapping[str, Any],
    software: Mapping[str, str],
    inputs: Mapping[str, str],
    moment: datetime | None = None,
) -> Path:
    """Make a folder of product files an RO-Crate 1.1.

    Parameters
    ----------
    folder : Path
        Where the files lie; ``request.json`` and ``ro-crate-metadata.json`` are written beside them.
    files : iterable of str
        Names of the files of the product.
    name : str
        What it is, for people.
    request : mapping
        What was asked, JSON-able.
    software : mapping
        Names and versions.
    inputs : mapping
        sha256 of the raw files, by a name.
    moment : datetime, optional
        When it was made; now by default.

    Returns
    -------
    Path
        The metadata file.

    Raises
    ------
    OutputError
        When the folder cannot be written.
    """
    try:
        (folder / REQUEST_NAME).write_text(json.dumps(request, indent=2, sort_keys=True) + "\n", encoding="utf-8")
        described = [_file(folder, item) for item in dict.fromkeys([REQUEST_NAME, *files])]
        graph = _graph(name, described, software, inputs, moment or datetime.now(UTC))
        path = folder / METADATA_NAME
        text = json.dumps({"@context": _CONTEXT, "@graph": graph}, indent=2)
        path.write_text(text + "\n", encoding="utf-8")
    except OSError as exc:
        raise OutputError(f"crate {folder} cannot be written: {exc.strerror or exc}") from exc
    return path


def _file(folder: Path, name: str) -> dict[str, Any]:
    path = folder / name
    return {
        "@id": name,
        "@type": "File",
        "name": name,
        "contentSize": str(path.stat().st_size),
        "encodingFormat": _MEDIA.get(path.suffix, "application/octet-stream"),
        "sha256": file_sha256(path),
    }


def _graph(
    name: str,
    files: list[dict[str, Any]],
    software: Mapping[str, str],
    inputs: Mapping[str, str],
    moment: datetime,
) -> list[dict[str, Any]]:
    tools = [
        {"@id": f"#{item}", "@type": "SoftwareApplication", "name": item, "version": version}
        for item, version in software.items()
    ]
    raw = [
        {"@id": f"urn:hash::sha256:{checksum}", "@type": "CreativeWork", "name": item, "sha256": checksum}
        for item, checksum in inputs.items()
    ]
    run = {
        "@id": "#run",
        "@type": "CreateAction",
        "name": name,
        "endTime": moment.isoformat(),
        "instrument": _references(tools),
        "object": [{"@id": REQUEST_NAME}, *_references(raw)],
        "result": _references(item for item in files if item["@id"] != REQUEST_NAME),
    }
    root = {
        "@id": "./",
        "@type": "Dataset",
        "name": name,
        "description": f"{name}, with the request that asks for it again",
        "datePublished": moment.date().isoformat(),
        "license": "https://creativecommons.org/publicdomain/zero/1.0/",
        "hasPart": _references(files),
        "mentions": [{"@id": "#run"}],
    }
    about = {
        "@id": METADATA_NAME,
        "@type": "CreativeWork",
        "about": {"@id": "./"},
        "conformsTo": {"@id": _CONFORMS},
    }
    return [about, root, *files, run, *tools, *raw]


def _references(items: Iterable[Mapping[str, Any]]) -> list[dict[str, str]]:
    return [{"@id": item["@id"]} for item in items]


def read_crate(folder: Path) -> Crate:
    """Read a crate that `write_crate` made.

    Raises
    ------
    DataError
        When it is none, or its request is not the one that its files were made with.
    """
    path = folder / METADATA_NAME
    try:
        entities = {item["@id"]: item for item in json.loads(path.read_text(encoding="utf-8"))["@graph"]}
        run = entities["#run"]
        request = json.loads((folder / REQUEST_NAME).read_text(encoding="utf-8"))
        crate = Crate(
            request=request,
            software={entities[item["@id"]]["name"]: entities[item["@id"]]["version"] for item in run["instrument"]},
            inputs={entities[item["@id"]]["name"]: entities[item["@id"]]["sha256"] for item in run["object"][1:]},
            files={item["@id"]: entities[item["@id"]]["sha256"] for item in run["result"]},
        )
        checksum = entities[REQUEST_NAME]["sha256"]
    except (OSError, ValueError, KeyError, TypeError, IndexError) as exc:
        raise DataError(f"{folder} is no crate of a product: {exc}") from exc
    if not _is_file(folder / REQUEST_NAME, checksum):
        raise DataError(f"{folder / REQUEST_NAME} was changed since the crate was made")
    return crate


def _is_file(path: Path, checksum: str) -> bool:
    try:
        return file_sha256(path) == checksum
    except OSError:
        return False
