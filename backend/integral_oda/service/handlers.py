"""The dispatcher's addresses under ``/integral-oda/``."""

from __future__ import annotations

import asyncio
import html
import io
import json
import tarfile
import time
from collections.abc import Mapping
from typing import Any, cast

from jupyter_server.auth.decorator import allow_unauthenticated
from jupyter_server.base.handlers import APIHandler
from tornado import web

from integral_oda.errors import DataError, IntegralOdaError, NothingLeftError, RequestError, UnavailableError
from integral_oda.service.access import owner_of
from integral_oda.service.answers import api_code, encode_products, envelope, error_reply
from integral_oda.service.catalogues import table_rows
from integral_oda.service.desk import ForbiddenError, Standing, Ticket
from integral_oda.service.encoding import reply_text
from integral_oda.service.fitting import fit_product
from integral_oda.service.openapi import openapi_document
from integral_oda.service.parameters import (
    INSTRUMENT,
    PRODUCTS,
    PROTOCOL_NAMES,
    SpectralFitParameters,
    describe,
    unknown_names,
)
from integral_oda.service.pointings import convert_time, window_list
from integral_oda.service.requests import build_query, parameters_of, sources_of
from integral_oda.service.rooms import Rooms

__all__ = ["PREFIX", "handlers"]

PREFIX = "/integral-oda"
_STATUS: tuple[tuple[type[IntegralOdaError], int], ...] = (
    (ForbiddenError, 403),
    (RequestError, 400),
    (UnavailableError, 503),
    (DataError, 404),
    (IntegralOdaError, 507),
)
NOTHING_FOUND = "failed: get dataserver products "
"""What the client knows as `FailedToFindAnyUsefulResults`."""
_LARGEST_UPLOAD = 4 * 2**20


class ServiceHandler(APIHandler):
    """What all addresses share: identity, errors as the client understands them, fields of a request as text."""

    @property
    def rooms(self) -> Rooms:
        """The service's desk, caches and folders."""
        return cast("Rooms", self.settings["integral_oda_rooms"])

    @property
    def owner(self) -> str:
        """The user who asks."""
        return owner_of(self)

    async def prepare(self) -> None:  # type: ignore[override]
        """Refuse who is not known, in the client's words."""
        await super().prepare()
        method = getattr(self, str(self.request.method).lower(), None)
        if self.current_user is None and not getattr(method, "__allow_unauthenticated", False):
            self.set_status(403)
            self.finish(error_reply("a valid token is needed: token=...", self.rooms.versions))
        elif len(self.request.body or b"") > _LARGEST_UPLOAD:
            self.set_status(413)
            self.finish(error_reply(f"a request of at most {_LARGEST_UPLOAD} bytes is allowed", self.rooms.versions))

    def check_xsrf_cookie(self) -> None:
        """Check it where somebody is known; who is not is refused with a better reason."""
        if getattr(self, "_jupyter_current_user", None) is not None:
            super().check_xsrf_cookie()

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Write an error as JSON, without a traceback."""
        error = kwargs.get("exc_info", (None, None, None))[1]
        message = getattr(error, "log_message", None) or f"HTTP {status_code}"
        self.finish(error_reply(str(message), self.rooms.versions))

    def refuse(self, error: IntegralOdaError) -> None:
        """Answer with an error of ours."""
        self.set_status(next(status for kind, status in _STATUS if isinstance(error, kind)))
        self.finish(error_reply(str(error), self.rooms.versions))

    def fields(self) -> dict[str, list[str]]:
        """Fields of the request as they came: the client writes None as a NUL, which ``get_argument`` drops."""
        raw: dict[str, list[bytes]] = {}
        for arguments in (self.request.query_arguments, self.request.body_arguments):
            for name, values in arguments.items():
                raw.setdefault(name, []).extend(values)
        try:
            return {name: [value.decode("utf-8") for value in values] for name, values in raw.items()}
        except UnicodeDecodeError:
            raise RequestError("request", "bytes that are no text", "UTF-8") from None

    def field(self, name: str, default: str = "") -> str:
        """Last value of one field."""
        return self.fields().get(name, [default])[-1]

    def compute_etag(self) -> None:
        """None: a digest of megabytes for every reply would cost more than it saves."""


class RunAnalysis(ServiceHandler):
    """Ask for a product, and ask how it stands."""

    async def get(self) -> None:
        """Answer a request in the query string."""
        await self._answer()

    async def post(self) -> None:
        """Answer a request in a form."""
        await self._answer()

    async def _answer(self) -> None:
        started = time.perf_counter()
        try:
            fields = self.fields()
            ticket = await asyncio.to_thread(self._ticket, fields)
            products, standing = await self._products(ticket)
        except IntegralOdaError as error:
            self.refuse(error)
            return
        session = fields.get("session_id", [""])[-1][:64]
        comment = self._comment(fields)
        self.finish(envelope(ticket, session, standing, products, comment, time.perf_counter() - started))

    def _ticket(self, fields: Mapping[str, list[str]]) -> Ticket:
        status, name = fields.get("query_status", ["new"])[-1], fields.get("job_id", [""])[-1]
        fitting = fields.get("product_type", [""])[-1] == "spectral_fit"
        if status != "new" and not fitting:
            if not name:
                raise RequestError("job_id", "", f"with query_status = {status[:20]} the id of the request is needed")
            return self.rooms.desk.look(name, self.owner)
        ticket = self._new(fields)
        if name and name != ticket.id:
            raise RequestError("job_id", name[:40], f"none with query_status = new, or {ticket.id}")
        return ticket

    def _new(self, fields: Mapping[str, list[str]]) -> Ticket:
        product, parameters = parameters_of({**fields, **self._uploaded_windows()})
        if isinstance(parameters, SpectralFitParameters):
            return Ticket.without_windows(self.owner, product, parameters.model_dump(mode="json"), parameters.kind)
        sources = sources_of(parameters) or self._uploaded_sources()
        asked = {**parameters.model_dump(mode="json"), "user_catalog": [list(row) for row in sources]}
        try:
            windows = self.rooms.windows(parameters)
        except NothingLeftError:
            return Ticket.without_windows(self.owner, product, asked, parameters.kind)
        self.rooms.desk.check_windows(windows)
        query = build_query(parameters, windows, sources, self.rooms.catalogues)
        names = tuple(row[0] for row in sources)
        values = query.model_dump(mode="json")
        return self.rooms.desk.ask(self.owner, product, asked, parameters.kind, values, names)

    def _upload(self, name: str) -> bytes | None:
        files = self.request.files.get(name)
        return files[0]["body"] if files and files[0]["body"] else None

    def _uploaded_sources(self) -> list[tuple[str, float, float]]:
        content = self._upload("user_catalog_file")
        return [] if content is None else table_rows(content)

    def _uploaded_windows(self) -> dict[str, list[str]]:
        content = self._upload("user_scw_list_file")
        return {} if content is None else {"scw_list": content.decode("ascii", "replace").split()}

    async def _products(self, ticket: Ticket) -> tuple[bytes, Standing]:
        if ticket.kind == SpectralFitParameters.kind:
            return await asyncio.to_thread(self._fit, ticket), Standing("done")
        if not ticket.windows:
            return b"{}", Standing("failed", NOTHING_FOUND)
        standing = await asyncio.to_thread(self.rooms.desk.standing, ticket)
        if standing.status != "done":
            return b"{}", standing
        try:
            return await asyncio.to_thread(self._encoded, ticket), standing
        except DataError as error:
            return b"{}", Standing("failed", str(error), standing.steps)

    def _fit(self, ticket: Ticket) -> bytes:
        parameters = SpectralFitParameters.model_validate(ticket.parameters)
        return reply_text(fit_product(self.rooms.desk, ticket.owner, parameters)).encode("ascii")

    def _encoded(self, ticket: Ticket) -> bytes:
        address = f"{self.request.protocol}://{self.request.host}{PREFIX}"
        current = self.rooms.desk.look(ticket.id, ticket.owner)

        def encode() -> dict[str, Any]:
            folder, summary = self.rooms.desk.result(current)
            request = f"{address}/run_analysis?job_id={ticket.id}"
            code = api_code(ticket.product, ticket.parameters, address)
            return {**encode_products(current, folder, summary, request), "api_code": code}

        return self.rooms.replies.get(f"{ticket.id}-{current.job}", encode)

    def _comment(self, fields: Mapping[str, list[str]]) -> str:
        unknown = (
            unknown_names(PRODUCTS[product], fields) if (product := fields["product_type"][-1]) in PRODUCTS else []
        )
        known = [name[:40] for name in unknown if name not in ("user_catalog_file", "user_scw_list_file")]
        return f"Please note that arguments {', '.join(known)} are not used" if known else ""


class ParameterNames(ServiceHandler):
    """Names of the parameters of a product; the client asks without a token."""

    @allow_unauthenticated
    def get(self) -> None:
        """Answer with a list of names."""
        product = self.get_argument("product_type", "")
        names = {name for kind in PRODUCTS.values() for name in kind.model_fields}
        if product in PRODUCTS:
            names = set(PRODUCTS[product].model_fields)
        self.finish(json.dumps(sorted({*names, *PROTOCOL_NAMES})))


class InstrumentList(ServiceHandler):
    """Instruments that are here."""

    @allow_unauthenticated
    def get(self) -> None:
        """Answer with a list of names."""
        self.finish(json.dumps([INSTRUMENT]))


class MetaData(ServiceHandler):
    """What the products are and what their parameters mean."""

    @allow_unauthenticated
    def get(self) -> None:
        """Answer with a list of descriptions."""
        product = self.get_argument("product_type", "")
        if product and product not in PRODUCTS:
            self.refuse(RequestError("product_type", product[:40], ", ".join(PRODUCTS)))
            return
        self.finish(json.dumps([describe(name) for name in ([product] if product else PRODUCTS)]))


class OpenApi(ServiceHandler):
    """Description of all addresses."""

    @allow_unauthenticated
    def get(self) -> None:
        """Answer with an OpenAPI document."""
        self.finish(openapi_document(PREFIX))


class ResolveName(ServiceHandler):
    """Position of a source."""

    async def get(self) -> None:
        """Answer with name and coordinates."""
        try:
            source = await asyncio.to_thread(self.rooms.resolve, self.field("name"))
        except IntegralOdaError as error:
            self.refuse(error)
            return
        self.finish({"name": source.name, "RA": source.ra_deg, "DEC": source.dec_deg, "have_coordinates": True})


class InspectState(ServiceHandler):
    """The requests of the user, for those who look for an error."""

    async def get(self) -> None:
        """Answer with one record a request."""
        try:
            records = await asyncio.to_thread(self.rooms.records, self.owner, self.field("job_id"))
        except IntegralOdaError as error:
            self.refuse(error)
            return
        self.finish({"records": records})


class DownloadProducts(ServiceHandler):
    """The product files of a request as one archive."""

    async def get(self) -> None:
        """Answer with a tar.gz."""
        try:
            ticket = self.rooms.desk.look(self.field("job_id"), self.owner)
            content = await asyncio.to_thread(self._archive, ticket)
        except IntegralOdaError as error:
            self.refuse(error)
            return
        self.set_header("Content-Disposition", f'attachment; filename="{ticket.product}-{ticket.id}.tar.gz"')
        self.finish(content, set_content_type="application/gzip")

    def _archive(self, ticket: Ticket) -> bytes:
        folder, summary = self.rooms.desk.result(ticket)
        asked = {name.strip() for name in self.field("file_list").split(",") if name.strip()}
        unknown = asked - set(summary["files"])
        if unknown:
            raise RequestError("file_list", min(unknown)[:60], ", ".join(summary["files"]))
        content = io.BytesIO()
        with tarfile.open(fileobj=content, mode="w:gz", compresslevel=1) as archive:
            for name in summary["files"]:
                if not asked or name in asked:
                    archive.add(folder / name, arcname=name)
        return content.getvalue()


class WindowList(ServiceHandler):
    """Science windows of a time range."""

    async def get(self, readiness: str, start: str, stop: str) -> None:
        """Answer with a list of windows."""
        try:
            index = await asyncio.to_thread(self.rooms.pointings)
            windows = window_list(index, readiness, start, stop, self.fields())
        except IntegralOdaError as error:
            self.refuse(error)
            return
        self.finish(reply_text(windows))


class ConvertTime(ServiceHandler):
    """One way to write a time from another."""

    async def get(self, given: str, value: str, wanted: str) -> None:
        """Answer with the time as text."""
        try:
            text = await asyncio.to_thread(convert_time, self.rooms.pointings, given, value, wanted)
        except IntegralOdaError as error:
            self.refuse(error)
            return
        self.finish(text, set_content_type="text/plain; charset=UTF-8")


class StatusPage(ServiceHandler):
    """A small page: what this is, and the requests of the user."""

    async def get(self) -> None:
        """Answer with HTML."""
        records = await asyncio.to_thread(self.rooms.records, self.owner, "")
        rows = "".join(
            "<tr>" + "".join(f"<td>{html.escape(str(record[key]))}</td>" for key in _COLUMNS) + "</tr>"
            for record in records[:100]
        )
        heads = "".join(f"<th>{key}</th>" for key in _COLUMNS)
        page = _PAGE.format(rows=rows, heads=heads, versions=html.escape(json.dumps(self.rooms.versions)))
        self.finish(page, set_content_type="text/html; charset=UTF-8")


_COLUMNS = ("job_id", "product", "status", "windows", "asked", "reason")
_PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>integral-oda</title><style>
body {{ font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem }}
table {{ border-collapse: collapse; width: 100% }}
td, th {{ text-align: left; padding: .3rem .6rem; border-bottom: 1px solid #ccc }}
</style></head><body><h1>integral-oda</h1>
<p>INTEGRAL/ISGRI sky images, spectra and light curves for scripts that use <code>oda_api</code>:
<code>DispatcherAPI(url="http://HOST:PORT/integral-oda")</code>.
<a href="openapi.json">Description of the addresses</a>.</p>
<h2>Your requests</h2><table><tr>{heads}</tr>{rows}</table><p><small>{versions}</small></p></body></html>
"""


class NotHere(ServiceHandler):
    """Any other address."""

    @allow_unauthenticated
    def prepare(self) -> None:  # type: ignore[override]
        """Say so."""
        raise web.HTTPError(404, "no such address; see openapi.json")


def handlers(base_url: str) -> list[tuple[str, type[ServiceHandler]]]:
    """Addresses and what answers them."""
    root = base_url.rstrip("/") + PREFIX
    segment = r"([^/]{1,80})"
    return [
        (rf"{root}/?", StatusPage),
        (rf"{root}/run_analysis", RunAnalysis),
        (rf"{root}/api/par-names", ParameterNames),
        (rf"{root}/(?:api/)?instr-list", InstrumentList),
        (rf"{root}/api/meta-data", MetaData),
        (rf"{root}/resolve_name", ResolveName),
        (rf"{root}/inspect-state", InspectState),
        (rf"{root}/download_products", DownloadProducts),
        (rf"{root}/api/v1.0/scwlist/{segment}/{segment}/{segment}", WindowList),
        (rf"{root}/api/v1.0/converttime/{segment}/{segment}/{segment}", ConvertTime),
        (rf"{root}/openapi.json", OpenApi),
        (rf"{root}/.*", NotHere),
    ]
