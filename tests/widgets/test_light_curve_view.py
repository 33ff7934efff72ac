"""Sources and bands together, trends, and intervals that are handed on."""

from __future__ import annotations

import types
from dataclasses import replace

import pytest
from bokeh.events import Reset, SelectionGeometry

from integral_oda.instrument.energy import EnergyBand
from integral_widgets.light_curve_view import LightCurveView


@pytest.fixture
def products(curve):
    first = curve(40)
    curves = [first, replace(first, band=EnergyBand(80, 100)), curve(30, name="Cyg <i>X-1</i>")]
    return types.SimpleNamespace(curves=curves, summary={})


def drag(view, low, high):
    box = {"type": "rect", "x0": low, "x1": high, "y0": 0.0, "y1": 1.0}
    for listener in view.place.figure._event_callbacks["selectiongeometry"]:
        listener(SelectionGeometry(view.place.figure, geometry=box, final=True))


def test_the_bands_of_the_first_source_are_shown_first_and_others_join_them(products):
    view = LightCurveView(products)
    assert view.shown.value == (0, 1)
    view.shown.value = (0, 1, 2)
    assert len(view.drawn.curves) == 3
    assert len(view.place.figure.legend[0].items) == 3


def test_the_time_shown_is_the_interval_until_one_is_chosen(products):
    asked = []
    view = LightCurveView(products, on_interval=lambda *ends: asked.append(ends))
    first, last = products.curves[0].edges_ijd[[0, -1], [0, 1]]
    assert view.interval_ijd == pytest.approx((first, last), abs=1e-9)
    view.place.figure.x_range.update(start=100.0, end=250.0)
    view.image_button.click()
    drag(view, 400.0, 300.0)
    view.image_button.click()
    seconds = [[(t - first) * 86400 for t in ends] for ends in asked]
    assert seconds == [pytest.approx([100, 250], abs=1e-3), pytest.approx([300, 400], abs=1e-3)]
    assert "100.000 s" in view.notice.widget.value


def test_reset_forgets_the_interval(products):
    view = LightCurveView(products)
    drag(view, 300.0, 400.0)
    for listener in view.place.figure._event_callbacks["reset"]:
        listener(Reset(view.place.figure))
    assert view.chosen_s is None
    assert not view.place.figure.select_one({"name": "chosen"}).visible


def test_spectra_of_an_interval_are_asked_where_the_page_can_make_them(products):
    asked = []
    view = LightCurveView(products, on_spectrum=lambda *ends: asked.append(ends))
    assert view.image_button.layout.display == "none"
    view.spectrum_button.click()
    assert len(asked) == 1


@pytest.mark.parametrize(("trend", "words"), [("constant", "constant 2"), ("linear", "slope")])
def test_a_trend_is_told_with_its_chi2(products, trend, words):
    view = LightCurveView(products)
    view.shown.value = (0, 2)
    view.trend.value = trend
    assert words in view.trends.value
    assert "chi2" in view.trends.value
    assert "&lt;i&gt;X-1" in view.trends.value
    assert len(view.place.figure.select_one({"name": "trend0"}).data_source.data["x"]) == 2


def test_a_failure_of_what_is_handed_on_is_told(products):
    from integral_oda.errors import RequestError

    def refuse(start, stop):
        raise RequestError("gti", "x", "y")

    view = LightCurveView(products, on_interval=refuse)
    view.image_button.click()
    assert "gti" in view.notice.widget.value
