"""The manifest in a result's folder: what the result was made from, and the checksum of each of its files."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from integral_oda.errors import DataError
from integral_oda.workflow.graph import Task
from integral_oda.workflow.keys import digest, file_sha256

__all__ = ["MANIFEST_NAME", "Manifest", "StoredFile", "describe", "find_damage", "read_manifest", "write_manifest"]

MANIFEST_NAME = "manifest.json"


@dataclass(frozen=True)
class StoredFile:
    """Size in bytes and sha256 of one file."""

    size: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """All that is known about one stored result.

    Attributes
    ----------
    key : str
        Digest of the recipe.
    scope : str
        Science window that it was first made for, or ``"all"``.
    recipe : mapping
        What it was made from, see `integral_oda.workflow.graph.Task.recipe`.
    seconds : float
        What it cost to compute.
    files : mapping
        Its files by name, relative to its folder.
    created : float
        Unix time.
    """

    key: str
    scope: str
    recipe: Mapping[str, Any]
    seconds: float
    files: Mapping[str, StoredFile]
    created: float = field(default_factory=time.time)

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(item.size for item in self.files.values())

    @property
    def checksum(self) -> str:
        """Digest of everything in the manifest."""
        return digest(asdict(self))

    @property
    def input_keys(self) -> list[str]:
        """Keys of the results that this one was made from."""
        return [item if isinstance(item, str) else item[1] for item in self.recipe["inputs"]]


def describe(task: Task, folder: Path, seconds: float) -> Manifest:
    """Make the manifest of a result that a step has just written into a folder."""
    files = {}
    for path in sorted(path for path in folder.rglob("*") if not path.is_dir()):
        name = path.relative_to(folder).as_posix()
        if name == MANIFEST_NAME:
            raise ValueError(f"step {task.step.name} saves a file named {MANIFEST_NAME}, which is the store's own")
        files[name] = StoredFile(path.stat().st_size, file_sha256(path))
    return Manifest(task.key, task.scope, task.recipe, seconds, files)


def write_manifest(manifest: Manifest, folder: Path) -> None:
    """Write the manifest, with its own checksum, into the folder of the result."""
    text = json.dumps({**asdict(manifest), "checksum": manifest.checksum}, indent=1, sort_keys=True)
    (folder / MANIFEST_NAME).write_text(text + "\n", encoding="utf-8")


def read_manifest(folder: Path) -> Manifest:
    """Read and check the manifest of a result.

    Raises
    ------
    DataError
        When it is not there, cannot be read, or was changed.
    """
    path = folder / MANIFEST_NAME
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        checksum = values.pop("checksum")
        values["files"] = {name: StoredFile(**item) for name, item in values["files"].items()}
        manifest = Manifest(**values)
        intact = manifest.checksum == checksum and digest(manifest.recipe) == manifest.key
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as exc:
        raise DataError(f"manifest {path} cannot be read: {exc}") from exc
    if not intact:
        raise DataError(f"manifest {path} was changed: its checksum or its key is not that of its content")
    return manifest


def find_damage(manifest: Manifest, folder: Path, *, contents: bool) -> str:
    """Say what is wrong with the files of a result, or nothing.

    Parameters
    ----------
    manifest : Manifest
        What the files should be.
    folder : Path
        Where they are.
    contents : bool
        Compare checksums too, not only sizes.
    """
    for name, item in manifest.files.items():
        path = folder / name
        try:
            size = path.stat().st_size
            if size != item.size:
                return f"{name} has {size} bytes instead of {item.size}"
            if contents and file_sha256(path) != item.sha256:
                return f"{name} does not have its checksum"
        except OSError as exc:
            return f"{name} cannot be read: {exc.strerror}"
    return ""
