"""ISLA over TAP: astroquery's own requests, answered by a server on loopback."""

from __future__ import annotations

import io
import threading
import warnings
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

import pytest
from astropy.table import Table

from integral_oda.archive.isla import isla_pointings, pointing_table
from integral_oda.errors import UnavailableError

COLUMNS = Table(
    rows=[("ila.cons_pub_obs", c) for c in ("obsid", "ra", "dec", "starttime", "endtime")]
    + [("ila.scw", c) for c in ("scw_oid", "scw_id", "ra", "dec", "start_time", "end_time", "good_isgri")],
    names=("table_name", "column_name"),
)
WINDOWS = Table(
    {
        "scw_id": ["066500010010", "066500020021"],
        "ra": [83.6, 84.0],
        "dec": [22.0, 22.5],
        "start_time": ["2008-03-25 02:00:00", "2008-03-25 03:00:00"],
        "end_time": ["2008-03-25 03:00:00", "2008-03-25 03:02:00"],
        "good_isgri": [3500.0, 100.0],
    }
)
CAPABILITIES = """<?xml version="1.0"?>
<vosi:capabilities xmlns:vosi="http://www.ivoa.net/xml/VOSICapabilities/v1.0"
 xmlns:vs="http://www.ivoa.net/xml/VODataService/v1.1" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
<capability standardID="ivo://ivoa.net/std/TAP"><interface xsi:type="vs:ParamHTTP" role="std">
<accessURL use="full">{}</accessURL></interface></capability></vosi:capabilities>"""
BANDS = Table({"instrument": ["ibis"], "band": ["28_40"], "instrument_oid": [1], "band_oid": [2]})


@pytest.fixture
def isla(monkeypatch):
    """A TAP server; gives the queries that it was asked."""
    monkeypatch.setenv("INTEGRAL_ODA_OFFLINE", "0")
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def do_GET(self):
            body = CAPABILITIES.format(f"http://127.0.0.1:{self.server.server_port}/tap").encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/xml")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self):
            form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
            adql = form["QUERY"][0]
            asked.append(adql)
            answer = COLUMNS if "tap_schema" in adql else WINDOWS if "ila.scw" in adql else BANDS
            body = _votable(answer)
            self.send_response(200)
            self.send_header("Content-Type", "application/x-votable+xml")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    from astroquery.esa.integral import conf

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        with conf.set_temp("ISLA_TAP_SERVER", f"http://127.0.0.1:{server.server_port}/tap"):
            yield asked
        server.shutdown()


def _votable(table) -> bytes:
    from astropy.io.votable import from_table
    from astropy.io.votable.tree import Info

    tree = from_table(table)
    tree.resources[0].type = "results"
    tree.resources[0].infos.append(Info(name="QUERY_STATUS", value="OK"))
    stream = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tree.to_xml(stream)
    return stream.getvalue()


@pytest.mark.filterwarnings("ignore")
def test_science_windows_of_isla(isla):
    index = isla_pointings((83.6, 22.0), 10)
    assert index.names == ["066500010010.001", "066500020021.001"]
    assert index.kind.tolist() == [0, 1]
    assert index.good_s.tolist() == [3500, 100]
    assert index.tstart[0] == pytest.approx(3006 + (2 * 3600 + 65.184) / 86400, abs=1e-7)  # UTC to TT: 65.184 s
    assert (
        "from ila.scw where 1=CONTAINS(POINT('ICRS',ra,dec),CIRCLE('ICRS',83.600000,22.000000,10.000000))" in isla[-1]
    )


def test_no_table_of_windows():
    with pytest.raises(UnavailableError, match=r"among ila\.x"):
        pointing_table({"ila.x": ["obsid", "ra", "dec", "starttime", "endtime"]})


def test_offline(monkeypatch):
    monkeypatch.setenv("INTEGRAL_ODA_OFFLINE", "1")
    with pytest.raises(UnavailableError, match="INTEGRAL_ODA_OFFLINE"):
        isla_pointings()
