"""Why OSA 11.2's rates of the real sample window are higher than this engine's: each part measured from real products.

Run: python benchmarks/flux_factor.py [--archive DIR]; needs INTEGRAL_ODA_TESTDATA; writes flux_factor.json in
benchmarks/reports. Nothing here is fitted to the ratio that it explains.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits

from integral_oda.analysis import analyse
from integral_oda.archive.events import read_events
from integral_oda.archive.tree import Archive
from integral_oda.engines.native import field
from integral_oda.folders import archive_root
from integral_oda.instrument.energy import EnergyBand
from integral_oda.instrument.epochs import OSA_SEAM_IJD, sensitivity_factor
from integral_oda.instrument.response import crab_rate
from integral_oda.products.light_curve import read_light_curve
from integral_oda.products.qdp import read_qdp
from integral_oda.query import LightCurveQuery

REPORTS = Path(__file__).parent / "reports"
SCW, BAND, SOURCE = "255900280010.001", (28.0, 80.0), "SGR 1935+2154"
OSA_CURVE = "volodymyrss_grb221009/oda_8201ddeca4be3129_lc1000s_28_80_rev2559_{}.fits.gz"
RMF = "volodymyrss_grb221009/IBIS_rmf_GRB221009A.fits.gz"
CRAB = "gbelanger_java-tda/ts_isgri_83.633_22.014_20-35keV.qdp.gz"
OFF_AXIS_DEG = 6.65


def measured(archive: Path, data: Path) -> dict[str, Any]:
    """Ratio of OSA's rates to ours in OSA's own bins, of the bursting source and of the steady neighbour."""
    osa = read_light_curve(data / OSA_CURVE.format("SGR_1935+2154"))
    inside = (osa.time_ijd > 8320.632) & (osa.time_ijd < 8320.674)
    bounds = osa.select(inside).edges_ijd
    with tempfile.TemporaryDirectory() as store:
        query = LightCurveQuery(scw_list=(SCW,), bin_edges=tuple(np.append(bounds[:, 0], bounds[-1, 1])))
        curves = {curve.name: curve for curve in analyse(query, archive, store).curves}
    ours, theirs = curves[SOURCE], osa.select(inside)
    factor = float((ours.rate[:3] * theirs.rate[:3]).sum() / (ours.rate[:3] ** 2).sum())
    result: dict[str, Any] = {"factor": factor, "ours_over_osa": (factor * ours.rate / theirs.rate)[:3].tolist()}
    result["fourth_bin_pull"] = float(
        (factor * ours.rate - theirs.rate)[3] / np.hypot(factor * ours.error, theirs.error)[3]
    )
    other = read_light_curve(data / OSA_CURVE.format("GRS_1915+105")).select(inside)
    mine = curves["GRS 1915+105"]
    pull = (factor * mine.rate - other.rate) / np.hypot(factor * mine.error, other.error)
    return {**result, "grs1915_pulls": pull.tolist()}


def measured_as_osa_assumes(archive: Path, data: Path) -> dict[str, Any]:
    """The same with the pixels' answer to a Crab-like spectrum for every source.

    OSA's tables of low thresholds know no source's own spectrum; here bright sources answer with theirs.
    """
    kept = field.BRIGHT_SIGNIFICANCE
    field.BRIGHT_SIGNIFICANCE = np.inf
    try:
        return measured(archive, data)
    finally:
        field.BRIGHT_SIGNIFICANCE = kept


def area_ratio(data: Path) -> dict[str, float]:
    """Rate of a Crab-like spectrum by OSA 11.2's response of this revolution, over that by the nominal area."""
    with fits.open(data / RMF) as hdus:
        table = next(h for h in hdus if "MATRIX" in getattr(getattr(h, "columns", None), "names", ()))
        bounds = next(h for h in hdus if "E_MIN" in getattr(getattr(h, "columns", None), "names", ()))
        matrix, low, high = _full(table, bounds), table.data["ENERG_LO"], table.data["ENERG_HI"]
        e_min, e_max = bounds.data["E_MIN"].astype(float), bounds.data["E_MAX"].astype(float)
    photons = 9.7 * ((low + high) / 2) ** -2.1 * (high - low)
    ratios = {}
    for e1, e2 in ((28, 80), (28, 40), (40, 60), (60, 80)):
        inside = (e_min >= e1 - 0.01) & (e_max <= e2 + 0.01)
        band = EnergyBand(float(e_min[inside][0]), float(e_max[inside][-1]))
        ratios[f"{e1}-{e2}"] = float(photons @ matrix[:, inside].sum(axis=1)) / crab_rate(band)
    return ratios


def _full(table: Any, bounds: Any) -> np.ndarray:
    first = int(bounds.data["CHANNEL"][0])
    matrix = np.zeros((len(table.data), len(bounds.data)))
    for row, values in zip(matrix, table.data, strict=True):
        start = 0
        for channel, count in zip(np.atleast_1d(values["F_CHAN"]), np.atleast_1d(values["N_CHAN"]), strict=True):
            row[int(channel) - first : int(channel) - first + int(count)] = values["MATRIX"][start : start + int(count)]
            start += int(count)
    return matrix


def off_axis(data: Path) -> dict[str, float]:
    """What OSA's vignetting correction leaves: the Crab's rate at the sample's off-axis angle over that on axis."""
    path = data / CRAB
    curve = read_qdp(path)
    import gzip

    lines = (line.split() for line in gzip.decompress(path.read_bytes()).decode().splitlines())
    angle = np.array([float(f[4]) for f in lines if len(f) == 5 and f[0][0] in "-0123456789"])
    early = curve.time_ijd < OSA_SEAM_IJD
    level = curve.rate * sensitivity_factor(curve.time_ijd)
    rates = {name: float(np.median(level[early & (angle >= a) & (angle < b)]))
             for name, (a, b) in {"0-2": (0, 2), "2-5": (2, 5), "5-8": (5, 8), "8-11": (8, 11)}.items()}  # fmt: skip
    return {
        **{f"{k} deg": v / rates["0-2"] for k, v in rates.items()},
        "at the sample's angle": rates["5-8"] / rates["0-2"],
    }


def selection_losses(archive: Path) -> dict[str, float]:
    """Share of the source's events that the rise-time selection takes, from the bursts themselves."""
    events = read_events(Archive(archive).events_file(SCW))
    seconds = (events.time_ijd - events.time_ijd[0]) * 86400
    number = (seconds / 0.1).astype(int)
    bright = np.isin(number, np.argsort(np.bincount(number))[::-1][:40])
    band = (events.energy_kev >= BAND[0]) & (events.energy_kev < BAND[1])
    good = (events.rise_time >= 16) & (events.rise_time <= 116)
    return {"kept by the rise time": float((bright & band & good).sum() / (bright & band).sum())}


def main() -> None:
    """Run and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--archive", type=Path, default=archive_root())
    given = parser.parse_args()
    data = Path(os.environ["INTEGRAL_ODA_TESTDATA"])
    seen, area, vignetting = measured(given.archive, data), area_ratio(data), off_axis(data)
    crab_like = measured_as_osa_assumes(given.archive, data)
    drift = float(sensitivity_factor(8320.65))
    parts = {
        "OSA 11's effective area over the nominal one, 28-80 keV": area["28-80"],
        "loss of sensitivity since 2003, which OSA 11's efficiency tables put back": drift,
        "vignetting at 6.65 degrees": vignetting["at the sample's angle"],
        "dead time: 0.698 in both": 1.0,
    }
    product = float(np.prod(list(parts.values())))
    report = {
        "measured": seen,
        "measured_with_a_crab_like_spectrum": crab_like,
        "own_spectrum_where_thresholds_cut": seen["factor"] / crab_like["factor"],
        "parts": parts,
        "product_of_parts": product,
        "left_over": crab_like["factor"] / product,
        "area_by_band": area,
        "off_axis": vignetting,
        "rise_time": selection_losses(given.archive),
    }
    (REPORTS / "flux_factor.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
