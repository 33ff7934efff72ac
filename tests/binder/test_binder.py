"""What Binder builds from ``binder/``: in an empty environment it shows the page and runs a benchmark within 1 GB."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
import urllib.request
from pathlib import Path
from urllib.parse import urljoin

import psutil
import pytest

from integral_oda import __version__

CHECKOUT = Path(__file__).parent.parent.parent
BINDER = CHECKOUT / "binder"
SCW = "255900280010.001"
MOST_BYTES = 1_000_000_000
ANSWER_S = 120


@pytest.fixture(scope="module")
def badges():
    spec = importlib.util.spec_from_file_location("badges", BINDER / "badges.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def pins():
    lines = (BINDER / "requirements.txt").read_text(encoding="utf-8").splitlines()
    return dict(line.split("==") for line in lines if line and not line.startswith("#"))


def plain(name):
    return re.sub(r"[-_.]+", "-", re.split(r"[\[<>=~!; ]", name)[0]).lower()


def test_everything_that_the_package_needs_is_pinned():
    with (CHECKOUT / "pyproject.toml").open("rb") as stream:
        needed = tomllib.load(stream)["project"]["dependencies"]
    assert {plain(item) for item in needed} <= {plain(name) for name in pins()}


def test_files_that_binder_runs_are_executable():
    for name in ("postBuild", "start"):
        assert os.access(BINDER / name, os.X_OK)
    assert re.fullmatch(r"python-3\.\d+\n", (BINDER / "runtime.txt").read_text(encoding="utf-8"))
    assert (BINDER / "start").read_text(encoding="utf-8").rstrip().endswith('exec "$@"')


@pytest.mark.parametrize("name", ["README.md", "CITATION.cff"])
def test_addresses_follow_from_the_one_in_pyproject(badges, name):
    text = (CHECKOUT / name).read_text(encoding="utf-8")
    assert badges.repository() in text or "mybinder.org" in text
    assert badges.renewed(name, text, badges.repository(), badges.version()) == text


def test_badges_are_pinned_to_the_tag_of_the_version_and_open_what_is_there(badges):
    text = (CHECKOUT / "README.md").read_text(encoding="utf-8")
    found = re.findall(r"https://mybinder\.org/v2/gh/[^/]+/[^/]+/([^?/]+)\?urlpath=([^)\s]+)\)", text)
    assert {tag for tag, _ in found} == {f"v{__version__}"}
    assert [path for _, path in found] == [badges.quote(path, safe="") for path in (badges.PAGE, badges.TUTORIAL)]
    for path in (badges.PAGE, badges.TUTORIAL):
        assert (CHECKOUT / "notebooks" / path.partition("/notebooks/")[2]).is_file()


@pytest.mark.parametrize(
    ("address", "start"),
    [
        ("https://github.com/a/b", "https://mybinder.org/v2/gh/a/b/v1?urlpath=lab%2Ftree"),
        ("https://github.com/a/b.git", "https://mybinder.org/v2/gh/a/b/v1?urlpath=lab%2Ftree"),
        ("https://gitlab.com/a/b", "https://mybinder.org/v2/gl/a%2Fb/v1?urlpath=lab%2Ftree"),
    ],
)
def test_address_of_binder(badges, address, start):
    assert badges.binder_address(address, "v1", "lab/tree") == start


def test_an_address_that_binder_does_not_know_is_refused(badges):
    with pytest.raises(ValueError, match=r"example\.org"):
        badges.binder_address("https://example.org/a/b", "v1", "lab")


@pytest.fixture(scope="module")
def image():
    """Checkout, executables and environment variables as in a built image: requirements.txt, then postBuild."""
    with tempfile.TemporaryDirectory() as folder:
        root, venv, home = (Path(folder, name) for name in ("checkout", "venv", "home"))
        ignore = shutil.ignore_patterns(".*", "out", "build", "dist", "__pycache__", "tests")
        shutil.copytree(CHECKOUT, root, ignore=ignore)
        home.mkdir()
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
        ours = ("PYTHON", "VIRTUAL_ENV", "JUPYTER", "INTEGRAL_ODA", "XDG_")
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        environment = {**inherited, "HOME": str(home), "PATH": f"{venv / 'bin'}:{os.environ['PATH']}"}
        pip = [venv / "bin" / "python", "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
        requirements = root / "binder" / "requirements.txt"
        subprocess.run([*pip, "--no-compile", "-r", requirements], check=True, env=environment)
        subprocess.run([root / "binder" / "postBuild"], check=True, cwd=root, env=environment)
        yield {"cwd": root, "env": environment}


@pytest.mark.slow
def test_the_pins_fit_together(image):
    done = subprocess.run(["python", "-m", "pip", "check"], capture_output=True, text=True, check=False, **image)
    assert done.returncode == 0, done.stdout


@pytest.mark.slow
def test_the_sample_is_in_the_image(image):
    done = subprocess.run(["integral-oda", "archive", "list"], capture_output=True, text=True, check=True, **image)
    assert SCW in done.stdout


class Memory:
    """Peak of the resident memory of everything that runs from a folder, sampled all the time.

    Jobs that have left their parents are in it. A page that processes share counts for each (RSS), which is more than a
    container's limit counts.
    """

    def __init__(self, folder):
        self.folder = str(folder)
        self.peak = 0
        self.at_peak = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()

    def _watch(self):
        while not self._over.wait(0.1):
            found = {}
            for process in psutil.process_iter(["cmdline"]):
                words = process.info["cmdline"] or []
                if any(word.startswith(self.folder) for word in words[:2]):
                    with contextlib.suppress(psutil.Error):
                        found[f"{process.pid} {' '.join(words[1:4])}"] = process.memory_info().rss
            if sum(found.values()) > self.peak:
                self.peak, self.at_peak = sum(found.values()), found


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _answer(url, server):
    give_up = time.monotonic() + ANSWER_S
    while time.monotonic() < give_up and server.poll() is None:
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=ANSWER_S) as answer:
            return answer.read().decode("utf-8")
        time.sleep(0.2)
    pytest.fail(f"{url} does not answer")


@contextlib.contextmanager
def _server(image):
    """JupyterLab as Binder starts it: `binder/start` in the checkout with the server's command."""
    port = _free_port()
    flags = ["--no-browser", "--allow-root", f"--ServerApp.port={port}", "--IdentityProvider.token="]
    command = [image["cwd"] / "binder" / "start", "jupyter", "lab", *flags]
    server = subprocess.Popen(command, start_new_session=True, stderr=subprocess.DEVNULL, **image)
    family = []
    try:
        yield f"http://127.0.0.1:{port}", server
        family = psutil.Process(server.pid).children(recursive=True)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGTERM)
        server.wait(30)
        for process in psutil.wait_procs(family, timeout=10)[1]:
            process.kill()


@pytest.fixture
def tab():
    """Tab of a real browser, which is no part of what Binder runs."""
    from playwright.sync_api import sync_playwright

    executable = shutil.which("chromium")
    if executable is None:
        pytest.skip("Chromium is absent: install Debian's package chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        page = browser.new_page()
        page.set_default_timeout(ANSWER_S * 1000)
        yield page
        browser.close()


@pytest.mark.slow
@pytest.mark.browser
def test_the_page_and_a_benchmark_stay_below_a_gigabyte(image, tab, badges, tmp_path):
    with Memory(image["cwd"].parent) as memory, _server(image) as (url, server):
        assert "JupyterLab" in _answer(f"{url}/{badges.TUTORIAL}", server)
        tab.goto(f"{url}/{badges.PAGE}")
        tab.get_by_role("button", name="Image, light curve, spectrum").click()
        tab.locator(".oda-elapsed", has_text=re.compile("Done in|Failed after")).wait_for()
        assert "Done in" in tab.locator(".oda-elapsed").inner_text()
        assert tab.locator(".oda-sources td", has_text="SGR 1935+2154").count()
        link = tab.locator(".oda-downloads a[href*='mosaic.fits']").first.get_attribute("href")
        with urllib.request.urlopen(urljoin(url, link), timeout=ANSWER_S) as file:
            assert file.read(6) == b"SIMPLE"
        start = image["cwd"] / "binder" / "start"  # a terminal's commands have the server's environment
        command = [start, "integral-oda", "benchmark", "run", "sgr1935", "--out", tmp_path / "reports"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, **image)
        assert done.returncode == 0, done.stderr
    verdicts = json.loads((tmp_path / "reports" / "sgr1935" / "verdict.json").read_text(encoding="utf-8"))["verdicts"]
    assert verdicts
    print(f"peak {memory.peak / 1e6:.0f} MB")  # noqa: T201
    assert memory.peak < MOST_BYTES, "\n".join(f"{size / 1e6:.0f} MB {name}" for name, size in memory.at_peak.items())
