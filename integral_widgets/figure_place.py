"""What every view is built of: the place of its figure, and the controls beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import ipywidgets as widgets

from integral_widgets.bokeh_views import close_figure_widget, figure_widget
from integral_widgets.callbacks import error_html, safe_callback
from integral_widgets.labels import label

__all__ = ["FigurePlace", "Notice", "choice", "press", "wrapped_row"]


class FigurePlace:
    """A figure that is made anew whenever a control changes.

    Parameters
    ----------
    draw : callable
        Gives the finished figure.
    controls : sequence of ipywidgets.Widget
        Those that it depends on.

    Attributes
    ----------
    figure : bokeh model
        The one shown.
    widget : ipywidgets.Box
        Where it is shown.
    """

    def __init__(self, draw: Callable[[], Any], controls: Sequence[widgets.Widget]) -> None:
        self._draw, self._kept = draw, False
        self.figure: Any = None
        self.widget = widgets.Box(layout=widgets.Layout(width="100%"))
        for control in controls:
            control.observe(self.refresh, names="value")
        self.refresh()

    def refresh(self, _: Any = None) -> None:
        """Draw the figure as the controls ask."""
        if self._kept:
            return
        self.figure = self._draw()
        old, self.widget.children = self.widget.children, (figure_widget(self.figure),)
        for widget in old:
            close_figure_widget(widget)

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Keep the figure whatever happens to the controls meanwhile, because it is changed in place."""
        self._kept = True
        try:
            yield
        finally:
            self._kept = False


class Notice:
    """One line of text that a view says what happened with."""

    def __init__(self, text: str = "") -> None:
        self.widget = widgets.HTML()
        self.say(text)

    def say(self, text: str) -> None:
        """Show a sentence; nothing in it is taken for markup."""
        import html

        self.widget.value = f"<span class='oda-note'>{html.escape(text)}</span>" if text else ""

    def fail(self, text: str) -> None:
        """Show what went wrong."""
        self.widget.value = error_html(text)


def choice(description: str, options: Sequence[tuple[str, Any]], tooltip: str = "") -> widgets.Dropdown:
    """Choice of a few, the first one chosen."""
    return widgets.Dropdown(
        **label(description, tooltip),
        options=list(options),
        value=options[0][1],
        layout=widgets.Layout(width="auto", max_width="200px"),
        style={"description_width": "initial"},
    )


def press(text: str, method: Callable[[], Any], notice: Notice, tooltip: str = "") -> widgets.Button:
    """Button whose failures are told in a view's line of text."""
    button = widgets.Button(description=text, tooltip=tooltip or text, layout=widgets.Layout(width="auto"))
    guarded = safe_callback(notice.fail)(method)
    button.on_click(lambda _: guarded())
    return button


def wrapped_row(children: Sequence[widgets.Widget]) -> widgets.HBox:
    """Row that wraps on a narrow page."""
    return widgets.HBox(list(children), layout=widgets.Layout(flex_flow="row wrap", align_items="center"))
