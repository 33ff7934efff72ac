"""Downloads from a server that misbehaves: the right file or one clear error, and never part of a file."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest
from archive_server import ArchiveServer

from integral_oda.archive.download import AbsentError, Policy, download, get_text, remote_size
from integral_oda.errors import DataError, UnavailableError

NAME = "isgri_events.fits.gz"
QUICK = Policy(attempts=3, first_wait_s=0.01, longest_wait_s=0.2, connect_s=2, stall_s=0.5)


@pytest.fixture(autouse=True)
def _online(monkeypatch):
    monkeypatch.setenv("INTEGRAL_ODA_OFFLINE", "0")


@pytest.fixture
def server(tmp_path, packed_event_bytes):
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / NAME).write_bytes(packed_event_bytes)
    with ArchiveServer(tmp_path / "served") as running:
        yield running


@pytest.fixture
def fetch(server, tmp_path):
    def get():
        return download(f"{server.url}/{NAME}", tmp_path / "tree" / NAME, tmp_path / "parts", QUICK)

    return get


def test_a_file_arrives_as_it_is(fetch, packed_event_bytes, tmp_path):
    assert fetch().read_bytes() == packed_event_bytes
    assert list((tmp_path / "parts").iterdir()) == []


@pytest.mark.parametrize(
    "what",
    [
        ["cut:0.3"],
        ["cut:0"],
        [f"cut:{n / 10}" for n in (1, 2, 3, 4, 5, 6, 7, 8, 9)],
        ["stall:0.4"],
        ["503"],
        ["503:1"],
        ["short"],
        ["long"],
        ["html"],
        ["html", "cut:0.5", "503"],
        ["cut:0.5", "no-range"],
        ["cut:0.5", "wrong-range"],
        ["cut:0.5", "html"],
        ["swapped"],
        ["digest"],
        ["cut:0.6", "404"],
    ],
    ids=lambda what: "+".join(what[:3]),
)
def test_what_passes_ends_in_the_right_file(server, fetch, packed_event_bytes, tmp_path, what):
    server.misbehave(NAME, *what)
    if "404" in what:
        with pytest.raises(AbsentError):
            fetch()
        assert not (tmp_path / "tree" / NAME).exists()
    assert fetch().read_bytes() == packed_event_bytes
    assert list((tmp_path / "tree").iterdir()) == [tmp_path / "tree" / NAME]


@pytest.mark.parametrize(
    ("what", "kind", "named"),
    [
        ("cut:0", UnavailableError, "given up after 3 attempts"),
        ("stall:0", UnavailableError, "the server stalls"),
        ("404", AbsentError, "not there (HTTP 404)"),
        ("503", UnavailableError, "HTTP 503; given up after 3 attempts"),
        ("short", DataError, "truncated or damaged gzip"),
        ("html", DataError, "no FITS file, it begins with b'<html>"),
        ("swapped", DataError, "gzip"),
        ("digest", DataError, "sha256 is "),
    ],
)
def test_what_stays_is_one_clear_error(server, fetch, tmp_path, what, kind, named):
    server.misbehave(NAME, *[what] * 20)
    with pytest.raises(kind) as caught:
        fetch()
    assert named in str(caught.value)
    assert str(caught.value).startswith(server.url)
    assert "\n" not in str(caught.value)
    assert not any((tmp_path / "tree").iterdir())


def test_a_length_that_is_never_reached(server, fetch, tmp_path):
    server.misbehave(NAME, *["long"] * 20)
    with pytest.raises(UnavailableError, match="given up"):
        fetch()
    assert not any((tmp_path / "tree").iterdir())


def test_what_has_come_is_not_asked_for_again(server, fetch, packed_event_bytes):
    server.misbehave(NAME, "cut:0.5", "cut:0.5")
    fetch()
    ranges = server.gets(NAME)
    assert ranges[0] == ""
    assert [r.startswith("bytes=") for r in ranges[1:]] == [True, True]
    assert server.sent[NAME] == len(packed_event_bytes)


def test_a_file_that_changed_meanwhile_is_begun_anew(server, fetch, tmp_path, event_bytes):
    server.misbehave(NAME, "cut:0.5", "503", "503", "503")
    with pytest.raises(UnavailableError):
        fetch()
    (tmp_path / "served" / NAME).write_bytes(event_bytes)
    assert fetch().read_bytes() == event_bytes


def test_without_a_mark_of_the_version_nothing_is_put_together(server, fetch, packed_event_bytes):
    server.etags = False
    server.misbehave(NAME, "cut:0.5")
    assert fetch().read_bytes() == packed_event_bytes
    assert server.gets(NAME) == ["", ""]


def test_published_checksums_are_compared(server, fetch, packed_event_bytes):
    server.digests = True
    server.misbehave(NAME, "cut:0.5")
    assert fetch().read_bytes() == packed_event_bytes


def test_listing_and_size(server, packed_event_bytes):
    assert NAME in get_text(f"{server.url}/", QUICK)
    assert remote_size(f"{server.url}/{NAME}", QUICK) == len(packed_event_bytes)
    with pytest.raises(AbsentError):
        remote_size(f"{server.url}/none", QUICK)


def test_nobody_listens(tmp_path):
    with pytest.raises(UnavailableError, match="cannot be reached \\(connection refused\\)"):
        download("http://127.0.0.1:9/x.fits", tmp_path / "x", tmp_path / "parts", QUICK)


def test_offline_asks_nobody(server, fetch, monkeypatch):
    monkeypatch.setenv("INTEGRAL_ODA_OFFLINE", "1")
    with pytest.raises(UnavailableError, match="INTEGRAL_ODA_OFFLINE"):
        fetch()
    assert server.requests == []


CHILD = """
import sys
from pathlib import Path
from integral_oda.archive.download import Policy, download
url, folder = sys.argv[1], Path(sys.argv[2])
download(url, folder / "tree" / "isgri_events.fits.gz", folder / "parts", Policy(attempts=3, first_wait_s=0.01))
"""


TOGETHER = """
import os, sys, time
from pathlib import Path
import integral_oda.archive.download
folder = Path(sys.argv[2])
(folder / f"ready-{os.getpid()}").touch()
while len(list(folder.glob("ready-*"))) < 2:
    time.sleep(0.01)
"""


def test_killed_at_every_tenth_and_resumed(tmp_path, to_bytes, make_events):
    """A process that is killed leaves no file in the tree; the next one goes on where it was."""
    content = to_bytes(make_events(40_000))
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / NAME).write_bytes(content)
    with ArchiveServer(tmp_path / "served") as server:
        server.rate = len(content) / 3
        for tenth in range(1, 10):
            child = subprocess.Popen([sys.executable, "-c", CHILD, f"{server.url}/{NAME}", str(tmp_path)])
            enough = tenth / 10 * len(content)
            _wait_until(lambda n=tenth, b=enough: len(server.gets(NAME)) == n and _received(tmp_path) >= b, child)
            child.send_signal(signal.SIGKILL)
            child.wait()
            assert not any((tmp_path / "tree").iterdir())
        server.rate = None
        done = subprocess.run([sys.executable, "-c", CHILD, f"{server.url}/{NAME}", str(tmp_path)], check=False)
    assert done.returncode == 0
    assert (tmp_path / "tree" / NAME).read_bytes() == content
    assert len(server.gets(NAME)) == 10
    assert all(ranged.startswith("bytes=") for ranged in server.gets(NAME)[1:])


def _received(folder) -> int:
    return sum(part.stat().st_size for part in (folder / "parts").glob("*.part"))


def _wait_until(true, child) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert child.poll() is None, "the download ended before it was killed"
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_two_processes_at_one_file(server, tmp_path, packed_event_bytes):
    server.rate = len(packed_event_bytes) / 1.0
    command = [sys.executable, "-c", TOGETHER + CHILD, f"{server.url}/{NAME}", str(tmp_path)]
    both = [subprocess.Popen(command, env={**os.environ}) for _ in range(2)]
    assert [child.wait(60) for child in both] == [0, 0]
    assert (tmp_path / "tree" / NAME).read_bytes() == packed_event_bytes
    assert len(server.gets(NAME)) == 1
