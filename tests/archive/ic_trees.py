"""Synthetic trees of instrument characteristics with the structures of the real ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from astropy.io import fits

from integral_oda.instrument.mask import mask_pattern
from integral_oda.instrument.response import Response
from integral_oda.products.response_file import write_arf, write_rmf

FOREVER = 99999.0


def write_index(root: Path, structure: str, members: list[tuple[str, int, float, float]]) -> None:
    """Index of a structure: location below ``ic/ibis``, VERSION, VSTART, VSTOP of each member."""
    locations, versions, starts, stops = zip(*members, strict=True)
    table = fits.BinTableHDU.from_columns(
        [
            fits.Column("MEMBER_XTENSION", "8A", array=["BINTABLE"] * len(members)),
            fits.Column("MEMBER_NAME", "32A", array=[structure] * len(members)),
            fits.Column("MEMBER_VERSION", "1J", array=[1] * len(members)),
            fits.Column("MEMBER_POSITION", "1J", array=[2] * len(members)),
            fits.Column("MEMBER_LOCATION", "256A", array=[f"../../ic/ibis/{location}" for location in locations]),
            fits.Column("MEMBER_URI_TYPE", "3A", array=["URL"] * len(members)),
            fits.Column("VERSION", "1I", array=versions),
            fits.Column("VSTART", "1D", array=starts),
            fits.Column("VSTOP", "1D", array=stops),
        ],
        name="GROUPING",
    )
    table.header["GRPNAME"] = f"{structure}-IDX"
    path = root / "idx" / "ic" / f"{structure}-IDX.fits"
    path.parent.mkdir(parents=True, exist_ok=True)
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(path)


def _write(path: Path, *hdus: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fits.HDUList([fits.PrimaryHDU(), *hdus]).writeto(path)


def write_mask(root: Path, name: str = "isgr_mask_mod_0003", flipped: int = 0) -> None:
    """Mask model, with some cells the other way round."""
    cells = mask_pattern().astype(np.float32)
    cells.ravel()[:flipped] = 1 - cells.ravel()[:flipped]
    _write(root / "ic/ibis/mod" / f"{name}.fits", fits.ImageHDU(cells, name="ISGR-MASK-MOD"))


def write_band_maps(
    path: Path, name: str, bands: list[tuple[float, float]], planes: np.ndarray, **cards: object
) -> None:
    """Maps of bands behind their GROUPING table, an ARF behind them for off-axis maps."""
    images = []
    for (low, high), plane in zip(bands, planes, strict=True):
        image = fits.ImageHDU(plane.astype(np.float32), name=name)
        image.header.update({"E_MIN": low, "E_MAX": high, **cards})
        images.append(image)
    group = fits.BinTableHDU.from_columns(
        [
            fits.Column("MEMBER_POSITION", "1J", array=np.arange(len(images)) + 3),
            fits.Column("E_MIN", "1E", array=[b[0] for b in bands]),
            fits.Column("E_MAX", "1E", array=[b[1] for b in bands]),
        ],
        name="GROUPING",
    )
    group.header.update(cards)
    _write(path, group, *images)


def write_table(path: Path, name: str, columns: dict[str, tuple[str, object]], **cards: object) -> None:
    """Binary table with the formats and values given."""
    table = fits.BinTableHDU.from_columns(
        [fits.Column(c, form, array=v) for c, (form, v) in columns.items()], name=name
    )
    table.header.update(cards)
    _write(path, table)


def write_response(root: Path, response: Response, arf: str, rmf: str) -> None:
    """Response in OSA 10's form under the names given."""
    for name in (arf, rmf):
        (root / "ic/ibis/rsp").mkdir(parents=True, exist_ok=True)
        write = write_arf if name == arf else write_rmf
        write(root / "ic/ibis/rsp" / f"{name}.fits", response, "OSA10")


def write_luts(root: Path, gain: float = 1.0) -> None:
    """LUT1 of equal pixels and a LUT2 of half a keV a channel, ``gain`` times that."""
    pixels = 128 * 128
    scale = 10 / 2 * (1.2**0.0832)  # undoes 2 AGAIN / 10 and the scaling by the bias
    write_table(
        root / "ic/ibis/cal/ibis_isgr_gain_offset_0010.fits",
        "ISGR-OFFS-MOD",
        {
            "AGAIN": ("1E", np.full(pixels, scale)),
            "AOFFSET": ("1E", np.zeros(pixels)),
            "RTGAIN": ("1E", np.full(pixels, 100 / 30 / 1.2**0.583)),
            "RTOFFSET": ("1E", np.full(pixels, -2.0)),
            "PIXTYPE": ("1I", np.zeros(pixels)),
        },
    )
    write_table(
        root / "ic/ibis/mod/isgr_rise_mod_0185.fits",
        "ISGR-RISE-MOD",
        {
            "ENERGY": ("1E", 0.5 * gain * np.arange(2048)),
            "CHANNEL": ("1I", np.arange(2048)),
            "CORR": ("256E", np.ones((2048, 256))),
        },
    )


def write_decoding(root: Path, array: np.ndarray, name: str = "isgr_deco_mod_0008") -> None:
    """Decoding array: an image ISGR-DECO-MOD behind an empty primary."""
    _write(root / "ic/ibis/mod" / f"{name}.fits", fits.ImageHDU(array.astype(np.float32), name="ISGR-DECO-MOD"))


def write_covariances(
    root: Path, side: np.ndarray, corner: np.ndarray, *, in_index: bool = False, name: str = "isgr_covr_mod_0002"
) -> None:
    """Covariances of neighbouring sky pixels behind their index; COVRTYPE in the images' headers or in the index."""
    kinds, images = ("CARTESIAN", "DIAGONAL"), []
    for kind, plane in zip(kinds, (side, corner), strict=True):
        images.append(fits.ImageHDU(plane.astype(np.float32), name="ISGR-COVR-MOD"))
        if not in_index:
            images[-1].header["COVRTYPE"] = kind
    columns = [fits.Column("MEMBER_POSITION", "1J", array=[3, 4])]
    columns += [fits.Column("COVRTYPE", "16A", array=kinds)] if in_index else []
    group = fits.BinTableHDU.from_columns(columns, name="GROUPING")
    _write(root / "ic/ibis/mod" / f"{name}.fits", group, *images)
