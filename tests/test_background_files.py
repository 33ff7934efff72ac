from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integral_oda.background_files import EPOCH_REVOLUTIONS, check_folder, find_map, map_name
from integral_oda.errors import RequestError
from integral_oda.instrument.energy import EnergyBand

BAND = EnergyBand(28.0, 80.0)


@pytest.fixture
def folder(tmp_path):
    for first, last in (("0100", "0110"), ("0200", "0200"), ("0225", "0230")):
        (tmp_path / map_name(BAND, [f"{first}00010010.001", f"{last}00010010.001"])).touch()
    (tmp_path / "isgri_background_notes.fits").touch()
    return tmp_path


@pytest.mark.parametrize(
    ("revolution", "epoch"),
    [("0105", "0100-0110"), ("0139", "0100-0110"), ("0210", "0200-0200"), ("0226", "0225-0230"), ("0150", None)],
)
def test_the_epoch_nearest_in_time_is_taken(folder, revolution, epoch):
    found = find_map(folder, BAND, f"{revolution}00010010.001")
    assert (found and found.stem.rsplit("_")[-1]) == epoch
    assert find_map(folder, EnergyBand(20.0, 40.0), f"{revolution}00010010.001") is None


def test_the_error_names_the_bands_that_there_are(folder):
    check_folder(folder, [BAND])
    with pytest.raises(RequestError, match=r"20-40 keV; the folder has 28-80"):
        check_folder(folder, [BAND, EnergyBand(20.0, 40.0)])
    with pytest.raises(RequestError, match="calibrate background"):
        check_folder(folder / "nothing", [BAND])


@given(st.integers(30, 1998), st.integers(1, 400), st.integers(1, 2800))
def test_a_name_leads_back_to_its_map(start, width, revolution):
    import tempfile
    from pathlib import Path

    band = EnergyBand(start / 2, min((start + width) / 2, 1000.0))
    scw = f"{revolution:04d}00010010.001"
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / map_name(band, [scw])
        path.touch()
        assert find_map(Path(name), band, scw) == path
        assert find_map(Path(name), band, f"{revolution + EPOCH_REVOLUTIONS + 1:04d}00010010.001") is None
