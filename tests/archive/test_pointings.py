"""The pointing index: kept in columns, written and read, looked through by cone and time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from integral_oda.archive.pointings import PointingIndex, read_index, write_index
from integral_oda.errors import DataError
from integral_oda.instrument.attitude import separation_deg


def make_index(count: int = 200, seed: int = 3) -> PointingIndex:
    rng = np.random.default_rng(seed)
    start = 1000 + np.arange(count) * 0.05
    return PointingIndex.build(
        {
            "name": [f"{100 + n // 80:04d}{n % 80:04d}001{n % 3}.00{n % 3}" for n in range(count)],
            "tstart": start,
            "tstop": start + 0.04,
            "ra_x": rng.uniform(0, 360, count),
            "dec_x": np.rad2deg(np.arcsin(rng.uniform(-1, 1, count))),
        }
    )


def columns(index):
    return {name: getattr(index, name) for name in index.__annotations__}


def test_an_index_comes_back_as_it_was(tmp_path):
    index = make_index()
    write_index(tmp_path / "index.fits", index)
    again = read_index(tmp_path / "index.fits")
    for name, values in columns(index).items():
        np.testing.assert_array_equal(getattr(again, name), values, err_msg=name)
        assert getattr(again, name).dtype == values.dtype
    assert again.digest == index.digest


def test_names_give_kind_revolution_and_version():
    index = PointingIndex.build({"name": ["255900280021.002", "00600020001", "004600010010.000"]})
    assert index.names == ["004600010010.000", "00600020001", "255900280021.002"]
    assert index.kind.tolist() == [0, 0, 1]
    assert index.revolution.tolist() == [46, -1, 2559]
    assert index.version.tolist() == [0, -1, 2]


def test_of_two_rows_of_one_name_the_later_stays():
    old = PointingIndex.build({"name": ["255900280010.001", "255900290010.001"], "good_s": [1.0, 2.0]})
    new = PointingIndex.build({"name": ["255900280010.001"], "good_s": [3.0]})
    assert PointingIndex.merge([old, new]).good_s.tolist() == [3.0, 2.0]


@settings(max_examples=40)
@given(ra=st.floats(0, 359.99), dec=st.floats(-90, 90), radius=st.floats(0.1, 180), seed=st.integers(0, 5))
def test_a_cone_holds_what_is_near(ra, dec, radius, seed):
    index = make_index(seed=seed)
    away = separation_deg(ra, dec, index.ra_x, index.dec_x)
    np.testing.assert_array_equal(index.near(ra, dec, radius), away <= radius)


def test_time_ranges_that_only_touch_are_apart():
    index = PointingIndex.build({"name": ["a"], "tstart": [10.0], "tstop": [11.0]})
    assert index.overlapping(10.5, 20).tolist() == [True]
    assert index.overlapping(11.0, 20).tolist() == index.overlapping(5, 10.0).tolist() == [False]


def test_the_digest_knows_contents_not_order():
    index = make_index()
    shuffled = PointingIndex.merge([index.rows(np.arange(100, 200)), index.rows(np.arange(100))])
    assert shuffled.digest == index.digest
    other = PointingIndex.build(columns(index) | {"tstart": index.tstart + 1e-9})
    assert other.digest != index.digest


def test_another_fits_file_is_no_index(tmp_path, event_bytes):
    (tmp_path / "x.fits").write_bytes(event_bytes)
    with pytest.raises(DataError, match="no table SCW-POINTINGS"):
        read_index(tmp_path / "x.fits")
