from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import poisson

from integral_oda.timing.bursts import SourceStream, TailTable, find_bursts
from integral_oda.timing.good_time import DAY_S

START = 8320.6323
N_PIXELS = 300
SHADOW = np.where(np.arange(N_PIXELS) < 120, 1.0, 0.0)
BACKGROUND = np.full(N_PIXELS, 150.0 / N_PIXELS)
PLAIN = SHADOW - SHADOW.mean()
WEIGHTS = PLAIN / (PLAIN @ (SHADOW / SHADOW.sum()))
"""An event's worth in counts: the source's counts come back, the background's cancel."""


def ijd(seconds):
    return START + np.asarray(seconds, dtype=float) / DAY_S


def stream(bursts=(), length_s=600.0, seed=1, lost=()):
    """Steady background, and bursts given as start, length and counts."""
    rng = np.random.default_rng(seed)
    number = rng.poisson(150.0 * length_s)
    times, pixels = [rng.uniform(0, length_s, number)], [rng.integers(0, N_PIXELS, number)]
    for start, duration, counts in bursts:
        times.append(rng.uniform(start, start + duration, counts))
        pixels.append(rng.integers(0, 120, counts))
    time, pixel = np.concatenate(times), np.concatenate(pixels)
    order = np.argsort(time)
    lost_ijd = ijd(np.array(lost, dtype=float).reshape(-1, 2))
    return SourceStream(
        time_ijd=ijd(time[order]), weight=WEIGHTS[pixel[order]], pixel_weights=WEIGHTS, expected=BACKGROUND,
        good_ijd=ijd([[0.0, length_s]]), lost_ijd=lost_ijd,
    )  # fmt: skip


def test_tails_of_one_weight_are_poissons():
    table = TailTable(np.ones(10), np.full(10, 0.3))
    counts = np.array([6.0, 10.0, 20.0, 40.0])
    exact = poisson.logsf(counts - 1, 3.0)
    # The saddlepoint form is that of a continuous sum: between the chances of n and n + 1 or more
    found = table.log_chance(counts, 1.0)
    assert np.all(found < exact + 0.1)
    assert np.all(found > poisson.logsf(counts, 3.0) - 0.1)


def test_tails_are_those_of_drawn_sums():
    rng, table, length = np.random.default_rng(2), TailTable(WEIGHTS, BACKGROUND), 0.256
    sums = np.array([WEIGHTS[rng.integers(0, N_PIXELS, n)].sum() for n in rng.poisson(150 * length, 40_000)])
    for chance in (0.1, 0.01, 0.001):
        level = np.quantile(sums, 1 - chance)
        assert np.exp(table.log_chance(np.array([level]), length)[0]) == pytest.approx(chance, rel=0.35)


def test_steady_emission_has_no_bursts():
    found = [len(find_bursts(stream(seed=seed))) for seed in range(10, 25)]
    assert sum(found) <= 1


GIVEN = [(50.0, 0.02, 60), (150.0, 0.1, 150), (300.0, 1.0, 300), (450.0, 5.0, 500)]


def test_bursts_of_all_lengths_are_found_and_measured():
    found = find_bursts(stream(GIVEN))
    starts = (np.array([b.start_ijd for b in found]) - START) * DAY_S
    assert len(found) == len(GIVEN)
    for burst, at, (start, duration, counts) in zip(found, starts, GIVEN, strict=True):
        assert abs(at - start) < max(duration, 0.1)
        assert burst.fluence == pytest.approx(counts, abs=4 * burst.fluence_error)
        assert burst.false_alarm < 0.01
        assert not burst.truncated
    assert found[1].t90_s == pytest.approx(0.09, rel=0.6)
    assert found[2].t90_s == pytest.approx(0.9, rel=0.4)
    assert found[0].peak_flux > 1500


def test_neighbours_a_second_apart_stay_two():
    found = find_bursts(stream([(100.0, 0.03, 80), (101.2, 0.03, 80)]))
    assert [round((b.start_ijd - START) * DAY_S) for b in found] == [100, 101]


@pytest.mark.parametrize(
    ("lost", "truncated"),
    [([(100.2, 102.0)], True), ([(105.0, 107.0)], True), ([(130.0, 132.0)], False), ([(90.0, 92.0)], False)],
)
def test_a_gap_after_a_burst_marks_it(lost, truncated):
    (burst,) = find_bursts(stream([(100.0, 0.1, 300)], lost=lost))
    assert burst.truncated is truncated
