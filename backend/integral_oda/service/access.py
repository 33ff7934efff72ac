"""Who asks: the owner of requests, jobs and files."""

from __future__ import annotations

import getpass
from typing import Any

from jupyter_server.auth import IdentityProvider
from jupyter_server.auth.identity import LegacyIdentityProvider, PasswordIdentityProvider

__all__ = ["account", "owner_of"]

_WITHOUT_NAMES = (IdentityProvider, PasswordIdentityProvider, LegacyIdentityProvider)


def owner_of(handler: Any) -> str:
    """Name of the user behind a request.

    Jupyter Server's own providers know a token or a password, not people: whoever holds it is the one account that the
    server runs under. A provider that names its users, JupyterHub's among them, is taken at its word.
    """
    if type(handler.identity_provider) in _WITHOUT_NAMES:
        return account()
    return f"user {handler.current_user.username}"


def account() -> str:
    """Name of the account that this process runs under."""
    return f"account {getpass.getuser()}"
