"""What the archive holds, and how to get a science window where it holds none."""

from __future__ import annotations

import gzip
import html
import re
import zlib
from collections.abc import Callable
from pathlib import Path

import ipywidgets as widgets

from integral_oda.errors import DataError
from integral_oda.query import Query
from integral_widgets.forms import QueryForm

__all__ = ["ArchiveOffer", "is_simulated"]

SAMPLE_SOURCES = {"255900280010": "SGR 1935+2154", "255990010010": "SGR 1935+2154"}
"""What to look at in the real sample and in the window simulated in its place."""

_SIMULATED = re.compile(rb"SIMULATE=\s+T")
_HEADERS_BYTES = 64 * 2880
_MOST_NAMED = 8


class ArchiveOffer:
    """Names the archive's windows, or offers to get one.

    Parameters
    ----------
    archive : Path
        Its root.
    fetch, simulate : callable
        Get the real sample, or a simulated window.
    """

    def __init__(self, archive: Path, fetch: Callable[[], None], simulate: Callable[[], None]) -> None:
        self.archive = archive
        self.fetch_button = _button("Fetch the real sample (49 MB)", fetch, "from the package index, needs a network")
        self.simulate_button = _button("Simulate one science window here", simulate, "needs no network; says so")
        place = html.escape(str(archive))
        note = widgets.HTML(f"<p class='oda-note'>The archive {place} holds no science window yet.</p>")
        self.widget = widgets.VBox([note, self.fetch_button, self.simulate_button])
        self.windows = widgets.HTML()

    def refresh(self, form: QueryForm) -> None:
        """Look again; a form that asks for nothing yet is filled with the first window."""
        from integral_oda.archive.tree import Archive

        windows = Archive(self.archive).windows()
        self.widget.layout.display = "none" if windows else ""
        if not windows:
            return
        first = windows[0]
        if not (form.fields["scw_list"].text or form.fields["T1"].text):
            form.set(scw_list=str(first), src_name=SAMPLE_SOURCES.get(first.swid, ""))
        names = ", ".join(self._name(str(scw)) for scw in windows[:_MOST_NAMED])
        more = f" and {len(windows) - _MOST_NAMED} more" if len(windows) > _MOST_NAMED else ""
        self.windows.value = f"<span class='oda-note'>In the archive: {html.escape(names)}{more}</span>"

    def check_windows(self, query: Query, form: QueryForm) -> None:
        """Tell a list of windows of which none is here beside its field, before anything runs.

        Raises
        ------
        DataError
            If that is so.
        """
        from integral_oda.archive.tree import Archive

        if query.engine == "mmoda" or not query.scw_list:
            return
        archive = Archive(self.archive)
        problem = None
        for scw in query.scw_list:
            try:
                archive.events_file(scw)
            except DataError as exc:
                problem = problem or exc
            else:
                return
        assert problem is not None
        form.show_error(str(problem), "scw_list")
        raise problem

    def _name(self, scw: str) -> str:
        return f"{scw} (simulated)" if is_simulated(self.archive, scw) else scw


def _button(text: str, method: Callable[[], None], hint: str) -> widgets.Button:
    button = widgets.Button(description=text, tooltip=hint, layout=widgets.Layout(width="auto"))
    button.on_click(lambda _: method())
    return button


def is_simulated(archive: Path, scw: str) -> bool:
    """Whether the event file of a science window says that it was simulated; one that cannot be read does not."""
    from integral_oda.archive.tree import Archive

    try:
        path = Archive(archive).events_file(scw)
    except DataError:
        return False
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rb") as stream:
        try:
            return _SIMULATED.search(stream.read(_HEADERS_BYTES)) is not None
        except (OSError, EOFError, zlib.error):
            return False
