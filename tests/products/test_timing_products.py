"""Burst lists, event lists, joined light curves and the tables beside them."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from integral_oda.instrument.energy import EnergyBand
from integral_oda.instrument.epochs import OSA_SEAM_IJD
from integral_oda.instrument.response import erg_per_count
from integral_oda.products.burst_list import FoundBurst, write_burst_list
from integral_oda.products.event_list import write_event_list
from integral_oda.products.joining import join_curves
from integral_oda.products.light_curve import (
    FLAG_GAP,
    LightCurve,
    read_light_curve,
    read_light_curves,
    write_light_curves,
)
from integral_oda.products.light_curve_pictures import draw_folded, draw_light_curves, draw_periodogram
from integral_oda.products.stingray_objects import to_stingray, to_stingray_events
from integral_oda.products.timing_tables import band_entry, hardness_tables, write_folded, write_periodogram
from integral_oda.timing.bursts import Burst
from integral_oda.timing.good_time import DAY_S
from integral_oda.timing.periods import Ephemeris, fold_events, z_search

START, BAND = 8320.6323, EnergyBand(28.0, 80.0)
BURST = Burst(START, START + 1e-5, 0.016, 1e-9, 12.0, 0.2, START, 900.0, 90.0, 300.0, 30.0, truncated=True)


def made_curve(rates, start=START, width_s=10.0, band=BAND, **keywords):
    rate = np.asarray(rates, dtype=float)
    n = len(rate)
    return LightCurve(
        name="SGR 1935+2154", ra_deg=293.7, dec_deg=21.9, band=band,
        time_ijd=start + (np.arange(n) + 0.5) * width_s / DAY_S, width_s=np.full(n, width_s), rate=rate,
        error=np.full(n, 2.0), fractional_exposure=np.full(n, 0.9), counts=np.full(n, 100.0),
        background=np.full(n, 5.0), background_error=np.full(n, 1.0), live_time_s=np.full(n, 6.0),
        common_error=np.full(n, 1.0), mcrab=rate * 7, mcrab_error=np.full(n, 14.0), keywords=keywords,
    )  # fmt: skip


def test_a_burst_list_comes_back(tmp_path):
    write_burst_list(tmp_path, [FoundBurst("SGR 1935+2154", "255900280010", BAND, BURST)])
    with fits.open(tmp_path / "bursts.fits") as hdus:
        row, header = hdus["BURSTS"].data[0], hdus["BURSTS"].header
        assert (row["NAME"], row["T90"], row["TRUNCATED"], header["E_MAX"]) == ("SGR 1935+2154", 0.2, True, 80.0)
        assert row["FLU_ERG"] == pytest.approx(300 * erg_per_count(BAND))
    table = Table.read(tmp_path / "bursts.ecsv")
    assert (table["PEAK"][0], str(table["T90"].unit), bool(table["TRUNCATED"][0])) == (900.0, "s", True)


def test_no_bursts_are_an_empty_list(tmp_path):
    write_burst_list(tmp_path, [])
    assert len(Table.read(tmp_path / "bursts.ecsv")) == len(fits.getdata(tmp_path / "bursts.fits")) == 0


def test_a_found_burst_survives_json():
    found = FoundBurst("X", "1", BAND, BURST)
    again = json.loads(json.dumps({"name": "X", "swid": "1", "band": list(BAND), "burst": BURST.__dict__}))
    assert FoundBurst.from_dict(again) == found
    assert found.as_dict()["fluence_erg"] == pytest.approx(300 * erg_per_count(BAND))


@pytest.fixture
def event_file(tmp_path):
    time = START + np.sort(np.random.default_rng(3).uniform(0, 100, 500)) / DAY_S
    columns = {"time_ijd": time, "energy_kev": np.full(500, 40.25), "det_y": np.zeros(500, np.uint8),
               "det_z": np.ones(500, np.uint8), "pif": np.full(500, 0.5), "probability": np.full(500, 0.25),
               "weight": np.full(500, 3.0)}  # fmt: skip
    gti = START + np.array([[0.0, 60.0], [70.0, 100.0]]) / DAY_S
    source = {"name": "SGR 1935+2154", "ra_deg": 293.7, "dec_deg": 21.9, "e1_kev": 28.0, "e2_kev": 80.0}
    write_event_list(tmp_path / "events.fits", columns, gti, source, {"TIMESYS": "TDB", "TIMEREF": "SOLARSYSTEM"})
    return tmp_path / "events.fits", time


def test_stingray_reads_the_events(event_file):
    events = to_stingray_events(event_file[0])
    assert events.time.astype(float) == pytest.approx(event_file[1] * DAY_S, abs=1e-6)
    assert events.energy.astype(float) == pytest.approx(40.25)
    assert (events.ncounts, float(events.mjdref), events.timesys) == (500, 51544.0, "tdb")
    assert events.gti[:, 1].astype(float) - events.gti[:, 0].astype(float) == pytest.approx([60, 30], abs=1e-5)
    assert events.weight.astype(float) == pytest.approx(3.0)


def test_a_light_curve_becomes_stingrays():
    curve = made_curve([10.0, 12.0, np.nan, 9.0])
    lightcurve = to_stingray(curve)
    assert lightcurve.countrate == pytest.approx([10, 12, 9])
    assert lightcurve.gti.astype(float) - START * DAY_S == pytest.approx(np.array([[0, 20], [30, 40]]), abs=1e-3)


def test_windows_are_joined_and_gaps_stay():
    late = made_curve([3.0, 4.0], start=START + 1, REVOL=2, ONTIME=20.0, EXPOSURE=12.0)
    early = made_curve([1.0, 2.0], REVOL=1, ONTIME=20.0, EXPOSURE=14.0, SWID="1")
    joined = join_curves([late, early])
    assert joined.rate.tolist() == [1, 2, 3, 4]
    assert (joined.keywords["ONTIME"], joined.keywords["DEADC"]) == (40.0, 0.65)
    assert "SWID" not in joined.keywords
    assert (joined.time_ijd[2] - joined.time_ijd[1]) * DAY_S > 80_000


def test_bins_of_a_revolution_become_one():
    windows = [made_curve([r], start=START + k, REVOL=rev) for k, (r, rev) in enumerate([(1, 10), (3, 10), (9, 11)])]
    joined = join_curves(windows, {"revolution": True})
    assert joined.rate == pytest.approx([2, 9])
    assert joined.error == pytest.approx([2 / 2**0.5, 2])
    assert (joined.counts.tolist(), joined.live_time_s.tolist()) == ([200, 100], [12, 6])
    assert joined.fractional_exposure[0] == pytest.approx(18 / (86400 + 10))
    assert joined.mcrab == pytest.approx(joined.rate * 7)


def test_long_bins_take_whole_windows():
    windows = [made_curve([float(k)], start=START + k * 0.1) for k in range(4)]
    joined = join_curves(windows, {"width_s": 0.2 * DAY_S})
    assert joined.rate == pytest.approx([0.5, 2.5])
    short = [made_curve([1.0, 2.0]), made_curve([3.0], start=START + 0.1)]
    assert len(join_curves(short, {"width_s": DAY_S})) == 3


def test_bands_of_a_source_share_a_file(tmp_path):
    soft, hard = made_curve([10, 10, 10], band=EnergyBand(28, 40)), made_curve([30, 10, 0], band=EnergyBand(40, 80))
    write_light_curves(tmp_path / "lc.fits", [soft, hard], hardness_tables([hard, soft]))
    assert [curve.band for curve in read_light_curves(tmp_path / "lc.fits")] == [soft.band, hard.band]
    with fits.open(tmp_path / "lc.fits") as hdus:
        assert hdus["HARDNESS"].data["HR"] == pytest.approx([0.5, 0.0, -1.0])
        assert (hdus["HARDNESS"].header["SOFT_MAX"], hdus["HARDNESS"].header["HARD_MIN"]) == (40, 40)


def test_new_columns_come_back(tmp_path):
    curve = replace(made_curve([1.0, 2.0]), flag=np.array([0, FLAG_GAP]), low=np.array([0.0, 0.5]))
    write_light_curves(tmp_path / "lc.fits", [curve])
    back = read_light_curve(tmp_path / "lc.fits")
    assert back.flag.tolist() == [0, FLAG_GAP]
    assert back.low == pytest.approx([0.0, 0.5])
    assert back.mcrab == pytest.approx([7, 14])
    assert back.own_error == pytest.approx([3**0.5] * 2)


@pytest.mark.parametrize(
    ("name", "points", "mean", "error"),
    [
        ("gbelanger_java-tda/ts_isgri_83.633_22.014_20-35keV.qdp.gz", 5133, 133.456, 0.013),
        ("gbelanger_java-tda/ts_isgri_3.5677051E+02_5.1704971E+01_20-35keV.fits.gz", 5676, 0.079, 0.015),
    ],
)
def test_light_curves_of_other_programs_read_and_plot(real_data, tmp_path, name, points, mean, error):
    curve = read_light_curve(real_data / name)
    weight = curve.error**-2
    assert len(curve) == points
    assert (curve.rate * weight).sum() / weight.sum() == pytest.approx(mean, abs=1e-3)
    assert weight.sum() ** -0.5 == pytest.approx(error, abs=1e-3)
    assert curve.band == EnergyBand(20, 35)
    assert curve.time_ijd[0] < 1200 < OSA_SEAM_IJD < curve.time_ijd[-1]
    draw_light_curves(tmp_path / "lc.png", [curve])
    assert (tmp_path / "lc.png").stat().st_size > 10_000


def test_a_summary_tells_how_a_source_varies():
    entry = band_entry(made_curve([10.0, 10.0, 10.0, 30.0]))
    assert entry["flux"] == pytest.approx(15)
    assert entry["flux_error"] == pytest.approx(np.hypot(3**0.5 / 2, 1.0))
    assert entry["constant"]["chi2"] == pytest.approx(300 / 3)
    assert entry["linear"]["slope_per_day"] > 0
    assert entry["excess_variance"]["fractional_rms"] == pytest.approx(np.sqrt(100 - 3) / 15)
    assert entry["flux_mcrab"] == pytest.approx(105)
    json.dumps(entry)


def test_folds_and_periodograms_are_written_and_drawn(tmp_path):
    time = START + np.sort(np.random.default_rng(4).uniform(0, 500, 3000)) / DAY_S
    gti, ephemeris = START + np.array([[0.0, 500.0]]) / DAY_S, Ephemeris(3.0, 0.0, START)
    folded, found = fold_events(time, np.ones(3000), gti, ephemeris), z_search(time, np.ones(3000), (2.0, 5.0))
    write_folded(tmp_path / "f.fits", "X", folded, ephemeris)
    write_periodogram(tmp_path / "p.fits", "X", found)
    draw_folded(tmp_path / "f.png", "X", folded, 3.0)
    draw_periodogram(tmp_path / "p.png", "X", found)
    assert fits.getheader(tmp_path / "f.fits", 1)["EPOCH"] == pytest.approx(START + 51544)
    assert fits.getdata(tmp_path / "f.fits", 1)["RATE"].mean() == pytest.approx(6, abs=0.1)
    assert fits.getdata(tmp_path / "p.fits", 1)["POWER"].max() <= found.peak * 1.05
