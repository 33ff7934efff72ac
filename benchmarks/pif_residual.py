"""Where the pixel illumination factors differ from OSA's, and why.

Run: INTEGRAL_ODA_TESTDATA=... python benchmarks/pif_residual.py; writes pif_residual.json and pif_residual.png in
benchmarks/reports.

The pixels of OSA's PIF of SGR 1935+2154 (255900280010, 18-250 keV, 6.6 degrees off axis) are sorted by what of the mask
their lit area sees: one cell, an edge between cells, or a corner of them; beside the beams in the gaps between modules
or not. Then parts of the model are taken away one by one.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from integral_oda.instrument import pif
from integral_oda.instrument.attitude import Attitude
from integral_oda.instrument.detector import active_pixels, pixel_centres_mm
from integral_oda.instrument.mask import CELL_MM, MASK_DISTANCE_MM, MASK_THICKNESS_MM
from integral_oda.products.fits_io import open_fits

REPORTS = Path(__file__).parent / "reports"
OSA_PIF = "dominp_isgri/255900280010_isgri_model.fits.gz"
ENERGY_KEV = float(np.sqrt(18.0 * 250.0))
FAR_OFF = 0.02

Plane = NDArray[Any]


def read_osa() -> tuple[Plane, tuple[float, float]]:
    """OSA's PIF ``(134, 130)`` and the tangents of its source."""
    with open_fits(Path(os.environ["INTEGRAL_ODA_TESTDATA"]) / OSA_PIF) as hdus:
        header, data = hdus["ISGR-PIF.-SHD"].header, np.asarray(hdus["ISGR-PIF.-SHD"].data, dtype=float)
    ty, tz = Attitude.from_keywords(header).tangents(header["RA_OBJ"], header["DEC_OBJ"])
    return data, (float(ty), float(tz))


def edges_seen(tangent: float, centres_mm: Plane) -> NDArray[np.bool_]:
    """Which pixels of an axis see an edge between mask cells, at the bottom, the top or in between."""
    heights = MASK_DISTANCE_MM + np.array([-0.5, 0.5]) * MASK_THICKNESS_MM
    sides = centres_mm[:, None] + np.array([-2.0, 2.0])
    seen = (sides[:, :, None] + heights * tangent).reshape(len(centres_mm), -1) / CELL_MM + 0.5
    return np.floor(seen.min(axis=1)) != np.floor(seen.max(axis=1))


def classes(tangents: tuple[float, float]) -> dict[str, NDArray[np.bool_]]:
    """Pixels by what of the mask they see, and those beside a gap."""
    y_mm, z_mm = pixel_centres_mm()
    active = active_pixels()
    in_y, in_z = edges_seen(tangents[0], y_mm)[None, :], edges_seen(tangents[1], z_mm)[:, None]
    gap = np.pad(~active, 1)
    near = active & (gap[:-2, 1:-1] | gap[2:, 1:-1] | gap[1:-1, :-2] | gap[1:-1, 2:])
    return {
        "all": active,
        "one cell": active & ~in_y & ~in_z & ~near,
        "edge of cells": active & (in_y ^ in_z) & ~near,
        "corner of cells": active & in_y & in_z & ~near,
        "beside a gap": near,
    }


def numbers(ours: Plane, theirs: Plane, chosen: NDArray[np.bool_]) -> dict[str, float]:
    """Difference in some pixels."""
    difference = (ours - theirs)[chosen]
    return {
        "pixels": int(chosen.sum()),
        "rms": float(np.sqrt(np.mean(difference**2))),
        "mean": float(difference.mean()),
        "largest": float(np.abs(difference).max()),
        "far_off": int((np.abs(difference) > FAR_OFF).sum()),
    }


def model(tangents: tuple[float, float], **without: float) -> Plane:
    """PIF with parts of the model changed."""
    whole = {name: getattr(pif, name) for name in without}
    try:
        for name, value in without.items():
            setattr(pif, name, value)
        return np.asarray(pif.pixel_illumination(*tangents, energy_kev=ENERGY_KEV))
    finally:
        for name, value in whole.items():
            setattr(pif, name, value)


def report() -> tuple[dict[str, Any], Plane]:
    """Numbers by class and by part of the model, and the map of the difference."""
    theirs, tangents = read_osa()
    ours = model(tangents)
    kinds = classes(tangents)
    parts = {
        "whole model": ours,
        "no beams between the modules": model(tangents, BEAM_HEIGHT_MM=0.0),
        "thin opaque mask": model(tangents, MASK_THICKNESS_MM=0.01, _TUNGSTEN_DENSITY=1e6),
    }
    result = {
        "energy_kev": ENERGY_KEV,
        "correlation": float(np.corrcoef(ours.ravel(), theirs.ravel())[0, 1]),
        "by_class": {name: numbers(ours, theirs, chosen) for name, chosen in kinds.items()},
        "by_model": {name: numbers(plane, theirs, kinds["all"]) for name, plane in parts.items()},
    }
    return result, ours - theirs


def draw(difference: Plane) -> None:
    """Map of the difference and its histogram by class."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    _, tangents = read_osa()
    figure, (left, right) = plt.subplots(1, 2, figsize=(13, 5.5), width_ratios=(1, 1.1), layout="constrained")
    shown = np.where(active_pixels(), difference, np.nan)
    image = left.imshow(shown, origin="lower", cmap="RdBu_r", vmin=-0.05, vmax=0.05)
    left.set(title="PIF of this engine less OSA's", xlabel="DETY", ylabel="DETZ")
    figure.colorbar(image, ax=left, label="difference")
    bins = np.linspace(-0.07, 0.07, 71)
    for name, chosen in classes(tangents).items():
        if name != "all":
            right.hist(difference[chosen], bins, histtype="step", label=f"{name} ({chosen.sum()})", linewidth=1.5)
    right.set(yscale="log", xlabel="difference", ylabel="pixels", title="by what of the mask a pixel sees")
    right.legend()
    figure.savefig(REPORTS / "pif_residual.png", dpi=90, metadata={"Software": None})


def main() -> None:
    """Measure, write the report and draw."""
    result, difference = report()
    (REPORTS / "pif_residual.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    draw(difference)
    for table in (result["by_class"], result["by_model"]):
        for name, row in table.items():
            shown = f"rms {row['rms']:.4f} largest {row['largest']:.3f} far off {row['far_off']}"
            print(f"{name:<30} {row['pixels']:6d} {shown}")


if __name__ == "__main__":
    main()
