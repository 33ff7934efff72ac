from __future__ import annotations

import pytest

from integral_oda.mosaics.keywords import software_of, summed_keywords

FIRST = {"SWID": "066500280010", "TFIRST": 3.0, "TLAST": 3.5, "ONTIME": 100.0, "DEADC": 0.8, "CRABRATE": 120.0,
         "REVOL": 665, "CREATOR": "ii_skyimage 5.4.4", "CONFIGUR": "latest_osa_sw_2015-11-10T03:50:02"}  # fmt: skip
SECOND = {**FIRST, "SWID": "066500290010", "TFIRST": 2.0, "TLAST": 2.5, "ONTIME": 300.0, "DEADC": 0.6, "REVOL": 666}


@pytest.mark.parametrize(
    ("keywords", "software"),
    [
        (FIRST, "OSA 10"),
        ({**FIRST, "CONFIGUR": "osa_2021-08-27T14:27:00"}, "OSA 11"),
        ({"CREATOR": "integral-oda native"}, "integral-oda"),
        ({"CREATOR": "integral-oda mosaic", "IMAGESOF": "OSA 10"}, "OSA 10"),
        ({"CREATOR": "varmosaic"}, "varmosaic"),
        ({}, "unknown"),
    ],
)
def test_software_is_told_by_creator_and_configuration(keywords, software):
    assert software_of(keywords) == software


def test_times_add_up_and_what_images_share_stays():
    found = summed_keywords([FIRST, SECOND])
    assert (found["TFIRST"], found["TLAST"], found["ONTIME"], found["NSCW"]) == (2.0, 3.5, 400.0, 2)
    assert found["DEADC"] == pytest.approx(0.65)
    assert found["CRABRATE"] == 120.0
    assert found["IMAGESOF"] == "OSA 10"
    assert not {"SWID", "REVOL", "EXPOSURE"} & found.keys()


def test_a_mosaic_of_mosaics_counts_all_windows():
    both = summed_keywords([FIRST, SECOND])
    assert summed_keywords([both, {**FIRST, "ONTIME": 50.0}])["NSCW"] == 3
    assert summed_keywords([both, FIRST])["IMAGESOF"] == "OSA 10"
