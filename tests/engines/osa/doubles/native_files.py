"""What the doubles of the steps share: files, groups, and the native engine's results."""

from __future__ import annotations

import json
import re
import warnings
from pathlib import Path

import frame
import numpy as np
from astropy.io import fits
from frame import Fault, Group, split_dol

from integral_oda.archive.tree import Archive
from integral_oda.engines.native.graph import (
    TimeSelection,
    image_graph,
)
from integral_oda.instrument.energy import EnergyBand
from integral_oda.workflow.executor import execute
from integral_oda.workflow.graph import walk
from integral_oda.workflow.store import Store

warnings.simplefilter("ignore")

STATE = "NATIVE-STATE"
BIN = ("OBTSTART", "OBTEND")
BKG = (*BIN, "SWID", "SW_TYPE", "REVOL", "EXPID", "TSTART", "TSTOP", "SWBOUND")
IMA = (*BIN, "TSTART", "TSTOP", "SW_TYPE", "TELAPSE", "SWID", "SWBOUND")
SPE = (*BIN, "TSTART", "TSTOP", "SW_TYPE", "TELAPSE", "SWID")


# -- files -------------------------------------------------------------------------------------------------------------


def state_hdu(value):
    return fits.ImageHDU(np.frombuffer(json.dumps(value).encode(), np.uint8), name=STATE)


def state_of(path):
    with fits.open(frame.existing(path)) as hdus:
        return json.loads(hdus[STATE].data.tobytes())


# -- the native engine -------------------------------------------------------------------------------------------------


def window_of(group):
    """Root of the archive and window of a group's raw files."""
    for name in ("ISGR-EVTS-ALL", "IBIS-DPE.-CNV"):
        for path in group.members(name):
            folder = path.resolve().parent
            return {"archive": str(folder.parents[2]), "scw": folder.name}
    raise Fault(-25514, f"{group.path}: no raw file")


def time_of(state):
    return TimeSelection(intervals=tuple((start, stop) for start, stop in state["good_time"]))


def image_nodes(state, threshold):
    bands = [EnergyBand(*band) for band in state["bands"]]
    archive = Archive(state["archive"])
    return list(walk([image_graph(archive, [state["scw"]], bands, threshold, time=time_of(state))]))


def values(double, nodes):
    """Results of nodes of the native graph; doubles share what they have made."""
    made = execute(nodes, Store(double.root / "native-store"))
    return [made.value(node) for node in nodes]


def steps_named(nodes, name):
    return [node for node in nodes if node.step.name == name]


def write_index(path, name, members, state=None):
    """Members of a file behind their index, with what the native functions hand on."""
    if not members:
        raise Fault(-25600, f"{path}: no member for {name}")
    rows = [fits.Column("MEMBER_NAME", "32A", array=[hdu.name for hdu in members])]
    for key, form in (("E_MIN", "1E"), ("E_MAX", "1E"), ("ISDCLEVL", "8A"), ("NAME", "20A")):
        empty = "" if form.endswith("A") else 0.0
        rows.append(fits.Column(key, form, array=[hdu.header.get(key, empty) for hdu in members]))
    index = fits.BinTableHDU.from_columns(rows, name="GROUPING")
    index.header["GRPNAME"] = name
    own = [] if state is None else [state_hdu(state)]
    fits.HDUList([fits.PrimaryHDU(), index, *members, *own]).writeto(path)


def output(dol, template):
    """File of an output DOL; its template must be the one that belongs there and the file must not exist."""
    match = re.fullmatch(r"([^(]+)(?:\((.*)\.tpl\))?", dol)
    if match is None or (match[2] or template) != template:
        raise Fault(-25601, f"{dol}: template {template} is needed")
    if Path(match[1]).exists():
        raise Fault(-25602, f"{match[1]}: exists")
    return Path(match[1])


def need(double, *names):
    """Refuse parameters whose files or extensions are not there."""
    for name in names:
        path, extension = split_dol(double[name])
        frame.find_extension(path, extension)


def bands_of(double, number="num_band", low="E_band_min", high="E_band_max"):
    edges = [[float(text) for text in double[name].split()] for name in (low, high)]
    if not len(edges[0]) == len(edges[1]) == int(double[number]) > 0:
        raise Fault(-122201, f"{number} = {double[number]} bands, {double[low]} to {double[high]}")
    return [list(pair) for pair in zip(*edges, strict=True)]


def begin(double, group):
    double.record(group.window)
    return double.maybe_fail(group.window)


def whole_group(double, parameter):
    """Groups of the windows of an observation group."""
    whole = Group(double[parameter])
    index = Group(whole.member("GNRL-SCWG-GRP-IDX"))
    for group in (whole, index):
        if group.keyword("ISDCLEVL") is None:
            raise Fault(-25512, f"{group.path}: no ISDCLEVL")
    return whole, [Group(path) for path in index.members("GNRL-SCWG-GRP")]
