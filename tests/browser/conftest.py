"""The real page in a real headless Chromium, which reaches nothing but the loopback address."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from integral_oda.background import jobs_of
from integral_oda.simulation.recipe import make_recipe
from integral_oda.simulation.window import simulate
from integral_widgets.heartbeat import HEARTBEAT_S
from integral_widgets.identity import owner
from integral_widgets.launcher import serving
from integral_widgets.paths import notebooks_root

SCW = "255900280010.001"
LOOPBACK_ONLY = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"


@dataclass
class App:
    """A served page: its address, its server, and the folder of its results."""

    url: str
    server: psutil.Process
    archive: Path
    store: Path

    @property
    def kernels(self):
        return [process for process in self.server.children() if "ipykernel" in command_line(process)]

    @property
    def jobs(self):
        return jobs_of(self.store, owner())


def command_line(process):
    """Words of a process; none once it has ended, which kernels of earlier tests do at any time."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return " ".join(process.cmdline())
    return ""


def _serve(archive, store):
    with serving(archive=archive, store=store) as (url, process):
        yield App(url, psutil.Process(process.pid), archive, store)


@pytest.fixture(scope="session")
def archive(sample_archive, tmp_path_factory):
    """The real window, one that is cut short, and one that is a web page."""
    root = tmp_path_factory.mktemp("archive")
    revolution = root / "scw" / "2559"
    revolution.mkdir(parents=True)
    (revolution / SCW).symlink_to(sample_archive / "scw" / "2559" / SCW)
    with (revolution / SCW / "isgri_events.fits.gz").open("rb") as stream:
        events = stream.read(1_000_000)
    for scw, name, content in (
        ("255900290010.001", "isgri_events.fits.gz", events),
        ("255900300010.001", "isgri_events.fits", b"<html>not here</html>"),
    ):
        (revolution / scw).mkdir()
        (revolution / scw / name).write_bytes(content)
    return root


@pytest.fixture(scope="session")
def app(archive, tmp_path_factory):
    """The page on the real sample, one server for all tests."""
    yield from _serve(archive, tmp_path_factory.mktemp("store"))


PATTERN = {
    "seed": 11,
    "pointings": [{"ra": 84.6 + 2 * step, "dec": 22.0 - step} for step in range(6)],
    "duration_s": 600,
    "sources": [
        {"name": "Crab", "ra": 83.6332, "dec": 22.0145, "flux": {"value": 100, "band": [28, 80]}},
        {"name": "<img src=x onerror=alert(1)>", "ra": 88.0, "dec": 19.0, "flux": {"value": 30, "band": [28, 80]}},
    ],
    "background": {"rate": 150, "band": [28, 80]},
}


@pytest.fixture(scope="session")
def field_app(tmp_path_factory):
    """The page on six simulated windows around the Crab, and a source that no catalogue has."""
    root = tmp_path_factory.mktemp("field")
    simulate(make_recipe(PATTERN), root / "archive")
    yield from _serve(root / "archive", root / "store")


@pytest.fixture
def lab(archive, tmp_path):
    """Address of the explorer's notebook in a JupyterLab, as an analyst opens it."""
    folder = tmp_path / "lab"
    folder.mkdir()
    shutil.copy(notebooks_root() / "apps" / "explorer.ipynb", folder)
    environment = {
        **os.environ,
        "INTEGRAL_ODA_ARCHIVE": str(archive),
        "INTEGRAL_ODA_STORE": str(tmp_path / "store"),
        "JUPYTER_CONFIG_DIR": str(tmp_path / "config"),
    }
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    flags = ["--no-browser", "--allow-root", f"--port={port}", "--ServerApp.token=", f"--ServerApp.root_dir={folder}"]
    server = subprocess.Popen(
        [sys.executable, "-m", "jupyterlab", *flags], env=environment, stderr=subprocess.DEVNULL, start_new_session=True
    )
    url = f"http://127.0.0.1:{port}/lab/tree/explorer.ipynb"
    _wait_for(url, server)
    yield url
    family = psutil.Process(server.pid).children(recursive=True)
    server.terminate()
    server.wait(30)
    _, alive = psutil.wait_procs(family, timeout=10)
    for process in alive:
        process.kill()


def _wait_for(url, server):
    end = time.monotonic() + 60
    while time.monotonic() < end:
        assert server.poll() is None
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5):
            return
        time.sleep(0.2)
    pytest.fail(f"{url} does not answer")


@pytest.fixture
def empty_app(tmp_path):
    """The page where the archive holds nothing."""
    yield from _serve(tmp_path / "archive", tmp_path / "store")


@pytest.fixture
def nervous_app(archive, tmp_path, monkeypatch):
    """The page with a heart that beats twice a second."""
    monkeypatch.setenv(HEARTBEAT_S, "0.5")
    yield from _serve(archive, tmp_path / "store")


@pytest.fixture(scope="session")
def chromium():
    """Debian's Chromium."""
    from playwright.sync_api import sync_playwright

    executable = shutil.which("chromium")
    if executable is None:
        pytest.skip("Chromium is absent: install Debian's package chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox", LOOPBACK_ONLY])
        yield browser
        browser.close()


@pytest.fixture
def colours():
    """How many colours a picture has: of an empty figure a few."""
    import numpy as np
    from PIL import Image

    def count(picture):
        pixels = np.asarray(Image.open(io.BytesIO(picture)).convert("RGB"))
        return len(np.unique(pixels.reshape(-1, 3), axis=0))

    return count


@pytest.fixture
def keep(request, tmp_path):
    """Keep a picture of a whole page, in the folder that INTEGRAL_ODA_SCREENSHOTS names."""

    def picture(tab, name=""):
        kept = Path(os.environ.get("INTEGRAL_ODA_SCREENSHOTS") or tmp_path)
        kept.mkdir(parents=True, exist_ok=True)
        size = tab.viewport_size
        height = tab.evaluate("Math.max(0, ...[...document.querySelectorAll('.oda-page')].map(e => e.scrollHeight))")
        # The page scrolls inside its frame, where a picture of the whole page does not reach.
        tab.set_viewport_size({"width": size["width"], "height": max(size["height"], min(int(height) + 80, 8000))})
        tab.wait_for_timeout(400)
        tab.screenshot(path=kept / f"{request.node.name}{'-' if name else ''}{name}.png")
        tab.set_viewport_size(size)

    return picture


@pytest.fixture
def page(chromium, keep):
    """An empty tab. A script error of the page fails the test; what is on it at the end is kept."""
    errors = []
    tab = chromium.new_page(viewport={"width": 1280, "height": 1000})
    tab.set_default_timeout(60_000)
    tab.on("pageerror", lambda error: errors.append(str(error)))
    yield tab
    if not tab.is_closed():
        keep(tab)
        tab.goto("about:blank")
        tab.close()
    assert errors == []
