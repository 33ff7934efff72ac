from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from integral_oda.engines.storage import load_record, save_record
from integral_oda.errors import DataError


@dataclass(frozen=True)
class Record:
    plane: np.ndarray
    mask: np.ndarray
    origin: str
    values: list[float]
    header: dict[str, Any]


RECORD = Record(np.eye(3, dtype=np.float32), np.array([True, False]), "fitted", [1.5, 2.5], {"SWID": "x", "REVOL": 7})


def test_a_record_comes_back(tmp_path):
    save_record(RECORD, tmp_path)
    back = load_record(Record, tmp_path)
    assert np.array_equal(back.plane, RECORD.plane)
    assert (back.plane.dtype, back.mask.dtype) == (np.float32, bool)
    assert (back.origin, back.values, back.header) == (RECORD.origin, RECORD.values, RECORD.header)


def test_arrays_are_mapped_and_read_only(tmp_path):
    save_record(RECORD, tmp_path)
    plane = load_record(Record, tmp_path).plane
    assert isinstance(plane, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        plane[0, 0] = 5


@pytest.mark.parametrize(
    ("damage", "left"),
    [(name, left) for name, lengths in (("record.json", (0, 5, None)), ("plane.npy", (0, 5, 100))) for left in lengths],
)
def test_a_damaged_record_is_a_data_error(tmp_path, damage, left):
    save_record(RECORD, tmp_path)
    path = tmp_path / damage
    content = path.read_bytes()
    path.unlink()
    if left is not None:
        path.write_bytes(content[:left])
    with pytest.raises(DataError, match="not a stored Record"):
        load_record(Record, tmp_path)
