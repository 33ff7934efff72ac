from __future__ import annotations

import numpy as np
import pytest
from ic_trees import FOREVER, write_band_maps, write_decoding, write_luts, write_mask

from integral_oda.archive.calibration import calibration_files, ic_cards
from integral_oda.archive.tree import Archive
from integral_oda.engines.native.events import Cor
from integral_oda.errors import DataError
from integral_oda.instrument.mask import mask_pattern
from integral_oda.simulation.recipe import Recipe
from integral_oda.simulation.window import simulate


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    root = tmp_path_factory.mktemp("archive")
    recipe = Recipe.model_validate(
        {"seed": 3, "start_ijd": 1317.5, "duration_s": 60.0, "pointings": [{"ra": 83.6, "dec": 22.0}]}
    )
    for _ in simulate(recipe, root):
        pass
    return Archive(root)


def test_without_a_tree_all_is_nominal(archive, monkeypatch):
    monkeypatch.delenv("INTEGRAL_ODA_IC", raising=False)
    scw = str(archive.windows()[0])
    assert calibration_files(archive, scw) == {}
    assert set(ic_cards({}).values()) == {"nominal"}
    assert all(len(key) <= 8 for key in ic_cards({}))


def test_what_was_used_is_said_and_used(archive, tmp_path, monkeypatch):
    monkeypatch.setenv("INTEGRAL_ODA_IC", str(tmp_path))
    write_mask(tmp_path, flipped=1)
    write_luts(tmp_path, gain=2 * 1.9 * 1.2)
    path = tmp_path / "ic/ibis/bkg/isgr_back_bkg_0007.fits"
    write_band_maps(path, "ISGR-BACK-BKG", [(20, 40)], np.ones((1, 134, 130)), VSTART=9000.0, VSTOP=FOREVER)
    scw = str(archive.windows()[0])
    raw = {"events": archive.events_file(scw), **calibration_files(archive, scw)}
    assert set(raw) == {"events", "ic_mask", "ic_lut1", "ic_lut2"}
    nominal, calibrated = Cor().compute([], {}, {"events": raw["events"]}), Cor().compute([], {}, raw)
    assert calibrated.header["IC_LUT2"] == "isgr_rise_mod_0185"
    assert calibrated.header["IC_MASK"] == "nominal, isgr_mask_mod_0003 confirms it"
    assert calibrated.header["IC_BACK"] == nominal.header["IC_LUT2"] == "nominal"
    # The simulator writes a channel of PHA for 1.9 keV; the tree's tables make 1.2 times that of it.
    ratio = np.median(calibrated.energy_kev) / np.median(nominal.energy_kev)
    assert ratio == pytest.approx(1.2, rel=0.05)


def test_a_mask_that_is_not_that_of_ibis_is_refused(archive, tmp_path, monkeypatch):
    monkeypatch.setenv("INTEGRAL_ODA_IC", str(tmp_path))
    write_mask(tmp_path, flipped=500)
    scw = str(archive.windows()[0])
    with pytest.raises(DataError, match="500 of 9025 mask cells"):
        Cor().compute([], {}, {"events": archive.events_file(scw), **calibration_files(archive, scw)})


@pytest.mark.parametrize(
    ("array", "card"),
    [
        (2.0 * mask_pattern() - 1, "isgr_deco_mod_0008"),
        (1 - 2.0 * mask_pattern(), "nominal, isgr_deco_mod_0008 has 0 % of the mask's signs"),
        (np.ones((64, 64)), "nominal, isgr_deco_mod_0008 is 64 x 64"),
        (np.ones((2, 64, 64)), "nominal, isgr_deco_mod_0008 has no such image"),
    ],
)
def test_a_decoding_array_is_used_where_it_is_the_masks(array, card, archive, tmp_path, monkeypatch):
    monkeypatch.setenv("INTEGRAL_ODA_IC", str(tmp_path))
    write_decoding(tmp_path, array)
    scw = str(archive.windows()[0])
    events = Cor().compute([], {}, {"events": archive.events_file(scw), **calibration_files(archive, scw)})
    assert events.header["IC_DECO"] == card
