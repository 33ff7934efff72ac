"""Start the explorer page: Voila with the settings that keep it clean, and stop it cleanly."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

from integral_oda.errors import RequestError, UnavailableError
from integral_oda.folders import archive_root, store_root
from integral_widgets.downloads import SERVED_ROOT
from integral_widgets.paths import notebooks_root

__all__ = ["launch", "server_settings", "serving", "voila_command", "voila_settings"]

HOST = "127.0.0.1"
START_LIMIT_S = 60.0
STOP_LIMIT_S = 10.0
CULL_IDLE_S, CULL_INTERVAL_S = 600, 60
UPLOAD_LIMIT_BYTES = 256 * 2**20
PING_MS = 30_000
_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_CONFIGURATION = "configuration"
_NAME_USERS = """from integral_widgets.identity import name_user

c.VoilaConfiguration.prelaunch_hook = name_user
"""
DOWNLOADS = r"out/.*\.(fits|fits\.gz|csv|ecsv|json|reg|png|html|pdf|zip)"


def launch(
    port: int | None = None,
    archive: Path | None = None,
    store: Path | None = None,
    browser: bool = True,
    report: Callable[[str], None] | None = None,
) -> None:
    """Serve the explorer page until SIGINT, SIGTERM or SIGHUP.

    Parameters
    ----------
    port : int, optional
        TCP port on the loopback address; a free one otherwise.
    archive, store : Path, optional
        Roots of archive and store; the defaults of `integral_oda.folders` otherwise.
    browser : bool
        Whether to open the user's browser.
    report : callable, optional
        Given the line with the page's address; standard output otherwise.

    Raises
    ------
    RequestError
        If the port is no port or is taken.
    UnavailableError
        If the server does not start.
    """
    tell = report or _write_line
    with _stop_signals() as stopped, serving(port, archive, store) as (url, process):
        tell(f"The page is at {url} - Ctrl-C stops it.")
        if browser:
            _open_browser(url)
        while not stopped.wait(0.2):
            if process.poll() is not None:
                raise UnavailableError(f"the page's server ended by itself with status {process.returncode}")


@contextlib.contextmanager
def serving(
    port: int | None = None, archive: Path | None = None, store: Path | None = None
) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Serve the explorer page while the block runs; kernels and result files go with it.

    Yields
    ------
    url : str
        Address of the page.
    process : subprocess.Popen
        Voila.
    """
    chosen = _free_port(port)
    # A folder of its own: what is served is the notebook and results, never the installation or the user's files.
    with tempfile.TemporaryDirectory(prefix="integral-oda-app-", ignore_cleanup_errors=True) as folder:
        served = Path(folder).resolve()
        notebook = served / "explorer.ipynb"
        shutil.copyfile(notebooks_root() / "apps" / "explorer.ipynb", notebook)
        (served / "out").mkdir()
        (served / "voila.json").write_text(json.dumps(voila_settings()), encoding="utf-8")
        # Python in a folder of its own: beside the notebook its name would hide the package voila.
        (served / _CONFIGURATION).mkdir()
        (served / _CONFIGURATION / "voila.py").write_text(_NAME_USERS, encoding="utf-8")
        process = subprocess.Popen(
            voila_command(notebook, chosen),
            cwd=served,
            env=_environment(served, archive or archive_root(), store or store_root()),
            start_new_session=True,
        )
        try:
            _wait_for_port(chosen, process)
            yield f"http://{HOST}:{chosen}/", process
        finally:
            _stop(process)


def voila_command(notebook: Path, port: int) -> list[str]:
    """Command that serves one notebook on the loopback address, with the settings of `voila_settings` beside it."""
    flags = [f"--port={port}", f"--Voila.ip={HOST}", "--Voila.port_retries=0", "--no-browser"]
    return [sys.executable, "-m", "voila", str(notebook), *flags]


def voila_settings() -> dict[str, dict[str, object]]:
    """Configuration that the page needs.

    Without culling and with XSRF checks a closed tab's kernel stays for ever: the browser's parting
    message carries no token. Uploads above the default message size vanish without a word.
    """
    tornado = {
        "disable_check_xsrf": True,
        "websocket_max_message_size": UPLOAD_LIMIT_BYTES,
        "ws_ping_timeout": PING_MS,  # the default, three intervals, only makes tornado complain
    }
    return {
        "Voila": {"tornado_settings": tornado, "log_level": "ERROR"},
        "VoilaConfiguration": {"show_tracebacks": True, "file_allowlist": [DOWNLOADS]},
        "MappingKernelManager": {"cull_idle_timeout": CULL_IDLE_S, "cull_interval": CULL_INTERVAL_S},
        "KernelManager": {"transport": "ipc"},
    }


def server_settings() -> dict[str, dict[str, object]]:
    """Configuration of a Jupyter server that shows the page beside JupyterLab, as on Binder."""
    page = voila_settings()
    return {
        "ServerApp": {"disable_check_xsrf": True, "tornado_settings": page["Voila"]["tornado_settings"]},
        "VoilaConfiguration": page["VoilaConfiguration"],
        "MappingKernelManager": page["MappingKernelManager"],
    }


def _environment(served: Path, archive: Path, store: Path) -> dict[str, str]:
    known = os.environ.get("JUPYTER_CONFIG_PATH")
    return {
        **os.environ,
        "JUPYTER_CONFIG_PATH": os.pathsep.join([str(served / _CONFIGURATION), *([known] if known else [])]),
        SERVED_ROOT: str(served),
        "INTEGRAL_ODA_ARCHIVE": str(archive.expanduser().resolve()),
        "INTEGRAL_ODA_STORE": str(store.expanduser().resolve()),
        "JUPYTER_PREFER_ENV_PATH": "1",
    }


def _free_port(port: int | None) -> int:
    rule = "a free TCP port between 1 and 65535"
    if port is not None and not 0 < port < 65536:
        raise RequestError("port", port, rule)
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port or 0))
        except OSError:
            raise RequestError("port", port, rule) from None
        return int(probe.getsockname()[1])


def _wait_for_port(port: int, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + START_LIMIT_S
    while time.monotonic() < end:
        if process.poll() is not None:
            raise UnavailableError(f"the page's server did not start (status {process.returncode})")
        with contextlib.suppress(OSError), socket.create_connection((HOST, port), timeout=1):
            return
        time.sleep(0.05)
    raise UnavailableError(f"the page's server did not answer on port {port} within {START_LIMIT_S:.0f} s")


def _stop(process: subprocess.Popen[bytes]) -> None:
    """SIGINT to the whole group, as from a terminal: only then does Voila end its kernels first."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGINT)
        try:
            process.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@contextlib.contextmanager
def _stop_signals() -> Iterator[threading.Event]:
    """Event that SIGINT, SIGTERM and a closed terminal set while the block runs."""
    stopped = threading.Event()

    def stop(_signal: int, _frame: FrameType | None) -> None:
        stopped.set()

    kept = {number: signal.signal(number, stop) for number in _STOPPING}
    try:
        yield stopped
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)


def _open_browser(url: str) -> None:
    import webbrowser

    threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()


def _write_line(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
