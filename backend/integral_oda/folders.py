"""Where the archive and the store lie unless a user says otherwise, and whether network and memory may be used."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

__all__ = ["archive_root", "background_root", "ic_root", "is_lean", "is_offline", "store_root"]

_APPLICATION = "integral-oda"


def archive_root() -> Path:
    """Root of the local archive: ``INTEGRAL_ODA_ARCHIVE``, else the user's data folder."""
    given = os.environ.get("INTEGRAL_ODA_ARCHIVE")
    return Path(given) if given else platformdirs.user_data_path(_APPLICATION) / "archive"


def ic_root(archive: Path | None = None) -> Path:
    """Root of the instrument characteristics (IC tree): ``INTEGRAL_ODA_IC``, else the archive's."""
    given = os.environ.get("INTEGRAL_ODA_IC")
    return Path(given) if given else archive or archive_root()


def store_root() -> Path:
    """Root of the product store: ``INTEGRAL_ODA_STORE``, else the user's cache folder."""
    given = os.environ.get("INTEGRAL_ODA_STORE")
    return Path(given) if given else platformdirs.user_cache_path(_APPLICATION) / "store"


def is_offline() -> bool:
    """True where ``INTEGRAL_ODA_OFFLINE`` says that the network is not to be used."""
    return _is_set("INTEGRAL_ODA_OFFLINE")


def is_lean() -> bool:
    """True where ``INTEGRAL_ODA_LEAN`` says that memory is short: one job at a time, nothing prepared ahead."""
    return _is_set("INTEGRAL_ODA_LEAN")


def _is_set(name: str) -> bool:
    return os.environ.get(name, "").lower() not in ("", "0", "no", "false")


def background_root() -> Path | None:
    """Folder of background maps: ``INTEGRAL_ODA_BACKGROUND``; none where it is not set."""
    given = os.environ.get("INTEGRAL_ODA_BACKGROUND")
    return Path(given) if given else None
