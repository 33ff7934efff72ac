"""Light curves are drawn as finely as the screen allows; what the browser makes of them is in tests/browser."""

from __future__ import annotations

import time

import numpy as np
import pytest

from integral_oda.products.light_curve import read_light_curve
from integral_widgets import bokeh_curves
from integral_widgets.bokeh_curves import follow_zoom, light_curve_figure, show_between


def data_of(figure, name):
    return figure.select_one({"name": name}).data_source.data


def test_a_light_curve_shows_every_bin_with_its_error(curve):
    data = curve(40)
    shown = data_of(light_curve_figure(data), "errors")
    assert shown["rate"] == pytest.approx(data.rate)
    assert shown["high"] - shown["low"] == pytest.approx(2 * data.error)
    assert shown["seconds"][0] == pytest.approx(50.0, abs=1e-3)


def test_no_burst_is_lost_among_35000_bins(curve):
    data = curve(35_000, width_s=0.1)
    data.rate[[12_345, 20_001]] = 900.0, 700.0
    shown = data_of(light_curve_figure(data), "bins")
    assert len(shown["rate"]) <= 4000
    assert {900.0, 700.0} <= set(shown["rate"])
    assert shown["seconds"][np.argmax(shown["rate"])] == pytest.approx(1234.55, abs=1e-3)


def test_an_empty_light_curve_gives_an_empty_figure(curve):
    assert "SGR" in light_curve_figure(curve(0)).title.text


def test_zooming_in_shows_every_bin_of_the_part(curve):
    data = curve(35_000, width_s=0.1)
    figure = light_curve_figure(data)
    assert "extremes of 35000 bins" in figure.title.text
    show_between(figure, data, 100.05, 119.95)
    assert data_of(figure, "bins")["rate"] == pytest.approx(data.rate[1000:1200])
    assert len(data_of(figure, "steps")["x"]) == 400
    assert "extremes" not in figure.title.text


def test_a_part_without_bins_is_empty(curve):
    data = curve(10)
    figure = light_curve_figure(data)
    show_between(figure, data, 1e6, 2e6)
    assert len(data_of(figure, "bins")["rate"]) == 0


def test_the_drawing_follows_the_zoom_once_it_settles(curve, monkeypatch):
    data = curve(35_000, width_s=0.1)
    drawn = []
    monkeypatch.setattr(bokeh_curves, "show_between", lambda plot, _, low, high: drawn.append((low, high)))
    figure = light_curve_figure(data)
    drawn.clear()
    follow_zoom(figure, data)
    for low in range(10):
        figure.x_range.start = low
    figure.x_range.end = 30.0
    end = time.monotonic() + 30
    while not drawn and time.monotonic() < end:
        time.sleep(0.01)
    assert drawn == [(9, 30.0)]


def test_the_rate_axis_fits_what_is_drawn(curve):
    data = curve(35_000, width_s=0.1)
    data.rate[30_000] = 900.0
    figure = light_curve_figure(data)
    assert figure.y_range.end > 900
    show_between(figure, data, 0.0, 100.0)
    assert 20 < figure.y_range.end < 60
    assert figure.y_range.start < 0


def test_osa_own_light_curve_is_drawn(real_data):
    path = next((real_data / "volodymyrss_grb221009").glob("oda_8201*SGR*"))
    assert max(data_of(light_curve_figure(read_light_curve(path)), "bins")["rate"]) == pytest.approx(57.65, abs=0.01)
