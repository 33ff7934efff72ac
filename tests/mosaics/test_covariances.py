"""An IC tree's covariances in mosaics whose pixels are spread."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "archive"))

from ic_trees import write_covariances

from integral_oda.archive.ic_tree import IcTree
from integral_oda.imaging.neighbours import flat_covariances
from integral_oda.imaging.resampling import Resampling
from integral_oda.mosaics.covariances import WindowCovariances, covariances_of
from integral_oda.mosaics.make import MosaicRequest, make_mosaic
from integral_oda.products.sky_image import write_sky_images

LABEL = "isgr_covr_mod_0002"


@pytest.fixture
def tree(tmp_path, monkeypatch):
    monkeypatch.setenv("INTEGRAL_ODA_IC", str(tmp_path / "ic_tree"))
    return tmp_path / "ic_tree"


@pytest.fixture
def windows(drawn, tmp_path):
    """Files of three windows that say when they were observed."""
    paths = [tmp_path / f"{number}.fits" for number in range(3)]
    for number, path in enumerate(paths):
        images = [replace(image, keywords={**image.keywords, "TSTART": 1300.0}) for image in drawn(number)]
        write_sky_images(path, images)
    return paths


def test_spread_pixels_take_the_trees_covariances(windows, tree):
    plain = make_mosaic(MosaicRequest(windows, resampling=Resampling.SPREAD))
    _, side, corner = flat_covariances()
    write_covariances(tree, 3 * side, 3 * corner)
    found = make_mosaic(MosaicRequest(windows, resampling=Resampling.SPREAD))
    assert found.images[0].keywords["IC_COVR"] == LABEL
    assert plain.images[0].keywords["IC_COVR"] == "nominal"
    np.testing.assert_array_equal(found.images[0].intensity, plain.images[0].intensity)
    # The mask's own correlation is 0.67 along a side where the Gaussian that stands in for it has 0.70.
    ratio = found.images[0].significance / plain.images[0].significance
    assert 1.0 < np.nanmedian(ratio) < 1.02
    assert f"{LABEL}.fits" in json.dumps(found.provenance())
    assert LABEL not in json.dumps(plain.provenance())


def test_other_ways_and_unusable_tables_leave_what_is_nominal(windows, tree):
    write_covariances(tree, np.ones((400, 400)), np.full((400, 400), -1.0))
    refused = make_mosaic(MosaicRequest(windows, resampling=Resampling.SPREAD))
    assert refused.images[0].keywords["IC_COVR"] == f"nominal, {LABEL} has no covariances of neighbours"
    cubic = make_mosaic(MosaicRequest(windows))
    assert cubic.images[0].keywords.get("IC_COVR", "nominal") == "nominal"


def test_mosaics_are_no_windows(windows, tree):
    _, side, corner = flat_covariances()
    write_covariances(tree, side, corner)
    (mosaic,) = make_mosaic(MosaicRequest(windows)).images
    assert covariances_of(mosaic, IcTree(tree)) == WindowCovariances()
