from __future__ import annotations

import copy

import numpy as np
import pytest

from integral_oda.imaging.quality import (
    LIMITS,
    PIXEL_STATES,
    TUNGSTEN_KEV,
    fit_line,
    judge,
    mean_rates,
    pixel_states,
    rate_variation,
    residual_maps,
    significance_histogram,
    spectrum_shift,
)
from integral_oda.imaging.search import FieldModel
from integral_oda.instrument.attitude import tangents_to_pixel
from integral_oda.instrument.detector import active_pixels, module_map
from integral_oda.simulation.shadowgram import LitSource

EDGES = np.arange(15.0, 250.1, 0.5)
MIDDLE = (EDGES[1:] + EDGES[:-1]) / 2
SIGMA_KEV = 2.5


def background(area=0.0, line_kev=60.0, shift_kev=0.0):
    """Continuum with ISGRI's edge at 105 keV, and a line."""
    energy = MIDDLE - shift_kev
    continuum = 400 * (energy / 50) ** -0.3 + 250 / (1 + np.exp(-(energy - 105) / 1.2)) * np.exp(-(energy - 105) / 40)
    height = area * 0.5 / (SIGMA_KEV * np.sqrt(2 * np.pi))
    return continuum + height * np.exp(-0.5 * ((energy - line_kev) / SIGMA_KEV) ** 2)


def test_a_line_without_noise_is_found_where_it_is():
    fit = fit_line(background(3000, 60.4), EDGES, SIGMA_KEV)
    assert fit.found
    assert fit.centre_kev == pytest.approx(60.4, abs=0.03)
    assert fit.shift_kev == pytest.approx(60.4 - TUNGSTEN_KEV, abs=0.03)


def test_the_centre_of_a_line_is_unbiased_and_its_error_honest():
    rng = np.random.default_rng(5)
    fits = [fit_line(rng.poisson(background(3000, 60.4)), EDGES, SIGMA_KEV) for _ in range(200)]
    pulls = np.array([(fit.centre_kev - 60.4) / fit.error_kev for fit in fits])
    assert all(fit.found for fit in fits)
    assert pulls.mean() == pytest.approx(0, abs=0.25)
    assert pulls.std() == pytest.approx(1, abs=0.15)


def test_a_continuum_has_no_line():
    rng = np.random.default_rng(6)
    fits = [fit_line(rng.poisson(background()), EDGES, SIGMA_KEV) for _ in range(100)]
    assert not any(fit.found for fit in fits)
    assert all(np.isnan(fit.shift_kev) for fit in fits)


def test_a_line_out_of_reach_is_not_found():
    assert not fit_line(background(3000, 65.0), EDGES, SIGMA_KEV).found


def test_a_spectrum_of_no_events_has_no_line():
    assert not fit_line(np.zeros(len(MIDDLE)), EDGES, SIGMA_KEV).found


@pytest.mark.parametrize("shift", [-1.5, -0.4, 0.0, 0.7])
def test_a_shift_against_other_modules_is_measured(shift):
    rng = np.random.default_rng(7)
    reference = rng.poisson(7 * background()).astype(float)
    measured = np.array([spectrum_shift(rng.poisson(background(shift_kev=shift)), reference, EDGES) for _ in range(60)])
    # A first-order fit on a smoothed reference: a tenth of a large shift is lost, nothing of a small one.
    assert measured[:, 0].mean() == pytest.approx(shift, abs=0.05 + 0.12 * abs(shift))
    assert measured[:, 0].std() == pytest.approx(measured[:, 1].mean(), rel=0.3)


def test_no_events_show_no_shift():
    assert spectrum_shift(np.zeros(len(MIDDLE)), background(), EDGES) == (0.0, float("inf"))
    assert spectrum_shift(background(), np.zeros(len(MIDDLE)), EDGES) == (0.0, float("inf"))


def test_every_pixel_has_one_state():
    counts = np.where(active_pixels(), 100, 0)
    good, rows = active_pixels().copy(), {"dead": 1, "flagged": 3, "noisy": 5, "too few counts": 7, "high threshold": 9}
    good[[1, 3]] = False
    counts[1], counts[5], counts[7] = 0, 900, 5
    counts[~active_pixels()] = 0
    quiet = good.copy()
    quiet[[5, 7]] = False
    usable = quiet.copy()
    usable[9] = False
    states = pixel_states(counts, good, quiet, usable)
    for name, row in rows.items():
        assert set(states[row, active_pixels()[row]]) == {PIXEL_STATES.index(name)}, name
    assert ((states == PIXEL_STATES.index("usable")) == usable).all()
    assert ((states == PIXEL_STATES.index("gap")) == ~active_pixels()).all()


def test_rates_of_modules():
    live = np.where(active_pixels(), 50.0, 0.0)
    counts = np.where(module_map() == 2, 200.0, 100.0) * active_pixels()
    usable = active_pixels() & (module_map() != 6)
    usable[20:25] = False
    counts[20:25] = 1e6
    rates = mean_rates(counts, usable, live)
    expected = np.full(8, 2.0)
    expected[2], expected[6] = 4.0, np.nan
    assert rates == pytest.approx(expected, nan_ok=True)


def test_a_constant_rate_varies_by_chance_only():
    good = np.full(400, 100.0)
    good[7] = 3.0
    counts = np.random.default_rng(8).poisson(6 * good)
    found = rate_variation(counts, good)
    assert found["mean"] == pytest.approx(6, rel=0.02)
    assert found["chi2_reduced"] == pytest.approx(1, abs=0.25)
    assert 0.8 < found["smallest"] < 1 < found["largest"] < 1.2


def test_a_flare_is_seen_and_a_short_bin_is_not_a_flare():
    good = np.array([100.0, 100, 100, 100, 1])
    found = rate_variation(np.array([500, 500, 1500, 500, 900]), good)
    assert (found["largest"], found["smallest"]) == pytest.approx((3, 1))
    assert found["chi2_reduced"] > 100


def test_the_outer_bins_of_a_histogram_take_the_rest():
    values = np.array([[-99, -0.5, 0.5], [0.6, 99, np.nan]])
    assert significance_histogram(values, np.array([-1.0, 0, 1])).tolist() == [2, 3]


def test_each_source_leaves_less(covariance_of):
    places = [(0.031, -0.052), (-0.12, 0.09)]
    sources = [LitSource(*places[0], 60.0), LitSource(*places[1], 40.0)]
    model = FieldModel(covariance_of(sources, np.random.default_rng(9)), 50.0)
    maps = residual_maps(model, places)
    assert maps.shape == (3, 400, 400)
    peaks = [tuple(int(i) for i in np.unravel_index(np.nanargmax(m), m.shape)) for m in maps[:2]]
    for peak, place in zip(peaks, places, strict=True):
        column, row = tangents_to_pixel(*place)
        assert np.hypot(peak[0] - row, peak[1] - column) < 1.5
    assert np.nanmax(maps[0]) > np.nanmax(maps[1]) > 10 > 5.5 > np.nanmax(maps[2])
    assert np.nanstd(maps[2]) == pytest.approx(1, abs=0.1)


MODULE = {"number": 0, "usable_fraction": 0.8, "relative_rate": 1.0, "line_kev": 58.9, "line_error_kev": 0.1,
          "shift_kev": 0.1, "shift_error_kev": 0.1}  # fmt: skip
BAND = {"e1_kev": 28.0, "e2_kev": 80.0, "significance_sigma": 1.02, "null_sigma": 1.0, "largest_excess": 4.5}
WINDOW = {
    "good_time_s": 1900.0,
    "elapsed_s": 2000.0,
    "usable_fraction": 0.8,
    "rate": {"mean": 600.0, "chi2_reduced": 1.1, "largest": 1.05, "smallest": 0.96},
    "modules": [MODULE | {"number": number} for number in range(8)],
    "bands": [BAND],
}


def test_a_window_in_order_is_kept_without_a_word():
    assert judge(WINDOW) == ("keep", [])


@pytest.mark.parametrize(
    ("path", "value", "verdict", "level", "named"),
    [
        (("good_time_s",), 299.0, "drop", "drop", "good time 299 s"),
        (("good_time_s",), 1500.0, "keep", "warning", "25 % of the 2000 s"),
        (("usable_fraction",), 0.49, "drop", "drop", "49 %, less than 50 %"),
        (("rate", "largest"), 2.5, "drop", "drop", "2.50 times its median"),
        (("rate", "largest"), 1.3, "keep", "warning", "varies"),
        (("rate", "smallest"), 0.7, "keep", "warning", "varies"),
        (("rate", "chi2_reduced"), 28.0, "keep", "note", "chi2/dof 28.0"),
        (("modules", 3, "usable_fraction"), 0.0, "keep", "warning", "modules off: 3"),
        (("modules", 5, "on_fraction"), 0.6, "keep", "warning", "module 5: on for 60 % of the good time"),
        (("modules", 3, "relative_rate"), 1.6, "keep", "warning", "module 3: rate 1.60"),
        (("modules", 3, "relative_rate"), 0.5, "keep", "warning", "module 3: rate 0.50"),
        (("modules", 5, "line_kev"), 60.2, "keep", "warning", "module 5: tungsten line shifted by +1.37 +- 0.10 keV"),
        (("bands", 0, "significance_sigma"), 1.31, "drop", "drop", "noise 1.31 times its null"),
        (("bands", 0, "largest_excess"), 8.0, "keep", "warning", "excess of 8.0 sigma"),
    ],
)
def test_what_is_wrong_is_said(path, value, verdict, level, named):
    window = copy.deepcopy(WINDOW)
    inner = window
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    found, (reason, *others) = judge(window)
    assert (found, reason.level) == (verdict, level)
    assert len(others) == (path == ("good_time_s",) and value < 1000)  # so short, the rest of the window is a gap
    assert named in reason.text


def test_the_slopes_of_a_spectrum_count_where_there_is_no_line():
    window = copy.deepcopy(WINDOW)
    window["modules"][5]["shift_kev"] = -1.2
    # A bright source in a module changes its slopes, but not the place of its line.
    assert judge(window) == ("keep", [])
    window["modules"][5] |= {"line_kev": None, "line_error_kev": None}
    verdict, (reason,) = judge(window)
    assert (verdict, reason.level) == ("keep", "warning")
    assert "module 5: spectrum against the other modules shifted by -1.20" in reason.text


def test_a_shift_within_its_error_is_no_warning():
    window = copy.deepcopy(WINDOW)
    window["modules"][5] |= {"line_kev": 60.2, "line_error_kev": 0.6, "shift_kev": 1.5, "shift_error_kev": 0.9}
    assert judge(window) == ("keep", [])


def test_without_lines_the_gain_is_not_vouched_for():
    window = copy.deepcopy(WINDOW)
    for module in window["modules"]:
        module |= {"line_kev": None, "line_error_kev": None}
    verdict, (reason,) = judge(window)
    assert (verdict, reason.level) == ("keep", "note")
    assert "not measured" in reason.text


def test_the_worst_comes_first():
    window = copy.deepcopy(WINDOW) | {"good_time_s": 100.0}
    window["rate"]["chi2_reduced"] = 9.0
    verdict, reasons = judge(window)
    assert verdict == "drop"
    assert [reason.level for reason in reasons] == ["drop", "warning", "note"]
    assert LIMITS.ontime_s == 300
