"""Time that a query selects: how it is asked, and what it does to the real window of a magnetar's bursts."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st

from integral_oda.analysis import analyse
from integral_oda.archive.good_time_file import read_good_time
from integral_oda.errors import DataError, RequestError
from integral_oda.query import ImageQuery, LightCurveQuery, make_query, parse_intervals

SCW, SGR = "255900280010.001", "SGR 1935+2154"
FIRST_EVENT_IJD = 8320.632300
ISO = "2022-10-12T15:10:30.720"
ISO_IJD = 8320 + (15 * 3600 + 10 * 60 + 30.72 + 69.184) / 86400  # TT is 69.184 s ahead of UTC since 2017
GOOD_TIME_S = 3548.4713


def image(**values):
    return make_query(ImageQuery, **{"scw_list": SCW} | values)


def test_times_are_ijd_mjd_or_utc():
    (ijd, iso), (mjd, again) = parse_intervals(f"8320.6,{ISO};59864.6,8320.7")
    assert (ijd, again) == (8320.6, 8320.7)
    assert mjd == pytest.approx(8320.6, abs=1e-9)
    assert iso == pytest.approx(ISO_IJD, abs=1e-9)
    ((zulu, far),) = parse_intervals(f" {ISO}Z , 2150-01-01")
    assert zulu == iso
    assert far == pytest.approx(150 * 365.25, abs=2)


@given(st.lists(st.tuples(st.floats(0, 1e4), st.floats(0, 1e4)), max_size=5))
def test_good_time_is_kept_in_order_or_refused(pairs):
    if all(start < stop for start, stop in pairs):
        assert image(gti=pairs).gti == tuple(sorted(pairs))
    else:
        with pytest.raises(RequestError, match="does not end after its start"):
            image(gti=pairs)


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"gti": "5,4"}, "gti"),
        ({"gti": "5"}, "'5' is no interval"),
        ({"gti": "1,2,3"}, "'1,2,3' is no interval"),
        ({"gti": "yesterday,today"}, "'yesterday' is no time"),
        ({"gti": "1,inf"}, "'inf' is no time"),
        ({"gti": "nan,2"}, "'nan' is no time"),
        ({"gti": "1,287712000"}, "'287712000' is no time"),
        ({"gti": [(1.0, float("nan"))]}, "gti"),
        ({"phase": "1,2,3"}, "phase = 1,2,3: needs EPOCH"),
        ({"phase": "1,0,0,1"}, "PERIOD from 0.01"),
        ({"phase": "1,5,0.5,0.5"}, "START and STOP of the phase"),
        ({"phase": "1,5,-0.5,0.5"}, "from 0 to 1"),
        ({"phase": "x,5,0,0.5"}, "phase = x,5,0,0.5"),
        ({"rate_range": "5,1", "src_name": SGR}, "LOW < HIGH"),
        ({"rate_range": "1", "src_name": SGR}, "LOW,HIGH"),
        ({"rate_range": "1,inf", "src_name": SGR}, "rate_range = 1,inf"),
        ({"rate_range": "1,5"}, "rate_range needs the source"),
        ({"rate_bin": 0.01}, "rate_bin = 0.01"),
    ],
)
def test_a_selection_that_means_nothing_is_refused_in_one_line(values, named):
    with pytest.raises(RequestError) as caught:
        image(**values)
    assert named in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_query_comes_back_from_its_plain_values():
    query = image(gti="1,2;4,5", phase="59000,3.2,0.9,0.1", rate_range="-1,50", src_name=SGR)
    assert make_query(ImageQuery, **query.model_dump(mode="json")) == query
    assert (query.phase, query.rate_range) == ((59000, 3.2, 0.9, 0.1), (-1, 50))


def test_a_text_file(tmp_path):
    path = tmp_path / "good.txt"
    path.write_text(f"# start stop\n8320.7 8320.8\n\n59864.1, 59864.2  # MJD\n{ISO} 8321\n")
    found = np.array(read_good_time(path))
    assert found == pytest.approx(np.array([[8320.7, 8320.8], [8320.1, 8320.2], [ISO_IJD, 8321]]), abs=1e-8)


def table(name, start, stop, **header):
    columns = [fits.Column("START", "1D", array=start), fits.Column("STOP", "1D", array=stop)]
    return fits.BinTableHDU.from_columns(columns, name=name, header=fits.Header(header))


def test_a_fits_file(tmp_path):
    path = tmp_path / "gti.fits"
    one, merged = table("IBIS-GNRL-GTI", [1.5], [9], GTI_NAME="VETO"), [[2.25, 4.5], [3.125, 5]]
    hdus = [table("OTHER", [0], [1]), one, table("IBIS-GNRL-GTI", *merged, GTI_NAME="MERGED_ISGRI")]
    fits.HDUList([fits.PrimaryHDU(), *hdus]).writeto(path)
    assert read_good_time(path) == ((2.25, 3.125), (4.5, 5))
    fits.HDUList([fits.PrimaryHDU(), *hdus[:2]]).writeto(tmp_path / "one.fits.gz")
    assert read_good_time(tmp_path / "one.fits.gz") == ((1.5, 9),)
    fits.HDUList([fits.PrimaryHDU(), hdus[0]]).writeto(tmp_path / "any.fits")
    assert read_good_time(tmp_path / "any.fits") == ((0, 1),)


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (None, "not readable"),
        (b"", "holds no interval"),
        (b"# nothing\n", "holds no interval"),
        (b"1 2 3\n", "line 1 has 3 values"),
        (b"1 2\none two\n", "'one' is no time"),
        (b"\xff\xfe\x00", "not readable"),
        (b"SIMPLE  =", "gti.dat"),
        (b"\x1f\x8b123", "gti.dat"),
    ],
)
def test_a_file_without_good_time_is_named(tmp_path, content, named):
    path = tmp_path / "gti.dat"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(RequestError) as caught:
        read_good_time(path)
    assert str(path) in str(caught.value)
    assert named in str(caught.value)


def test_a_fits_file_without_the_columns_is_named(tmp_path):
    fits.HDUList([fits.PrimaryHDU()]).writeto(tmp_path / "empty.fits")
    with pytest.raises(RequestError, match="START and STOP"):
        read_good_time(tmp_path / "empty.fits")


@pytest.mark.parametrize(
    ("words", "status", "named"),
    [
        (("--gti", "/no/such"), 2, "gti = /no/such"),
        (("--gti", "9,8"), 2, "9,8 does not end after its start"),
        (("--gti", "a,b"), 2, "'a' is no time"),
        (("--phase", "1,2"), 2, "phase = 1,2"),
        (("--rate-range", "1,2"), 2, "rate_range needs the source"),
    ],
)
def test_the_command_line_says_so_in_one_line(tmp_path, words, status, named):
    call = ("image", "--scw-list", SCW, "--out", str(tmp_path / "out"), "--store", str(tmp_path / "store"), *words)
    result = subprocess.run(
        [sys.executable, "-m", "integral_oda", *call], capture_output=True, text=True, timeout=60, check=False
    )
    assert result.returncode == status
    assert len(result.stderr.splitlines()) == 1
    assert named in result.stderr
    assert list(tmp_path.iterdir()) == []


def since_first_event(*seconds):
    return tuple(FIRST_EVENT_IJD + second / 86400 for second in seconds)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return tmp_path_factory.mktemp("store")


def sgr(products):
    (band,) = next(source for source in products.sources if source.name == SGR).bands
    return band


@pytest.fixture(scope="module")
def split(sample_archive, store):
    """The window in two: the twenty seconds of a burst, and all the rest of its time."""
    burst = image(gti=[since_first_event(660, 680)])
    rest = image(gti=[since_first_event(-1000, 660), since_first_event(680, 1000), since_first_event(900, 9000)])
    return analyse(burst, sample_archive, store), analyse(rest, sample_archive, store)


def test_in_its_burst_the_magnetar_is_brighter(split):
    burst, rest = (sgr(products) for products in split)
    assert burst.flux > 10 * rest.flux
    assert burst.significance > rest.significance > 15


def test_splits_of_the_good_time_add_up(split):
    (burst,), (rest,) = (products.images for products in split)
    # The archive's good time has a gap inside the burst's twenty seconds.
    assert 10 < burst.keywords["ONTIME"] < 20
    assert burst.keywords["ONTIME"] + rest.keywords["ONTIME"] == pytest.approx(GOOD_TIME_S, abs=1e-3)
    live = [image.keywords["EXPOSURE"] / image.keywords["ONTIME"] for image in (burst, rest)]
    assert live[0] == pytest.approx(live[1])
    assert np.nanmax(burst.exposure) < 0.01 * np.nanmax(rest.exposure)


def test_fluxes_of_splits_add_up_too(split, sample_archive, store):
    whole = sgr(analyse(image(), sample_archive, store))
    seconds = [products.images[0].keywords["ONTIME"] for products in split]
    together = sum(sgr(products).flux * length for products, length in zip(split, seconds, strict=True)) / sum(seconds)
    # The same events but for the pixels that each part finds usable.
    assert together == pytest.approx(whole.flux, abs=2 * whole.flux_error)


def test_only_what_comes_after_the_good_time_is_made_anew(split, sample_archive, store):
    events = []
    analyse(image(gti=[since_first_event(600, 700)]), sample_archive, store, events.append)
    assert not {event.step for event in events if event.state == "computed"} & {"COR", "CAT_I"}


def test_a_window_outside_the_selection_is_left_out_with_its_reason(sample_archive, store):
    with pytest.raises(DataError, match=r"time selection leaves 0 s of 3548\.5 s"):
        analyse(image(gti="8000,8001"), sample_archive, store)
    with pytest.raises(DataError, match=r"time selection leaves 0\.5 s"):
        analyse(image(gti=[since_first_event(100, 100.5)]), sample_archive, store)


def test_times_of_a_low_rate_have_no_bursts(sample_archive, store):
    asked = {"scw_list": SCW, "src_name": SGR, "time_bin": 20.0, "rate_bin": 20.0}
    whole = analyse(make_query(LightCurveQuery, **asked), sample_archive, store).curves[0]
    quiet = analyse(make_query(LightCurveQuery, rate_range=(-500, 60), **asked), sample_archive, store).curves[0]
    kept = whole.rate <= 60
    good = whole.fractional_exposure * whole.width_s
    assert 0.5 < kept.mean() < 1
    assert quiet.keywords["ONTIME"] == pytest.approx(good[kept].sum(), abs=0.1)
    assert quiet.rate.max() < 0.3 * whole.rate.max()
