"""Light curves are drawn as finely as the screen allows; what the browser makes of them is in tests/browser."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from integral_oda.products.light_curve import read_light_curve
from integral_widgets.bokeh_curves import CurveFigure, light_curve_gaps, round_width


def data_of(figure, name):
    return figure.plot.select_one({"name": name}).data_source.data


def test_a_light_curve_shows_every_bin_with_its_error(curve):
    data = curve(40)
    shown = data_of(CurveFigure([data]), "bins0")
    assert shown["rate"] == pytest.approx(data.rate)
    assert shown["high"] - shown["low"] == pytest.approx(2 * data.error)
    assert shown["seconds"][0] == pytest.approx(50.0, abs=1e-3)


def test_of_35000_bins_merged_ones_are_drawn_and_no_burst_is_lost(curve):
    data = curve(35_000, width_s=0.1)
    data.rate[[12_345, 20_001]] = 900.0, 700.0
    figure = CurveFigure([data])
    merged, single = data_of(figure, "bins0"), data_of(figure, "extremes0")
    assert len(merged["rate"]) <= 600
    assert merged["rate"].mean() == pytest.approx(data.rate.mean(), rel=1e-6)
    assert {900.0, 700.0} <= set(single["y"])
    assert single["x"][np.argmax(single["y"])] == pytest.approx(1234.55, abs=1e-3)
    assert "35000 bins merged to 10 s" in figure.plot.title.text


def test_an_empty_light_curve_gives_an_empty_figure(curve):
    assert "SGR" in CurveFigure([curve(0)]).plot.title.text


def test_zooming_in_shows_finer_bins_and_at_last_every_one(curve):
    data = curve(35_000, width_s=0.1)
    figure = CurveFigure([data])
    widths = [data_of(figure, "bins0")["width"][0]]
    for low, high in ((1000.05, 1299.95), (100.05, 119.95)):
        figure.show_between(low, high)
        widths.append(data_of(figure, "bins0")["width"][0])
    assert widths == pytest.approx([10.0, 0.5, 0.1], abs=1e-5)
    assert data_of(figure, "bins0")["rate"] == pytest.approx(data.rate[1000:1200])
    assert len(data_of(figure, "steps0")["x"]) == 400
    assert len(data_of(figure, "extremes0")["x"]) == 0
    assert "merged" not in figure.plot.title.text


def test_a_part_without_bins_is_empty(curve):
    figure = CurveFigure([curve(10)])
    figure.show_between(1e6, 2e6)
    assert len(data_of(figure, "bins0")["rate"]) == 0


def test_the_drawing_follows_the_zoom_once_it_settles(curve, monkeypatch):
    figure, drawn = CurveFigure([curve(35_000, width_s=0.1)]), []
    monkeypatch.setattr(figure, "show_between", lambda low, high: drawn.append((low, high)))
    figure.follow_zoom()
    for low in range(10):
        figure.plot.x_range.start = low
    figure.plot.x_range.end = 30.0
    end = time.monotonic() + 30
    while not drawn and time.monotonic() < end:
        time.sleep(0.01)
    assert drawn == [(9, 30.0)]


def test_the_rate_axis_fits_what_is_drawn(curve):
    data = curve(3500, width_s=0.1)
    data.rate[3000] = data.high[3000] = 900.0
    figure = CurveFigure([data])
    figure.show_between(295.0, 305.0)
    assert figure.plot.y_range.end > 900
    figure.show_between(0.0, figure.end_s)
    assert figure.plot.y_range.end > 900
    figure.show_between(0.0, 10.0)
    assert 20 < figure.plot.y_range.end < 60
    assert figure.plot.y_range.start < 0


def test_gaps_are_grey_and_good_time_is_lined(curve):
    data = curve(40)
    holed = data.select(np.r_[0:10, 15:40])
    figure = CurveFigure([holed])
    gaps, good = data_of(figure, "gaps"), data_of(figure, "good_time")
    assert (gaps["left"][0], gaps["right"][0]) == pytest.approx((1000, 1500), abs=1e-3)
    assert good["right"] == pytest.approx([1000, 4000], abs=1e-3)


def test_a_bin_without_exposure_is_a_gap(curve):
    data = curve(10)
    exposure = np.ones(10)
    exposure[4] = 0
    _, gaps = light_curve_gaps([replace(data, fractional_exposure=exposure)])
    assert (gaps - data.edges_ijd[4]) * 86400 == pytest.approx(np.zeros((1, 2)), abs=1e-3)


def test_bursts_stand_where_they_are(curve):
    data = curve(40)
    start = data.edges_ijd[10, 0]
    burst = {"name": data.name, "start_ijd": start, "stop_ijd": start + 2 / 86400, "significance": 9.0,
             "t90_s": 1.0, "peak_flux": 900.0, "fluence": 50.0}  # fmt: skip
    figure = CurveFigure([data], [burst, {**burst, "name": "another"}])
    assert data_of(figure, "bursts")["x"] == pytest.approx([1001.0], abs=1e-3)


def test_a_linear_trend_is_recovered(curve):
    data = curve(400)
    sloped = replace(data, rate=data.rate + 3e4 * (data.time_ijd - data.time_ijd.mean()))
    told = []
    CurveFigure([sloped], trend="linear", told=told.append)
    (fit,) = told[-1]
    assert abs(fit.slope_per_day - 3e4) < 4 * fit.slope_error
    assert abs(fit.level - 20) < 4 * fit.level_error


@given(st.floats(1e-3, 1e6), st.floats(1e-3, 1e3))
def test_merged_bins_are_a_round_number_of_single_ones(least, unit):
    width = round_width(least, unit)
    assert max(least, unit) * (1 - 1e-6) <= width <= 2.5001 * max(least, unit)
    assert float(f"{width / unit:.3e}") in {f * 10.0**k for f in (1, 2, 5) for k in range(10)}


def test_osa_own_light_curve_is_drawn(real_data):
    path = next((real_data / "volodymyrss_grb221009").glob("oda_8201*SGR*"))
    assert max(data_of(CurveFigure([read_light_curve(path)]), "bins0")["rate"]) == pytest.approx(57.65, abs=0.01)
