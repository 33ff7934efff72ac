"""The real page in a real headless Chromium, which reaches nothing but the loopback address."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from integral_widgets.heartbeat import HEARTBEAT_S
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
    errors: list[str] = field(default_factory=list)

    @property
    def kernels(self):
        return [process for process in self.server.children() if "ipykernel" in " ".join(process.cmdline())]

    @property
    def results(self):
        return Path(self.server.cwd()) / "out"


def _serve(archive, store):
    with serving(archive=archive, store=store) as (url, process):
        yield App(url, psutil.Process(process.pid), archive)


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
def page(chromium, request, tmp_path):
    """An empty tab. A script error of the page fails the test; what is on it at the end is kept."""
    errors = []
    tab = chromium.new_page(viewport={"width": 1280, "height": 1000})
    tab.set_default_timeout(60_000)
    tab.on("pageerror", lambda error: errors.append(str(error)))
    yield tab
    kept = Path(os.environ.get("INTEGRAL_ODA_SCREENSHOTS") or tmp_path)
    if not tab.is_closed():
        tab.screenshot(path=kept / f"{request.node.name}.png", full_page=True)
        tab.goto("about:blank")
        tab.close()
    assert errors == []
