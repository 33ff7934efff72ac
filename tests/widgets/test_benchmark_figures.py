"""Figures of the benchmarks: what is in them, and that nothing covers anything."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from integral_oda.instrument.energy import EnergyBand
from integral_oda.products.light_curve import LightCurve
from integral_widgets.benchmark_data import FluxComparison
from integral_widgets.benchmark_figures import crab_report, crab_table_html, flux_report, peaks_report, unfolded_report

YEARS = {
    "2009": {"flux": (1.7, 0.01), "index2": (2.08, 0.01), "index3": (2.3, 0.05), "chi2red": 1.1},
    "2010": {"flux": (1.6, 0.01), "index2": (2.1, 0.01), "index3": (2.2, 0.05), "chi2red": 0.9},
}
PUBLISHED = {"2009": (1.694, 2.101, 2.064, 2.263), "2010": (1.686, 2.108, 2.065, 2.267)}


def boxes(figure):
    """Boxes of all axes with their labels, as they are drawn."""
    FigureCanvasAgg(figure).draw()
    return [axes.get_tightbbox() for axes in figure.axes]


def apart(figure):
    return all(not one.padded(-1).overlaps(other.padded(-1)) for one, other in combinations(boxes(figure), 2))


@pytest.mark.parametrize("flares", [[57194.11], [57194.11, 57194.31, 57195.43, 57197.18]])
def test_a_light_curve_has_a_panel_for_each_flare_and_none_covers_another(flares):
    time = 5650 + np.arange(0, 4, 0.001)
    rate, ones = 1 + np.sin(time) ** 2, np.ones(len(time))
    curve = LightCurve("V404 Cyg", 306.0, 33.9, EnergyBand(20, 40), time, ones, rate, *([ones] * 5))
    figure = peaks_report(curve, 0.01 * rate, flares)
    assert len(figure.axes) == 1 + len(flares)
    assert apart(figure)


def test_sources_stand_in_the_order_of_their_input_and_those_not_found_are_left_out():
    rows = [FluxComparison(name, value, 0.1, true) for name, value, true in (("a", 1.0, 1.1), ("b", 9.0, 8.0))]
    figure = flux_report([*rows, FluxComparison("c", np.nan, np.nan, 2.0)], "20-30")
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a, 1.10", "b, 8.00"]


def test_every_year_of_the_crab_stands_beside_the_published_one():
    figure = crab_report(YEARS, PUBLISHED)
    assert apart(figure)
    text = crab_table_html(YEARS, PUBLISHED)
    assert "<td>1.700 ± 0.010 (1.694)</td><td>2.080 ± 0.010 (2.064)</td>" in text
    assert text.count("<tr>") == 3


def test_a_power_law_is_drawn_at_its_flux():
    figure = unfolded_report((2.0, 0.1), (1.602e-9, 1e-11), (20.0, 100.0), {"points": (np.array([30.0]), np.ones(1))})
    curve, points = figure.axes[0].lines
    assert np.ptp(curve.get_ydata()) == pytest.approx(0, abs=1e-9)
    assert curve.get_ydata()[0] * np.log(5) == pytest.approx(1.0, rel=2e-3)
    assert points.get_label() == "points"
