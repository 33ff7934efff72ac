"""Closed loop of mosaics: drawn sky images of a 5 x 5 dither, summed, searched and fitted, against the truth.

    python benchmarks/mosaic_closed_loop.py [--mosaics 170] [--resampling cubic] [--out benchmarks/reports/...md]

Each mosaic has 50 windows (the dither twice) and twelve sources of 3 mCrab to 1 Crab at random places.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from integral_oda.imaging.resampling import PSF_SIGMA_PIXELS, Resampling
from integral_oda.imaging.search import FLOOR_90_ARCMIN
from integral_oda.instrument.attitude import SKY_SHAPE, Attitude, separation_deg
from integral_oda.instrument.energy import EnergyBand
from integral_oda.instrument.response import crab_rate
from integral_oda.mosaics.combine import BandSum
from integral_oda.mosaics.sources import find_sources
from integral_oda.products.sky_grid import gnomonic_grid, observed_outline
from integral_oda.products.sky_image import SkyImage
from integral_oda.products.source_list import Source
from integral_oda.simulation.sky_image import draw_sky_image

BAND = EnergyBand(20.0, 40.0)
CRAB = crab_rate(BAND)
ERROR_MCRAB = 7.0
"""1 sigma of a window of half an hour."""
NEAR_ARCMIN = 6.0
RA, DEC, STEP = 83.6, 22.0, 2.17


def attitudes(roll_deg: float) -> list[Attitude]:
    """Pointings of a 5 x 5 dither, done twice."""
    found = []
    for k in range(50):
        i, j = divmod(k % 25, 5)
        dec = DEC + (i - 2) * STEP
        ra = RA + (j - 2) * STEP / np.cos(np.deg2rad(dec))
        found.append(_pointing(ra, dec, roll_deg))
    return found


def _pointing(ra: float, dec: float, roll_deg: float) -> Attitude:
    a, d, r = (np.deg2rad(angle) for angle in (ra, dec, roll_deg))
    x = np.array([np.cos(d) * np.cos(a), np.cos(d) * np.sin(a), np.sin(d)])
    east, north = np.array([-np.sin(a), np.cos(a), 0]), np.cross(x, np.array([-np.sin(a), np.cos(a), 0]))
    return Attitude(x, np.cos(r) * north + np.sin(r) * east)


def true_sources(generator: np.random.Generator) -> list[tuple[float, float, float]]:
    """Twelve sources apart from each other, 3 mCrab to 1 Crab, evenly in the logarithm."""
    places: list[tuple[float, float]] = []
    while len(places) < 12:
        dec = DEC + generator.uniform(-8, 8)
        ra = RA + generator.uniform(-8, 8) / np.cos(np.deg2rad(dec))
        if all(separation_deg(ra, dec, *other) > 1.0 for other in places):
            places.append((ra, dec))
    fluxes = CRAB * np.geomspace(0.003, 1.0, 12)
    return [(ra, dec, float(flux)) for (ra, dec), flux in zip(places, fluxes, strict=True)]


def one_mosaic(seed: int, method: Resampling) -> tuple[list[dict[str, float]], float, SkyImage]:
    """Fits of one mosaic beside the truth, the noise left, and the mosaic."""
    generator = np.random.default_rng(seed)
    truth = true_sources(generator)
    pointings = attitudes(float(generator.uniform(0, 360)))
    grid = gnomonic_grid([observed_outline(a.wcs(), np.ones(SKY_SHAPE, bool)) for a in pointings])
    total = BandSum(BAND, grid, method)
    for attitude in pointings:
        total.add(draw_sky_image(attitude, truth, ERROR_MCRAB / 1000 * CRAB, generator, BAND))
    mosaic = total.image(cut=True)
    blind = find_sources([mosaic], 5.0, []).sources
    missed = [(f"at {ra:.3f}{dec:+.3f}", ra, dec) for ra, dec, _ in truth if _nearest(blind, ra, dec)[0] > NEAR_ARCMIN]
    found = find_sources([mosaic], 5.0, [], missed)
    return [_beside(found.sources, *source) for source in truth], found.noise[0]["significance_sigma"], mosaic


def _nearest(sources: list[Source], ra: float, dec: float) -> tuple[float, Source]:
    away = [separation_deg(ra, dec, source.ra_deg, source.dec_deg) * 60 for source in sources]
    nearest = int(np.argmin(away))
    return float(away[nearest]), sources[nearest]


def _beside(sources: list[Source], ra: float, dec: float, flux: float) -> dict[str, float]:
    away, nearest = _nearest(sources, ra, dec)
    band = nearest.bands[0]
    return {"true": flux, "flux": band.flux, "error": band.flux_error, "away": away,
            "radius": nearest.error_radius_arcmin, "forced": float(nearest.forced)}  # fmt: skip


def widths(mosaic: SkyImage, truth: list[tuple[float, float, float]]) -> list[float]:
    """Width (1 sigma, pixels) of the brightest sources, of a free Gaussian."""
    from astropy.coordinates import SkyCoord
    from scipy.optimize import least_squares

    found = []
    for ra, dec, _ in truth[-3:]:
        column, row = (float(v) for v in mosaic.pixel_of(SkyCoord(ra, dec, unit="deg", frame="fk5")))
        i, j = round(row), round(column)
        rows, columns = np.mgrid[i - 4 : i + 5, j - 4 : j + 5]
        stamp = mosaic.intensity[rows, columns]

        found.append(abs(least_squares(_left, [stamp.max(), column, row, 1.2], args=(columns, rows, stamp)).x[3]))
    return found


def _left(p: np.ndarray, columns: np.ndarray, rows: np.ndarray, stamp: np.ndarray) -> np.ndarray:
    squares = (columns - p[1]) ** 2 + (rows - p[2]) ** 2
    return (p[0] * np.exp(-squares / (2 * p[3] ** 2)) - stamp).ravel()


def main() -> None:
    """Run and write the report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mosaics", type=int, default=170)
    parser.add_argument("--resampling", default="cubic")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    method, started = Resampling(arguments.resampling), time.perf_counter()
    fits, noise, width = [], [], []
    for k in range(arguments.mosaics):
        one, sigma, mosaic = one_mosaic(arguments.seed + k, method)
        fits += one
        noise.append(sigma)
        width += widths(mosaic, true_sources(np.random.default_rng(arguments.seed + k)))
    title = [f"# Closed loop of mosaics, {method} resampling", "", (f"{arguments.mosaics} mosaics of 50 drawn windows, "
             f"{len(fits)} fits, seeds from {arguments.seed}, {time.perf_counter() - started:.0f} s."), ""]  # fmt: skip
    text = "\n".join([*title, *report(fits, noise, width)]) + "\n"
    print(text)
    if arguments.out:
        arguments.out.write_text(text, encoding="utf-8")


def report(fits: list[dict[str, float]], noise: list[float], width: list[float]) -> list[str]:
    """Lines of the report."""
    column = {name: np.array([fit[name] for fit in fits]) for name in fits[0]}
    pulls = (column["flux"] - column["true"]) / column["error"]
    weight = (column["true"] / column["error"]) ** 2
    ratio = column["flux"] / column["true"]
    placed = column["forced"] == 0
    inside = column["away"][placed] <= column["radius"][placed]
    statistical = np.sqrt(column["radius"] ** 2 - FLOOR_90_ARCMIN**2 / 50)
    drawn = column["away"][placed] <= statistical[placed]
    lines = [
        (
            f"* Mean of fitted over true flux: {ratio.mean():.4f} +- {ratio.std() / np.sqrt(len(fits)):.4f}; weighted "
            f"by significance {np.average(ratio, weights=weight):.4f}"
        ),
        f"* Width of pulls: {pulls.std():.3f} +- {1 / np.sqrt(2 * len(fits)):.3f}, mean {pulls.mean():+.3f}",
        (
            f"* Positions within R90 without the systematic floor, which is not drawn: {100 * drawn.mean():.1f} +- "
            f"{100 * np.sqrt(0.09 / drawn.size):.1f} % of {drawn.size}; with it {100 * inside.mean():.1f} %"
        ),
        f"* FWHM of bright sources over that in a window: {np.mean(width) / PSF_SIGMA_PIXELS:.4f}",
        f"* Sigma of the source-free significance map: {np.mean(noise):.4f} +- {np.std(noise):.4f}",
        "",
        "| true flux, mCrab | significance | flux over truth | pull: mean, width | found blind | within R90 |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for flux in np.unique(column["true"]):
        some = column["true"] == flux
        seen = some & placed
        good = (column["away"] <= column["radius"])[seen]
        lines.append(
            f"| {1000 * flux / CRAB:.1f} | {np.mean(flux / column['error'][some]):.1f} | {ratio[some].mean():.4f} +- "
            f"{ratio[some].std() / np.sqrt(some.sum()):.4f} | {pulls[some].mean():+.2f}, {pulls[some].std():.2f} | "
            f"{100 * seen.sum() / some.sum():.0f} % | {100 * good.mean() if good.size else float('nan'):.0f} % |"
        )
    return lines


if __name__ == "__main__":
    main()
