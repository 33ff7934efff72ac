"""COR to BKG: from a science window's events to background-corrected shadowgrams."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from integral_oda.catalog.designations import lasting_name
from integral_oda.catalog.reference import SAME_PLACE_ARCMIN
from integral_oda.engines.osa.containers import WORK
from integral_oda.engines.osa.groups import (
    BIN_KEYWORDS,
    BKG_KEYWORDS,
    CAT_KEYWORDS,
    GB_KEYWORDS,
    PIF_KEYWORDS,
    band_index,
    band_parameters,
    observation_group,
    science_window_group,
)
from integral_oda.engines.osa.step import Call, OsaStep
from integral_oda.engines.osa.workspace import Workspace
from integral_oda.errors import DataError
from integral_oda.instrument.attitude import separation_deg

__all__ = [
    "BKG_FILE",
    "CATALOGUE_FILE",
    "CORRECTED_FILE",
    "DEAD_FILE",
    "DETECTOR_FILE",
    "EFFICIENCY_FILE",
    "GTI_FILE",
    "MAP_FILES",
    "Bin",
    "Bkg",
    "CatI",
    "Cor",
    "Dead",
    "GhostBusters",
    "Gti",
    "Maps",
    "Pif",
    "add_sources",
    "name_new_sources",
]

CORRECTED_FILE, GTI_FILE, DEAD_FILE = "isgri_events_corrected.fits", "ibis_gti.fits", "isgri_dead.fits"
DETECTOR_FILE, EFFICIENCY_FILE = "isgri_detector_shadowgram.fits", "isgri_efficiency_shadowgram.fits"
CATALOGUE_FILE, PIF_FILE, BKG_FILE = "isgri_catalog.fits", "isgri_model.fits", "isgri_cor_shad.fits"
_USER_GTI = "gti_user.fits"
_MAPS = {"back": "Bkg", "corr": "Corr", "unif": "Uni"}
MAP_FILES = {name: f"rebinned_{name}.fits" for name in _MAPS}
_BRIGHT = "ISGRI_FLAG2==5&&ISGR_FLUX_1>100"
_ATTENUATION = ("mask", "tungAtt", "aluAtt", "leadAtt")


class Cor(OsaStep):
    """Reconstruct the energies, then flag events of pixels that became noisy."""

    outputs: ClassVar = (CORRECTED_FILE,)

    def carry_out(self, call: Call) -> None:
        """Run ibis_isgr_energy and ibis_isgr_evts_tag."""
        work, swg = call.work, call.raw["swg"]
        group = science_window_group(work, swg, [call.dol("events"), call.dol("hk"), call.dol("tcor")])
        work.run("ibis_isgr_energy", (CORRECTED_FILE,), inGRP=group,
                 outCorEvts=f"{CORRECTED_FILE}(ISGR-EVTS-COR.tpl)", **_energy_calibration(call))  # fmt: skip
        tagged = science_window_group(work, swg, [call.dol("events"), CORRECTED_FILE], BIN_KEYWORDS, name="og_tag.fits")
        work.run("ibis_isgr_evts_tag", inGRP=tagged, idxSwitch=call.dol("switch"))


def _energy_calibration(call: Call) -> dict[str, Any]:
    gain = call.calibration("gain_offset")
    if call.work.installation.version.startswith("10"):
        drift = {"supGDOL": call.calibration("gain_10"), "supODOL": call.calibration("offset_10")}
        return {"GODOL": gain, "riseDOL": call.calibration("rise_10"), "useGTI": False, **drift}
    modules = {"mcecDOL": call.calibration("mcec"), "l2reDOL": call.calibration("l2re")}
    return {"GODOL": gain, "riseDOL": call.calibration("rise"), "useGTI": True, **modules}


class Gti(OsaStep):
    """Good time of the window, cut to what a user asks."""

    outputs: ClassVar = (GTI_FILE,)

    def carry_out(self, call: Call) -> None:
        """Run og_create, gti_user for each interval, and ibis_gti."""
        work = call.work
        folder, swg = _observation(call)
        user = _user_good_time(work, call.parameters.get("intervals", []))
        work.run("ibis_gti", (GTI_FILE,), folder, swgDOL=swg, GTI_Index=f"{GTI_FILE}(IBIS-GNRL-GTI-IDX.tpl)",
                 IC_Group=call.master_group, GTI_BTI_Dol=call.calibration("bti"),
                 GTI_gtiUserI=f"{_up(folder)}/{user}" if user else "")  # fmt: skip
        shutil.move(work.folder / folder / GTI_FILE, work.folder / GTI_FILE)


class Dead(OsaStep):
    """Dead time of the modules."""

    outputs: ClassVar = (DEAD_FILE,)

    def carry_out(self, call: Call) -> None:
        """Run og_create and ibis_dead."""
        folder, swg = _observation(call)
        call.work.run("ibis_dead", (DEAD_FILE,), folder, swgDOL=swg, IC_Group=call.master_group,
                      isgroutDead=f"{DEAD_FILE}(ISGR-DEAD-SCP.tpl)", picsoutDead="picsit_dead.fits(PICS-DEAD-SCP.tpl)",
                      compoutDead="compton_dead.fits(COMP-DEAD-SCP.tpl)")  # fmt: skip
        shutil.move(call.work.folder / folder / DEAD_FILE, call.work.folder / DEAD_FILE)


def _observation(call: Call) -> tuple[str, str]:
    """Observation group of the one window: its folder, and the window's group in it."""
    work, swg = call.work, call.raw["swg"]
    if swg.suffix == ".gz":
        raise DataError(f"{swg}: OSA needs it unpacked (gunzip {swg.name})")
    scw = swg.parent.name
    name = f"scw_{scw.partition('.')[0]}"
    (work.folder / "scws.txt").write_text(f"{work.seen(swg)}[1]\n", encoding="utf-8")
    base = WORK if work.installation.container else str(work.folder)
    work.run("og_create", (f"obs/{name}/og_ibis.fits",), idxSwg="scws.txt", instrument="IBIS", ogid=name, baseDir=base)
    return f"obs/{name}", f"scw/{scw}/swg_ibis.fits"


def _up(folder: str) -> str:
    return "/".join(".." for _ in Path(folder).parts)


def _user_good_time(work: Workspace, intervals: Sequence[Sequence[float]]) -> str:
    """Table of the user's good time, an interval a row; no name where there is none."""
    if not intervals:
        return ""
    from astropy.io import fits

    names = [f"gti_user_{number}.fits" for number in range(len(intervals))]
    for name, (start, stop) in zip(names, intervals, strict=True):
        work.run("gti_user", (name,), begin=start, end=stop, gti=name)
    with fits.open(work.folder / names[0]) as first:
        table = first[1]
        rows = [fits.getdata(work.folder / name, 1) for name in names]
        merged = fits.BinTableHDU.from_columns(table.columns, header=table.header, nrows=sum(len(r) for r in rows))
        for column in table.columns.names:
            merged.data[column] = [value for part in rows for value in part[column]]
        fits.HDUList([first[0].copy(), merged]).writeto(work.folder / _USER_GTI)
    return _USER_GTI


class Bin(OsaStep):
    """Shadowgrams and efficiencies of bands (BIN_I), channels (BIN_S) or time bins (BIN_T)."""

    outputs: ClassVar = (DETECTOR_FILE, EFFICIENCY_FILE)

    def carry_out(self, call: Call) -> None:
        """Run ii_shadow_build."""
        work = call.work
        corrected, gti, dead = (
            work.place(files.path(name))
            for files, name in zip(call.inputs, (CORRECTED_FILE, GTI_FILE, DEAD_FILE), strict=True)
        )
        members = [corrected, call.dol("events"), call.dol("hk"), call.dol("tcor")]
        science_window_group(work, call.raw["swg"], members, BIN_KEYWORDS, call.level)
        work.run("ii_shadow_build", self.outputs, outSWGGRP="og.fits[GROUPING,1,BINTABLE]", inDead=dead, inGTI=gti,
                 outputLevel=call.level, idxLowThre=call.dol("context"), idxNoisy=call.dol("noise"),
                 outRawShadow=f"{DETECTOR_FILE}(ISGR-DETE-SHD-IDX.tpl)",
                 outEffShadow=f"{EFFICIENCY_FILE}(ISGR-EFFI-SHD-IDX.tpl)", **_binning(call))  # fmt: skip


def _binning(call: Call) -> dict[str, Any]:
    if call.level == "BIN_S":
        return {"isgri_e_num": -1, "inEnergyValues": call.calibration("bounds")}
    edges = band_parameters(call.bands)
    bins = {"isgri_e_num": edges["num_band"], "isgri_e_min": edges["E_band_min"], "isgri_e_max": edges["E_band_max"]}
    return bins | ({"isgri_t_len": call.parameters["time_bin"]} if call.level == "BIN_T" else {})


class Maps(OsaStep):
    """Background, off-axis correction and uniformity maps of some bands."""

    outputs: ClassVar = tuple(MAP_FILES.values())

    def carry_out(self, call: Call) -> None:
        """Run ii_map_rebin three times."""
        group = band_index(call.work, call.bands, call.level)
        for name, parameter in _MAPS.items():
            maps = {f"inp{parameter}Dol": call.calibration(name), f"reb{parameter}Dol": MAP_FILES[name]}
            call.work.run("ii_map_rebin", (MAP_FILES[name],), outSwg=f"{group}[GROUPING,1,BINTABLE]",
                          OutType=call.level, arfDol=call.calibration("arf"), **maps)  # fmt: skip


class CatI(OsaStep):
    """Catalogue sources of the field, and the user's own."""

    outputs: ClassVar = (CATALOGUE_FILE,)

    def carry_out(self, call: Call) -> None:
        """Run cat_extract."""
        group = science_window_group(call.work, call.raw["swg"], [], CAT_KEYWORDS)
        call.work.run("cat_extract", (CATALOGUE_FILE,), outGRP=f"{group}[1]",
                      refCat=call.reference_catalogue("ISGRI_FLAG>0"),
                      outCat=f"{CATALOGUE_FILE}(ISGR-SRCL-CAT.tpl)")  # fmt: skip
        add_sources(call.work.folder / CATALOGUE_FILE, call.parameters.get("extra", []))


def add_sources(path: Path, sources: Sequence[Sequence[object]]) -> None:
    """Add rows (name, RA, Dec) to a source list that has none of these names, in place of those at the same places."""
    if not sources:
        return
    from astropy.io import fits

    with fits.open(path) as hdus:
        table = hdus[1]
        known = {str(name).strip() for name in table.data["NAME"]}
        new = [(str(name), float(str(ra)), float(str(dec))) for name, ra, dec in sources if name not in known]
        kept = table.data[_away_from(table.data, new)]
        longer = fits.BinTableHDU.from_columns(table.columns, header=table.header, nrows=len(kept) + len(new))
        for column in table.columns.names:
            longer.data[column][: len(kept)] = kept[column]
        for row, (name, ra, dec) in enumerate(new, start=len(kept)):
            values = {"NAME": name, "SOURCE_ID": name[:16], "RA_OBJ": ra, "DEC_OBJ": dec, "ISGRI_FLAG": 1}
            for column in table.columns.names:
                longer.data[column][row] = values.get(column, np.zeros(1, longer.data[column].dtype)[0])
        fits.HDUList([hdus[0].copy(), longer, *(hdu.copy() for hdu in hdus[2:])]).writeto(path, overwrite=True)


def _away_from(rows: Any, places: Sequence[tuple[str, float, float]]) -> NDArray[np.bool_]:
    """Rows of a source list that are not too close to any of some places to be told apart."""
    away = np.ones(len(rows), dtype=bool)
    for _, ra, dec in places:
        away &= separation_deg(rows["RA_OBJ"], rows["DEC_OBJ"], ra, dec) * 60 >= SAME_PLACE_ARCMIN
    return away


def name_new_sources(path: Path) -> None:
    """Name the new sources of a source list by their places: each window numbers its own."""
    from astropy.io import fits

    with fits.open(path, mode="update") as hdus:
        for row in hdus[1].data:
            place = (float(row[f"{axis}_OBJ"]) or float(row[f"{axis}_FIN"]) for axis in ("RA", "DEC"))
            old, new = str(row["NAME"]).strip(), lasting_name(str(row["NAME"]).strip(), *place)
            if new != old:
                row["NAME"] = new
                if "SOURCE_ID" in hdus[1].columns.names:
                    row["SOURCE_ID"] = new[:16]


class Pif(OsaStep):
    """Pixel illumination of the very bright sources, which the background fit leaves out."""

    outputs: ClassVar = (PIF_FILE,)

    def carry_out(self, call: Call) -> None:
        """Run fextract and ii_pif."""
        work = call.work
        (gti,) = (work.place(files.path(GTI_FILE)) for files in call.inputs)
        bright = "very_bright_cat.fits"
        work.run("fextract", (bright,), infile=call.reference_catalogue(_BRIGHT), outfile=bright)
        members = [bright, call.dol("tcor"), gti]
        group = science_window_group(work, call.raw["swg"], members, PIF_KEYWORDS, "BIN_I", imaging=True)
        whole = observation_group(work, [group], "BIN_I")
        work.run("ii_pif", (PIF_FILE,), outOG=f"{whole}[1]", inCat=bright, **call.calibrations(*_ATTENUATION),
                 **band_parameters(call.bands))  # fmt: skip


class Bkg(OsaStep):
    """Corrected shadowgrams: efficiency, uniformity and background; takes the bright sources' PIF for images."""

    outputs: ClassVar = (BKG_FILE,)

    def carry_out(self, call: Call) -> None:
        """Run ii_shadow_ubc."""
        work = call.work
        binned, maps, *pifs = call.inputs
        shadowgrams = [work.place(binned.path(name)) for name in (DETECTOR_FILE, EFFICIENCY_FILE)]
        back, uniformity = (work.place(maps.path(MAP_FILES[name])) for name in ("back", "unif"))
        group = science_window_group(work, call.raw["swg"], shadowgrams, BKG_KEYWORDS, call.level)
        bright = work.place(pifs[0].path(PIF_FILE)) if pifs else ""
        work.run("ii_shadow_ubc", self.outputs, outSWGRP=group, OutType=call.level, isgrUnifDol=uniformity,
                 outCorShadow=f"{BKG_FILE}(ISGR-CEXP-SHD-IDX.tpl)", isgrBkgDol=back, brPif=bright)  # fmt: skip


class GhostBusters(OsaStep):
    """Take out the pixels that see very bright sources through defects of the mask."""

    outputs: ClassVar = (BKG_FILE,)

    def carry_out(self, call: Call) -> None:
        """Run ghost_busters, which edits the shadowgrams in place."""
        work = call.work
        (corrected,) = (work.place(files.path(BKG_FILE)) for files in call.inputs)
        group = science_window_group(work, call.raw["swg"], [corrected, *call.attitude()], GB_KEYWORDS)
        work.run("ghost_busters", inDOL=group, sourcecat=call.reference_catalogue("ISGRI_FLAG2==5"),
                 maskmod=call.calibration("ghosts"))  # fmt: skip
