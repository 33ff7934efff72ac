"""Nodes of a science window that no energy band changes: events, good time, dead time, field and thresholds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from integral_oda.archive.calibration import calibration_files
from integral_oda.archive.events import ATTITUDE_KEYWORDS
from integral_oda.archive.fits_table import find_header
from integral_oda.archive.tree import Archive
from integral_oda.engines.native import ENGINE, ENGINE_VERSION
from integral_oda.engines.steps import DeclaredStep
from integral_oda.errors import DataError
from integral_oda.instrument.energy import EnergyBand
from integral_oda.workflow.graph import Node

__all__ = [
    "OnlyThese",
    "Position",
    "WindowNodes",
    "axis_of",
    "in_field",
    "native_node",
    "only",
    "plain_window",
    "some_of",
    "with_thresholds",
]

Position = tuple[str, float, float]

_NATIVE = "integral_oda.engines.native"
COR = DeclaredStep("COR", "10", f"{_NATIVE}.events:Cor")
GTI = DeclaredStep("GTI", "2", f"{_NATIVE}.events:Gti")
DEAD = DeclaredStep("DEAD", "2", f"{_NATIVE}.events:Dead")
CAT_I = DeclaredStep("CAT_I", "1", f"{_NATIVE}.field:CatI")
EFFI = DeclaredStep("EFFI", "11", f"{_NATIVE}.field:Effi")


class OnlyThese(tuple[Position, ...]):
    """Sources of the user that are all there is: the reference catalogue adds none."""


@dataclass(frozen=True)
class WindowNodes:
    """What is known of a window before a band is asked for.

    Attributes
    ----------
    events : list of Node
        COR, GTI, DEAD and, unless another engine makes the shadowgrams, EFFI.
    field : Node
        CAT_I.
    files : mapping
        Files that tell of the instrument.
    background : Path or None
        Folder of background maps.
    shadowgram : callable or None
        Node of a band's shadowgram, where another engine makes it.
    imaging : DeclaredStep or None
        Step of the image, where the shadowgrams are another engine's.
    spectra : callable or None
        Node of the spectra of the source asked for (None for all), where they are made of another engine's shadowgrams.
    light_curve : callable or None
        Node of the light curves with some parameters of the step LCR, likewise.
    """

    events: list[Node]
    field: Node
    files: Mapping[str, Path]
    background: Path | None = None
    shadowgram: Callable[[EnergyBand], Node] | None = None
    imaging: DeclaredStep | None = None
    spectra: Callable[[Position | None], Node] | None = None
    light_curve: Callable[[Mapping[str, Any]], Node] | None = None


def plain_window(
    archive: Archive,
    scw: str,
    extra: Sequence[Position],
    good_time: Mapping[str, Any],
    states: Sequence[Node] = (),
    background: Path | None = None,
) -> WindowNodes:
    """Nodes of a window of the archive.

    Parameters
    ----------
    archive : Archive
    scw : str
    extra : sequence of tuple
        Name, RA, Dec (degrees) of sources to add to the catalogue.
    good_time : mapping
        Parameters of the step GTI.
    states : sequence of Node
        Good time to be cut to as well.
    background : Path, optional
        Folder of background maps.
    """
    known = calibration_files(archive, scw)
    cor = cor_node(archive, scw, known)
    gti = gti_node(scw, cor, known, good_time, states)
    dead = dead_node(archive, scw, cor, gti)
    return with_thresholds(scw, [cor, gti, dead], cat_node(archive, scw, cor, extra), known, background)


def with_thresholds(
    scw: str, events: Sequence[Node], field: Node, files: Mapping[str, Path], background: Path | None = None
) -> WindowNodes:
    """Nodes of a window whose COR, GTI and DEAD and CAT_I are given: the thresholds are fitted to them."""
    efficiency = native_node(EFFI, scw, {}, [*events, field])
    return WindowNodes([*events, efficiency], field, files, background)


def cor_node(archive: Archive, scw: str, files: Mapping[str, Path]) -> Node:
    """Node of the selected events."""
    return native_node(COR, scw, {}, [], {"events": archive.events_file(scw), **files})


def gti_node(
    scw: str, cor: Node, files: Mapping[str, Path], good_time: Mapping[str, Any], states: Sequence[Node] = ()
) -> Node:
    """Node of the good time."""
    return native_node(GTI, scw, good_time, [cor, *states], some_of(files, "ic_bti"))


def dead_node(archive: Archive, scw: str, cor: Node, gti: Node) -> Node:
    """Node of the dead time."""
    dead_file = archive.find(scw, "isgri_dead.fits")
    return native_node(DEAD, scw, {}, [cor, gti], {"dead": dead_file} if dead_file else {})


def cat_node(archive: Archive, scw: str, cor: Node, extra: Sequence[Position]) -> Node:
    """Node of the catalogue sources of the field."""
    listed = [list(p) for p in in_field(archive, scw, extra)]
    return native_node(CAT_I, scw, {"extra": listed, **only(extra)}, [cor])


def only(extra: Sequence[Position]) -> dict[str, bool]:
    """Parameter of the steps that read the reference catalogue."""
    return {"only": True} if isinstance(extra, OnlyThese) else {}


def some_of(files: Mapping[str, Path], *names: str) -> dict[str, Path]:
    """Those of some files that a step reads."""
    return {name: files[name] for name in names if name in files}


def in_field(archive: Archive, scw: str, positions: Sequence[Position]) -> Sequence[Position]:
    """Positions that a window may see: those that it does not are no part of what is made of it."""
    if not positions:
        return ()
    from integral_oda.engines.native.field import FIELD_RADIUS_DEG
    from integral_oda.instrument.attitude import separation_deg

    axis = axis_of(archive, scw)
    if axis is None:
        return positions  # COR tells what is wrong with the file
    return [p for p in positions if separation_deg(*axis, *p[1:]) <= FIELD_RADIUS_DEG]


def axis_of(archive: Archive, scw: str) -> tuple[float, float] | None:
    """RA and Dec (degrees) of a window's axis; None if its file is not there or does not say."""
    try:
        events = archive.events_file(scw)
    except DataError:
        return None
    return _axis(events, events.stat().st_mtime_ns)


@lru_cache(maxsize=20_000)
def _axis(events: Path, _changed_ns: int) -> tuple[float, float] | None:
    from integral_oda.instrument.attitude import Attitude

    try:
        return Attitude.from_keywords(find_header(events, ATTITUDE_KEYWORDS)).axis()
    except (DataError, TypeError, ValueError):
        return None


def native_node(
    step: DeclaredStep,
    scope: str,
    parameters: Mapping[str, Any],
    inputs: Sequence[Node],
    raw: Mapping[str, Path] | None = None,
) -> Node:
    """Node of a step that the native engine carries out."""
    return Node(
        step=step,
        scope=scope,
        parameters=parameters,
        inputs=tuple(inputs),
        raw=raw or {},
        engine=ENGINE,
        engine_version=ENGINE_VERSION,
    )
