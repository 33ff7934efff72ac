"""An OSA installation of doubles, with the data that OSA needs beside a simulated archive."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.io import fits

from integral_oda.catalog.reference import reference_catalogue
from integral_oda.engines.osa.calibration import CALIBRATION, MASTER_GROUP
from integral_oda.instrument.response import osa_channel_edges_kev

DOUBLES = Path(__file__).parent / "doubles"
_TEMPLATES = ("GNRL-SCWG-GRP.tpl", "GNRL-OBSG-GRP.tpl", "ISGR-DETE-SHD-IDX.tpl", "GNRL-SCWG-GRP-IDX.tpl")


@dataclass
class OsaDoubles:
    """Root of an installation of doubles."""

    root: Path

    @property
    def environment(self):
        ic = self.root / "ic_tree"
        return {
            "ISDC_ENV": str(self.root),
            "HEADAS": str(self.root / "heasoft-6.26.1"),
            "CURRENT_IC": str(ic),
            "ISDC_REF_CAT": f"{ic}/cat/hec/gnrl_refr_cat_0043.fits[1]",
        }

    def fail(self, executable, **order):
        """Make an executable fail from now on."""
        path = self.root / "fail.json"
        orders = json.loads(path.read_text()) if path.is_file() else {}
        path.write_text(json.dumps(orders | {executable: order}))

    def mend(self):
        """Let everything work again."""
        for path in self.root.glob("fail*"):
            path.unlink()

    def record(self):
        """Keep account of every call from now on."""
        folder = self.root / "records"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()

    def records(self):
        return [json.loads(path.read_text()) for path in sorted((self.root / "records").glob("*.json"))]


def install(root, version="11.2"):
    """Make an installation of doubles in a folder whose name tells its version."""
    root = Path(root) / f"osa{version}"
    for folder in ("bin", "pfiles", "templates", "share", "heasoft-6.26.1/syspfiles"):
        (root / folder).mkdir(parents=True)
    for name, parameters in _parameter_lists(version).items():
        lines = [f"{p},s,q,,,,\n" if d is None else f"{p},s,h,{d},,,\n" for p, d in parameters]
        place = "heasoft-6.26.1/syspfiles" if name in ("fextract", "rbnrmf") else "pfiles"
        (root / place / f"{name}.par").write_text("".join(lines), encoding="utf-8")
        _executable(root, name)
    for name in _TEMPLATES:
        (root / "templates" / name).write_text(f"EXTNAME {name}\n")
    _data(root / "ic_tree")
    return OsaDoubles(root)


def _parameter_lists(version):
    lists = {}
    for line in (DOUBLES / "parameters.txt").read_text().splitlines():
        if line.startswith("#"):
            continue
        head, _, rest = line.partition(":")
        name, _, generation = head.partition(" ")
        if generation and not version.startswith(generation):
            continue
        pairs = (item.partition("=") for item in rest.split())
        lists[name] = [(n, default if equals else None) for n, equals, default in pairs]
    return lists


def _executable(root, name):
    path = root / "bin" / name
    path.write_text(f'#!/bin/sh\nexec {sys.executable} {DOUBLES}/launch.py {name} "$@"\n')
    path.chmod(0o755)


def _data(ic):
    """Calibration files of the right structures, and a reference catalogue."""
    for item in CALIBRATION.values():
        path = ic / "ic" / "ibis" / item.pattern.replace("NNNN", "0001")
        structure = item.extension.strip("[]").partition(",")[0]
        _add_structure(path, "GROUPING" if structure in ("", "1") else structure, image=",1,IMAGE" in item.extension)
    bounds = ic / "ic" / "ibis" / CALIBRATION["bounds"].pattern
    edges = osa_channel_edges_kev()
    columns = [fits.Column("E_MIN", "1E", array=edges[:-1]), fits.Column("E_MAX", "1E", array=edges[1:])]
    fits.BinTableHDU.from_columns(columns, name="ISGR-EBDS-MOD").writeto(bounds, overwrite=True)
    master = ic / MASTER_GROUP.partition("[")[0]
    _add_structure(master, "GROUPING", image=False)
    _reference_catalogue(ic / "cat" / "hec" / "gnrl_refr_cat_0043.fits")


def _add_structure(path, name, *, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    table = fits.BinTableHDU.from_columns([fits.Column("X", "1E", array=[0.0])], name=name)
    hdu = fits.ImageHDU(np.zeros((2, 2), np.float32), name=name) if image else table
    hdu.header.update({"VSTART": -1000.0, "VSTOP": 99999.0, "VERSION": 1})
    if path.is_file():
        fits.append(path, hdu.data, hdu.header)
    else:
        fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(path)


def _reference_catalogue(path):
    path.parent.mkdir(parents=True)
    sources = reference_catalogue()
    flux = np.nan_to_num([s.flux_20_40_mcrab for s in sources])
    columns = [
        fits.Column("SOURCE_ID", "16A", array=[s.name[:16] for s in sources]),
        fits.Column("NAME", "100A", array=[s.name for s in sources]),
        fits.Column("RA_OBJ", "1E", array=[s.ra_deg for s in sources]),
        fits.Column("DEC_OBJ", "1E", array=[s.dec_deg for s in sources]),
        fits.Column("ISGR_FLUX_1", "1E", array=0.2 * flux),
        fits.Column("ISGRI_FLAG", "1I", array=np.ones(len(sources), np.int16)),
        fits.Column("ISGRI_FLAG2", "1I", array=np.where(flux > 500, 5, 0)),
    ]
    fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU.from_columns(columns, name="GNRL-REFR-CAT")]).writeto(path)


def complete_archive(root):
    """Add to a simulated archive what OSA reads beside the events: housekeeping, context, attitude, time."""
    for swg in sorted(Path(root).glob("scw/*/*/swg.fits")):
        revolution = swg.parent.parent.name
        if "EXPID" not in fits.getheader(swg, 1):
            fits.setval(swg, "EXPID", value=swg.parent.name[4:12], ext=1)
        _table(swg.parent / "ibis_hk.fits", "IBIS-DPE.-CNV")
        index = swg.parent.parent / "rev.001" / "idx"
        _table(index / "isgri_context_index.fits", "GROUPING", "ISGR-CTXT-GRP-IDX")
        _table(index / "isgri_prp_noise_index.fits", "GROUPING", "ISGR-NOIS-CPR-IDX")
        _table(index / "isgri_pxlswtch_index.fits", "GROUPING", "ISGR-SWIT-STA-IDX")
        auxiliary = Path(root) / "aux" / "adp" / f"{revolution}.001"
        _table(auxiliary / "attitude_historic.fits", "AUXL-ATTI-HIS")
        _table(auxiliary / "time_correlation.fits", "AUXL-TCOR-HIS")


def _table(path, name, group=None):
    if path.is_file():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    table = fits.BinTableHDU.from_columns([fits.Column("X", "1E", array=[0.0])], name=name)
    if group:
        table.header["GRPNAME"] = group
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(path)
