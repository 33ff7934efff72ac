from __future__ import annotations

import json

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from astropy.time import Time

from integral_oda.archive.events import read_events
from integral_oda.archive.tree import Archive
from integral_oda.errors import OutputError, RequestError
from integral_oda.instrument.attitude import Attitude
from integral_oda.instrument.detector import active_pixels, module_map
from integral_oda.simulation.recipe import make_recipe
from integral_oda.simulation.shadowgram import LitSource, expected_shadowgram
from integral_oda.simulation.spectra import background_spectrum
from integral_oda.simulation.window import DEMO_SCW, simulate, simulate_demo_window, simulate_window

POINTING = {"ra": 83.6, "dec": 22.0, "roll": 40}
SOURCE = {"name": "Crab", "ra": 85.6, "dec": 24.0, "flux": {"value": 60, "band": [28, 80]}}


def recipe_of(**changes):
    values = {"seed": 5, "pointings": [POINTING], "duration_s": 400, "sources": [SOURCE]}
    return make_recipe(values | {"background": {"rate": 100, "edge_excess": 0}} | changes)


def events_of(tmp_path, recipe):
    (scw,) = simulate(recipe, tmp_path)
    return read_events(Archive(tmp_path).events_file(scw))


def shadowgram(events, e1=28.0, e2=80.0):
    """All events of a band that pass the standard selection, good time included."""
    good = np.zeros(len(events), bool)
    for start, stop in events.gti_ijd:
        good |= (events.time_ijd >= start) & (events.time_ijd < stop)
    kept = good & (events.energy_kev >= e1) & (events.energy_kev < e2) & (events.select_flag == 0)
    kept &= (events.rise_time >= 16) & (events.rise_time <= 116)
    counts = np.zeros((134, 130), int)
    np.add.at(counts, (events.det_z[kept], events.det_y[kept]), 1)
    return counts


def tangents(events, source):
    return tuple(float(t) for t in Attitude.from_keywords(events.header).tangents(source["ra"], source["dec"]))


@pytest.mark.parametrize(("ra", "dec"), [(83.7, 22.1), (85.6, 24.0), (92.0, 26.0)])
def test_a_fit_of_the_pif_gives_the_flux_back(tmp_path, ra, dec):
    source = SOURCE | {"ra": ra, "dec": dec, "flux": {"value": 200, "band": [28, 80]}}
    events = events_of(tmp_path, recipe_of(sources=[source], duration_s=1000))
    lit = expected_shadowgram([LitSource(*tangents(events, source), 1.0)], 0, 0.8 * events.ontime_s)[active_pixels()]
    counts = shadowgram(events)[active_pixels()]
    design = np.stack([lit, np.ones_like(lit)])
    solver = np.linalg.inv(design @ design.T) @ design
    flux, error = (solver @ counts)[0], np.sqrt((solver**2 @ counts)[0])
    assert flux == pytest.approx(200, abs=4 * error)
    assert error < 12


def test_expected_counts_are_those_of_the_rate_equation(tmp_path):
    detector = {"dead_time": 0.3, "dead_time_spread": 0.05, "modules_off": [2]}
    recipe = recipe_of(detector=detector, gaps_s=[[50, 80]], bad_times_s=[[0, 20]])
    events = events_of(tmp_path, recipe)
    truth = json.loads((tmp_path / "truth.json").read_text())["windows"][0]
    live = 1 - np.array(truth["dead_time"])[module_map()]
    live[module_map() == 2] = 0
    rate = background_spectrum(recipe.background, recipe.revolution).band_rate(28, 80)
    lit = LitSource(*tangents(events, SOURCE), 60.0)
    expected, counts = expected_shadowgram([lit], rate, events.ontime_s, live), shadowgram(events)
    assert events.ontime_s == pytest.approx(350)
    assert not counts[module_map() == 2].any()
    for module in (0, 1, 3, 4, 5, 6, 7):
        mean = expected[module_map() == module].sum()
        assert counts[module_map() == module].sum() == pytest.approx(mean, abs=4 * np.sqrt(mean))


def test_the_archives_own_names_and_column_order(tmp_path, real_data):
    (scw,) = simulate(recipe_of(duration_s=20), tmp_path)
    real = real_data / "dominp_isgri" / "isgri_events_255900280010_first300s.fits.gz"
    with fits.open(real, memmap=False) as expected, fits.open(Archive(tmp_path).events_file(scw), memmap=False) as hdus:
        assert [hdu.name for hdu in hdus] == [hdu.name for hdu in expected]
        for ours, theirs in zip(hdus[1:], expected[1:], strict=True):
            assert ours.columns.names == theirs.columns.names
            assert ours.columns.formats == theirs.columns.formats
        assert hdus["ISGR-EVTS-ALL"].columns["OB_TIME"].bzero == 32768
        assert hdus["ISGR-EVTS-ALL"].columns.units == expected["ISGR-EVTS-ALL"].columns.units


def test_columns_of_one_event_agree(tmp_path):
    (scw,) = simulate(recipe_of(duration_s=50), tmp_path)
    with fits.open(Archive(tmp_path).events_file(scw), memmap=False) as hdus:
        rows, header = hdus["ISGR-EVTS-ALL"].data, hdus["ISGR-EVTS-ALL"].header
    y, z = rows["ISGRI_Y"].astype(int), rows["ISGRI_Z"].astype(int)
    assert (y.min(), y.max(), z.min(), z.max()) == (0, 127, 0, 127)
    np.testing.assert_array_equal(rows["DETY"], y + 2 * (y >= 64))
    np.testing.assert_array_equal(rows["DETZ"], z + 2 * (z // 32))
    words = rows["OB_TIME"].astype(np.uint64)
    obt = (words << np.array([48, 32, 16, 0], np.uint64)).sum(axis=1)
    assert ((obt[1:] >= obt[:-1]) & (obt[:-1] % np.uint64(64) == 0)).all()
    np.testing.assert_array_equal(rows["DELTA_TIME"], obt // np.uint64(64) % np.uint64(256))
    seconds = (obt - np.uint64(int(header["OBTSTART"]))).astype(float) / 2**20
    np.testing.assert_allclose(rows["TIME"], header["TSTART"] + seconds / 86400, rtol=0, atol=1e-11)
    assert rows["ISGRI_PI"].min() >= 16
    assert rows["ISGRI_PI"].max() <= 116
    assert np.abs(rows["ISGRI_PHA"] - rows["ISGRI_ENERGY"] / 1.9).max() <= 1


def test_keywords_say_what_it_is(tmp_path):
    (scw,) = simulate(recipe_of(duration_s=20, revolution=2559, first_pointing=77), tmp_path)
    assert str(scw) == "255900770010.001"
    archive = Archive(tmp_path)
    header = read_events(archive.events_file(scw)).header
    assert header["SIMULATE"] is True
    assert header["SEED"] == 5
    assert header["CREATOR"].startswith("integral-oda simulate")
    assert (header["SWID"], header["REVOL"], header["SW_TYPE"]) == ("255900770010", 2559, "POINTING")
    assert int(header["OBTEND"]) - int(header["OBTSTART"]) == 20 * 2**20
    assert archive.verify() == {scw: []}
    with fits.open(archive.find(scw, "swg.fits")) as hdus:
        assert hdus["GROUPING"].header["GRPNAME"] == "GNRL-SCWG-GRP"
        assert hdus["GROUPING"].header["RA_SCX"] == pytest.approx(83.6)
        names = [name.strip() for name in hdus["GROUPING"].data["MEMBER_NAME"]]
        assert names == ["ISGR-EVTS-PRW", "ISGR-EVTS-SRW", "ISGR-EVTS-ALL", "IBIS-GNRL-GTI", "ISGR-DEAD-SCP"]


def test_good_time_gaps_and_bad_times(tmp_path):
    events = events_of(tmp_path, recipe_of(duration_s=100, gaps_s=[[30, 40]], bad_times_s=[[60, 75], [95, 200]]))
    start = events.header["TSTART"]
    good = (events.gti_ijd - start) * 86400
    np.testing.assert_allclose(good, [[0, 30], [40, 60], [75, 95]], atol=1e-5)
    seconds = (events.time_ijd - start) * 86400
    assert not ((seconds > 30) & (seconds < 40)).any()
    assert ((seconds > 60) & (seconds < 75)).any()
    assert ((seconds > 95) & (seconds <= 100)).any()
    (scw,) = Archive(tmp_path).windows()
    with fits.open(Archive(tmp_path).events_file(scw), memmap=False) as hdus:
        gti = hdus["IBIS-GNRL-GTI"].data
        utc = Time(list(gti["UTC_START"]), scale="utc")
        np.testing.assert_allclose((utc.tt.mjd - 51544 - events.gti_ijd[:, 0]) * 86400, 0, atol=1e-5)


def test_the_dead_time_file(tmp_path):
    (scw,) = simulate(recipe_of(duration_s=100, detector={"dead_time": 0.2, "dead_time_spread": 0.03}), tmp_path)
    truth = json.loads((tmp_path / "truth.json").read_text())["windows"][0]
    with fits.open(Archive(tmp_path).find(scw, "isgri_dead.fits")) as hdus:
        rows = hdus["ISGR-DEAD-SCP"].data
        assert len(rows) == 12
        for module, fraction in enumerate(truth["dead_time"]):
            np.testing.assert_allclose(rows[f"II_DEADTIME_{module}"], fraction, rtol=1e-6)


def test_bad_pixels_and_events_that_a_selection_rejects(tmp_path):
    detector = {"dead_fraction": 0.05, "noisy_fraction": 0.01, "hot_fraction": 0.001, "rejected_fraction": 0.1}
    events = events_of(tmp_path, recipe_of(sources=[], detector=detector, duration_s=1000))
    truth = json.loads((tmp_path / "truth.json").read_text())
    counts = np.zeros((134, 130), int)
    np.add.at(counts, (events.det_z, events.det_y), 1)
    assert (counts > 0).sum() == pytest.approx(truth["detector"]["working_pixels"], rel=0.01)
    flagged = np.unique(np.stack([events.det_z, events.det_y], 1)[events.select_flag == 1], axis=0)
    assert flagged.tolist() == truth["detector"]["noisy_pixels"]
    assert events.select_flag.sum() == truth["windows"][0]["flagged_events"]
    for z, y in truth["detector"]["hot_pixels"]:
        assert counts[z, y] > 4 * np.median(counts[counts > 0])
    unflagged = events.select_flag == 0
    rejected = (events.rise_time > 116) | (events.energy_kev == 0)
    assert rejected[unflagged].mean() == pytest.approx(0.1 / 1.1, rel=0.05)
    assert (events.energy_kev == 0).sum() == pytest.approx(rejected.sum() / 2, rel=0.05)


def test_low_thresholds_and_gain_change_the_spectrum(tmp_path):
    line = {"continuum": [[15, 1], [1000, 1]], "lines": [], "rate": 100, "edge_excess": 0}
    plain, _ = simulate_window(recipe_of(sources=[], background=line), 0)
    detector = {"low_threshold_kev": 30.0}
    cut, _ = simulate_window(recipe_of(sources=[], background=line, detector=detector), 0)
    for e1, e2, low, high in ((15, 22, 0.0, 0.05), (29, 31, 0.4, 0.6), (40, 60, 0.95, 1.05)):
        before, after = (int(((w.events.energy_kev >= e1) & (w.events.energy_kev < e2)).sum()) for w in (plain, cut))
        assert low <= after / before <= high


def test_a_flare_happens_at_its_time(tmp_path):
    behaviour = {"type": "flare", "flares": [{"at_s": 250, "amplitude": 300, "decay_s": 0.5}]}
    events = events_of(tmp_path, recipe_of(sources=[SOURCE | {"behaviour": behaviour}]))
    seconds = (events.time_ijd - events.header["TSTART"]) * 86400
    counts, edges = np.histogram(seconds, np.arange(0, 400.1, 0.5))
    assert edges[counts.argmax()] == 250
    assert counts.max() > 5 * np.median(counts)


def test_windows_follow_one_another_on_the_sources_clock(tmp_path):
    behaviour = {"type": "outburst", "start_s": 150, "rise_s": 1, "decay_s": 1e6}
    recipe = recipe_of(pointings=[POINTING] * 3, sources=[SOURCE | {"behaviour": behaviour}], duration_s=100, slew_s=20)
    windows = simulate(recipe, tmp_path)
    assert [scw.pointing for scw in windows] == [1, 2, 3]
    truth = json.loads((tmp_path / "truth.json").read_text())["windows"]
    means = [window["sources"][0]["mean_rate"] for window in truth]
    assert means == pytest.approx([0, 0.695, 1.0], abs=0.01)
    assert truth[0]["sources"][0]["events"] == 0
    starts = [read_events(Archive(tmp_path).events_file(scw)).header["TSTART"] for scw in windows]
    np.testing.assert_allclose(np.diff(starts) * 86400, 120, atol=1e-4)


def test_the_detector_stays_the_same_from_window_to_window(tmp_path):
    recipe = recipe_of(pointings=[POINTING] * 2, sources=[], detector={"dead_fraction": 0.3}, duration_s=600)
    pixels = [np.unique(simulate_window(recipe, number)[0].events.pixel) for number in (0, 1)]
    union = np.union1d(*pixels)
    assert len(union) < 0.71 * 16384
    assert len(np.intersect1d(*pixels)) > 0.98 * len(union)


def test_a_seed_gives_one_window(tmp_path):
    first, _ = simulate_window(recipe_of(), 0)
    again, _ = simulate_window(recipe_of(), 0)
    other, _ = simulate_window(recipe_of(seed=6), 0)
    np.testing.assert_array_equal(first.events.energy_kev, again.events.energy_kev)
    np.testing.assert_array_equal(first.events.pixel, again.events.pixel)
    assert len(first.events) != len(other.events) or (first.events.pixel != other.events.pixel).any()


def test_a_second_source_leaves_the_first_and_the_background_as_they_were():
    extra = SOURCE | {"name": "other", "ra": 80.0, "flux": {"value": 5}}
    _, alone = simulate_window(recipe_of(), 0)
    _, both = simulate_window(recipe_of(sources=[SOURCE, extra]), 0)
    assert both["sources"][0] == alone["sources"][0]
    assert both["events"] == alone["events"] + both["sources"][1]["events"]


def test_a_source_behind_the_detector_has_no_events():
    _, truth = simulate_window(recipe_of(sources=[SOURCE | {"ra": 263.6, "dec": -22.0}]), 0)
    assert truth["sources"][0]["events"] == 0
    assert truth["sources"][0]["tangents"] == [None, None]
    json.dumps(truth, allow_nan=False)


def test_the_ridge_adds_events(tmp_path):
    centre = [{"ra": 266.4, "dec": -28.9}]
    ridge = {"ridge": {"flux": {"value": 500, "band": [20, 40]}}}
    _, without = simulate_window(recipe_of(pointings=centre, sources=[], duration_s=50), 0)
    _, with_ridge = simulate_window(recipe_of(pointings=centre, sources=[], duration_s=50, nuisances=ridge), 0)
    assert with_ridge["events"] > without["events"] + 1000


def test_the_source_list_holds_what_an_analysis_may_know(tmp_path):
    unknown = SOURCE | {"name": 'odd, "quoted"', "catalogued": True}
    hidden = SOURCE | {"name": "hidden", "catalogued": False}
    simulate(recipe_of(sources=[SOURCE, unknown, hidden], duration_s=10), tmp_path)
    table = Table.read(tmp_path / "sources.ecsv")
    assert list(table["name"]) == ["Crab", 'odd, "quoted"']
    assert table["ra"].unit == "deg"
    assert table["dec"][0] == 24.0


def test_a_window_that_is_there_is_not_overwritten(tmp_path):
    simulate(recipe_of(duration_s=10), tmp_path)
    before = Archive(tmp_path).events_file("066500010010.001").read_bytes()
    with pytest.raises(OutputError, match=r"066500010010\.001: a science window is there already"):
        simulate(recipe_of(duration_s=10, seed=9), tmp_path)
    assert Archive(tmp_path).events_file("066500010010.001").read_bytes() == before


def test_nothing_is_written_if_one_of_the_windows_is_there(tmp_path):
    simulate(recipe_of(duration_s=10, first_pointing=2), tmp_path)
    with pytest.raises(OutputError, match=r"066500020010\.001"):
        simulate(recipe_of(duration_s=10, pointings=[POINTING] * 2), tmp_path)
    assert [scw.pointing for scw in Archive(tmp_path).windows()] == [2]


def test_an_output_path_under_a_regular_file(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        simulate(recipe_of(duration_s=10), tmp_path / "file" / "archive")


def test_a_recipe_without_good_time(tmp_path):
    with pytest.raises(RequestError, match="must stay good"):
        simulate(recipe_of(gaps_s=[[0, 400]]), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_demo_window_is_simulated_once_and_says_so(tmp_path):
    assert simulate_demo_window(tmp_path) == DEMO_SCW
    archive = Archive(tmp_path)
    assert archive.windows() == [DEMO_SCW]
    path = archive.events_file(DEMO_SCW)
    written = path.stat().st_mtime_ns
    assert simulate_demo_window(tmp_path) == DEMO_SCW
    assert path.stat().st_mtime_ns == written
    events = read_events(path)
    assert events.header["SIMULATE"] is True
    truth = json.loads((archive.folder(DEMO_SCW) / "truth.json").read_text())
    assert truth["sources"][0]["name"] == "SGR 1935+2154"
    assert truth["events"] == len(events) > 500_000
