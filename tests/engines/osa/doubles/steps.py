"""Doubles of the steps: the structures are OSA's, the numbers are those of the native engine's steps.

Which window, which good time and which bands a file is about travels in an extension of its own, from each double to
those that are handed its files: what comes out at the end is right only if every one was handed the right files.
"""

from __future__ import annotations

import json
import re
from itertools import pairwise
from pathlib import Path

import frame
import numpy as np
from astropy.io import fits
from frame import Fault, Group, split_dol
from native_files import (
    BIN,
    BKG,
    IMA,
    STATE,
    bands_of,
    begin,
    image_nodes,
    need,
    output,
    state_of,
    steps_named,
    values,
    whole_group,
    window_of,
    write_index,
)

from integral_oda.archive.tree import Archive
from integral_oda.engines.native.events import GoodTime
from integral_oda.engines.native.field import live_time_map
from integral_oda.engines.native.graph import (
    gathered_images,
)
from integral_oda.engines.native.image import counts_in_band
from integral_oda.engines.native.window_fit import live_in_bins
from integral_oda.instrument.attitude import SKY_SHAPE, Attitude, separation_deg
from integral_oda.instrument.detector import DETECTOR_SHAPE, OPEN_PIXELS, active_pixels, module_map
from integral_oda.instrument.energy import ENERGY_RANGE_KEV, EnergyBand
from integral_oda.instrument.pif import pixel_illumination
from integral_oda.instrument.pixel_status import on_grid, without_gaps
from integral_oda.simulation.plane import background_shape
from integral_oda.simulation.recipe import BackgroundModel
from integral_oda.timing.binning import fixed_edges
from integral_oda.timing.good_time import intersect, total_s

BACKGROUND = {"rate": 200, "edge_excess": 0.1}
OFF_AXIS = 0.8

# -- from events to shadowgrams ----------------------------------------------------------------------------------------


def ibis_isgr_energy(double):
    group = Group(double["inGRP"])
    begin(double, group)
    group.require(["ISGR-EVTS-ALL", "IBIS-DPE.-CNV", "AUXL-TCOR-HIS"])
    need(
        double, "riseDOL", "GODOL", *(n for n in ("mcecDOL", "l2reDOL", "supGDOL", "supODOL") if n in double.parameters)
    )
    path = output(double["outCorEvts"], "ISGR-EVTS-COR")
    rows = fits.getdata(group.member("ISGR-EVTS-ALL"), "ISGR-EVTS-ALL")
    columns = [
        fits.Column("ISGRI_PI", "1B", array=rows["ISGRI_PI"]),
        fits.Column("ISGRI_ENERGY", "1E", unit="keV", array=rows["ISGRI_ENERGY"]),
        fits.Column("SELECT_FLAG", "1B", array=np.zeros(len(rows), np.uint8)),
    ]
    fits.BinTableHDU.from_columns(columns, name="ISGR-EVTS-COR").writeto(path)


def ibis_isgr_evts_tag(double):
    group = Group(double["inGRP"])
    begin(double, group)
    group.require(["ISGR-EVTS-ALL", "ISGR-EVTS-COR"], BIN)
    need(double, "idxSwitch")
    flags = fits.getdata(group.member("ISGR-EVTS-ALL"), "ISGR-EVTS-ALL")["SELECT_FLAG"]
    with fits.open(group.member(double["seleEXT"]), mode="update") as hdus:
        hdus["ISGR-EVTS-COR"].data["SELECT_FLAG"] = flags


def ibis_gti(double):
    group = Group(double["swgDOL"])
    begin(double, group)
    need(double, "IC_Group", "GTI_BTI_Dol")
    user = []
    if double["GTI_gtiUserI"]:
        rows = fits.getdata(double["GTI_gtiUserI"], 1)
        user = [[float(row["START"]), float(row["STOP"])] for row in rows]
    state = {**window_of(group), "good_time": user, "bands": [[28.0, 80.0]]}
    (good,) = values(double, steps_named(image_nodes(state, 5.0), "GTI"))
    start, stop = good.intervals_ijd.T
    table = fits.BinTableHDU.from_columns(
        [fits.Column("START", "1D", unit="d", array=start), fits.Column("STOP", "1D", unit="d", array=stop)],
        name="IBIS-GNRL-GTI",
    )
    table.header["GTI_NAME"] = "MERGED_ISGRI"
    write_index(output(double["GTI_Index"], "IBIS-GNRL-GTI-IDX"), "IBIS-GNRL-GTI-IDX", [table])


def ibis_dead(double):
    group = Group(double["swgDOL"])
    begin(double, group)
    need(double, "IC_Group")
    path = output(double["isgroutDead"], "ISGR-DEAD-SCP")
    path.write_bytes(group.member("ISGR-DEAD-SCP").read_bytes())


def good_time(path, name="MERGED_ISGRI"):
    with fits.open(frame.existing(split_dol(str(path))[0])) as hdus:
        table = next((hdu for hdu in hdus[1:] if hdu.header.get("GTI_NAME") == name), None)
        if table is None:
            raise Fault(-121220, f"{path}: no good time {name}")
        return [[float(row["START"]), float(row["STOP"])] for row in table.data]


def ii_shadow_build(double):
    level = double["outputLevel"]
    group = Group(double["outSWGGRP"])
    begin(double, group)
    group.require(["ISGR-EVTS-COR", "ISGR-EVTS-ALL", "IBIS-DPE.-CNV", "AUXL-TCOR-HIS"], BIN, level)
    need(double, "idxLowThre", "idxNoisy", "inDead")
    corrected = fits.getdata(group.member("ISGR-EVTS-COR"), "ISGR-EVTS-COR")
    raw = fits.getdata(group.member("ISGR-EVTS-ALL"), "ISGR-EVTS-ALL")
    if not all(np.array_equal(corrected[name], raw[name]) for name in ("ISGRI_ENERGY", "ISGRI_PI", "SELECT_FLAG")):
        raise Fault(-121201, "corrected events of another window, or not tagged")
    state = {**window_of(group), "good_time": good_time(double["inGTI"], double["gti_name"])}
    state["time_bin"] = float(double["isgri_t_len"])
    if level == "BIN_S":
        need(double, "inEnergyValues")
        channels = fits.getdata(split_dol(double["inEnergyValues"])[0], 1)
        edges = [[float(a), float(b)] for a, b in zip(channels["E_MIN"], channels["E_MAX"], strict=True)]
        state["bands"] = [[28.0, 80.0]]
    else:
        state["bands"] = edges = bands_of(double, "isgri_e_num", "isgri_e_min", "isgri_e_max")
    made = {"BIN_I": binned_bands, "BIN_S": binned_channels, "BIN_T": binned_times}[level]
    write_shadowgrams(double, list(made(double, state, edges)), level, state)


def window_values(double, state):
    """Events, good time, dead time and efficiency of the window, and the shadowgrams of its bands."""
    nodes = image_nodes(state, 5.0)
    first = (steps_named(nodes, name)[0] for name in ("COR", "GTI", "DEAD", "EFFI"))
    return values(double, [*first, *steps_named(nodes, "BIN_I")])


def binned_bands(double, state, edges):
    """Planes of all bands: edges, times, counts and efficiency."""
    _, good, *_, shadowgrams = split_after(window_values(double, state), 4)
    for band, shadowgram in zip(edges, shadowgrams, strict=True):
        yield band, span(good), shadowgram.counts, seen_by(shadowgram, good)


def split_after(items, number):
    return [*items[:number], items[number:]]


def span(good):
    return float(good.intervals_ijd[0, 0]), float(good.intervals_ijd[-1, 1])


def seen_by(shadowgram, good):
    """Efficiency of the pixels in the good time, dead time included."""
    return np.asarray(shadowgram.source_response) * OPEN_PIXELS / good.ontime_s


def binned_channels(double, state, edges):
    """Planes of OSA's channels: the simulated pixels have no thresholds, those that are used see everything."""
    events, good, dead, efficiency, _ = split_after(window_values(double, state), 4)
    truth = json.loads((Path(state["archive"]) / "truth.json").read_text())
    if max(truth["detector"]["low_threshold_kev"]):
        raise Fault(-121202, "efficiencies of pixels with thresholds")
    seen = np.where(efficiency.usable, live_time_map(good, dead) / good.ontime_s, 0.0)
    for low, high in edges:
        inside = ENERGY_RANGE_KEV[0] <= low < ENERGY_RANGE_KEV[1]
        yield [low, high], span(good), counts_in_band(events, good, EnergyBand(low, high)), seen * inside


def binned_times(double, state, edges):
    """Planes of a band in time bins."""
    events, good, dead, _, shadowgrams = split_after(window_values(double, state), 4)
    times = fixed_edges(*span(good), state["time_bin"])
    fraction = live_in_bins(events, good, dead, times)
    module = np.clip(module_map(), 0, None)
    for (low, high), shadowgram in zip(edges, shadowgrams, strict=True):
        for number, (start, stop) in enumerate(pairwise(times)):
            inside = GoodTime(intersect(good.intervals_ijd, np.array([[start, stop]])))
            counts = counts_in_band(events, inside, EnergyBand(low, high))
            yield [low, high], (start, stop), counts, shadowgram.efficiency * fraction[module, number]


def write_shadowgrams(double, planes, level, state):
    raw, efficiency = [], []
    good = np.array(state["good_time"])
    for (low, high), (start, stop), counts, seen in planes:
        ontime = total_s(intersect(good, np.array([[start, stop]])))
        told = {"E_MIN": low, "E_MAX": high, "ISDCLEVL": level, "TFIRST": start, "TLAST": stop, "ONTIME": ontime}
        for found, name, plane in ((raw, "ISGR-DETE-SHD", counts), (efficiency, "ISGR-EFFI-SHD", seen)):
            image = fits.ImageHDU(without_gaps(plane), name=name)
            image.header.update(told)
            found.append(image)
    write_index(output(double["outRawShadow"], "ISGR-DETE-SHD-IDX"), "ISGR-DETE-SHD-IDX", raw, state)
    write_index(output(double["outEffShadow"], "ISGR-EFFI-SHD-IDX"), "ISGR-EFFI-SHD-IDX", efficiency)


MAPS = {
    "Bkg": lambda: background_shape(BackgroundModel(**BACKGROUND), np.random.default_rng(0)).astype(np.float32),
    "Uni": lambda: active_pixels().astype(np.float32),
    "Corr": lambda: np.full(SKY_SHAPE, round(100 * OFF_AXIS), np.uint8),
}
"""Maps of a band: shape of the simulated background, pixels that are all alike, a support that takes a fifth."""


def ii_map_rebin(double):
    path = split_dol(double["outSwg"])[0]
    double.record("")
    told = double.maybe_fail("")
    with fits.open(path) as hdus:
        if hdus[1].header["GRPNAME"] != "ISGR-DETE-SHD-IDX":
            raise Fault(-25513, f"{path}: no index of shadowgrams")
        bands = [(hdu.header["E_MIN"], hdu.header["E_MAX"]) for hdu in hdus[2:]]
        rows = [(row["E_MIN"], row["E_MAX"]) for row in hdus[1].data]
        levels = {hdu.header["ISDCLEVL"] for hdu in hdus[2:]}
    if not bands or levels != {double["OutType"]} or not np.allclose(bands, rows):
        double.log(f"No shd found of type {double['OutType']}")
        bands = bands or [(0.0, 0.0)]
    need(double, "arfDol")
    ((kind, target),) = [(n, double[f"reb{n}Dol"]) for n in ("Bkg", "Corr", "Uni") if double[f"reb{n}Dol"]]
    need(double, f"inp{kind}Dol")
    members = []
    for low, high in bands:
        image = fits.ImageHDU(MAPS[kind](), name=f"ISGR-REB-{kind.upper()}")
        image.header.update({"E_MIN": low, "E_MAX": high, **({"BSCALE": 0.01} if kind == "Corr" else {})})
        members.append(image)
    write_index(Path(target), f"ISGR-REB-{kind.upper()}-IDX", members)
    if told:
        double.log(told)


# -- catalogues and PIFs -----------------------------------------------------------------------------------------------


def filtered(dol):
    """Rows of a catalogue DOL with its row filter."""
    path, extension = split_dol(dol)
    parts = extension.split("][")
    rows = fits.getdata(frame.existing(path), 1)
    kept = np.ones(len(rows), bool)
    for condition in (c for part in parts if not part.isdigit() for c in part.split("&&") if c):
        match = re.fullmatch(r"(\w+)(==|>)(-?[\d.]+)", condition.strip())
        if match is None:
            raise Fault(-25700, f"{dol}: no row filter {condition}")
        values, limit = rows[match[1]], float(match[3])
        kept &= values == limit if match[2] == "==" else values > limit
    return rows[kept]


def cat_extract(double):
    group = Group(double["outGRP"])
    begin(double, group)
    group.require([], ("RA_SCX", "DEC_SCX"))
    rows = filtered(double["refCat"])
    away = separation_deg(group.keyword("RA_SCX"), group.keyword("DEC_SCX"), rows["RA_OBJ"], rows["DEC_OBJ"])
    table = fits.BinTableHDU(rows[away < 21], name=double["outExt"])
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(output(double["outCat"], "ISGR-SRCL-CAT"))


def fextract(double):
    double.record("")
    fits.BinTableHDU(filtered(double["infile"]), name="GNRL-REFR-CAT").writeto(double["outfile"], overwrite=True)


def ii_pif(double):
    _, (group,) = whole_group(double, "outOG")
    begin(double, group)
    group.require(["GNRL-REFR-CAT", "AUXL-TCOR-HIS", "IBIS-GNRL-GTI-IDX"], (*BIN, "TSTART", "TSTOP"), "BIN_I")
    need(double, "mask", "tungAtt", "aluAtt", "leadAtt")
    attitude = attitude_at(group)
    members = []
    for row in fits.getdata(double["inCat"], 1):
        for low, high in bands_of(double):
            members.append(pif_hdu(attitude, row, low, high))
    write_index(Path("isgri_model.fits"), "ISGR-PIF.-SHD-IDX", members)


def attitude_of(state):
    swg = Archive(state["archive"]).find(state["scw"], "swg.fits")
    return Attitude.from_keywords(fits.getheader(swg, 1))


def attitude_at(group):
    """Attitude of the window of a group that holds no raw file of it: the one that begins at the same time."""
    root = group.member("AUXL-TCOR-HIS").resolve().parents[3]
    for swg in sorted(root.glob("scw/*/*/swg.fits")):
        header = fits.getheader(swg, 1)
        if header["TSTART"] == group.keyword("TSTART"):
            return Attitude.from_keywords(header)
    raise Fault(-25514, "no window of this time")


def pif_hdu(attitude, row, low, high):
    tangents = (float(t) for t in attitude.tangents(row["RA_OBJ"], row["DEC_OBJ"]))
    image = fits.ImageHDU(pixel_illumination(*tangents).astype(np.float32), name="ISGR-PIF.-SHD")
    image.header.update({"NAME": row["NAME"], "E_MIN": low, "E_MAX": high})
    image.header.update({"RA_OBJ": float(row["RA_OBJ"]), "DEC_OBJ": float(row["DEC_OBJ"])})
    return image


# -- background and images ---------------------------------------------------------------------------------------------


def ii_shadow_ubc(double):
    level = double["OutType"]
    group = Group(double["outSWGRP"])
    begin(double, group)
    group.require(["ISGR-DETE-SHD-IDX", "ISGR-EFFI-SHD-IDX"], BKG, level)
    need(double, "isgrUnifDol", "isgrBkgDol", *(["brPif"] if double["brPif"] else []))
    state = state_of(group.member("ISGR-DETE-SHD-IDX"))
    raw, seen, uniformity, background = (
        planes_of(path)
        for path in (
            *(group.member(f"ISGR-{kind}-SHD-IDX") for kind in ("DETE", "EFFI")),
            *(split_dol(double[name])[0] for name in ("isgrUnifDol", "isgrBkgDol")),
        )
    )
    dark = np.ones(DETECTOR_SHAPE, bool)
    if double["brPif"]:
        bright = planes_of(split_dol(double["brPif"])[0], "ISGR-PIF.-SHD")
        for _, plane in bright:
            dark &= plane <= float(double["brPifThreshold"])
    bands = {edges_of(header): number for number, (header, _) in enumerate(uniformity)}
    members = []
    for (header, counts), (_, efficiency) in zip(raw, seen, strict=True):
        unif, back = (maps[bands[edges_of(header)]][1] for maps in (uniformity, background))
        planes = corrected(counts, efficiency, unif, back, dark, header["ONTIME"])
        for kind, plane in zip(("DETECTOR", "VARIANCE", "EFFICIENCY"), planes, strict=True):
            image = fits.ImageHDU(plane, name="ISGR-CEXP-SHD")
            image.header.update({key: header[key] for key in ("E_MIN", "E_MAX", "TFIRST", "TLAST", "ONTIME")})
            image.header.update({"SHD_TYPE": kind, "ISDCLEVL": level})
            members.append(image)
    write_index(output(double["outCorShadow"], "ISGR-CEXP-SHD-IDX"), "ISGR-CEXP-SHD-IDX", members, state)


def planes_of(path, name=None):
    """Headers and planes, with the gaps between modules, of the images of a file."""
    with fits.open(frame.existing(path)) as hdus:
        images = [hdu for hdu in hdus[1:] if hdu.is_image and hdu.name != STATE and name in (None, hdu.name)]
        grids = [on_grid(hdu.data) if hdu.data.shape == (128, 128) else hdu.data for hdu in images]
        return [(hdu.header, np.asarray(grid, float)) for hdu, grid in zip(images, grids, strict=True)]


def edges_of(header):
    return round(header["E_MIN"], 1), round(header["E_MAX"], 1)


def corrected(counts, efficiency, uniformity, background, dark, ontime):
    """Rate of every pixel less the background, its variance, and its weight."""
    used = (efficiency > 0) & (uniformity > 0)
    seen = np.where(used, efficiency * uniformity * ontime, 1.0)
    shape = np.where(used, seen * background, 0.0)
    fitted = used & dark if (used & dark).any() else used
    level = counts[fitted].sum() / max(shape[fitted].sum(), 1e-30)
    rate = np.where(used, (counts - level * shape) / seen, 0.0)
    return rate, np.where(used, counts / seen**2, 0.0), np.where(used, efficiency, 0.0)


def ghost_busters(double):
    group = Group(double["inDOL"])
    begin(double, group)
    group.require(["ISGR-CEXP-SHD-IDX", "AUXL-ATTI-HIS"], ("TSTART", "TSTOP"))
    need(double, "maskmod")
    filtered(double["sourcecat"])
    with fits.open(group.member("ISGR-CEXP-SHD-IDX"), mode="update") as hdus:
        for hdu in hdus[2:]:
            hdu.header["GBUSTED"] = True


def ii_skyimage(double):
    whole, groups = whole_group(double, "outOG")
    need(double, "mask", "deco", "tungAtt", "aluAtt", "leadAtt", "covrMod", "corrDol")
    begin(double, groups[0] if double["DoPart2"] == "1" else whole)
    bands = bands_of(double)
    if double["DoPart2"] == "1":
        (group,) = groups
        group.require(["ISGR-CEXP-SHD-IDX", "ISGR-SRCL-CAT", "AUXL-TCOR-HIS", "IBIS-GNRL-GTI-IDX"], IMA, "BIN_I")
        _sky_image(double, group, bands)
    else:
        for group in groups:
            members = ["ISGR-SKY.-IMA-IDX", "ISGR-SKY.-RES-IDX", "IBIS-GNRL-GTI-IDX", "ISGR-CEXP-SHD-IDX"]
            group.require([*members, "AUXL-TCOR-HIS"], IMA, "BIN_I")
        for name in ("ISGR-SKY.-RES", "ISGR-SRCL-CAT"):
            whole.member(name)
        _mosaic(double, groups)


def _sky_image(double, group, bands):
    if group.keyword("INSTRUME") != "IBIS":
        raise Fault(-122210, f"INSTRUME is {group.keyword('INSTRUME')}")
    state = state_of(group.member("ISGR-CEXP-SHD-IDX"))
    if state["bands"] != bands:
        raise Fault(-122202, f"shadowgrams of {state['bands']}, bands {bands}")
    state["good_time"] = good_time(group.member("IBIS-GNRL-GTI-IDX"))
    state["threshold"] = float(double["MinNewSouSnr"])
    (image,) = values(double, steps_named(image_nodes(state, state["threshold"]), "IMA"))
    kinds = ("INTENSITY", "VARIANCE", "SIGNIFICANCE", "RESIDUAL", "EXPOSURE")
    write_index(Path("isgri_sky_ima.fits"), "ISGR-SKY.-IMA-IDX", plane_hdus(image, "ISGR-SKY.-IMA", kinds), state)
    write_index(Path("isgri_sky_res.fits"), "ISGR-SKY.-RES-IDX", list_hdus(image, "ISGR-SKY.-RES"))
    source_list(output(double["outCat"], "ISGR-SRCL-RES"), image)


def _mosaic(double, groups):
    states = [state_of(group.member("ISGR-SKY.-IMA-IDX")) for group in groups]
    for group, state in zip(groups, states, strict=True):
        if (
            not state["scw"].startswith(group.window)
            or good_time(group.member("IBIS-GNRL-GTI-IDX")) != state["good_time"]
        ):
            raise Fault(-122203, f"{group.path}: image of {state['scw']}")
    images = [steps_named(image_nodes(state, state["threshold"]), "IMA")[0] for state in states]
    archive = Archive(states[0]["archive"])
    (mosaic,) = values(double, [gathered_images(archive, images, float(double["MinNewSouSnr"]))])
    kinds = ("INTENSITY", "VARIANCE", "SIGNIFICANCE", "EXPOSURE")
    members = plane_hdus(mosaic, "ISGR-MOSA-IMA", kinds)
    write_index(output(double["outMosIma"], "ISGR-MOSA-IMA-IDX"), "ISGR-MOSA-IMA-IDX", members)
    target = output(double["outMosRes"], "ISGR-MOSA-RES-IDX")
    write_index(target, "ISGR-MOSA-RES-IDX", list_hdus(mosaic, "ISGR-MOSA-RES"))
    source_list(output(double["outCat"], "ISGR-SRCL-RES"), mosaic)


def plane_hdus(window, name, kinds):
    members = []
    for image in window.images:
        for kind in kinds:
            plane = image.intensity if kind == "RESIDUAL" else getattr(image, kind.lower())
            hdu = fits.ImageHDU(plane, header=image.wcs.to_header(), name=name)
            hdu.header.update({key: value for key, value in image.keywords.items() if value is not None})
            hdu.header.update({"IMATYPE": kind, "E_MIN": image.band.e1_kev, "E_MAX": image.band.e2_kev})
            members.append(hdu)
    return members


def list_hdus(window, name):
    return [list_hdu(window, name, [k]) for k in range(len(window.images))]


def list_hdu(window, name, numbers):
    sources = window.sources

    def vector(attribute):
        values = [[getattr(s.bands[k], attribute) for k in numbers] for s in sources]
        return np.array(values, np.float32).reshape(len(sources), len(numbers))

    form = f"{len(numbers)}E"
    columns = [
        fits.Column("SOURCE_ID", "16A", array=np.array([s.name for s in sources], "S16")),
        fits.Column("NAME", "100A", array=np.array([s.name for s in sources], "S100")),
        fits.Column("RA_OBJ", "1E", array=[s.ra_deg for s in sources]),
        fits.Column("DEC_OBJ", "1E", array=[s.dec_deg for s in sources]),
        fits.Column("RA_FIN", "1D", array=[s.ra_deg for s in sources]),
        fits.Column("DEC_FIN", "1D", array=[s.dec_deg for s in sources]),
        fits.Column("FIN_RD_ERR", "1E", array=[s.error_radius_arcmin / 60 for s in sources]),
        fits.Column("NEW_SOURCE", "1I", array=[int(s.new) for s in sources]),
        fits.Column("ISGRI_FLAG", "1I", array=[int(not s.new) for s in sources]),
        *(fits.Column(column, form, array=vector(attribute)) for column, attribute in (
            ("DETSIG", "significance"), ("FLUX", "flux"), ("FLUX_ERR", "flux_error"),
            ("E_MIN", "e1_kev"), ("E_MAX", "e2_kev"))),
    ]  # fmt: skip
    return fits.BinTableHDU.from_columns(columns, name=name)


def source_list(path, window):
    table = list_hdu(window, "ISGR-SRCL-RES", range(len(window.images)))
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(path)


def src_collect(double):
    _, groups = whole_group(double, "group")
    double.record(",".join(group.window for group in groups))
    rows = [fits.getdata(group.member("ISGR-SKY.-RES-IDX"), 2) for group in groups]
    fits.BinTableHDU(np.concatenate(rows), name="ISGR-SRC.-COL").writeto(double["results"])


TABLE = {
    function.__name__: function
    for function in (
        *(ibis_isgr_energy, ibis_isgr_evts_tag, ibis_gti, ibis_dead, ii_shadow_build, ii_map_rebin, cat_extract),
        *(fextract, ii_pif, ii_shadow_ubc, ghost_busters, ii_skyimage, src_collect),
    )
}
