from __future__ import annotations

import pytest

from integral_oda.archive.scw import ScwId
from integral_oda.archive.tree import Archive
from integral_oda.errors import DataError, RequestError

SCW = "255900280010.001"


@pytest.fixture
def archive(tmp_path, packed_event_bytes):
    """An archive with one whole window."""
    folder = tmp_path / "scw" / "2559" / SCW
    folder.mkdir(parents=True)
    (folder / "isgri_events.fits.gz").write_bytes(packed_event_bytes)
    return Archive(tmp_path)


def test_files_are_found_plain_or_gzipped(archive, event_bytes):
    assert archive.events_file(SCW).name == "isgri_events.fits.gz"
    assert archive.find(SCW, "isgri_dead.fits") is None
    (archive.folder(SCW) / "isgri_dead.fits").write_bytes(event_bytes)
    assert archive.find(ScwId.parse(SCW), "isgri_dead.fits") == archive.folder(SCW) / "isgri_dead.fits"


@pytest.mark.parametrize(
    ("there", "asked", "found"),
    [
        (["001", "002"], "001", "001"),
        (["001", "002"], "003", "002"),
        (["000", "001"], "002", "001"),
        (["000"], "001", "000"),
        (["003", "000"], "003", "003"),
    ],
)
def test_versions_may_mix(tmp_path, event_bytes, there, asked, found):
    for version in there:
        folder = tmp_path / "scw" / "2559" / f"255900280010.{version}"
        folder.mkdir(parents=True)
        (folder / "isgri_events.fits").write_bytes(event_bytes)
    assert Archive(tmp_path).events_file(f"255900280010.{asked}").parent.name == f"255900280010.{found}"


def test_a_file_may_lie_in_another_version_than_the_asked(archive, event_bytes):
    newer = archive.root / "scw" / "2559" / "255900280010.002"
    newer.mkdir()
    (newer / "isgri_dead.fits").write_bytes(event_bytes)
    assert archive.events_file("255900280010.002").parent.name == SCW
    assert archive.find(SCW, "isgri_dead.fits") == newer / "isgri_dead.fits"


def test_an_absent_window_is_named_with_what_to_do(archive):
    with pytest.raises(DataError) as caught:
        archive.events_file("255900290010.001")
    message = str(caught.value)
    assert "255900290010.001" in message
    assert str(archive.root) in message
    assert "integral-oda archive fetch" in message
    assert "\n" not in message


def test_a_window_without_events(archive):
    archive.events_file(SCW).unlink()
    with pytest.raises(DataError, match=rf"{SCW}: no isgri_events\.fits"):
        archive.events_file(SCW)


def test_no_identifier_is_a_bad_request(archive):
    with pytest.raises(RequestError):
        archive.folder("../..")


def test_windows_in_order_each_in_its_highest_version(archive):
    for name in ("255900280010.002", "255900270021.001", "255900300010.000", ".255900310010.001", "notes.txt"):
        (archive.root / "scw" / "2559" / name).mkdir()
    (archive.root / "scw" / "2560" / "255900280010.003").mkdir(parents=True)
    names = [str(scw) for scw in archive.windows()]
    assert names == ["255900270021.001", "255900280010.002", "255900300010.000"]


def test_an_archive_that_is_not_there_has_no_windows(tmp_path):
    assert Archive(tmp_path / "none").windows() == []


def test_verify_tells_each_damage(archive, packed_event_bytes, event_bytes):
    revolution = archive.root / "scw" / "2559"
    for swid in ("255900290010.001", "255900300010.001", "255900310010.001"):
        (revolution / swid).mkdir()
    (revolution / "255900290010.001" / "isgri_events.fits.gz").write_bytes(packed_event_bytes)
    (revolution / "255900300010.001" / "isgri_events.fits.gz").write_bytes(packed_event_bytes[:-100])
    (revolution / SCW / "isgri_dead.fits").write_bytes(event_bytes[:10000])
    (revolution / SCW / "swg.fits").write_bytes(event_bytes)
    problems = {str(scw): found for scw, found in archive.verify().items()}
    assert [len(found) for found in problems.values()] == [1, 1, 1, 1]
    assert "isgri_dead.fits: truncated" in problems[SCW][0]
    assert "holds science window 255900280010" in problems["255900290010.001"][0]
    assert "truncated or damaged gzip" in problems["255900300010.001"][0]
    assert "no isgri_events.fits" in problems["255900310010.001"][0]


def test_verify_finds_nothing_wrong_with_a_whole_window(archive):
    assert list(archive.verify().values()) == [[]]
