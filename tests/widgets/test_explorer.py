"""Every button of the page as a method; what runs are real jobs on two small simulated windows."""

from __future__ import annotations

import html
import json
import re
import time

import nbformat
import numpy as np
import pytest

from integral_oda.archive.sample import SAMPLE
from integral_oda.background import jobs_of
from integral_oda.catalog.source_list import ListedSource, SourceCatalogue
from integral_oda.errors import DataError, RequestError
from integral_oda.query import ImageQuery
from integral_oda.simulation.recipe import make_recipe
from integral_oda.simulation.window import simulate
from integral_widgets.archive_offer import is_simulated
from integral_widgets.explorer import Explorer

BAND = (28.0, 80.0)
RECIPE = {
    "seed": 8,
    "pointings": [{"ra": 84.6, "dec": 22.0}, {"ra": 85.6, "dec": 23.0}],
    "duration_s": 120,
    "sources": [{"name": "Crab", "ra": 83.6332, "dec": 22.0145, "flux": {"value": 100, "band": BAND}}],
    "background": {"rate": 150, "band": BAND},
}


@pytest.fixture(scope="module")
def field(tmp_path_factory):
    """Archive with two windows on the Crab, their names, and a store that all tests share."""
    root = tmp_path_factory.mktemp("field")
    return root / "archive", [str(scw) for scw in simulate(make_recipe(RECIPE), root / "archive")], root / "store"


def open_page(field, tmp_path, query_string=None, store=None):
    asked = f"scw_list={field[1][0]}&src_name=Crab" if query_string is None else query_string
    return Explorer(field[0], store or field[2], tmp_path / "out", asked)


@pytest.fixture
def app(field, tmp_path):
    made = open_page(field, tmp_path)
    made.wait(60)
    yield made
    made.close()


def _tree(widget):
    yield widget
    for child in getattr(widget, "children", ()):
        yield from _tree(child)


def page(app):
    return "".join(str(child.value) for child in _tree(app.widget) if isinstance(getattr(child, "value", None), str))


class BarPage:
    """A part of a page as `page` takes one."""

    def __init__(self, widget):
        self.widget = widget


def test_a_cell_asks_and_has_the_image_as_an_array(app):
    app.query.e1 = 30
    assert (app.query.e1, app.query.e2) == (30, 80)
    app.run("image")
    assert app.image.summary["query"]["bands"] == [[30.0, 80.0]]
    assert app.image.data.shape == app.image.images[0].shape
    assert np.nanmax(app.image.data) > 50
    assert "Crab" in app.editor.catalogue.names
    assert "Done in" in app.progress.line.value


def test_one_press_makes_all_three_products_with_what_belongs_to_them(app):
    app.page.explore_button.click()
    app.wait(120)
    assert set(app.products) == {"image", "lightcurve", "spectrum"}
    assert app.light_curve.curves[0].name == "Crab"
    assert app.spectrum.spectra[0].name == "Crab"
    shown = html.unescape(page(app))
    for command in ("image", "lightcurve", "spectrum"):
        assert f"integral-oda {command} --scw-list {app.query.scw_list} --source Crab --archive" in shown
    assert "raw file" not in app.page.status.value
    assert shown.count("BIN_I of") >= 1
    assert "SIMULATED" in shown


def test_a_page_that_was_closed_is_found_again(app, field, tmp_path):
    app.query.bands = "28-79"
    app.run("image")
    other = open_page(field, tmp_path / "again", "")
    other.wait(60)
    assert other.query.bands == "28-79"
    assert other.image.summary["key"] == app.image.summary["key"]
    assert other.image.summary["nodes"] == app.image.summary["nodes"]
    assert "Sky image" in page(other)
    other.close()


def test_a_job_goes_on_without_its_page_and_the_next_page_finds_it(app, field, tmp_path):
    app.query.bands = "28-78"
    app.make_image()
    (job,) = [followed.job for followed in app.follower.jobs]
    app.close()
    other = open_page(field, tmp_path / "again", "")
    assert job.id in [followed.job.id for followed in other.follower.jobs]
    other.wait(60)
    assert job.state().status == "done"
    assert other.image.summary["query"]["bands"] == [[28.0, 78.0]]
    other.close()


def test_the_same_query_of_two_pages_is_one_job(app, field, tmp_path):
    other = open_page(field, tmp_path / "other")
    other.wait(60)
    for each in (app, other):
        each.query.bands = "28-77"
        each.make_image()
    ids = {followed.job.id for each in (app, other) for followed in each.follower.jobs}
    app.wait(60)
    other.wait(60)
    assert len(ids) == 1
    assert jobs_of(field[2], app.owner).get(ids.pop()).state().asked == 2
    other.close()


def test_nobody_sees_the_queries_of_others(app, field, tmp_path, monkeypatch):
    app.query.bands = "28-76"
    app.run("image")
    monkeypatch.setenv("INTEGRAL_ODA_USER", "mallory")
    other = open_page(field, tmp_path / "other")
    other.wait(10)
    assert other.history.list.options == ()
    assert other.image is None
    name = next(name for line, name in app.history.list.options if "28-76 keV" in line)
    with pytest.raises(RequestError, match="there are: none"):
        other.show_job(name)
    other.close()


def test_cancelling_ends_the_job_and_frees_the_page(app):
    app.query.bands = "20-75.5"
    app.query.detection_threshold = 5
    app.explore()
    jobs = [followed.job for followed in app.follower.jobs]
    assert not app.page.cancel_button.disabled
    app.cancel()
    app.wait(60)
    assert "cancelled" in {job.state().status for job in jobs}
    assert app.page.cancel_button.disabled


def test_the_history_brings_a_query_back_with_its_result(app):
    app.query.bands = "28-74"
    app.run("image")
    app.query.bands = "28-73"
    app.run("image")
    line = next(line for line, _ in app.history.list.options if "28-74 keV" in line)
    assert re.match(r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d  done  sky image  Crab  28-74 keV  1 window", line)
    app.history.list.value = dict(app.history.list.options)[line]
    app.history.show_button.click()
    app.wait(60)
    assert app.query.bands == "28-74"
    assert app.image.summary["query"]["bands"] == [[28.0, 74.0]]


def test_a_link_finds_the_result_that_is_there(app, field, tmp_path, monkeypatch):
    monkeypatch.setenv("VOILA_BASE_URL", "/")
    app.query.bands = "28-72"
    app.run("image")
    (bar,) = [child for child in app.page.places["image"].children if "oda-result-bar" in child._dom_classes]
    address = html.unescape(re.search(r"href='([^']*)'", page(BarPage(bar)))[1])
    assert "product=image" in address
    other = open_page(field, tmp_path / "other", address)
    other.wait(60)
    assert other.query.bands == "28-72"
    assert other.image.summary["key"] == app.image.summary["key"]
    assert other.page.status.value == ""
    other.close()


def test_the_mosaic_grows_while_its_job_is_at_work(field, tmp_path):
    from integral_oda.workflow.jobs import Job
    from integral_widgets.growing import Growing, _make

    app = open_page(field, tmp_path, f"scw_list={','.join(field[1])}", store=tmp_path / "store")
    app.run("image")
    (name,) = [name for _, name in app.history.list.options]
    job = Job(tmp_path / "store" / "jobs" / name)
    (tmp_path / "partial").mkdir()
    assert _make(job, tmp_path / "partial", 0) == 2
    growing = Growing(job, tmp_path / "partial")
    partial = growing.news()
    assert (partial.windows, partial.asked) == (2, 2)
    assert growing.news() is None
    app._show_partial(partial)
    assert "2 of 2 science windows" in page(app)
    np.testing.assert_allclose(partial.image.intensity, app.image.images[0].intensity, equal_nan=True, rtol=1e-5)
    app.close()


def test_the_edited_list_goes_into_the_next_products(app):
    mine = SourceCatalogue().add(ListedSource("My <source>", 84.9, 22.4))
    app.use_catalogue(mine)
    app.run("lightcurve")
    assert app.light_curve.summary["query"]["catalog"].endswith("catalogue.fits")
    app.query.src_name = ""
    app.run("lightcurve")
    assert {curve.name for curve in app.light_curve.curves} == {"My <source>"}
    app.query.catalog = ""
    assert app.query.only_catalog == "false"
    assert "<source>" not in page(app).replace("&lt;source&gt;", "")


def test_the_plan_shows_the_windows_and_hands_them_on(app, field):
    app.query.scw_list = ""
    app.query.T1, app.query.T2 = "2000-01-01", "2030-01-01"
    app.plan()
    assert set(app.plan_view.picked) == set(field[1])
    assert "2 of 2 science windows are taken" in app.plan_view.text.value
    app.plan_view.use_button.click()
    assert set(app.query.image.scw_list) == set(field[1])


def test_a_source_is_resolved_or_refused_beside_its_field(app):
    app.query.src_name = "crab nebula"
    app.resolve()
    assert "Crab: RA 83.63" in app.page.resolved.value
    app.query.src_name = "No <i>Such</i> Star"
    app.resolve()
    assert "No &lt;i&gt;Such&lt;/i&gt; Star" in app.form.fields["src_name"].error.value
    assert app.page.resolved.value == ""


def test_a_preset_fills_the_form_anew(app):
    app.query.gti = "8000.1,8000.2"
    app.page.preset.value = "V404 Cyg"
    query = app.query.light_curve
    assert (query.src_name, query.time_bin, query.E1_keV, query.T1) == ("V404 Cyg", 100, 20, "2015-06-20T15:49:59")
    assert (query.gti, query.scw_list) == ((), ())
    with pytest.raises(RequestError, match="one of"):
        app.use_preset("Sun")


def test_an_error_of_the_data_stands_beside_the_windows(app, field):
    app.form.set(scw_list=f"{field[1][0]}", src_name="Vela X-1")
    with pytest.raises(DataError):
        app.run("lightcurve")
    assert "oda-error" in page(app)
    assert "Traceback" not in page(app)
    assert "Failed after" in app.progress.line.value


def test_a_wrong_form_starts_nothing_and_the_click_says_it_once(app):
    app.query.bands = "28-1001"
    app.page.image_button.click()
    assert app.follower.jobs == []
    assert "1001" in app.form.fields["bands"].error.value
    assert app.page.status.value == ""
    with pytest.raises(RequestError):
        app.run()
    with pytest.raises(RequestError, match="one of image"):
        app.run("movie")


def test_a_window_that_is_not_there_is_told_before_anything_runs(app):
    app.query.scw_list = "255900300010.001"
    with pytest.raises(DataError, match=r"255900300010\.001"):
        app.make_image()
    assert "255900300010.001" in app.form.fields["scw_list"].error.value
    assert app.follower.jobs == []


def test_a_job_whose_process_is_killed_is_told(app):
    import os
    import signal

    app.query.bands = "20-71.5"
    app.make_image()
    (job,) = [followed.job for followed in app.follower.jobs]
    while not (pid := job.state().pid):
        time.sleep(0.05)
    os.killpg(pid, signal.SIGKILL)
    app.wait(30)
    assert "its process was ended from outside" in app.page.status.value


def test_unknown_keys_of_a_link_are_told(field, tmp_path):
    app = open_page(field, tmp_path, "colour=<red>&product=movie&engine=magic&scw_list=2559")
    assert "colour = &lt;red&gt;: not a parameter of a link" in app.page.status.value
    assert "product = movie: one of" in app.page.status.value
    assert "engine = magic: one of native, osa, mmoda" in app.page.status.value
    assert "2559" in app.form.fields["scw_list"].error.value
    app.close()


def test_an_empty_archive_is_said_and_a_window_offered(tmp_path):
    app = Explorer(tmp_path / "none", tmp_path / "store", tmp_path / "out")
    assert app.offer.widget.layout.display != "none"
    app.offer.simulate_button.click()
    app.wait(120)
    assert app.error == ""
    assert app.offer.widget.layout.display == "none"
    scw = app.query.image.scw_list[0]
    assert is_simulated(tmp_path / "none", scw)
    assert "(simulated)" in app.offer.windows.value
    app.close()


def test_only_what_says_so_is_simulated(tmp_path):
    folder = tmp_path / SAMPLE.folder
    folder.mkdir(parents=True)
    (folder / "isgri_events.fits").write_bytes(b"SIMPLE  =                    T")
    assert not is_simulated(tmp_path, "255900280010.001")


def test_a_notebook_of_the_query_is_offered(app, field):
    app.run("image")
    (bar,) = [child for child in app.page.places["image"].children if "oda-result-bar" in child._dom_classes]
    (button,) = [child for child in _tree(bar) if getattr(child, "description", "") == "Open as notebook"]
    button.click()
    assert "image.ipynb" in page(BarPage(bar))
    (path,) = app.out.rglob("image.ipynb")
    cells = nbformat.read(path, as_version=4).cells
    assert "parameters" in cells[1].metadata["tags"]
    assert json.dumps(field[1][0])[1:-1] in cells[1].source
    assert ImageQuery.__name__ in cells[2].source
