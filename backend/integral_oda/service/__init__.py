"""The online system's HTTP protocol, as a Jupyter Server extension."""

from __future__ import annotations

from typing import Any

__all__: list[str] = []


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    """Tell Jupyter Server what to load."""
    from integral_oda.service.extension import IntegralOda

    return [{"module": "integral_oda.service", "app": IntegralOda}]
