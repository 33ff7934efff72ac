"""Science windows from a server with a simulated archive: whole windows in the tree, or a reason."""

from __future__ import annotations

import io
import shutil
import tarfile

import pytest
import typer
from archive_server import ArchiveServer
from astropy.io import fits
from typer.testing import CliRunner

from integral_oda.archive import fetch as fetching
from integral_oda.archive.download import Policy
from integral_oda.archive.fetch import ASIDE, fetch_files, fetch_windows
from integral_oda.archive.ic_fetch import ic_mirror, list_ic_files
from integral_oda.archive.mirrors import TarMirror, TreeMirror, open_mirror
from integral_oda.archive.pointings import read_index
from integral_oda.archive.scw import ScwId
from integral_oda.archive.tree import Archive
from integral_oda.cli.archive import archive_app, ic_app
from integral_oda.errors import OutputError, RequestError, UnavailableError
from integral_oda.simulation.recipe import read_recipe
from integral_oda.simulation.window import simulate

QUICK = Policy(attempts=2, first_wait_s=0.01, longest_wait_s=0.1, connect_s=2, stall_s=0.5)
WINDOWS = [ScwId.parse(f"0665000{n}0010") for n in (1, 2, 3)]
EVENTS = "isgri_events.fits.gz"


@pytest.fixture(autouse=True)
def _online(monkeypatch):
    monkeypatch.setenv("INTEGRAL_ODA_OFFLINE", "0")


def small_fits(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    table = fits.BinTableHDU.from_columns([fits.Column("X", "1D", array=[1.0])], name="X")
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(path)


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A tree as ISDC publishes it: more files than the steps read, revolution data of another version."""
    folder = tmp_path_factory.mktemp("published")
    (folder / "recipe.yaml").write_text("duration_s: 10\nseed: 4\ndither: {ra: 83.6, dec: 22.0, count: 3}\n")
    simulate(read_recipe(folder / "recipe.yaml"), folder / "tree")
    tree = folder / "tree"
    for window in (tree / "scw/0665").iterdir():
        small_fits(window / "ibis_hk.fits.gz")
        small_fits(window / "picsit_events.fits.gz")
    for name in (
        "scw/0665/rev.002/idx/isgri_context_index.fits",
        "scw/0665/rev.002/osm/isgri_context_20080101.fits.gz",
        "scw/0665/rev.002/raw/isgri_context_raw.fits",
        "scw/0665/rev.002/idx/spi_index.fits",
        "aux/adp/0665.001/attitude_historic.fits.gz",
        "aux/adp/0665.001/time_correlation.fits",
        "idx/ic/ISGR-MASK-MOD-IDX.fits",
        "idx/ic/ic_master_file.fits",
        "idx/ic/JMX1-IMOD-GRP-IDX.fits",
        "ic/ibis/mod/isgr_mask_mod_0003.fits",
        "ic/ibis/mod/picsit_model.fits",
        "ic/ibis/lim/isgr_gnrl_bti_0016.fits",
        "cat/hec/gnrl_refr_cat_0042.fits",
        "cat/hec/gnrl_refr_cat_0043.fits.gz",
    ):
        small_fits(tree / name)
    return tree


@pytest.fixture
def server(published):
    with ArchiveServer(published) as running:
        yield running


@pytest.fixture
def mirror(server):
    return TreeMirror("test", server.url, QUICK)


def places(root):
    return sorted(p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file() and ASIDE not in p.parts)


def get(root, mirror, engine="native", windows=WINDOWS):
    return fetch_windows(root, windows, [mirror], engine, policy=QUICK)


def test_only_the_files_that_the_steps_read(tmp_path, mirror, published):
    done = get(tmp_path, mirror)
    assert (sorted(done.fetched), done.failed) == ([str(scw) for scw in WINDOWS], {})
    own = ("ibis_hk.fits.gz", "isgri_dead.fits", EVENTS, "swg.fits")
    expected = [f"scw/0665/{scw}/{name}" for scw in WINDOWS for name in own]
    expected += ["scw/0665/rev.002/idx/isgri_context_index.fits", "scw/0665/rev.002/osm/isgri_context_20080101.fits.gz"]
    assert places(tmp_path) == sorted([*expected, "idx/integral-oda-pointings.fits"])
    for place in expected:
        assert (tmp_path / place).read_bytes() == (published / place).read_bytes()
    assert set(map(tuple, Archive(tmp_path).verify().values())) == {()}
    assert Archive(tmp_path).verify_shared() == []
    assert not (tmp_path / ASIDE).exists()
    assert len(read_index(tmp_path / "idx/integral-oda-pointings.fits")) == 3


def test_osa_needs_the_attitude_too(tmp_path, mirror):
    get(tmp_path, mirror, "osa", WINDOWS[:1])
    found = places(tmp_path)
    assert "aux/adp/0665.001/attitude_historic.fits.gz" in found
    assert not any("isgri_dead" in place for place in found)
    archive = Archive(tmp_path)
    assert archive.find_auxiliary_file(WINDOWS[0], "time_correlation.fits") is not None
    assert archive.find_revolution_file(WINDOWS[0], "idx/isgri_context_index.fits").parts[-3] == "rev.002"
    (problems,) = archive.verify("osa").values()
    assert ["isgri_prp_noise_index" in problems[0], "isgri_pxlswtch_index" in problems[1]] == [True, True]
    assert "(needed by BIN_I, BIN_S, BIN_T)" in problems[0]


def test_what_is_there_is_not_fetched_again(tmp_path, mirror, server):
    get(tmp_path, mirror)
    server.requests.clear()
    done = get(tmp_path, TreeMirror("test", server.url, QUICK))
    assert (done.fetched, sorted(done.already), done.bytes) == ([], [str(scw) for scw in WINDOWS], 0)
    assert server.gets(".fits") == server.gets(".gz") == []


def test_a_damaged_file_of_the_tree_is_replaced(tmp_path, mirror, server):
    get(tmp_path, mirror)
    events = Archive(tmp_path).events_file(WINDOWS[0])
    whole = events.read_bytes()
    events.write_bytes(whole[:1000])
    assert get(tmp_path, TreeMirror("test", server.url, QUICK)).fetched == [str(WINDOWS[0])]
    assert events.read_bytes() == whole


@pytest.mark.parametrize(
    "what", ["cut:0.5", "cut:0", "stall:0.5", "404", "503", "short", "long", "html", "swapped", "digest"]
)
def test_a_bad_events_file_leaves_no_window_and_a_reason(tmp_path, mirror, server, what):
    server.misbehave(EVENTS, *[what] * 60)
    done = get(tmp_path, mirror)
    assert done.fetched == []
    assert sorted(done.failed) == [str(scw) for scw in WINDOWS]
    assert all(reason.startswith("test: http") and "\n" not in reason for reason in done.failed.values())
    assert not any((tmp_path / "scw/0665").glob("*.001")) if (tmp_path / "scw").exists() else True
    assert Archive(tmp_path).verify() == {}
    server.plans.clear()
    assert len(get(tmp_path, TreeMirror("test", server.url, QUICK)).fetched) == 3
    assert set(map(tuple, Archive(tmp_path).verify().values())) == {()}


def test_a_bad_extra_file_does_not_hold_the_window_up(tmp_path, mirror, server):
    server.misbehave("isgri_dead.fits", *["html"] * 60)
    assert len(get(tmp_path, mirror).fetched) == 3
    assert Archive(tmp_path).find(WINDOWS[0], "isgri_dead.fits") is None
    assert set(map(tuple, Archive(tmp_path).verify().values())) == {()}


def test_a_window_that_nobody_has(tmp_path, mirror, server):
    unknown = ScwId.parse("255900280010")
    done = get(tmp_path, mirror, windows=[unknown, WINDOWS[0]])
    assert done.fetched == [str(WINDOWS[0])]
    assert done.failed == {"255900280010.001": "test: test does not have the science window 255900280010.001"}


def test_the_next_archive_is_asked(tmp_path, mirror, server):
    nobody = TreeMirror("nobody", "http://127.0.0.1:9", QUICK)
    done = fetch_windows(tmp_path, WINDOWS[:1], [nobody, mirror], policy=QUICK)
    assert (done.fetched, done.failed) == ([str(WINDOWS[0])], {})
    done = fetch_windows(tmp_path / "other", WINDOWS[:1], [nobody, nobody], policy=QUICK)
    assert done.failed[str(WINDOWS[0])].count("connection refused") == 2


def test_a_full_disk_is_told_before(tmp_path, mirror, server, monkeypatch):
    room = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(fetching.shutil, "disk_usage", lambda _: room)
    with pytest.raises(OutputError, match="no room on its disk"):
        get(tmp_path, mirror)
    assert server.gets(EVENTS) == []


def test_esa_gives_a_tar(tmp_path, published, tmp_path_factory):
    served = tmp_path_factory.mktemp("esa")
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        tar.add(published / f"scw/0665/{WINDOWS[0]}", arcname=f"isla/scw/0665/{WINDOWS[0]}")
    (served / "data").write_bytes(packed.getvalue())
    with ArchiveServer(served) as server:
        server.misbehave("data", "cut:0.4", "html", "503")
        mirror = TarMirror("esa", f"{server.url}/data")
        done = fetch_windows(tmp_path, WINDOWS[:1], [mirror], policy=Policy(4, 0.01, 0.1, 2, 0.5))
        assert done.failed == {}
        assert sorted(p.name for p in Archive(tmp_path).folder(WINDOWS[0]).iterdir()) == [
            "ibis_hk.fits.gz", "isgri_dead.fits", EVENTS, "swg.fits",
        ]  # fmt: skip
        assert fetch_windows(tmp_path, WINDOWS[:1], [mirror], policy=QUICK).already == [str(WINDOWS[0])]
        wrong = fetch_windows(tmp_path, WINDOWS[1:2], [mirror], policy=QUICK)
        assert "the tar has none of" in wrong.failed[str(WINDOWS[1])]
    assert len(Archive(tmp_path).verify()) == 1


def test_the_ic_tree(tmp_path, server):
    mirror = ic_mirror(server.url, QUICK)
    done = fetch_files(tmp_path, list_ic_files(mirror), policy=QUICK)
    assert done.failed == {}
    assert places(tmp_path) == [
        "cat/hec/gnrl_refr_cat_0043.fits.gz",
        "ic/ibis/lim/isgr_gnrl_bti_0016.fits",
        "ic/ibis/mod/isgr_mask_mod_0003.fits",
        "idx/ic/ISGR-MASK-MOD-IDX.fits",
        "idx/ic/ic_master_file.fits",
    ]
    assert len(fetch_files(tmp_path, list_ic_files(mirror), policy=QUICK).already) == 5
    assert any("picsit_model" in file.place for file in list_ic_files(mirror, "osa"))
    assert any("0042" in file.place for file in list_ic_files(mirror, catalogue="0042"))
    with pytest.raises(UnavailableError, match=r"no reference catalogue of version 0001; it has 0042, 0043"):
        list_ic_files(mirror, catalogue="0001")


@pytest.fixture
def run():
    app = typer.Typer()
    app.add_typer(archive_app, name="archive")
    app.add_typer(ic_app, name="ic")

    def run_command(*words: object) -> str:
        result = CliRunner().invoke(app, [str(word) for word in words])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == 0, result.output
        return result.stdout

    return run_command


def test_from_the_command_line(run, tmp_path, server):
    tree = tmp_path / "tree"
    words = ("archive", "fetch", WINDOWS[0], "--from", server.url, "--archive", tree)
    assert run(*words).startswith("1 science windows fetched")
    assert run(*words).endswith("1 were there already\n")
    assert run("archive", "verify", "--archive", tree) == f"{WINDOWS[0]}: whole\n"
    assert run("ic", "fetch", "--from", server.url, "--archive", tree).startswith("5 files fetched")
    with pytest.raises(UnavailableError, match=r"1 science windows could not be fetched; 255900280010\.001: http"):
        run("archive", "fetch", "255900280010", "--from", server.url, "--archive", tree)
    with pytest.raises(RequestError, match="from = nowhere: one of heasarc, isdc, esa"):
        run("archive", "fetch", WINDOWS[0], "--from", "nowhere", "--archive", tree)


def test_windows_of_a_plan_are_fetched(run, tmp_path, server, published):
    tree = tmp_path / "tree"
    run("archive", "index", "--archive", published)
    chosen = ("--source", "Crab", "--t1", 600, "--t2", 700, "--t-format", "revolution", "--max-pointings", 2)
    index = published / "idx/integral-oda-pointings.fits"
    run("archive", "fetch", *chosen, "--index", index, "--from", server.url, "--archive", tree)
    assert len(Archive(tree).windows()) == 2


def test_the_mission_is_planned_from_isdcs_index(run, tmp_path, server, published):
    folders, swids = [f"../../scw/0665/{scw}/swg.fits" for scw in WINDOWS], [scw.swid for scw in WINDOWS]
    columns = [fits.Column("MEMBER_LOCATION", "256A", array=folders), fits.Column("SWID", "12A", array=swids)]
    for name, value in (("RA_SCX", 83.6), ("DEC_SCX", 22.0), ("TSTART", 3000.0), ("TSTOP", 3000.1)):
        columns.append(fits.Column(name, "1D", array=[value] * 3))
    path = published / "idx/scw/GNRL-SCWG-GRP-IDX.fits"
    path.parent.mkdir(parents=True)
    fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU.from_columns(columns, name="GROUPING")]).writeto(path)
    tree = tmp_path / "tree"
    assert "pointings taken from" in run("archive", "index", "--from", server.url, "--archive", tree)
    chosen = ("--source", "Crab", "--t1", 665, "--t2", 665, "--t-format", "revolution", "--max-pointings", 1)
    assert f"{WINDOWS[1]}  " in run("archive", "plan", *chosen, "--archive", tree)
    run("archive", "fetch", *chosen, "--from", server.url, "--archive", tree)
    assert Archive(tree).windows() == [WINDOWS[1]]
    with pytest.raises(UnavailableError, match="no idx/scw/GNRL-SCWG-GRP-IDX"):
        run("archive", "index", "--from", f"{server.url}/aux", "--archive", tree)


def test_names_of_archives():
    assert [open_mirror(name).name for name in ("heasarc", "isdc", "esa", "http://here")] == [
        "heasarc", "isdc", "esa", "http://here",
    ]  # fmt: skip
