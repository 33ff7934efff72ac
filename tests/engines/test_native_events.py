from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st

from integral_oda.archive.events import EventList, read_events
from integral_oda.engines.native.events import Cor, Dead, DeadTime, GoodTime, Gti, select_events
from integral_oda.engines.native.field import live_time_map
from integral_oda.errors import DataError
from integral_oda.instrument.detector import active_pixels, module_map

T0 = 8320.6323


def event_list(rows):
    """Events given as (seconds, energy, rise time, DETY, DETZ, flag), good time 0 to 100 s."""
    table = np.array(sorted(rows), dtype=float)
    return EventList(
        time_ijd=T0 + table[:, 0] / 86400,
        energy_kev=table[:, 1].astype(np.float32),
        rise_time=table[:, 2].astype(np.uint8),
        det_y=table[:, 3].astype(np.uint8),
        det_z=table[:, 4].astype(np.uint8),
        select_flag=table[:, 5].astype(np.uint8),
        gti_ijd=np.array([[T0, T0 + 100 / 86400]]),
        header={"REVOL": 2559, "SWID": "255900280010", "RA_SCX": 286.8, "DEC_SCX": 20.3, "RA_SCZ": 199.4,
                "DEC_SCZ": -6.9, "XTENSION": "BINTABLE"},
    )  # fmt: skip


WHOLE = GoodTime(np.array([[T0, T0 + 100 / 86400]]))
GOOD = [(1, 40, 50, 10, 20, 0), (2, 60, 16, 10, 20, 0), (3, 70, 116, 129, 133, 0)]


def pixels_of(selected):
    return [(int(p) % 130, int(p) // 130) for p in selected.pixel]


def test_good_events_are_kept_in_order():
    selected = select_events(event_list(GOOD))
    assert selected.energy_kev.tolist() == [40, 60, 70]
    assert pixels_of(selected) == [(10, 20), (10, 20), (129, 133)]
    assert selected.all_counts.sum() == 3
    assert selected.good_pixels.sum() == 2


@pytest.mark.parametrize("bad", [(50, 40, 15, 10, 20, 0), (50, 40, 117, 10, 20, 0), (50, 40, 255, 10, 20, 0),
                                 (50, 0, 50, 10, 20, 0)])  # fmt: skip
def test_events_of_bad_rise_time_or_energy_go_and_their_pixel_stays(bad):
    selected = select_events(event_list([*GOOD, bad]))
    assert selected.energy_kev.tolist() == [40, 60, 70]
    assert selected.good_pixels[20, 10]
    assert selected.all_counts[20, 10] == 3


def test_one_flagged_event_removes_its_pixel():
    selected = select_events(event_list([*GOOD, (90, 55, 50, 10, 20, 1)]))
    assert pixels_of(selected) == [(129, 133)]
    assert not selected.good_pixels[20, 10]


def test_a_pixel_without_events_is_dead():
    selected = select_events(event_list(GOOD))
    assert not selected.good_pixels[50, 50]
    assert not selected.good_pixels[:, 64].any()


def test_module_rates_count_every_event():
    rows = [(t, 0, 200, 129, 133, 1) for t in range(101)]
    rates = select_events(event_list(rows)).module_rates
    assert rates[0] == pytest.approx(1.01)
    assert rates[1:].tolist() == [0] * 7


def test_only_keywords_of_the_window_travel():
    header = select_events(event_list(GOOD)).header
    assert header["SWID"] == "255900280010"
    assert "XTENSION" not in header
    assert select_events(event_list(GOOD)).revolution == 2559


def test_the_real_events_are_selected(real_data):
    events = read_events(real_data / "dominp_isgri/isgri_events_255900280010_first300s.fits.gz")
    selected = select_events(events)
    assert 0.85 < len(selected.time_ijd) / len(events) < 0.97
    assert 14_000 < selected.good_pixels.sum() < 15_451
    assert np.all(np.diff(selected.time_ijd) >= 0)
    # 690 counts/s on the plane, by another program.
    assert selected.module_rates.sum() == pytest.approx(690, rel=0.03)


def test_a_window_of_few_events_is_refused(tmp_path, real_data):
    with fits.open(real_data / "dominp_isgri/isgri_events_255900280010_first300s.fits.gz") as hdus:
        few = fits.BinTableHDU(hdus["ISGR-EVTS-ALL"].data[:50], hdus["ISGR-EVTS-ALL"].header)
        fits.HDUList([fits.PrimaryHDU(), few, hdus["IBIS-GNRL-GTI"].copy()]).writeto(tmp_path / "few.fits")
    with pytest.raises(DataError, match="only 50 events"):
        Cor().compute([], {}, {"events": tmp_path / "few.fits"})


def test_selected_events_survive_the_store(tmp_path):
    selected = select_events(event_list(GOOD))
    Cor().save(selected, tmp_path)
    back = Cor().load(tmp_path)
    for name in ("time_ijd", "energy_kev", "pixel", "all_counts", "good_pixels", "gti_ijd", "module_rates"):
        assert np.array_equal(getattr(back, name), getattr(selected, name)), name
    assert back.header == selected.header


@given(st.lists(st.integers(1, 50), min_size=2, max_size=10), st.lists(st.integers(0, 300), min_size=1, max_size=20))
def test_times_are_good_from_a_start_until_before_a_stop(steps, times):
    edges = np.cumsum(steps)[: len(steps) // 2 * 2].reshape(-1, 2).astype(float)
    times = np.sort(times).astype(float)
    expected = [any(start <= t < stop for start, stop in edges) for t in times]
    assert GoodTime(edges).inside(times).tolist() == expected


def test_good_time_is_the_archives(tmp_path):
    good = Gti().compute([select_events(event_list(GOOD))], {}, {})
    assert good.ontime_s == pytest.approx(100)
    Gti().save(good, tmp_path)
    assert np.array_equal(Gti().load(tmp_path).intervals_ijd, good.intervals_ijd)


def test_a_window_without_good_time_is_refused():
    selected = replace(select_events(event_list(GOOD)), gti_ijd=np.zeros((0, 2)))
    with pytest.raises(DataError, match="255900280010: no good time"):
        Gti().compute([selected], {}, {})


@pytest.fixture
def dead_file(tmp_path):
    columns = [fits.Column(f"II_DEADTIME_{m}", "1E", array=[0.1 + 0.01 * m, 0.2 + 0.01 * m]) for m in range(8)]
    columns.append(fits.Column("OB_TIME", "4I", bzero=32768, array=np.array([[0, 0, 0, 0], [0, 0, 800, 0]])))
    fits.BinTableHDU.from_columns(columns, name="ISGR-DEAD-SCP").writeto(tmp_path / "isgri_dead.fits")
    return tmp_path / "isgri_dead.fits"


def test_dead_time_is_from_the_file_then_the_keyword_then_the_rates(dead_file):
    selected = select_events(event_list(GOOD))
    keyed = replace(selected, header=selected.header | {"DEADC": 0.75})
    from_file = Dead().compute([keyed, WHOLE], {}, {"dead": dead_file})
    assert from_file.origin == "isgri_dead.fits"
    assert from_file.dead_fraction == pytest.approx(0.15 + 0.01 * np.arange(8))
    from_keyword = Dead().compute([keyed, WHOLE], {}, {})
    assert (from_keyword.origin, from_keyword.deadc) == ("DEADC keyword", pytest.approx(0.75))
    from_rates = Dead().compute([selected, WHOLE], {}, {})
    assert from_rates.origin == "module rates and nominal veto"
    assert 0.65 < from_rates.deadc < 0.75


def test_impossible_dead_times_are_refused(tmp_path):
    columns = [fits.Column(f"II_DEADTIME_{m}", "1E", array=[1.5]) for m in range(8)]
    columns.append(fits.Column("OB_TIME", "4I", bzero=32768, array=np.zeros((1, 4))))
    fits.BinTableHDU.from_columns(columns, name="ISGR-DEAD-SCP").writeto(tmp_path / "isgri_dead.fits")
    with pytest.raises(DataError, match="outside 0 to 1"):
        Dead().compute([select_events(event_list(GOOD)), WHOLE], {}, {"dead": tmp_path / "isgri_dead.fits"})


def test_live_time_is_each_modules():
    fractions = 0.1 * np.arange(8)
    live = live_time_map(GoodTime(np.array([[0.0, 1000 / 86400]])), DeadTime(fractions, "given"))
    for module in range(8):
        assert live[module_map() == module] == pytest.approx(1000 * (1 - fractions[module]))
    assert not live[~active_pixels()].any()


def test_dead_times_count_with_the_good_time_in_their_interval(tmp_path):
    # Ten samples of 8 s; the good time is the first two and half of the third.
    obt = np.array([[0, 0, (8 * k + 4) * 16, 0] for k in range(10)])
    columns = [fits.Column(f"II_DEADTIME_{m}", "1E", array=np.arange(10) / 20) for m in range(8)]
    columns.append(fits.Column("OB_TIME", "4I", bzero=32768, array=obt))
    fits.BinTableHDU.from_columns(columns, name="ISGR-DEAD-SCP").writeto(tmp_path / "isgri_dead.fits")
    selected = select_events(event_list(GOOD))
    times = {"OBTSTART": f"{0:020d}", "OBTEND": f"{80 * 2**20:020d}", "TSTART": T0, "TSTOP": T0 + 80 / 86400}
    selected = replace(selected, header=selected.header | times)
    good = GoodTime(np.array([[T0, T0 + 20 / 86400]]))
    dead = Dead().compute([selected, good], {}, {"dead": tmp_path / "isgri_dead.fits"})
    assert dead.dead_fraction == pytest.approx([(0 * 8 + 0.05 * 8 + 0.1 * 4) / 20] * 8, abs=1e-4)


def test_a_module_that_is_off_part_of_the_time_is_live_for_less():
    rng = np.random.default_rng(1)
    n = 40_000
    rows = np.column_stack([np.sort(rng.uniform(0, 100, n)), np.full(n, 40), np.full(n, 50), rng.integers(0, 130, n),
                            rng.integers(0, 134, n), np.zeros(n)])  # fmt: skip
    in_gap = ~active_pixels()[rows[:, 4].astype(int), rows[:, 3].astype(int)]
    module = module_map()[rows[:, 4].astype(int), rows[:, 3].astype(int)]
    selected = select_events(event_list(rows[~in_gap & ~((module == 5) & (rows[:, 0] > 60))].tolist()))
    good = Gti().compute([selected], {}, {})
    dead = Dead().compute([selected, good], {}, {})
    assert dead.on_fraction[5] == pytest.approx(0.6, abs=0.03)
    assert dead.on_fraction[4] == 1
    live = live_time_map(good, dead)
    assert live[module_map() == 5][0] == pytest.approx(0.6 * live[module_map() == 4][0], rel=0.06)


def test_pixels_that_are_known_to_be_off_are_not_used():
    off = np.zeros((134, 130), dtype=bool)
    off[20, 10] = True
    selected = select_events(event_list(GOOD), off, {"PIXSTAT": "events + context"})
    assert selected.energy_kev.tolist() == [70]
    assert not selected.good_pixels[20, 10]
    assert selected.header["PIXSTAT"] == "events + context"


def test_bad_time_is_no_good_time(tmp_path):
    bad = fits.BinTableHDU.from_columns(
        [
            fits.Column("START", "1D", array=[T0 + 20 / 86400, T0 + 50 / 86400]),
            fits.Column("STOP", "1D", array=[T0 + 30 / 86400, T0 + 60 / 86400]),
            fits.Column("BTI_TYPE", "20A", array=["SOLAR_FLARE", "MISCELLANEOUS"]),
        ]
    )
    bad.writeto(tmp_path / "isgr_gnrl_bti_0016.fits")
    selected = select_events(event_list(GOOD))
    good = Gti().compute([selected], {}, {"ic_bti": tmp_path / "isgr_gnrl_bti_0016.fits"})
    assert good.ontime_s == pytest.approx(90, abs=1e-3)


def test_events_can_be_read_before_what_fits_lines_is_there():
    told = "import sys, integral_oda.engines.native.events; print('scipy' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, timeout=60, check=True)
    assert result.stdout == "False\n"
