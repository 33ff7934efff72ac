"""The page's server: its settings, its refusals, its end."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import psutil
import pytest

from integral_oda.errors import RequestError
from integral_widgets.launcher import launch, server_settings, serving, voila_settings


def test_settings_end_idle_kernels_and_allow_large_uploads():
    settings = voila_settings()
    assert settings["MappingKernelManager"]["cull_idle_timeout"] > 0
    assert settings["Voila"]["tornado_settings"]["disable_check_xsrf"] is True
    assert settings["Voila"]["tornado_settings"]["websocket_max_message_size"] >= 200e6


def test_a_jupyter_server_is_given_the_settings_of_the_page():
    server, page = server_settings(), voila_settings()
    assert server["ServerApp"]["disable_check_xsrf"] is True
    assert server["VoilaConfiguration"] == page["VoilaConfiguration"]


@pytest.mark.parametrize(
    ("path", "served"),
    [
        ("out/ab12/1/image/mosaic.fits", True),
        ("out/ab12/1/lc.fits.gz", True),
        ("explorer.ipynb", False),
        ("voila.json", False),
        ("mosaic.fits", False),
        ("out/ab12/worker.log", False),
    ],
)
def test_only_results_are_served(path, served):
    rules = voila_settings()["VoilaConfiguration"]["file_allowlist"]
    assert any(re.fullmatch(rule, path, re.IGNORECASE) for rule in rules) == served


def test_a_taken_port_is_refused_in_one_sentence():
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        with pytest.raises(RequestError, match=f"port = {port}: a free TCP port"):
            launch(port=port, browser=False)


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_what_is_no_port_is_refused(port):
    with pytest.raises(RequestError, match="between 1 and 65535"):
        launch(port=port, browser=False)


def status(url):
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            return answer.status
    except urllib.error.HTTPError as exc:
        return exc.code


@pytest.mark.slow
def test_files_outside_the_results_are_not_given_away_and_nothing_remains(tmp_path):
    with serving(archive=tmp_path / "archive", store=tmp_path / "store") as (url, process):
        served = Path(psutil.Process(process.pid).cwd())
        for name in ("explorer.ipynb", "voila.json", "../../../etc/passwd", "%2e%2e/%2e%2e/etc/passwd"):
            assert status(f"{url}voila/files/{name}") in (403, 404)
        result = served / "out" / "x" / "a.fits"
        result.parent.mkdir()
        result.write_bytes(b"SIMPLE")
        assert status(f"{url}voila/files/out/x/a.fits") == 200
        listening = {c.laddr.ip for c in psutil.Process(process.pid).net_connections() if c.status == "LISTEN"}
        assert listening == {"127.0.0.1"}
    assert process.returncode is not None
    assert not served.exists()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_server_and_kernels(tmp_path, number):
    program = "import sys; from integral_widgets.launcher import launch; launch(browser=False)"
    environment = {**os.environ, "INTEGRAL_ODA_ARCHIVE": str(tmp_path / "a"), "INTEGRAL_ODA_STORE": str(tmp_path / "s")}
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, env=environment, text=True)
    url = re.search(r"http://127\.0\.0\.1:\d+/", process.stdout.readline())[0]
    assert status(url) == 200
    family = psutil.Process(process.pid).children(recursive=True)
    assert any("ipykernel" in " ".join(child.cmdline()) for child in family)
    process.send_signal(number)
    process.communicate(timeout=30)
    assert process.returncode == 0
    _, alive = psutil.wait_procs(family, timeout=15)
    assert not alive
