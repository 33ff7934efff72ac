"""Who asks: the owner of requests, jobs and files."""

from __future__ import annotations

from typing import Any

from jupyter_server.auth import IdentityProvider
from jupyter_server.auth.identity import LegacyIdentityProvider, PasswordIdentityProvider

from integral_oda.background import account

__all__ = ["account", "named_user", "owner_of"]

_WITHOUT_NAMES = {IdentityProvider, PasswordIdentityProvider, LegacyIdentityProvider}
_VOILA = "voila.voila_identity_provider"


def owner_of(handler: Any) -> str:
    """Name of the user behind a request.

    Jupyter Server's own providers know a token or a password, not people: whoever holds it is the one account that the
    server runs under. A provider that names its users, JupyterHub's among them, is taken at its word.
    """
    name = named_user(handler)
    return account() if name is None else f"user {name}"


def named_user(handler: Any) -> str | None:
    """The user behind a request where the identity provider names its users, else None."""
    provider = type(handler.identity_provider)
    if provider in _WITHOUT_NAMES or provider.__module__ == _VOILA:
        return None
    return str(handler.current_user.username)
