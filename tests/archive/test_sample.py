from __future__ import annotations

import hashlib
import io
import os
import signal
import subprocess
import sys
import tarfile
import threading
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from integral_oda.archive.sample import SAMPLE, SampleFile, fetch_sample
from integral_oda.archive.tree import Archive
from integral_oda.errors import DataError, OutputError, UnavailableError

BACKEND = """
import os
def get_requires_for_build_wheel(config_settings=None):
    return []
def prepare_metadata_for_build_wheel(folder, config_settings=None):
    name = "tinyscw-0.1.dist-info"
    os.mkdir(os.path.join(folder, name))
    with open(os.path.join(folder, name, "METADATA"), "w") as metadata:
        metadata.write("Metadata-Version: 2.1\\nName: tinyscw\\nVersion: 0.1\\n")
    return name
"""
PROJECT = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
MEMBER = "demo/data/archive/2559/255900280010.001/isgri_events.fits.gz"


def source_package(events: bytes) -> bytes:
    files = {
        "PKG-INFO": b"Metadata-Version: 2.1\nName: tinyscw\nVersion: 0.1\n",
        "pyproject.toml": PROJECT.encode(),
        "backend.py": BACKEND.encode(),
        MEMBER: events,
    }
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(f"tinyscw-0.1/{name}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


@pytest.fixture
def sample(packed_event_bytes) -> SampleFile:
    """What the small index has, described as the real sample is."""
    return replace(
        SAMPLE,
        package="tinyscw",
        version="0.1",
        size=len(packed_event_bytes),
        sha256=hashlib.sha256(packed_event_bytes).hexdigest(),
    )


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *values):
        """Keep the test's output free of requests."""


class Stalling(Quiet):
    """Sends half of the package and then nothing until the test ends."""

    reached, over = threading.Event(), threading.Event()

    def copyfile(self, source, outputfile):
        content = source.read()
        outputfile.write(content[: len(content) // 2] if self.path.endswith(".gz") else content)
        outputfile.flush()
        if self.path.endswith(".gz"):
            self.reached.set()
            self.over.wait(60)


@contextmanager
def serving(folder, handler):
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/simple/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def index_folder(tmp_path, packed_event_bytes):
    """Folder of a package index with one source package."""
    folder = tmp_path / "index"
    (folder / "simple" / "tinyscw").mkdir(parents=True)
    (folder / "simple" / "tinyscw" / "index.html").write_text('<a href="tinyscw-0.1.tar.gz">tinyscw-0.1.tar.gz</a>')
    (folder / "simple" / "tinyscw" / "tinyscw-0.1.tar.gz").write_bytes(source_package(packed_event_bytes))
    return folder


@pytest.fixture
def only_index(monkeypatch):
    """Make pip ask one index and nothing else that is configured."""

    def point_pip_at(url: str) -> None:
        for name in [name for name in os.environ if name.startswith("PIP_")]:
            monkeypatch.delenv(name)
        monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
        monkeypatch.setenv("PIP_INDEX_URL", url)
        monkeypatch.setenv("PIP_RETRIES", "0")
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")

    return point_pip_at


def left_behind(root) -> list[str]:
    return [path.name for path in root.rglob("*")] if root.exists() else []


def test_fetched_from_the_configured_index_and_then_there(tmp_path, index_folder, only_index, sample, event_bytes):
    lines: list[str] = []
    root = tmp_path / "archive"
    with serving(index_folder, Quiet) as url:
        only_index(url)
        path = fetch_sample(root, lines.append, sample)
    assert path == Archive(root).events_file("255900280010.001")
    assert hashlib.sha256(path.read_bytes()).hexdigest() == sample.sha256
    assert left_behind(root) == ["scw", "2559", "255900280010.001", "isgri_events.fits.gz"]
    assert "tinyscw==0.1" in lines[0]
    assert "is complete" in lines[-1]
    assert fetch_sample(root, lines.append, sample) == path
    assert lines[-1] == f"{path} is there already"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [({"sha256": "0" * 64}, "sha256 is"), ({"size": 5}, "bytes, 5 are expected"), ({"member": "absent.gz"}, "without")],
)
def test_a_file_that_is_not_the_sample_is_refused(tmp_path, index_folder, only_index, sample, wrong, message):
    with serving(index_folder, Quiet) as url:
        only_index(url)
        with pytest.raises(DataError, match=message) as caught:
            fetch_sample(tmp_path / "archive", sample=replace(sample, **wrong))
    assert "\n" not in str(caught.value)
    assert left_behind(tmp_path / "archive") == []


def test_a_damaged_source_package_is_no_sample(tmp_path, index_folder, only_index, sample):
    package = index_folder / "simple" / "tinyscw" / "tinyscw-0.1.tar.gz"
    package.write_bytes(package.read_bytes()[:-200])
    with serving(index_folder, Quiet) as url:
        only_index(url)
        with pytest.raises((DataError, UnavailableError)):
            fetch_sample(tmp_path / "archive", sample=sample)
    assert left_behind(tmp_path / "archive") == []


def test_other_files_of_the_window_stay_and_a_short_event_file_is_replaced(tmp_path, index_folder, only_index, sample):
    folder = tmp_path / "archive" / sample.folder
    folder.mkdir(parents=True)
    (folder / "swg.fits").write_bytes(b"kept")
    (folder / "isgri_events.fits.gz").write_bytes(b"half")
    with serving(index_folder, Quiet) as url:
        only_index(url)
        path = fetch_sample(tmp_path / "archive", sample=sample)
    assert path.stat().st_size == sample.size
    assert (folder / "swg.fits").read_bytes() == b"kept"


def test_without_a_network_one_line_says_what_to_do(tmp_path, only_index, sample):
    only_index("http://127.0.0.1:9/simple/")
    with pytest.raises(UnavailableError) as caught:
        fetch_sample(tmp_path / "archive", sample=sample)
    message = str(caught.value)
    assert "\n" not in message
    assert "tinyscw==0.1" in message
    assert "integral-oda simulate" in message
    assert str(tmp_path / "archive" / sample.folder) in message
    assert left_behind(tmp_path / "archive") == []


def test_without_pip_that_is_said(tmp_path, monkeypatch, sample):
    monkeypatch.setattr("importlib.util.find_spec", {}.get)
    with pytest.raises(UnavailableError, match="pip is not installed for "):
        fetch_sample(tmp_path / "archive", sample=sample)
    assert left_behind(tmp_path / "archive") == []


def test_an_archive_under_a_regular_file(tmp_path, sample):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be put there"):
        fetch_sample(tmp_path / "file" / "archive", sample=sample)


# A shell's background jobs and the workers of pytest-xdist ignore SIGINT, and their children would do so too.
CHILD = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from integral_oda.archive.sample import SampleFile, fetch_sample
fetch_sample(sys.argv[1], sample=SampleFile(*sys.argv[2:6], int(sys.argv[6]), *sys.argv[7:]))
"""


@pytest.mark.parametrize("signal_number", [signal.SIGKILL, signal.SIGINT])
def test_an_interrupted_download_never_looks_complete(tmp_path, index_folder, only_index, sample, signal_number):
    root = tmp_path / "archive"
    Stalling.reached.clear()
    Stalling.over.clear()
    with serving(index_folder, Stalling) as url:
        only_index(url)
        arguments = [sample.package, sample.version, sample.member, sample.folder, str(sample.size), sample.sha256, ""]
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(root), *arguments], stderr=subprocess.DEVNULL, start_new_session=True
        )
        try:
            assert Stalling.reached.wait(60)
            os.killpg(child.pid, signal_number)
            child.wait(60)
        finally:
            Stalling.over.set()
            child.kill()
            child.wait()
    assert not (root / "scw").exists()
    assert Archive(root).windows() == []
    with serving(index_folder, Quiet) as url:
        only_index(url)
        assert fetch_sample(root, sample=sample).stat().st_size == sample.size


def test_an_old_left_over_is_swept(tmp_path, index_folder, only_index, sample):
    old, new = tmp_path / "archive" / ".sample-old", tmp_path / "archive" / ".sample-new"
    old.mkdir(parents=True)
    new.mkdir()
    os.utime(old, (1e9, 1e9))
    with serving(index_folder, Quiet) as url:
        only_index(url)
        fetch_sample(tmp_path / "archive", sample=sample)
    assert not old.exists()
    assert new.exists()


def test_the_real_sample(sample_archive):
    path = Archive(sample_archive).events_file("255900280010.001")
    assert hashlib.sha256(path.read_bytes()).hexdigest() == SAMPLE.sha256
