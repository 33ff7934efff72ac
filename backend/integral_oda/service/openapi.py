"""OpenAPI description of the service, made from the models that check the requests."""

from __future__ import annotations

from typing import Any

from integral_oda import __version__
from integral_oda.service.parameters import PRODUCTS
from integral_oda.service.pointings import TIME_FORMATS

__all__ = ["openapi_document"]

_PROTOCOL: dict[str, dict[str, Any]] = {
    "instrument": {"type": "string", "enum": ["isgri"]},
    "product_type": {"type": "string", "enum": list(PRODUCTS)},
    "query_type": {"type": "string", "enum": ["Real"], "default": "Real"},
    "query_status": {"type": "string", "default": "new"},
    "job_id": {"type": "string", "description": "id that the first reply gave; with any query_status but new"},
    "session_id": {"type": "string"},
    "token": {"type": "string"},
}
_ERRORS = {
    "400": "the request is not understood",
    "403": "not allowed",
    "404": "not here",
    "413": "too large",
    "503": "later",
    "507": "no room to write",
}
_ERROR_BODY = {
    "application/json": {"schema": {"type": "object", "properties": {"error": {"type": "string"}}}},
}


def openapi_document(prefix: str) -> dict[str, Any]:
    """Describe every address.

    Parameters
    ----------
    prefix : str
        What the addresses begin with.
    """
    fields = {**_PROTOCOL, **_product_fields()}
    analysis = {
        "get": _operation("Ask for a product, and how it stands", _reply("object"), list(fields.items())),
        "post": {**_operation("The same as a form", _reply("object"), []), "requestBody": _form(fields)},
    }
    product = [("product_type", {"type": "string"})]
    token = [("token", {"type": "string"})]
    segments = {"readiness": {"type": "string", "enum": ["cons", "nrt", "any"]}, "T1": _TEXT, "T2": _TEXT}
    cone = [(name, {"type": "number"}) for name in ("ra", "dec", "radius", "min_good_isgri")]
    times = {"informat": _FORMAT, "intime": _TEXT, "outformat": _FORMAT}
    paths = {
        "/": {"get": _operation("Status page", _reply("string", "text/html"), token)},
        "/run_analysis": analysis,
        "/api/par-names": {"get": _operation("Names of the parameters", _reply("array"), product)},
        "/instr-list": {"get": _operation("Instruments", _reply("array"), [])},
        "/api/instr-list": {"get": _operation("Instruments", _reply("array"), [])},
        "/api/meta-data": {"get": _operation("Descriptions of the parameters", _reply("array"), product)},
        "/resolve_name": {"get": _operation("Position of a source", _reply("object"), [("name", _TEXT), *token])},
        "/inspect-state": {"get": _operation("Your requests", _reply("object"), [("job_id", _TEXT), *token])},
        "/download_products": {
            "get": _operation(
                "Product files", _reply("string", "application/gzip"), [("job_id", _TEXT), ("file_list", _TEXT), *token]
            )
        },
        "/api/v1.0/scwlist/{readiness}/{T1}/{T2}": {
            "get": _operation("Science windows of a time range", _WINDOWS, [*cone, *token], segments)
        },
        "/api/v1.0/converttime/{informat}/{intime}/{outformat}": {
            "get": _operation("A time in another form", _reply("string", "text/plain"), token, times)
        },
        "/openapi.json": {"get": _operation("This description", _reply("object"), [])},
    }
    info = {"title": "integral-oda", "version": __version__, "description": "INTEGRAL/ISGRI products on demand"}
    return {"openapi": "3.1.0", "info": info, "servers": [{"url": prefix}], "paths": paths}


_TEXT: dict[str, Any] = {"type": "string", "minLength": 1, "maxLength": 80}
_FORMAT: dict[str, Any] = {"type": "string", "enum": list(TIME_FORMATS)}


def _product_fields() -> dict[str, dict[str, Any]]:
    """Fields of all products; one that several have is described once."""
    return {
        name: described
        for model in PRODUCTS.values()
        for name, described in model.model_json_schema()["properties"].items()
    }


def _operation(
    summary: str,
    reply: dict[str, Any],
    fields: list[tuple[str, dict[str, Any]]],
    segments: dict[str, dict[str, Any]] | None = None,
) -> dict[str, Any]:
    query = [{"name": name, "in": "query", "required": False, "schema": schema} for name, schema in fields]
    path = [{"name": name, "in": "path", "required": True, "schema": s} for name, s in (segments or {}).items()]
    errors = {status: {"description": text, "content": _ERROR_BODY} for status, text in _ERRORS.items()}
    return {"summary": summary, "parameters": [*path, *query], "responses": {"200": reply, **errors}}


def _reply(kind: str, media: str = "application/json") -> dict[str, Any]:
    return {"description": "done", "content": {media: {"schema": {"type": kind}}}}


_WINDOWS = {"description": "done", "content": {"application/json": {"schema": {"type": ["array", "object"]}}}}


def _form(fields: dict[str, dict[str, Any]]) -> dict[str, Any]:
    files = {name: {"type": "string", "format": "binary"} for name in ("user_catalog_file", "user_scw_list_file")}
    plain = {"type": "object", "properties": fields}
    return {
        "content": {
            "application/x-www-form-urlencoded": {"schema": plain},
            "multipart/form-data": {"schema": {"type": "object", "properties": {**fields, **files}}},
        }
    }
