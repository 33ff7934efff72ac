"""Selection: what is taken, what is left and why; the same on every machine."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from integral_oda.archive.plan import Criteria, Target, plan_pointings, plan_windows
from integral_oda.archive.pointing_tables import read_pointings
from integral_oda.archive.pointings import PointingIndex, write_index
from integral_oda.instrument.attitude import separation_deg
from integral_oda.products.plan_picture import plan_figure

CRAB = Target("Crab", 83.6332, 22.0145)


def dither(count: int = 60, version: str = "001") -> PointingIndex:
    """Pointings near the Crab, one every 2000 s, Z towards the north."""
    rng = np.random.default_rng(11)
    start = 3000 + np.arange(count) * 2000 / 86400
    dec = CRAB.dec_deg + rng.uniform(-8, 8, count)
    ra = CRAB.ra_deg + rng.uniform(-8, 8, count)
    return PointingIndex.build(
        {
            "name": [f"0665{n + 1:04d}0010.{version}" for n in range(count)],
            "tstart": start,
            "tstop": start + 1800 / 86400,
            "ra_x": ra,
            "dec_x": dec,
            "ra_z": ra,
            "dec_z": dec + 90,
            "good_s": np.full(count, 1500.0),
        }
    )


def test_everything_fits_into_a_wide_query():
    plan = plan_pointings(dither(), CRAB, Criteria(radius_deg=20, max_pointings=None))
    assert plan.chosen == tuple(dither().names)
    assert plan.ontime_s == pytest.approx(60 * 1500)
    assert plan.exposure_s == pytest.approx(sum(w.coded_fraction * 1500 for w in plan.windows))


@settings(max_examples=30)
@given(count=st.integers(1, 59), seed=st.none() | st.integers(0, 2**40))
def test_max_pointings_is_what_is_taken(count, seed):
    plan = plan_pointings(dither(), CRAB, Criteria(radius_deg=20, max_pointings=count, seed=seed))
    assert len(plan.chosen) == len(set(plan.chosen)) == count
    assert list(plan.chosen) == sorted(plan.chosen)
    assert {w.reason for w in plan.windows if not w.chosen} == {f"beyond max_pointings = {count}"}


def test_without_a_seed_they_are_spread_evenly():
    chosen = plan_pointings(dither(), CRAB, Criteria(radius_deg=20, max_pointings=6)).chosen
    assert [int(scw[4:8]) for scw in chosen] == [6, 16, 26, 36, 46, 56]


def test_another_pointing_moves_at_most_one_of_a_seeded_choice():
    criteria = Criteria(radius_deg=20, max_pointings=20, seed=7)
    before = set(plan_pointings(dither(60), CRAB, criteria).chosen)
    after = set(plan_pointings(dither(61).rows(np.arange(61)), CRAB, criteria).chosen)
    assert len(before - after) <= 1


def test_seeds_differ():
    choices = {
        plan_pointings(dither(), CRAB, Criteria(radius_deg=20, max_pointings=9, seed=s)).chosen for s in range(8)
    }
    assert len(choices) == 8


@pytest.mark.parametrize("seed", [None, 5])
def test_the_same_windows_in_another_process_from_another_order(tmp_path, seed):
    index = dither()
    write_index(tmp_path / "index.fits", index.rows(np.random.default_rng(1).permutation(len(index))))
    criteria = Criteria(radius_deg=9, max_pointings=13, seed=seed, min_coded_fraction=0.2)
    here = plan_pointings(index, CRAB, criteria)
    code = (
        "import sys, json\n"
        "from math import inf\nfrom integral_oda.archive.plan import *\n"
        "from integral_oda.archive.pointings import PointingIndex, read_index\n"
        "index = PointingIndex.merge([read_index(sys.argv[1])])\n"
        f"plan = plan_pointings(index, Target('Crab', {CRAB.ra_deg}, {CRAB.dec_deg}), {criteria!r})\n"
        "print(json.dumps(plan.as_dict()))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "index.fits")], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == json.loads(json.dumps(here.as_dict()))


def test_versions_follow_the_readiness():
    mixed = PointingIndex.merge([dither(6, "000"), dither(4, "001"), dither(2, "002")])

    def versions(readiness):
        plan = plan_pointings(mixed, CRAB, Criteria(radius_deg=20, readiness=readiness))
        return [scw[-3:] for scw in plan.chosen]

    assert versions("any") == ["002", "002", "001", "001", "000", "000"]
    assert versions("cons") == ["002", "002", "001", "001"]
    assert versions("nrt") == ["000"] * 6


def test_slews_are_never_taken():
    names = ["066500010010.001", "066500010021.001", "066500010032.001"]
    index = PointingIndex.build(
        {"name": names, "ra_x": [83.6] * 3, "dec_x": [22.0] * 3, "tstart": [1] * 3, "tstop": [2] * 3}
    )
    assert plan_pointings(index, CRAB, Criteria()).chosen == ("066500010010.001",)


def test_each_limit_says_its_number():
    index = dither(20)
    good = np.where(np.arange(20) < 3, 100.0, 1500.0)
    index = PointingIndex.build({**{n: getattr(index, n) for n in index.__annotations__}, "good_s": good})
    criteria = Criteria(
        radius_deg=20,
        min_good_isgri_s=1000,
        max_off_axis_deg=9.0,
        min_coded_fraction=0.7,
        min_ontime_s=1000,
        excluded={"066500100010": "verdict drop"},
        bad_time_ijd=[(3000 + 11.2 * 2000 / 86400, 3000 + 12.1 * 2000 / 86400, "SOLAR_FLARE")],
    )
    plan = plan_pointings(index, CRAB, criteria)
    reasons = {int(w.scw[4:8]): w.reason for w in plan.windows}
    assert reasons[1] == "good time 100 s, less than min_good_isgri = 1000"
    assert reasons[10] == "verdict drop"
    assert reasons[12] == reasons[13] == "bad time: SOLAR_FLARE"
    for window in plan.windows:
        if window.chosen:
            assert window.off_axis_deg <= 9
            assert window.coded_fraction >= 0.7
    far = next(w for w in plan.windows if w.reason.startswith("coded"))
    assert far.reason == f"coded fraction {far.coded_fraction:.3f}, less than min_coded_fraction = 0.7"


def test_revolutions_and_times():
    index = PointingIndex.merge(
        [
            dither(5),
            PointingIndex.build(
                {"name": ["066600010010.001"], "tstart": [3005.0], "tstop": [3006.0], "ra_x": [83.0], "dec_x": [22.0]}
            ),
        ]
    )
    assert plan_pointings(index, CRAB, Criteria(revolutions=(666, 670))).chosen == ("066600010010.001",)
    assert plan_pointings(index, CRAB, Criteria(interval_ijd=(3005.5, 3010))).chosen == ("066600010010.001",)
    assert len(plan_pointings(index, CRAB, Criteria(radius_deg=20, interval_ijd=(2999, 3001))).chosen) == 5


def test_an_explicit_list_is_shown_with_what_is_known_of_it():
    asked = ["066500020010.000", "999900010010.001", "066500010010.001"]
    plan = plan_windows(dither(3), asked, CRAB)
    assert plan.chosen == tuple(asked)
    assert [w.off_axis_deg is None for w in plan.windows] == [False, True, False]
    assert plan.windows[1].exposure_s is None
    assert "unknown" in plan.windows[1].text()
    assert plan.text().endswith(", without 1 whose time or attitude is not known")


def test_the_picture_shows_every_pointing():
    plan = plan_pointings(dither(), CRAB, Criteria(radius_deg=20, max_pointings=20))
    sky, line = plan_figure(plan).axes[:2]
    assert [len(dots.get_offsets()) for dots in sky.collections] == [40, 20]
    away = [np.hypot(*offset) for dots in sky.collections for offset in dots.get_offsets()]
    true = [
        separation_deg(CRAB.ra_deg, CRAB.dec_deg, w.ra_deg, w.dec_deg)
        for w in sorted(plan.windows, key=lambda w: w.chosen)
    ]
    np.testing.assert_allclose(away, true, atol=1e-9)
    assert line.get_ylim()[0] == 0


def test_the_picture_of_nothing_known(tmp_path):
    plan = plan_windows(PointingIndex.build({"name": []}), ["066500010010.001"])
    assert any("1 without" in text.get_text() for text in plan_figure(plan).axes[1].texts)


def test_real_observations_are_planned(real_data):
    index = read_pointings(real_data / "gbelanger_grid-processing-integral/observations.dat.gz")
    assert len(index) == 4168
    plan = plan_pointings(index, CRAB, Criteria(max_pointings=50))
    assert len(plan.chosen) == 50 < len(plan.windows)
    assert sum(w.off_axis_deg < 0.1 for w in plan.windows) > 50  # calibration pointings at the Crab itself


def test_real_pointings_give_their_own_angles_and_vignetting(real_data):
    """The table's EXPOSURE is live time times OSA's vignetting, ANGDIST its off-axis angle."""
    from astropy.io import fits

    path = real_data / "gbelanger_java-tda/ts_isgri_3.5677051E+02_5.1704971E+01_20-35keV.fits.gz"
    plan = plan_pointings(read_pointings(path), Target("x", 356.77051, 51.704971), Criteria(max_pointings=None))
    with fits.open(path) as hdus:
        angles = hdus["RATES"].data["ANGDIST"]
        vignetting = hdus["POINTINGS"].data["EXPOSURE"] / hdus["GTI"].data["LIVETIME"]
    assert len(plan.windows) == len(angles) == 5676
    np.testing.assert_allclose([w.off_axis_deg for w in plan.windows], angles, atol=1e-6)
    coded = np.array([w.coded_fraction for w in plan.windows])
    for low, high in ((3, 6), (6, 9), (9, 12), (12, 15)):
        ring = (angles >= low) & (angles < high)
        assert np.median(coded[ring]) == pytest.approx(np.median(vignetting[ring]), abs=0.03)


def test_real_lists_of_windows_are_read(real_data):
    for revolution, count in ((665, 93), (727, 87), (1019, 101), (1784, 55)):
        index = read_pointings(real_data / f"integral-observatory_cc-crab/Crab_{revolution:04d}_ISGRI_scw_list.txt")
        assert set(index.revolution.tolist()) <= {revolution, revolution + 1}
        assert len(index) == count
    path = "volodymyrss_grb221009/oda_34b13e172d22acb3_mosaic_28_80_rev2558_2559_52scw_scw_list.txt"
    index = read_pointings(real_data / path)
    assert len(index) == 52
    assert set(index.version.tolist()) == {0}


def test_a_real_attitude_table_is_one_pointing(real_data):
    index = read_pointings(real_data / "USRA-STI_gdt-integral/sc_orbit_param.fits.gz")
    assert index.names == ["078900560010.001"]
    assert separation_deg(index.ra_x[0], index.dec_x[0], 300.975, -4.376) < 0.01
