from __future__ import annotations

import numpy as np
import pytest

from integral_oda.archive.events import EventList, read_events
from integral_oda.instrument.attitude import Attitude
from integral_oda.instrument.energy import EnergyBand
from integral_oda.instrument.pif import pixel_illumination
from integral_oda.simulation.inject import LowThresholds, inject
from integral_oda.simulation.recipe import Flare, Flares, Flux, SourceModel

BAND = EnergyBand(28.0, 80.0)


@pytest.fixture(scope="module")
def events(real_data) -> EventList:
    return read_events(real_data / "dominp_isgri" / "isgri_events_255900280010_first300s.fits.gz")


def source_of(flux=50.0, **changes):
    return SourceModel(name="injected", ra=290.0, dec=18.0, flux=Flux(value=flux, band=BAND), **changes)


def image(events, low=28, high=80):
    kept = (events.energy_kev >= low) & (events.energy_kev < high)
    counts = np.zeros((134, 130), int)
    np.add.at(counts, (events.det_z[kept], events.det_y[kept]), 1)
    return counts


def test_injected_counts_are_those_of_the_rate_equation(events):
    live = np.random.default_rng(1).uniform(0.3, 0.9, (134, 130))
    added = image(inject(events, source_of(), BAND, live, seed=3)) - image(events)
    tangents = Attitude.from_keywords(events.header).tangents(290.0, 18.0)
    pif = pixel_illumination(*(float(t) for t in tangents))
    expected = events.ontime_s * live * 50 / 8192.4 * pif
    assert (added >= 0).all()
    assert added.sum() == pytest.approx(expected.sum(), abs=4 * np.sqrt(expected.sum()))
    lit, dark = pif > 0.9, pif < 0.1
    assert added[lit].sum() == pytest.approx(expected[lit].sum(), abs=4 * np.sqrt(expected[lit].sum()))
    assert added[dark].sum() <= expected[dark].sum() + 5 * np.sqrt(expected[dark].sum() + 1)


def test_real_events_stay_as_they_are_and_all_is_in_order(events):
    before = events.time_ijd.copy()
    merged = inject(events, source_of(), BAND, 0.7, seed=3)
    np.testing.assert_array_equal(events.time_ijd, before)
    assert (np.diff(merged.time_ijd) >= 0).all()
    assert len(merged) == len(events) + merged.header["INJECTED"]
    assert (merged.header["SIMULATE"], merged.header["SEED"]) == (True, 3)
    assert "SIMULATE" not in events.header
    np.testing.assert_array_equal(image(merged, 80, 500), image(events, 80, 500))
    assert merged.gti_ijd is events.gti_ijd
    for name in ("energy_kev", "rise_time", "det_y", "det_z", "select_flag"):
        assert getattr(merged, name).dtype == getattr(events, name).dtype


def test_injected_events_pass_the_selection(events):
    merged = inject(events, source_of(flux=1000.0), BAND, 0.7, seed=3)
    n = merged.header["INJECTED"]
    inside = (merged.time_ijd[:, None] >= merged.gti_ijd[:, 0]) & (merged.time_ijd[:, None] < merged.gti_ijd[:, 1])
    before = (events.time_ijd[:, None] >= events.gti_ijd[:, 0]) & (events.time_ijd[:, None] < events.gti_ijd[:, 1])
    good = (merged.rise_time >= 16) & (merged.rise_time <= 116) & inside.any(axis=1)
    good_before = (events.rise_time >= 16) & (events.rise_time <= 116) & before.any(axis=1)
    assert good.sum() - good_before.sum() == n > 10_000


def test_a_burst_is_injected_at_its_time(events):
    burst = Flares(level=0.0, flares=(Flare(at_s=100.0, amplitude=1000.0, rise_s=0.05, decay_s=0.1),))
    merged = inject(events, source_of(behaviour=burst), BAND, 0.7, seed=3)
    edges = np.arange(0, 300, 1.0)
    start = events.header["TSTART"]
    added = np.subtract(*(np.histogram((e.time_ijd - start) * 86400, edges)[0] for e in (merged, events)))
    assert added.sum() == merged.header["INJECTED"]
    assert added[98:103].sum() == added.sum() > 100


def test_nothing_from_behind_or_from_a_source_without_flux(events):
    for source in (source_of(flux=0.0), source_of().model_copy(update={"ra": 110.0, "dec": -20.0})):
        merged = inject(events, source, BAND, 0.7, seed=3)
        assert merged.header["INJECTED"] == 0
        np.testing.assert_array_equal(merged.time_ijd, events.time_ijd)


def test_a_seed_gives_one_injection(events):
    first, again, other = (inject(events, source_of(), BAND, 0.7, seed=seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first.time_ijd, again.time_ijd)
    assert len(first) != len(other) or (first.time_ijd != other.time_ijd).any()


def test_low_thresholds_take_events_out_pixel_by_pixel_and_energy_by_energy(events):
    threshold = np.where(np.arange(130) % 2 == 0, 20.0, 50.0) * np.ones((134, 1))
    bright = source_of(flux=5_000.0)
    before, whole = image(events, 28, 45), inject(events, bright, BAND, 0.7, seed=3)
    cut = inject(events, bright, BAND, 0.7, seed=3, low_thresholds=LowThresholds(threshold, 2.5, tail=0.03))
    share = (image(cut, 28, 45) - before).sum(axis=0) / np.maximum((image(whole, 28, 45) - before).sum(axis=0), 1)
    lit = (image(whole, 28, 45) - before).sum(axis=0) > 0
    assert share[lit & (np.arange(130) % 2 == 0)].mean() == pytest.approx(1.0, abs=0.02)
    assert share[lit & (np.arange(130) % 2 == 1)].mean() == pytest.approx(0.03, abs=0.02)
    above = (image(cut, 60, 80) - image(events, 60, 80)).sum() / (image(whole, 60, 80) - image(events, 60, 80)).sum()
    assert above == pytest.approx(1.0, abs=0.02)
