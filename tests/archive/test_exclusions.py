"""What science windows are left out by: bad time, verdicts, lists."""

from __future__ import annotations

import json

import pytest
from astropy.io import fits

from integral_oda.archive.exclusions import read_exclusions
from integral_oda.errors import RequestError


def bad_time(path):
    table = fits.BinTableHDU.from_columns(
        [
            fits.Column("START", "1D", array=[10.0, 20.0, 30.0]),
            fits.Column("STOP", "1D", array=[11.0, 21.0, 31.0]),
            fits.Column("BTI_NAME", "32A", array=["SOLAR_FLARE", "MISCELLANEOUS", "BELT_CROSSING"]),
        ],
        name="ISGR-GNRL-BTI",
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(path)


def test_bad_time_of_the_kinds_that_osa_leaves_out(tmp_path):
    bad_time(tmp_path / "ic/ibis/lim/isgr_gnrl_bti_0016.fits")
    found = read_exclusions(["bti"], tmp_path)
    assert found.bad_time_ijd == [(10.0, 11.0, "SOLAR_FLARE"), (30.0, 31.0, "BELT_CROSSING")]
    assert read_exclusions([str(tmp_path / "ic/ibis/lim/isgr_gnrl_bti_0016.fits")], tmp_path) == found


def test_drop_verdicts_and_lists(tmp_path):
    for swid, verdict in (("066500010010", "drop"), ("066500020010", "keep")):
        (tmp_path / swid).mkdir()
        page = {"science_window": swid, "verdict": verdict, "reasons": [{"level": "drop", "text": "noisy"}]}
        (tmp_path / swid / "quality.json").write_text(json.dumps(page))
    (tmp_path / "list.txt").write_text("066500030010.001  solar flare of April\n066500040010\n")
    found = read_exclusions([str(tmp_path), str(tmp_path / "list.txt")], tmp_path / "none")
    assert found.windows == {
        "066500010010": "verdict drop; noisy",
        "066500030010": "solar flare of April",
        "066500040010": "listed in list.txt",
    }


@pytest.mark.parametrize("source", ["bti", "no/such/file", "{here}"])
def test_what_cannot_be_read_is_a_bad_request(tmp_path, source):
    with pytest.raises(RequestError, match="exclude = "):
        read_exclusions([source.format(here=tmp_path)], tmp_path)
