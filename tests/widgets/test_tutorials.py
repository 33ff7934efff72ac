"""What the tutorials look at says whether it is an observation."""

from __future__ import annotations

from integral_oda.archive.sample import SAMPLE
from integral_oda.archive.tree import Archive
from integral_widgets.tutorials import window_to_look_at


def test_the_sample_is_taken_where_it_is(tmp_path):
    folder = tmp_path / SAMPLE.folder
    folder.mkdir(parents=True)
    (folder / "isgri_events.fits.gz").touch()
    window = window_to_look_at(tmp_path)
    assert (window.scw, window.simulated) == ("255900280010.001", False)
    assert "Real data" in window._repr_html_()


def test_without_it_a_window_is_simulated_and_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("INTEGRAL_ODA_ARCHIVE", str(tmp_path))
    window = window_to_look_at()
    assert window.simulated
    assert "SIMULATED" in str(window)
    assert "no observation" in window._repr_html_()
    assert Archive(tmp_path).events_file(window.scw).is_file()
