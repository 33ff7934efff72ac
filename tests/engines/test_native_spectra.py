"""Spectra of simulated windows with known truth, and of the real window, from event files to files that fit."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from integral_oda.analysis import analyse
from integral_oda.errors import RequestError
from integral_oda.products.response_file import read_response
from integral_oda.products.spectrum import read_spectrum
from integral_oda.query import ImageQuery, SpectrumQuery, make_query
from integral_oda.simulation.recipe import make_recipe
from integral_oda.simulation.window import simulate
from integral_oda.spectral_fit import FitRequest, fit_spectra

CRAB = {"name": "Crab", "ra": 83.6332, "dec": 22.0145, "flux": {"value": 1000, "unit": "mCrab"}}
RECIPE = {
    "seed": 11,
    "pointings": [{"ra": 84.6, "dec": 22.0, "roll": 20}, {"ra": 82.0, "dec": 23.5, "roll": 35}],
    "duration_s": 900,
    "sources": [CRAB],
    "background": {"rate": 400},
    "detector": {"dead_fraction": 0.02, "low_threshold_kev": 16, "low_threshold_spread_kev": 1},
}


@pytest.fixture(scope="module")
def windows(tmp_path_factory):
    root = tmp_path_factory.mktemp("archive")
    return root, tuple(str(scw) for scw in simulate(make_recipe(RECIPE), root))


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="module")
def both(windows, store):
    return analyse(SpectrumQuery(scw_list=windows[1], src_name="Crab"), windows[0], store)


@pytest.fixture(scope="module")
def single(windows, store):
    return analyse(SpectrumQuery(scw_list=windows[1][:1], src_name="Crab", channels=256), windows[0], store)


def fitted(path, e1, e2):
    report = fit_spectra(FitRequest(spectrum=(path,), e1=e1, e2=e2)).report
    return {p["name"]: p for p in report["parameters"]}, report


def test_files_of_one_source(both):
    names = [name for name in both.summary["files"] if not name.endswith(".json")]
    assert names == [
        "isgri_arf_Crab.fits",
        "isgri_pha2_Crab.fits",
        "isgri_rmf_Crab.fits",
        "isgri_spectrum_Crab.fits",
        "spectrum_Crab.png",
    ]


def test_the_crab_comes_back(both):
    parameters, report = fitted(both.path("Crab"), 24, 200)
    index = parameters["index"]
    assert abs(index["value"] - 2.1) < 3 * index["error"]
    assert index["error"] < 0.02
    flux = report["fluxes"][0]
    assert flux["flux"] == pytest.approx(1.712e-8, rel=0.015)
    assert 0.5 < report["value"] / report["dof"] < 1.7


def test_exposures_and_times_add_up(both, windows, single):
    spectrum = both.spectra[0]
    rows = [read_spectrum(both.folder / "isgri_pha2_Crab.fits", row) for row in (1, 2)]
    assert spectrum.exposure_s == pytest.approx(sum(r.exposure_s for r in rows))
    good = spectrum.quality == 0
    between = np.sort([r.rate for r in rows], axis=0)
    assert np.all((between[0] <= spectrum.rate + 1e-4) & (spectrum.rate <= between[1] + 1e-4), where=good)
    assert (spectrum.stat_error[good] < np.min([r.stat_error[good] for r in rows], axis=0)).all()


def test_channels_sum_to_the_flux_of_the_image(single, windows, store):
    edges = read_response(single.folder / "isgri_rmf_Crab.fits").channel_edges_kev
    spectrum = single.spectra[0]
    image = analyse(ImageQuery(scw_list=windows[1][:1], bands=((28.0, 79.5),)), windows[0], store)
    source = next(s for s in image.sources if s.name == "Crab")
    inside = (edges[:-1] >= 28) & (edges[1:] <= 79.5)
    assert spectrum.rate[inside].sum() == pytest.approx(source.bands[0].flux, rel=0.02)
    assert spectrum.covariance.shape == (256, 256)


def test_quality_below_the_usable_energy(single):
    spectrum = single.spectra[0]
    edges = read_response(single.folder / "isgri_rmf_Crab.fits").channel_edges_kev
    assert (spectrum.quality[edges[:-1] < 17] == 1).all()
    assert (spectrum.quality[(edges[:-1] >= 18) & (edges[1:] <= 1000)] == 0).all()
    assert (spectrum.quality[edges[1:] > 1000] == 1).all()


def test_channels_asked_for_and_grouping(windows, store):
    query = SpectrumQuery(scw_list=windows[1][:1], src_name="Crab", channels="20,30,41,60.5,99.5", group=1000.0)
    spectrum = analyse(query, windows[0], store).spectra[0]
    assert len(spectrum) == 4
    assert spectrum.grouping.tolist() == [1, -1, -1, -1]


@pytest.mark.parametrize("channels", ["61", "20", "40,20", "20.3,40", "x"])
def test_bad_channels(channels):
    with pytest.raises(RequestError, match=r"channels|edges"):
        make_query(SpectrumQuery, scw_list="255900280010", channels=channels)


def test_fluxes_in_images_make_a_spectrum_too(windows, store, both):
    query = SpectrumQuery(scw_list=windows[1], src_name="Crab", method="mosaic", channels="24,31,41,60.5,99.5,150")
    products = analyse(query, windows[0], store)
    parameters, report = fitted(products.path("Crab"), 24, 150)
    assert abs(parameters["index"]["value"] - 2.1) < 4 * parameters["index"]["error"]
    assert report["fluxes"][0]["flux"] == pytest.approx(1.712e-8, rel=0.03)


def test_a_position_beside_a_known_source_is_that_source(windows, store, single):
    """Half an arcminute from the Crab nothing can be told from it: both in one fit would share its counts at random."""
    query = SpectrumQuery(scw_list=windows[1][:1], RA=83.6400, DEC=22.0200, channels=256)
    (source,) = analyse(query, windows[0], store).summary["sources"]
    (crab,) = single.summary["sources"]
    bright = [band for band in crab["bands"] if band["significance"] > 10]
    assert len(bright) > 2
    for band in bright:
        (same,) = (b for b in source["bands"] if b["e1_kev"] == band["e1_kev"])
        assert same["flux"] == pytest.approx(band["flux"], rel=0.1)
        assert same["flux_error"] == pytest.approx(band["flux_error"], rel=0.1)


def test_every_source_of_the_field_without_one_asked_for(windows, store):
    products = analyse(SpectrumQuery(scw_list=windows[1][:1]), windows[0], store)
    names = {s.name for s in products.spectra}
    assert {"Crab", "1A 0535+262"} <= names
    faint = next(s for s in products.spectra if s.name == "1A 0535+262")
    pulls = (faint.rate / np.where(faint.stat_error > 0, faint.stat_error, np.inf))[faint.quality == 0]
    assert abs(pulls.mean()) < 0.5
    assert 0.7 < pulls.std() < 1.3


def test_the_real_window_shows_the_magnetar(sample_archive, store):
    """A plain two-parameter fit gives 6.5, 28.8, 17.5 and 9.1 sigma in 28-40, 40-60, 60-80 and 80-120 keV."""
    query = SpectrumQuery(scw_list=("255900280010.001",), src_name="SGR 1935+2154", channels=256)
    products = analyse(query, sample_archive, store)
    spectrum = products.spectra[0]
    edges = read_response(products.folder / "isgri_rmf_SGR_1935+2154.fits").channel_edges_kev
    for (e1, e2), least in zip(
        ((28, 41), (41, 60.5), (60.5, 79.5), (79.5, 119.5)), (6.5, 28.8, 17.5, 9.1), strict=True
    ):
        inside = (edges[:-1] >= e1) & (edges[1:] <= e2)
        error = np.sqrt(spectrum.covariance[np.ix_(inside, inside)].sum())
        assert spectrum.rate[inside].sum() / error > least
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert fitted(products.path("SGR 1935+2154"), 30, 200)[1]["converged"]
