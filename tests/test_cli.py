"""The command as a user runs it: a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from integral_oda import __version__

SCW, CUT_SCW, PAGE_SCW, TABLELESS_SCW = (
    "255900280010.001", "255900290010.001", "255900300010.001", "255900310010.001"
)  # fmt: skip
EVENTS = "isgri_events.fits"
BAND = ("--e1", "28", "--e2", "80")
SGR = "SGR 1935+2154"
HEAVY = ("numpy", "scipy", "astropy", "matplotlib", "bokeh", "dask", "IPython")


@dataclass
class Bench:
    """An archive with one whole window and three bad ones, a store, and a folder to write to."""

    archive: Path
    store: Path

    def run(self, *words: object, out: Path) -> subprocess.CompletedProcess[str]:
        roots = ("--archive", self.archive, "--store", self.store, "--out", out)
        return command(*words, *roots)


def command(*words: object) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("INTEGRAL_ODA_")}
    return subprocess.run(
        [sys.executable, "-c", "from integral_oda.cli import main; main()", *map(str, words)],
        capture_output=True, text=True, env=environment | {"COLUMNS": "100"}, timeout=120, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def bench(sample_archive, tmp_path_factory):
    root = tmp_path_factory.mktemp("archive")
    folders = {scw: root / "scw" / "2559" / scw for scw in (SCW, CUT_SCW, PAGE_SCW, TABLELESS_SCW)}
    for folder in folders.values():
        folder.mkdir(parents=True)
    real = sample_archive / "scw" / "2559" / SCW / f"{EVENTS}.gz"
    (folders[SCW] / f"{EVENTS}.gz").symlink_to(real)
    with real.open("rb") as whole:
        (folders[CUT_SCW] / f"{EVENTS}.gz").write_bytes(whole.read(3_000_000))
    (folders[PAGE_SCW] / EVENTS).write_text("<html>not found</html>\n")
    other = fits.BinTableHDU.from_columns([fits.Column("A", "1J", array=np.arange(9))], name="ISGR-EVTS-PRW")
    fits.HDUList([fits.PrimaryHDU(), other]).writeto(folders[TABLELESS_SCW] / EVENTS)
    return Bench(root, tmp_path_factory.mktemp("store"))


def refused(result: subprocess.CompletedProcess[str], status: int, *named: str) -> None:
    """One line on standard error that names what is wrong, the status, and no traceback."""
    assert result.returncode == status, result.stderr
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("integral-oda: ")
    for text in named:
        assert text in lines[0]


IMAGE, CURVE = ("image", "--scw-list", SCW), ("lightcurve", "--scw-list", SCW)
RULE = "15 <= E1 < E2 <= 1000 keV in multiples of 0.5 keV"
BAD_REQUESTS = [
    ((*IMAGE, "--e1", "80", "--e2", "28"), ("80-28 keV", RULE)),
    ((*IMAGE, "--e1", "28", "--e2", "28"), ("28-28 keV", RULE)),
    ((*IMAGE, "--e1", "28.3", "--e2", "80"), ("28.3", RULE)),
    ((*IMAGE, "--e1", "5", "--e2", "80"), ("5.0", RULE)),
    ((*IMAGE, "--e1", "28", "--e2", "5000"), ("5000", RULE)),
    ((*IMAGE, "--e1", "nan", "--e2", "80"), ("nan", RULE)),
    ((*IMAGE, "--e1", "abc"), ("--e1", "valid number")),
    ((*IMAGE, "--band", "20:40"), ("20:40", "20-40")),
    ((*IMAGE, "--band", "20-40", "--band", "80-40"), ("80-40", RULE)),
    ((*IMAGE, "--threshold", "0"), ("detection_threshold = 0",)),
    ((*IMAGE, "--at", "400,20"), ("at = 400,20",)),
    ((*IMAGE, "--at", "No Such Source 99"), ("No Such Source 99",)),
    ((*IMAGE, "--catalog", "/no/such/catalogue.fits"), ("/no/such/catalogue.fits",)),
    (("image", "--scw-list", "25590028", *BAND), ("scw_list", "25590028", "12 digits")),
    (("image", "--scw-list", "@/no/such/list", *BAND), ("@/no/such/list",)),
    (("image", *BAND), ("scw_list",)),
    ((*CURVE, "--source", "No Such Source 99", "--time-bin", "100"), ("No Such Source 99",)),
    ((*CURVE, "--source", SGR, "--time-bin", "-5"), ("time_bin = -5",)),
    ((*CURVE, "--source", SGR, "--time-bin", "nan"), ("time_bin = nan",)),
    ((*CURVE, "--ra", "400", "--dec", "95", "--time-bin", "100"), ("RA = 400",)),
    ((*CURVE, "--ra", "40", "--time-bin", "100"), ("RA and DEC",)),
    ((*CURVE, "--source", SGR, "--ra", "40", "--dec", "20"), ("not both",)),
    ((*CURVE, "--no-such-option"), ("--no-such-option",)),
]


@pytest.mark.parametrize(
    ("words", "named"), BAD_REQUESTS, ids=[" ".join(words[3:]) or "x" for words, _ in BAD_REQUESTS]
)
def test_a_bad_request_is_one_line_and_status_2(bench, tmp_path, words, named):
    refused(bench.run(*words, out=tmp_path / "out"), 2, *named)
    assert list(tmp_path.iterdir()) == []


BAD_DATA = [
    ("255900289910.001", ("255900289910.001", "not in the archive")),
    (CUT_SCW, (f"{CUT_SCW}/{EVENTS}.gz",)),
    (PAGE_SCW, (f"{PAGE_SCW}/{EVENTS}",)),
    (TABLELESS_SCW, (f"{TABLELESS_SCW}/{EVENTS}", "ISGR-EVTS-ALL")),
    (f"{CUT_SCW},{PAGE_SCW}", ("no science window is left of 2", CUT_SCW)),
]


@pytest.mark.parametrize(("scw", "named"), BAD_DATA)
@pytest.mark.parametrize("kind", ["image", "lightcurve"])
def test_bad_data_are_one_line_and_status_1(bench, tmp_path, kind, scw, named):
    refused(bench.run(kind, "--scw-list", scw, *BAND, out=tmp_path / "out"), 1, *named)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("below", ["file", "file/out", "file/deep/out"])
def test_an_output_under_a_file_is_refused_before_the_work(bench, tmp_path, below):
    (tmp_path / "file").write_text("mine")
    refused(bench.run(*IMAGE, *BAND, out=tmp_path / below), 1, str(tmp_path / "file"), "a folder is needed")
    assert (tmp_path / "file").read_text() == "mine"
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]


@pytest.fixture(scope="module")
def as_json(bench, tmp_path_factory):
    """The sample's image with --json: what the process gave, and its folder."""
    out = tmp_path_factory.mktemp("out") / "image"
    return bench.run(*IMAGE, *BAND, "--json", out=out), out


def test_json_is_all_there_is_on_standard_output(as_json):
    result, out = as_json
    assert (result.returncode, result.stderr) == (0, "")
    summary = json.loads(result.stdout)
    assert summary == json.loads((out / "summary.json").read_text())
    assert SGR in [source["name"] for source in summary["sources"]]
    assert sorted(summary["files"]) == sorted(path.name for path in out.iterdir())


def test_a_second_call_restores_and_tells_people(bench, as_json, tmp_path):
    result = bench.run(*IMAGE, *BAND, out=tmp_path / "out")
    assert (result.returncode, result.stderr) == (0, "")
    first = result.stdout.splitlines()[0]
    assert first.startswith(SGR)
    assert "28-80 keV" in first
    assert "sigma" in first
    assert json.loads((tmp_path / "out/summary.json").read_text())["nodes"]["computed"] == 0
    for name in ("mosaic.fits", "catalog.fits", "image.png"):
        assert (tmp_path / "out" / name).read_bytes() == (as_json[1] / name).read_bytes()


def test_a_light_curve_names_its_files(bench, as_json, tmp_path):
    result = bench.run(*CURVE, *BAND, "--source", SGR, "--time-bin", "500", out=tmp_path / "out")
    assert (result.returncode, result.stderr) == (0, "")
    named = [Path(line) for line in result.stdout.splitlines()]
    assert tmp_path / "out/isgri_lc_SGR_1935+2154.fits" in named
    assert {path.name for path in named} == {path.name for path in (tmp_path / "out").iterdir()}
    assert all(path.is_file() for path in named)


def test_a_window_left_out_is_told_apart_from_the_result(bench, as_json, tmp_path):
    words = ("image", "--scw-list", f"{SCW},{CUT_SCW}", *BAND, "--json")
    result = bench.run(*words, out=tmp_path / "out")
    assert result.returncode == 0
    assert result.stderr.startswith(f"left out: {CUT_SCW}: ")
    assert len(result.stderr.splitlines()) == 1
    windows = json.loads(result.stdout)["science_windows"]
    assert windows["used"] == [SCW]
    assert windows["left_out"][0]["scw"] == CUT_SCW


def test_strict_fails_where_a_window_would_be_left_out(bench, as_json, tmp_path):
    words = ("image", "--scw-list", f"{SCW},{CUT_SCW}", *BAND, "--strict")
    refused(bench.run(*words, out=tmp_path / "out"), 1, CUT_SCW)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words", [(), ("image",), ("lightcurve",), ("archive",), ("cache",), ("benchmark",)])
def test_help_is_given(words):
    result = command(*words, "--help")
    assert (result.returncode, result.stderr) == (0, "")
    assert "Usage:" in result.stdout


@pytest.mark.parametrize("word", ["--help", "--version", "image --help"])
def test_help_loads_nothing_heavy(word):
    code = (
        "import sys; from integral_oda.cli import main\n"
        f"sys.argv = ['integral-oda', *{word.split()!r}]\n"
        "try:\n    main()\n"
        f"finally:\n    print([m for m in {HEAVY!r} if m in sys.modules], file=sys.stderr)\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 0
    assert result.stderr.strip() == "[]"


def test_the_version_is_the_packages():
    assert command("--version").stdout == f"{__version__}\n"


@pytest.mark.parametrize("words", [("no-such-command",), ("archive", "no-such")])
def test_an_unknown_command_is_a_bad_request(words):
    refused(command(*words), 2, words[-1])


def test_nothing_is_left_to_collect_when_the_process_ends():
    code = (
        "import atexit, gc; from integral_oda.cli import main\n"
        "atexit.register(lambda: print(gc.get_threshold()[0], len(gc.get_objects())))\n"
        "main()\n"
    )
    line = [sys.executable, "-c", code, "--version"]
    result = subprocess.run(line, capture_output=True, text=True, timeout=60, check=True)
    threshold, objects = map(int, result.stdout.split()[-2:])
    assert threshold > 10_000
    assert objects < 1000
