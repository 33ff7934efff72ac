"""Speed and memory of mosaics, beside `reproject` and `pymosaic-fits`, on the same images in one run.

    python benchmarks/mosaic_speed.py [--windows 1000] [--out benchmarks/reports/mosaic_speed.md]

Needs the packages that it compares with (``pip install reproject pymosaic-fits``); without them their lines are left
out. One thread; each time is the least of several, in processor seconds.
"""

from __future__ import annotations

import argparse
import logging
import os
import resource
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS

from integral_oda.imaging.mosaic import MosaicSum
from integral_oda.imaging.resampling import Resampler, Resampling
from integral_oda.imaging.sky_grid import Extent
from integral_oda.products.sky_grid import SkyGrid, image_plane

SIDE, MOSAIC_SIDE = 400, 1000


def gnomonic(ra: float, dec: float, roll: float, side: int) -> WCS:
    """Coordinates of a square image."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.cunit = ["RA---TAN", "DEC--TAN"], ["deg", "deg"]
    wcs.wcs.crval, wcs.wcs.crpix = [ra, dec], [(side + 1) / 2] * 2
    c, s = np.cos(np.deg2rad(roll)), np.sin(np.deg2rad(roll))
    wcs.wcs.cd = 0.08229 * np.array([[-c, s], [s, c]])
    return wcs


def images(count: int, seed: int = 11) -> list[tuple[np.ndarray, np.ndarray, np.ndarray, WCS]]:
    """Noise images around one place, in any roll angle."""
    generator = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        variance = generator.uniform(1, 2, (SIDE, SIDE)).astype(np.float32)
        flux = (generator.normal(size=(SIDE, SIDE)) * np.sqrt(variance)).astype(np.float32)
        wcs = gnomonic(83 + generator.uniform(-8, 8), 22 + generator.uniform(-8, 8), generator.uniform(0, 360), SIDE)
        made.append((flux, variance, np.full((SIDE, SIDE), 2000, np.float32), wcs))
    return made


def least_seconds(work: Callable[[], object], times: int) -> float:
    """Least processor time of several runs."""
    spent = []
    for _ in range(times):
        start = time.process_time()
        work()
        spent.append(time.process_time() - start)
    return min(spent)


def ours(some: list, grid: SkyGrid, method: Resampling = Resampling.CUBIC) -> MosaicSum:
    """The mosaic of some images."""
    total = MosaicSum.empty(grid.extent)
    for flux, variance, exposure, wcs in some:
        image = Resampler(flux, variance, exposure, method)
        total = total.with_image(image, image_plane(wcs, flux.shape), grid.pixels)
    return total


def with_reproject(some: list, wcs: WCS) -> np.ndarray:
    """The same sum with `reproject_interp`, flux and variance in one call an image."""
    from reproject import reproject_interp

    sums = np.zeros((2, MOSAIC_SIDE, MOSAIC_SIDE))
    for flux, variance, _, own in some:
        (value, spread), _ = reproject_interp((np.array([flux, variance]), own), wcs, sums.shape[1:])
        weight = np.where(np.isfinite(value) & (spread > 0), 1 / np.where(spread > 0, spread, 1), 0)
        sums += [np.nan_to_num(value) * weight, weight]
    return sums


def as_hdus(flux: np.ndarray, variance: np.ndarray, exposure: np.ndarray, wcs: WCS) -> fits.HDUList:
    """An image as `pymosaic-fits` takes it."""
    hdus = [fits.PrimaryHDU()]
    for kind, plane in (("INTENSITY", flux), ("VARIANCE", variance), ("EXPOSURE", exposure)):
        header = wcs.to_header()
        header["IMATYPE"] = kind
        hdus.append(fits.ImageHDU(plane.copy(), header))
    return fits.HDUList(hdus)


def with_pymosaic_healpix(some: list, _: WCS) -> object:
    """The same sum with `pymosaic-fits` as it comes, on HEALPix pixels of 7 arcmin."""
    from mosaic import HealpixMosaic, logger

    logger.setLevel(logging.ERROR)
    total = HealpixMosaic(nsides=512)
    for image in some:
        total.add(as_hdus(*image))
    return total


def with_pymosaic(some: list, wcs: WCS) -> object:
    """The same sum with `pymosaic-fits` on a grid of the same size."""
    from mosaic import FITsMosaic, logger

    logger.setLevel(logging.ERROR)

    total = FITsMosaic()
    empty = np.full((MOSAIC_SIDE, MOSAIC_SIDE), np.nan, np.float32)
    total.add(as_hdus(empty, empty, empty, wcs))
    for image in some:
        total.add(as_hdus(*image))
    return total


def compared(few: list, grid: SkyGrid, wcs: WCS) -> list[str]:
    """Table of seconds a window."""
    lines = ["| way | ms a window | times ours |", "| --- | --- | --- |"]
    own = least_seconds(lambda: ours(few, grid), 5) / len(few)
    lines.append(f"| integral-oda, cubic | {own * 1e3:.1f} | 1 |")
    for method in (Resampling.NEAREST, Resampling.SPLIT, Resampling.SPREAD):
        spent = least_seconds(lambda method=method: ours(few, grid, method), 3) / len(few)
        lines.append(f"| integral-oda, {method} | {spent * 1e3:.1f} | {spent / own:.2f} |")
    others = (
        ("reproject (interp)", with_reproject),
        ("pymosaic-fits, its default", with_pymosaic_healpix),
        ("pymosaic-fits, nearest pixel on the same grid", with_pymosaic),
    )
    for name, work in others:
        try:
            spent = least_seconds(lambda work=work: work(few, wcs), 2) / len(few)
        except ImportError:
            continue
        lines.append(f"| {name} | {spent * 1e3:.0f} | {spent / own:.0f} |")
    return lines


def main() -> None:
    """Run and write the report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--windows", type=int, default=1000)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    wcs = gnomonic(83, 22, 0, MOSAIC_SIDE)
    grid = SkyGrid(wcs, Extent(0, 0, MOSAIC_SIDE, MOSAIC_SIDE))
    few = images(8)
    lines = ["# Speed of mosaics", "", f"Images of {SIDE} x {SIDE} into {MOSAIC_SIDE} x {MOSAIC_SIDE}, one thread."]
    many = [few[k % len(few)] for k in range(arguments.windows)]
    started, busy = time.perf_counter(), time.process_time()
    total = ours(many, grid)
    busy, wall = time.process_time() - busy, time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    lines += ["", (f"{total.images} windows: {busy:.1f} s of processor time ({wall:.1f} s by the clock), "
              f"the process at most {peak:.0f} MB."), "", *compared(few, grid, wcs)]  # fmt: skip
    text = "\n".join(lines) + "\n"
    print(text)
    if arguments.out:
        arguments.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
