"""Tables of hardness ratios, folded light curves and periodograms, and what a summary says of a light curve."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from integral_oda.products.fits_io import TIME_CARDS, write_fits
from integral_oda.products.light_curve import LightCurve
from integral_oda.timing.periods import Ephemeris, FoldedCurve, Periodogram
from integral_oda.timing.variability import excess_variance, fit_constant, fit_line, hardness_ratio

__all__ = ["band_entry", "hardness_tables", "write_folded", "write_periodogram"]

_MJD_OF_IJD_0 = 51544.0


def hardness_tables(curves: Sequence[LightCurve]) -> list[Any]:
    """One HARDNESS table for each pair of neighbouring bands of a source's light curves."""
    from astropy.io import fits

    tables: list[Any] = []
    ordered = sorted(curves, key=lambda curve: curve.band.e1_kev)
    for soft, hard in pairwise(ordered):
        ratio, error = hardness_ratio(soft.rate, soft.error, hard.rate, hard.error)
        columns = [
            fits.Column("TIME", "1D", unit="d", array=soft.time_ijd),
            fits.Column("TIMEDEL", "1D", unit="d", array=soft.width_s / 86400.0),
            fits.Column("HR", "1E", array=ratio),
            fits.Column("HR_ERR", "1E", array=error),
        ]
        table = fits.BinTableHDU.from_columns(columns, name="HARDNESS", ver=len(tables) + 1)
        table.header.update({**TIME_CARDS, "NAME": soft.name, "HRDEF": "(hard - soft) / (hard + soft)"})
        table.header.update({"SOFT_MIN": soft.band.e1_kev, "SOFT_MAX": soft.band.e2_kev})
        table.header.update({"HARD_MIN": hard.band.e1_kev, "HARD_MAX": hard.band.e2_kev})
        tables.append(table)
    return tables


def band_entry(curve: LightCurve) -> dict[str, Any]:
    """Mean flux of a light curve and how it varies, for ``summary.json``."""
    entry: dict[str, Any] = {"e1_kev": curve.band.e1_kev, "e2_kev": curve.band.e2_kev, "bins": len(curve)}
    known = np.isfinite(curve.rate) & np.isfinite(curve.error) & (curve.error > 0)
    if not known.any():
        return entry
    own = np.where(curve.own_error > 0, curve.own_error, curve.error)
    constant = fit_constant(curve.rate, own)
    line, excess = fit_line(curve.time_ijd, curve.rate, own), excess_variance(curve.rate, own)
    flux, error = _mean(curve, known)
    scale = float(np.nanmedian(curve.mcrab_error / curve.error)) if np.isfinite(curve.mcrab_error).any() else np.nan
    return {
        **entry,
        "flux": flux,
        "flux_error": error,
        "significance": flux / error,
        "flux_mcrab": flux * scale if np.isfinite(scale) else None,
        "constant": asdict(constant),
        "linear": asdict(line) if line else None,
        "excess_variance": asdict(excess) if excess else None,
    }


def _mean(curve: LightCurve, known: Any) -> tuple[float, float]:
    """Mean rate by live time, and its error; what bins share does not average out."""
    live = np.where(np.isfinite(curve.live_time_s), curve.live_time_s, curve.width_s * curve.fractional_exposure)[known]
    flux = float((curve.rate[known] * live).sum() / live.sum())
    own = float(np.sqrt(((curve.own_error[known] * live) ** 2).sum()) / live.sum())
    return flux, float(np.hypot(own, (curve.common_error[known] * live).sum() / live.sum()))


def write_folded(path: Path, name: str, folded: FoldedCurve, ephemeris: Ephemeris) -> None:
    """Write a folded light curve as a table FOLDED."""
    from astropy.io import fits

    columns = [
        fits.Column("PHASE", "1D", array=folded.phase),
        fits.Column("RATE", "1D", unit="counts/s", array=folded.rate),
        fits.Column("ERROR", "1D", unit="counts/s", array=folded.error),
        fits.Column("EXPOSURE", "1D", unit="s", array=folded.exposure_s),
    ]
    table = fits.BinTableHDU.from_columns(columns, name="FOLDED")
    table.header.update({"NAME": name, "PERIOD": ephemeris.period_s, "PDOT": ephemeris.derivative})
    table.header.update({"EPOCH": ephemeris.epoch_ijd + _MJD_OF_IJD_0, "CHI2": folded.chi2})
    table.header.update({"PULSED": folded.pulsed, "PULS_ERR": folded.pulsed_error})
    write_fits(path, [fits.PrimaryHDU(), table])


def write_periodogram(path: Path, name: str, found: Periodogram) -> None:
    """Write a periodogram as a table PERIODOGRAM."""
    from astropy.io import fits

    columns = [
        fits.Column("FREQUENCY", "1D", unit="Hz", array=found.frequency_hz),
        fits.Column("POWER", "1E", array=found.power),
    ]
    table = fits.BinTableHDU.from_columns(columns, name="PERIODOGRAM")
    table.header.update({"NAME": name, "STAT": f"Z2_{found.harmonics}", "PERIOD": found.period_s})
    table.header.update({"PERERR": found.period_error_s, "PEAK": found.peak, "FAP": found.false_alarm})
    write_fits(path, [fits.PrimaryHDU(), table])
