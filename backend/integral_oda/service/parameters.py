"""What a request over HTTP may hold: the online system's parameters, their defaults and their limits.

Names, defaults and messages are those of the dispatcher that existing scripts talk to, so that a script meets the
same answers here. One model a product; the lists of names, the descriptions and the OpenAPI text follow from it.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from integral_oda.errors import RequestError

__all__ = [
    "INSTRUMENT",
    "PRODUCTS",
    "PROTOCOL_NAMES",
    "ImageParameters",
    "LightCurveParameters",
    "Parameters",
    "SpectralFitParameters",
    "SpectrumParameters",
    "describe",
    "read_parameters",
    "unknown_names",
]

INSTRUMENT = "isgri"
PROTOCOL_NAMES = (
    "instrument", "product_type", "query_type", "off_line", "query_status", "verbose", "session_id", "job_id", "api",
    "oda_api_version", "token", "dry_run", "async_dispatcher",
)  # fmt: skip
"""Fields that carry the conversation, not the question."""

_ENERGY_RANGE_KEV = (15.0, 800.0)
_LONGEST_BIN_S, _DAY_S = 20_000.0, 86400.0
_SCW = re.compile(r"\d{12}\.\d{3}")
_WRAPPED_TWICE = 2
"""Scripts dump to JSON what the client has dumped already."""
_NOTHING = "\x00"
"""What the client sends for None."""


def _windows(value: Any) -> Any:
    items = value if isinstance(value, (list, tuple)) else [value]
    parts = [part.strip() for item in items for part in str(item).split(",") if part.strip()]
    bad = [part for part in parts if not _SCW.fullmatch(part)]
    if bad:
        raise ValueError(f"{bad[0][:60]!r} is not a science window: 12 digits, a dot and 3 digits, separated by commas")
    return tuple(dict.fromkeys(parts))


def _energy(value: float) -> float:
    low, high = _ENERGY_RANGE_KEV
    if not (math.isfinite(value) and low <= value <= high):
        raise ValueError("ISGRI energy range is restricted to 15 - 800 keV")
    if not (2 * value).is_integer():
        raise ValueError("energies are multiples of 0.5 keV")
    return value


def _whole(value: Any) -> Any:
    if isinstance(value, str) and not re.fullmatch(r"\s*[+-]?\d+\s*", value):
        raise ValueError("a whole number is needed")
    return value


def _version(value: str) -> str:
    base = value.partition("-")[0]
    if base in ("OSA11.0", "OSA11.1"):
        raise ValueError(f"{base} is phased out, please use OSA11.2")
    if value not in ("OSA10.2", "OSA11.2"):
        raise ValueError("allowed: OSA11.2, OSA10.2")
    return value


def _from_json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("a catalogue in JSON is needed, as get_api_dictionary() gives it") from None


def _catalogue(value: Any) -> Any:
    for _ in range(_WRAPPED_TWICE):
        if isinstance(value, str):
            value = _from_json(value)
    if value is None:
        return None
    if not isinstance(value, dict) or not {"cat_column_names", "cat_column_list"} <= set(value):
        raise ValueError("a dictionary with cat_column_names and cat_column_list is needed")
    return value


EnergyKeV = Annotated[float, AfterValidator(_energy)]
WholeNumber = Annotated[int, BeforeValidator(_whole)]


class Parameters(BaseModel):
    """What the requests for all products share; T1 and T2 count only without ``scw_list``."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    kind: ClassVar[str] = ""
    """Name of the product on our own command line."""

    src_name: str = Field("1E 1740.7-2942", title="name of the source", max_length=200)
    RA: float = Field(265.97845833, title="right ascension", ge=0, le=360, json_schema_extra={"unit": "deg"})
    DEC: float = Field(-29.74516667, title="declination", ge=-90, le=90, json_schema_extra={"unit": "deg"})
    T1: str = Field("2017-03-06T13:26:48.000", title="start of the time range", max_length=60)
    T2: str = Field("2017-03-06T15:32:27.000", title="end of the time range", max_length=60)
    T_format: str = Field("isot", title="format of T1 and T2, as astropy calls it", max_length=30)
    radius: float = Field(
        15.0, title="largest distance of the pointing", gt=0, le=180, json_schema_extra={"unit": "deg"}
    )
    max_pointings: WholeNumber = Field(50, title="largest number of science windows", ge=1, le=100_000)
    scw_list: Annotated[tuple[str, ...], BeforeValidator(_windows)] = Field((), title="science windows")
    use_scws: Literal["no", "form_list", "user_file"] | None = Field(None, title="where the list comes from")
    osa_version: Annotated[str, AfterValidator(_version)] = Field("OSA11.2", title="version of OSA that is meant")
    integral_data_rights: Literal["public", "all-private"] = Field("public", title="data rights")
    E1_keV: EnergyKeV = Field(20.0, title="lower energy", json_schema_extra={"unit": "keV"})
    E2_keV: EnergyKeV = Field(40.0, title="upper energy", json_schema_extra={"unit": "keV"})
    selected_catalog: Annotated[dict[str, Any] | None, BeforeValidator(_catalogue)] = Field(
        None, title="catalogue of sources"
    )
    catalog_selected_objects: str | None = Field(None, title="rows of the catalogue that are meant", max_length=10_000)
    only_catalog: bool = Field(False, title="fit the sources of the catalogue alone")

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Parameters:
        if self.E1_keV >= self.E2_keV:
            raise ValueError(f"E1_keV = {self.E1_keV:g} must be below E2_keV = {self.E2_keV:g}")
        if self.use_scws == "no" and self.scw_list:
            raise ValueError("use_scws = no, but scw_list is given")
        if self.use_scws in ("form_list", "user_file") and not self.scw_list:
            raise ValueError(f"use_scws = {self.use_scws}, but scw_list is not given")
        return self


class ImageParameters(Parameters):
    """A sky image."""

    kind = "image"
    detection_threshold: float = Field(7.0, title="least significance of a listed source", ge=0, le=100)
    image_scale_min: float | None = Field(None, title="lower end of the colour scale")
    image_scale_max: float | None = Field(None, title="upper end of the colour scale")


class LightCurveParameters(Parameters):
    """Light curves."""

    kind = "lightcurve"
    time_bin: float = Field(1000.0, title="time bin", gt=0, allow_inf_nan=False, json_schema_extra={"unit": "s"})
    time_bin_format: Literal["sec", "jd"] = Field("sec", title="unit of time_bin")

    @model_validator(mode="after")
    def _bin_is_allowed(self) -> LightCurveParameters:
        if not 0.001 <= self.time_bin_s <= _LONGEST_BIN_S:
            raise ValueError(f"time_bin = {self.time_bin_s:g} s: 0.001 to {_LONGEST_BIN_S:g} s are allowed")
        return self

    @property
    def time_bin_s(self) -> float:
        """The bin in seconds."""
        return self.time_bin * (_DAY_S if self.time_bin_format == "jd" else 1.0)


class SpectrumParameters(Parameters):
    """Spectra with their responses."""

    kind = "spectrum"


class SpectralFitParameters(Parameters):
    """A fit to one spectrum of an earlier request."""

    kind = "fit"
    xspec_model: str = Field("powerlaw", title="model", max_length=200)
    ph_file_name: str = Field("", title="spectrum", max_length=200)
    arf_file_name: str = Field("", title="ancillary response", max_length=200)
    rmf_file_name: str = Field("", title="redistribution matrix", max_length=200)
    e_min_kev: float = Field(20.0, title="lower end of the fit", ge=10, le=1000, json_schema_extra={"unit": "keV"})
    e_max_kev: float = Field(300.0, title="upper end of the fit", ge=10, le=1000, json_schema_extra={"unit": "keV"})


PRODUCTS: dict[str, type[Parameters]] = {
    "isgri_image": ImageParameters,
    "isgri_spectrum": SpectrumParameters,
    "isgri_lc": LightCurveParameters,
    "spectral_fit": SpectralFitParameters,
}

Model = TypeVar("Model", bound=Parameters)


def read_parameters(model: type[Model], fields: Mapping[str, Sequence[str]]) -> Model:
    """Check the fields of a request.

    Parameters
    ----------
    model : type
        Model of the product.
    fields : mapping of str to sequence of str
        The fields as text, each with all its values.

    Raises
    ------
    RequestError
        Naming the first parameter that is wrong, its value and what is allowed.
    """
    given = {name: _value(model, name, texts) for name, texts in fields.items() if name in model.model_fields}
    try:
        return model(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as exc:
        problem = exc.errors(include_url=False)[0]
    name = str(problem["loc"][0]) if problem["loc"] else "query"
    value = "" if name == "query" else str(problem["input"])[:80]
    raise RequestError(name, value, problem["msg"].removeprefix("Value error, "))


def _value(model: type[Parameters], name: str, texts: Sequence[str]) -> Any:
    """Value of a field; what is blank or stands for None is left to the default."""
    if name == "scw_list":
        return _listed([text for text in texts if text != _NOTHING])
    text = texts[-1]
    blank = text == _NOTHING or (not text.strip() and model.model_fields[name].annotation is not str)
    return None if blank else text


def _listed(texts: Sequence[str]) -> list[str]:
    """Windows of a repeated field; one that is written as a JSON list is read as such."""
    if len(texts) == 1 and texts[0].lstrip().startswith("["):
        try:
            return [str(item) for item in json.loads(texts[0])]
        except ValueError:
            return list(texts)
    return list(texts)


def unknown_names(model: type[Parameters], fields: Mapping[str, object]) -> list[str]:
    """Fields of a request that mean nothing here."""
    return sorted(set(fields) - set(model.model_fields) - set(PROTOCOL_NAMES))


def describe(product: str) -> list[dict[str, Any]]:
    """Describe a product and its parameters as the dispatcher's ``meta-data`` does."""
    described: list[dict[str, Any]] = [{"query_name": product, "product_name": product}]
    for name, field in PRODUCTS[product].model_fields.items():
        extra = field.json_schema_extra
        unit = extra.get("unit") if isinstance(extra, dict) else None
        default = list(field.default) if isinstance(field.default, tuple) else field.default
        restrictions = {"description": field.title}
        described.append({"name": name, "value": default, "units": unit, "restrictions": restrictions})
    return described
