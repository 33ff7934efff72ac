"""Labels of inputs: read by screen readers, and with words for who rests the pointer on them."""

from __future__ import annotations

import html
from typing import Any

__all__ = ["label"]


def label(title: str, hint: str = "") -> dict[str, Any]:
    """Arguments that give an ipywidget its own label.

    Widgets show their ``tooltip`` on buttons alone; so the hint goes into the label's markup.

    Parameters
    ----------
    title : str
        What the input is, plain text.
    hint : str
        Shown where the pointer rests on the label.
    """
    spelled = html.escape(title)
    if hint:
        spelled = f'<span title="{html.escape(hint, quote=True)}">{spelled}</span>'
    return {"description": spelled, "description_allow_html": True, "tooltip": hint or title}
