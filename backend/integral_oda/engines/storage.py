"""Keeping a step's result as plain files: arrays that can be memory-mapped, and one JSON for the rest."""

from __future__ import annotations

import json
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from integral_oda.errors import DataError

__all__ = ["load_record", "save_record"]

_REST = "record.json"
Record = TypeVar("Record")


def save_record(record: Any, folder: Path) -> None:
    """Write a dataclass: each array field as ``<name>.npy``, everything else as JSON."""
    assert is_dataclass(record)
    rest = {}
    for item in fields(record):
        value = getattr(record, item.name)
        if isinstance(value, np.ndarray):
            np.save(folder / f"{item.name}.npy", value, allow_pickle=False)
        else:
            rest[item.name] = value
    (folder / _REST).write_text(json.dumps(rest), encoding="utf-8")


def load_record(kind: type[Record], folder: Path) -> Record:
    """Read a dataclass written by `save_record`, its arrays memory-mapped.

    Raises
    ------
    DataError
        If a file is missing or damaged.
    """
    try:
        values = json.loads((folder / _REST).read_text(encoding="utf-8"))
        arrays = {path.stem: np.load(path, mmap_mode="r", allow_pickle=False) for path in folder.glob("*.npy")}
        return kind(**values, **arrays)
    except (OSError, EOFError, ValueError, TypeError) as exc:
        raise DataError(f"{folder}: not a stored {kind.__name__} ({exc})") from exc
