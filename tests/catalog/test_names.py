"""Names: catalogues first, then the resolvers of the network, then the coordinates in the name itself."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integral_oda.catalog.isdc import find_isdc_catalogue, read_isdc_catalogue
from integral_oda.catalog.names import parse_designation, resolve_name
from integral_oda.catalog.reference import CatalogSource, find_name, reference_catalogue
from integral_oda.errors import RequestError
from integral_oda.instrument.attitude import separation_deg


@pytest.fixture
def resolvers(monkeypatch):
    """Sesame and the ODA resolver on loopback; ``answers`` maps a name to what each says."""
    answers: dict[str, dict[str, str]] = {"sesame": {}, "oda": {}}
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def do_GET(self):
            kind, _, name = self.path.strip("/").partition("/")
            asked.append((kind, name))
            text = answers[kind].get(name, "#! not found" if kind == "sesame" else '{"success": false}')
            self.send_response(500 if text == "fail" else 200)
            self.end_headers()
            self.wfile.write(text.encode())

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        base = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setenv("INTEGRAL_ODA_OFFLINE", "0")
        monkeypatch.setenv("INTEGRAL_ODA_SESAME_URL", base + "/sesame/{}")
        monkeypatch.setenv("INTEGRAL_ODA_RESOLVER_URL", base + "/oda/{}")
        yield answers, asked
        server.shutdown()


@pytest.mark.parametrize("name", ["4U 0531+21", "4u0531+21", "  crab NEBULA ", "PSR B0531+21"])
def test_the_built_in_catalogue_asks_nobody(resolvers, name):
    found = resolve_name(name)
    assert (found.source.name, found.origin) == ("Crab", "catalogue")
    assert resolvers[1] == []


def test_every_name_of_the_isdc_table_that_is_built_in(real_data):
    far, known = set(), 0
    for line in (real_data / "gbelanger_gb-esac-integral/ra_dec_name_gnrl_refr_cat_0040.txt").read_text().splitlines():
        ra, dec, name = line.split(None, 2)
        source = find_name(name, ())
        if source is not None:
            known += 1
            if separation_deg(float(ra), float(dec), source.ra_deg, source.dec_deg) > 1 / 60:
                far.add(source.name)
    assert known >= 271
    assert not far


def test_the_users_reference_catalogue_comes_before_the_network(real_data, resolvers, monkeypatch, tmp_path):
    path = real_data / "gbelanger_grid-processing-integral/isgri_cat_inMosa_0043.fits.gz"
    builtin = {source.name for source in reference_catalogue()}
    other = next(source for source in read_isdc_catalogue(path) if source.name not in builtin and not source.aliases)
    monkeypatch.setenv("ISDC_REF_CAT", f"{path}[1]")
    found = resolve_name(other.name.lower())
    assert (found.source, found.origin) == (other, str(path))
    monkeypatch.delenv("ISDC_REF_CAT")
    folder = tmp_path / "cat/hec"
    folder.mkdir(parents=True)
    for version in ("0041", "0043"):
        (folder / f"gnrl_refr_cat_{version}.fits.gz").write_bytes(path.read_bytes())
    assert find_isdc_catalogue(tmp_path).name == "gnrl_refr_cat_0043.fits.gz"
    assert resolve_name(other.name, archive=tmp_path).source.name == other.name
    assert resolvers[1] == []


def test_isdc_fluxes_and_aliases(real_data):
    path = real_data / "gbelanger_grid-processing-integral/isgri_cat_bright_0043.fits.gz"
    crab = next(source for source in read_isdc_catalogue(path) if source.name == "Crab")
    assert crab.flux_20_40_mcrab == pytest.approx(1000, abs=0.1)
    assert "4U 0531+21" in crab.aliases


def test_sesame_then_the_oda_resolver(resolvers):
    answers, asked = resolvers
    answers["sesame"]["Mrk%20999"] = "# Mrk 999\n%J 12.5 -34.25 = 00 50 00 -34 15 00\n"
    answers["oda"]["GRB%20200101A"] = json.dumps({"success": True, "have_coordinates": True, "ra": 1.5, "dec": 2.5})
    found = resolve_name("Mrk 999")
    assert (found.source, found.origin) == (CatalogSource("Mrk 999", 12.5, -34.25), "Sesame")
    assert resolve_name("GRB 200101A").origin == "ODA resolver"
    assert [kind for kind, _ in asked] == ["sesame", "sesame", "oda"]


@pytest.mark.parametrize(
    "bad", ["fail", "<html>", "%J x y", '{"ra": "a"}', '{"have_coordinates": true, "ra": NaN, "dec": 1}']
)
def test_answers_without_sense_are_no_position(resolvers, bad):
    answers, _ = resolvers
    answers["sesame"]["Nobody"] = answers["oda"]["Nobody"] = bad
    with pytest.raises(RequestError, match="src_name = Nobody: no source of the catalogue has this name"):
        resolve_name("Nobody")


def test_a_failing_resolver_is_told(resolvers):
    resolvers[0]["sesame"]["Nobody"] = "fail"
    with pytest.raises(RequestError, match="not reached: Sesame: HTTP 500; give RA and DEC"):
        resolve_name("Nobody")


def test_offline_says_so(monkeypatch):
    monkeypatch.setenv("INTEGRAL_ODA_OFFLINE", "1")
    with pytest.raises(RequestError, match="offline, so no resolver was asked: give RA and DEC"):
        resolve_name("Nobody")


def test_a_beginning_lists_the_candidates():
    with pytest.raises(RequestError) as caught:
        resolve_name("IGR J174")
    assert "did you mean " in str(caught.value)
    assert "IGR J17464-3213" in str(caught.value)


def test_an_ambiguous_name_lists_the_candidates():
    pair = [CatalogSource("X 1901+03", 1, 2), CatalogSource("X 1901-03", 1, -2)]
    assert find_name("X1901-03", pair) is pair[1]
    with pytest.raises(RequestError, match=r"this may be one of X 1901\+03, X 1901-03"):
        find_name("X190103", pair)


@pytest.mark.parametrize(
    ("name", "ra", "dec"),
    [
        ("IGR J16318-4848", 247.96250, -48.80833),
        ("SWIFT J1753.5-0127", 268.38750, -1.45833),
        ("J053432.0+220052", 83.63354, 22.01458),
        ("2MASS J05343194+2200521", 83.63310, 22.01449),
        ("XTE J1810-189", 272.62500, -18.95000),
        ("1RXS J170849.0\N{MINUS SIGN}400910", 257.20438, -40.15292),
    ],
)
def test_designations(name, ra, dec):
    found = parse_designation(name)
    assert found[:2] == pytest.approx((ra, dec), abs=1e-4)


@pytest.mark.parametrize("name", ["Crab", "IGR J99999-4848", "J2460-0100", "J1200+9900", "GX 5-1", "J12"])
def test_what_is_no_designation(name):
    assert parse_designation(name) is None


@given(hour=st.integers(0, 23), minute=st.integers(0, 59), second=st.floats(0, 59.9), dec=st.floats(-89, 89))
def test_a_designation_holds_the_position_it_was_made_of(hour, minute, second, dec):
    tenths = int(second * 10)
    arcsec = int(abs(dec) * 3600)
    sign = "-" if dec < 0 else "+"
    digits = f"{arcsec // 3600:02d}{arcsec // 60 % 60:02d}{arcsec % 60:02d}"
    ra_found, dec_found, accuracy = parse_designation(
        f"J{hour:02d}{minute:02d}{tenths // 10:02d}.{tenths % 10}{sign}{digits}"
    )
    true = 15 * (hour + minute / 60 + second / 3600)
    assert separation_deg(ra_found, dec_found, true, dec) * 60 <= 1.5 * accuracy
