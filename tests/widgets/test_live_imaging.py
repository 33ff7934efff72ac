"""The process that makes images of other bands: real window, real process."""

from __future__ import annotations

import queue
import types

import pytest

from integral_oda.analysis import analyse
from integral_oda.query import ImageQuery, make_query
from integral_widgets.image_view import LIVE, ImageView
from integral_widgets.live_imaging import LiveImaging, WindowToImage, live_imaging_of

SCW = "255900280010.001"
QUERY = make_query(ImageQuery, scw_list=SCW, bands=[(28, 80)])


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="module")
def products(sample_archive, store):
    return analyse(QUERY, sample_archive, store)


@pytest.fixture(scope="module")
def live(products, sample_archive, store):
    made = live_imaging_of(products, sample_archive, store)
    yield made
    made.close()
    assert not made._process.is_alive()


def test_the_slider_shows_another_band(products, live):
    view = ImageView(products, live=live)
    shown = queue.Queue()
    inner = view._show_live
    view._show_live = lambda image, seconds: (inner(image, seconds), shown.put(image))
    view.slider.value = (30.0, 70.0)
    image = shown.get(timeout=120)
    assert image.band == (30.0, 70.0)
    assert view.data is image
    assert view.band.value == LIVE
    assert view.place.figure.title.text == "Significance, 30-70 keV"
    figure = view.place.figure
    view.slider.value = (30.0, 72.0)
    shown.get(timeout=60)
    assert view.place.figure is figure
    assert figure.title.text == "Significance, 30-72 keV"


def test_a_click_is_answered_by_forced_photometry(products, live):
    view = ImageView(products, live=live)
    told = queue.Queue()
    inner = view._told
    view._told = lambda read, flux: (inner(read, flux), told.put(flux))
    view.pick(150.0, 220.0)
    flux = told.get(timeout=120)
    assert "Forced photometry" in view.notice.widget.value
    assert flux.flux_error > 0


def test_of_many_images_asked_for_only_the_last_is_made(live):
    answers, refused = queue.Queue(), queue.Queue()
    for high in (60, 62, 64, 66, 68, 70, 72, 74):
        live.ask_image(28.0, float(high), lambda image, seconds: answers.put(image.band), refused.put)
    bands = [answers.get(timeout=60)]
    while bands[-1] != (28.0, 74.0):
        bands.append(answers.get(timeout=60))
    assert len(bands) <= 3
    assert refused.empty()


def test_no_band_is_refused_and_the_process_goes_on(live):
    answers, refused = queue.Queue(), queue.Queue()
    live.ask_image(80.0, 28.0, lambda *_: None, refused.put)
    assert "80-28" in refused.get(timeout=60)
    live.ask_image(28.0, 60.0, lambda image, seconds: answers.put(image), refused.put)
    assert answers.get(timeout=60).band == (28.0, 60.0)


def test_a_process_that_ended_is_started_again(live):
    live._process.terminate()
    live._process.join(10)
    answers, refused = queue.Queue(), queue.Queue()
    live.ask_image(28.0, 60.0, lambda image, seconds: answers.put(image), refused.put)
    assert answers.get(timeout=120).band == (28.0, 60.0)


def test_what_is_wrong_with_the_window_is_told(sample_archive, tmp_path):
    wrong = LiveImaging(
        WindowToImage(make_query(ImageQuery, scw_list="255900990010.001"), sample_archive, tmp_path, (28.0, 80.0))
    )
    refused = queue.Queue()
    wrong.ask_image(28.0, 80.0, lambda *_: None, refused.put)
    assert "255900990010" in refused.get(timeout=60)
    wrong.close()


def test_a_mosaic_has_no_slider(image_of, source, tmp_path):
    summary = {"query": QUERY.model_dump(mode="json"), "science_windows": {"used": [SCW, "255900290010.001"]}}
    several = types.SimpleNamespace(images=[image_of()], sources=[source()], summary=summary)
    assert live_imaging_of(several, tmp_path, tmp_path) is None
