from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from integral_oda.archive.events import EventList, read_events
from integral_oda.errors import DataError

COLUMNS = {
    "TIME": "time_ijd",
    "ISGRI_ENERGY": "energy_kev",
    "ISGRI_PI": "rise_time",
    "DETY": "det_y",
    "DETZ": "det_z",
    "SELECT_FLAG": "select_flag",
}
TYPES = {"time_ijd": "f8", "energy_kev": "f4", "rise_time": "u1", "det_y": "u1", "det_z": "u1", "select_flag": "u1"}
FITS_HEADER = 2880


def assert_as_astropy(events: EventList, path: Path) -> None:
    with fits.open(path, memmap=False) as hdus:
        table = hdus["ISGR-EVTS-ALL"]
        assert len(events) == len(table.data)
        for column, attribute in COLUMNS.items():
            np.testing.assert_array_equal(getattr(events, attribute), table.data[column], err_msg=column)
            assert getattr(events, attribute).dtype == TYPES[attribute]
        gti = hdus["IBIS-GNRL-GTI"].data
        np.testing.assert_array_equal(events.gti_ijd, np.column_stack([gti["START"], gti["STOP"]]))
        for key in ("SWID", "REVOL", "TSTART", "TSTOP", "RA_SCX", "DEC_SCX", "RA_SCZ", "DEC_SCZ", "EXTNAME"):
            assert events.header[key] == table.header[key]


@pytest.fixture
def write(tmp_path, to_bytes):
    """Write HDUs or bytes as an event file and give its path."""

    def write_file(content) -> Path:
        path = tmp_path / "isgri_events.fits"
        path.write_bytes(content if isinstance(content, bytes) else to_bytes(content))
        return path

    return write_file


def refused(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        read_events(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message


@pytest.mark.parametrize("name", ["isgri_events.fits", "isgri_events.fits.gz"])
def test_plain_and_gzipped_files_read_as_with_astropy(tmp_path, event_bytes, packed_event_bytes, name):
    path = tmp_path / name
    path.write_bytes(packed_event_bytes if name.endswith("gz") else event_bytes)
    events = read_events(path)
    assert_as_astropy(events, path)
    assert events.ontime_s == pytest.approx((0.0099 + 0.0413 - 0.02) * 86400, rel=1e-6)


def test_the_real_window_reads_as_with_astropy(sample_archive):
    path = sample_archive / "scw/2559/255900280010.001/isgri_events.fits.gz"
    events = read_events(path)
    assert len(events) == 2480435
    assert_as_astropy(events, path)


@pytest.mark.parametrize("part", ["first300s", "28_80keV"])
def test_real_extracts_read_as_with_astropy(real_data, part):
    path = real_data / "dominp_isgri" / f"isgri_events_255900280010_{part}.fits.gz"
    assert_as_astropy(read_events(path), path)


def without(hdus: fits.HDUList, *names: str) -> fits.HDUList:
    table = hdus["ISGR-EVTS-ALL"]
    kept = fits.BinTableHDU.from_columns([c for c in table.columns if c.name not in names], name=table.name)
    for key in ("SWID", "TSTART", "TSTOP", "RA_SCX", "DEC_SCX", "RA_SCZ", "DEC_SCZ"):
        kept.header[key] = table.header[key]
    hdus[1] = kept
    return hdus


def test_detector_coordinates_follow_from_the_gapless_ones(write, make_events):
    whole = read_events(write(make_events()))
    derived = read_events(write(without(make_events(), "DETY", "DETZ")))
    np.testing.assert_array_equal(derived.det_y, whole.det_y)
    np.testing.assert_array_equal(derived.det_z, whole.det_z)
    assert derived.det_y.dtype == np.uint8


def test_without_flags_every_event_is_good(write, make_events):
    assert not read_events(write(without(make_events(), "SELECT_FLAG"))).select_flag.any()


@pytest.mark.parametrize("name", ["TIME", "ISGRI_ENERGY", "ISGRI_PI"])
def test_a_column_that_must_be_there(write, make_events, name):
    assert f"no column {name}" in refused(write(without(make_events(), name)))


def test_without_any_pixel_column(write, make_events):
    assert "no column DETY" in refused(write(without(make_events(), "DETY", "DETZ", "ISGRI_Y", "ISGRI_Z")))


def test_without_the_events_table(write, make_events):
    hdus = make_events()
    del hdus["ISGR-EVTS-ALL"]
    assert "no table ISGR-EVTS-ALL, it holds IBIS-GNRL-GTI" in refused(write(hdus))


def test_without_events(write, make_events):
    assert "ISGR-EVTS-ALL has no events" in refused(write(make_events(n=0)))


def test_events_out_of_order_are_put_in_order(write, make_events):
    hdus = make_events()
    expected = read_events(write(make_events()))
    hdus["ISGR-EVTS-ALL"].data = hdus["ISGR-EVTS-ALL"].data[::-1]
    events = read_events(write(hdus))
    for attribute in COLUMNS.values():
        np.testing.assert_array_equal(getattr(events, attribute), getattr(expected, attribute))


@pytest.mark.parametrize("time", [np.nan, np.inf, -np.inf, 0.0, 1e9])
def test_absurd_times(write, make_events, time):
    hdus = make_events()
    hdus["ISGR-EVTS-ALL"].data["TIME"][17] = time
    assert "outside the science window" in refused(write(hdus))


def test_an_energy_that_is_no_number_is_invalid(write, make_events):
    hdus = make_events()
    hdus["ISGR-EVTS-ALL"].data["ISGRI_ENERGY"][[3, 4]] = np.nan, np.inf
    energy = read_events(write(hdus)).energy_kev
    assert energy[3] == energy[4] == 0
    assert np.isfinite(energy).all()


def test_a_pixel_off_the_detector(write, make_events):
    hdus = make_events()
    hdus["ISGR-EVTS-ALL"].data["DETY"][3] = 130
    assert "column DETY of ISGR-EVTS-ALL has values outside 0 to 129" in refused(write(hdus))


@pytest.mark.parametrize("value", [None, "north", 400.0, True])
def test_an_attitude_that_is_none(write, make_events, value):
    hdus = make_events()
    hdus["ISGR-EVTS-ALL"].header["RA_SCX"] = value
    assert "RA_SCX" in refused(write(hdus))


def test_a_window_that_ends_before_it_starts(write, make_events):
    hdus = make_events()
    hdus["ISGR-EVTS-ALL"].header["TSTOP"] = 8000.0
    assert "no interval" in refused(write(hdus))


def test_of_several_good_time_tables_the_merged_one_counts(write, make_events):
    hdus = make_events()
    other = hdus["IBIS-GNRL-GTI"].copy()
    other.header["GTI_NAME"] = "VETO"
    other.data["START"] -= 1
    hdus.insert(2, other)
    np.testing.assert_array_equal(read_events(write(hdus)).gti_ijd, read_events(write(make_events())).gti_ijd)
    del hdus[3]
    hdus.append(other.copy())
    assert "2 tables IBIS-GNRL-GTI, 0 of them MERGED_ISGRI" in refused(write(hdus))


def test_without_good_times_the_window_is_good(write, make_events):
    hdus = make_events()
    del hdus["IBIS-GNRL-GTI"]
    events = read_events(write(hdus))
    np.testing.assert_array_equal(events.gti_ijd, [[events.header["TSTART"], events.header["TSTOP"]]])


@pytest.mark.parametrize(("stop", "message"), [(np.nan, "does not end after"), (8000.0, "does not end after")])
def test_good_times_that_are_none(write, make_events, stop, message):
    hdus = make_events()
    hdus["IBIS-GNRL-GTI"].data["STOP"][0] = stop
    assert message in refused(write(hdus))


def test_a_good_time_table_without_rows(write, make_events):
    hdus = make_events()
    hdus["IBIS-GNRL-GTI"].data = hdus["IBIS-GNRL-GTI"].data[:0]
    assert "no good time interval" in refused(write(hdus))


@given(st.data())
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_truncated_gzip_file_never_passes(tmp_path, packed_event_bytes, data):
    path = tmp_path / "isgri_events.fits.gz"
    path.write_bytes(packed_event_bytes[: data.draw(st.integers(0, len(packed_event_bytes) - 1))])
    refused(path)


@given(st.data())
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_truncated_plain_file_passes_only_between_two_extensions(tmp_path, event_bytes, data):
    path = tmp_path / "isgri_events.fits"
    length = data.draw(st.integers(0, len(event_bytes) - 1))
    path.write_bytes(event_bytes[:length])
    if length == event_bytes.index(b"XTENSION", event_bytes.index(b"ISGR-EVTS-ALL") + 1):
        assert len(read_events(path)) == 500
    else:
        refused(path)


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(1, 255)), min_size=1, max_size=4))
@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_flipped_bytes_in_a_header_are_read_or_refused(tmp_path, event_bytes, flips):
    start = FITS_HEADER
    stop = start + event_bytes[start:].index(b"END      ")
    content = bytearray(event_bytes)
    for position, flip in flips:
        content[start + position % (stop - start)] ^= flip
    path = tmp_path / "isgri_events.fits"
    path.write_bytes(content)
    message, events = "", None
    try:
        events = read_events(path)
    except DataError as exc:
        message = str(exc)
    if events is None:
        assert message.startswith(f"{path}: ")
        assert "\n" not in message
    else:
        assert events.det_y.max() < 130
        assert events.det_z.max() < 134
        assert np.isfinite(events.time_ijd).all()
