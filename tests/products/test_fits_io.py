from __future__ import annotations

import gzip
import warnings

import numpy as np
import pytest
from astropy.io import fits

from integral_oda.errors import DataError, OutputError
from integral_oda.products.fits_io import grouping_hdu, open_fits, write_aside, write_fits


@pytest.fixture
def whole(tmp_path):
    path = tmp_path / "whole.fits"
    image = fits.ImageHDU(np.random.default_rng(1).normal(size=(300, 300)), name="IMAGE")
    table = fits.BinTableHDU.from_columns([fits.Column("A", "1J", array=np.arange(5000))], name="TABLE")
    write_fits(path, [fits.PrimaryHDU(), image, table])
    return path


def read_all(path):
    with open_fits(path) as hdus:
        return [None if hdu.data is None else hdu.data.size for hdu in hdus]


def test_what_is_written_is_read(whole, tmp_path):
    assert read_all(whole) == [None, 90000, 5000]
    packed = tmp_path / "packed.fits.gz"
    packed.write_bytes(gzip.compress(whole.read_bytes()))
    assert read_all(packed) == [None, 90000, 5000]
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


@pytest.mark.parametrize("share", [0.0, 0.001, 0.02, 0.5, 0.97])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("filters", ["error", "ignore", "default"])
def test_a_truncated_file_is_a_data_error_whatever_the_warning_filter(whole, tmp_path, share, packed, filters):
    data = gzip.compress(whole.read_bytes()) if packed else whole.read_bytes()
    path = tmp_path / ("cut.fits.gz" if packed else "cut.fits")
    path.write_bytes(data[: int(share * len(data))])
    with warnings.catch_warnings():
        warnings.simplefilter(filters)
        with pytest.raises(DataError, match=r"cut\.fits") as caught:
            read_all(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content", [b"<html>not found</html>", b"\0" * 5000, gzip.compress(b"hello", mtime=0), b"SIMPLE  = x"]
)
def test_no_fits_file_is_a_data_error(tmp_path, content):
    path = tmp_path / "page.fits"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"page\.fits"):
        read_all(path)


def test_a_missing_file_and_a_folder_are_data_errors(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        read_all(tmp_path / "none.fits")
    with pytest.raises(DataError, match=tmp_path.name):
        read_all(tmp_path)


def test_a_missing_extension_is_a_data_error(whole):
    with pytest.raises(DataError, match="ISGR-DEAD-SCP"), open_fits(whole) as hdus:
        hdus["ISGR-DEAD-SCP"]


def test_an_error_of_the_caller_stays_what_it_is(whole):
    with pytest.raises(ZeroDivisionError), open_fits(whole):
        1 / 0  # noqa: B018


def test_nothing_is_left_of_a_file_that_failed(tmp_path):
    path = tmp_path / "product.fits"
    with pytest.raises(ZeroDivisionError), write_aside(path) as aside:
        aside.write_text(f"half {1 / 0}")
    assert list(tmp_path.iterdir()) == []


def test_the_old_file_stays_until_the_new_one_is_whole(tmp_path):
    path = tmp_path / "product.txt"
    path.write_text("old")
    with write_aside(path) as aside:
        aside.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_cannot_be_written_under_a_file(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="file"), write_aside(tmp_path / "file" / "product.fits"):
        pytest.fail("the block must not run")


def test_products_are_readable_by_others(whole):
    assert whole.stat().st_mode & 0o777 == 0o644


def test_checksums_are_written_and_right(whole):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with fits.open(whole, checksum=True) as hdus:
            assert len(hdus) == 3
            assert all("CHECKSUM" in hdu.header and "DATASUM" in hdu.header for hdu in hdus)


def test_the_same_product_has_the_same_bytes(tmp_path):
    for name in ("first.fits", "second.fits"):
        write_fits(tmp_path / name, [fits.PrimaryHDU(), fits.ImageHDU(np.eye(3), name="IMAGE")])
    assert (tmp_path / "first.fits").read_bytes() == (tmp_path / "second.fits").read_bytes()
    assert "20" not in fits.getheader(tmp_path / "first.fits", 1).comments["CHECKSUM"]


def test_the_group_lists_its_members():
    hdus = [fits.ImageHDU(np.zeros((2, 2)), name="ISGR-MOSA-IMA") for _ in range(2)]
    for version, hdu in enumerate(hdus, start=1):
        hdu.header["EXTVER"], hdu.header["IMATYPE"] = version, f"KIND{version}"
    group = grouping_hdu("ISGR-MOSA-IMA-IDX", hdus, {"IMATYPE": "32A", "E_MIN": "1E"})
    assert (group.name, group.header["GRPNAME"]) == ("GROUPING", "ISGR-MOSA-IMA-IDX")
    assert group.data["MEMBER_NAME"].tolist() == ["ISGR-MOSA-IMA"] * 2
    assert group.data["MEMBER_VERSION"].tolist() == [1, 2]
    assert group.data["MEMBER_POSITION"].tolist() == [2, 3]
    assert group.data["IMATYPE"].tolist() == ["KIND1", "KIND2"]
    assert group.data["E_MIN"].tolist() == [0, 0]
