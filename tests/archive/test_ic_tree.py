from __future__ import annotations

import numpy as np
import pytest
from ic_trees import FOREVER, write_band_maps, write_index, write_mask

from integral_oda.archive.ic_tree import IC_KINDS, IcTree, checked_tree
from integral_oda.errors import DataError


@pytest.fixture
def tree(tmp_path):
    for name in ("isgr_mask_mod_0003", "isgr_mask_mod_0005", "isgr_mask_mod_0006"):
        write_mask(tmp_path, name)
    return tmp_path


def found(root, time):
    file = IcTree(root).find("mask", time)
    return None if file is None else file.label


def test_the_newest_version_that_covers_the_time(tree):
    members = [
        ("mod/isgr_mask_mod_0003.fits", 1, 0.0, FOREVER),
        ("mod/isgr_mask_mod_0005.fits", 3, 1000.0, 2000.0),
        ("mod/isgr_mask_mod_0006.fits", 2, 1500.0, FOREVER),
    ]
    write_index(tree, "ISGR-MASK-MOD", members)
    answers = [found(tree, time) for time in (-1, 500, 1200, 1800, 2500)]
    names = [None if a is None else a[-1] for a in answers]
    assert names == [None, "3", "5", "5", "6"]


def test_of_one_version_the_one_that_begins_last(tree):
    # As the response matrices are indexed: version 1 each, valid from an epoch on until further notice.
    members = [
        ("mod/isgr_mask_mod_0006.fits", 1, 2416.0, FOREVER),
        ("mod/isgr_mask_mod_0003.fits", 1, 7356.4, FOREVER),
        ("mod/isgr_mask_mod_0005.fits", 1, 5000.0, FOREVER),
    ]
    write_index(tree, "ISGR-MASK-MOD", members)
    assert [found(tree, time)[-1] for time in (3000, 6000, 8320)] == ["6", "5", "3"]


def test_a_member_that_is_not_here_is_passed_over(tree):
    write_index(
        tree,
        "ISGR-MASK-MOD",
        [("mod/isgr_mask_mod_0003.fits", 1, 0.0, FOREVER), ("mod/isgr_mask_mod_0009.fits", 9, 0.0, FOREVER)],
    )
    assert found(tree, 100.0) == "isgr_mask_mod_0003"


def test_without_an_index_the_headers_say(tree):
    maps = np.ones((1, 134, 130))
    for name, version, start in (("0002", 2, 0.0), ("0007", 7, 1000.0)):
        path = tree / "ic/ibis/bkg" / f"isgr_back_bkg_{name}.fits"
        write_band_maps(path, "ISGR-BACK-BKG", [(20, 40)], maps, VSTART=start, VSTOP=FOREVER, VERSION=version)
    assert IcTree(tree).find("back", 500.0).label == "isgr_back_bkg_0002"
    assert IcTree(tree).find("back", 1500.0).label == "isgr_back_bkg_0007"
    assert found(tree, 0.0) == "isgr_mask_mod_0006"


def test_packed_files_count(tree, tmp_path):
    import gzip

    plain = tree / "ic/ibis/mod/isgr_mask_mod_0006.fits"
    plain.with_suffix(".fits.gz").write_bytes(gzip.compress(plain.read_bytes()))
    plain.unlink()
    assert found(tree, 0.0) == "isgr_mask_mod_0006"


def test_kinds_of_which_there_is_none_are_left_out(tree):
    assert set(IcTree(tree).at(8320.0)) == {"mask"}
    assert set(IC_KINDS) >= {"mask", "deco", "effi", "back", "unif", "covr", "arf", "rmf", "lut1", "lut2"}


def test_a_folder_without_a_tree_is_refused(tmp_path):
    with pytest.raises(DataError, match="no folder ic/ibis"):
        checked_tree(tmp_path)
