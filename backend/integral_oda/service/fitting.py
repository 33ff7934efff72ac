"""spectral_fit: a model fitted to a spectrum that an earlier request has made."""

from __future__ import annotations

import base64
import io
import json
import tempfile
from pathlib import Path
from typing import Any

from integral_oda.errors import RequestError
from integral_oda.json_values import finite
from integral_oda.service.desk import Desk
from integral_oda.service.parameters import SpectralFitParameters
from integral_oda.spectral_fit import FitProducts, FitRequest, fit_spectra

__all__ = ["fit_product"]

_PICTURE = "fit.png"


def fit_product(desk: Desk, owner: str, parameters: SpectralFitParameters) -> dict[str, Any]:
    """Fit a spectrum of a user, and encode table, report and picture.

    Parameters
    ----------
    desk : Desk
    owner : str
    parameters : SpectralFitParameters

    Raises
    ------
    RequestError
        If the user has no spectrum of that name, or the model is not known.
    DataError
        If spectrum and response do not fit together.
    """
    spectrum = _file_of(desk, owner, "ph_file_name", parameters.ph_file_name)
    arf, rmf = (
        (_file_of(desk, owner, f"{name}_file_name", given),) if given else ()
        for name, given in (("arf", parameters.arf_file_name), ("rmf", parameters.rmf_file_name))
    )
    band = (parameters.e_min_kev, parameters.e_max_kev)
    if band[0] >= band[1]:
        raise RequestError("e_min_kev", f"{band[0]:g}", f"less than e_max_kev = {band[1]:g}")
    asked = {"spectrum": (spectrum,), "arf": arf, "rmf": rmf, "model": parameters.xspec_model}
    request = FitRequest.model_validate({**asked, "e1": band[0], "e2": band[1], "flux": (band,)})
    return _encoded(fit_spectra(request))


def _file_of(desk: Desk, owner: str, parameter: str, name: str) -> Path:
    """File of the newest request of a user that has made one of this name; nothing of it becomes part of a path."""
    for ticket in desk.tickets_of(owner):
        if ticket.kind != "spectrum" or desk.standing(ticket).status != "done":
            continue
        folder, summary = desk.result(ticket)
        if name in summary["files"]:
            return folder / summary["files"][summary["files"].index(name)]
    raise RequestError(parameter, name[:60], "a file of a spectrum that you have asked for before")


def _encoded(fit: FitProducts) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        fit.write(folder)
        picture = (Path(folder) / _PICTURE).read_bytes()
    text = json.dumps(finite(fit.report), indent=2)
    return {
        "astropy_table_product_ascii_list": [
            {"binary": None, "ascii": _table(fit.report), "name": "spectral_fit", "meta_data": "{}"}
        ],
        "binary_image_product_list": [
            {
                "img_type": "png",
                "b64data": base64.urlsafe_b64encode(picture).decode("ascii").replace("null", "nu ll"),
                "metadata": {},
                "name": "spectral_fit_picture",
                "filename": _PICTURE,
            }
        ],
        "text_product_list": [{"name": "spectral_fit_report", "value": text.replace("null", "None"), "meta_data": {}}],
    }


def _table(report: dict[str, Any]) -> str:
    """Parameters and fluxes as ECSV."""
    from astropy.table import Table

    rows = [(p["name"], p["value"], p["error"], p["unit"] or "") for p in report["parameters"]]
    rows += [(f"flux {f['e1_kev']:g}-{f['e2_kev']:g} keV", f["flux"], f["error"], f["unit"]) for f in report["fluxes"]]
    plain = [
        (name, float(value), float("nan") if error is None else float(error), unit) for name, value, error, unit in rows
    ]
    table = Table(rows=plain, names=("parameter", "value", "error", "unit"))
    table.meta = {name: report[name] for name in ("model", "statistic", "value", "dof")}
    text = io.StringIO()
    table.write(text, format="ascii.ecsv")
    return text.getvalue()
