"""The real window of SGR 1935+2154's burst storm, 12 October 2022, from its event file to the products."""

from __future__ import annotations

import json
from itertools import product

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.io import fits

from integral_oda.analysis import analyse
from integral_oda.errors import DataError, NothingLeftError, OutputError, RequestError
from integral_oda.instrument.mask import GHOST_PERIOD_PIXELS
from integral_oda.products.light_curve import read_light_curve
from integral_oda.products.sky_image import read_sky_images
from integral_oda.products.source_list import read_source_list
from integral_oda.query import ImageQuery, LightCurveQuery

SCW, CUT_SCW, PAGE_SCW = "255900280010.001", "255900290010.001", "255900300010.001"
SGR, SGR_POSITION = "SGR 1935+2154", SkyCoord(293.7320, 21.8967, unit="deg")
BAND_FREE = {"COR", "GTI", "DEAD", "CAT_I", "EFFI"}
EVENTS = "isgri_events.fits"
FIRST_EVENT_IJD = 8320.632300
IMAGE_QUERY = ImageQuery(scw_list=(SCW,), bands=((28.0, 80.0),))


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="module")
def first_run(sample_archive, store):
    """The image of the window, into an empty store, with the events of its steps."""
    events = []
    products = analyse(IMAGE_QUERY, sample_archive, store, events.append)
    return products, events


@pytest.fixture(scope="module")
def image(first_run):
    return first_run[0].images[0]


@pytest.fixture(scope="module")
def sources(first_run):
    return {source.name: source for source in first_run[0].sources}


@pytest.fixture(scope="module")
def mixed_archive(sample_archive, tmp_path_factory):
    """The sample, a window cut short and one that is a page of a web server."""
    root = tmp_path_factory.mktemp("archive")
    for scw in (SCW, CUT_SCW, PAGE_SCW):
        (root / "scw" / "2559" / scw).mkdir(parents=True)
    real = sample_archive / "scw" / "2559" / SCW / f"{EVENTS}.gz"
    (root / "scw" / "2559" / SCW / f"{EVENTS}.gz").symlink_to(real)
    with real.open("rb") as whole:
        (root / "scw" / "2559" / CUT_SCW / f"{EVENTS}.gz").write_bytes(whole.read(3_000_000))
    (root / "scw" / "2559" / PAGE_SCW / EVENTS).write_text("<html>not found</html>\n")
    return root


def test_the_magnetar_is_found_where_it_is(sources):
    source = sources[SGR]
    assert SkyCoord(source.ra_deg, source.dec_deg, unit="deg").separation(SGR_POSITION) < 0.5 * u.arcmin
    assert source.significance > 25
    assert not source.new
    assert not source.forced
    assert 0.16 <= source.error_radius_arcmin < 1
    (band,) = source.bands
    assert band.flux / band.flux_error == pytest.approx(band.significance)


def test_cyg_x1_at_the_edge_is_modelled(sources):
    assert sources["Cyg X-1"].significance > 10
    # Both sources in the ratio of OSA's fluxes of this window and band, 158 to 38.4 counts/s.
    ratio = sources["Cyg X-1"].bands[0].flux / sources[SGR].bands[0].flux
    assert ratio == pytest.approx(158 / 38.4, rel=0.25)


def test_nothing_is_new(sources):
    assert [name for name, source in sources.items() if source.new] == []


def test_ghosts_are_gone_from_the_cleaned_image(image):
    column, row = (float(p) for p in image.pixel_of(SGR_POSITION))
    seen = 0
    for i, j in product((-1, 0, 1), repeat=2):
        x, y = round(column + i * GHOST_PERIOD_PIXELS), round(row + j * GHOST_PERIOD_PIXELS)
        if (i, j) == (0, 0) or not (5 < x < 394 and 5 < y < 394):
            continue
        box = image.significance[y - 3 : y + 4, x - 3 : x + 4]
        if np.isfinite(box).any():
            seen += 1
            assert np.nanmax(np.abs(box)) < 6
    assert seen >= 3


def test_the_source_stays_in_the_image(image, sources):
    column, row = (round(float(p)) for p in image.pixel_of(SGR_POSITION))
    box = image.intensity[row - 2 : row + 3, column - 2 : column + 3]
    assert box.max() == pytest.approx(sources[SGR].bands[0].flux, rel=0.15)
    peak = np.unravel_index(np.nanargmax(image.significance), image.shape)
    assert np.abs(np.array(peak) - [row, column]).max() <= 1


def test_the_rest_of_the_image_is_noise(first_run):
    (noise,) = first_run[0].summary["noise"]
    assert (noise["e1_kev"], noise["e2_kev"]) == (28, 80)
    assert abs(noise["significance_mean"]) < 0.05
    assert noise["significance_sigma"] == pytest.approx(1, abs=0.12)
    assert noise["null_sigma"] == pytest.approx(1, abs=0.1)
    assert 3 < noise["largest_excess"] < 6
    assert noise["sources_masked"] >= 2


def test_exposure_is_that_of_the_window(image):
    # 3548.5 s of merged good time; DEADC of OSA 11.2's products of this revolution is 0.698.
    assert image.keywords["ONTIME"] == pytest.approx(3548.5, abs=0.1)
    assert image.keywords["DEADC"] == pytest.approx(0.698, abs=0.02)
    assert image.keywords["SWID"] == "255900280010"


def test_files_hold_what_the_summary_says(first_run, sources, tmp_path):
    products = first_run[0]
    written = products.write(tmp_path / "out")
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == set(products.summary["files"]) == {path.name for path in written}
    assert names >= {"mosaic.fits", "catalog.fits", "catalog.reg", "image.png", "summary.json", "provenance.json"}
    assert fits.getheader(tmp_path / "out/mosaic.fits", 4)["IMATYPE"] == "SIGNIFICANCE"
    assert read_sky_images(tmp_path / "out/mosaic.fits")[0].shape == (400, 400)
    listed = {source.name: source for source in read_source_list(tmp_path / "out/catalog.fits")}
    assert listed.keys() == sources.keys()
    assert listed[SGR].bands[0].flux == pytest.approx(sources[SGR].bands[0].flux, rel=1e-6)
    assert (tmp_path / "out/image.png").read_bytes().startswith(b"\x89PNG")
    assert f"text={{{SGR}}}" in (tmp_path / "out/catalog.reg").read_text()


def no_constant(name):
    raise ValueError(f"{name} is no JSON")


def test_summary_and_provenance_are_strict_json(first_run, tmp_path):
    first_run[0].write(tmp_path)
    summary = json.loads((tmp_path / "summary.json").read_text(), parse_constant=no_constant)
    provenance = json.loads((tmp_path / "provenance.json").read_text(), parse_constant=no_constant)
    assert summary["query"]["scw_list"] == [SCW]
    assert summary["science_windows"] == {"used": [SCW], "left_out": []}
    (raw,) = [name for name in provenance["entity"] if name.startswith("sha256:")]
    assert raw == "sha256:0cbc06d0e1b0b094d0d2e80d9806bf7dcb9e912858af3a13fe838cd26036cf79"
    steps = {activity["oda:step"] for activity in provenance["activity"].values()}
    assert steps >= BAND_FREE | {"BIN_I", "BKG_I", "IMA", "MOSAIC"}
    for relation in ("used", "wasGeneratedBy"):
        for item in provenance[relation].values():
            assert item["prov:entity"] in provenance["entity"]
            assert item["prov:activity"] in provenance["activity"]


def test_every_step_was_told_of(first_run):
    products, events = first_run
    computed = [(e.scope, e.step) for e in events if e.state == "computed"]
    assert len(computed) == len(set(computed)) == products.summary["nodes"]["computed"]
    assert {step for scope, step in computed if scope == SCW} >= BAND_FREE | {"BIN_I", "BKG_I", "IMA"}
    assert products.summary["nodes"] | {"restored": 0, "failed": 0} == products.summary["nodes"]


def test_the_second_run_computes_nothing(first_run, sample_archive, store):
    again = analyse(IMAGE_QUERY, sample_archive, store)
    assert again.summary["nodes"]["computed"] == again.summary["nodes"]["failed"] == 0
    assert again.summary["nodes"]["restored"] >= 1
    assert again.summary["sources"] == first_run[0].summary["sources"]
    assert again.folder == first_run[0].folder


def test_another_band_computes_only_what_depends_on_it(first_run, sample_archive, store):
    events = []
    query = ImageQuery(scw_list=(SCW,), bands=((40.0, 80.0),))
    products = analyse(query, sample_archive, store, events.append)
    computed = {e.step for e in events if e.state == "computed"}
    assert not computed & BAND_FREE
    assert {"BIN_I", "BKG_I", "IMA"} <= computed
    assert 0 < products.summary["nodes"]["computed"] < first_run[0].summary["nodes"]["computed"]
    found = {source.name: source for source in products.sources}
    assert found[SGR].significance > 25
    assert found[SGR].bands[0].e1_kev == 40


def test_a_measure_at_a_position(first_run, sample_archive, store):
    query = IMAGE_QUERY.model_copy(update={"at": ("293.733,21.897", "288.265,19.7735")})
    found = {source.name: source for source in analyse(query, sample_archive, store).sources}
    assert not found[SGR].forced
    (forced,) = [source for source in found.values() if source.forced]
    assert (forced.ra_deg, forced.dec_deg) == pytest.approx((288.265, 19.7735))
    assert abs(forced.significance) < 5
    assert forced.bands[0].limit_3sigma > forced.bands[0].flux


@pytest.fixture(scope="module")
def slow_curve(first_run, sample_archive, store):
    query = LightCurveQuery(scw_list=(SCW,), src_name="SGR 1935+2154", time_bin=1000.0)
    products = analyse(query, sample_archive, store)
    return products, products.curves[0]


def test_the_light_curve_falls_as_osas(slow_curve, real_data):
    name = "volodymyrss_grb221009/oda_8201ddeca4be3129_lc1000s_28_80_rev2559_SGR_1935+2154.fits.gz"
    osa = read_light_curve(real_data / name)
    first = int(np.argmin(np.abs(osa.time_ijd - slow_curve[1].time_ijd[0])))
    ratio = slow_curve[1].rate[:3] / osa.rate[first : first + 3]
    assert ratio / ratio.mean() == pytest.approx(np.ones(3), abs=0.07)
    assert slow_curve[1].rate[3] < 0.4 * slow_curve[1].rate[2]


def test_the_light_curve_covers_the_window(slow_curve):
    curve = slow_curve[1]
    assert (curve.name, len(curve)) == (SGR, 4)
    assert curve.width_s[:3] == pytest.approx([1000] * 3, abs=0.01)
    assert np.all((curve.fractional_exposure > 0.9) & (curve.fractional_exposure <= 1.0001))
    assert (curve.fractional_exposure * curve.width_s).sum() == pytest.approx(3548.5, abs=0.2)
    # 478 381 events of the band in the window, less those of bad pixels, rise time and time.
    assert 350_000 < curve.counts.sum() < 478_381


def test_the_light_curve_and_the_image_agree(slow_curve, sources):
    curve, band = slow_curve[1], sources[SGR].bands[0]
    weight = curve.width_s * curve.fractional_exposure
    mean = (curve.rate * weight).sum() / weight.sum()
    assert mean == pytest.approx(band.flux, abs=3 * band.flux_error)


def test_the_light_curve_uses_the_steps_of_the_image(slow_curve):
    nodes = slow_curve[0].summary["nodes"]
    assert nodes["computed"] <= 3
    assert nodes["restored"] >= 5


def test_bursts_are_seen_in_tenths_of_a_second(first_run, sample_archive, store):
    query = LightCurveQuery(scw_list=(SCW,), src_name="SGR 1935+2154", time_bin=0.1)
    (curve,) = analyse(query, sample_archive, store).curves
    assert 35_000 < len(curve) < 35_800
    since_first = (curve.time_ijd - FIRST_EVENT_IJD) * 86400
    significance = np.nan_to_num(curve.rate / curve.error)
    for burst in (282, 669, 1821, 1989, 2148):
        assert significance[np.abs(since_first - burst) < 5].max() > 10, burst
    quiet = np.abs(significance[(since_first > 3000) & (significance != 0)])
    assert np.median(quiet) < 1
    # The brightest tenth of a second has some 1250 counts of the burst.
    assert curve.counts.max() > 1000


def test_a_truncated_window_is_left_out_and_the_rest_goes_on(first_run, mixed_archive, store, sources):
    query = ImageQuery(scw_list=(SCW, CUT_SCW), bands=((28.0, 80.0),))
    events = []
    products = analyse(query, mixed_archive, store, events.append)
    windows = products.summary["science_windows"]
    assert windows["used"] == [SCW]
    assert [window["scw"] for window in windows["left_out"]] == [CUT_SCW]
    assert CUT_SCW in windows["left_out"][0]["reason"]
    assert products.summary["nodes"]["failed"] >= 1
    assert {(e.scope, e.step) for e in events if e.state == "failed"} >= {(CUT_SCW, "COR")}
    found = {source.name: source for source in products.sources}
    assert found[SGR].bands[0].flux == pytest.approx(sources[SGR].bands[0].flux, rel=1e-6)


def test_an_absent_window_is_left_out_too(first_run, mixed_archive, store):
    query = ImageQuery(scw_list=(SCW, "255900290011.001"), bands=((28.0, 80.0),))
    windows = analyse(query, mixed_archive, store).summary["science_windows"]
    assert windows["used"] == [SCW]
    assert "255900290011.001" in windows["left_out"][0]["reason"]


@pytest.mark.parametrize("missing", [CUT_SCW, "255900290011.001"])
def test_strict_fails_with_the_first_reason(mixed_archive, store, missing):
    query = ImageQuery(scw_list=(SCW, missing), bands=((28.0, 80.0),))
    with pytest.raises(DataError, match=missing[:12]):
        analyse(query, mixed_archive, store, strict=True)


@pytest.mark.parametrize("damaged", [CUT_SCW, PAGE_SCW, "255900290011.001"])
def test_a_single_damaged_window_is_the_error_itself(mixed_archive, store, damaged):
    with pytest.raises(DataError, match=damaged[:12]):
        analyse(ImageQuery(scw_list=(damaged,)), mixed_archive, store)


def test_nothing_left_says_so_with_the_first_reason(mixed_archive, store):
    with pytest.raises(NothingLeftError, match=f"(?s)no science window is left of 2: .*{CUT_SCW[:12]}"):
        analyse(ImageQuery(scw_list=(CUT_SCW, PAGE_SCW)), mixed_archive, store)


def test_an_unknown_source_is_refused_before_anything_is_computed(sample_archive, store):
    events = []
    query = LightCurveQuery(scw_list=(SCW,), src_name="No Such Source 99", time_bin=100.0)
    with pytest.raises(RequestError, match="No Such Source 99"):
        analyse(query, sample_archive, store, events.append)
    assert events == []


def test_an_output_that_cannot_be_written_is_told(first_run, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="file"):
        first_run[0].write(tmp_path / "file" / "out")


def test_what_a_user_does_to_the_files_never_reaches_the_store(first_run, tmp_path):
    before = {path.name: path.read_bytes() for path in first_run[0].files}
    for path in first_run[0].write(tmp_path / "out"):
        path.write_bytes(b"")
    assert {path.name: path.read_bytes() for path in first_run[0].files} == before
