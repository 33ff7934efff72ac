"""SPE, LCR and LIGHT: spectra and light curves of the sources of a window, and their gathering over windows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from integral_oda.engines.osa.groups import (
    IMA_KEYWORDS,
    LIGHT_KEYWORDS,
    SPE_KEYWORDS,
    band_parameters,
    observation_group,
    science_window_group,
)
from integral_oda.engines.osa.images import CARRIED, SOURCES_FILE, carry
from integral_oda.engines.osa.step import Call, OsaStep
from integral_oda.engines.osa.window import BKG_FILE, CORRECTED_FILE, GTI_FILE, MAP_FILES, add_sources, name_new_sources
from integral_oda.engines.osa.workspace import OsaFiles
from integral_oda.errors import DataError
from integral_oda.products.light_curve import file_label

__all__ = [
    "ARF_END",
    "LCR_FILE",
    "PHA_END",
    "PIF_FILE",
    "RMF_ENDS",
    "SPECTRUM_FILE",
    "Lcr",
    "Light",
    "PickLcr",
    "PickSpe",
    "Spe",
]

SPECTRUM_FILE, PIF_FILE, LCR_FILE = "isgri_spectrum.fits", "isgri_pif.fits", "isgri_lcr.fits"
PHA_END, ARF_END = "_sum_pha.fits", "_sum_arf.fits"
RMF_ENDS = ("_sum_rmf.fits", "_sum_rbn_rmf.fits")
"""Ends of the names that spe_pick gives to spectrum, area and matrix."""
_LIST = "source_list.fits"
_ATTENUATION = ("mask", "tungAtt", "aluAtt", "leadAtt")


def _extraction(call: Call) -> dict[str, str]:
    """Group, maps and source list that both extractions are handed."""
    work = call.work
    corrected, good_time, maps, image = call.inputs
    shadowgrams, gti = work.place(corrected.path(BKG_FILE)), work.place(good_time.path(GTI_FILE))
    carry(call)
    members = [shadowgrams, call.dol("tcor"), *call.attitude(), gti]
    group = science_window_group(work, call.raw["swg"], members, SPE_KEYWORDS, call.level)
    sources = work.place(image.path(SOURCES_FILE), _LIST)
    name_new_sources(work.folder / sources)
    add_sources(work.folder / sources, call.parameters.get("extra", []))
    rebinned = {
        parameter: work.place(maps.path(MAP_FILES[name]))
        for parameter, name in (("isgrUnifDol", "unif"), ("isgrBkgDol", "back"), ("corrDol", "corr"))
    }
    return {"outSwg": group, "inCat": sources, "OutType": call.level, **rebinned, **call.calibrations(*_ATTENUATION)}


class Spe(OsaStep):
    """Spectra of all sources of a window over the calibration's channels, and their PIFs."""

    outputs: ClassVar = (SPECTRUM_FILE, PIF_FILE, *CARRIED)

    def carry_out(self, call: Call) -> None:
        """Run ii_spectra_extract."""
        call.work.run("ii_spectra_extract", (SPECTRUM_FILE, PIF_FILE), outPif=f"{PIF_FILE}(ISGR-PIF.-SHD-IDX.tpl)",
                      outSpec=f"{SPECTRUM_FILE}(ISGR-EVTS-SPE-IDX.tpl)", idx_isgrResp=call.calibration("bounds"),
                      **_extraction(call))  # fmt: skip


class Lcr(OsaStep):
    """Light curves of all sources of a window, by a fit in every time bin."""

    outputs: ClassVar = (LCR_FILE, *CARRIED)

    def carry_out(self, call: Call) -> None:
        """Run ii_lc_extract."""
        call.work.run("ii_lc_extract", (LCR_FILE,), outLC=f"{LCR_FILE}(ISGR-SRC.-LCR-IDX.tpl)",
                      **_extraction(call))  # fmt: skip


class Light(OsaStep):
    """Light curves in short bins, by sums of events weighted with the PIFs of the spectral extraction."""

    outputs: ClassVar = (LCR_FILE, *CARRIED)

    def carry_out(self, call: Call) -> None:
        """Run ii_light."""
        work = call.work
        events, good_time, maps, spectra = call.inputs
        corrected, gti = work.place(events.path(CORRECTED_FILE)), work.place(good_time.path(GTI_FILE))
        carry(call)
        members = [corrected, call.dol("events"), call.dol("tcor"), *call.attitude(), gti]
        group = science_window_group(work, call.raw["swg"], members, LIGHT_KEYWORDS, "BIN_S")
        edges = band_parameters(call.bands)
        work.run("ii_light", (LCR_FILE,), inSwg=group, num_e=edges["num_band"], e_min=edges["E_band_min"],
                 e_max=edges["E_band_max"], outLC=f"{LCR_FILE}(ISGR-SRC.-LCR-IDX.tpl)", context=call.dol("context"),
                 idxSwitch=call.dol("switch"), idxNoise=call.dol("noise"), delta_t=call.parameters["time_bin"],
                 backDol=work.place(maps.path(MAP_FILES["back"])),
                 corrDol=work.place(maps.path(MAP_FILES["corr"])),
                 pifDOL=work.place(spectra.path(PIF_FILE)))  # fmt: skip


class _Pick(OsaStep):
    """Gathers what the windows have of each source."""

    product: ClassVar[str]

    def compute(
        self, inputs: Sequence[tuple[str, OsaFiles]], parameters: Mapping[str, Any], raw: Mapping[str, Path]
    ) -> OsaFiles:
        """Run the executable once a source."""
        return super().compute([files for _, files in inputs], parameters, raw)

    def groups(self, call: Call) -> str:
        """Observation group of the windows' products."""
        return observation_group(
            call.work, [self._group(call, n, files) for n, files in enumerate(call.inputs)], "BIN_I"
        )

    def _group(self, call: Call, number: int, files: OsaFiles) -> str:
        own = f"{number:04d}_"
        product, swg, tcor = (call.work.place(files.path(name), own + name) for name in (self.product, *CARRIED))
        members = [product, f"{tcor}[AUXL-TCOR-HIS]"]
        swg_path = call.work.folder / swg
        return science_window_group(call.work, swg_path, members, IMA_KEYWORDS, "BIN_I", f"og_{number:04d}.fits",
                                    imaging=True)  # fmt: skip

    def names(self, call: Call) -> list[str]:
        """Sources to gather: the one asked for, else all that any window has but the background."""
        if call.parameters.get("source"):
            return [call.parameters["source"]]
        from integral_oda.products.fits_io import open_fits

        found: dict[str, None] = {}
        for files in call.inputs:
            with open_fits(files.path(self.product)) as hdus:
                names = (str(hdu.header.get("NAME", "")).strip() for hdu in hdus[2:])
                found |= dict.fromkeys(name for name in names if name and name.lower() != "background")
        if not found:
            raise DataError(f"{self.product}: holds no source")
        return list(found)


class PickLcr(_Pick):
    """Light curve of each source over all windows."""

    product: ClassVar = LCR_FILE

    def compute(
        self, inputs: Sequence[tuple[str, OsaFiles]], parameters: Mapping[str, Any], raw: Mapping[str, Path]
    ) -> OsaFiles:
        """Run lc_pick once a source; the names of its files are its outputs."""
        files = super().compute(inputs, parameters, raw)
        return OsaFiles(
            files.folder, (*sorted(p.name for p in files.folder.glob("lc_*.fits")), *files.names), files.held
        )

    def carry_out(self, call: Call) -> None:
        """Run lc_pick."""
        whole = self.groups(call)
        for name in self.names(call):
            file = f"lc_{file_label(name)}.fits"
            call.work.run("lc_pick", (file,), group=f"{whole}[1]", source=name, lc=file)


class PickSpe(_Pick):
    """Spectrum of each source over all windows, with its response."""

    product: ClassVar = SPECTRUM_FILE

    def compute(
        self, inputs: Sequence[tuple[str, OsaFiles]], parameters: Mapping[str, Any], raw: Mapping[str, Path]
    ) -> OsaFiles:
        """Run spe_pick once a source; its files are told by their ends."""
        files = super().compute(inputs, parameters, raw)
        made = sorted(p.name for p in files.folder.glob("spe_*.fits"))
        return OsaFiles(files.folder, (*made, *files.names), files.held)

    def carry_out(self, call: Call) -> None:
        """Run spe_pick."""
        whole = self.groups(call)
        for name in self.names(call):
            root = f"spe_{file_label(name)}"
            call.work.run("spe_pick", (root + PHA_END,), group=f"{whole}[1]", source=name, rootname=root)
