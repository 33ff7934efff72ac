"""The real page in a real headless Chromium, which reaches nothing but the loopback address."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from integral_widgets.heartbeat import HEARTBEAT_S
from integral_widgets.launcher import serving

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
