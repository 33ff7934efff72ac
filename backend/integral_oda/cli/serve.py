"""The command ``serve``."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Annotated

import typer

from integral_oda.cli.options import ArchiveRoot, StoreRoot
from integral_oda.errors import RequestError

__all__ = ["local_store", "serve_command"]


def serve_command(
    port: Annotated[int, typer.Option("--port", help="Port on the loopback address.")] = 8866,
    headless: Annotated[bool, typer.Option("--headless", help="Without the page.")] = False,
    ip: Annotated[str, typer.Option("--ip", help="Address to listen at.")] = "127.0.0.1",
    archive: ArchiveRoot = None,
    store: StoreRoot = None,
    config: Annotated[str | None, typer.Option("--config", help="Jupyter configuration file.")] = None,
) -> None:
    """Serve products to scripts that speak the online system's protocol, and the page.

    The token is that of Jupyter Server: JUPYTER_TOKEN, else one that is shown at the start.
    """
    from integral_oda.folders import archive_root

    roots = {"archive": (archive or archive_root()).expanduser().absolute(), "store": local_store(store)}
    _check_address(ip, port)
    if config is not None and not Path(config).is_file():
        raise RequestError("config", config, "a Jupyter configuration file")
    from integral_oda.service.server import HeadlessServer

    arguments = [
        *(f"--ServerApp.port={port}", "--ServerApp.port_retries=0", f"--ServerApp.ip={ip}", "--no-browser"),
        *(f"--IntegralOda.{name}={path}" for name, path in roots.items()),
        *([f"--config={config}"] if config else []),
    ]
    with nullcontext() if headless else _page(**roots):
        HeadlessServer.launch_instance(argv=arguments)


def local_store(store: str | None) -> Path:
    """Root of a store that lies in a folder; requests and jobs are files in it.

    Raises
    ------
    RequestError
        If it is a URL or a file.
    """
    from integral_oda.folders import store_root

    root = Path(store or store_root()).expanduser().absolute()
    if "://" in (store or "") or (root.exists() and not root.is_dir()):
        raise RequestError("store", store, "a folder of this machine")
    return root


def _check_address(ip: str, port: int) -> None:
    """Refuse an address that cannot be listened at; tornado would tell it in a traceback."""
    import socket

    if not 0 < port < 65536:
        raise RequestError("port", port, "a free TCP port between 1 and 65535")
    try:
        where = socket.getaddrinfo("" if ip == "*" else ip, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError):
        raise RequestError("ip", ip, "an address or a name of this machine") from None
    family, kind, _, _, address = where[0]
    with socket.socket(family, kind) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as exc:
            raise RequestError("port", port, f"a port that can be listened at on {ip} ({exc.strerror})") from None


@contextmanager
def _page(archive: Path, store: Path) -> Iterator[None]:
    """Serve the page beside it, at a port of its own."""
    launcher = importlib.import_module("integral_widgets.launcher")
    with launcher.serving(None, archive, store) as (url, _process):
        typer.echo(f"The page is at {url}")
        yield
