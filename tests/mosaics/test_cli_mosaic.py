"""The command ``mosaic``: its files, its summary, and one line for whatever cannot be done."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from astropy.io import fits


def run(*arguments):
    command = [sys.executable, "-m", "integral_oda", "mosaic", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_products_and_summary(paths, folder, tmp_path):
    (folder / "list.txt").write_text("\n".join(map(str, paths)) + "\n", encoding="utf-8")
    done = run(f"@{folder / 'list.txt'}", "--at", "85,21", "--json", "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary == json.loads((tmp_path / "summary.json").read_text(encoding="utf-8"))
    assert len(summary["science_windows"]["used"]) == 5
    assert {source["name"] for source in summary["sources"]} >= {"Crab", "J85.0000+21.0000"}
    assert summary["noise"][0]["significance_sigma"] == pytest.approx(1, abs=0.05)
    assert all((tmp_path / name).exists() for name in summary["files"])
    with fits.open(tmp_path / "mosaic.fits") as hdus:
        assert [hdu.header.get("IMATYPE") for hdu in hdus[2:]] == ["INTENSITY", "VARIANCE", "SIGNIFICANCE", "EXPOSURE"]
        assert hdus[4].header["NSCW"] == 5
    entities = json.loads((tmp_path / "provenance.json").read_text(encoding="utf-8"))["entity"]
    assert sum(name.startswith("sha256:") for name in entities) == 5
    assert (tmp_path / "catalog.reg").read_text(encoding="utf-8").count("circle(") == len(summary["sources"])


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["--projection", "XYZ"], 2, "projection = XYZ"),
        (["--resampling", "best"], 2, "resampling = best"),
        (["--size", "a,b"], 2, "size = a,b"),
        (["--center", "400,10"], 2, "center = 400,10"),
        (["--like", "nowhere.fits"], 1, "nowhere.fits: no such file"),
        (["nowhere.fits", "--strict"], 1, "nowhere.fits: no such file"),
    ],
)
def test_what_cannot_be_done_is_told_in_one_line(paths, tmp_path, arguments, status, message):
    done = run(paths[0], *arguments, "--out", tmp_path)
    assert done.returncode == status
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
