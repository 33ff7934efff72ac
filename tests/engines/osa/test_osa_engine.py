"""Two simulated windows through OSA's steps: the graph's products are the native engine's."""

from __future__ import annotations

import json

import numpy as np
import pytest
from astropy.io import fits
from osa_doubles import complete_archive

from integral_oda.analysis import analyse, plan_query
from integral_oda.archive.tree import Archive
from integral_oda.engines.osa.graph import OsaGraph
from integral_oda.engines.osa.installation import find_installation
from integral_oda.instrument.energy import EnergyBand
from integral_oda.products.response_file import read_response
from integral_oda.products.spectrum import read_spectrum
from integral_oda.query import ImageQuery, LightCurveQuery, SpectrumQuery
from integral_oda.workflow.executor import execute
from integral_oda.workflow.store import Store

pytestmark = pytest.mark.slow

BAND = (28.0, 80.0)
THRESHOLD = 5.0


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Store of everything that this module makes, so that only what is changed runs again."""
    return tmp_path_factory.mktemp("store")


def image_query(windows, **values):
    return ImageQuery(scw_list=windows, bands=(BAND,), detection_threshold=THRESHOLD, **values)


@pytest.fixture
def made(osa, osa_archive, store):
    root, windows = osa_archive

    def run(query, **options):
        return analyse(query, root, store, **options)

    run.windows = windows
    run.root = root
    return run


def same_images(ours, native):
    (image,), (other,) = ours.images, native.images
    assert image.shape == other.shape
    for plane in ("intensity", "variance", "significance", "exposure"):
        wanted = getattr(other, plane)
        rounding = 1e-5 * float(np.nanmedian(np.abs(wanted)))  # sums depend on the threads of the library
        np.testing.assert_allclose(getattr(image, plane), wanted, rtol=1e-5, atol=rounding, err_msg=plane)
    np.testing.assert_allclose(image.wcs.wcs.crval, other.wcs.wcs.crval)
    assert image.band == other.band


def same_sources(ours, native):
    found, expected = ours.summary["sources"], native.summary["sources"]
    assert [s["name"] for s in found] == [s["name"] for s in expected] == ["Crab", "NEW_1"]
    for source, other in zip(found, expected, strict=True):
        assert source["new"] == other["new"]
        numbers = {k: v for k, v in source.items() if isinstance(v, float)}
        assert numbers == pytest.approx({k: other[k] for k in numbers}, rel=1e-6)
        for band, wanted in zip(source["bands"], other["bands"], strict=True):
            told = {name: band[name] for name in band if name != "flux_systematic"}  # OSA's lists have none
            assert told == pytest.approx({name: wanted[name] for name in told}, rel=1e-5)


def test_the_image_of_one_window_is_the_native_engines(made):
    query = image_query(made.windows[:1])
    ours, native = made(query, engine="osa"), made(query)
    same_images(ours, native)
    same_sources(ours, native)
    assert ours.images[0].shape == (400, 400)
    assert ours.summary["query"]["engine"] == "osa"


def test_the_image_of_two_windows_is_the_native_engines(made):
    query = image_query(made.windows)
    ours, native = made(query, engine="osa"), made(query)
    same_images(ours, native)
    same_sources(ours, native)
    assert ours.summary["science_windows"] == native.summary["science_windows"]
    assert ours.summary["noise"][0]["significance_sigma"] == pytest.approx(1, abs=0.15)


def test_a_mosaic_can_be_left_to_the_native_engine(made):
    query = image_query(made.windows)
    mixed = query.model_copy(update={"engine": "osa", "engine_for": ("MOSAIC=native",)})
    made(query, engine="osa")
    ours, native = made(mixed), made(query)
    same_images(ours, native)
    same_sources(ours, native)
    assert ours.summary["nodes"]["computed"] <= len(made.windows) + 2


@pytest.mark.parametrize(("time_bin", "executable"), [(100.0, "ii_lc_extract"), (20.0, "ii_light")])
def test_light_curves_are_the_native_engines(made, osa, time_bin, executable):
    osa.record()
    query = LightCurveQuery(scw_list=made.windows, src_name="Crab", time_bin=time_bin)
    (ours,), (native,) = (made(query, engine=engine).curves for engine in ("osa", "native"))
    assert executable in {record["name"] for record in osa.records()}
    assert ours.name == native.name == "Crab"
    for column in ("time_ijd", "width_s", "rate", "error", "fractional_exposure", "counts", "background"):
        np.testing.assert_array_equal(getattr(ours, column), getattr(native, column), err_msg=column)


def test_spectra_are_the_native_engines_with_their_responses(made):
    query = SpectrumQuery(scw_list=made.windows, src_name="Crab", channels=256)
    ours, native = (made(query, engine=engine) for engine in ("osa", "native"))
    spectrum, other = (read_spectrum(p.folder / "isgri_spectrum_Crab.fits") for p in (ours, native))
    for column in ("rate", "stat_error", "quality"):
        np.testing.assert_allclose(getattr(spectrum, column), getattr(other, column), rtol=1e-6, err_msg=column)
    assert spectrum.exposure_s == pytest.approx(other.exposure_s)
    areas = [read_response(p.folder / "isgri_rmf_Crab.fits", p.folder / "isgri_arf_Crab.fits") for p in (ours, native)]
    np.testing.assert_allclose(areas[0].matrix, areas[1].matrix, rtol=1e-5, atol=1e-4)


def test_the_source_lists_of_all_windows_become_one_table(made, store):
    graph = OsaGraph(Archive(made.root), made.windows, "11.2", data=find_installation().data_names())
    node = graph.source_table([EnergyBand(*BAND)], THRESHOLD)
    made(image_query(made.windows, engine="osa"))
    execution = execute([node], Store(store))
    rows = fits.getdata(execution.value(node).path("isgri_sources.fits"), 1)
    assert execution.computed == 1
    assert [str(name).strip() for name in rows["NAME"]] == ["Crab", "NEW_1"] * 2


def prospects(made, query, store):
    nodes = plan_query(query, made.root, store).nodes
    return {(node.step, node.scope): node.prospect for node in nodes}


def test_a_parameter_of_the_imaging_reruns_the_imaging_and_what_follows(made, osa, store):
    query = image_query(made.windows, engine="osa")
    made(query)
    changed = query.model_copy(update={"osa_parameters": ("ii_skyimage.ToSearch=10",)})
    told = prospects(made, changed, store)
    again = {step for (step, _), prospect in told.items() if prospect == "to run"}
    assert again == {"IMA", "MOSAIC", "READ_IMA", "PACK_IMAGE"}
    osa.record()
    made(changed)
    calls = [record for record in osa.records() if record["name"] == "ii_skyimage"]
    assert {record["parameters"]["ToSearch"] for record in calls} == {"10"}
    heavy = {record["name"] for record in osa.records()}
    assert heavy == {"ii_skyimage"}


def test_every_call_had_a_directory_of_its_own(made, osa):
    osa.record()
    made(image_query(made.windows, engine="osa", osa_parameters=("ibis_gti.GTI_attTolerance_X=0.4",)))
    records = osa.records()
    assert {record["window"] for record in records} >= {window[:12] for window in made.windows}
    for record in records:
        work = record["HOME"].removesuffix("/home")
        assert record["PFILES"].startswith(f"{work}/pfiles;")
        assert record["COMMONLOGFILE"] == f"+{work}/common.log"
        assert record["cwd"].startswith(work)
        assert (record["DISPLAY"], record["COMMONSCRIPT"]) == ("", "1")
        assert not set("[]") & set(work)
    steps = {(record["HOME"], record["window"]) for record in records if record["window"]}
    assert len({home for home, _ in steps}) >= 2 * len(made.windows)


@pytest.mark.parametrize(
    ("executable", "parameter", "order", "told"),
    [
        ("ii_skyimage", "SouFit=1", {"text": "in DAL3AUXcalcInstrumentAttitudeThermal", "status": -122240},
         "its attitude is missing"),
        ("ii_shadow_ubc", "brPifThreshold=2e-4", {"text": "FATAL : ReadBkgUnifBin Uncorrect Bckg maps", "status": -1},
         "choose a band inside"),
        ("ii_skyimage", "SouFit=2", {"how": "killed"}, "ended without a status"),
    ],
)  # fmt: skip
def test_a_window_that_fails_is_named_and_left_out_and_the_rest_goes_on(
    made, osa, store, executable, parameter, order, told
):
    bad, good = made.windows
    osa.fail(executable, window=bad[:12], **order)
    query = image_query(made.windows, engine="osa", osa_parameters=(f"{executable}.{parameter}",))
    products = made(query)
    (left_out,) = products.summary["science_windows"]["left_out"]
    assert left_out["scw"] == bad
    assert told in left_out["reason"]
    assert products.summary["science_windows"]["used"] == [good]
    same_images(products, made(image_query([good])))
    failing = {step for (step, scope), p in prospects(made, query, store).items() if scope == bad and p == "stored"}
    assert not {"IMA", "BKG_I"} & failing if executable == "ii_shadow_ubc" else "IMA" not in failing
    assert not list((store / "aside").iterdir())


def test_a_crowded_mosaic_is_tried_again_with_higher_thresholds(made, osa):
    query = image_query(made.windows, engine="osa", osa_parameters=("ii_skyimage.MapSize=60",))
    singles = [made(image_query([w], engine="osa", osa_parameters=query.osa_parameters)) for w in made.windows]
    assert len(singles) == 2
    osa.fail("ii_skyimage", how="no line", text="in MAIN__ at ii_skyimage_main.f90:94", status=139, times=2)
    osa.record()
    products = made(query)
    tried = [(r["parameters"]["MinCatSouSnr"], r["parameters"]["MinNewSouSnr"]) for r in osa.records()]
    assert tried == [("13.5", "11.25")]
    same_images(products, made(image_query(made.windows)))
    header = fits.getheader(products.folder / "mosaic.fits", "ISGR-MOSA-IMA")
    assert header is not None


def test_the_log_is_kept_with_the_product(made, store):
    made(image_query(made.windows[:1], engine="osa"))
    logs = [path.read_text() for path in store.glob("objects/*/*/osa.log")]
    (imaging,) = [text for text in logs if "$ ii_skyimage" in text and "DoPart2=1" in text and "ToSearch=5" in text
                  and "SouFit=0" in text and made.windows[0][:12] in text][:1]  # fmt: skip
    assert "Task ii_skyimage terminating with status 0" in imaging


def test_good_time_goes_through_gti_user(made, osa):
    with fits.open(made.root / "scw" / made.windows[0][:4] / made.windows[0] / "isgri_events.fits.gz") as hdus:
        start = float(hdus["IBIS-GNRL-GTI"].data["START"][0])
    parts = tuple((start + a / 86400, start + b / 86400) for a, b in ((10, 100), (150, 250)))
    query = image_query(made.windows[:1], gti=parts)
    osa.record()
    ours, native = made(query, engine="osa"), made(query)
    same_images(ours, native)
    assert ours.images[0].keywords["ONTIME"] == pytest.approx(190, abs=0.1)


def test_a_missing_raw_file_leaves_its_window_out(osa, osa_archive, store, tmp_path):
    import shutil

    root, windows = osa_archive
    copy = tmp_path / "archive"
    shutil.copytree(root, copy)
    complete_archive(copy)
    hk = copy / "scw" / windows[0][:4] / windows[0] / "ibis_hk.fits"
    hk.unlink()
    products = analyse(image_query(windows, engine="osa"), copy, store)
    (left_out,) = products.summary["science_windows"]["left_out"]
    assert left_out["scw"] == windows[0]
    assert "ibis_hk.fits" in left_out["reason"]
    assert json.loads((products.folder / "lists.json").read_text())["sources"]


def test_two_versions_of_osa_give_a_product_each(osa, osa_archive, monkeypatch, capsys, tmp_path):
    """Windows on both sides of revolution 1626: OSA 10.2 makes the one, 11.2 the other, and no sum is made."""
    import shutil
    import sys

    from osa_doubles import install

    from integral_oda.cli import main

    root, (early, _) = osa_archive
    archive, late = tmp_path / "archive", "255900280010.001"
    shutil.copytree(root / "scw" / early[:4] / early, archive / "scw" / early[:4] / early)
    shutil.copytree(root / "scw" / early[:4] / early, archive / "scw" / late[:4] / late)
    complete_archive(archive)
    older = install(tmp_path / "older", "10.2")
    monkeypatch.setenv("INTEGRAL_ODA_OSA_10_2", str(older.root))
    older.record()
    osa.record()
    monkeypatch.setattr(sys, "argv", [
        "integral-oda", "image", "--scw-list", f"{early},{late}", "--archive", str(archive), "--engine", "osa",
        "--osa-version", "10.2+11.2", "--store", str(tmp_path / "store"), "--out", str(tmp_path / "out"),
    ])  # fmt: skip
    with pytest.raises(SystemExit) as ended:
        main()
    told = capsys.readouterr().err
    assert ended.value.code == 0, told
    assert "OSA 10.2: 1 science windows" in told
    assert "OSA 11.2: 1 science windows" in told
    for version, window, calls in (("10.2", early, older.records()), ("11.2", late, osa.records())):
        summary = json.loads((tmp_path / "out" / f"osa{version}" / "summary.json").read_text())
        assert summary["science_windows"]["used"] == [window]
        assert summary["query"]["osa_version"] == version
        energy = next(call["parameters"] for call in calls if call["name"] == "ibis_isgr_energy")
        assert ("supGDOL" in energy) is (version == "10.2")


def test_engines_are_compared_on_one_query(made, osa, store, monkeypatch, capsys, tmp_path):
    import sys

    from integral_oda.cli import main

    monkeypatch.setattr(sys, "argv", [
        *("integral-oda", "compare", "--scw-list", made.windows[0], "--archive", str(made.root), "--store", str(store)),
        *("--product", "image", "--product", "lightcurve", "--source", "Crab", "--time-bin", "100", "--threshold", "5"),
        *("--engines", "native,osa", "--out", str(tmp_path / "out")),
    ])  # fmt: skip
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0, capsys.readouterr().err
    report = json.loads((tmp_path / "out" / "compare.json").read_text())
    image, curve = report["comparisons"]
    assert [source["name"] for source in image["sources"]][:2] == ["Crab", "NEW_1"]
    for source in image["sources"]:
        assert source["bands"][0]["ratio"] == pytest.approx(1, rel=1e-5)
        assert source["separation_arcmin"] == pytest.approx(0, abs=1e-3)
    (numbers,) = curve["curves"].values()
    assert (numbers["bins"], numbers["ratio"], numbers["chi2"]) == (4, pytest.approx(1), pytest.approx(0))
    page = (tmp_path / "out" / "compare.html").read_text()
    assert all(name in page and (tmp_path / "out" / name).is_file() for name in curve["pictures"])
    assert (tmp_path / "out" / "osa" / "image" / "mosaic.fits").is_file()


def test_a_comparison_needs_all_its_engines(no_osa, osa_archive, monkeypatch, capsys, tmp_path):
    import sys

    from integral_oda.cli import main

    root, windows = osa_archive
    line = ["integral-oda", "compare", "--scw-list", windows[0], "--archive", str(root), "--out", str(tmp_path / "out")]
    for engines, status, told in (("native,osa", 1, "OSA is not here"), ("native", 2, "engines = native: two or more"),
                                  ("native,idl", 2, "engines = native,idl")):  # fmt: skip
        monkeypatch.setattr(sys, "argv", [*line, "--engines", engines])
        with pytest.raises(SystemExit) as ended:
            main()
        err = capsys.readouterr().err.splitlines()
        assert (ended.value.code, len(err)) == (status, 1)
        assert told in err[0]
        assert not (tmp_path / "out").exists()
