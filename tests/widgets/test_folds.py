"""What is folded away is shown when its title is pressed."""

from __future__ import annotations

import ipywidgets as widgets

from integral_widgets.folds import Fold


def test_a_press_shows_and_another_hides():
    fold = Fold(widgets.HTML("content"), "Title")
    assert not fold.is_open
    assert fold.content.layout.display == "none"
    assert fold.button.description == "▸ Title"
    fold.button.value = True
    assert fold.content.layout.display == ""
    assert fold.button.description == "▾ Title"
    fold.button.value = False
    assert fold.content.layout.display == "none"
