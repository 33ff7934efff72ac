"""The wheel alone, in an empty environment and away from the checkout, runs an image and the page."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import zipfile
from pathlib import Path

import psutil
import pytest

CHECKOUT = Path(__file__).parent.parent
SAMPLE_WINDOW = "255900280010.001"
PAGE_S = 120

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(CHECKOUT)]
    subprocess.run(command, check=True, capture_output=True)
    (path,) = out.glob("integral_oda-*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel):
    """Folder of the executables of an environment that holds the wheel and what it depends on, nothing else."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        binaries = Path(folder, "bin")
        pip = [binaries / "python", "-m", "pip", "--disable-pip-version-check"]
        subprocess.run([*pip, "install", "--quiet", "--no-compile", wheel], check=True, env=_clean_environment())
        yield binaries


@pytest.fixture
def away(tmp_path):
    """Folder and environment of a user who has no checkout, no settings and no products yet."""
    home = {name: str(tmp_path / name) for name in ("HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME")}
    return {"cwd": tmp_path, "env": {**_clean_environment(), **home}}


def _clean_environment():
    ours = ("PYTHON", "VIRTUAL_ENV", "JUPYTER", "INTEGRAL_ODA")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


def test_the_wheel_holds_notebooks_and_tables(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    notebooks = {path.relative_to(CHECKOUT).as_posix() for path in (CHECKOUT / "notebooks").rglob("*.ipynb")}
    notebooks = {name for name in notebooks if ".ipynb_checkpoints" not in name}
    assert {"notebooks/apps/explorer.ipynb", "notebooks/benchmarks/sgr1935.ipynb"} <= notebooks
    assert {f"integral_widgets/{name}" for name in notebooks} <= names
    assert "integral_oda/catalog/data/reference_catalogue.ecsv" in names
    assert "integral_oda/py.typed" in names
    assert {name.split("/")[0].partition("-")[0] for name in names} == {"integral_oda", "integral_widgets"}


def test_nothing_comes_from_the_checkout(installed, away):
    code = (
        "import integral_oda, integral_widgets; from integral_widgets.paths import notebooks_root; "
        "print(integral_oda.__file__, integral_widgets.__file__, notebooks_root(), sep='\\n')"
    )
    done = subprocess.run([installed / "python", "-c", code], check=True, capture_output=True, text=True, **away)
    for place in done.stdout.splitlines():
        assert Path(place).is_relative_to(installed.parent.resolve())


def test_an_image(installed, away, sample_archive):
    out = away["cwd"] / "image"
    command = [installed / "integral-oda", "image", "--scw-list", SAMPLE_WINDOW, "--e1", "28", "--e2", "80"]
    done = subprocess.run(
        [*command, "--out", out, "--archive", sample_archive], capture_output=True, text=True, check=False, **away
    )
    assert done.returncode == 0, done.stderr
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    assert summary["science_windows"]["used"] == [SAMPLE_WINDOW]
    assert "SGR 1935+2154" in {source["name"] for source in summary["sources"]}
    assert {"mosaic.fits", "catalog.fits", "catalog.reg", "image.png"} <= {path.name for path in out.iterdir()}


def test_the_page_comes_and_goes(installed, away, sample_archive):
    port = _free_port()
    command = [installed / "integral-oda", "app", "--port", str(port), "--no-browser", "--archive", sample_archive]
    log = away["cwd"] / "app.log"
    with log.open("wb") as output:
        app = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True, **away)
    try:
        page = _wait_for_page(f"http://127.0.0.1:{port}/", app, log)
        assert "error when executing cell" not in page
        family = [psutil.Process(app.pid), *psutil.Process(app.pid).children(recursive=True)]
        os.killpg(app.pid, signal.SIGINT)
        _, alive = psutil.wait_procs(family, timeout=30)
        assert not alive
    finally:
        if app.poll() is None:
            os.killpg(app.pid, signal.SIGKILL)
        app.wait()


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _wait_for_page(url, app, log):
    give_up = time.monotonic() + PAGE_S
    while time.monotonic() < give_up and app.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=PAGE_S) as answer:
                assert answer.status == 200
                return answer.read().decode("utf-8")
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.2)
    pytest.fail(f"no page at {url}:\n{log.read_text(encoding='utf-8', errors='replace')}")
