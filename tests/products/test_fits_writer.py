"""What the writer writes, astropy reads, verifies and finds unchanged."""

from __future__ import annotations

import math

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st

from integral_oda.products.fits_writer import Column, ImageUnit, TableUnit, primary_header, write_units

TEXT = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=300)
NUMBER = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**60), 2**60) | st.booleans()
HEADERS = st.dictionaries(st.from_regex(r"K[A-Z0-9_]{0,7}", fullmatch=True), TEXT | NUMBER, max_size=30)


def read(path):
    with fits.open(path, memmap=False, checksum=True) as hdus:
        for hdu in hdus:
            hdu.verify("exception")
            assert (hdu.verify_checksum(), hdu.verify_datasum()) == (1, 1)
        return fits.HDUList([hdu.copy() for hdu in hdus])


@given(header=HEADERS)
def test_keywords_are_read_back(header):
    found = fits.Header.fromstring(primary_header(header).decode("ascii"))
    for key, value in header.items():
        if isinstance(value, str):
            assert found[key] == value.rstrip()
        elif isinstance(value, float):
            assert found[key] == pytest.approx(value, rel=1e-10, abs=0)
        else:
            assert found[key] is value or found[key] == value


@given(header=HEADERS)
def test_the_checksum_is_right_whatever_the_header(header, tmp_path_factory):
    path = tmp_path_factory.mktemp("sums") / "a.fits"
    path.write_bytes(primary_header(header))
    read(path)


@pytest.mark.parametrize("kind", ["u1", "i2", "i4", "i8", "f4", "f8"])
def test_images_of_every_kind_are_read_back(tmp_path, kind):
    plane = np.random.default_rng(3).integers(0, 99, (7, 5)).astype(kind)
    write_units(tmp_path / "a.fits", {}, [ImageUnit("PLANE", {"BUNIT": ("K", "unit"), "EXTVER": 2}, plane)])
    primary, image = read(tmp_path / "a.fits")
    np.testing.assert_array_equal(image.data, plane)
    assert primary.header["EXTEND"] is True
    assert (image.name, image.ver, image.header["BUNIT"], image.header.comments["BUNIT"]) == ("PLANE", 2, "K", "unit")


def test_tables_are_read_back(tmp_path):
    columns = [
        Column("NAME", "6A", ["Crab", "GRS 1915+105"]),
        Column("FLUX", "3E", np.arange(6.0).reshape(2, 3), "counts/s"),
        Column("TIME", "1D", [0.1, math.nan], "d"),
        Column("FLAG", "1L", [True, False]),
        Column("N", "1J", [-1, 7], null=-1),
    ]
    write_units(tmp_path / "a.fits", {"TELESCOP": "INTEGRAL"}, [TableUnit("LIST", {"HDUCLASS": "OGIP"}, columns)])
    table = read(tmp_path / "a.fits")[1]
    assert list(table.data["NAME"]) == ["Crab", "GRS 19"]
    np.testing.assert_array_equal(table.data["FLUX"], [[0, 1, 2], [3, 4, 5]])
    np.testing.assert_array_equal(table.data["TIME"], [0.1, np.nan])
    assert list(table.data["FLAG"]) == [True, False]
    assert (table.columns["FLUX"].unit, table.columns["N"].null, table.header["HDUCLASS"]) == ("counts/s", -1, "OGIP")


@pytest.mark.parametrize("rows", [0, 1])
def test_a_table_may_have_no_row(tmp_path, rows):
    write_units(tmp_path / "a.fits", {}, [TableUnit("LIST", {}, [Column("A", "4A", ["x"] * rows)])])
    assert len(read(tmp_path / "a.fits")[1].data) == rows


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ({"TOO_LONG_KEY": 1}, "TOO_LONG_KEY"),
        ({"lower": 1}, "lower"),
        ({"A": math.nan}, "A = nan"),
        ({"A": math.inf}, "A = inf"),
        ({"A": "Gru\xdf"}, "ascii"),
    ],
)
def test_what_has_no_place_in_a_header_is_refused(header, message):
    with pytest.raises(ValueError, match=message):
        primary_header(header)


def test_a_form_that_is_none_is_refused():
    with pytest.raises(ValueError, match="'1Q'"):
        _ = Column("A", "1Q", [1]).stored
