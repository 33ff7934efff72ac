"""From the fields of a request over HTTP to the query that the workflow knows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from integral_oda.errors import RequestError
from integral_oda.query import ImageQuery, LightCurveQuery, Query, SpectrumQuery, make_query
from integral_oda.service.catalogues import Row, catalogue_rows, keep_catalogue
from integral_oda.service.desk import ForbiddenError
from integral_oda.service.parameters import (
    PRODUCTS,
    ImageParameters,
    LightCurveParameters,
    Parameters,
    SpectrumParameters,
    read_parameters,
)

__all__ = ["build_query", "parameters_of", "sources_of"]

_CHANNELS = {"OSA10.2": 62, "OSA11.2": 256}
"""Channels of the online system's spectra."""
_LEAST_THRESHOLD = 3.0
"""Below it excesses of noise would be listed by the hundred; the request's own threshold still cuts the list."""


def parameters_of(fields: Mapping[str, Sequence[str]]) -> tuple[str, Parameters]:
    """Product that a request asks for, and its parameters.

    Raises
    ------
    RequestError, ForbiddenError
        If there is no such product, or a parameter is not allowed.
    """
    instrument = fields.get("instrument", [""])[-1]
    if instrument != "isgri":
        raise RequestError("instrument", instrument[:40], "isgri")
    product = fields.get("product_type", [""])[-1]
    if product not in PRODUCTS:
        raise RequestError("product_type", product[:40], ", ".join(PRODUCTS))
    if fields.get("query_type", ["Real"])[-1] != "Real":
        raise RequestError("query_type", fields["query_type"][-1][:40], "Real: nothing canned is kept here")
    parameters = read_parameters(PRODUCTS[product], fields)
    if parameters.integral_data_rights != "public":
        raise ForbiddenError("integral_data_rights", parameters.integral_data_rights, "public")
    return product, parameters


def sources_of(parameters: Parameters) -> list[Row]:
    """Sources of the catalogue of a request, none if it has no catalogue."""
    if parameters.selected_catalog is None:
        return []
    return catalogue_rows(parameters.selected_catalog, parameters.catalog_selected_objects)


def build_query(parameters: Parameters, windows: Sequence[str], sources: Sequence[Row], catalogues: Path) -> Query:
    """Query of a request, on the windows that were selected for it.

    Parameters
    ----------
    parameters : Parameters
    windows : sequence of str
    sources : sequence of tuple
        Name, RA and Dec of the sources of its catalogue.
    catalogues : Path
        Folder for catalogue files.
    """
    catalog = keep_catalogue(catalogues, sources) if sources else None
    shared = {"scw_list": tuple(windows), "catalog": catalog, "only_catalog": parameters.only_catalog}
    return _BUILDERS[type(parameters)](parameters, shared)


def _image(parameters: ImageParameters, shared: Mapping[str, Any]) -> Query:
    threshold = max(_LEAST_THRESHOLD, parameters.detection_threshold)
    bands = [(parameters.E1_keV, parameters.E2_keV)]
    return make_query(ImageQuery, bands=bands, detection_threshold=threshold, **shared)


def _light_curve(parameters: LightCurveParameters, shared: Mapping[str, Any]) -> Query:
    band = {"E1_keV": parameters.E1_keV, "E2_keV": parameters.E2_keV}
    return make_query(LightCurveQuery, time_bin=parameters.time_bin_s, **band, **shared)


def _spectrum(parameters: SpectrumParameters, shared: Mapping[str, Any]) -> Query:
    return make_query(SpectrumQuery, channels=_CHANNELS[parameters.osa_version], **shared)


_BUILDERS: dict[type[Parameters], Callable[[Any, Mapping[str, Any]], Query]] = {
    ImageParameters: _image,
    LightCurveParameters: _light_curve,
    SpectrumParameters: _spectrum,
}
