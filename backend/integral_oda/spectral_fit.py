"""From spectrum files and a model to a fit: what is asked, what is read, what is written."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from integral_oda.errors import DataError, OutputError, RequestError

if TYPE_CHECKING:
    from integral_oda.instrument.response import Response
    from integral_oda.products.spectrum import Spectrum
    from integral_oda.spectra.chain import Chain
    from integral_oda.spectra.fit import FitResult, SpectrumData
    from integral_oda.spectra.model import SpectralModel

__all__ = ["FitProducts", "FitRequest", "fit_spectra", "load_spectrum", "noticed_data", "repeat_fit"]

FIT_FILE, XCM_FILE, PICTURE_FILE, CHAIN_FILE = "fit.json", "fit.xcm", "fit.png", "chain.ecsv"
_CONTOUR_SIGMA = (1.0, 2.0, 3.0)
_FLUX_RULE = "two energies in keV with a hyphen, the lower one first, such as 20-100"


def _flux_band(value: Any) -> Any:
    try:
        e1, e2 = (float(part) for part in (value.split("-") if isinstance(value, str) else value))
    except ValueError:
        raise ValueError(_FLUX_RULE) from None
    if not (0 < e1 < e2 < math.inf):
        raise ValueError(_FLUX_RULE)
    return e1, e2


FluxBand = Annotated[tuple[float, float], BeforeValidator(_flux_band)]


class FitRequest(BaseModel):
    """A model to be fitted to spectra.

    Attributes
    ----------
    spectrum : tuple of Path
        PHA files, fitted together; from the second on each has a factor of its own.
    rmf, arf, background : tuple of Path
        In place of those that the spectra name: one for all, or one a spectrum.
    row : int or None
        Which spectrum of a type II file, from 1.
    model : str
        Expression of components.
    e1, e2 : float or None
        Channels wholly inside are used, keV.
    flux : tuple of (float, float)
        Energy bands whose fluxes are wanted, keV.
    statistic : {"chi2", "cstat", "wstat"}
    values : dict
        Starting values of parameters.
    freeze, thaw : tuple of str
        Parameters to be held, and to be varied.
    systematic : float or None
        Share of the rate, in place of the files' own SYS_ERR: never on top of it.
    minos : bool
        Find asymmetric errors too.
    contour : tuple of str or None
        Two parameters.
    chain : int
        Steps of a Markov chain, 0 for none.
    fitter : {"iminuit", "sherpa"}
        Which library minimises.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    spectrum: tuple[Path, ...] = Field(min_length=1)
    rmf: tuple[Path, ...] = ()
    arf: tuple[Path, ...] = ()
    background: tuple[Path, ...] = ()
    row: int | None = Field(None, ge=1)
    model: str = "powerlaw"
    e1: float | None = Field(None, gt=0, allow_inf_nan=False)
    e2: float | None = Field(None, gt=0, allow_inf_nan=False)
    flux: tuple[FluxBand, ...] = ((20.0, 100.0),)
    statistic: Literal["chi2", "cstat", "wstat"] = "chi2"
    values: dict[str, float] = {}
    freeze: tuple[str, ...] = ()
    thaw: tuple[str, ...] = ()
    systematic: float | None = Field(None, ge=0, lt=1, allow_inf_nan=False)
    minos: bool = False
    contour: tuple[str, str] | None = None
    chain: int = Field(0, ge=0, le=1_000_000)
    fitter: Literal["iminuit", "sherpa"] = "iminuit"

    @field_validator("e2")
    @classmethod
    def _above_e1(cls, value: float | None, info: ValidationInfo) -> float | None:
        low = info.data.get("e1")
        if value is not None and low is not None and low >= value:
            raise ValueError(f"has to be above e1 = {low:g} keV")
        return value

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        for name in ("rmf", "arf", "background"):
            given = len(getattr(self, name))
            if given not in (0, 1, len(self.spectrum)):
                raise ValueError(f"{name}: {given} files for {len(self.spectrum)} spectra; one for all or one for each")
        return self

    def companion(self, name: str, k: int) -> Path | None:
        """File given in place of the one that spectrum ``k`` names."""
        given: tuple[Path, ...] = getattr(self, name)
        return None if not given else given[k if len(given) > 1 else 0]


@dataclass(frozen=True)
class LoadedSpectrum:
    """A spectrum with its response and the files that it came from."""

    spectrum: Spectrum
    response: Response
    files: dict[str, Path]
    background: Spectrum | None = None


@dataclass(frozen=True)
class FitProducts:
    """A fit with all that it was made from.

    Attributes
    ----------
    request : FitRequest
    result : FitResult
    loaded : list of LoadedSpectrum
    data : list of SpectrumData
    report : dict
        What ``fit.json`` holds.
    chain : Chain or None
        Where one was asked for.
    """

    request: FitRequest
    result: FitResult
    loaded: list[LoadedSpectrum]
    data: list[SpectrumData]
    report: dict[str, Any]
    chain: Chain | None = None

    def write(self, out: str | Path, *, gammapy: bool = False) -> list[Path]:
        """Write ``fit.json``, ``fit.xcm``, ``fit.png`` and perhaps ``chain.ecsv`` into a folder.

        Parameters
        ----------
        out : str or Path
        gammapy : bool
            Write each spectrum into the folder ``gammapy`` too, as that package reads it.

        Raises
        ------
        OutputError
            If it cannot be written.
        """
        from integral_oda.products.fit_pictures import draw_fit
        from integral_oda.products.fit_report import write_json, write_xcm

        out = Path(out)
        try:
            out.mkdir(parents=True, exist_ok=True)
        except OSError as exc:
            raise OutputError(f"{out}: cannot be written to ({exc.strerror or exc})") from exc
        write_json(out / FIT_FILE, self.report)
        files = [{name: str(path) for name, path in item.files.items()} for item in self.loaded]
        write_xcm(out / XCM_FILE, self.result, files, (self.request.e1, self.request.e2))
        draw_fit(out / PICTURE_FILE, self.result, self.report.get("contours"))
        written = [out / name for name in (FIT_FILE, XCM_FILE, PICTURE_FILE)]
        if self.chain is not None:
            written.append(_write_chain(out / CHAIN_FILE, self.chain))
        return [*written, *self._write_on_off(out / "gammapy")] if gammapy else written

    def _write_on_off(self, folder: Path) -> list[Path]:
        from integral_oda.products.on_off import write_on_off

        tags = [item.files["spectrum"].stem for item in self.loaded]
        return [write_on_off(folder, i.spectrum, i.response, t) for i, t in zip(self.loaded, tags, strict=True)]


def _write_chain(path: Path, chain: Chain) -> Path:
    from astropy.table import Table

    from integral_oda.products.fits_io import write_aside

    table = Table(chain.samples, names=chain.names)
    table["log_probability"] = chain.log_probability
    table.meta.update({"seed": chain.seed, "acceptance": chain.acceptance})
    with write_aside(path) as aside:
        table.write(aside, format="ascii.ecsv", overwrite=True)
    return path


def fit_spectra(request: FitRequest) -> FitProducts:
    """Carry a fit out.

    Raises
    ------
    RequestError, DataError
        Naming what does not fit together, or is damaged.
    """
    from integral_oda.spectra.fit import FitProblem, fit_model, fit_result

    model = _model(request)
    loaded = [load_spectrum(request, k) for k in range(len(request.spectrum))]
    data = [_data(request, item, path) for item, path in zip(loaded, request.spectrum, strict=True)]
    problem = FitProblem(data, model, request.statistic)
    if request.fitter == "sherpa":
        from integral_oda.spectra.sherpa_fit import minimise_by_sherpa

        result = fit_result(problem, *minimise_by_sherpa(problem))
    else:
        result = fit_model(problem, minos=request.minos)
    report = _report(request, result, loaded, data)
    if not request.chain:
        return FitProducts(request, result, loaded, data, report)
    from integral_oda.spectra.chain import run_chain

    chain = run_chain(result, request.chain)
    report["chain"] = {"steps": request.chain, "seed": chain.seed, "acceptance": chain.acceptance,
                       "parameters": chain.percentiles()}  # fmt: skip
    return FitProducts(request, result, loaded, data, report, chain)


def noticed_data(request: FitRequest, k: int = 0) -> SpectrumData:
    """One of the spectra as it would be fitted: its usable bins in the energy range.

    Raises
    ------
    RequestError, DataError
        As `fit_spectra`.
    """
    return _data(request, load_spectrum(request, k), request.spectrum[k])


def repeat_fit(path: str | Path) -> FitRequest:
    """What a ``fit.json`` asks for, to be fitted again.

    Raises
    ------
    DataError
        If the file is none, or a file that it was made from has changed.
    """
    try:
        report = json.loads(Path(path).read_text(encoding="utf-8"))
        request = FitRequest(**report["request"])
        recorded = [item for spectrum in report["spectra"] for item in spectrum["files"].values()]
    except (OSError, ValueError, TypeError, KeyError) as exc:
        raise DataError(f"{path}: no fit.json ({' '.join(str(exc).split())[:120]})") from None
    for item in recorded:
        if not Path(item["path"]).is_file() or _digest(Path(item["path"])) != item["sha256"]:
            raise DataError(f"{path}: {item['path']} is gone or not what it was when it was fitted")
    return request


def _model(request: FitRequest) -> SpectralModel:
    from integral_oda.products.table_model_file import read_table_model
    from integral_oda.spectra.model import model_from_expression

    return model_from_expression(request.model, request.values, request.freeze, request.thaw, read_table_model)


def load_spectrum(request: FitRequest, k: int = 0) -> LoadedSpectrum:
    """Read a spectrum with the response that the request or the file names.

    Raises
    ------
    RequestError
        If the file names no response and none is given, or those given have other channels.
    DataError
        If what the file names is not there, is damaged or has other channels.
    """
    from integral_oda.products.response_file import read_response
    from integral_oda.products.spectrum import NO_FILE, find_companion, read_spectrum

    path = request.spectrum[k]
    spectrum = read_spectrum(path, request.row)
    rmf = request.companion("rmf", k) or find_companion(path, spectrum.response_file)
    if rmf is None:
        raise RequestError("rmf", "NONE", f"{path} names no response; one with its {len(spectrum)} channels is needed")
    arf = request.companion("arf", k) or find_companion(path, spectrum.area_file)
    arf = None if str(arf) == NO_FILE else arf
    response = read_response(rmf, arf)
    if response.matrix.shape[1] != len(spectrum):
        _refuse_channels(request, path, rmf, len(spectrum), response.matrix.shape[1])
    files = {"spectrum": path, "rmf": rmf, **({"arf": arf} if arf else {})}
    off = request.companion("background", k) or find_companion(path, spectrum.background_file)
    if off is None:
        return LoadedSpectrum(spectrum, response, files)
    background = read_spectrum(off)
    if len(background) != len(spectrum):
        raise DataError(f"{off}: {len(background)} channels, but {path} has {len(spectrum)}")
    return LoadedSpectrum(spectrum, response, {**files, "background": off}, background)


def _refuse_channels(request: FitRequest, path: Path, rmf: Path, wanted: int, held: int) -> None:
    if request.rmf:
        raise RequestError("rmf", rmf, f"it has {held} channels; {path} needs {wanted}")
    raise DataError(f"{path}: has {wanted} channels, but its response {rmf} has {held}")


def _data(request: FitRequest, loaded: LoadedSpectrum, path: Path) -> SpectrumData:
    """Noticed bins of a spectrum, with what the response gives for them."""
    from integral_oda.spectra.channels import noticed_bins
    from integral_oda.spectra.fit import SpectrumData

    spectrum, response = loaded.spectrum, loaded.response
    edges = response.channel_edges_kev
    usable = spectrum.usable
    if request.statistic == "chi2":
        usable = usable & (spectrum.stat_error > 0)
    low, high = request.e1 or 0.0, request.e2 or math.inf
    bins = noticed_bins(edges, usable, spectrum.grouping, low, high)
    if not len(bins):
        raise RequestError("e1-e2", f"{low:g}-{high:g} keV", f"{path} has no usable channel there")
    rate = bins.sum(np.where(usable, spectrum.rate, 0.0))
    share = spectrum.sys_error if request.systematic is None else np.full(len(spectrum), request.systematic)
    # Channel by channel and then in quadrature, as sherpa and XSPEC group them
    both = np.where(usable, np.hypot(spectrum.stat_error, share * spectrum.rate), 0.0)
    data = SpectrumData(
        spectrum.name or path.name,
        rate,
        bins.root_sum_square(both),
        *bins.edges(edges),
        response.energy_edges_kev[:-1],
        response.energy_edges_kev[1:],
        bins.sum(response.matrix * spectrum.area_scale),
        spectrum.exposure_s,
    )
    return data if loaded.background is None else _with_background(data, loaded, bins)


def _with_background(data: SpectrumData, loaded: LoadedSpectrum, bins: Any) -> SpectrumData:
    """The background's rate and exposure; chi2 works with the difference."""
    assert loaded.background is not None
    on, off = loaded.spectrum, loaded.background
    scale = on.back_scale / off.back_scale * on.area_scale / off.area_scale
    ratio = off.exposure_s / on.exposure_s / scale
    rate = bins.sum(np.nan_to_num(off.rate))
    return replace(data, off_rate=rate * scale, off_ratio=ratio)


def _report(
    request: FitRequest, result: FitResult, loaded: list[LoadedSpectrum], data: list[SpectrumData]
) -> dict[str, Any]:
    from integral_oda.products.fit_report import fit_report

    report = fit_report(result, request.flux)
    report["spectra"] = [_source_of(item, d) for item, d in zip(loaded, data, strict=True)]
    if request.contour:
        report["contours"] = _contours(result, request.contour)
    report["request"] = request.model_dump(mode="json")
    return report


def _contours(result: FitResult, names: tuple[str, str]) -> dict[str, Any]:
    """Contours of the levels that have one, and the levels that have none.

    Raises
    ------
    DataError
        If there is no contour at all.
    """
    lines, none = [], []
    for level in _CONTOUR_SIGMA:
        try:
            (line,) = result.contour(*names, [level])
            lines.append({"sigma": level, "points": line.tolist()})
        except DataError:
            none.append(level)
    if not lines:
        raise DataError(f"no contour of {names[0]} and {names[1]}: the fit does not hold them")
    return {"parameters": list(names), "lines": lines, "without_contour": none}


def _source_of(loaded: LoadedSpectrum, data: SpectrumData) -> dict[str, Any]:
    spectrum = loaded.spectrum
    not_finite = ~np.isfinite(spectrum.rate) & (spectrum.quality == 0)
    return {
        "name": spectrum.name,
        "files": {name: {"path": str(p), "sha256": _digest(p)} for name, p in loaded.files.items()},
        "exposure_s": spectrum.exposure_s,
        "channels": len(spectrum),
        "bins": len(data.rate),
        "e1_kev": float(data.low_kev[0]),
        "e2_kev": float(data.high_kev[-1]),
        "good_channels_without_a_number": int(not_finite.sum()),
    }


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
