"""Product files that say themselves what they were made from."""

from __future__ import annotations

import json

import matplotlib as mpl
import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from hypothesis import given
from hypothesis import strategies as st

mpl.use("agg")

from matplotlib.image import imread, imsave

from integral_oda.errors import DataError
from integral_oda.products.fits_io import write_fits
from integral_oda.products.signature import Origin, read_origin, same_but_software, sign_files

KEY, RAW = "ab" * 32, "cd" * 32
QUERY = {"scw_list": [f"2559{n:08d}.001" for n in range(30)], "src_name": "O'Neill's \"é\"", "bands": [[28.0, 80.0]]}
PIXELS = np.linspace(0, 1, 12).reshape(3, 4)


def origin(**changes):
    values = {
        "key": KEY,
        "step": "PACK_IMAGE",
        "engine": "native 4",
        "query": QUERY,
        "software": {"numpy": "2.0"},
        "steps": {"COR": "1", "IMA": "2"},
        "inputs": (("input", "all", "MOSAIC", KEY), ("raw", "255900280010.001", "events", RAW)),
    }
    return Origin(**(values | changes))


def make_product(folder):
    folder.mkdir(parents=True)
    counts = fits.BinTableHDU.from_columns([fits.Column("COUNTS", "1J", array=[1, -2], null=-1)], name="SPEC")
    image = fits.ImageHDU(np.arange(12, dtype=np.float32).reshape(3, 4), name="IMA")
    write_fits(folder / "mosaic.fits", [fits.PrimaryHDU(), image, counts])
    (folder / "catalog.reg").write_text("# Region file format: DS9\nfk5\ncircle(1,2,3)\n")
    (folder / "page.html").write_text("<!doctype html><p>page</p>\n")
    imsave(folder / "image.png", PIXELS)
    (folder / "lists.json").write_text("{}")
    Table({"a": [1, 2]}).write(folder / "bursts.ecsv")
    return folder


@pytest.fixture
def product(tmp_path):
    return make_product(tmp_path / "product")


def test_a_fits_file_carries_key_query_versions_and_inputs(product):
    sign_files(product, origin())
    with fits.open(product / "mosaic.fits") as hdus:
        assert hdus[0].header["ODAKEY"] == KEY
        assert json.loads(hdus[0].header["ODAQUERY"]) == QUERY
        assert [hdu.name for hdu in hdus] == ["PRIMARY", "IMA", "SPEC", "PROVENANCE"]
        for hdu in hdus:
            hdu.verify("exception")
            assert (hdu.verify_checksum(), hdu.verify_datasum()) == (1, 1)
    assert read_origin(product / "mosaic.fits") == origin()


def test_what_the_files_held_before_they_hold_still(product, tmp_path):
    plain = make_product(tmp_path / "plain")
    sign_files(product, origin())
    with fits.open(product / "mosaic.fits") as signed, fits.open(plain / "mosaic.fits") as before:
        np.testing.assert_array_equal(signed["IMA"].data, before["IMA"].data)
        np.testing.assert_array_equal(signed["SPEC"].data["COUNTS"], before["SPEC"].data["COUNTS"])
        for header in (signed["SPEC"].header, before["SPEC"].header):
            header.remove("CHECKSUM")
        assert repr(signed["SPEC"].header) == repr(before["SPEC"].header)
    np.testing.assert_array_equal(imread(product / "image.png"), imread(plain / "image.png"))
    for name in ("catalog.reg", "page.html"):
        text = (product / name).read_text()
        assert text.startswith((plain / name).read_text())
        assert KEY in text
    assert (product / "lists.json").read_text() == "{}"
    assert KEY in (product / "bursts.ecsv").read_text()
    assert list(Table.read(product / "bursts.ecsv")["a"]) == [1, 2]


def test_pictures_carry_it_in_a_text_chunk(product):
    from PIL import Image

    sign_files(product, origin())
    with Image.open(product / "image.png") as picture:
        assert KEY in picture.text["Source"]
        assert "255900000029" not in picture.text["Source"].partition("software")[2]


def test_the_same_origin_gives_the_same_bytes(product, tmp_path):
    other = make_product(tmp_path / "other")
    for folder in (product, other):
        sign_files(folder, origin())
    for path in product.iterdir():
        assert path.read_bytes() == (other / path.name).read_bytes()


SIGNED = ["mosaic.fits", "image.png", "catalog.reg", "page.html", "bursts.ecsv"]


@pytest.mark.parametrize("name", SIGNED)
def test_other_software_is_no_difference_other_content_is(product, tmp_path, name):
    other = make_product(tmp_path / "other")
    sign_files(product, origin())
    sign_files(other, origin(software={"numpy": "3.0"}))
    assert (product / name).read_bytes() != (other / name).read_bytes()
    assert same_but_software(product / name, other / name)
    changed = make_product(tmp_path / "changed")
    with fits.open(changed / "mosaic.fits", mode="update") as hdus:
        hdus["IMA"].data[1, 1] += 1
    imsave(changed / "image.png", PIXELS.T)
    for text in ("catalog.reg", "page.html"):
        (changed / text).write_text("something else\n")
    Table({"a": [1, 3]}).write(changed / "bursts.ecsv", overwrite=True)
    sign_files(changed, origin())
    assert not same_but_software(product / name, changed / name)


@pytest.mark.parametrize("name", SIGNED)
def test_what_is_not_there_or_damaged_is_not_the_same(product, tmp_path, name):
    assert not same_but_software(product / name, tmp_path / "absent")
    (tmp_path / name).write_bytes(b"\xff damaged")
    assert not same_but_software(product / name, tmp_path / name)


def test_a_file_without_an_origin_says_so(product):
    with pytest.raises(DataError, match="says nothing of its origin"):
        read_origin(product / "mosaic.fits")


TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=80)
VALUES = st.recursive(st.none() | st.integers(-9, 9) | TEXT, lambda inner: st.lists(inner, max_size=4), max_leaves=20)


@given(query=st.dictionaries(TEXT, VALUES, max_size=8))
def test_any_query_comes_back_as_it_was(tmp_path_factory, query):
    folder = tmp_path_factory.mktemp("any")
    write_fits(folder / "a.fits", [fits.PrimaryHDU()])
    sign_files(folder, origin(query=query))
    assert read_origin(folder / "a.fits").query == query
