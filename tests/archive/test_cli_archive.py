from __future__ import annotations

import json

import pytest
import typer
from typer.testing import CliRunner

from integral_oda.archive.tree import Archive
from integral_oda.cli.archive import archive_app, simulate_command
from integral_oda.errors import DataError, RequestError

SCW = "255900280010.001"


@pytest.fixture
def run():
    """Run a command; errors come out as they are raised."""
    app = typer.Typer()
    app.add_typer(archive_app, name="archive")
    app.command("simulate")(simulate_command)

    def run_command(*words: object) -> str:
        result = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=True)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == 0, result.output
        return result.stdout

    return run_command


def test_list_and_verify(run, tmp_path, packed_event_bytes):
    folder = tmp_path / "scw" / "2559" / SCW
    folder.mkdir(parents=True)
    (folder / "isgri_events.fits.gz").write_bytes(packed_event_bytes)
    assert run("archive", "list", "--archive", tmp_path) == f"{SCW}\n"
    assert run("archive", "verify", "--archive", tmp_path) == f"{SCW}: whole\n"
    (folder / "isgri_events.fits.gz").write_bytes(packed_event_bytes[:1000])
    with pytest.raises(DataError, match=r"1 of 1 science windows in .* are damaged"):
        run("archive", "verify", "--archive", tmp_path)


def test_an_empty_archive_lists_nothing(run, tmp_path, monkeypatch):
    monkeypatch.setenv("INTEGRAL_ODA_ARCHIVE", str(tmp_path / "none"))
    assert run("archive", "list") == ""
    assert run("archive", "verify") == ""


def test_sample_prints_the_path_last(run, sample_archive):
    lines = run("archive", "sample", "--archive", sample_archive).splitlines()
    assert lines[-1] == str(Archive(sample_archive).events_file(SCW))


def test_simulate_writes_an_archive_and_prints_its_windows(run, tmp_path):
    (tmp_path / "recipe.yaml").write_text("duration_s: 10\ndither: {ra: 10, dec: 20, count: 2}\n")
    lines = run("simulate", tmp_path / "recipe.yaml", "--out", tmp_path / "out").splitlines()
    assert lines[-2:] == ["066500010010.001", "066500020010.001"]
    assert lines[-2:] == [str(scw) for scw in Archive(tmp_path / "out").windows()]
    assert (tmp_path / "out" / "truth.json").is_file()


def test_simulate_refuses_a_bad_recipe(run, tmp_path):
    (tmp_path / "recipe.yaml").write_text("duration_s: -10\n")
    with pytest.raises(RequestError, match="duration_s = -10"):
        run("simulate", tmp_path / "recipe.yaml", "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_index_and_plan(run, tmp_path):
    (tmp_path / "recipe.yaml").write_text("duration_s: 10\ndither: {ra: 83.6, dec: 22, count: 4}\n")
    run("simulate", tmp_path / "recipe.yaml", "--out", tmp_path / "a")
    words = ("--archive", tmp_path / "a")
    assert run("archive", "index", *words).endswith("4 science windows, 4 read now, 0 gone\n")
    assert run("archive", "index", *words).endswith("4 science windows, 0 read now, 0 gone\n")
    asked = ("--source", "Crab", "--t1", 665, "--t2", 665, "--t-format", "revolution", "--max-pointings", 2, *words)
    lines = run("archive", "plan", *asked, "--out", tmp_path / "out").splitlines()
    assert len(lines) == 5
    assert lines[-1].startswith("2 of 4 science windows are taken: 0.0 ks, exposure of Crab")
    plan = json.loads(run("archive", "plan", *asked, "--json"))
    assert plan == json.loads((tmp_path / "out" / "plan.json").read_text())
    assert [window["chosen"] for window in plan["windows"]] == [False, True, False, True]
    assert (tmp_path / "out" / "plan.png").read_bytes().startswith(b"\x89PNG")


def test_verify_for_an_engine(run, tmp_path):
    (tmp_path / "recipe.yaml").write_text("duration_s: 10\ndither: {ra: 83.6, dec: 22, count: 1}\n")
    run("simulate", tmp_path / "recipe.yaml", "--out", tmp_path)
    assert run("archive", "verify", "--archive", tmp_path).endswith(": whole\n")
    with pytest.raises(DataError, match="1 of 1 science windows"):
        run("archive", "verify", "--engine", "osa", "--archive", tmp_path)
    with pytest.raises(RequestError, match="engine = idl: native or osa"):
        run("archive", "verify", "--engine", "idl", "--archive", tmp_path)
    (tmp_path / "aux").mkdir()
    (tmp_path / "aux" / "time_correlation.fits").write_bytes(b"<html>")
    with pytest.raises(DataError, match="0 of 1 science windows and 1 shared files"):
        run("archive", "verify", "--archive", tmp_path)


@pytest.mark.parametrize("values", [(), ("--source", "Crab"), ("--source", "Crab", "--t1", "2020-01-01")])
def test_a_plan_of_nothing_is_a_bad_request(run, tmp_path, values):
    with pytest.raises(RequestError):
        run("archive", "plan", *values, "--archive", tmp_path)
