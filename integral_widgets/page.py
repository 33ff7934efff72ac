"""What the page's server tells the notebook."""

from __future__ import annotations

import os

__all__ = ["query_string", "session_note"]


def query_string() -> str:
    """Query part of the page's address; empty outside Voila.

    A kernel that was started ahead of the visit waits for it here, so this belongs into a late cell.
    """
    if os.environ.get("VOILA_PREHEAT") == "True":
        from voila.utils import get_query_string  # takes seconds to import, and only then is needed

        return get_query_string() or ""
    return os.environ.get("QUERY_STRING", "")


def session_note() -> str:
    """What a visitor must know of a session that ends by itself, as HTML; empty where nothing is lost."""
    if "BINDER_LAUNCH_HOST" not in os.environ:
        return ""
    return (
        "<p class='oda-note'>You are on Binder: nothing is kept after some ten minutes without a visitor, and 1 GB of "
        "memory is all there is. Download what you want to have.</p>"
    )
