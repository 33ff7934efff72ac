"""Reference values of spectral fits, by sherpa: run with an interpreter that has it, on the real spectra.

    INTEGRAL_ODA_TESTDATA=DIR python benchmarks/sherpa_reference.py benchmarks/reports/sherpa_reference.json

sherpa builds from its source package with bison, byacc, flex, gfortran and libfftw3-dev.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from sherpa.astro import ui

OGIP_NAMES = {"ISGR-EBDS-MOD": "EBOUNDS", "ISGR-RMF.-RSP": "MATRIX", "ISGR-ARF.-RSP": "SPECRESP"}
KEV_IN_ERG = 1.602176634e-9
GRB = "volodymyrss_grb221009/IBIS_{}_GRB221009A{}.fits"
SMC = "astropy_astroquery/SMC_X-1_ISGRI_0745_06340000001_spectrum_{}.fits"
NGC = "oda-hub_oda_api_benchmark/NGC2110_ursini_{}_osa10.fits"
CASES: dict[str, tuple[tuple[str, str, str], tuple[float, float], str]] = {
    "SMC X-1": ((SMC.format("spe"), SMC.format("rmf"), SMC.format("arf")), (20.0, 100.0), "powerlaw"),
    "SMC X-1 cutoffpl": ((SMC.format("spe"), SMC.format("rmf"), SMC.format("arf")), (20.0, 100.0), "cutoffpl"),
    "1A 0535+262": (
        ("oda-hub_ogip/phaI.fits", "oda-hub_ogip/rmf.fits", "oda-hub_ogip/arf.fits"),
        (30.0, 120.0),
        "powerlaw",
    ),
    "4U 1700-377": (
        ("oda-hub_oda_api/spec_test.fits", "oda-hub_oda_api/rmf_test.fits", "oda-hub_oda_api/arf_test.fits"),
        (20.0, 100.0),
        "powerlaw",
    ),
    "GRB 221009A, rev 2558": (
        (GRB.format("spectrum", "_rev2558"), GRB.format("rmf", ""), GRB.format("arf", "")),
        (30.0, 200.0),
        "powerlaw",
    ),
    "GRB 221009A, rev 2559": (
        (GRB.format("spectrum", "_rev2559"), GRB.format("rmf", ""), GRB.format("arf", "")),
        (30.0, 200.0),
        "powerlaw",
    ),
    "NGC 2110": ((NGC.format("spectrum"), NGC.format("rmf"), NGC.format("arf")), (20.0, 300.0), "powerlaw"),
    "NGC 2110 cutoffpl": ((NGC.format("spectrum"), NGC.format("rmf"), NGC.format("arf")), (20.0, 300.0), "cutoffpl"),
}


def found(name: str, folder: Path) -> str:
    """Path of a copy that sherpa reads: no keywords without a value, extensions named as by OGIP."""
    path = Path(os.environ["INTEGRAL_ODA_TESTDATA"]) / name
    copy = folder / path.name
    with fits.open(path if path.is_file() else path.with_name(path.name + ".gz")) as hdus:
        for hdu in hdus:
            for key in [c.keyword for c in hdu.header.cards if not isinstance(c.value, str | int | float | bool)]:
                del hdu.header[key]
            hdu.name = OGIP_NAMES.get(hdu.name, hdu.name)
        hdus.writeto(copy, overwrite=True, output_verify="silentfix")
    return str(copy)


def ignore_outside(band: tuple[float, float]) -> None:
    """Leave channels that are not wholly inside a band, of bad quality or without a number to themselves."""
    data = ui.get_data(1)
    rmf = data.get_rmf()
    low, high = np.asarray(rmf.e_min, dtype=float), np.asarray(rmf.e_max, dtype=float)
    inside = (low >= band[0] - 1e-3) & (high <= band[1] + 1e-3)
    quality = np.zeros(len(low)) if data.quality is None else np.asarray(data.quality)
    good = inside & (quality == 0) & np.isfinite(data.counts) & (np.asarray(data.staterror) > 0)
    data.counts = np.where(good, data.counts, 0.0)
    data.staterror = np.where(good, data.staterror, 1.0)
    if data.syserror is not None:
        data.syserror = np.where(good, data.syserror, 0.0)
    data.mask = True
    if data.grouped:
        number = np.cumsum(np.asarray(data.grouping) != -1)
        kept = good.copy()
        first = np.flatnonzero(kept)[np.flatnonzero(np.diff(number[kept], prepend=-1))]
        flags = np.ones(len(low), dtype=int)
        flags[kept] = -1
        flags[first] = 1
        data.grouping = flags
        data.mask = kept[flags != -1] if len(flags) else True
        return
    data.mask = good


def model_of(kind: str) -> Any:
    """Sherpa's own power law, or one with an exponential cut-off."""
    from sherpa.models import parameter
    from sherpa.models.basic import PowLaw1D
    from sherpa.models.model import ArithmeticModel, RegriddableModel1D

    if kind == "powerlaw":
        return PowLaw1D("source")

    class CutoffPowerLaw(RegriddableModel1D, ArithmeticModel):  # type: ignore[misc]
        """Power law with an exponential cut-off, averaged over the bin by Simpson's rule."""

        def __init__(self) -> None:
            self.gamma = parameter.Parameter("source", "gamma", 1.5, -3, 10)
            self.ecut = parameter.Parameter("source", "ecut", 100, 1, 10000)
            self.ampl = parameter.Parameter("source", "ampl", 0.1, 0)
            super().__init__("source", (self.gamma, self.ecut, self.ampl))

        def calc(self, p: Any, lo: Any, hi: Any = None, **_: Any) -> Any:
            def photons(x: Any) -> Any:
                return p[2] * x ** -p[0] * np.exp(-x / p[1])

            lo = np.asarray(lo)
            if hi is None:
                return photons(lo)
            hi = np.asarray(hi)
            return (hi - lo) / 6 * (photons(lo) + 4 * photons((lo + hi) / 2) + photons(hi))

    return CutoffPowerLaw()


def fit(files: tuple[str, str, str], band: tuple[float, float], kind: str) -> dict[str, Any]:
    """Fit with chi2 and sherpa's Levenberg-Marquardt; flux in 20-100 keV with errors from 2000 draws."""
    ui.clean()
    folder = Path(tempfile.mkdtemp())
    spectrum, rmf, arf = (found(name, folder) for name in files)
    ui.load_pha(1, spectrum, use_errors=True)
    ui.load_rmf(1, rmf)
    ui.load_arf(1, arf)
    ignore_outside(band)
    ui.set_stat("chi2")
    ui.set_method("levmar")
    source = model_of(kind)
    ui.set_source(1, source)
    source.gamma, source.ampl = 2.0, 0.1
    source.gamma.set(min=-3)
    ui.fit(1)
    ui.set_method("neldermead")
    ui.fit(1)
    ui.covar(1)
    result, errors = ui.get_fit_results(), ui.get_covar_results()
    names = {"gamma": "index", "ampl": "norm", "ecut": "e_cut"}
    values = {names[n.split(".")[1]]: v for n, v in zip(result.parnames, result.parvals, strict=True)}
    sigma = {names[n.split(".")[1]]: v for n, v in zip(errors.parnames, errors.parmaxes, strict=True)}
    flux = float(ui.calc_energy_flux(20, 100, id=1)) if kind == "powerlaw" else _flux(source)
    draws = np.random.default_rng(1).multivariate_normal(result.parvals, errors.extra_output, 2000)
    spread = []
    free = (source.gamma, source.ampl) if kind == "powerlaw" else source.pars
    for draw in draws:
        for parameter, value in zip(free, draw, strict=True):
            parameter.set(val=float(np.clip(value, parameter.min, parameter.max)))
        spread.append(_flux(source))
    return {
        "band_kev": band,
        "model": kind,
        "statistic": result.statval,
        "dof": result.dof,
        "values": values,
        "errors": sigma,
        "flux_20_100": flux,
        "flux_20_100_error": float(np.std(spread)),
    }


def _flux(source: Any) -> float:
    edges = np.geomspace(20, 100, 401)
    photons = np.asarray(source(edges[:-1], edges[1:]))
    return float((photons * np.sqrt(edges[1:] * edges[:-1])).sum() * KEV_IN_ERG)


def main() -> None:
    """Fit all cases and write them as JSON."""
    import sherpa

    logging.getLogger("sherpa").setLevel(logging.ERROR)
    report = {name: fit(*case) for name, case in CASES.items()}
    Path(sys.argv[1]).write_text(json.dumps({"sherpa": sherpa.__version__, "fits": report}, indent=1) + "\n")


if __name__ == "__main__":
    main()
