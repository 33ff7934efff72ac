"""``osa check``, and what a query is told where OSA is not."""

from __future__ import annotations

import sys

import pytest

from integral_oda.cli import main
from integral_oda.engines.osa.containers import Container
from integral_oda.engines.osa.installation import find_installation
from integral_oda.engines.osa.requirements import check_osa, require_osa
from integral_oda.engines.osa.table import EXECUTABLES
from integral_oda.errors import RequestError, UnavailableError


def command(monkeypatch, capsys, *arguments):
    monkeypatch.setattr(sys, "argv", ["integral-oda", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    told = capsys.readouterr()
    return ended.value.code, told.out.splitlines(), told.err.splitlines()


def test_without_osa_everything_is_missing_with_how_to_get_it(no_osa, monkeypatch, capsys, tmp_path):
    status, out, err = command(monkeypatch, capsys, "osa", "check", "--archive", tmp_path)
    assert status == 1
    assert len(err) == 1
    assert "engine osa cannot run" in err[0]
    assert all(line.startswith("missing") for line in out)
    for name in (*EXECUTABLES, "HEASoft", "IC master group", "reference catalogue", "attitude", "time correlation",
                 "templates", "isgr_mask_mod_0003.fits"):  # fmt: skip
        assert sum(name in line for line in out) >= 1, name
    assert any("ISDC_ENV" in line and "apptainer" in line for line in out)


def test_a_query_without_osa_fails_in_one_line(no_osa, osa_archive, monkeypatch, capsys, tmp_path):
    root, windows = osa_archive
    for kind in ("image", "lightcurve"):
        status, _, err = command(monkeypatch, capsys, kind, "--scw-list", windows[0], "--archive", root, "--engine",
                                 "osa", "--store", tmp_path / "store", "--out", tmp_path / "out")  # fmt: skip
        assert status == 1
        assert len(err) == 1
        assert "OSA is not here" in err[0]
        assert not (tmp_path / "out").exists()


def test_with_the_doubles_everything_is_found(osa, osa_archive, monkeypatch, capsys):
    status, out, err = command(monkeypatch, capsys, "osa", "check", "--archive", osa_archive[0])
    assert (status, err) == (0, [])
    assert out[-1] == "engine osa can run"
    assert not [line for line in out if line.startswith("missing")]
    assert any("6.26" in line and "HEASoft" in line for line in out)


def test_one_missing_executable_or_file_is_told(osa, doubles, osa_archive, monkeypatch, capsys):
    for path in (doubles.root / "bin" / "ii_pif", doubles.root / "ic_tree/ic/ibis/mod/isgr_deco_mod_0008.fits"):
        aside = path.with_name("aside")
        path.rename(aside)
        try:
            status, out, _ = command(monkeypatch, capsys, "osa", "check", "--archive", osa_archive[0])
            with pytest.raises(UnavailableError, match=rf"first .*{path.name}"):
                require_osa(osa_archive[0], "11.2")
        finally:
            aside.rename(path)
        assert status == 1
        missing = [line for line in out if line.startswith("missing")]
        assert len(missing) == 1
        assert path.name in missing[0]


def test_a_heasoft_that_breaks_responses_is_warned_about(osa, monkeypatch, tmp_path):
    newer = tmp_path / "heasoft-6.33.2"
    newer.mkdir()
    monkeypatch.setenv("HEADAS", str(newer))
    (heasoft,) = (item for item in check_osa(tmp_path) if item.name == "HEASoft")
    assert heasoft.found
    assert "newer than 6.27 breaks" in heasoft.warning


def test_another_version_than_the_installed_one_is_told(osa, doubles, monkeypatch, tmp_path):
    with pytest.raises(UnavailableError, match=r"OSA 10\.2 is not here, OSA 11\.2 is: set INTEGRAL_ODA_OSA_10_2"):
        find_installation("10.2")
    older = tmp_path / "osa10.2-bin-linux64"
    older.mkdir()
    monkeypatch.setenv("INTEGRAL_ODA_OSA_10_2", str(older))
    assert find_installation("10.2").isdc_env == older
    assert find_installation("11.2").isdc_env == doubles.root


@pytest.fixture
def runtimes(no_osa, monkeypatch, tmp_path):
    """Commands of container runtimes that only answer."""
    folder = tmp_path / "runtimes"
    folder.mkdir()
    for name in ("docker", "apptainer"):
        (folder / name).write_text("#!/bin/sh\nexit 125\n")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


def test_a_container_is_taken_where_there_is_no_installation(runtimes, monkeypatch):
    assert find_installation().container == Container("docker", "integralsw/osa:11.2")
    monkeypatch.setenv("INTEGRAL_ODA_OSA_IMAGE", "/images/osa10.2.sif")
    monkeypatch.setenv("INTEGRAL_ODA_OSA_RUNTIME", "apptainer")
    found = find_installation()
    assert found.container == Container("apptainer", "/images/osa10.2.sif")
    monkeypatch.setenv("INTEGRAL_ODA_OSA_RUNTIME", "lxc")
    with pytest.raises(RequestError, match="INTEGRAL_ODA_OSA_RUNTIME = lxc: one of apptainer, podman, docker"):
        find_installation()


def test_an_image_that_does_not_run_is_told(runtimes, tmp_path):
    first, *rest = check_osa(tmp_path)
    assert not first.found
    assert "docker pull integralsw/osa:11.2" in first.detail
    assert not any(item.found for item in rest if item.name.startswith("executable"))


def test_a_time_limit_must_be_a_time(osa, monkeypatch):
    monkeypatch.setenv("INTEGRAL_ODA_OSA_TIMEOUT", "90")
    assert find_installation().timeout_s == 90
    for value in ("soon", "-1", "nan"):
        monkeypatch.setenv("INTEGRAL_ODA_OSA_TIMEOUT", value)
        with pytest.raises(RequestError, match=f"INTEGRAL_ODA_OSA_TIMEOUT = {value}"):
            find_installation()
