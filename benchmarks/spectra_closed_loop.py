"""Closed loop of spectra: simulated windows with a Crab and a faint source, extracted, summed and fitted.

Run: python benchmarks/spectra_closed_loop.py [--windows 40] [--seed 1] [--seconds 1500] [--threshold 17]; writes
spectra_closed_loop.json in benchmarks/reports.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from integral_oda.archive.tree import Archive
from integral_oda.engines.native.events import Cor, Dead, Gti
from integral_oda.engines.native.field import CatI, Effi
from integral_oda.engines.native.image import BinI, BkgI
from integral_oda.engines.native.spectra import BinS, BkgS, Spe, WindowSpectra, extracted_edges_kev
from integral_oda.engines.native.spectra_sum import PackSpectra, SourceSpectrum
from integral_oda.imaging.structure import Covariance
from integral_oda.simulation.recipe import make_recipe
from integral_oda.simulation.window import simulate
from integral_oda.spectra.binning import channel_edges
from integral_oda.spectral_fit import FitRequest, fit_spectra

REPORT = Path(__file__).resolve().parent / "reports/spectra_closed_loop.json"
FAINT = ("Faint", 83.6332, 32.0145)
CRAB_FLUX_20_100 = 1.712e-8
"""erg/cm2/s of 9.7 E^-2.1."""
FIT_KEV = (20.0, 200.0)
IMAGE_BAND = (28.0, 79.5)


def recipe(number: int, seed: int, seconds: float, threshold: float) -> dict[str, Any]:
    """One window between the Crab and a source of 20 mCrab 10 degrees north of it."""
    rng = np.random.default_rng([seed, number])
    ra, dec = 83.6 + rng.uniform(-3, 3), 27.0 + rng.uniform(-2.5, 2.5)
    name, faint_ra, faint_dec = FAINT
    return {
        "seed": int(rng.integers(1 << 30)),
        "first_pointing": number + 1,
        "start_ijd": 3006.0 + 0.05 * number,
        "pointings": [{"ra": ra, "dec": dec, "roll": float(rng.uniform(0, 360))}],
        "duration_s": seconds,
        "sources": [
            {"name": "Crab", "ra": 83.6332, "dec": 22.0145, "flux": {"value": 1000, "unit": "mCrab"}},
            {"name": name, "ra": faint_ra, "dec": faint_dec, "flux": {"value": 20, "unit": "mCrab"}},
        ],
        "background": {"rate": 500},
        "detector": {"dead_fraction": 0.03, "low_threshold_kev": threshold, "low_threshold_spread_kev": threshold / 17},
    }


def extract(folder: Path, number: int, arguments: argparse.Namespace) -> tuple[str, WindowSpectra, float]:
    """Simulate a window and extract its spectra; with the Crab's flux in the image band over that of its channels."""
    scw = str(simulate(make_recipe(recipe(number, arguments.seed, arguments.seconds, arguments.threshold)), folder)[0])
    events = Cor().compute([], {}, {"events": Archive(folder).events_file(scw)})
    good = Gti().compute([events], {}, {})
    dead_file = Archive(folder).find(scw, "isgri_dead.fits")
    dead = Dead().compute([events, good], {}, {"dead": dead_file} if dead_file else {})
    field = CatI().compute([events], {"extra": [list(FAINT)]}, {})
    efficiency = Effi().compute([events, good, dead, field], {}, {})
    base = [events, good, dead, efficiency]
    cube = BinS().compute(base, {}, {})
    structure = BkgS().compute([*base, field, cube], {"source": None}, {})
    spectra = Spe().compute([*base, structure, cube], {"source": None}, {})
    shadowgram = BinI().compute(base, {"band": IMAGE_BAND}, {})
    widths = BkgI().compute([shadowgram, field], {"band": IMAGE_BAND}, {})
    design = shadowgram.shadows(field.tangents, float(np.sqrt(np.prod(IMAGE_BAND))))
    fluxes, _ = Covariance(shadowgram, widths).fit(shadowgram.excess, design)
    edges = extracted_edges_kev()
    inside = (edges[:-1] >= IMAGE_BAND[0]) & (edges[1:] <= IMAGE_BAND[1])
    crab = spectra.flux[spectra.names.index("Crab"), inside].sum() / fluxes[field.names.index("Crab")]
    return scw, spectra, float(crab)


def fitted(item: SourceSpectrum, folder: Path) -> dict[str, Any]:
    """Power-law fit of a spectrum through its files."""
    from integral_oda.products.response_file import write_arf, write_rmf
    from integral_oda.products.spectrum import write_spectrum

    write_spectrum(folder / "spectrum.fits", item.spectrum)
    write_rmf(folder / item.spectrum.response_file, item.response, "OSA10")
    write_arf(folder / item.spectrum.area_file, item.response, "OSA10")
    report = fit_spectra(FitRequest(spectrum=(folder / "spectrum.fits",), e1=FIT_KEV[0], e2=FIT_KEV[1])).report
    index, flux = report["parameters"][0], report["fluxes"][0]
    return {"index": index["value"], "index_error": index["error"], "flux": flux["flux"], "flux_error": flux["error"],
            "chi2": report["value"], "dof": report["dof"]}  # fmt: skip


def summed(windows: list[tuple[str, WindowSpectra]]) -> dict[str, SourceSpectrum]:
    """Sum of windows over 62 channels, by source."""
    made = PackSpectra().compute(windows, {"edges": channel_edges(62).tolist(), "group": 0.0}, {})
    return {item.spectrum.name: item for item in made}


def channel_pulls(item: SourceSpectrum, share: float) -> np.ndarray:
    """Pulls of the channels against the truth, where thresholds leave no doubt."""
    spectrum = item.spectrum
    truth = share * item.response.fold(lambda energy: 9.7 * energy**-2.1)
    used = (spectrum.quality == 0) & (spectrum.sys_error < 0.01) & (item.response.channel_edges_kev[1:] <= 500)
    return ((spectrum.rate - truth) / np.where(spectrum.stat_error > 0, spectrum.stat_error, np.inf))[used]


def band_pull(item: SourceSpectrum, share: float) -> float:
    """Pull of the sum over 28 to 100 keV, covariance included."""
    edges, spectrum = item.response.channel_edges_kev, item.spectrum
    inside = (edges[:-1] >= 28) & (edges[1:] <= 100)
    truth = share * item.response.fold(lambda energy: 9.7 * energy**-2.1)
    assert spectrum.covariance is not None
    error = np.sqrt(spectrum.covariance[np.ix_(inside, inside)].sum())
    return float((spectrum.rate - truth)[inside].sum() / error)


def spread(values: Any) -> dict[str, float]:
    """Mean, its error, and width."""
    array = np.asarray(values, dtype=float)
    n, width = array.size, float(array.std())
    return {"mean": float(array.mean()), "mean_error": width / np.sqrt(n), "width": width, "n": n}


def main() -> None:
    """Simulate, extract, fit, and write the report."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--windows", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=1500.0)
    parser.add_argument("--threshold", type=float, default=17.0, help="mean low threshold, keV; 0 for none")
    parser.add_argument("--out", type=Path, default=REPORT)
    arguments = parser.parse_args()
    started = time.perf_counter()
    windows, ratios = [], []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number in range(arguments.windows):
            scw, spectra, ratio = extract(folder / f"w{number}", number, arguments)
            windows.append((scw, spectra))
            ratios.append(ratio)
            print(number, scw, f"{ratio:.4f}", flush=True)
        singles = [summed([window]) for window in windows]
        fits = [fitted(single["Crab"], folder) for single in singles]
        groups = [summed(windows[k : k + 20]) for k in range(0, len(windows) - 19, 20)]
        sums = [fitted(group["Crab"], folder) for group in groups]
        faint = [fitted(group["Faint"], folder) for group in groups]
    errors = np.array([f["index_error"] for f in fits])
    report = {
        "seed": arguments.seed,
        "windows": arguments.windows,
        "seconds_a_window": arguments.seconds,
        "low_threshold_kev": arguments.threshold,
        "fit_kev": FIT_KEV,
        "crab_one_window": {
            "index_less_truth": spread([f["index"] - 2.1 for f in fits]),
            "index_pull": spread((np.array([f["index"] for f in fits]) - 2.1) / errors),
            "flux_over_truth": spread([f["flux"] / CRAB_FLUX_20_100 for f in fits]),
            "reduced_chi2": spread([f["chi2"] / f["dof"] for f in fits]),
            "channel_pull": spread(np.concatenate([channel_pulls(s["Crab"], 1.0) for s in singles])),
        },
        "crab_20_windows": sums,
        "faint_20_mcrab_10_deg_from_the_crab": {
            "channel_pull_one_window": spread(np.concatenate([channel_pulls(s["Faint"], 0.02) for s in singles])),
            "pull_28_100_one_window": spread([band_pull(s["Faint"], 0.02) for s in singles]),
            "fit_of_20_windows": faint,
        },
        "channels_over_image_28_79.5": spread(ratios),
        "seconds": round(time.perf_counter() - started, 1),
    }
    arguments.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
