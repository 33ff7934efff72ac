"""Doubles of the steps: the structures are OSA's, the numbers are those of the native functions.

What the native functions need and ISDC's structures have no room for travels in an extension of its own.
"""

from __future__ import annotations

import pickle
import re
import warnings
from dataclasses import replace
from pathlib import Path

import frame
import numpy as np
from astropy.io import fits
from frame import Fault, Group, split_dol

from integral_oda.archive.events import read_events
from integral_oda.engines.native.events import DeadTime, GoodTime, Gti, select_events
from integral_oda.engines.native.field import CatI, Effi
from integral_oda.engines.native.gather import Mosaic
from integral_oda.engines.native.image import BinI, BkgI, Ima
from integral_oda.engines.native.timing import JoinLcr, Lcr
from integral_oda.instrument.attitude import Attitude, separation_deg
from integral_oda.instrument.pif import pixel_illumination
from integral_oda.products.light_curve import read_light_curves, write_light_curve

warnings.simplefilter("ignore")

STATE = "NATIVE-STATE"
BIN = ("OBTSTART", "OBTEND")
BKG = (*BIN, "SWID", "SW_TYPE", "REVOL", "EXPID", "TSTART", "TSTOP", "SWBOUND")
IMA = (*BIN, "TSTART", "TSTOP", "SW_TYPE", "TELAPSE", "SWID", "SWBOUND")
SPE = (*BIN, "TSTART", "TSTOP", "SW_TYPE", "TELAPSE", "SWID")


# -- files -------------------------------------------------------------------------------------------------------------


def state_hdu(value):
    return fits.ImageHDU(np.frombuffer(pickle.dumps(value), np.uint8), name=STATE)


def state_of(path):
    with fits.open(frame.existing(path)) as hdus:
        return pickle.loads(hdus[STATE].data.tobytes())


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
    return list(zip(*edges, strict=True))


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
    events = select_events(read_events(group.member("ISGR-EVTS-ALL")))
    user = []
    if double["GTI_gtiUserI"]:
        rows = fits.getdata(double["GTI_gtiUserI"], 1)
        user = [[float(row["START"]), float(row["STOP"])] for row in rows]
    good = Gti().compute([events], {"intervals": user} if user else {}, {})
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
        return GoodTime(np.column_stack([table.data["START"], table.data["STOP"]]).astype(float))


def dead_time(path):
    rows = fits.getdata(split_dol(path)[0], "ISGR-DEAD-SCP")
    return DeadTime(np.array([np.mean(rows[f"II_DEADTIME_{m}"]) for m in range(8)], dtype=float), "isgri_dead.fits")


def ii_shadow_build(double):
    level = double["outputLevel"]
    group = Group(double["outSWGGRP"])
    begin(double, group)
    group.require(["ISGR-EVTS-COR", "ISGR-EVTS-ALL", "IBIS-DPE.-CNV", "AUXL-TCOR-HIS"], BIN, level)
    need(double, "idxLowThre", "idxNoisy")
    state = {"good": good_time(double["inGTI"], double["gti_name"]), "dead": dead_time(double["inDead"])}
    everything = read_events(group.member("ISGR-EVTS-ALL"))
    corrected = fits.getdata(group.member("ISGR-EVTS-COR"), "ISGR-EVTS-COR")
    state["events"] = select_events(replace(
        everything,
        energy_kev=corrected["ISGRI_ENERGY"].astype(np.float32),
        rise_time=corrected["ISGRI_PI"].astype(np.uint8),
        select_flag=corrected["SELECT_FLAG"].astype(np.uint8),
    ))  # fmt: skip
    state["field"] = CatI().compute([state["events"]], {}, {})
    state["efficiency"] = Effi().compute([state[n] for n in ("events", "good", "dead", "field")], {}, {})
    if level == "BIN_S":
        need(double, "inEnergyValues")
        channels = fits.getdata(split_dol(double["inEnergyValues"])[0], 1)
        state["bands"] = [(28.0, 80.0)]
        edges = [(float(a), float(b)) for a, b in zip(channels["E_MIN"], channels["E_MAX"], strict=True)]
    else:
        state["bands"] = edges = bands_of(double, "isgri_e_num", "isgri_e_min", "isgri_e_max")
    inputs = [state[name] for name in ("events", "good", "dead", "efficiency")]
    state["shadowgrams"] = [BinI().compute(inputs, {"band": list(band)}, {}) for band in state["bands"]]
    state["time_bin"] = float(double["isgri_t_len"])
    raw, efficiency = [], []
    for number, (low, high) in enumerate(edges):
        shadowgram = state["shadowgrams"][min(number, len(state["shadowgrams"]) - 1)]
        for found, name, plane in ((raw, "ISGR-DETE-SHD", "counts"), (efficiency, "ISGR-EFFI-SHD", "efficiency")):
            image = fits.ImageHDU(without_gaps(getattr(shadowgram, plane)), name=name)
            image.header.update({"E_MIN": low, "E_MAX": high, "ISDCLEVL": level})
            found.append(image)
    write_index(output(double["outRawShadow"], "ISGR-DETE-SHD-IDX"), "ISGR-DETE-SHD-IDX", raw, state)
    write_index(output(double["outEffShadow"], "ISGR-EFFI-SHD-IDX"), "ISGR-EFFI-SHD-IDX", efficiency)


def without_gaps(plane):
    rows = [row for row in range(134) if row % 34 not in (32, 33)]
    columns = [column for column in range(130) if column not in (64, 65)]
    return plane[np.ix_(rows, columns)]


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
        image = fits.ImageHDU(np.ones((4, 4), np.float32), name=f"ISGR-REB-{kind.upper()}")
        image.header.update({"E_MIN": low, "E_MAX": high})
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
    attitude = group_attitude(group)
    members = []
    for row in fits.getdata(double["inCat"], 1):
        for low, high in bands_of(double):
            members.append(pif_hdu(attitude, row, low, high))
    write_index(Path("isgri_model.fits"), "ISGR-PIF.-SHD-IDX", members)


def group_attitude(group):
    """Attitude of the window whose time-correlation file a group holds: the double asks the window's own group."""
    root = group.member("AUXL-TCOR-HIS").resolve().parents[3]
    (swg,) = root.glob(f"scw/*/{group.keyword('SWID') or swid_by_time(root, group)}.*/swg.fits")
    header = fits.getheader(swg, 1)
    return Attitude.from_keywords(header)


def swid_by_time(root, group):
    for swg in sorted(root.glob("scw/*/*/swg.fits")):
        if fits.getheader(swg, 1)["TSTART"] == group.keyword("TSTART"):
            return swg.parent.name.partition(".")[0]
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
    state["widths"] = [
        BkgI().compute([shadowgram, state["field"]], {"band": list(band)}, {})
        for shadowgram, band in zip(state["shadowgrams"], state["bands"], strict=True)
    ]
    members = []
    for shadowgram, band in zip(state["shadowgrams"], state["bands"], strict=True):
        for kind, plane in (("DETECTOR", "counts"), ("VARIANCE", "variance"), ("EFFICIENCY", "efficiency")):
            image = fits.ImageHDU(getattr(shadowgram, plane), name="ISGR-CEXP-SHD")
            image.header.update({"SHD_TYPE": kind, "E_MIN": band[0], "E_MAX": band[1], "ISDCLEVL": level})
            members.append(image)
    write_index(output(double["outCorShadow"], "ISGR-CEXP-SHD-IDX"), "ISGR-CEXP-SHD-IDX", members, state)


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
    if [tuple(band) for band in state["bands"]] != [tuple(band) for band in bands]:
        raise Fault(-122202, f"shadowgrams of {state['bands']}, bands {bands}")
    inputs = [state[n] for n in ("events", "good", "dead", "efficiency", "field")]
    parameters = {"bands": [list(band) for band in bands], "threshold": float(double["MinNewSouSnr"])}
    image = Ima().compute([*inputs, *state["shadowgrams"], *state["widths"]], parameters, {})
    kinds = ("INTENSITY", "VARIANCE", "SIGNIFICANCE", "RESIDUAL", "EXPOSURE")
    write_index(Path("isgri_sky_ima.fits"), "ISGR-SKY.-IMA-IDX", plane_hdus(image, "ISGR-SKY.-IMA", kinds), image)
    write_index(Path("isgri_sky_res.fits"), "ISGR-SKY.-RES-IDX", list_hdus(image, "ISGR-SKY.-RES"))
    source_list(output(double["outCat"], "ISGR-SRCL-RES"), image)


def _mosaic(double, groups):
    windows = [(group.window, state_of(group.member("ISGR-SKY.-IMA-IDX"))) for group in groups]
    mosaic = Mosaic().compute(windows, {}, {})
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


# -- light curves ------------------------------------------------------------------------------------------------------


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
    inputs = [state[n] for n in ("events", "good", "dead", "field")]
    parameters = {"band": list(state["bands"][0]), "time_bin": time_bin}
    members = []
    for row in rows:
        source = [str(row["NAME"]).strip(), float(row["RA_OBJ"]), float(row["DEC_OBJ"])]
        curves = Lcr().compute(
            [*inputs, state["shadowgrams"][0], state["widths"][0]], {**parameters, "source": source}, {}
        )
        members += [curve_hdu(curve) for curve in curves]
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
    band = bands_of(double, "num_e", "e_min", "e_max")[0]
    state["bands"] = [band]
    inputs = [state[name] for name in ("events", "good", "dead", "efficiency")]
    state["shadowgrams"] = [BinI().compute(inputs, {"band": list(band)}, {})]
    state["widths"] = [BkgI().compute([state["shadowgrams"][0], state["field"]], {"band": list(band)}, {})]
    light_curves(double, state, float(double["delta_t"]), state["rows"])


def ii_spectra_extract(double):
    group = extraction_group(double, "BIN_S")
    need(double, "idx_isgrResp")
    state = state_of(group.member("ISGR-CEXP-SHD-IDX"))
    state["rows"] = fits.getdata(double["inCat"], 1)
    attitude = Attitude.from_keywords(state["events"].header)
    pifs = [pif_hdu(attitude, row, 15.0, 1000.0) for row in state["rows"]]
    write_index(output(double["outPif"], "ISGR-PIF.-SHD-IDX"), "ISGR-PIF.-SHD-IDX", pifs, state)
    spectra = [spectrum_hdu(row, double) for row in state["rows"]]
    write_index(output(double["outSpec"], "ISGR-EVTS-SPE-IDX"), "ISGR-EVTS-SPE-IDX", spectra)


def spectrum_hdu(row, double):
    channels = fits.getdata(split_dol(double["idx_isgrResp"])[0], 1)
    columns = [
        fits.Column("CHANNEL", "1I", array=np.arange(len(channels))),
        fits.Column("RATE", "1E", array=np.zeros(len(channels))),
        fits.Column("STAT_ERR", "1E", array=np.ones(len(channels))),
    ]
    table = fits.BinTableHDU.from_columns(columns, name="ISGR-EVTS-SPE")
    table.header["NAME"] = str(row["NAME"]).strip()
    return table


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


TABLE = {
    function.__name__: function
    for function in (
        *(ibis_isgr_energy, ibis_isgr_evts_tag, ibis_gti, ibis_dead, ii_shadow_build, ii_map_rebin, cat_extract),
        *(fextract, ii_pif, ii_shadow_ubc, ghost_busters, ii_skyimage, src_collect, ii_lc_extract, ii_light),
        *(ii_spectra_extract, lc_pick),
    )
}
