"""The index of a local archive: complete, incremental, brought up to date by itself."""

from __future__ import annotations

import os

import pytest

from integral_oda.archive.indexing import archive_index, index_path, take_pointings, update_index
from integral_oda.archive.pointings import read_index
from integral_oda.errors import DataError, RequestError
from integral_oda.simulation.recipe import read_recipe
from integral_oda.simulation.window import simulate

RECIPE = "duration_s: 10\nseed: 4\ndither: {ra: 83.6, dec: 22.0, count: 3}\n"


@pytest.fixture
def archive(tmp_path):
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    simulate(read_recipe(tmp_path / "recipe.yaml"), tmp_path / "archive")
    return tmp_path / "archive"


def add(archive, name, source):
    (archive / "scw" / name[:4] / name).mkdir(parents=True)
    (archive / "scw" / name[:4] / name / "isgri_events.fits.gz").write_bytes(source)


def test_each_window_is_read_once(archive, packed_event_bytes):
    first = update_index(archive)
    assert (first.windows, first.read, first.removed, first.problems) == (3, 3, 0, ())
    assert update_index(archive).read == 0
    add(archive, "255900280010.001", packed_event_bytes)
    assert (update_index(archive).read, update_index(archive).read) == (1, 0)
    index = read_index(index_path(archive))
    assert index.names[-1] == "255900280010.001"
    assert (index.ra_x[-1], index.dec_z[-1]) == (286.8229, -6.8731)
    assert index.ontime_s[-1] == pytest.approx((8320.6736 - 8320.6323) * 86400)


def test_a_changed_window_is_read_again_and_a_lost_one_goes(archive):
    update_index(archive)
    group = archive / "scw/0665/066500010010.001/swg.fits"
    os.utime(group, ns=(1, 1))
    assert update_index(archive).read == 1
    for path in group.parent.iterdir():
        path.unlink()
    assert update_index(archive).removed == 1


def test_a_damaged_window_is_told_and_left_out(archive):
    (archive / "scw/0665/066500010010.001/swg.fits").write_bytes(b"<html>")
    done = update_index(archive)
    assert done.windows == 2
    assert "066500010010.001" in done.problems[0]


def test_two_processes_read_the_same(archive, packed_event_bytes):
    alone = update_index(archive, jobs=1)
    digest = read_index(alone.path).digest
    alone.path.unlink()
    update_index(archive, jobs=2, good_time=True)
    index = read_index(alone.path)
    assert index.good_s.tolist() == pytest.approx([10.0] * 3, abs=1e-3)
    assert index.names == [f"066500{n}0010.001" for n in ("01", "02", "03")] != []
    assert index.digest != digest  # the good time is known now


def test_the_index_keeps_itself_up_to_date(archive, packed_event_bytes):
    assert len(archive_index(archive)) == 3
    add(archive, "255900280010.001", packed_event_bytes)
    assert len(archive_index(archive)) == 4


def test_pointings_of_other_origin_stand_beside_the_archives_own(archive, tmp_path):
    (tmp_path / "list.txt").write_text("066500990010.000\n# a remark\n255900010010\n")
    take_pointings(archive, tmp_path / "list.txt")
    assert len(archive_index(archive)) == 5


def test_nothing_to_choose_from(tmp_path):
    with pytest.raises(DataError, match="no science window and no index"):
        archive_index(tmp_path)


def test_a_file_that_lists_no_pointings(archive, tmp_path):
    (tmp_path / "x.txt").write_text("one two three\n")
    with pytest.raises(RequestError, match=r"index = .*x.txt: an index of this program"):
        take_pointings(archive, tmp_path / "x.txt")
