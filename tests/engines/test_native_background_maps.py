"""Windows of one simulated detector with fixed structure of its pixels, sources elsewhere in each."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from astropy.io import fits

from integral_oda.analysis import analyse
from integral_oda.engines.native.background_maps import FEWEST_WINDOWS, Back
from integral_oda.errors import RequestError
from integral_oda.instrument.energy import EnergyBand
from integral_oda.products.background_map import BackgroundMap, read_background_map, write_background_map
from integral_oda.query import BackgroundQuery, ImageQuery, LightCurveQuery, SpectrumQuery
from integral_oda.simulation.recipe import make_recipe
from integral_oda.simulation.window import simulate

BAND = (28.0, 80.0)
FLUX, UNKNOWN_FLUX = 120.0, 25.0
SPREAD = 0.12
RECIPE = {
    "seed": 4,
    "pointings": [{"ra": 82.4 + 2.2 * (k % 3), "dec": 20.9 + 2.2 * (k // 3), "roll": 20} for k in range(5)],
    "duration_s": 700,
    "sources": [
        {"name": "Crab", "ra": 83.6332, "dec": 22.0145, "flux": {"value": FLUX, "band": BAND}},
        {"name": "U", "ra": 86.5, "dec": 25.5, "flux": {"value": UNKNOWN_FLUX, "band": BAND}, "catalogued": False},
    ],
    "background": {"rate": 500, "band": BAND, "pixel_spread": SPREAD},
    "detector": {"dead_fraction": 0.03, "dead_time": 0.25},
}


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    root = tmp_path_factory.mktemp("archive")
    return root, tuple(str(scw) for scw in simulate(make_recipe(RECIPE), root))


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="module")
def maps(archive, store, tmp_path_factory):
    folder = tmp_path_factory.mktemp("maps")
    analyse(BackgroundQuery(scw_list=archive[1], bands=(BAND,)), archive[0], store).write(folder)
    return folder


@pytest.fixture(scope="module")
def images(archive, store, maps):
    queries = [ImageQuery(scw_list=archive[1][:1], bands=(BAND,), background=b) for b in (None, maps)]
    return [analyse(query, archive[0], store) for query in queries]


@pytest.fixture
def map_file(maps):
    (path,) = maps.glob("*.fits")
    return path


def template(path: Path, scw: str):
    """What the step gives for a window: its events are needed for their attitude alone."""
    background = read_background_map(path)
    row = next((k for k, name in enumerate(background.scw) if name == scw), 0)
    from integral_oda.instrument.attitude import Attitude

    axis = SimpleNamespace(axis=lambda: (background.ra_deg[row], background.dec_deg[row]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Attitude, "from_keywords", lambda header: axis)
        return Back().compute([SimpleNamespace(header={})], {"scw": scw}, {"background": path})


def test_maps_are_made_by_band_and_epoch(maps, archive):
    names = {path.name for path in maps.iterdir()}
    assert {"isgri_background_28-80_0665-0665.fits", "isgri_background_28-80_0665-0665.png"} <= names
    assert read_background_map(maps / "isgri_background_28-80_0665-0665.fits").scw == list(archive[1])


def test_the_map_is_the_structure_that_was_simulated(map_file, archive):
    background = read_background_map(map_file)
    halves = [
        background.excess[rows].sum(axis=0) / np.maximum(background.response[rows].sum(axis=0), 1e-9)
        for rows in (slice(0, None, 2), slice(1, None, 2))
    ]
    seen = (background.variance > 0).all(axis=0)
    shared = float(np.mean(halves[0][seen] * halves[1][seen]))
    assert np.sqrt(shared) == pytest.approx(SPREAD, rel=0.15)


def test_noise_comes_down_towards_its_null(images):
    without, with_maps = (products.summary["noise"][0] for products in images)
    before, after = (n["significance_sigma"] / n["null_sigma"] for n in (without, with_maps))
    assert after < before - 0.01
    assert with_maps["null_sigma"] > without["null_sigma"]


def test_fluxes_stay_unbiased_of_sources_in_no_catalogue_too(images):
    for products in images:
        bright, unknown = products.sources
        for source, truth in ((bright, FLUX), (unknown, UNKNOWN_FLUX)):
            assert abs(source.bands[0].flux - truth) < 3.5 * source.bands[0].flux_error
    errors = [products.sources[1].bands[0].flux_error for products in images]
    assert errors[1] < errors[0]


def test_headers_say_what_was_used(images, archive, store, maps):
    headers = [fits.getheader(next(p for p in i.files if p.name == "mosaic.fits"), 2) for i in images]
    assert "other windows" not in headers[0]["STRUCTUR"]
    assert "4 other windows" in headers[1]["STRUCTUR"]
    query = LightCurveQuery(scw_list=archive[1][:1], src_name="Crab", background=maps, time_bin=100)
    (curve,) = analyse(query, archive[0], store).curves
    assert np.mean(curve.rate) == pytest.approx(FLUX, rel=0.05)


def test_a_window_is_left_out_of_its_own_map(map_file, archive, tmp_path):
    """Whatever the window itself counted, the template it is given is the same; another window's counts do matter."""
    background = read_background_map(map_file)
    scw = archive[1][2]
    before = template(map_file, scw)
    changed = {}
    for row in (2, 3):
        excess = background.excess.copy()
        excess[row] += (
            5 * np.random.default_rng(row).standard_normal(excess[row].shape) * (background.variance[row] > 0)
        )
        path = tmp_path / f"row{row}.fits"
        write_background_map(path, replace(background, excess=excess))
        changed[row] = template(path, scw)
    assert np.array_equal(before.relative, changed[2].relative)
    assert not np.allclose(before.relative, changed[3].relative)


def test_windows_of_the_same_pointing_are_left_out_too(map_file, archive, tmp_path):
    background = read_background_map(map_file)
    path = tmp_path / "staring.fits"
    same = np.full(len(background.scw), background.ra_deg[0]), np.full(len(background.scw), background.dec_deg[0])
    write_background_map(path, replace(background, ra_deg=same[0], dec_deg=same[1]))
    assert not template(path, archive[1][0]).relative.any()
    assert FEWEST_WINDOWS > 1


def test_a_map_that_is_there_changes_the_key_and_its_content_alone_does(archive, store, maps, tmp_path, images):
    moved = tmp_path / "moved"
    moved.mkdir()
    for path in maps.glob("*.fits"):
        (moved / path.name).write_bytes(path.read_bytes())
    again = analyse(ImageQuery(scw_list=archive[1][:1], bands=(BAND,), background=moved), archive[0], store)
    assert again.summary["nodes"]["computed"] == 0
    assert again.folder == images[1].folder != images[0].folder


def test_a_folder_without_the_band_is_refused(maps, archive, store, tmp_path):
    for folder, band in ((maps, (20.0, 40.0)), (tmp_path, BAND)):
        with pytest.raises(RequestError, match="background"):
            analyse(ImageQuery(scw_list=archive[1][:1], bands=(band,), background=folder), archive[0], store)


def test_a_map_comes_back_as_it_was_written(tmp_path):
    rng = np.random.default_rng(1)
    cubes = {f.name: rng.random((2, 134, 130)).astype(np.float32) for f in fields(BackgroundMap)[4:]}
    made = BackgroundMap(
        EnergyBand(*BAND), ["010200030010.001", "010200040010.001"], rng.random(2), rng.random(2), **cubes
    )
    write_background_map(tmp_path / "map.fits", made)
    read = read_background_map(tmp_path / "map.fits")
    assert (read.band, read.scw) == (made.band, made.scw)
    assert all(np.array_equal(getattr(read, f.name), getattr(made, f.name)) for f in fields(BackgroundMap)[2:])


def test_spectra_take_the_map_that_is_near_in_energy(archive, store, maps):
    fluxes, errors = [], []
    for background in (maps, None):
        query = SpectrumQuery(scw_list=archive[1][:1], src_name="Crab", channels=16, background=background)
        files = {path.name: path for path in analyse(query, archive[0], store).files}
        bounds = fits.getdata(files["isgri_rmf_Crab.fits"], "EBOUNDS")
        inside = (bounds["E_MIN"] >= 28) & (bounds["E_MAX"] <= 81)
        fluxes.append(fits.getdata(files["isgri_spectrum_Crab.fits"], 1)["RATE"][inside].sum())
        covariance = fits.getdata(files["isgri_spectrum_Crab.fits"], "COVARIANCE")
        errors.append(covariance[np.ix_(inside, inside)].sum() ** 0.5)
    assert errors[0] < errors[1]
    assert 0 < abs(fluxes[0] - fluxes[1]) < 2 * errors[1]
