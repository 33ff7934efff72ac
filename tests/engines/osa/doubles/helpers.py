"""Doubles of og_create, txt2idx and the dal_* helpers: the standard library alone, so that they start at once."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import frame
import small_fits
from frame import Fault


def _template(name):
    folder = os.environ["CFITSIO_INCLUDE_FILES"]
    if ":" in folder or not (Path(folder) / name).is_file():
        raise Fault(-25100, f"template {name} not found in {folder}")
    return frame.STANDARD_TEMPLATES[name]


def dal_create(double):
    target = Path(double["obj_name"].removeprefix("!"))
    if target.exists() and not double["obj_name"].startswith("!"):
        raise Fault(-25101, f"{target}: exists")
    small_fits.write(target, [small_fits.primary(), small_fits.empty_group(*_template(double["template"]))])


def _edit(path, change):
    hdus = small_fits.read(frame.existing(path))
    change(hdus)
    small_fits.write(path, hdus)


def dal_attach(double):
    parent = frame.split_dol(double["Parent"])[0]

    def attach(hdus):
        for number in range(1, 5):
            child = double[f"Child{number}"]
            if child:
                _attach(hdus[1], child, Path(parent).parent)

    _edit(parent, attach)


def _attach(group, dol, folder):
    path, extension = frame.split_dol(dol)
    header, number = frame.find_extension(path, extension)
    found = frame.existing(path)
    location = str(found) if found.is_absolute() else os.path.relpath(found, folder)
    small_fits.add_member(group, str(header["XTENSION"]), frame.structure_of(header), number + 1, location)


def dal_detach(double):
    def detach(hdus):
        group = hdus[1]
        size = group["NAXIS1"]
        rows = [group.data[k : k + size] for k in range(0, len(group.data), size)]
        names = (name for name, _, _ in small_fits.member_rows(group))
        kept = [row for row, name in zip(rows, names, strict=True) if name != double["child"]]
        group.data = b"".join(kept)
        group.set("NAXIS2", len(kept))

    _edit(frame.split_dol(double["object"])[0], detach)


def dal_append(double):
    name = double["element"].removesuffix(".tpl")

    def append(hdus):
        cards = [("XTENSION", "IMAGE"), ("BITPIX", -64), ("NAXIS", 0), ("PCOUNT", 0), ("GCOUNT", 1), ("EXTNAME", name)]
        hdus.append(small_fits.Hdu(cards))
        small_fits.add_member(hdus[1], "IMAGE", name, len(hdus), "")

    _edit(double["grpDOL"], append)


def dal_attr(double):
    values = {"DAL_INT": lambda: int(double["value_i"]), "DAL_CHAR": lambda: double["value_s"],
              "DAL_DOUBLE": lambda: float(double["value_r"])}  # fmt: skip
    if double["action"] != "WRITE" or double["type"] not in values:
        raise Fault(-25120, f"action {double['action']}, type {double['type']}")
    value = values[double["type"]]()
    _edit(frame.split_dol(double["indol"])[0], lambda hdus: hdus[1].set(double["keynam"], value))


def dal_attr_copy(double):
    source, _ = frame.find_extension(frame.split_dol(double["indol"])[0], frame.split_dol(double["indol"])[1])
    names = double["keylist"].split(",")
    missing = [name for name in names if name not in source]
    if missing:
        raise Fault(-25121, f"{double['indol']}: no keyword {missing[0]}")

    def copy(hdus):
        for name in names:
            hdus[1].set(name, source[name])

    _edit(frame.split_dol(double["outdol"])[0], copy)


def txt2idx(double):
    group = small_fits.empty_group(*_template(double["template"]))
    for line in Path(double["element"]).read_text().split():
        _attach(group, line, Path(double["index"]).parent)
    group.set("REVOL", 0)
    small_fits.write(double["index"], [small_fits.primary(), group])


def og_create(double):
    """Observation group with a group for each window, whose members are the window's own files."""
    if double["instrument"] != "IBIS":
        raise Fault(-25130, f"instrument {double['instrument']}")
    folder = Path(double["baseDir"]) / "obs" / double["ogid"]
    folder.mkdir(parents=True)
    whole = small_fits.empty_group("GNRL-OBSG-GRP")
    for line in Path(double["idxSwg"]).read_text().split():
        swg = Path(frame.split_dol(line)[0])
        if not frame.existing(swg).read_bytes().startswith(b"SIMPLE"):
            raise Fault(-25131, f"Can not open the new scw {swg}")
        double.record(swg.parent.name)
        double.maybe_fail(swg.parent.name)
        own = folder / "scw" / swg.parent.name
        own.mkdir(parents=True)
        group = small_fits.read(swg)[1]
        copy = small_fits.empty_group("GNRL-SCWG-GRP")
        for name, value in group.cards:
            if not name.startswith(small_fits.STRUCTURAL) and name not in ("CHECKSUM", "DATASUM"):
                copy.set(name, value)
        for path in sorted(swg.parent.glob("*.fits*")):
            if path != swg:
                copy.set("GRPNAME", "GNRL-SCWG-GRP")
                for number, header in enumerate(frame.headers(path)):
                    if number:
                        small_fits.add_member(copy, "BINTABLE", frame.structure_of(header), number + 1, str(path))
        small_fits.write(own / "swg_ibis.fits", [small_fits.primary(), copy])
        _attach(whole, str(own / "swg_ibis.fits"), folder)
    small_fits.write(folder / "og_ibis.fits", [small_fits.primary(), whole])
    shutil.copyfile(folder / "og_ibis.fits", folder / "swg_idx_ibis.fits")


def dal_list(double):
    for header in frame.headers(frame.split_dol(double["dol"])[0]):
        double.log(frame.structure_of(header))


def gti_user(double):
    begin, end = float(double["begin"]), float(double["end"])
    if not begin < end:
        raise Fault(-25140, f"begin {begin} is not before end {end}")
    import struct

    cards = [("XTENSION", "BINTABLE"), ("BITPIX", 8), ("NAXIS", 2), ("NAXIS1", 16), ("NAXIS2", 1), ("PCOUNT", 0)]
    cards += [("GCOUNT", 1), ("TFIELDS", 2), ("TTYPE1", "START"), ("TFORM1", "1D"), ("TTYPE2", "STOP")]
    cards += [("TFORM2", "1D"), ("EXTNAME", "IBIS-GNRL-GTI"), ("GTI_NAME", "USER")]
    small_fits.write(double["gti"], [small_fits.primary(), small_fits.Hdu(cards, struct.pack(">dd", begin, end))])


TABLE = {
    function.__name__: function
    for function in (
        *(dal_create, dal_attach, dal_detach, dal_append, dal_attr, dal_attr_copy, dal_list, txt2idx),
        *(og_create, gti_user),
    )
}
TABLE["dal_dump"] = dal_list
