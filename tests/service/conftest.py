"""A real server on loopback, with two users, and the client of the online system in an environment of its own."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import venv
from pathlib import Path

import pytest

from integral_oda.simulation.recipe import make_recipe
from integral_oda.simulation.window import simulate

TOKENS = {"alice": "a11ce0123456789", "bob": "b0b0123456789", "carol": "ca501c0123456789"}
CONFIG = f"""
from jupyter_server.auth import IdentityProvider, User

class Named(IdentityProvider):
    def get_user_token(self, handler):
        token = self.get_token(handler)
        return next((User(name) for name, known in {TOKENS!r}.items() if known == token), None)

c.ServerApp.identity_provider_class = Named
"""
CRAB = {"name": "Crab", "ra": 83.6332, "dec": 22.0145, "flux": {"value": 150, "band": (20, 40)}}
CANE = {"name": "1A 0535+262", "ra": 84.7274, "dec": 26.3158, "flux": {"value": 60, "band": (20, 40)}}
RECIPE = {
    "seed": 11,
    "pointings": [{"ra": 84.6, "dec": 22.0, "roll": 20}, {"ra": 86.0, "dec": 23.5, "roll": 35}],
    "duration_s": 400,
    "sources": [CRAB, CANE],
    "background": {"rate": 200},
}
START_LIMIT_S = 60


@pytest.fixture(scope="session")
def simulated_archive(tmp_path_factory):
    """Archive of two windows near the Crab, and their ids."""
    root = tmp_path_factory.mktemp("service-archive")
    return root, tuple(str(scw) for scw in simulate(make_recipe(RECIPE), root))


@pytest.fixture(scope="session")
def windows(simulated_archive):
    """Ids of the two windows."""
    return simulated_archive[1]


class Server:
    """A server process, and a plain client for it."""

    def __init__(self, archive: Path, folder: Path) -> None:
        self.archive, self.folder = archive, folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/integral-oda"
        (folder / "config.py").write_text(CONFIG)
        self.start()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        command = [sys.executable, "-m", "integral_oda", "serve", "--headless", "--port", str(self.port)]
        roots = ["--archive", str(self.archive), "--store", str(self.folder / "store")]
        with (self.folder / "log.txt").open("ab") as log:
            self.process = subprocess.Popen(
                [*command, *roots, "--config", str(self.folder / "config.py")],
                stdout=log,
                stderr=log,
                env={**os.environ, "JUPYTER_CONFIG_DIR": str(self.folder)},
            )
        end = time.monotonic() + START_LIMIT_S
        while time.monotonic() < end and self.process.poll() is None:
            try:
                return self.get("instr-list", token=None)
            except OSError:
                time.sleep(0.1)
        pytest.fail((self.folder / "log.txt").read_text())

    def kill(self) -> None:
        """End it at once."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def get(self, path: str, token: str | None = "alice", **fields):
        """Status and body of a GET."""
        return self._send(path, urllib.parse.urlencode(_with_token(fields, token), doseq=True), None)

    def post(self, path: str, token: str | None = "alice", **fields):
        """Status and body of a form."""
        return self._send(path, "", urllib.parse.urlencode(_with_token(fields, token), doseq=True).encode())

    def _send(self, path: str, query: str, body: bytes | None):
        try:
            with urllib.request.urlopen(f"{self.url}/{path}?{query}", body, timeout=60) as reply:
                return reply.status, _body(reply.read())
        except urllib.error.HTTPError as exc:
            return exc.code, _body(exc.read())

    @staticmethod
    def token(user: str) -> str:
        """Token of a user."""
        return TOKENS[user]

    def run(self, limit_s: float = 120, **fields):
        """Ask as the client does, until it is over."""
        status, reply = self.post("run_analysis", **fields)
        end = time.monotonic() + limit_s
        while status == 200 and reply["query_status"] not in ("done", "failed") and time.monotonic() < end:
            time.sleep(0.3)
            known = {"job_id": reply["job_monitor"]["job_id"], "query_status": reply["query_status"]}
            status, reply = self.post("run_analysis", **{**fields, **known})
        return status, reply


def _with_token(fields, user):
    return fields if user is None else {**fields, "token": TOKENS.get(user, user)}


def _body(content: bytes):
    try:
        return json.loads(content)
    except ValueError:
        return content


@pytest.fixture(scope="session")
def server(simulated_archive, tmp_path_factory):
    """A server with several users."""
    running = Server(simulated_archive[0], tmp_path_factory.mktemp("service"))
    yield running
    running.kill()


@pytest.fixture(scope="session")
def client_python(tmp_path_factory):
    """Python of an environment that holds the online system's client, newest release, and schemathesis."""
    folder = tmp_path_factory.mktemp("client")
    venv.create(folder, with_pip=True, symlinks=True)
    python = folder / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", "oda-api", "schemathesis"], check=True)
    return python
