"""The quality page of a simulated window with known faults, and of the real one."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import numpy as np
import pytest
from astropy.io import fits

from integral_oda.analysis import analyse
from integral_oda.archive.tree import Archive
from integral_oda.engines.native.quality import Quality
from integral_oda.errors import RequestError
from integral_oda.instrument.detector import N_PIXELS, module_map
from integral_oda.products.quality_page import write_quality
from integral_oda.products.signature import same_but_software
from integral_oda.query import QualityQuery, make_query
from integral_oda.simulation.recipe import make_recipe
from integral_oda.simulation.window import simulate

SCW = "255900280010.001"
OFF, SHIFTED, GAIN = 3, 5, 1.04
RECIPE = {
    "seed": 5,
    "pointings": [{"ra": 84.6, "dec": 22.0, "roll": 20}],
    "duration_s": 900,
    "gaps_s": [[200, 260]],
    "sources": [{"name": "Crab", "ra": 83.6332, "dec": 22.0145, "flux": {"value": 80, "band": [28, 80]}}],
    "background": {
        "rate": 500,
        "lines": [{"energy_kev": 59, "fraction": 0.2}, {"energy_kev": 150, "fraction": 0.02}],
    },
    "detector": {"dead_fraction": 0.05, "noisy_fraction": 0.02, "modules_off": [OFF], "dead_time": 0.2},
}


def quality(scw, archive, store):
    return analyse(make_query(QualityQuery, scw_list=scw), archive, store)


@pytest.fixture(scope="module")
def faulty(tmp_path_factory):
    """A window with a module off and another of wrong gain, its archive and its quality."""
    root, store = tmp_path_factory.mktemp("archive"), tmp_path_factory.mktemp("store")
    (scw,) = simulate(make_recipe(RECIPE), root)
    with fits.open(Archive(root).events_file(scw)) as hdus:
        rows = hdus["ISGR-EVTS-ALL"].data
        rows["ISGRI_ENERGY"][module_map()[rows["DETZ"], rows["DETY"]] == SHIFTED] *= GAIN
        changed = fits.HDUList([hdu.copy() for hdu in hdus])
    path = Archive(root).events_file(scw)
    changed.writeto(path, overwrite=True)
    return str(scw), root, store, quality(str(scw), root, store)


def test_the_faults_are_named_and_the_window_is_kept(faulty):
    summary = faulty[3].summary
    assert summary["verdict"] == faulty[3].verdict == "keep"
    warnings = [reason["text"] for reason in summary["reasons"] if reason["level"] == "warning"]
    assert f"modules off: {OFF}" in warnings
    assert any(text.startswith(f"module {SHIFTED}: tungsten line shifted by +2.") for text in warnings)
    assert not any(re.match(rf"module [^{SHIFTED}]:", text) for text in warnings)


def test_the_numbers_are_the_recipes(faulty):
    numbers = faulty[3].numbers
    assert numbers["good_time_s"] == pytest.approx(840, abs=1)
    assert numbers["elapsed_s"] == pytest.approx(900, abs=1)
    (gap,) = [gap for gap in numbers["gaps"] if gap["seconds"] > 1]
    assert gap["seconds"] == pytest.approx(60, abs=1)
    assert (gap["start_ijd"] - numbers["start_ijd"]) * 86400 == pytest.approx(200, abs=1)
    pixels = numbers["pixels"]
    assert sum(pixels.values()) == N_PIXELS
    assert pixels["dead"] == pytest.approx(2048 + 0.05 * 14336, abs=100)
    assert pixels["flagged"] == pytest.approx(0.02 * 0.95 * 14336, abs=60)
    assert pixels["usable"] == round(numbers["usable_fraction"] * N_PIXELS) > 0.8 * 14336
    assert numbers["deadc"] == pytest.approx(0.8, abs=0.02)


def test_gains_are_the_modules(faulty):
    modules = faulty[3].numbers["modules"]
    assert modules[OFF]["usable_fraction"] == modules[OFF]["relative_rate"] == 0
    assert modules[OFF]["line_kev"] is None
    lines = {m["number"]: m["line_kev"] for m in modules if m["number"] != OFF}
    assert lines.pop(SHIFTED) == pytest.approx(59 * GAIN, abs=0.5)
    assert list(lines.values()) == pytest.approx([59] * 6, abs=0.5)


def test_the_image_is_judged_too(faulty):
    numbers, noise = faulty[3].numbers, faulty[3].summary["noise"]
    assert [(band["e1_kev"], band["e2_kev"]) for band in noise] == [(28, 80), (80, 200)]
    for band in noise:
        assert band["significance_sigma"] == pytest.approx(1, abs=0.12)
        assert band["null_sigma"] == pytest.approx(1, abs=0.12)
    before, after, *_ = numbers["bands"][0]["residuals"]
    assert (before["source"], after["source"]) == (None, "Crab")
    assert before["largest"] > 20 > 6 > after["largest"]


def test_headers_warn_of_the_gain(faulty):
    numbers = faulty[3].numbers
    assert numbers["gain_warning"].startswith(f"module {SHIFTED} shifted by +")
    factors = [float(factor) for factor in numbers["gain_correction"].split()]
    assert factors.pop(SHIFTED) == pytest.approx(1 / GAIN, abs=0.01)
    assert set(factors) == {1.0}
    notes = [reason["text"] for reason in faulty[3].summary["reasons"] if reason["level"] == "note"]
    assert any(text.startswith("energies are corrected by 1.0000") for text in notes)
    assert numbers["pixel_status_from"] == "events"
    assert numbers["modules"][OFF]["on_fraction"] == pytest.approx(0, abs=0.01)


def test_the_page_stands_alone(faulty, tmp_path):
    faulty[3].write(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        *("quality.html", "quality.png", "quality.json", "summary.json", "provenance.json")
    }
    page = (tmp_path / "quality.html").read_text()
    assert page.count('src="data:image/png;base64,') == 5
    assert not re.search(r"https?:|<script|<link|url\(", page)
    assert '<span class="keep">keep</span>' in page
    assert f"modules off: {OFF}" in page
    assert (tmp_path / "quality.png").read_bytes().startswith(b"\x89PNG")
    numbers = json.loads((tmp_path / "quality.json").read_text(), parse_constant=pytest.fail)
    assert (numbers["verdict"], len(numbers["modules"])) == ("keep", 8)
    assert numbers["limits"]["ontime_s"] == 300


def test_a_known_page_is_taken_from_the_store(faulty):
    scw, root, store, first = faulty
    again = quality(scw, root, store)
    assert again.summary["nodes"]["computed"] == 0
    assert [path.read_bytes() for path in again.files] == [path.read_bytes() for path in first.files]


def test_the_page_drawn_from_what_is_kept_is_the_same(faulty, tmp_path):
    _, _, store, first = faulty
    (kept,) = (path.parent for path in store.rglob("residuals.npy"))
    write_quality(tmp_path, Quality().load(kept))
    for name in ("quality.html", "quality.png", "quality.json"):
        assert same_but_software(tmp_path / name, first.folder / name)


def test_a_short_window_is_dropped(tmp_path):
    recipe = RECIPE | {"duration_s": 120, "gaps_s": []}
    (scw,) = simulate(make_recipe(recipe), tmp_path / "archive")
    products = quality(str(scw), tmp_path / "archive", tmp_path / "store")
    assert products.verdict == "drop"
    assert "good time 120 s, less than 300 s" in [reason["text"] for reason in products.summary["reasons"]]


def test_the_real_window_is_worth_keeping(sample_archive, tmp_path):
    call = (
        "inspect",
        SCW,
        "--archive",
        sample_archive,
        "--store",
        tmp_path / "store",
        "--out",
        tmp_path / "out",
        "--json",
    )
    result = subprocess.run(
        [sys.executable, "-m", "integral_oda", *map(str, call)], capture_output=True, text=True, timeout=300, check=True
    )
    assert result.stderr == ""
    summary = json.loads(result.stdout)
    assert summary["verdict"] == "keep"
    numbers = json.loads((tmp_path / "out" / "quality.json").read_text())
    assert numbers["good_time_s"] == pytest.approx(3548.5, abs=0.1)
    # 15 451 pixels have counts; 5 % of the events are flagged.
    assert numbers["pixels"]["dead"] == N_PIXELS - 15451
    assert 0.7 < numbers["usable_fraction"] < 0.9
    assert 33 < numbers["threshold_kev"] < 40
    assert [step["source"] for step in numbers["bands"][0]["residuals"]] == [None, "SGR 1935+2154", "Cyg X-1"]
    largest = [step["largest"] for step in numbers["bands"][0]["residuals"]]
    assert largest[0] > 20 > largest[1] > 8 > 6 > largest[2]
    assert np.all([0.9 < module["relative_rate"] < 1.1 for module in numbers["modules"]])


@pytest.mark.parametrize(
    ("words", "status", "named"),
    [
        (("2559",), 2, "scw_list"),
        (("255900280010,255900290010",), 2, "12 digits"),
        (("255900290010",), 1, "not in the archive"),
        ((), 2, "SCW"),
    ],
)
def test_a_bad_inspection_is_one_line(tmp_path, words, status, named):
    folders = ("--archive", str(tmp_path / "none"), "--store", str(tmp_path / "store"), "--out", str(tmp_path / "out"))
    result = subprocess.run(
        [sys.executable, "-m", "integral_oda", "inspect", *words, *folders],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert result.returncode == status
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1
    assert named in result.stderr


@pytest.mark.parametrize(
    "values",
    [{"scw_list": [SCW, "255900290010.001"]}, {"rate_range": "1,2", "src_name": "Crab"}, {"phase": "1,2,0,1"}],
    ids=str,
)
def test_a_page_is_about_one_whole_window(values):
    with pytest.raises(RequestError, match="a quality page is about"):
        make_query(QualityQuery, **{"scw_list": SCW} | values)
