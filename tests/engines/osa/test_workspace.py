"""One executable at a time: status, log, outputs, time limit, and a directory of one's own."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from integral_oda.engines.osa.failures import (
    FAILURES,
    MissingOutputError,
    OsaCrashError,
    OsaStatusError,
    OsaTimeoutError,
    TooManySourcesError,
)
from integral_oda.engines.osa.installation import find_installation
from integral_oda.engines.osa.table import EXECUTABLES
from integral_oda.engines.osa.workspace import LOG_FILE, OsaFiles, Workspace
from integral_oda.errors import DataError, RequestError, UnavailableError


@pytest.fixture
def work(osa, tmp_path):
    return Workspace(find_installation(), tmp_path)


def required(name):
    return {p.name: "1" for p in EXECUTABLES[name].parameters if p.default is None and p.osa in ("", "11")}


def create(work, name="og.fits"):
    return work.run("dal_create", (name,), obj_name=f"!{name}", template="GNRL-SCWG-GRP.tpl")


def test_what_it_wrote_is_given_back_and_logged(work):
    assert "Task dal_create terminating with status 0" in create(work)
    log = work.log.read_text()
    assert log.startswith("$ dal_create obj_name=!og.fits template=GNRL-SCWG-GRP.tpl mode=h\n")
    assert "terminating with status 0" in log


def test_a_stale_output_is_removed_first(work):
    (work.folder / "og.fits").write_text("old")
    (work.folder / "og.fits.gz").write_text("old")
    create(work)
    assert (work.folder / "og.fits").read_bytes().startswith(b"SIMPLE")
    assert not (work.folder / "og.fits.gz").exists()


@pytest.mark.parametrize(
    "failure", FAILURES, ids=lambda f: f"{f.executable}-{(f.texts or f.statuses or ('missing',))[0]}"
)
def test_every_known_failure_gives_its_error_and_its_advice(failure, osa, work):
    if failure.texts:
        how = "after output" if failure.at_status_0 else "status"
        osa.fail(failure.executable, text=f"Error_2: {failure.texts[0]} at line 94", how=how, status=-122201)
    elif failure.statuses:
        osa.fail(failure.executable, status=failure.statuses[0])
    else:
        osa.fail(failure.executable, how="no output")
    with pytest.raises(failure.error) as told:
        work.run(failure.executable, ("out.fits",), **required(failure.executable))
    assert failure.meaning in str(told.value)
    assert failure.advice in str(told.value)
    assert str(told.value).startswith(failure.executable)
    assert isinstance(told.value, DataError)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("status", [-121221, -122050, 3])
def test_the_status_is_that_of_the_log_not_of_the_shell(osa, work, status):
    osa.fail("ii_pif", status=status)
    with pytest.raises(OsaStatusError, match=f"ii_pif ended with status {status} "):
        work.run("ii_pif", **required("ii_pif"))


@pytest.mark.parametrize("how", ["no line", "killed"])
def test_without_the_line_of_its_status_it_has_crashed(osa, work, how):
    osa.fail("ii_pif", how=how, status=0)
    with pytest.raises(OsaCrashError, match="ii_pif ended without a status"):
        work.run("ii_pif", **required("ii_pif"))
    assert issubclass(OsaCrashError, UnavailableError)


def test_a_crash_with_a_known_trace_is_known(osa, work):
    osa.fail("ii_skyimage", how="no line", text="in MAIN__ at ii_skyimage_main.f90:94", status=139)
    with pytest.raises(TooManySourcesError):
        work.run("ii_skyimage", **required("ii_skyimage"))


def test_status_0_without_the_output_fails(osa, work):
    osa.fail("ii_pif", how="no output")
    with pytest.raises(MissingOutputError, match=r"ii_pif ended with status 0 and wrote no isgri_model\.fits"):
        work.run("ii_pif", ("isgri_model.fits",), **required("ii_pif"))


def test_a_step_that_takes_too_long_is_stopped_with_its_children(osa, tmp_path):
    osa.fail("ii_pif", how="hang")
    work = Workspace(replace(find_installation(), timeout_s=1.5), tmp_path)
    begun = time.monotonic()
    with pytest.raises(OsaTimeoutError, match=r"ii_pif was stopped: the step took longer than 1\.5 s"):
        work.run("ii_pif", **required("ii_pif"))
    assert time.monotonic() - begun < 60
    assert not _running_in(work.folder)


def _running_in(folder):
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if str((process / "cwd").readlink()).startswith(str(folder)):
                found.append(process.name)
        except OSError:
            continue
    return found


def test_the_doubles_refuse_what_pil_refuses(osa, work, doubles):
    line, variables = work.installation.command(work.folder, work.archive, ["dal_create", "obj_name=a", "mode=h"])
    assert line[0] == "dal_create"
    assert variables["PFILES"] == f"{work.folder}/pfiles;{doubles.root}/pfiles:{doubles.root}/heasoft-6.26.1/syspfiles"
    (doubles.root / "pfiles" / "dal_create.par").rename(doubles.root / "pfiles" / "hidden.par")
    try:
        with pytest.raises(OsaStatusError, match="status -3003"):
            create(work)
    finally:
        (doubles.root / "pfiles" / "hidden.par").rename(doubles.root / "pfiles" / "dal_create.par")


def test_users_parameters_replace_the_defaults(osa, tmp_path):
    work = Workspace(find_installation(), tmp_path, {"dal_create": {"template": "GNRL-OBSG-GRP.tpl"}})
    create(work)
    assert b"GNRL-OBSG-GRP" in (work.folder / "og.fits").read_bytes()


def test_inputs_are_copies_and_come_unpacked(work, tmp_path):
    import gzip

    source = tmp_path / "store[1]" / "table.fits.gz"
    source.parent.mkdir()
    source.write_bytes(gzip.compress(b"content"))
    assert work.place(source) == "table.fits"
    (work.folder / "table.fits").write_bytes(b"edited in place")
    assert gzip.decompress(source.read_bytes()) == b"content"


def test_no_path_with_brackets_reaches_an_executable(work, tmp_path):
    odd = tmp_path / "archive[old]" / "swg.fits"
    odd.parent.mkdir()
    odd.write_bytes(b"x")
    seen = work.seen(f"{odd}[GNRL-SCWG-GRP]")
    assert seen.endswith("swg.fits[GNRL-SCWG-GRP]")
    assert "archive[old]" not in seen
    assert (work.folder / seen.partition("[")[0]).read_bytes() == b"x"


def test_files_of_the_working_directory_are_named_from_there(work):
    """A container does not see them at the host's path."""
    create(work)
    assert work.seen(work.folder / "og.fits") == "og.fits"
    assert work.seen(f"{work.folder}/og.fits[GROUPING]") == "og.fits[GROUPING]"


def test_a_working_folder_with_brackets_is_refused(osa, monkeypatch, tmp_path):
    monkeypatch.setenv("INTEGRAL_ODA_OSA_WORK", str(tmp_path / "a[b]"))
    with pytest.raises(RequestError, match=r"INTEGRAL_ODA_OSA_WORK = .*a\[b\]"):
        find_installation()


def test_files_outlive_the_step_as_long_as_they_are_in_use(osa, tmp_path):
    work = Workspace(find_installation(), tmp_path)
    create(work)
    files = work.files(("og.fits",))
    folder = work.folder
    del work
    assert files.path("og.fits").is_file()
    kept = tmp_path / "kept"
    kept.mkdir()
    files.copy_to(kept)
    del files
    assert not folder.exists()
    assert OsaFiles.read(kept).names == ("og.fits", LOG_FILE)


def test_twenty_at_once_share_no_parameter_file_no_log_and_no_directory(osa, doubles, tmp_path):
    """The doubles refuse to start where another one is at the same parameter file, log or directory."""
    doubles.record()
    begin = threading.Barrier(20)

    def one(number):
        work = Workspace(find_installation(), tmp_path)
        begin.wait()
        for _ in range(2):
            create(work)
            work.run("dal_attr", indol="og.fits", keynam="REVOL", type="DAL_INT", value_i=number)
        return work

    with ThreadPoolExecutor(20) as pool:
        works = list(pool.map(one, range(20)))
    assert len({work.folder for work in works}) == 20
    for number, work in enumerate(works):
        assert f"REVOL   = {number:>20}".encode() in (work.folder / "og.fits").read_bytes()
        assert work.log.read_text().count("terminating with status 0") == 4
        assert (work.folder / "pfiles" / "dal_attr.par").is_file()
