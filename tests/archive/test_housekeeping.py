from __future__ import annotations

import gzip
import shutil

import numpy as np
import pytest
from astropy.io import fits

from integral_oda.archive.housekeeping import (
    find_detector_files,
    read_dead_times,
    read_noisy_pixels,
    read_pixel_context,
    read_switch_list,
    read_window_times,
)
from integral_oda.archive.tree import Archive
from integral_oda.errors import DataError
from integral_oda.instrument.detector import active_pixels, module_map
from integral_oda.instrument.pixel_status import threshold_kev

CONTEXT = "isgri_context_20030808145151.fits.gz"
START, STOP = 26976709509120, 26978588557312


@pytest.fixture
def real(real_data):
    return real_data / "volodymyrss_osa-dal3ibis"


def test_the_context_of_revolution_100(real):
    context = read_pixel_context(real / CONTEXT)
    assert context.on.sum() == 16384 - 424
    thresholds = threshold_kev(context.gain_index, context.threshold_step)
    assert not thresholds[~active_pixels()].any()
    # The default of OSA for revolutions 56 to 256 is 17.2 keV.
    assert np.median(thresholds[context.on]) == pytest.approx(17.2, abs=0.3)


def test_pixel_maps_of_the_same_half_hour_agree(real):
    # Three sources of the same fact, decoded apart: what the context has off, telemetry and switch list have off too.
    context = read_pixel_context(real / CONTEXT)
    off = active_pixels() & ~context.on
    noisy = read_noisy_pixels(real / "isgri_prp_noise_20030810200317.fits.gz", START, STOP)
    switched = read_switch_list(real / "isgri_pxlswtch_20030810200317.fits.gz", START, STOP)
    assert (noisy & off).sum() == off.sum() == (switched & off).sum()
    assert noisy.sum() < 500
    assert (noisy & switched).sum() > 0.99 * switched.sum()
    assert not (noisy | switched)[module_map() < 0].any()


def test_outside_its_time_telemetry_says_nothing(real):
    assert not read_noisy_pixels(real / "isgri_prp_noise_20030810200317.fits.gz", 1, 2).any()


@pytest.fixture
def archive(real, tmp_path):
    """Revolution 100 as an archive has it, beside a science window's event file cut after its headers."""
    revolution = tmp_path / "scw/0100/rev.001"
    for folder, name in (("ctxt", "context_2003"), ("nois", "prp_noise_2003"), ("list", "pxlswtch_2003")):
        (revolution / folder).mkdir(parents=True)
        for path in real.glob(f"isgri_{name}*"):
            shutil.copy(path, revolution / folder)
    (revolution / "idx").mkdir()
    for path in real.glob("*_index.fits.gz"):
        shutil.copy(path, revolution / "idx")
    window = tmp_path / "scw/0100/010000010010.001"
    window.mkdir()
    header = fits.PrimaryHDU().header
    header.update({"OBTSTART": f"{START:020d}", "OBTEND": f"{STOP:020d}", "TSTART": 1317.8359, "TSTOP": 1317.8566})
    (window / "isgri_events.fits.gz").write_bytes(gzip.compress(header.tostring().encode()))
    return Archive(tmp_path)


def test_the_files_of_a_window_are_found_in_its_revolution(archive):
    files = find_detector_files(archive, "010000010010.001")
    assert {name: path.name for name, path in files.items()} == {
        "context": CONTEXT,
        "noisy_0": "isgri_prp_noise_20030810200317.fits.gz",
        "switch_0": "isgri_pxlswtch_20030810200317.fits.gz",
        "switch_1": "isgri_pxlswtch_20030810203343.fits.gz",
    }


def test_without_the_revolutions_folder_there_is_nothing(archive):
    shutil.rmtree(archive.root / "scw/0100/rev.001")
    assert find_detector_files(archive, "010000010010.001") == {}


def test_times_of_a_window(archive):
    times = read_window_times(archive.events_file("010000010010.001"))
    assert (times.start_obt, times.stop_obt) == (START, STOP)
    assert (times.start_ijd, times.stop_ijd) == (1317.8359, 1317.8566)


def test_a_file_without_times_is_refused(tmp_path):
    fits.PrimaryHDU().writeto(tmp_path / "e.fits")
    with pytest.raises(DataError, match="no header has OBTEND, OBTSTART"):
        read_window_times(tmp_path / "e.fits")


def test_dead_times_need_rows(tmp_path):
    from ic_trees import write_table

    columns = {"OB_TIME": ("4I", np.zeros((0, 4)))} | {f"II_DEADTIME_{m}": ("1E", np.zeros(0)) for m in range(8)}
    write_table(tmp_path / "d.fits", "ISGR-DEAD-SCP", columns)
    with pytest.raises(DataError, match="no rows"):
        read_dead_times(tmp_path / "d.fits")
