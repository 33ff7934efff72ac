"""Lists of sources: every form comes back as it was, and edits do what they say."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from integral_oda.catalog.reference import read_user_catalogue
from integral_oda.catalog.source_list import ListedSource, SourceCatalogue, read_sources, write_sources
from integral_oda.errors import RequestError

NAMES = st.text(st.characters(min_codepoint=32, max_codepoint=126, exclude_characters="{}\"'"), min_size=1, max_size=30)
SOURCES = st.builds(
    ListedSource,
    name=NAMES.map(str.strip).filter(lambda n: n not in ("", "--") and not n.isspace()),
    ra=st.floats(0, 360, exclude_max=True, allow_subnormal=False),
    dec=st.floats(-90, 90, allow_subnormal=False),
    significance=st.floats(0, 1e4) | st.just(math.nan),
    err_rad=st.floats(1e-6, 1) | st.just(math.nan),
    meta_id=st.integers(0, 10**6),
    new_source=st.sampled_from([-32768, 0, 1]),
    isgri_flag=st.integers(0, 5),
    flag=st.integers(-100, 100),
)


def same(a: SourceCatalogue, b: SourceCatalogue) -> bool:
    return repr(a) == repr(b)  # NaN is not equal to itself


@pytest.mark.parametrize("suffix", [".fits", ".ecsv", ".reg", ".json"])
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sources=st.lists(SOURCES, min_size=1, max_size=5))
def test_every_form_comes_back_exactly(tmp_path, suffix, sources):
    catalogue = SourceCatalogue(tuple(sources))
    path = write_sources(tmp_path / f"list{suffix}", catalogue)
    assert same(read_sources(path), catalogue)


def test_the_dictionary_of_the_online_system_comes_back_exactly(real_data):
    """The authors' own list of the GX 5-1 case, 25 sources."""
    text = (real_data / "oda-hub_oda_api_benchmark/api_cat_str_gx5-1.txt").read_text()
    catalogue = SourceCatalogue.from_dictionary(json.loads(text))
    assert len(catalogue) == 25
    assert catalogue["gx 5-1"].significance == pytest.approx(100.67, abs=0.01)
    assert catalogue.as_dictionary() == json.loads(text)


def test_real_catalogues_are_read(real_data):
    online = read_sources(real_data / "oda-hub_dispatcher-plugin-integral/query_catalog.fits")
    assert len(online) == 21
    assert online["Crab"].significance == pytest.approx(294.47, abs=0.01)
    bright = read_sources(real_data / "gbelanger_grid-processing-integral/isgri_cat_bright_0043.fits.gz")
    assert len(bright) == 37
    assert bright["Crab"].err_rad == pytest.approx(0.00028, abs=1e-5)


CRAB = ListedSource("Crab", 83.6332, 22.0145, significance=290.0, err_rad=0.0003)


def test_edits():
    ghost = ListedSource("Crab", 84.9, 23.1, significance=12.0)
    new = ListedSource("NEW_1", 83.64, 22.02, significance=9.0, err_rad=0.05, new_source=1)
    weak = ListedSource("1A 0535+262", 84.727, 26.316, significance=3.1)
    catalogue = SourceCatalogue().add(ghost, CRAB, new, weak)
    assert [s.meta_id for s in catalogue.sources] == [0, 1, 2, 3]
    assert catalogue.without_duplicates().names == ("Crab", "1A 0535+262")
    assert catalogue.without_duplicates()["Crab"].significance == 290
    assert catalogue.select(5).names == ("Crab", "Crab", "NEW_1")
    assert catalogue.select(new=False).names == ("Crab", "Crab", "1A 0535+262")
    assert catalogue.remove("1A0535+262").names == ("Crab", "Crab", "NEW_1")
    assert catalogue.edit("new_1", name="IGR J1", isgri_flag=1).names[2] == "IGR J1"
    with pytest.raises(RequestError, match="name = Vela"):
        catalogue.remove("Vela")
    with pytest.raises(RequestError, match="0 <= ra < 360"):
        catalogue.edit("Crab", ra=400.0)


def test_merging_takes_what_is_not_there():
    mine = SourceCatalogue((CRAB,))
    other = SourceCatalogue((
        ListedSource("4U 0531+21", 83.6333, 22.0146),
        ListedSource("Tau X", 83.66, 22.03),
        ListedSource("Vela X-1", 135.5, -40.5),
    ))  # fmt: skip
    assert mine.merge(other).names == ("Crab", "Tau X", "Vela X-1")
    assert mine.merge(other, min_radius_deg=0.1).names == ("Crab", "Vela X-1")
    assert mine.merge(mine) == mine


def test_regions_that_others_have_written(tmp_path):
    (tmp_path / "x.reg").write_text(
        '# Region file format: DS9\nglobal color=red\nicrs\ncircle(05:34:31.97,+22:00:52.1,30") # text={Crab}\n'
        "galactic\npoint(184.5575,-5.7843) # point=cross text='again'\nfk5;circle(10.0,-20.0,0.5)\n"
    )
    crab, again, unnamed = read_sources(tmp_path / "x.reg").sources
    assert (crab.ra, crab.dec, crab.err_rad) == pytest.approx((83.633208, 22.014472, 30 / 3600), abs=1e-6)
    assert (again.ra, again.dec) == pytest.approx((83.6332, 22.0145), abs=0.002)
    assert unnamed.name == "region 3"


@pytest.mark.parametrize("suffix", [".ecsv", ".fits", ".reg", ".json"])
def test_every_form_is_a_user_catalogue(tmp_path, suffix):
    path = write_sources(tmp_path / f"mine{suffix}", SourceCatalogue((CRAB,)))
    (source,) = read_user_catalogue(path)
    assert (source.name, source.ra_deg, source.dec_deg) == ("Crab", 83.6332, 22.0145)


@pytest.mark.parametrize(
    "text", ["", "{}", '{"cat_column_names": ["ra"], "cat_column_list": [[1]]}', "# %ECSV 1.0\n", "what"]
)
def test_what_is_no_list_is_a_bad_request(tmp_path, text):
    (tmp_path / "x.reg").write_text(text)
    with pytest.raises(RequestError, match="catalog = "):
        read_sources(tmp_path / "x.reg")


def test_an_ending_that_is_not_known(tmp_path):
    with pytest.raises(RequestError, match=r"a name that ends in \.fits, \.ecsv, \.reg, \.json"):
        write_sources(tmp_path / "x.txt", SourceCatalogue((CRAB,)))
