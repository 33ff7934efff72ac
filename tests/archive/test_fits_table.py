from __future__ import annotations

import gzip
import re
import sys

import numpy as np
import pytest
from astropy.io import fits

from integral_oda.archive.fits_table import find_header, find_table, read_hdus
from integral_oda.errors import DataError


@pytest.fixture
def scaled(tmp_path):
    """A table with every way to scale a column, and what astropy reads from it."""
    path = tmp_path / "scaled.fits"
    n = np.arange(7)
    columns = [
        fits.Column("PLAIN", "1J", array=n - 3),
        fits.Column("UNSIGNED", "1I", bzero=2**15, array=(n * 9000).astype(np.uint16)),
        fits.Column("UNSIGNED32", "2J", bzero=2**31, array=np.stack([n, n + 2**31], 1).astype(np.uint32)),
        fits.Column("SIGNED_BYTE", "1B", bzero=-128, array=(n - 3).astype(np.int8)),
        fits.Column("SCALED", "1I", array=n.astype(np.int16)),
        fits.Column("TEXT", "8A", array=[f"row {i}" for i in n]),
        fits.Column("BITS", "11X", array=np.eye(7, 11, dtype=bool)),
        fits.Column("LONG", "1K", array=n + 2**40),
        fits.Column("Real", "1D", array=n / 3),
    ]
    table = fits.BinTableHDU.from_columns(columns, name="SCALED")
    table.header.update(TSCAL5=0.25, TZERO5=10.0)
    table.writeto(path)
    with fits.open(path, memmap=False) as hdus:
        return path, {name: np.array(hdus[1].data[name]) for name in hdus[1].data.names}


@pytest.mark.parametrize("name", ["PLAIN", "UNSIGNED", "UNSIGNED32", "SIGNED_BYTE", "SCALED", "LONG", "Real"])
def test_columns_are_what_astropy_reads(scaled, name):
    path, expected = scaled
    column = find_table(read_hdus(path), "SCALED").column(name)
    np.testing.assert_array_equal(column, expected[name])
    assert column.dtype.isnative


def test_a_scaled_null_is_not_a_number(tmp_path):
    path = tmp_path / "null.fits"
    table = fits.BinTableHDU.from_columns([fits.Column("RATE", "1I", array=np.array([4, -1, 6], np.int16))], name="T")
    table.header.update(TSCAL1=0.5, TNULL1=-1)
    table.writeto(path)
    np.testing.assert_array_equal(find_table(read_hdus(path), "T").column("rate"), [2.0, np.nan, 3.0])


def test_header_values(tmp_path):
    path = tmp_path / "header.fits"
    primary = fits.PrimaryHDU()
    cards = {"TEXT": "it's / here", "YES": True, "COUNT": -3, "RATE": 1.5e-10, "EMPTY": "", "NOTHING": None}
    for key, value in cards.items():
        primary.header[key] = (value, "a comment / with a slash")
    primary.writeto(path)
    header = read_hdus(path)[0].header
    assert {key: header[key] for key in cards} == cards


def test_images_beside_tables_are_stepped_over(tmp_path):
    path = tmp_path / "mixed.fits"
    table = fits.BinTableHDU.from_columns([fits.Column("A", "1J", array=[5])], name="T")
    fits.HDUList([fits.PrimaryHDU(np.zeros((50, 60))), fits.ImageHDU(np.ones(9)), table]).writeto(path)
    hdus = read_hdus(path)
    assert [hdu.name for hdu in hdus] == ["", "", "T"]
    assert find_table(hdus, "T").column("A") == [5]


@pytest.fixture(params=["isal", "zlib"])
def unpacker(request, monkeypatch):
    """Either library that gzip files are unpacked with."""
    if request.param == "zlib":
        monkeypatch.setitem(sys.modules, "isal", None)
    else:
        pytest.importorskip("isal", reason="isal is not built for this platform")


@pytest.mark.usefixtures("unpacker")
def test_every_member_of_a_gzip_file_counts(tmp_path, event_bytes):
    path = tmp_path / "members.fits.gz"
    half = len(event_bytes) // 2
    path.write_bytes(gzip.compress(event_bytes[:half]) + gzip.compress(event_bytes[half:]) + b"\0" * 100)
    assert [hdu.name for hdu in read_hdus(path)] == ["", "ISGR-EVTS-ALL", "IBIS-GNRL-GTI"]


@pytest.mark.usefixtures("unpacker")
@pytest.mark.parametrize("padding", [0, 7, 300_000])
def test_large_members_are_unpacked_whole(tmp_path, padding):
    path, plain = tmp_path / "large.fits.gz", tmp_path / "large.fits"
    values = np.random.default_rng(2).integers(0, 9, 900_000)
    fits.BinTableHDU.from_columns([fits.Column("A", "1K", array=values)], name="T").writeto(plain)
    content = plain.read_bytes()
    members = (gzip.compress(content[k : k + 2_000_000]) + b"\0" * padding for k in range(0, len(content), 2_000_000))
    path.write_bytes(b"".join(members))
    np.testing.assert_array_equal(find_table(read_hdus(path), "T").column("A"), values)


@pytest.mark.usefixtures("unpacker")
@pytest.mark.parametrize("kept", [0.3, 0.9, 0.99999])
def test_a_gzip_file_cut_or_changed_anywhere_is_damaged(tmp_path, event_bytes, kept):
    path, packed = tmp_path / "cut.fits.gz", gzip.compress(event_bytes)
    place = int(kept * len(packed))
    for content in (packed[:place], packed[:place] + bytes([packed[place] ^ 255]) + packed[place + 1 :]):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"cut\.fits\.gz: truncated or damaged"):
            read_hdus(path)


def test_a_gzip_file_cut_between_its_members_is_truncated(tmp_path, event_bytes):
    path = tmp_path / "members.fits.gz"
    path.write_bytes(gzip.compress(event_bytes[:9000]))
    with pytest.raises(DataError, match=r"members\.fits\.gz: truncated"):
        read_hdus(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "an empty file"),
        (gzip.compress(b""), "an empty file"),
        (b"<!DOCTYPE html>\n<html><body>404</body></html>", r"no FITS file, it begins with b'<!DOCTYPE html>\\n"),
        (gzip.compress(b"<html>"), "no FITS file"),
        (b"\x1f\x8bnot deflate at all", "damaged gzip file"),
        (b"\x1f\x8b", "damaged gzip file"),
        (b"SIMPLE  =                    T", "no END card"),
    ],
)
def test_what_is_no_fits_file_is_said_in_one_line(tmp_path, content, message):
    path = tmp_path / "bad.fits"
    path.write_bytes(content)
    with pytest.raises(DataError, match=rf"bad\.fits: .*{message}") as caught:
        read_hdus(path)
    assert "\n" not in str(caught.value)


def test_a_folder_or_nothing_in_the_files_place(tmp_path):
    with pytest.raises(DataError, match="cannot be read"):
        read_hdus(tmp_path)
    with pytest.raises(DataError, match="no such file"):
        read_hdus(tmp_path / "absent.fits")


def test_absent_tables_and_columns_are_named(tmp_path, event_bytes):
    path = tmp_path / "events.fits"
    path.write_bytes(event_bytes)
    hdus = read_hdus(path)
    with pytest.raises(DataError, match=r"no table ISGR-EVTS-PRW, it holds ISGR-EVTS-ALL, IBIS-GNRL-GTI"):
        find_table(hdus, "ISGR-EVTS-PRW")
    with pytest.raises(DataError, match="ISGR-EVTS-ALL has no column PHASE"):
        find_table(hdus, "ISGR-EVTS-ALL").column("PHASE")


def test_a_header_is_found_without_reading_on(tmp_path, event_bytes, packed_event_bytes):
    for name, content in (("x.fits", event_bytes), ("x.fits.gz", packed_event_bytes)):
        (tmp_path / name).write_bytes(content)
        header = find_header(tmp_path / name, ("RA_SCX", "TSTART"))
        assert (header["EXTNAME"], header["RA_SCX"]) == ("ISGR-EVTS-ALL", 286.8229)
    (tmp_path / "cut.fits").write_bytes(event_bytes[: len(event_bytes) // 2])
    assert find_header(tmp_path / "cut.fits", ("TSTART",))["EXTNAME"] == "ISGR-EVTS-ALL"


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b"", "no header has NONE"),
        (b"<html>", "no FITS file, a header begins with b'<html>'"),
        (b"SIMPLE  = " + b" " * 2870, "a header has no END card"),
        (b"\x1f\x8b\x08\x00nothing", "truncated, damaged or not readable"),
    ],
)
def test_a_header_that_is_not_there(tmp_path, content, named):
    (tmp_path / "x.fits").write_bytes(content)
    with pytest.raises(DataError, match=re.escape(named)):
        find_header(tmp_path / "x.fits", ("NONE",))
