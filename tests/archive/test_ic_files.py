from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits
from ic_trees import write_band_maps, write_covariances, write_decoding, write_luts, write_mask, write_table

from integral_oda.archive.ic_files import (
    BandMaps,
    read_covariances,
    read_decoding,
    read_detector_maps,
    read_efficiency_table,
    read_energy_calibration,
    read_mask,
    read_off_axis_maps,
)
from integral_oda.errors import DataError
from integral_oda.instrument.detector import active_pixels
from integral_oda.instrument.energy import EnergyBand
from integral_oda.instrument.mask import mask_pattern

BANDS = [(20.0, 40.0), (40.0, 80.0), (80.0, 160.0)]


def test_the_mask_comes_as_cells(tmp_path):
    write_mask(tmp_path)
    np.testing.assert_array_equal(read_mask(tmp_path / "ic/ibis/mod/isgr_mask_mod_0003.fits"), mask_pattern())


def test_a_mask_of_another_size_is_refused(tmp_path):
    write_band_maps(tmp_path / "m.fits", "ISGR-MASK-MOD", BANDS[:1], np.ones((1, 53, 53)))
    with pytest.raises(DataError, match="95 x 95 cells"):
        read_mask(tmp_path / "m.fits")


def test_the_decoding_array_comes_as_it_is(tmp_path):
    array = np.random.default_rng(2).normal(size=(233, 232)).astype(np.float32)
    write_decoding(tmp_path, array)
    np.testing.assert_array_equal(read_decoding(tmp_path / "ic/ibis/mod/isgr_deco_mod_0008.fits"), array)


@pytest.mark.parametrize("in_index", [False, True], ids=["in the headers", "in the index"])
def test_covariances_are_told_apart_by_their_type(in_index, tmp_path):
    write_covariances(tmp_path, np.full((400, 400), 0.7), np.full((400, 400), 0.5), in_index=in_index)
    side, corner = read_covariances(tmp_path / "ic/ibis/mod/isgr_covr_mod_0002.fits")
    assert (side.shape, side[0, 0], corner[0, 0]) == ((400, 400), pytest.approx(0.7), pytest.approx(0.5))


def test_covariances_of_another_grid_are_refused(tmp_path):
    write_covariances(tmp_path, np.ones((300, 300)), np.ones((300, 300)))
    with pytest.raises(DataError, match="no maps CARTESIAN and DIAGONAL of 400 x 400"):
        read_covariances(tmp_path / "ic/ibis/mod/isgr_covr_mod_0002.fits")


def test_maps_of_a_band_are_those_that_it_overlaps(tmp_path):
    planes = np.stack([np.full((400, 400), level) for level in (0.8, 0.9, 1.0)])
    write_band_maps(tmp_path / "e.fits", "ISGR-EFFI-MOD", BANDS[::-1], planes[::-1])
    maps = read_off_axis_maps(tmp_path / "e.fits")
    assert maps.bands[:, 0].tolist() == [20, 40, 80]
    assert maps.mean(EnergyBand(20, 40))[0, 0] == pytest.approx(0.8)
    # Photons of index 2 between 30 and 40 and between 40 and 60 keV are as 1/30-1/40 to 1/40-1/60: alike.
    assert maps.mean(EnergyBand(30, 60))[0, 0] == pytest.approx(0.85)
    assert maps.mean(EnergyBand(300, 600))[0, 0] == pytest.approx(1.0)


@pytest.mark.parametrize("shape", [(128, 128), (134, 130)])
def test_detector_maps_of_both_shapes(shape, tmp_path):
    write_band_maps(tmp_path / "b.fits", "ISGR-BACK-BKG", BANDS[:1], np.full((1, *shape), 2.0))
    plane = read_detector_maps(tmp_path / "b.fits").planes[0]
    assert plane.shape == (134, 130)
    assert (plane[active_pixels()] == 2.0).all()


def test_maps_without_energies_are_refused(tmp_path):
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(np.ones((134, 130)), name="ISGR-BACK-BKG")]).writeto(
        tmp_path / "b.fits"
    )
    with pytest.raises(DataError, match="without the energies"):
        read_detector_maps(tmp_path / "b.fits")


def test_maps_of_another_shape_are_refused(tmp_path):
    write_band_maps(tmp_path / "b.fits", "ISGR-BACK-BKG", BANDS[:1], np.ones((1, 64, 64)))
    with pytest.raises(DataError, match="134 x 130 is needed"):
        read_detector_maps(tmp_path / "b.fits")


def test_mean_keeps_a_level():
    maps = BandMaps(np.array(BANDS), np.full((3, 2, 2), 0.7))
    assert maps.mean(EnergyBand(25, 133)) == pytest.approx(np.full((2, 2), 0.7))


def test_energy_tables_from_the_tree(tmp_path):
    write_luts(tmp_path, gain=1.1)
    files = {"lut1": tmp_path / "ic/ibis/cal/ibis_isgr_gain_offset_0010.fits",
             "lut2": tmp_path / "ic/ibis/mod/isgr_rise_mod_0185.fits"}  # fmt: skip
    calibration = read_energy_calibration(files)
    n = 1000
    y, z = np.arange(n) % 128, np.arange(n) % 97
    energy, rise = calibration.energies(np.full(n, 100), np.full(n, 30), y, z, np.full(n, 3000.0), np.zeros(8))
    assert energy.mean() == pytest.approx(1.1 * 50, abs=0.05)
    assert np.abs(energy - 55).max() <= 0.276
    assert rise.mean() == pytest.approx(2 * 30 / 2.4 + 5, abs=0.05)
    assert read_energy_calibration({"lut1": files["lut1"]}) is None


def test_drift_is_linear_and_carried_on(tmp_path):
    write_luts(tmp_path)
    write_table(
        tmp_path / "l2re.fits",
        "ISGR-L2RE-MOD",
        {
            "IJD": ("1D", [1000.0, 2000.0]),
            **{name: ("1E", [0.0, 0.0]) for name in ("PHA_OFFSET", "PHA_GAIN2", "RT_OFFSET")},
            "PHA_GAIN": ("1E", [1.0, 1.2]),
            "RT_GAIN": ("1E", [1.0, 1.0]),
        },
    )
    files = {"lut1": tmp_path / "ic/ibis/cal/ibis_isgr_gain_offset_0010.fits",
             "lut2": tmp_path / "ic/ibis/mod/isgr_rise_mod_0185.fits", "l2re": tmp_path / "l2re.fits"}  # fmt: skip
    calibration = read_energy_calibration(files)
    n = 2000
    pixel = np.zeros(n, dtype=int)
    means = [
        calibration.energies(np.full(n, 100), np.full(n, 30), pixel, pixel, np.full(n, t), np.zeros(8))[0].mean()
        for t in (1000.0, 1500.0, 3000.0)
    ]
    assert means == pytest.approx([50, 55, 70], abs=0.1)


def test_efficiencies_by_module_and_step(tmp_path):
    write_table(
        tmp_path / "effc.fits",
        "ISGR-EFFC-MOD",
        {
            "PIXEL_GROUPING": ("1I", [0, 1]),
            "PIXEL_GROUP": ("1I", [4, 14]),
            "EFFICIENCY": ("256E", [np.full(256, 0.5), np.full(256, 0.8)]),
        },
    )
    table = read_efficiency_table(tmp_path / "effc.fits")
    energy = np.array([30.0, 60.0])
    assert table.at(energy, 4, 14) == pytest.approx([0.4, 0.4])
    assert table.at(energy, 4, 20) == pytest.approx([0.5, 0.5])
    assert table.at(energy, 0, 20).tolist() == [1, 1]
