"""The command ``fit``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from integral_oda.cli.options import AsJson, OutFolder, with_shared_options
from integral_oda.cli.way import check_output
from integral_oda.errors import RequestError

if TYPE_CHECKING:
    from integral_oda.spectral_fit import FitProducts

__all__ = ["fit_command"]

_NUMBER_RULE = "NAME=NUMBER, such as index=2.1"


@dataclass(frozen=True)
class Files:
    """Spectra and what goes with them."""

    spectrum: Annotated[
        list[Path] | None, typer.Option("--spectrum", help="PHA file; repeatable: all are fitted together.")
    ] = None
    rmf: Annotated[list[Path] | None, typer.Option("--rmf", help="RMF in place of the one that the file names.")] = None
    arf: Annotated[
        list[Path] | None, typer.Option("--arf", help="ARF in place of the one that the file names, or NONE.")
    ] = None
    background: Annotated[list[Path] | None, typer.Option("--background", help="PHA file of the background.")] = None
    row: Annotated[int | None, typer.Option("--row", help="Spectrum of a PHA II file, from 1.")] = None
    systematic: Annotated[
        float | None, typer.Option("--systematic", help="Share of the rate, in place of the file's SYS_ERR.")
    ] = None


@dataclass(frozen=True)
class Question:
    """What is fitted, and what is asked of the fit."""

    model: Annotated[
        str, typer.Option("--model", help="Sums and products of components: powerlaw, powerlaw*highecut+gaussian, ...")
    ] = "powerlaw"
    e1: Annotated[float | None, typer.Option("--e1", help="Lower energy, keV.")] = None
    e2: Annotated[float | None, typer.Option("--e2", help="Upper energy, keV.")] = None
    flux: Annotated[list[str] | None, typer.Option("--flux", help="Band of a flux, E1-E2 in keV; repeatable.")] = None
    statistic: Annotated[str, typer.Option("--statistic", help="chi2, cstat or wstat.")] = "chi2"
    values: Annotated[list[str] | None, typer.Option("--set", help="Starting value, NAME=NUMBER; repeatable.")] = None
    freeze: Annotated[list[str] | None, typer.Option("--freeze", help="Parameter to be held; repeatable.")] = None
    thaw: Annotated[list[str] | None, typer.Option("--thaw", help="Parameter to be varied; repeatable.")] = None
    minos: Annotated[bool, typer.Option("--minos", help="Asymmetric errors too.")] = False
    contour: Annotated[str | None, typer.Option("--contour", help="Contours of two parameters, NAME,NAME.")] = None
    chain: Annotated[int, typer.Option("--chain", help="Steps of a Markov chain (extra fit), 0 for none.")] = 0
    fitter: Annotated[str, typer.Option("--fitter", help="iminuit, or sherpa where it is installed.")] = "iminuit"


@with_shared_options
def fit_command(
    files: Files,
    question: Question,
    out: OutFolder,
    again: Annotated[
        Path | None, typer.Option("--again", metavar="fit.json", help="Repeat this fit; other options are not read.")
    ] = None,
    gammapy: Annotated[
        bool, typer.Option("--gammapy", help="Write the spectra as gammapy reads them, counts on and off.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Fit a model to spectra with their responses, from this project or any other."""
    from integral_oda.query import make_query
    from integral_oda.spectral_fit import FitRequest, fit_spectra, repeat_fit

    check_output(out)
    if again is not None:
        _write(fit_spectra(repeat_fit(again)), out, gammapy=gammapy, as_json=as_json)
        return
    if not files.spectrum:
        raise RequestError("spectrum", "none", "at least one PHA file, or --again with a fit.json")
    asked = vars(question) | {
        "values": _numbers(question.values),
        "contour": question.contour.split(",") if question.contour else None,
    }
    _write(fit_spectra(make_query(FitRequest, **vars(files), **asked)), out, gammapy=gammapy, as_json=as_json)


def _write(products: FitProducts, out: Path, *, gammapy: bool, as_json: bool) -> None:
    """Write the files and say what came of it."""
    written = products.write(out, gammapy=gammapy)
    if as_json:
        typer.echo(written[0].read_text(encoding="utf-8"), nl=False)
        return
    for line in _lines(products.report):
        typer.echo(line)
    for path in written:
        typer.echo(path)


def _numbers(texts: list[str] | None) -> dict[str, float]:
    pairs = [text.partition("=") for text in texts or []]
    try:
        return {name.strip(): float(value) for name, _, value in pairs}
    except ValueError:
        raise RequestError("set", " ".join(texts or []), _NUMBER_RULE) from None


def _lines(report: dict[str, Any]) -> list[str]:
    def spread(p: dict[str, Any]) -> str:
        if p["fixed"]:
            return "(fixed)"
        minos = f" (+{p['minos_upper']:.3g} {p['minos_lower']:.3g})" if "minos_upper" in p else ""
        return f"+- {p['error']:.3g}{minos}"

    lines = [f"{p['name']} {p['value']:.6g} {spread(p)} {p['unit']}".rstrip() for p in report["parameters"]]
    lines += [
        f"flux {f['e1_kev']:g}-{f['e2_kev']:g} keV {f['flux']:.4g} +- {f['error']:.2g} {f['unit']}"
        for f in report["fluxes"]
    ]
    state = "" if report["converged"] else ", NOT converged"
    return [*lines, f"{report['statistic']} {report['value']:.2f} for {report['dof']} degrees of freedom{state}"]
