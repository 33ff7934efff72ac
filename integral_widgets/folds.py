"""A part of the page behind a title, that the keyboard reaches; ipywidgets' accordion answers to the mouse alone."""

from __future__ import annotations

from typing import Any

import ipywidgets as widgets

__all__ = ["Fold"]


class Fold:
    """Title that shows and hides what is below it.

    Parameters
    ----------
    content : Widget
        What is folded away.
    title : str
        Text of the title.
    hint : str
        Tooltip of the title.
    """

    def __init__(self, content: widgets.Widget, title: str, hint: str = "") -> None:
        self.title = title
        self.content = widgets.VBox([content])
        self.button = widgets.ToggleButton(tooltip=hint or title, layout=widgets.Layout(width="auto"))
        self.button.add_class("oda-fold-title")
        self.button.observe(self._turn, names="value")
        self.widget = widgets.VBox([self.button, self.content])
        self.widget.add_class("oda-fold")
        self._turn(None)

    @property
    def is_open(self) -> bool:
        """Whether its content is shown."""
        return bool(self.button.value)

    def open(self) -> None:
        """Show the content."""
        self.button.value = True

    def _turn(self, _: Any) -> None:
        self.button.description = f"{'▾' if self.is_open else '▸'} {self.title}"
        self.content.layout.display = "" if self.is_open else "none"
