"""What the worker does for the page, done here in this process."""

from __future__ import annotations

import zipfile

import pytest

from integral_oda.archive.tree import Archive
from integral_oda.errors import OutputError, UnavailableError
from integral_widgets.tasks import FetchSample, SimulateWindow, with_zip


def test_a_zip_holds_every_file_and_comes_last(tmp_path):
    files = [tmp_path / name for name in ("mosaic.fits", "summary.json")]
    for path in files:
        path.write_text(path.name)
    result = with_zip(files, tmp_path / "image.zip")
    assert result == (*files, tmp_path / "image.zip")
    with zipfile.ZipFile(result[-1]) as packed:
        assert {name: packed.read(name).decode() for name in packed.namelist()} == {p.name: p.name for p in files}


def test_a_zip_that_cannot_be_written_is_one_error(tmp_path):
    with pytest.raises(OutputError, match=r"image\.zip"):
        with_zip([], tmp_path / "none" / "image.zip")


@pytest.mark.slow
def test_a_simulated_window_lies_in_the_archive(tmp_path):
    states = []
    scw = SimulateWindow(tmp_path).run(lambda event: states.append(event.state))
    assert Archive(tmp_path).events_file(scw).is_file()
    assert states == ["running", "computed"]


def test_a_sample_that_cannot_be_fetched_is_told(tmp_path, monkeypatch):
    def refuse(root, report):
        report("asking the index")
        raise UnavailableError("no network")

    told = []
    monkeypatch.setattr("integral_oda.archive.sample.fetch_sample", refuse)
    with pytest.raises(UnavailableError, match="no network"):
        FetchSample(tmp_path).run(lambda event: told.append(event.message))
    assert told == ["", "asking the index"]
