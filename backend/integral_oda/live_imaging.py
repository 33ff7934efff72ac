"""From an image query to images of any other band of its science window."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from integral_oda.errors import RequestError
from integral_oda.query import ImageQuery
from integral_oda.workflow.progress import silent

if TYPE_CHECKING:
    from integral_oda.engines.native.live import LiveWindow

__all__ = ["live_window"]


def live_window(
    query: ImageQuery,
    archive: Path | None = None,
    store: str | Path | None = None,
    sources: Sequence[tuple[str, float, float]] = (),
) -> LiveWindow:
    """Open the science window of a query for images of any band.

    Parameters
    ----------
    query, archive, store
        As for `integral_oda.analysis.analyse`; its sources, times and catalogue hold for every band.
    sources : sequence of tuple
        Name, RA, Dec (degrees, FK5) of the sources that the query has found.

    Raises
    ------
    RequestError
        If the query is not about one science window, or not for the native engine.
    """
    from integral_oda.engines.native.live import LiveWindow
    from integral_oda.folders import store_root
    from integral_oda.request import prepare
    from integral_oda.workflow.shared import open_store

    if query.engine != "native":
        raise RequestError("engine", query.engine, "native: other engines make no images at once")
    request = prepare(query, archive, silent, strict=False)
    windows = request.selection.used
    if len(windows) != 1:
        raise RequestError(
            "scw_list", f"{len(windows)} science windows", "one: of several the bands are analysed in full"
        )
    (mosaic,) = request.target.inputs
    (image,) = mosaic.inputs
    return LiveWindow(image, open_store(store or store_root()), sources)
