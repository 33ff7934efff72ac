"""The command ``app``."""

from __future__ import annotations

import importlib
from typing import Annotated

import typer

from integral_oda.cli.options import ArchiveRoot, StoreRoot

__all__ = ["app_command"]


def app_command(
    port: Annotated[int | None, typer.Option("--port", help="Port; a free one unless given.")] = None,
    archive: ArchiveRoot = None,
    store: StoreRoot = None,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open a browser.")] = True,
) -> None:
    """Open the explorer page."""
    from integral_oda.cli.serve import local_store
    from integral_oda.folders import archive_root

    root = local_store(store)
    launcher = importlib.import_module("integral_widgets.launcher")
    launcher.launch(port=port, archive=archive or archive_root(), store=root, browser=browser)
