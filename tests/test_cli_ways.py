"""The ways in which the command line carries a query out: on a cluster, in the background, as a crate, as a plan."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from integral_oda.analysis import analyse, plan_query, result_so_far
from integral_oda.background import find, submit
from integral_oda.query import ImageQuery
from integral_oda.simulation.recipe import make_recipe
from integral_oda.simulation.window import simulate

BAND = (28.0, 80.0)
RECIPE = {
    "seed": 8,
    "pointings": [{"ra": 84.6, "dec": 22.0}, {"ra": 85.6, "dec": 23.0}],
    "duration_s": 120,
    "sources": [{"name": "Crab", "ra": 83.6332, "dec": 22.0145, "flux": {"value": 100, "band": BAND}}],
    "background": {"rate": 150, "band": BAND},
}
PRODUCTS = ("mosaic.fits", "catalog.fits", "image.png", "catalog.reg")


@pytest.fixture(scope="module")
def windows(tmp_path_factory):
    root = tmp_path_factory.mktemp("archive")
    return root, [str(scw) for scw in simulate(make_recipe(RECIPE), root)]


@pytest.fixture(scope="module")
def query(windows):
    return ImageQuery(scw_list=windows[1], bands=(BAND,))


@pytest.fixture(scope="module")
def plain(windows, query, tmp_path_factory):
    """The product as this process makes it: its folder, and the store."""
    root = tmp_path_factory.mktemp("plain")
    analyse(query, windows[0], root / "store").write(root / "out")
    return root / "out", root / "store"


def command(*words):
    environment = {key: value for key, value in os.environ.items() if not key.startswith("INTEGRAL_ODA_")}
    return subprocess.run(
        [sys.executable, "-m", "integral_oda", *map(str, words)],
        capture_output=True, text=True, env=environment, timeout=120, check=False,
    )  # fmt: skip


def image(windows, store, out, *words):
    asked = ("--scw-list", ",".join(windows[1]), "--e1", 28, "--e2", 80)
    return command("image", *asked, "--archive", windows[0], "--store", store, "--out", out, *words)


def assert_same(out, plain):
    for name in PRODUCTS:
        assert (out / name).read_bytes() == (plain[0] / name).read_bytes(), name


def test_two_processes_make_what_one_makes(windows, plain, tmp_path):
    result = image(windows, tmp_path / "store", tmp_path / "out", "--jobs", 2, "--json")
    assert (result.returncode, result.stderr) == (0, "")
    assert json.loads(result.stdout)["nodes"]["computed"] > 10
    assert_same(tmp_path / "out", plain)


def test_so_does_the_cluster_of_a_scheduler(windows, plain, tmp_path):
    from distributed import LocalCluster

    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster:
        words = ("--scheduler", cluster.scheduler_address)
        result = image(windows, tmp_path / "store", tmp_path / "out", *words)
    assert (result.returncode, result.stderr) == (0, "")
    assert_same(tmp_path / "out", plain)


@pytest.mark.parametrize(
    ("words", "status", "named"),
    [
        (("--jobs", 0), 2, "jobs = 0: at least 1"),
        (("--jobs", 2, "--scheduler", "tcp://127.0.0.1:1"), 2, "give one of the two"),
        (("--scheduler", "nonsense://here"), 2, "scheduler = nonsense://here: "),
    ],
)
def test_a_cluster_that_makes_no_sense_is_one_line(windows, tmp_path, words, status, named):
    result = image(windows, tmp_path / "store", tmp_path / "out", *words)
    assert (result.returncode, len(result.stderr.splitlines())) == (status, 1), result.stderr
    assert named in result.stderr
    assert not (tmp_path / "out").exists()


def test_a_detached_query_is_found_waited_for_and_as_asked(windows, query, plain, tmp_path):
    store = tmp_path / "store"
    result = image(windows, store, tmp_path / "out", "--detach", "--crate")
    assert (result.returncode, result.stderr) == (0, "")
    name = result.stdout.strip()
    assert find(query, windows[0], store, crate=True).id == name
    assert find(query, windows[0], store) is None
    assert name in command("jobs", "list", "--store", store).stdout
    waited = command("jobs", "wait", name, "--store", store)
    assert (waited.returncode, waited.stderr) == (0, "")
    assert_same(tmp_path / "out", plain)
    again = command(
        "rerun", tmp_path / "out", "--archive", windows[0], "--store", plain[1], "--out", tmp_path / "again"
    )
    assert (again.returncode, again.stderr) == (0, "")
    assert_same(tmp_path / "again", plain)


def test_the_page_and_the_command_line_share_a_job(windows, query, tmp_path):
    store = tmp_path / "store"
    first = submit(query, windows[0], store)
    words = image(windows, store, tmp_path / "out", "--detach").stdout.strip()
    assert words == first.id
    state = first.wait(120)
    assert (state.status, state.asked) == ("done", 2)
    assert (tmp_path / "out" / "mosaic.fits").is_file()
    assert submit(query, windows[0], store, owner="ada").wait(120).owner == "ada"


def test_the_mosaic_so_far_is_that_of_the_windows_that_are_done(windows, query, plain, tmp_path):
    store = tmp_path / "store"
    assert result_so_far(query, windows[0], store) is None
    one = ImageQuery(scw_list=windows[1][:1], bands=(BAND,))
    image_of_one = analyse(one, windows[0], store).images[0]
    so_far = result_so_far(query, windows[0], store)
    assert (so_far.windows, so_far.asked) == ((windows[1][0],), 2)
    assert so_far.value.images[0].intensity.tobytes() == image_of_one.intensity.tobytes()
    whole = result_so_far(query, windows[0], plain[1])
    assert whole.windows == tuple(windows[1])


def test_a_plan_is_text_and_draws_itself_in_a_notebook(windows, query, plain, tmp_path):
    shown = image(windows, plain[1], tmp_path / "out", "--dry-run")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout.splitlines()[-1].startswith("= 1 stored")
    assert not (tmp_path / "out").exists()
    plan = plan_query(query, windows[0], tmp_path / "store")
    assert plan._repr_markdown_().startswith("```mermaid\nflowchart LR")
    assert "PACK_IMAGE" in plan._repr_markdown_()
