"""From a finished request to the reply that carries its products, and the replies on the way there."""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from integral_oda.products.fits_io import open_fits, write_aside
from integral_oda.products.source_list import source_from_dict
from integral_oda.service.desk import Standing, Ticket
from integral_oda.service.encoding import encode_catalogue, encode_fits, reply_text

__all__ = ["ReplyCache", "api_code", "encode_products", "envelope", "error_reply", "monitor"]

_DAY_S = 86400.0
_CACHE_BYTES = 64 * 2**20
_UNIT_NAMES = {"ISGR-ARF.-RSP": "SPECRESP", "ISGR-RMF.-RSP": "SPECRESP MATRIX", "ISGR-EBDS-MOD": "EBOUNDS"}
_ALONE = {"ANCRFILE": "NONE", "RESPFILE": "NONE"}
"""A spectrum that travels without its files does not name them."""
_MESSAGES = {"computed": "main done", "restored": "restored from cache", "running": "running", "failed": "failed"}


def encode_products(ticket: Ticket, folder: Path, summary: Mapping[str, Any], request: str) -> dict[str, Any]:
    """Encode the products of a request.

    Parameters
    ----------
    ticket : Ticket
    folder : Path
        Where the product files lie.
    summary : mapping
        As in ``summary.json``.
    request : str
        What is written into every header.
    """
    made = _ENCODERS[ticket.kind](ticket, folder, summary, request)
    windows = summary["science_windows"]["used"]
    return {**made, "input_prod_list": windows, "analysis_parameters": dict(ticket.parameters)}


def _image(ticket: Ticket, folder: Path, summary: Mapping[str, Any], request: str) -> dict[str, Any]:
    least = float(ticket.parameters["detection_threshold"])
    sources = [source_from_dict(values) for values in summary["sources"]]
    listed = [source for source in sources if source.significance > least and not source.forced]
    mosaic = encode_fits(folder / "mosaic.fits", "mosaic_image", {"src_name": "", "product": "mosaic"}, request)
    return {"numpy_data_product_list": [mosaic], "catalog": encode_catalogue(listed)}


def _light_curves(ticket: Ticket, folder: Path, summary: Mapping[str, Any], request: str) -> dict[str, Any]:
    time_bin = float(ticket.query["time_bin"]) / _DAY_S
    made = []
    for path, name in _of_sources(ticket, folder, summary, "isgri_lc_"):
        columns = {"time": "TIME", "rate": "RATE", "rate_err": "ERROR"}
        made.append(encode_fits(path, "isgri_lc", {"src_name": name, "time_bin": time_bin, **columns}, request))
    return {"numpy_data_product_list": made}


def _spectra(ticket: Ticket, folder: Path, summary: Mapping[str, Any], request: str) -> dict[str, Any]:
    made = []
    for path, name in _of_sources(ticket, folder, summary, "isgri_spectrum_"):
        suffix = path.name.removeprefix("isgri_spectrum_")
        for product in ("isgri_spectrum", "isgri_arf", "isgri_rmf"):
            meta = {"src_name": name, "product": product}
            made.append(encode_fits(folder / f"{product}_{suffix}", product, meta, request, _UNIT_NAMES, _ALONE))
    return {"numpy_data_product_list": made}


def _of_sources(ticket: Ticket, folder: Path, summary: Mapping[str, Any], beginning: str) -> Iterable[tuple[Path, str]]:
    """Files of the sources that are wanted, with the sources' names, in the order of the request's catalogue."""
    names = [name for name in summary["files"] if name.startswith(beginning) and name.endswith(".fits")]
    found = [(folder / name, _name_in(folder / name)) for name in names]
    if not ticket.keep:
        return found
    return sorted((pair for pair in found if pair[1] in ticket.keep), key=lambda pair: ticket.keep.index(pair[1]))


def _name_in(path: Path) -> str:
    with open_fits(path) as hdus:
        return str(hdus[1].header.get("NAME") or hdus[1].header.get("OBJECT") or "")


_ENCODERS: dict[str, Callable[[Ticket, Path, Mapping[str, Any], str], dict[str, Any]]] = {
    "image": _image,
    "lightcurve": _light_curves,
    "spectrum": _spectra,
}


def envelope(
    ticket: Ticket, session: str, standing: Standing, products: bytes = b"{}", comment: str = "", seconds: float = 0.0
) -> bytes:
    """Write a reply around products that are encoded already.

    Parameters
    ----------
    ticket : Ticket
    session : str
        The client's name of its session.
    standing : Standing
    products : bytes
        JSON object.
    comment : str
        What the client shows its user.
    """
    failed = standing.status == "failed"
    report = {
        "status": int(failed),
        "message": standing.reason if failed else "",
        "error_message": standing.reason if failed else "",
        "debug_message": "",
        "comment": comment,
        "warning": "",
        "job_status": standing.status,
    }
    rest = {
        "query_status": standing.status,
        "exit_status": report,
        "job_status": standing.status,
        "job_monitor": {
            "job_id": ticket.id,
            "session_id": session,
            "status": standing.status,
            "full_report_dict_list": monitor(standing.steps),
        },
        "session_id": session,
        "time_request": round(seconds, 3),
    }
    return b'{"products": ' + products + b", " + reply_text(rest).encode("ascii")[1:]


def monitor(steps: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Window by step, as the client counts them: the last state of each node."""
    last = {(step["scope"], step["step"]): step for step in steps if step["state"] in _MESSAGES}
    return [
        {"scwid": scope, "node": node, "message": _MESSAGES[step["state"]], "seconds": step["seconds"]}
        for (scope, node), step in last.items()
    ]


def error_reply(message: str, versions: Mapping[str, str]) -> dict[str, Any]:
    """Body of a refusal, with the keys that the client looks for."""
    report = {"status": 1, "message": message, "error_message": message, "debug_message": "", "comment": ""}
    return {
        "error": message,
        "error_message": message,
        "exit_status": report,
        "versions": dict(versions),
        "installed_instruments": ["isgri"],
    }


def api_code(product: str, parameters: Mapping[str, Any], url: str) -> str:
    """Python text that makes the same request; it holds no token."""
    given = {name: value for name, value in sorted(parameters.items()) if value not in (None, [], ())}
    if "selected_catalog" in given:
        given["selected_catalog"] = json.dumps(given["selected_catalog"])
    asked = {"instrument": "isgri", "product": product, "product_type": "Real", **given}
    lines = "".join(f"    {name!r}: {value!r},\n" for name, value in asked.items())
    return (
        "from oda_api.api import DispatcherAPI\n\n"
        f"disp = DispatcherAPI(url={url!r}, instrument='mock')\n"
        f"par_dict = {{\n{lines}}}\n"
        "data_collection = disp.get_product(**par_dict)\n"
    )


class ReplyCache:
    """Encoded products, as files and the latest of them in memory.

    Parameters
    ----------
    folder : Path
        Where the files lie.
    largest : int
        Bytes that are kept in memory.
    """

    def __init__(self, folder: Path, largest: int = _CACHE_BYTES) -> None:
        self.folder, self.largest = folder, largest
        self._memory: OrderedDict[str, bytes] = OrderedDict()
        self._lock = threading.Lock()
        folder.mkdir(parents=True, exist_ok=True)

    def get(self, name: str, make: Callable[[], Mapping[str, Any]]) -> bytes:
        """Give the JSON text of a name; it is made if it is not there."""
        with self._lock:
            if name in self._memory:
                self._memory.move_to_end(name)
                return self._memory[name]
            text = self._read(name)
            if text is None:
                text = self._write(name, reply_text(make()).encode("ascii"))
            self._memory[name] = text
            while len(self._memory) > 1 and sum(map(len, self._memory.values())) > self.largest:
                self._memory.popitem(last=False)
            return text

    def _read(self, name: str) -> bytes | None:
        path = self.folder / f"{name}.json"
        return path.read_bytes() if path.exists() else None

    def _write(self, name: str, text: bytes) -> bytes:
        with write_aside(self.folder / f"{name}.json") as aside:
            aside.write_bytes(text)
        return text
