"""IMA and MOSAIC: sky images of windows and their sum, with their sources."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from integral_oda.engines.osa.failures import TooManySourcesError
from integral_oda.engines.osa.groups import IMA_KEYWORDS, band_parameters, observation_group, science_window_group
from integral_oda.engines.osa.step import Call, OsaStep
from integral_oda.engines.osa.window import BKG_FILE, CATALOGUE_FILE, GTI_FILE, MAP_FILES
from integral_oda.engines.osa.workspace import OsaFiles

__all__ = ["CARRIED", "MOSAIC_FILE", "SKY_FILE", "SOURCES_FILE", "Ima", "Mosaic", "SrcCollect", "carry"]

SKY_FILE, SKY_LIST, SOURCES_FILE = "isgri_sky_ima.fits", "isgri_sky_res.fits", "isgri_srcl_res.fits"
MOSAIC_FILE, MOSAIC_LIST = "isgri_mosa_ima.fits", "isgri_mosa_res.fits"
CARRIED = ("swg.fits", "time_correlation.fits")
"""What later steps need of a window beside its products."""
_OUTPUTS = {
    "outCat": f"{SOURCES_FILE}(ISGR-SRCL-RES.tpl)",
    "outMosIma": f"{MOSAIC_FILE}(ISGR-MOSA-IMA-IDX.tpl)",
    "outMosRes": f"{MOSAIC_LIST}(ISGR-MOSA-RES-IDX.tpl)",
}
_CALIBRATION = ("mask", "deco", "tungAtt", "aluAtt", "leadAtt", "covrMod")
_MOSAIC_SEARCH = {"SearchMode": 2, "ToSearch": 500, "MinCatSouSnr": 6.0, "MinNewSouSnr": 6.0, "NegModels": 0,
                  "DoPart2": 2, "MapSize": 80.0}  # fmt: skip
_RAISED, _HIGHEST = 1.5, 100.0


class Ima(OsaStep):
    """Sky image of one window in every band; keeps what a mosaic needs beside it."""

    outputs: ClassVar = (
        SKY_FILE,
        SKY_LIST,
        SOURCES_FILE,
        BKG_FILE,
        CATALOGUE_FILE,
        GTI_FILE,
        MAP_FILES["corr"],
        *CARRIED,
    )

    def carry_out(self, call: Call) -> None:
        """Run ii_skyimage on one window."""
        work = call.work
        corrected, catalogue, good_time, maps = call.inputs
        shadowgrams, sources, gti, correction = (
            work.place(files.path(name))
            for files, name in ((corrected, BKG_FILE), (catalogue, CATALOGUE_FILE), (good_time, GTI_FILE),
                                (maps, MAP_FILES["corr"]))
        )  # fmt: skip
        carry(call)
        members = [shadowgrams, sources, call.dol("tcor"), gti]
        group = science_window_group(work, call.raw["swg"], members, IMA_KEYWORDS, "BIN_I", imaging=True)
        whole = observation_group(work, [group], "BIN_I")
        work.run("ii_skyimage", (SKY_FILE, SKY_LIST, SOURCES_FILE), outOG=f"{whole}[1]", corrDol=correction,
                 OutType="BIN_I", **_OUTPUTS, **call.calibrations(*_CALIBRATION), **band_parameters(call.bands),
                 **call.parameters.get("search", {}))  # fmt: skip


def carry(call: Call) -> None:
    """Copy what later steps need of the window into the working directory."""
    call.work.place(call.raw["swg"], CARRIED[0])
    call.work.place(call.raw["tcor"], CARRIED[1])


class Mosaic(OsaStep):
    """Sum of the images of several windows; of a single one its image as it is."""

    outputs: ClassVar = (MOSAIC_FILE, MOSAIC_LIST, SOURCES_FILE)

    def compute(
        self, inputs: Sequence[tuple[str, OsaFiles]], parameters: Mapping[str, Any], raw: Mapping[str, Path]
    ) -> OsaFiles:
        """Run ii_skyimage on the images of all windows."""
        windows = [files for _, files in inputs]
        return windows[0] if len(windows) == 1 else super().compute(windows, parameters, raw)

    def carry_out(self, call: Call) -> None:
        """Run ii_skyimage; while there are too many sources for it, again with higher thresholds."""
        search = {**_MOSAIC_SEARCH, **call.parameters.get("search", {})}
        given = call.work.given.get("ii_skyimage", {})
        search |= {name: given[name] for name in search if name in given}
        call.work.given = {}
        while True:
            try:
                _run_mosaic(call, {**given, **search})
            except TooManySourcesError:
                for name in ("MinCatSouSnr", "MinNewSouSnr"):
                    search[name] = float(search[name]) * _RAISED
                if search["MinCatSouSnr"] > _HIGHEST:
                    raise
                continue
            break
        _note_search(call.work.folder / MOSAIC_FILE, search)


def _run_mosaic(call: Call, search: Mapping[str, Any]) -> None:
    work = call.work
    groups = [_window_group(call, number, files) for number, files in enumerate(call.inputs)]
    _merged_table(call, CATALOGUE_FILE, 1, "total_extracted_cat.fits")
    _merged_table(call, SKY_LIST, 2, "total_skyres.fits")
    whole = observation_group(work, groups, "BIN_I", ["total_skyres.fits", "total_extracted_cat.fits"])
    correction = work.place(call.inputs[0].path(MAP_FILES["corr"]))
    work.run("ii_skyimage", (MOSAIC_FILE, MOSAIC_LIST, SOURCES_FILE), outOG=f"{whole}[1]", corrDol=correction,
             OutType="BIN_I", **_OUTPUTS, **call.calibrations(*_CALIBRATION), **band_parameters(call.bands),
             **search)  # fmt: skip


def _window_group(call: Call, number: int, files: OsaFiles) -> str:
    """Group of one window's images; every window has its own names."""
    own = f"{number:04d}_"
    image, sources, gti, shadowgrams, swg, tcor = (
        call.work.place(files.path(name), own + name) for name in (SKY_FILE, SKY_LIST, GTI_FILE, BKG_FILE, *CARRIED)
    )
    members = [image, sources, gti, shadowgrams, f"{tcor}[AUXL-TCOR-HIS]"]
    swg_path = call.work.folder / swg
    return science_window_group(
        call.work, swg_path, members, IMA_KEYWORDS, "BIN_I", f"og_{number:04d}.fits", imaging=True
    )


def _merged_table(call: Call, name: str, number: int, merged: str) -> None:
    """Rows of the windows' tables, each source once by name, the most significant first where that is told."""
    from astropy.io import fits

    with fits.open(call.inputs[0].path(name)) as hdus:
        first = hdus[number].copy()
    rows = np.concatenate([np.asarray(fits.getdata(files.path(name), number)) for files in call.inputs])
    if "DETSIG" in (rows.dtype.names or ()):
        rows = rows[np.argsort(-np.asarray(rows["DETSIG"], dtype=float).reshape(len(rows), -1).max(axis=1, initial=0))]
    _, kept = np.unique(rows["NAME"], return_index=True)
    table = fits.BinTableHDU(rows[np.sort(kept)], header=first.header)
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(call.work.folder / merged, overwrite=True)


def _note_search(path: Path, search: Mapping[str, Any]) -> None:
    """Write into the mosaic with which thresholds its sources were searched."""
    from astropy.io import fits

    with fits.open(path, mode="update") as hdus:
        hdus[0].header["MINCATSN"] = (float(search["MinCatSouSnr"]), "MinCatSouSnr of ii_skyimage")
        hdus[0].header["MINNEWSN"] = (float(search["MinNewSouSnr"]), "MinNewSouSnr of ii_skyimage")


class SrcCollect(OsaStep):
    """Table of the source lists of all windows."""

    outputs: ClassVar = ("isgri_sources.fits",)

    def compute(
        self, inputs: Sequence[tuple[str, OsaFiles]], parameters: Mapping[str, Any], raw: Mapping[str, Path]
    ) -> OsaFiles:
        """Run src_collect on the images of all windows."""
        return super().compute([files for _, files in inputs], parameters, raw)

    def carry_out(self, call: Call) -> None:
        """Run src_collect."""
        groups = [_window_group(call, number, files) for number, files in enumerate(call.inputs)]
        whole = observation_group(call.work, groups, "BIN_I")
        call.work.run("src_collect", self.outputs, group=f"{whole}[1]", results=self.outputs[0])
