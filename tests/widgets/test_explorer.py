"""Every button of the page as a method; the analysis itself is a recorded stand-in process here."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from integral_oda.archive.sample import SAMPLE
from integral_oda.errors import DataError, RequestError
from integral_oda.query import ImageQuery, LightCurveQuery
from integral_oda.workflow.progress import StepEvent
from integral_widgets import explorer as module
from integral_widgets.explorer import Explorer, is_simulated
from integral_widgets.tasks import FetchSample, ImageResult, LightCurveResult, MakeImage, MakeLightCurve, SimulateWindow
from integral_widgets.worker import Done, Failed, Step, TaskError

SCW = "255900280010.001"


class RecordedWorker:
    """Takes tasks and does nothing; the test plays the process."""

    def __init__(self, on_message, log):
        self.on_message, self.tasks, self.starts = on_message, [], 0

    def start(self):
        self.starts += 1

    def submit(self, task):
        self.tasks.append(task)
        return len(self.tasks)

    def cancel(self):
        self.tasks.clear()

    def close(self):
        self.tasks.clear()


@pytest.fixture
def archive(tmp_path):
    """Archive whose only window has an event file; what is in it is nobody's concern here."""
    folder = tmp_path / "archive" / SAMPLE.folder
    folder.mkdir(parents=True)
    (folder / "isgri_events.fits").write_bytes(b"SIMPLE  =                    T")
    return tmp_path / "archive"


@pytest.fixture
def app(archive, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "Worker", RecordedWorker)
    made = Explorer(archive, tmp_path / "store", tmp_path / "out")
    yield made
    made.close()


@pytest.fixture
def products(image, source, curve, tmp_path):
    path = tmp_path / "mosaic.fits"
    path.write_bytes(b"SIMPLE")
    summary = {
        "science_windows": {"used": [SCW], "left_out": [{"scw": "255900290010.001", "reason": "<b>damaged</b>"}]}
    }
    return SimpleNamespace(
        image=ImageResult(ImageQuery(scw_list=[SCW]), (image, image), (source("<i>x</i>"),), summary, (path,)),
        curve=LightCurveResult(LightCurveQuery(scw_list=[SCW]), (curve(),), summary, (path,)),
    )


def _tree(widget):
    yield widget
    for child in getattr(widget, "children", ()):
        yield from _tree(child)


def page(app):
    return "".join(str(child.value) for child in _tree(app.widget) if isinstance(getattr(child, "value", None), str))


def test_the_form_begins_with_the_window_of_the_archive(app):
    assert app.form.fields["scw_list"].text == SCW
    assert app.form.fields["src_name"].text == "SGR 1935+2154"
    assert app.offer.layout.display == "none"
    assert app.worker.starts == 1


def test_explore_asks_for_image_and_light_curve_of_the_form(app, archive, tmp_path):
    app.form.set(bands="20-40", time_bin="10")
    app.explore()
    image, curve = app.worker.tasks
    assert isinstance(image, MakeImage)
    assert isinstance(curve, MakeLightCurve)
    assert image.query.bands == ((20, 40),)
    assert curve.query.time_bin == 10
    assert (image.archive, image.store) == (archive, tmp_path / "store")
    assert image.out != curve.out


@pytest.mark.parametrize(
    ("method", "kind"),
    [("make_image", MakeImage), ("make_light_curve", MakeLightCurve), ("simulate_window", SimulateWindow),
     ("fetch_sample", FetchSample)],
)  # fmt: skip
def test_every_button_is_a_method(app, method, kind):
    getattr(app, method)()
    assert [type(task) for task in app.worker.tasks] == [kind]


def test_a_click_does_what_the_method_does(app):
    app.image_button.click()
    assert [type(task) for task in app.worker.tasks] == [MakeImage]


def test_while_it_runs_only_cancel_can_be_pressed(app, products):
    app.make_image()
    assert app.explore_button.disabled
    assert not app.cancel_button.disabled
    app.worker.on_message(Done(1, products.image))
    assert not app.explore_button.disabled
    assert app.cancel_button.disabled


def test_results_are_shown_and_kept(app, products):
    app.explore()
    app.worker.on_message(Step(1, StepEvent(SCW, "IMA", "computed", 0.5)))
    app.worker.on_message(Done(1, products.image))
    app.worker.on_message(Done(2, products.curve))
    app.wait(1)
    assert app.image is products.image
    assert app.light_curve is products.curve
    assert app.image_view.place.figure.name == "sky_image"
    assert app.light_curve_view.place.figure.name == "light_curve"
    assert "IMA computed in 0.50 s" in app.progress.table.value
    assert "Done in" in app.progress.line.value


def test_names_and_reasons_are_text_never_markup(app, products):
    app.make_image()
    app.worker.on_message(Done(1, products.image))
    assert "&lt;i&gt;x&lt;/i&gt;" in page(app)
    assert "255900290010.001 left out: &lt;b&gt;damaged&lt;/b&gt;" in page(app)


def test_another_plane_or_scale_gives_another_figure(app, products):
    app.make_image()
    app.worker.on_message(Done(1, products.image))
    before = app.image_view.place.figure
    app.image_view.plane.value = "intensity"
    assert app.image_view.place.figure is not before
    assert app.image_view.place.figure.title.text == "Flux, 28-80 keV"
    assert len(app.image_view.place.widget.children) == 1


def test_an_error_of_a_parameter_stands_beside_its_field(app):
    app.make_light_curve()
    app.worker.on_message(Failed(1, TaskError("src_name = x: not in the catalogue", "RequestError", "src_name")))
    assert "not in the catalogue" in app.form.fields["src_name"].error.value
    assert app.status.value == ""
    assert not app.explore_button.disabled


def test_damaged_data_are_told_beside_the_windows(app):
    app.make_image()
    app.worker.on_message(Failed(1, TaskError("isgri_events.fits: truncated", "DataError")))
    assert "truncated" in app.form.fields["scw_list"].error.value
    assert "Failed after" in app.progress.line.value


def test_any_other_error_is_told_above_the_results(app):
    app.make_image()
    app.worker.on_message(Failed(1, TaskError("the analysis process ended with status 9", "Lost")))
    assert "status 9" in app.status.value


def test_a_window_that_is_not_there_is_told_before_anything_runs(app):
    app.form.set(scw_list="255900300010.001")
    with pytest.raises(DataError, match=r"255900300010\.001"):
        app.make_image()
    assert "255900300010.001" in app.form.fields["scw_list"].error.value
    assert app.worker.tasks == []


def test_a_wrong_form_starts_nothing_and_the_click_says_it_once(app):
    app.form.set(bands="28-1001")
    app.explore_button.click()
    assert app.worker.tasks == []
    assert "1001" in app.form.fields["bands"].error.value
    assert app.status.value == ""
    with pytest.raises(RequestError):
        app.explore()


def test_cancelling_frees_the_page_and_starts_a_fresh_process(app, products):
    app.make_image()
    app.cancel()
    assert not app.explore_button.disabled
    assert app.worker.starts == 2
    app.worker.on_message(Done(1, products.image))
    assert app.image is None


def test_a_click_into_the_image_reads_it_and_offers_to_measure_there(app, products, image):
    app.make_image()
    app.worker.on_message(Done(1, products.image))
    view = app.image_view
    assert view.measure_button.disabled
    view.pick(50.2, 29.8)
    assert "50.00 ± 2.00 counts/s, 25.0 sigma in 28-80 keV" in view.notice.widget.value
    view.measure_button.click()
    expected = image.wcs.wcs_pix2world(50.2, 29.8, 0)
    asked = app.worker.tasks[-1].query.at
    assert [float(part) for part in asked[0].split(",")] == pytest.approx([float(v) for v in expected], abs=1e-4)


def test_the_time_shown_becomes_the_good_time_of_an_image(app, products):
    app.make_light_curve()
    app.worker.on_message(Done(1, products.curve))
    view, curve = app.light_curve_view, products.curve.curves[0]
    first, last = curve.time_ijd[[0, -1]]
    assert view.interval_ijd == pytest.approx((first - 50 / 86400, last + 50 / 86400), abs=1e-9)
    view.place.figure.x_range.update(start=100.0, end=250.0)
    view.image_button.click()
    ((start, stop),) = app.worker.tasks[-1].query.gti
    assert (start, stop) == pytest.approx((first + 50 / 86400, first + 200 / 86400), abs=1e-8)


def test_the_link_brings_the_query_to_another_page(archive, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "Worker", RecordedWorker)
    monkeypatch.setenv("VOILA_BASE_URL", "/")
    app = Explorer(archive, tmp_path / "store", tmp_path / "out")
    app.form.set(bands="20-40", src_name="Cyg X-1")
    other = Explorer(archive, tmp_path / "store", tmp_path / "out2", query_string=app.form.query_string())
    assert other.form.query_string() == app.form.query_string()
    assert "bands=20-40" in app.link.value
    other.close()


def test_unknown_keys_of_a_link_are_told(archive, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "Worker", RecordedWorker)
    app = Explorer(archive, tmp_path / "store", tmp_path / "out", query_string="colour=<red>")
    assert "colour = &lt;red&gt;: not a parameter of a link" in app.status.value


def test_an_empty_archive_is_said_and_a_window_offered(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "Worker", RecordedWorker)
    app = Explorer(tmp_path / "none", tmp_path / "store", tmp_path / "out")
    assert app.offer.layout.display != "none"
    app.simulate_button.click()
    assert [type(task) for task in app.worker.tasks] == [SimulateWindow]


def test_simulated_windows_are_labelled(app, archive, products):
    path = archive / SAMPLE.folder / "isgri_events.fits"
    assert not is_simulated(archive, SCW)
    path.write_bytes(b"SIMPLE  =                    T".ljust(80) + b"SIMULATE=                    T".ljust(80))
    assert is_simulated(archive, SCW)
    app.make_image()
    app.worker.on_message(Done(1, products.image))
    assert f"SIMULATED: {SCW}" in page(app)


def test_a_fault_while_showing_a_result_is_told(app):
    app.make_image()
    app.worker.on_message(Done(1, "no result"))
    assert "fault of the page" in app.status.value
    assert not app.explore_button.disabled
