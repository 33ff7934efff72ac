"""Shadowgrams, corrected shadowgrams, maps and PIFs of OSA's files as the native functions take them."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from astropy.io import fits

from integral_oda.catalog.designations import designation
from integral_oda.engines.native.events import DeadTime, GoodTime, SelectedEvents
from integral_oda.engines.native.field import FieldSources
from integral_oda.engines.native.photometry import support_of
from integral_oda.engines.osa.planes import find_file, off_axis_maps, read_planes
from integral_oda.engines.osa.shadowgram_values import (
    LcrOfShadowgrams,
    LitShadowgram,
    ReadShadowgram,
    SpeOfShadowgrams,
)
from integral_oda.engines.osa.window import add_sources, name_new_sources
from integral_oda.engines.osa.window_values import ReadSourceList
from integral_oda.engines.osa.workspace import OsaFiles
from integral_oda.errors import DataError
from integral_oda.imaging.given_plane import plane_of_efficiency, shadowgram_of_plane
from integral_oda.instrument.attitude import SKY_SHAPE, Attitude
from integral_oda.instrument.detector import OPEN_PIXELS, active_pixels, module_map
from integral_oda.instrument.energy import EnergyBand
from integral_oda.instrument.pif import pixel_illumination
from integral_oda.instrument.pixel_status import without_gaps

ACTIVE = active_pixels()
START, BIN_D = 1000.0, 100.0 / 86400
POINTING = {"RA_SCX": 84.6, "DEC_SCX": 22.0, "RA_SCZ": 174.6, "DEC_SCZ": 0.0}


def image(name, plane, band=(28.0, 80.0), **keywords):
    hdu = fits.ImageHDU(np.asarray(plane, np.float64), name=name)
    hdu.header.update({"E_MIN": band[0], "E_MAX": band[1], **keywords})
    return hdu


def files(folder, **named):
    """Files by the first part of their names, each a list of extensions."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, hdus in named.items():
        fits.HDUList([fits.PrimaryHDU(), *hdus]).writeto(folder / f"{name}.fits")
    return OsaFiles(folder, tuple(f"{name}.fits" for name in named))


def binned(folder, planes):
    """Files of ii_shadow_build; planes are counts and efficiency with their band and keywords."""
    raw = [image("ISGR-DETE-SHD", without_gaps(c), band, **told) for c, _, band, told in planes]
    seen = [image("ISGR-EFFI-SHD", without_gaps(e), band, **told) for _, e, band, told in planes]
    return files(folder, isgri_detector_shadowgram=raw, isgri_efficiency_shadowgram=seen)


def corrected(folder, planes, background, uniformity, unit):
    hdus = []
    for counts, efficiency, band, told in planes:
        seen = np.where(efficiency > 0, efficiency * uniformity * unit, 1.0)
        rate = np.where(efficiency > 0, (counts - background) / seen, 0.0)
        kinds = {"EFFICIENCY": efficiency, "DETECTOR": rate, "VARIANCE": np.where(efficiency > 0, counts / seen**2, 0)}
        hdus += [image("ISGR-CEXP-SHD", plane, band, SHD_TYPE=kind, **told) for kind, plane in kinds.items()]
    return files(folder, isgri_cor_shad=hdus)


@pytest.fixture
def rng():
    return np.random.default_rng(9)


def test_planes_come_in_the_order_of_times_and_bands_whatever_that_of_the_files(tmp_path, rng):
    planes = []
    for number in (2, 0, 1):
        for band in ((40.0, 80.0), (28.0, 40.0)):
            told = {"TFIRST": START + number * BIN_D, "TLAST": START + (number + 1) * BIN_D}
            level = 10 * number + (band[0] == 40) + 1.0
            planes.append((np.where(ACTIVE, level, 0), np.where(ACTIVE, 0.01 * level, 0), band, told))
    found = read_planes([binned(tmp_path, planes)])
    assert [p.band for p in found] == [EnergyBand(28, 40), EnergyBand(40, 80)] * 3
    levels = [p.plane.counts.max() for p in found]
    assert levels == [1, 2, 11, 12, 21, 22]
    assert [p.plane.efficiency.max() for p in found] == pytest.approx([0.01 * level for level in levels])
    assert found[3].start_ijd == pytest.approx(START + BIN_D)


def test_corrected_shadowgrams_bring_their_background_and_uniformity(tmp_path, rng):
    efficiency = np.where(ACTIVE, 0.7, 0.0)
    uniformity = np.where(ACTIVE, rng.normal(1, 0.1, ACTIVE.shape), 0.0)
    uniformity /= uniformity[ACTIVE].mean()
    background = np.where(ACTIVE, rng.uniform(10, 20, ACTIVE.shape), 0.0)
    counts = np.where(ACTIVE, rng.poisson(background), 0).astype(float)
    planes = [(counts, efficiency, (28.0, 80.0), {})]
    raw = binned(tmp_path / "a", planes)
    (plain,) = read_planes([raw])
    (made,) = read_planes([raw, corrected(tmp_path / "b", planes, background, uniformity, 1800.0)])
    seen = counts > 0
    np.testing.assert_allclose(made.plane.background[seen], background[seen], rtol=1e-6)
    relative = made.plane.efficiency[seen] / efficiency[seen]
    np.testing.assert_allclose(relative / uniformity[seen], (relative / uniformity[seen]).mean(), rtol=1e-6)
    assert np.ptp(plain.plane.efficiency[ACTIVE]) == 0


def test_maps_are_those_of_the_band(tmp_path, rng):
    bands = ((28.0, 40.0), (40.0, 80.0))
    planes = [(np.where(ACTIVE, 5.0, 0), np.where(ACTIVE, 0.5, 0), band, {}) for band in bands]
    halves = [np.where(module_map() == module, 0.5, 1.0) * ACTIVE for module in (1, 2)]
    maps = files(
        tmp_path / "maps",
        rebinned_unif=[image("ISGR-UNIF", np.where(ACTIVE, 2.0, 0), band) for band in bands],
        rebinned_back=[image("ISGR-BACK", plane, band) for plane, band in zip(halves, bands, strict=True)],
        rebinned_corr=[image("ISGR-CORR", np.full(SKY_SHAPE, v), b) for v, b in zip((0.7, 0.9), bands, strict=True)],
    )
    found = read_planes([binned(tmp_path / "bins", planes), maps])
    for number, plane in enumerate(found):
        ratio = (
            plane.plane.background[module_map() == number + 1].mean() / plane.plane.background[module_map() == 5].mean()
        )
        assert ratio == pytest.approx(0.5)
        assert plane.plane.efficiency[ACTIVE] == pytest.approx(0.5)
    support = support_of(off_axis_maps([maps]), [EnergyBand(*band) for band in bands])
    assert [s.at(0.0, 0.0) for s in support] == pytest.approx([0.7, 0.9])
    assert off_axis_maps([]) == {}
    assert find_file([None, maps], "nonsense.fits") is None


def test_without_osas_maps_those_of_the_archive_count(tmp_path, window):
    half = np.where(module_map() == 3, 0.5, 1.0) * ACTIVE
    raw = {"ic_back": files(tmp_path / "ic", back=[image("ISGR-BACK-BKG", half)]).path("back.fits")}
    plane = (np.where(ACTIVE, 5.0, 0), np.where(ACTIVE, 0.5, 0), (28.0, 80.0), {})
    inputs = [*window, FieldSources([], [], [], [], []), binned(tmp_path / "bins", [plane])]
    shadowgram = ReadShadowgram().compute(inputs, {"band": [28.0, 80.0]}, raw)
    background = shadowgram.background_response
    assert background[module_map() == 3].mean() / background[module_map() == 5].mean() == pytest.approx(0.5)
    assert np.ptp(shadowgram.source_response[ACTIVE]) < 1e-12


@pytest.mark.parametrize("kind", ["counts", "variance", "efficiency"])
def test_planes_without_their_partners_are_refused(tmp_path, kind):
    planes = [(np.where(ACTIVE, 5.0, 0), np.where(ACTIVE, 0.5, 0), (28.0, 80.0), {})]
    raw, other = binned(tmp_path / "a", planes), corrected(tmp_path / "b", planes, 1.0, ACTIVE, 1.0)
    if kind == "counts":
        with pytest.raises(DataError, match="no plane ISGR-DETE-SHD"):
            read_planes([other])
    elif kind == "variance":
        with fits.open(tmp_path / "b" / "isgri_cor_shad.fits", mode="update") as hdus:
            del hdus[3]
        with pytest.raises(DataError, match="no plane VARIANCE of 28-80 keV"):
            read_planes([raw, other])
    else:
        fits.setval(tmp_path / "a" / "isgri_efficiency_shadowgram.fits", "E_MAX", value=90.0, ext=1)
        with pytest.raises(DataError, match="no plane of efficiency of 28-80 keV"):
            read_planes([raw])


def test_planes_that_do_not_tell_their_times_are_refused(tmp_path):
    plane = np.where(ACTIVE, 5.0, 0), np.where(ACTIVE, 0.5, 0), (28.0, 80.0)
    times = [{"TFIRST": START + n * BIN_D, "TLAST": START + (n + 1) * BIN_D} for n in range(2)]
    raw = binned(tmp_path / "a", [(*plane, told) for told in times])
    timeless = corrected(tmp_path / "b", [(*plane, {})] * 2, 1.0, ACTIVE, 1.0)
    with pytest.raises(DataError, match="2 planes DETECTOR of 28-80 keV"):
        read_planes([raw, timeless])


# -- light curves of planes --------------------------------------------------------------------------------------------


def pointed():
    place = Attitude.from_keywords(POINTING).tangents(84.0, 22.5)
    return FieldSources(["X"], [84.0], [22.5], [float(place[0])], [float(place[1])])


@pytest.fixture
def window():
    """A window whose events are not read: planes have their counts."""
    planes = {"good_pixels": ACTIVE, "context_threshold_kev": np.zeros(ACTIVE.shape)}
    empty = {"silence_ijd": np.zeros((0, 3)), "traits": np.zeros((0, *ACTIVE.shape))}
    told = {"header": {**POINTING, "SWID": "006600010010"}, **planes, **empty}
    none = np.zeros(0, np.int32)
    made = SelectedEvents(**{f.name: told.get(f.name, none) for f in dataclasses.fields(SelectedEvents)})
    good = GoodTime(np.array([[START, START + 4 * BIN_D]]))
    return made, good, DeadTime(np.full(8, 0.25), "test")


def test_a_module_that_is_off_in_some_bins_costs_no_flux(tmp_path, rng, window):
    made, good, dead = window
    field = pointed()
    pif = pixel_illumination(*field.tangents[0], energy_kev=np.sqrt(28 * 80))
    planes, rates = [], [300.0, 300.0, 600.0, 300.0]
    for number, rate in enumerate(rates):
        on = ACTIVE & ~((module_map() == 4) & (number == 1))
        efficiency = np.where(on, 0.75, 0.0)
        mean = efficiency * 100 * (0.02 + rate * pif / OPEN_PIXELS)
        told = {"TFIRST": START + number * BIN_D, "TLAST": START + (number + 1) * BIN_D}
        planes.append((rng.poisson(mean).astype(float), efficiency, (28.0, 80.0), told))
    inputs = [made, good, dead, field, binned(tmp_path, planes)]
    (curve,) = LcrOfShadowgrams().compute(inputs, {"bands": [[28.0, 80.0]], "source": None}, {})
    assert curve.name == "X"
    np.testing.assert_allclose(curve.fractional_exposure, 1.0, rtol=1e-6)
    pulls = (curve.rate - rates) / curve.error
    assert np.abs(pulls).max() < 4
    assert curve.error[1] > curve.error[0]
    assert curve.rate[2] > 500


def test_bins_without_good_time_are_left_out(tmp_path, rng, window):
    made, _, dead = window
    good = GoodTime(np.array([[START, START + BIN_D], [START + 2 * BIN_D, START + 3 * BIN_D]]))
    planes = []
    for number in (0, 2):
        told = {"TFIRST": START + number * BIN_D, "TLAST": START + (number + 1) * BIN_D}
        efficiency = np.where(ACTIVE, 0.75, 0.0)
        planes.append((rng.poisson(efficiency * 2).astype(float), efficiency, (28.0, 80.0), told))
    inputs = [made, good, dead, pointed(), binned(tmp_path, planes)]
    (curve,) = LcrOfShadowgrams().compute(inputs, {"bands": [[28.0, 80.0]], "source": None}, {})
    np.testing.assert_allclose(curve.time_ijd, START + np.array([0.5, 2.5]) * BIN_D, rtol=0, atol=1e-7)
    inside = {"TFIRST": START + 0.1 * BIN_D, "TLAST": START + 0.9 * BIN_D}
    again = [*planes, (*planes[0][:3], inside)]
    with pytest.raises(DataError, match="3 shadowgrams of one band in 2 time bins"):
        LcrOfShadowgrams().compute(
            [*inputs[:4], binned(tmp_path / "b", again)], {"bands": [[28.0, 80.0]], "source": None}, {}
        )


def test_spectra_of_other_bands_than_osas_channels_are_refused(tmp_path, window):
    planes = [(np.where(ACTIVE, 5.0, 0), np.where(ACTIVE, 0.5, 0), (28.0, 80.0), {})]
    with pytest.raises(DataError, match="1 shadowgrams in OSA's channels"):
        SpeOfShadowgrams().compute([*window, pointed(), binned(tmp_path, planes)], {"source": None}, {})


# -- PIFs and source lists ---------------------------------------------------------------------------------------------


def test_sources_light_the_detector_by_osas_pifs(tmp_path, rng, window):
    field = pointed()
    (place,) = field.tangents
    given = np.where(ACTIVE, rng.random(ACTIVE.shape), 0.0)
    hdus = [image("ISGR-PIF.-SHD", given, NAME="X", RA_OBJ=84.0, DEC_OBJ=22.5), image("ISGR-PIF.-SHD", given, NAME="?")]
    plane = plane_of_efficiency(np.where(ACTIVE, 4.0, 0), np.where(ACTIVE, 0.5, 0))
    plain = shadowgram_of_plane(plane, 100.0, np.where(ACTIVE, 75.0, 0))
    lit = LitShadowgram().compute([plain, window[0], files(tmp_path, isgri_pif=hdus)], {}, {})
    np.testing.assert_allclose(lit.illumination_at(place, 47.0), given, atol=1e-6)
    other = (place[0] + 0.05, place[1])
    np.testing.assert_array_equal(lit.illumination_at(other, 47.0), pixel_illumination(*other, energy_kev=47.0))
    np.testing.assert_allclose(lit.shadows([place], 47.0)[:, 0], (given * plain.source_response)[ACTIVE], rtol=1e-5)


def test_new_sources_of_a_list_are_named_by_their_places(tmp_path, window):
    rows = {"NAME": ("20A", ["X", "NEW_1"]), "RA_OBJ": ("1E", [84.0, 0.0]), "DEC_OBJ": ("1E", [22.5, 0.0]),
            "RA_FIN": ("1E", [84.1, 85.5]), "DEC_FIN": ("1E", [22.6, 23.5]), "NEW_SOURCE": ("1I", [0, 1]),
            "FLUX": ("1E", [2.0, 5.0]), "E_MIN": ("1E", [28.0, 28.0]), "E_MAX": ("1E", [80.0, 80.0])}  # fmt: skip
    columns = [fits.Column(name, form, array=np.array(values)) for name, (form, values) in rows.items()]
    table = fits.BinTableHDU.from_columns(columns, name="ISGR-SRCL-RES")
    listed = files(tmp_path, isgri_srcl_res=[table])
    found = ReadSourceList().compute([listed, window[0]], {"extra": [["Mine", 83.0, 21.0]]}, {})
    assert found.names == ["Mine", designation("NEW", 85.5, 23.5), "X"]
    assert found.ra_deg[2] == pytest.approx(84.0)


def source_list(path):
    rows = {"SOURCE_ID": ("16A", ["J1", "NEW_1", "J2"]), "NAME": ("20A", ["X", "NEW_1", "Y"]),
            "RA_OBJ": ("1E", [84.0, 85.5, 80.0]), "DEC_OBJ": ("1E", [22.5, 23.5, 20.0]),
            "RA_FIN": ("1E", [84.1, 85.5, 80.0]), "DEC_FIN": ("1E", [22.6, 23.5, 20.0]),
            "ISGRI_FLAG": ("1I", [1, 0, 1]), "FLUX": ("2E", [[2, 3], [5, 6], [7, 8]])}  # fmt: skip
    columns = [fits.Column(name, form, array=np.array(values)) for name, (form, values) in rows.items()]
    fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU.from_columns(columns, name="ISGR-SRCL-RES")]).writeto(path)
    return path


def test_lists_for_osa_have_new_sources_under_the_names_of_their_places(tmp_path):
    path = source_list(tmp_path / "list.fits")
    name_new_sources(path)
    rows = fits.getdata(path, 1)
    assert [str(name).strip() for name in rows["NAME"]] == ["X", designation("NEW", 85.5, 23.5), "Y"]
    assert [str(name).strip() for name in rows["SOURCE_ID"]] == ["J1", designation("NEW", 85.5, 23.5), "J2"]


def test_a_source_of_the_user_takes_the_place_of_one_that_cannot_be_told_from_it(tmp_path):
    path = source_list(tmp_path / "list.fits")
    add_sources(path, [("Mine", 85.51, 23.52), ("X", 84.0, 22.5), ("Far", 70.0, 10.0)])
    rows = fits.getdata(path, 1)
    assert [str(name).strip() for name in rows["NAME"]] == ["X", "Y", "Mine", "Far"]
    np.testing.assert_allclose(rows["RA_OBJ"], [84.0, 80.0, 85.51, 70.0], rtol=1e-6)
    assert rows["FLUX"].tolist() == [[2, 3], [7, 8], [0, 0], [0, 0]]
    assert rows["ISGRI_FLAG"].tolist() == [1, 1, 1, 1]
