"""Which files beside the events tell of the instrument during a science window: its revolution's and the IC tree's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from integral_oda.archive.housekeeping import find_detector_files, read_window_times
from integral_oda.archive.ic_tree import IC_KINDS, IcFile, IcKind, IcTree
from integral_oda.archive.scw import ScwId
from integral_oda.archive.tree import Archive
from integral_oda.errors import DataError
from integral_oda.folders import ic_root

__all__ = ["ENERGY_TABLES", "IC_PREFIX", "calibration_files", "ic_cards", "ic_tree_of", "ic_use"]

IC_PREFIX = "ic_"
ENERGY_TABLES = ("lut1", "lut2", "mcec", "l2re")
"""Kinds that energies are reconstructed with."""
_CONFIRMED, _OF_MOSAICS, _OF_CONTEXT, _MATCHED = ("mask",), ("covr",), ("effc",), ("deco",)
"""Kinds that the built-in model is compared with, that only mosaics with pixel spread take, that a pixel context goes
with, and that are used where they are the mask's."""


def ic_tree_of(archive: Archive) -> IcTree:
    """IC tree that goes with an archive: that of ``INTEGRAL_ODA_IC``, else the archive's own; it may be empty."""
    return IcTree(ic_root(archive.root))


def calibration_files(archive: Archive, scw: ScwId | str) -> dict[str, Path]:
    """Files that tell of the instrument during a science window.

    Returns
    -------
    dict of str to Path
        ``context``, ``noisy_0`` .., ``switch_0`` .. of the revolution, ``hk`` of the window, and ``ic_<kind>`` of the
        IC tree; only what there is. Empty for a window whose event file is damaged: reading the events says so.
    """
    tree = ic_tree_of(archive)
    try:
        files = find_detector_files(archive, scw)
        if not tree:
            return files
        middle = read_window_times(archive.events_file(scw))
    except DataError:
        return {}
    ic = tree.at((middle.start_ijd + middle.stop_ijd) / 2)
    if housekeeping := archive.find(scw, "ibis_hk.fits"):
        files["hk"] = housekeeping
    return files | {f"{IC_PREFIX}{kind}": file.path for kind, file in ic.items()}


def ic_cards(raw: dict[str, Path], refused: Mapping[str, str] | None = None) -> dict[str, str]:
    """Header cards that say, kind by kind, which file of the IC tree was used or what stands in its place.

    Parameters
    ----------
    raw : dict of str to Path
        Files of a window, see `calibration_files`.
    refused : mapping of str to str, optional
        Kinds whose file cannot be used, and why, in words that follow on its name.
    """
    cards = {}
    for kind in IC_KINDS:
        path = raw.get(f"{IC_PREFIX}{kind}")
        if path is None or kind in _OF_MOSAICS or (kind in _OF_CONTEXT and "context" not in raw):
            value = "nominal"
        else:
            value = path.name.removesuffix(".gz").removesuffix(".fits")
            value = f"nominal, {value} confirms it" if kind in _CONFIRMED else value
            value = f"nominal, {value} {refused[kind]}" if refused and kind in refused else value
        cards[f"IC_{kind.upper()}"] = value
    return cards


def ic_use(kind: IcKind, files: Sequence[IcFile]) -> str:
    """What is made of a kind of file, in a line: the newest one with its validity, or the nominal part."""
    if not files:
        return f"nominal: {kind.nominal}"
    newest = files[-1]
    stop = "on" if newest.vstop >= _OPEN_END else f"to {newest.vstop:.1f}"
    more = f", newest of {len(files)}" if len(files) > 1 else ""
    use = ": the built-in mask is compared with it" if kind.name in _CONFIRMED else ""
    use = ": used where there is a pixel context" if kind.name in _OF_CONTEXT else use
    use = ": used where its signs are the mask's" if kind.name in _MATCHED else use
    use = ": used by `mosaic --resampling spread`" if kind.name in _OF_MOSAICS else use
    return f"{newest.label} version {newest.version}, IJD {newest.vstart:.1f} {stop}{more}{use}"


_OPEN_END = 20000.0
"""IJD of the year 2054: a validity that ends later is meant to last."""
