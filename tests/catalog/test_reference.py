"""The built-in catalogue: complete, in place, and found by any of its names."""

import math
import subprocess
import sys
from pathlib import Path

import pytest
from astropy.io import fits
from astropy.table import Table
from hypothesis import given
from hypothesis import strategies as st

from integral_oda.catalog.reference import CatalogSource, reference_catalogue, resolve, sources_near
from integral_oda.errors import RequestError
from integral_oda.instrument.attitude import separation_deg

NEWER_THAN_THE_TABLES = {"MAXI J1803-298", "SGR 1935+2154", "Swift J1727.8-1613", "Swift J1818.0-1607"}
TABLE = Path(sys.modules[CatalogSource.__module__].__file__).parent / "data" / "reference_catalogue.ecsv"


@pytest.fixture(scope="session")
def isdc_positions(real_data):
    positions = {}
    for line in (real_data / "gbelanger_gb-esac-integral/ra_dec_name_gnrl_refr_cat_0040.txt").read_text().splitlines():
        ra, dec, name = line.split(None, 2)
        positions[name.strip()] = (float(ra), float(dec))
    for subset in ("bright", "strong", "inScw", "inMosa"):
        for row in _isdc_rows(real_data, subset):
            positions[row["NAME"].strip()] = (float(row["RA_OBJ"]), float(row["DEC_OBJ"]))
    return positions


def _isdc_rows(real_data, subset):
    return fits.getdata(real_data / f"gbelanger_grid-processing-integral/isgri_cat_{subset}_0043.fits.gz", 1)


def test_names_are_those_of_isdc(isdc_positions):
    unknown = {source.name for source in reference_catalogue()} - isdc_positions.keys()
    assert unknown == NEWER_THAN_THE_TABLES


def test_positions_are_within_an_arcminute_of_isdc(isdc_positions):
    far = {
        source.name
        for source in reference_catalogue()
        if source.name in isdc_positions
        and separation_deg(source.ra_deg, source.dec_deg, *isdc_positions[source.name]) > 1 / 60
    }
    assert not far


def test_every_bright_isgri_source_is_there(real_data):
    names = {source.name for source in reference_catalogue()}
    bright = {row["NAME"].strip() for row in _isdc_rows(real_data, "bright")}
    assert len(bright) == 37
    assert bright <= names


def test_osa_source_list_is_in_place(real_data):
    rows = fits.getdata(real_data / "oda-hub_dispatcher-plugin-integral/query_catalog.fits", 1)
    for row in rows:
        if row["src_names"].strip() in {"Crab", "1A 0535+262", "3C 120"}:
            source = resolve(row["src_names"])
            assert separation_deg(source.ra_deg, source.dec_deg, row["ra"], row["dec"]) < 0.5 / 60


def test_the_table_is_proper_ecsv():
    table = Table.read(TABLE, format="ascii.ecsv")
    sources = reference_catalogue()
    assert len(table) == len(sources) >= 150
    assert table["name"].tolist() == [source.name for source in sources]
    assert table["ra"].unit == table["dec"].unit == "deg"
    assert table["transient"].tolist() == [source.transient for source in sources]
    assert {source.reference for source in sources} == set(table.meta["references"])


def test_values_are_possible():
    for source in reference_catalogue():
        assert 0 <= source.ra_deg < 360, source.name
        assert -90 <= source.dec_deg <= 90, source.name
        assert source.flux_20_40_mcrab > 0, source.name
        assert source.flux_40_100_mcrab > 0, source.name
        assert source.source_class, source.name


def test_crab_is_the_unit_of_flux():
    crab = resolve("Crab")
    assert (crab.flux_20_40_mcrab, crab.flux_40_100_mcrab) == (1000, 1000)


def test_no_source_stands_on_another():
    sources = reference_catalogue()
    ra, dec = [source.ra_deg for source in sources], [source.dec_deg for source in sources]
    for source in sources:
        assert (separation_deg(source.ra_deg, source.dec_deg, ra, dec) < 1 / 60).sum() == 1, source.name


def test_every_name_and_alias_leads_to_one_source():
    for source in reference_catalogue():
        for name in (source.name, *source.aliases):
            assert resolve(name) is source, name


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        ("crab", "Crab"),
        ("M1", "Crab"),
        ("Cygnus X-1", "Cyg X-1"),
        ("CYG X1", "Cyg X-1"),
        ("SGR1935", "SGR 1935+2154"),
        ("sgr 1935 2154", "SGR 1935+2154"),
        ("GX 301\N{MINUS SIGN}2", "GX 301-2"),
        ("4U 1907+09", "H 1907+097"),
        ("X1908+075", "4U 1909+07"),
        ("4U 1728-34", "GX 354-0"),
        ("V 0332+53", "EXO 0331+530"),
    ],
)
def test_names_as_people_write_them(asked, name):
    assert resolve(asked).name == name


@given(source=st.sampled_from(reference_catalogue()), data=st.data())
def test_case_and_spaces_do_not_matter(source, data):
    letters = [data.draw(st.sampled_from([char.lower(), char.upper()])) for char in source.name]
    gaps = [data.draw(st.sampled_from(["", " "])) for _ in letters]
    assert resolve("".join(map("".join, zip(gaps, letters, strict=True)))) is source


@pytest.mark.parametrize("name", ["4U 1901-03", "SGR 1935-2154"])
def test_a_wrong_sign_of_declination_is_not_forgiven(name):
    with pytest.raises(RequestError, match="did you mean"):
        resolve(name)


def test_an_unknown_name_offers_the_nearest():
    with pytest.raises(RequestError, match=r"src_name = Cyg X-4: .* did you mean Cyg X-[123], ") as caught:
        resolve("Cyg X-4")
    assert caught.value.exit_status == 2


@pytest.mark.parametrize("name", ["", " ", "+", "?"])
def test_a_name_without_letters_is_unknown(name):
    with pytest.raises(RequestError, match="src_name"):
        resolve(name)


def test_a_users_source_comes_first():
    mine = CatalogSource("crab", 10.0, 20.0)
    assert resolve("CRAB", [mine]) is mine
    assert resolve("M 1", [mine]).name == "Crab"
    assert math.isnan(mine.flux_20_40_mcrab)


def test_sources_near_are_inside_and_nearest_first():
    near = sources_near(286.8229, 20.2763, 20.0, reference_catalogue())
    away = [separation_deg(286.8229, 20.2763, source.ra_deg, source.dec_deg) for source in near]
    assert away == sorted(away)
    assert away[-1] <= 20
    assert {"SGR 1935+2154", "GRS 1915+105", "4U 1909+07", "Cyg X-1", "Aql X-1", "Ser X-1", "SS 433"} <= {
        source.name for source in near
    }


def test_sources_near_the_pole_and_across_zero():
    west, east = CatalogSource("west", 359.9, 0.0), CatalogSource("east", 0.1, 0.0)
    north = CatalogSource("north", 180.0, 89.95)
    assert sources_near(0.05, 0.0, 0.2, [west, east, north]) == (east, west)
    assert sources_near(0.0, 89.95, 0.2, [west, east, north]) == (north,)
    assert sources_near(0.0, 0.0, 180.0, ()) == ()


def test_resolving_loads_neither_numpy_nor_astropy():
    code = (
        "import sys; from integral_oda.catalog.reference import resolve; resolve('Crab'); "
        "print({'numpy', 'astropy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
