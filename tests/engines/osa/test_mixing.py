"""Queries that begin with OSA's steps and go on with native ones: OSA's products enter the native graph."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits

from integral_oda.analysis import analyse, plan_query
from integral_oda.archive.tree import Archive
from integral_oda.engines.native.events import GoodTime
from integral_oda.engines.osa.mixing import native_steps
from integral_oda.engines.osa.shadowgram_values import ReadShadowgram
from integral_oda.engines.osa.spectrum_values import ReadSpectra
from integral_oda.engines.osa.window_values import ReadDeadTime, ReadEvents, ReadGoodTime
from integral_oda.engines.osa.workspace import OsaFiles
from integral_oda.errors import DataError, RequestError
from integral_oda.instrument.energy import EnergyBand
from integral_oda.instrument.response import nominal_response
from integral_oda.products.spectrum import read_spectrum
from integral_oda.query import ImageQuery, LightCurveQuery, SpectrumQuery
from integral_oda.simulation.recipe import make_recipe
from integral_oda.simulation.window import simulate
from integral_oda.spectra.binning import channel_edges

BAND = (28.0, 80.0)
DAY_S = 86400.0


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return tmp_path_factory.mktemp("store")


@pytest.fixture
def made(osa, osa_archive, store):
    root, windows = osa_archive

    def run(query, *native, engine="osa"):
        own = {"engine": engine, "engine_for": tuple(f"{step}=native" for step in native)}
        return analyse(query.model_copy(update=own), root, store)

    run.windows, run.root = windows, root
    return run


def image_query(windows):
    return ImageQuery(scw_list=windows, bands=(BAND,), detection_threshold=5.0)


# -- which steps are native -------------------------------------------------------------------------------------------


def test_what_follows_a_native_step_is_native():
    assert native_steps({"MOSAIC": "native"}) == {"MOSAIC"}
    assert native_steps({"IMA": "native"}) == {"IMA", "MOSAIC", "SPE", "SPE_SUM", "LCR", "LIGHT", "LCR_JOIN"}
    assert "COR" not in native_steps({"GTI": "native"})
    assert {"BKG_I", "BKG_S", "BKG_T", "IMA"} <= native_steps({"MAPS": "native"})
    assert native_steps({}) == frozenset()


@pytest.mark.parametrize(("step", "engine"), [("GB", "native"), ("IMA", "mmoda"), ("NONSENSE", "native")])
def test_other_steps_and_engines_are_refused(step, engine):
    with pytest.raises(RequestError, match=f"engine_for = {step}={engine}.*SPE_SUM"):
        native_steps({step: engine})


# -- whole queries ----------------------------------------------------------------------------------------------------


def heavy(osa):
    helpers = ("dal_", "txt2idx", "og_create", "fextract")
    return {record["name"] for record in osa.records() if not record["name"].startswith(helpers)}


OFF_AXIS = 0.8
"""What the doubles' off-axis maps say that the mask's support lets through: native fluxes of OSA's maps are larger."""


def compare_sources(ours, native, flux, arcmin, through=1.0):
    found, expected = ours.summary["sources"], native.summary["sources"]
    assert [s["name"] for s in found] == [s["name"] for s in expected] == ["Crab", "NEW_1"]
    for source, other in zip(found, expected, strict=True):
        (band,), (wanted,) = source["bands"], other["bands"]
        assert through * band["flux"] == pytest.approx(wanted["flux"], rel=flux)
        assert through * band["flux_error"] == pytest.approx(wanted["flux_error"], rel=flux)
        assert abs(source["dec_deg"] - other["dec_deg"]) * 60 < arcmin


@pytest.mark.slow
def test_native_images_of_osas_events_are_those_of_the_archives(made, osa):
    osa.record()
    ours = made(image_query(made.windows[:1]), "BIN_I")
    assert heavy(osa) == {"ibis_isgr_energy", "ibis_isgr_evts_tag", "ibis_gti", "ibis_dead", "cat_extract"}
    native = made(image_query(made.windows[:1]), engine="native")
    compare_sources(ours, native, 1e-4, 0.01)  # the catalogue of OSA has single precision
    difference = ours.images[0].significance - native.images[0].significance
    assert float(np.nanmax(np.abs(difference))) < 0.01
    assert ours.images[0].keywords["IC_LUT1"] == "OSA 11.2"
    assert ours.images[0].keywords["DEADORIG"] == "isgri_dead.fits of ibis_dead"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("step", "run", "through"),
    [("IMA", {"ii_shadow_build", "ii_map_rebin", "ii_pif", "ii_shadow_ubc", "ghost_busters"}, OFF_AXIS),
     ("BKG_I", {"ii_shadow_build", "ii_map_rebin"}, OFF_AXIS), ("MAPS", {"ii_shadow_build"}, 1.0)],
)  # fmt: skip
def test_native_images_of_osas_shadowgrams_show_the_same_sky(made, osa, tmp_path, step, run, through):
    osa.record()
    root, windows = made.root, made.windows
    query = image_query(windows).model_copy(update={"engine": "osa", "engine_for": (f"{step}=native",)})
    ours = analyse(query, root, tmp_path / "store")
    others = {"ibis_isgr_energy", "ibis_isgr_evts_tag", "ibis_gti", "ibis_dead", "cat_extract"}
    assert heavy(osa) == others | run
    native = made(image_query(windows), engine="native")
    compare_sources(ours, native, 5e-3, 0.02, through)
    own = analyse(query.model_copy(update={"scw_list": windows[:1]}), root, tmp_path / "store")
    alone = made(image_query(windows[:1]), engine="native")
    maps = [product.images[0].significance for product in (own, alone)]
    both = np.isfinite(maps).all(axis=0)
    assert np.corrcoef([plane[both] for plane in maps])[0, 1] > 0.995
    assert ours.summary["noise"][0]["significance_sigma"] == pytest.approx(
        native.summary["noise"][0]["significance_sigma"], rel=0.02
    )


@pytest.mark.slow
def test_with_every_step_native_nothing_of_osa_runs(made, osa):
    osa.record()
    ours = made(image_query(made.windows[:1]), "COR", "GTI", "DEAD", "CAT_I")
    native = made(image_query(made.windows[:1]), engine="native")
    assert heavy(osa) == set()
    np.testing.assert_array_equal(ours.images[0].intensity, native.images[0].intensity)


@pytest.fixture(scope="module")
def with_unknown(tmp_path_factory):
    """Catalogue of the source that the built-in one lacks: OSA's image hands it on to spectra and light curves."""
    path = tmp_path_factory.mktemp("catalogue") / "unknown.ecsv"
    path.write_text("# %ECSV 1.0\n# ---\n# datatype:\n# - {name: name, datatype: string}\n"
                    "# - {name: ra, datatype: float64}\n# - {name: dec, datatype: float64}\nname ra dec\n"
                    "Unknown 86.5 25.5\n")  # fmt: skip
    return path


COLUMNS = ("time_ijd", "width_s", "fractional_exposure", "rate", "error", "counts", "background")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("step", "time_bin", "of_osa", "through"),
    [("LCR", 100.0, {"BIN_T", "MAPS", "BKG_T", "GB", "READ_LIST"}, OFF_AXIS),
     ("BKG_T", 100.0, {"BIN_T", "MAPS", "READ_LIST"}, OFF_AXIS), ("BIN_T", 100.0, {"READ_COR", "READ_LIST"}, 1.0),
     ("LIGHT", 20.0, {"READ_COR", "READ_LIST", "MAPS", "SPE", "READ_PIF"}, OFF_AXIS),
     ("SPE", 20.0, {"READ_COR", "READ_LIST"}, 1.0)],
)  # fmt: skip
def test_native_light_curves(made, osa, store, with_unknown, step, time_bin, of_osa, through):
    query = LightCurveQuery(scw_list=made.windows, src_name="Crab", time_bin=time_bin)
    mixed = query.model_copy(update={"engine": "osa", "engine_for": (f"{step}=native",)})
    steps = {node.step for node in plan_query(mixed, made.root, store).nodes}
    optional = {"BIN_T", "BKG_T", "SPE", "READ_PIF"}
    assert of_osa <= steps
    assert not (optional - of_osa) & steps
    osa.record()
    (ours,) = made(query, step).curves
    assert not {"ii_lc_extract", "ii_light"} & heavy(osa)
    (native,) = made(query.model_copy(update={"catalog": with_unknown}), engine="native").curves
    for column in COLUMNS[:3]:
        np.testing.assert_allclose(getattr(ours, column), getattr(native, column), rtol=1e-3, err_msg=column)
    pull = (through * ours.rate - native.rate) / native.error
    assert np.abs(pull).max() < 0.1
    np.testing.assert_allclose(through * ours.error, native.error, rtol=0.05)  # the native fit has more sources
    np.testing.assert_allclose(ours.counts, native.counts, rtol=0.02)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("step", "through"), [("SPE", OFF_AXIS), ("BKG_S", OFF_AXIS), ("BIN_S", 1.0), ("SPE_SUM", 1.0)]
)
def test_native_spectra_of_osas_events_and_shadowgrams_and_sums_of_its_spectra(made, osa, with_unknown, step, through):
    query = SpectrumQuery(scw_list=made.windows, src_name="Crab", channels=62)
    others = {} if step == "SPE_SUM" else {"catalog": with_unknown}
    ours, native = made(query, step), made(query.model_copy(update=others), engine="native")
    spectrum, other = (read_spectrum(p.folder / "isgri_spectrum_Crab.fits") for p in (ours, native))
    edges = channel_edges(62)
    # The simulated pixels have no thresholds. Native ones are fitted as if they were like real ones, OSA's are given
    hard = (other.quality == 0) & (edges[:-1] > (45 if through < 1 else 15))
    assert hard.sum() > 20
    np.testing.assert_array_equal(spectrum.quality, other.quality)
    pull = (through * spectrum.rate - other.rate)[hard] / other.stat_error[hard]
    assert np.abs(pull).max() < 0.2  # the sum of OSA's spectra weighs the windows without their covariance
    assert spectrum.exposure_s == pytest.approx(other.exposure_s, rel=1e-6)
    np.testing.assert_allclose(through * spectrum.stat_error[hard], other.stat_error[hard], rtol=0.15)
    assert (ours.folder / "isgri_pha2_Crab.fits").is_file()


@pytest.mark.slow
def test_native_spectra_of_osas_shadowgrams_are_what_was_simulated(made):
    """Down to the lowest channel: efficiencies, background and off-axis correction are OSA's."""
    query = SpectrumQuery(scw_list=made.windows, src_name="Crab", channels=62)
    spectrum = read_spectrum(made(query, "SPE").folder / "isgri_spectrum_Crab.fits")
    edges = channel_edges(62)
    response = nominal_response(665, edges)
    counts = response.fold(lambda energy: energy**-2.1)
    counts *= 100 / response.band_rate(lambda energy: energy**-2.1, EnergyBand(*BAND))
    seen = (edges[:-1] > 16) & (edges[1:] < 300)
    pulls = (OFF_AXIS * spectrum.rate - counts)[seen] / (OFF_AXIS * spectrum.stat_error[seen])
    assert seen.sum() > 35
    assert abs(pulls.mean()) < 3 / np.sqrt(seen.sum())
    assert 0.7 < pulls.std() < 1.3


@pytest.mark.slow
def test_parameters_of_osas_imaging_do_not_matter_to_native_images(made, osa):
    query = image_query(made.windows[:1])
    made(query, "IMA")
    again = made(query.model_copy(update={"osa_parameters": ("ii_skyimage.ToSearch=10",)}), "IMA")
    assert again.summary["nodes"]["computed"] <= 1  # the product tells the query


# -- single files -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def window(tmp_path_factory):
    root = tmp_path_factory.mktemp("window")
    recipe = {"seed": 3, "pointings": [{"ra": 84.6, "dec": 22.0}], "duration_s": 60, "background": {"rate": 200}}
    (scw,) = simulate(make_recipe(recipe), root)
    return Archive(root).events_file(str(scw))


def as_files(folder, name, *hdus):
    fits.HDUList([fits.PrimaryHDU(), *hdus]).writeto(folder / name)
    return OsaFiles(folder, (name,))


def corrected(events, folder, rows=slice(None), gain=1.0):
    table = fits.getdata(events, "ISGR-EVTS-ALL")[rows]
    columns = [fits.Column("ISGRI_PI", "1B", array=table["ISGRI_PI"]),
               fits.Column("ISGRI_ENERGY", "1E", array=gain * table["ISGRI_ENERGY"]),
               fits.Column("SELECT_FLAG", "1B", array=np.zeros(len(table), np.uint8))]  # fmt: skip
    hdu = fits.BinTableHDU.from_columns(columns, name="ISGR-EVTS-COR")
    return as_files(folder, "isgri_events_corrected.fits", hdu)


def test_energies_are_osas(window, tmp_path):
    (tmp_path / "b").mkdir()
    plain, scaled = (
        ReadEvents().compute([corrected(window, folder, gain=gain)], {"osa": "11.2"}, {"events": window})
        for folder, gain in ((tmp_path, 1.0), (tmp_path / "b", 1.25))
    )
    np.testing.assert_allclose(scaled.energy_kev, 1.25 * plain.energy_kev, rtol=1e-6)
    np.testing.assert_array_equal(scaled.pixel, plain.pixel)
    assert plain.header["IC_L2RE"] == "OSA 11.2"


def test_events_of_another_window_are_refused(window, tmp_path):
    files = corrected(window, tmp_path, rows=slice(0, -3))
    with pytest.raises(DataError, match="of another science window"):
        ReadEvents().compute([files], {"osa": "11.2"}, {"events": window})


def gti_table(name, *intervals):
    start, stop = np.array(intervals, dtype=float).reshape(-1, 2).T
    columns = [fits.Column("START", "1D", array=start), fits.Column("STOP", "1D", array=stop)]
    table = fits.BinTableHDU.from_columns(columns, name="IBIS-GNRL-GTI")
    table.header["GTI_NAME"] = name
    return table


def test_good_time_is_the_merged_one(tmp_path):
    tables = gti_table("VETO", (0, 9)), gti_table("MERGED_ISGRI", (5, 6), (1, 2))
    good = ReadGoodTime().compute([as_files(tmp_path, "ibis_gti.fits", *tables)], {}, {})
    assert good.intervals_ijd.tolist() == [[1, 2], [5, 6]]


@pytest.mark.parametrize(("tables", "told"), [([("VETO", (0, 9))], "MERGED_ISGRI"), ([("MERGED_ISGRI",)], "no good"),
                                              ([("MERGED_ISGRI", (2, 1))], "does not end")])  # fmt: skip
def test_a_window_without_good_time_is_refused(tmp_path, tables, told):
    files = as_files(tmp_path, "ibis_gti.fits", *(gti_table(*table) for table in tables))
    with pytest.raises(DataError, match=told):
        ReadGoodTime().compute([files], {}, {})


def dead_table(fractions):
    columns = [fits.Column("OB_TIME", "4I", array=np.arange(8, dtype=np.int16).reshape(2, 4))]
    columns += [fits.Column(f"II_DEADTIME_{m}", "1D", array=[f, f]) for m, f in enumerate(fractions)]
    return fits.BinTableHDU.from_columns(columns, name="ISGR-DEAD-SCP")


def test_dead_time_and_modules_are_osas(window, tmp_path):
    events = ReadEvents().compute([corrected(window, tmp_path)], {"osa": "11.2"}, {"events": window})
    start, stop = float(events.time_ijd[0]), float(events.time_ijd[-1])
    middle = (start + stop) / 2
    modules = [gti_table(f"ISGRI_MCE{m}", (start, middle if m == 3 else stop)) for m in range(8)]
    times = as_files(tmp_path, "ibis_gti.fits", gti_table("MERGED_ISGRI", (start, stop)), *modules)
    fractions = np.linspace(0.1, 0.45, 8)
    dead = as_files(tmp_path, "isgri_dead.fits", dead_table(fractions))
    made = ReadDeadTime().compute([events, GoodTime(np.array([[start, stop]])), dead, times], {}, {})
    np.testing.assert_allclose(made.dead_fraction, fractions)
    np.testing.assert_allclose(made.on_fraction, [1, 1, 1, 0.5, 1, 1, 1, 1])


@pytest.mark.parametrize(
    ("shape", "band", "top", "told"),
    [((128, 128), (20.0, 40.0), 1.0, "none of 28-80 keV"), ((130, 134), BAND, 1.0, r"shape \(130, 134\)"),
     ((128, 128), BAND, 1.7, "outside 0 to 1"), ((128, 128), BAND, 0.0, "no pixel|any pixel")],
)  # fmt: skip
def test_shadowgrams_that_are_none_are_refused(tmp_path, shape, band, top, told):
    planes = {"isgri_detector_shadowgram.fits": ("ISGR-DETE-SHD", 3.0), "isgri_efficiency_shadowgram.fits":
              ("ISGR-EFFI-SHD", top)}  # fmt: skip
    for name, (structure, value) in planes.items():
        image = fits.ImageHDU(np.full(shape, value), name=structure)
        image.header.update({"E_MIN": band[0], "E_MAX": band[1]})
        fits.HDUList([fits.PrimaryHDU(), image]).writeto(tmp_path / name)
    good, dead = GoodTime(np.array([[0.0, 0.02]])), _no_dead_time()
    with pytest.raises(DataError, match=told):
        ReadShadowgram().compute([None, good, dead, None, OsaFiles(tmp_path, tuple(planes))], {"band": list(BAND)}, {})


def _no_dead_time():
    from integral_oda.engines.native.events import DeadTime

    return DeadTime(np.zeros(8), "test")


def spectrum_table(name, channels=256, **keywords):
    columns = [fits.Column("CHANNEL", "1I", array=np.arange(channels)),
               fits.Column("RATE", "1E", array=np.full(channels, 2.0)),
               fits.Column("STAT_ERR", "1E", array=np.full(channels, 0.5))]  # fmt: skip
    table = fits.BinTableHDU.from_columns(columns, name="ISGR-EVTS-SPE")
    told = {"NAME": name, "EXPOSURE": 700.0, "DEADC": 0.7, "TSTART": 1000.0, "TSTOP": 1000.02, "REVOL": 40}
    table.header.update(told | keywords)
    return table


def test_spectra_of_a_window_are_read_by_name(tmp_path):
    tables = [spectrum_table(name) for name in ("Crab", "Background", "X Per")]
    files = as_files(tmp_path, "isgri_spectrum.fits", *tables)
    everything = ReadSpectra().compute([files], {"source": None}, {})
    assert everything.names == ["Crab", "X Per"]
    (one,) = ReadSpectra().compute([files], {"source": "X Per"}, {}).names
    assert one == "X Per"
    assert everything.keywords["ONTIME"] == pytest.approx(1000)
    assert everything.keywords["TELAPSE"] == pytest.approx(0.02 * DAY_S)
    assert np.diag(everything.covariance[0]) == pytest.approx(0.25)
    with pytest.raises(DataError, match="no spectrum of Vela X-1"):
        ReadSpectra().compute([files], {"source": "Vela X-1"}, {})


def test_a_spectrum_in_other_channels_is_refused(tmp_path):
    files = as_files(tmp_path, "isgri_spectrum.fits", spectrum_table("Crab", 62))
    with pytest.raises(DataError, match="Crab has 62 channels"):
        ReadSpectra().compute([files], {"source": None}, {})
