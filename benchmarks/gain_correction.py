"""What a gain that is off does to fluxes, and what is left of it once the tungsten line has corrected it.

Run: python benchmarks/gain_correction.py [--windows 3] [--seed 1]; writes gain_correction.json in benchmarks/reports.
Each window is simulated with every set of gains from the same random numbers, and analysed with and without the
correction: its fluxes are compared with those of the same window at a gain of 1, so that hardly any noise is left.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from closed_loop import REPORTS, ZONES, draw_place

from integral_oda.archive.events import EventList, read_events
from integral_oda.archive.tree import Archive
from integral_oda.arrays import Array
from integral_oda.engines.native.events import Dead, Gti, select_events
from integral_oda.engines.native.field import CatI, Effi
from integral_oda.engines.native.image import BinI, BkgI, band_energy_kev
from integral_oda.imaging.structure import Covariance
from integral_oda.instrument.attitude import Attitude
from integral_oda.instrument.energy import EnergyBand
from integral_oda.simulation.recipe import make_recipe
from integral_oda.simulation.window import simulate

BANDS = (EnergyBand(28.0, 80.0), EnergyBand(40.0, 80.0))
POINTING = {"RA_SCX": 83.6, "DEC_SCX": 22.0, "RA_SCZ": 263.6, "DEC_SCZ": 68.0}
DIFFERENT = (1.03, 0.97, 1.0, 1.02, 0.98, 1.03, 0.97, 1.0)
GAINS: dict[str, tuple[float, ...]] = {
    "right": (),
    "modules differ by 0.5 %": (1.005, 0.995, 1.0, 1.005, 0.995, 1.005, 0.995, 1.0),
    "modules differ by 3 %": DIFFERENT,
    "all 3 % low": (0.97,) * 8,
    "all 4 % high": (1.04,) * 8,
    "all 3 % low, and modules differ by 3 %": tuple(0.97 * gain for gain in DIFFERENT),
}
FLUX = 60.0


def draw_sources(seed: int) -> list[dict[str, Any]]:
    """One source in each zone of coding."""
    rng, attitude = np.random.default_rng(seed), Attitude.from_keywords(POINTING)
    places = [(zone, *attitude.position(*draw_place(zone, rng))) for zone in ZONES]
    flux = {"value": FLUX, "band": tuple(BANDS[1])}
    return [{"name": name, "ra": float(ra), "dec": float(dec), "flux": flux} for name, ra, dec in places]


def draw_events(sources: list[dict[str, Any]], seed: int, gains: tuple[float, ...]) -> EventList:
    """Events of a window of 1950 s of the early mission whose modules have these gains."""
    recipe = make_recipe(
        {
            "seed": seed,
            "revolution": 100,
            "duration_s": 1950,
            "pointings": [{"ra": POINTING["RA_SCX"], "dec": POINTING["DEC_SCX"]}],
            "sources": sources,
            "detector": {"low_threshold_kev": 17, "low_threshold_spread_kev": 1, "module_gains": gains},
        }
    )
    with tempfile.TemporaryDirectory() as folder:
        (scw,) = simulate(recipe, folder)
        return read_events(Archive(Path(folder)).events_file(str(scw)))


def fit(events: EventList, sources: list[dict[str, Any]], *, by_line: bool) -> tuple[Array, str]:
    """Fluxes of all sources in each band, ``(n_bands, n_sources)``, and the card of the correction."""
    selected = select_events(events, by_line=by_line)
    good = Gti().compute([selected], {}, {})
    dead = Dead().compute([selected, good], {}, {})
    listed = [[source["name"], source["ra"], source["dec"]] for source in sources]
    field = CatI().compute([selected], {"extra": listed}, {})
    base = [selected, good, dead, Effi().compute([selected, good, dead, field], {}, {}), field]
    fluxes = []
    for band in BANDS:
        shadowgram = BinI().compute(base, {"band": list(band)}, {})
        covariance = Covariance(shadowgram, BkgI().compute([shadowgram, field], {"band": list(band)}, {}))
        fitted, _ = covariance.fit(shadowgram.excess, shadowgram.shadows(field.tangents, band_energy_kev(band)))
        names = list(field.names)
        fluxes.append([float(fitted[names.index(source["name"])]) for source in sources])
    return np.array(fluxes), str(selected.header["GAINCORR"])


def analyse(seed: int) -> dict[str, dict[str, Any]]:
    """Fluxes over those at the right gain, by set of gains, left as they are and corrected."""
    sources = draw_sources(seed)
    right, _ = fit(draw_events(sources, seed, ()), sources, by_line=False)
    rows = {}
    for name, gains in GAINS.items():
        events = draw_events(sources, seed, gains)
        (left, _), (corrected, card) = (fit(events, sources, by_line=by_line) for by_line in (False, True))
        rows[name] = {"left": left / right - 1, "corrected": corrected / right - 1, "factors": card}
    return rows


def summarize(windows: list[dict[str, dict[str, Any]]]) -> dict[str, Any]:
    """Mean and rms departure of the fluxes in each band, and the factors of each window."""
    report: dict[str, Any] = {}
    for name in GAINS:
        rows = [window[name] for window in windows]
        report[name] = {"factors": [row["factors"] for row in rows]}
        for k, band in enumerate(map(str, BANDS)):
            for state in ("left", "corrected"):
                off = np.concatenate([row[state][k] for row in rows])
                report[name][f"{band} {state}"] = {"mean": float(off.mean()), "rms": float(np.sqrt((off**2).mean()))}
    return report


def main() -> None:
    """Run the windows and write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--windows", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    windows = [analyse(100 * arguments.seed + k) for k in range(arguments.windows)]
    report = {"seed": arguments.seed, "windows": arguments.windows, "gains": summarize(windows)}
    for name, row in report["gains"].items():
        print(name, row, sep="\n", flush=True)
    (REPORTS / "gain_correction.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
