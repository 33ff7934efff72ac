"""The online system's HTTP protocol, from the side of those who ask."""

from __future__ import annotations

import json
import os
import secrets
import string
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from integral_oda.errors import DataError, RequestError, UnavailableError

if TYPE_CHECKING:
    import requests

__all__ = ["DEFAULT_URL", "Dispatcher", "find_token", "server_url"]

DEFAULT_URL = "https://www.astro.unige.ch/mmoda/dispatch-data"
_URL_VARIABLE, _TOKEN_VARIABLE, _TOKEN_FILE = "INTEGRAL_ODA_MMODA_URL", "ODA_TOKEN", ".oda-token"
_TIMEOUT_S, _POLL_S, _TRIES = 120.0, 1.0, 6
_UNAVAILABLE = (502, 503, 504)
_LONGEST_S = 6 * 3600.0


def server_url() -> str:
    """Address of the server: ``INTEGRAL_ODA_MMODA_URL``, else the public one."""
    return os.environ.get(_URL_VARIABLE, DEFAULT_URL).rstrip("/")


def find_token() -> str | None:
    """Token from the usual places: ``ODA_TOKEN``, then ``.oda-token`` here and in the home folder."""
    given = os.environ.get(_TOKEN_VARIABLE, "").strip()
    if given:
        return given
    for folder in (Path.cwd(), Path.home()):
        path = folder / _TOKEN_FILE
        if path.is_file():
            return path.read_text(encoding="utf-8").strip() or None
    return None


class Dispatcher:
    """A server that carries queries out.

    A request is the same job however often it is sent, so one that was interrupted goes on where it is.

    Parameters
    ----------
    url : str
    token : str, optional
    pause_s : float
        Time between two questions how a request stands.
    """

    def __init__(self, url: str, token: str | None = None, pause_s: float = _POLL_S) -> None:
        self.url, self.token, self.pause_s = url, token, pause_s
        self.session_id = "".join(secrets.choice(string.ascii_uppercase + string.digits) for _ in range(16))

    def products(self, product: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Ask for a product and wait for it.

        Parameters
        ----------
        product : str
            ``"isgri_image"``, ``"isgri_spectrum"`` or ``"isgri_lc"``.
        parameters : mapping
            As the online system calls them.

        Returns
        -------
        dict
            The ``products`` of the reply.

        Raises
        ------
        RequestError
            If the server does not understand the request or refuses it.
        DataError
            If the request failed there, or the reply cannot be read.
        UnavailableError
            If the server does not answer.
        """
        fields = {**_fields(parameters), "instrument": "isgri", "product_type": product, "query_type": "Real",
                  "off_line": "False", "api": "True", "session_id": self.session_id}  # fmt: skip
        state: dict[str, str] = {"query_status": "new"}
        end = time.monotonic() + _LONGEST_S
        while time.monotonic() < end:
            reply = self._ask({**fields, **state})
            status = str(reply.get("query_status"))
            if status == "done":
                return dict(reply["products"])
            if status == "failed":
                raise DataError(f"{self.url}: {_reason(reply)}")
            state = {"query_status": status, "job_id": str(reply["job_monitor"]["job_id"])}
            time.sleep(self.pause_s)
        raise UnavailableError(f"{self.url}: no result after {_LONGEST_S / 3600:g} hours; ask again and it goes on")

    def _ask(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        import requests
        import tenacity

        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type((requests.ConnectionError, requests.Timeout, _Later)),
            wait=tenacity.wait_random_exponential(multiplier=0.5, max=30),
            stop=tenacity.stop_after_attempt(_TRIES),
            reraise=True,
        )
        try:
            return retrying(self._post, fields)
        except (requests.RequestException, _Later) as exc:
            reason = str(exc) if isinstance(exc, _Later) else type(exc).__name__
            raise UnavailableError(f"{self.url} does not answer ({reason})") from None

    def _post(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        import requests

        token = {} if self.token is None else {"token": self.token}
        reply = requests.post(
            f"{self.url}/run_analysis", data={**fields, **token}, timeout=_TIMEOUT_S, allow_redirects=False
        )
        if reply.status_code in _UNAVAILABLE:
            raise _Later(f"HTTP {reply.status_code}")
        if reply.status_code != requests.codes.ok:
            raise RequestError("mmoda", self.url, _refusal(reply))
        return _checked(reply, self.url)


class _Later(Exception):  # noqa: N818
    """The server says that it cannot answer now."""


def _fields(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of a form: lists of windows with commas, catalogues as JSON."""
    return {
        name: ",".join(value) if name == "scw_list" else json.dumps(value) if isinstance(value, dict) else str(value)
        for name, value in parameters.items()
        if value is not None
    }


def _checked(reply: requests.Response, url: str) -> dict[str, Any]:
    try:
        found = reply.json()
        whole = isinstance(found["products"], dict) and found["job_monitor"]["job_id"] and found["query_status"]
    except (ValueError, KeyError, TypeError):
        whole = False
    if not whole:
        raise DataError(f"{url}: a reply that is not of the online system's form")
    return dict(found)


def _refusal(reply: requests.Response) -> str:
    try:
        told = reply.json()
    except ValueError:
        return f"refused with HTTP {reply.status_code}"
    text = told.get("error") or told.get("exit_status", {}).get("message") or told.get("error_message")
    return f"refused with HTTP {reply.status_code}: {text or 'no reason given'}"


def _reason(reply: Mapping[str, Any]) -> str:
    report = reply.get("exit_status") or {}
    return str(report.get("message") or report.get("error_message") or "the request failed without a reason")
