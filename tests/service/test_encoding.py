"""Products as the client decodes them; its decoder is written out here as it works."""

import ast
import base64
import json
import pickle

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st

from integral_oda.products.source_list import Source, SourceBand
from integral_oda.service.encoding import encode_array, encode_catalogue, encode_fits, reply_text


def as_the_client_reads(text):
    return ast.literal_eval(str(json.loads(text)).replace("null", "None"))


def decode(encoded):
    return pickle.loads(base64.b64decode(as_the_client_reads(reply_text({"b": encoded}))["b"]), encoding="bytes")


def bytes_with_the_trap():
    """Bytes whose base64 holds the word that the client replaces."""
    return base64.b64decode("nullnullnull")


def test_an_array_whose_base64_holds_the_trap_comes_through():
    array = np.frombuffer(bytes_with_the_trap() * 1000, np.uint8)
    for shift in range(3):  # in one of three places of the pickle the bytes fall into the words of base64
        shifted = np.concatenate([np.zeros(shift, np.uint8), array])
        plain = base64.b64encode(pickle.dumps(shifted)).decode()
        assert np.array_equal(decode(encode_array(shifted)), shifted)
        if "null" in plain:
            break
    else:
        pytest.fail("the trap was never there")


@given(st.binary(max_size=200))
def test_any_bytes_come_through(content):
    array = np.frombuffer(content, np.uint8)
    assert np.array_equal(decode(encode_array(array)), array)


def test_a_file_with_tables_images_and_nan(tmp_path):
    image = fits.ImageHDU(np.array([[1.0, np.nan]], np.float32), name="IMA")
    image.header["LONGEST"] = "x" * 100
    table = fits.BinTableHDU.from_columns(
        [fits.Column("TIME", "D", array=[1.0, 2.0]), fits.Column("NAME", "8A", array=["a", "b"])], name="LC"
    )
    path = tmp_path / "a.fits"
    fits.HDUList([fits.PrimaryHDU(), image, table]).writeto(path)
    meta = {"src_name": "Crab", "rate": float("nan")}
    reply = as_the_client_reads(reply_text(encode_fits(path, "isgri_lc", meta, "http://h/r?job_id=1")))
    primary, second, third = reply["data_unit_list"]
    assert [unit["hdu_type"] for unit in reply["data_unit_list"]] == ["primary", "image", "bintable"]
    assert primary["binarys"] is None
    assert np.array_equal(pickle.loads(base64.b64decode(second["binarys"])), np.array([[1, np.nan]]), equal_nan=True)
    assert list(pickle.loads(base64.b64decode(third["binarys"]))["TIME"]) == [1.0, 2.0]
    assert {unit["header"]["REQUEST"] for unit in reply["data_unit_list"]} == {"http://h/r?job_id=1"}
    assert json.loads(reply["meta_data"]) == {"src_name": "Crab"}


def test_rows_of_varying_length_are_filled_with_zeros(tmp_path):
    rows = np.empty(2, object)
    rows[:] = [np.array([1.0, 2.0], "f4"), np.array([3.0], "f4")]
    table = fits.BinTableHDU.from_columns(
        [fits.Column("MATRIX", "PE()", array=rows), fits.Column("N", "I", array=[2, 1])], name="ISGR-RMF.-RSP"
    )
    path = tmp_path / "rmf.fits"
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(path)
    found = encode_fits(path, "isgri_rmf", {}, "r", {"ISGR-RMF.-RSP": "SPECRESP MATRIX"}, {"ANCRFILE": "NONE"})
    unit = found["data_unit_list"][1]
    read = pickle.loads(base64.b64decode(unit["binarys"]))
    assert unit["name"] == unit["header"]["EXTNAME"] == "SPECRESP MATRIX"
    assert unit["header"]["TFORM1"] == "2E"
    assert "ANCRFILE" not in unit["header"]
    assert np.array_equal(read["MATRIX"], [[1, 2], [3, 0]])
    assert list(read["N"]) == [2, 1]


def test_a_catalogue_has_the_clients_columns():
    band = SourceBand(20, 40, 1.0, 0.1, 10.0)
    sources = [
        Source("Crab", 83.63, 22.01, 0.5, 1.0, new=False, forced=False, bands=(band,)),
        Source("NEW_1", 84.0, 23.0, float("nan"), 1.0, new=True, forced=False, bands=(band,)),
    ]
    found = encode_catalogue(sources)
    table = dict(zip(found["cat_column_names"], found["cat_column_list"], strict=True))
    assert table["src_names"] == ["Crab", "NEW_1"]
    assert table["NEW_SOURCE"] == [-32768, 1]
    assert table["ERR_RAD"][1] is None
    assert [name for name, _ in found["cat_column_descr"]] == found["cat_column_names"]
