"""Doubles of the steps that extract light curves and spectra of sources."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from astropy.io import fits
from frame import Fault, Group, split_dol
from native_files import (
    BIN,
    IMA,
    SPE,
    bands_of,
    begin,
    need,
    output,
    state_of,
    steps_named,
    time_of,
    values,
    whole_group,
    write_index,
)
from steps import attitude_of, pif_hdu

from integral_oda.archive.tree import Archive
from integral_oda.engines.native.graph import (
    Curves,
    light_curve_graph,
    spectrum_graph,
)
from integral_oda.engines.native.spectra import extracted_edges_kev
from integral_oda.engines.native.timing import JoinLcr
from integral_oda.instrument.energy import EnergyBand
from integral_oda.instrument.response import osa_channel_edges_kev
from integral_oda.products.light_curve import read_light_curves, write_light_curve
from integral_oda.spectra.binning import channel_edges
from integral_oda.workflow.executor import execute
from integral_oda.workflow.graph import walk
from integral_oda.workflow.store import Store


def extraction_group(double, level):
    group = Group(double["outSwg"])
    begin(double, group)
    group.require(["ISGR-CEXP-SHD-IDX", "AUXL-TCOR-HIS", "AUXL-ATTI-HIS", "IBIS-GNRL-GTI-IDX"], SPE, level)
    need(double, "inCat", "mask", "tungAtt", "aluAtt", "leadAtt", "isgrUnifDol", "isgrBkgDol", "corrDol")
    return group


def ii_lc_extract(double):
    group = extraction_group(double, "BIN_T")
    state = state_of(group.member("ISGR-CEXP-SHD-IDX"))
    light_curves(double, state, state["time_bin"], fits.getdata(double["inCat"], 1))


def light_curves(double, state, time_bin, rows):
    archive = Archive(state["archive"])
    nodes = []
    for row in rows:
        source = (str(row["NAME"]).strip(), float(row["RA_OBJ"]), float(row["DEC_OBJ"]))
        asked = Curves(tuple(EnergyBand(*band) for band in state["bands"]), {"width_s": time_bin}, source)
        nodes += steps_named(walk([light_curve_graph(archive, [state["scw"]], asked, time=time_of(state))]), "LCR")
    members = [curve_hdu(curve) for curves in values(double, nodes) for curve in curves]
    write_index(output(double["outLC"], "ISGR-SRC.-LCR-IDX"), "ISGR-SRC.-LCR-IDX", members)


def curve_hdu(curve):
    path = Path(".curve.fits")
    write_light_curve(path, curve)
    with fits.open(path, memmap=False) as hdus:
        table = hdus[1].copy()
    path.unlink()
    return table


def ii_light(double):
    group = Group(double["inSwg"])
    begin(double, group)
    members = ["ISGR-EVTS-COR", "ISGR-EVTS-ALL", "AUXL-TCOR-HIS", "AUXL-ATTI-HIS", "IBIS-GNRL-GTI-IDX"]
    group.require(members, (*BIN, "TSTART", "TSTOP", "RA_SCX", "DEC_SCX", "RA_SCZ", "DEC_SCZ"), "BIN_S")
    need(double, "context", "idxSwitch", "idxNoise", "backDol", "corrDol", "pifDOL")
    state = state_of(double["pifDOL"])
    state["bands"] = bands_of(double, "num_e", "e_min", "e_max")
    rows = fits.getdata(split_dol(double["pifDOL"])[0], "SOURCES")
    light_curves(double, state, float(double["delta_t"]), rows)


def ii_spectra_extract(double):
    group = extraction_group(double, "BIN_S")
    need(double, "idx_isgrResp")
    state = state_of(group.member("ISGR-CEXP-SHD-IDX"))
    rows = fits.getdata(double["inCat"], 1)
    attitude = attitude_of(state)
    pifs = [pif_hdu(attitude, row, 15.0, 1000.0) for row in rows]
    target = output(double["outPif"], "ISGR-PIF.-SHD-IDX")
    write_index(target, "ISGR-PIF.-SHD-IDX", pifs, state)
    fits.append(target, rows, fits.Header({"EXTNAME": "SOURCES"}))
    spectra = []
    for row in rows:
        name = str(row["NAME"]).strip()
        (window,) = values(double, steps_named(spectrum_nodes(state, name, row), "SPE"))
        spectra.append(spectrum_hdu(name, window))
    target = output(double["outSpec"], "ISGR-EVTS-SPE-IDX")
    write_index(target, "ISGR-EVTS-SPE-IDX", spectra, state)


def spectrum_nodes(state, name, row):
    source = (name, float(row["RA_OBJ"]), float(row["DEC_OBJ"]))
    edges = [float(edge) for edge in channel_edges(256)]
    windows = [state["scw"]] if isinstance(state["scw"], str) else state["scw"]
    graph = spectrum_graph(Archive(state["archive"]), windows, edges, 0.0, source, time=time_of(state))
    return list(walk([graph]))


def spectrum_hdu(name, window):
    columns = [
        fits.Column("CHANNEL", "1I", array=np.arange(len(osa_channel_edges_kev()) - 1)),
        fits.Column("RATE", "1E", array=_all_channels(window.flux[0])),
        fits.Column("STAT_ERR", "1E", array=_all_channels(np.sqrt(np.diag(window.covariance[0])))),
    ]
    table = fits.BinTableHDU.from_columns(columns, name="ISGR-EVTS-SPE")
    carried = ("REVOL", "SWID", "TSTART", "TSTOP", "TELAPSE", "ONTIME", "DEADC", "EXPOSURE")
    table.header.update({key: window.keywords[key] for key in carried if window.keywords.get(key) is not None})
    table.header.update({"NAME": name, "RA_OBJ": window.ra_deg[0], "DEC_OBJ": window.dec_deg[0]})
    return table


def _all_channels(values):
    """Values of all of OSA's channels, 0 in those that the native engine does not extract."""
    edges = osa_channel_edges_kev()
    first = int(np.searchsorted(edges, extracted_edges_kev()[0]))
    spread = np.zeros(len(edges) - 1)
    spread[first : first + len(values)] = np.nan_to_num(values)
    return spread


def spe_pick(double):
    _, groups = whole_group(double, "group")
    begin(double, groups[0])
    states = []
    for group in groups:
        group.require(["ISGR-EVTS-SPE-IDX", "AUXL-TCOR-HIS"], IMA, "BIN_I")
        path = group.member("ISGR-EVTS-SPE-IDX")
        with fits.open(path) as hdus:
            found = [hdu.header for hdu in hdus[2:] if hdu.header.get("NAME") == double["source"]]
        if found:
            states.append(state_of(path))
    if not states:
        raise Fault(-1, f"no spectrum of {double['source']}")
    row = {"RA_OBJ": found[0]["RA_OBJ"], "DEC_OBJ": found[0]["DEC_OBJ"]}
    together = {**states[0], "scw": [state["scw"] for state in states], "good_time": []}
    target = steps_named(spectrum_nodes(together, double["source"], row), "PACK_SPE")
    store = Store(double.root / "native-store")
    folder = store.find(execute(target, store).key(target[0]))
    for kind, ending in (("spectrum", "pha"), ("rmf", "rmf"), ("arf", "arf")):
        (path,) = folder.glob(f"isgri_{kind}_*.fits")
        Path(f"{double['rootname']}_sum_{ending}.fits").write_bytes(path.read_bytes())


def lc_pick(double):
    _, groups = whole_group(double, "group")
    begin(double, groups[0])
    inputs = []
    for group in groups:
        group.require(["ISGR-SRC.-LCR-IDX", "AUXL-TCOR-HIS"], IMA, "BIN_I")
        curves = [c for c in read_light_curves(group.member("ISGR-SRC.-LCR-IDX")) if c.name == double["source"]]
        if curves:
            inputs.append((group.window, curves))
    if not inputs:
        raise Fault(-1, f"no light curve of {double['source']}")
    (joined,) = JoinLcr().compute(inputs, {}, {})
    write_light_curve(double["lc"], joined)


TABLE = {function.__name__: function for function in (ii_lc_extract, ii_light, ii_spectra_extract, lc_pick, spe_pick)}
