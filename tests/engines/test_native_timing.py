"""Light curves through the native engine: a simulated window with known truth, and the real sample beside OSA's."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits

from integral_oda.analysis import analyse
from integral_oda.errors import RequestError
from integral_oda.instrument.epochs import sensitivity_factor
from integral_oda.products.light_curve import FLAG_FEW_COUNTS, FLAG_GAP, read_light_curve
from integral_oda.query import ImageQuery, LightCurveQuery, make_query
from integral_oda.simulation.recipe import make_recipe
from integral_oda.simulation.window import simulate

BAND = (28.0, 80.0)
RECIPE = {
    "seed": 31,
    "pointings": [{"ra": 84.6, "dec": 22.0, "roll": 20}],
    "duration_s": 600,
    "gaps_s": [[250, 252]],
    "sources": [
        {"name": "Crab", "ra": 83.6332, "dec": 22.0145, "flux": {"value": 150, "band": BAND}},
        {"name": "Burster", "ra": 86.5, "dec": 24.5, "flux": {"value": 20, "band": BAND},
         "behaviour": {"type": "flare", "level": 0.5,
                       "flares": [{"at_s": 100, "rise_s": 0.02, "decay_s": 0.05, "amplitude": 500},
                                  {"at_s": 400, "rise_s": 0.05, "decay_s": 0.2, "amplitude": 300}]}},
    ],
    "background": {"rate": 150, "band": BAND, "edge_excess": 0.1},
    "detector": {"dead_fraction": 0.03, "dead_time": 0.25, "low_threshold_kev": 17, "low_threshold_spread_kev": 1},
}  # fmt: skip


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    root = tmp_path_factory.mktemp("archive")
    (scw,) = simulate(make_recipe(RECIPE), root)
    return root, str(scw)


@pytest.fixture(scope="module")
def made(archive, tmp_path_factory):
    root, scw = archive
    store = tmp_path_factory.mktemp("store")

    def make(**asked):
        return analyse(LightCurveQuery(scw_list=(scw,), catalog=root / "sources.ecsv", **asked), root, store)

    make.image = lambda: analyse(ImageQuery(scw_list=(scw,), catalog=root / "sources.ecsv", bands=(BAND,)), root, store)
    return make


def test_bins_add_up_to_the_image(made):
    image = {source.name: source.bands[0].flux for source in made.image().sources}
    for width in (100.0, 1.0):
        curves = {curve.name: curve for curve in made(time_bin=width).curves}
        for name in ("Crab", "Burster"):
            curve = curves[name]
            mean = (curve.rate * curve.live_time_s).sum() / curve.live_time_s.sum()
            assert mean == pytest.approx(image[name], rel=0.02)
        assert curves["Crab"].live_time_s.sum() == pytest.approx(598 * 0.75, rel=2e-3)


def test_a_steady_source_stays_steady(made):
    (curve,) = (c for c in made(time_bin=1.0).curves if c.name == "Crab")
    pull = (curve.rate - 150) / curve.error
    assert (np.abs(pull) < 1).mean() == pytest.approx(0.683, abs=0.06)
    assert np.all(curve.low_95 < curve.low)
    assert curve.mcrab[0] == pytest.approx(curve.rate[0] * curve.mcrab_error[0] / curve.error[0])
    flagged = curve.time_ijd[(curve.flag & FLAG_GAP) > 0]
    start = curve.edges_ijd[0, 0]
    assert ((flagged - start) * 86400).tolist() == pytest.approx([250.5, 251.5], abs=2.1)
    assert not ((curve.flag & FLAG_FEW_COUNTS) > 0).any()


def test_bursts_are_found_and_listed(made):
    products = made(time_bin=10.0, src_name="Burster", bursts=True, events=True)
    found = products.summary["bursts"]
    start = products.curves[0].edges_ijd[0, 0]
    at = [(burst["start_ijd"] - start) * 86400 for burst in found]
    assert at == pytest.approx([100, 400], abs=0.5)
    # 20 counts/s x 500 x (0.02 + 0.05) s, and 20 x 300 x 0.25 s
    assert found[0]["fluence"] == pytest.approx(700, abs=4 * found[0]["fluence_error"])
    assert found[1]["fluence"] == pytest.approx(1500, rel=0.2)
    assert {"bursts.fits", "bursts.ecsv", "isgri_events_Burster.fits"} <= set(products.summary["files"])
    with fits.open(products.folder / "isgri_events_Burster.fits") as hdus:
        rows = hdus["ISGR-EVTS-ALL"].data
        assert np.all(np.diff(rows["TIME"]) >= 0)
        assert (rows["PIF"].min() >= 0, rows["PROB"].max() <= 1) == (True, True)
        mean = rows["WEIGHT"].sum() / 598
    assert mean == pytest.approx(products.summary["sources"][0]["bands"][0]["flux"], abs=2.0)


def test_two_bands_have_a_hardness(made):
    products = made(time_bin=100.0, src_name="Crab", more_bands=((80, 150),), E1_keV=30, E2_keV=60)
    bands = products.summary["sources"][0]["bands"]
    assert [(band["e1_kev"], band["e2_kev"]) for band in bands] == [(30, 60), (80, 150)]
    with fits.open(products.folder / "isgri_lc_Crab.fits") as hdus:
        ratio = hdus["HARDNESS"].data["HR"]
    expected = (bands[1]["flux"] - bands[0]["flux"]) / (bands[1]["flux"] + bands[0]["flux"])
    assert np.median(ratio) == pytest.approx(expected, abs=0.05)


def test_bins_as_they_are_asked(made):
    whole = made(src_name="Crab", binning="scw").curves[0]
    assert (len(whole), len(made(src_name="Crab", binning="revolution").curves[0])) == (1, 1)
    start = whole.edges_ijd[0, 0]
    edges = tuple(start + np.array([-10, 50, 90, 300]) / 86400)
    listed = made(src_name="Crab", bin_edges=edges).curves[0]
    assert listed.width_s == pytest.approx([60, 40, 210], abs=1e-3)
    assert listed.fractional_exposure == pytest.approx([50 / 60, 1, 208 / 210], abs=1e-3)
    blocks = made(src_name="Burster", binning="blocks", time_bin=0.5).curves[0]
    assert 3 <= len(blocks) < 20
    assert blocks.rate.max() > 1000


def test_epochs_are_made_comparable_only_when_asked(made):
    plain, corrected = (made(src_name="Crab", epoch_correction=flag).curves[0] for flag in (False, True))
    assert corrected.rate == pytest.approx(plain.rate * sensitivity_factor(plain.time_ijd), rel=1e-5)
    assert corrected.keywords["EPOCHCOR"]
    assert "EPOCHCOR" not in plain.keywords


def test_barycentric_times_say_what_they_are(made):
    plain, there = (made(src_name="Crab", barycentre=flag).curves[0] for flag in (False, True))
    assert (there.keywords["TIMESYS"], there.keywords["BARYPOS"]) == ("TDB", "GEOCENTRE")
    assert 1 < np.abs(there.time_ijd - plain.time_ijd).max() * 86400 < 510


def test_the_orbit_of_the_revolution_stands_in_for_the_windows(made, archive):
    root, scw = archive
    centre, plain = (made(src_name="Crab", barycentre=flag).curves[0] for flag in (True, False))
    begin = np.array([plain.time_ijd[0] - 1])
    columns = [fits.Column(name, "1D", array=begin + n) for n, name in enumerate(("DAYBEG", "EPOCH", "DAYEND"))]
    columns += [fits.Column("XYZPOS", "3D", array=[[0, 0, 150e3]]), fits.Column("XYZVEL", "3D", array=[[0.5, 0, 0]])]
    folder = root / f"aux/adp/{scw[:4]}.001"
    folder.mkdir(parents=True)
    fits.BinTableHDU.from_columns(columns, name="AUXL-ORBI-HIS").writeto(folder / "orbit_historic.fits")
    there = made(src_name="Crab", barycentre=True).curves[0]
    assert (there.keywords["BARYPOS"], there.keywords["BARYERR"]) == ("SPACECRAFT ORBIT", 1e-3)
    later = (there.time_ijd - centre.time_ijd)[0] * 86400
    assert later == pytest.approx(150e3 / 299792.458 * np.sin(np.deg2rad(22.0145)), abs=2e-3)


@pytest.mark.parametrize(
    ("values", "parameter"),
    [
        ({"bursts": True}, "bursts"),
        ({"binning": "hourly"}, "binning"),
        ({"binning": "blocks"}, "binning"),
        ({"bin_edges": "3,2"}, "bin_edges"),
        ({"bin_edges": "abc"}, "bin_edges"),
        ({"fold": "x"}, "fold"),
        ({"fold": "-3"}, "fold"),
        ({"period_search": "5,1"}, "period_search"),
        ({"more_bands": ((80, 20),)}, "band"),
        ({"more_bands": ((1, 20),)}, "band"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(values, parameter):
    with pytest.raises(RequestError) as caught:
        make_query(LightCurveQuery, scw_list="255900280010", **values)
    assert caught.value.parameter == parameter
    assert "\n" not in str(caught.value)


def test_the_real_sample_beside_osa(real_data, sample_archive, tmp_path):
    name = "volodymyrss_grb221009/oda_8201ddeca4be3129_lc1000s_28_80_rev2559_{}.fits.gz"
    osa = {source: read_light_curve(real_data / name.format(source)) for source in ("SGR_1935+2154", "GRS_1915+105")}
    inside = (osa["SGR_1935+2154"].time_ijd > 8320.632) & (osa["SGR_1935+2154"].time_ijd < 8320.674)
    bounds = osa["SGR_1935+2154"].select(inside).edges_ijd
    edges = tuple(np.append(bounds[:, 0], bounds[-1, 1]))
    products = analyse(LightCurveQuery(scw_list=("255900280010",), bin_edges=edges), sample_archive, tmp_path)
    ours = {curve.name.replace(" ", "_"): curve for curve in products.curves}
    sgr, reference = ours["SGR_1935+2154"], osa["SGR_1935+2154"].select(inside)
    factor = (sgr.rate[:3] * reference.rate[:3]).sum() / (sgr.rate[:3] ** 2).sum()
    assert factor * sgr.rate[:3] / reference.rate[:3] == pytest.approx(1, abs=0.06)
    for source, curve in ours.items():
        if source in osa:
            other = osa[source].select(inside)
            pull = (factor * curve.rate - other.rate) / np.hypot(factor * curve.error, other.error)
            assert np.abs(pull).max() < 2
