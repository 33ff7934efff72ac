"""Low thresholds about those of a pixel context, through a whole query of a window of late years."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

sys.path.insert(0, str(Path(__file__).parents[1] / "archive"))

from ic_trees import write_table
from scipy.stats import norm

from integral_oda.analysis import analyse
from integral_oda.archive.calibration import calibration_files
from integral_oda.archive.tree import Archive
from integral_oda.engines.native.events import Cor, Dead, Gti
from integral_oda.engines.native.field import CatI, Effi
from integral_oda.engines.native.image import BinI, BkgI, band_energy_kev
from integral_oda.imaging.search import FieldModel
from integral_oda.imaging.structure import Covariance
from integral_oda.instrument.energy import EnergyBand
from integral_oda.instrument.pixel_status import OFF_STEP, threshold_kev
from integral_oda.instrument.response import osa_channel_edges_kev
from integral_oda.query import ImageQuery, LightCurveQuery, SpectrumQuery, make_query
from integral_oda.simulation.recipe import make_recipe
from integral_oda.simulation.window import draw_detector, simulate

BAND = EnergyBand(28.0, 80.0)
SOURCE = ["S", 201.5, 41.0]
FLUX = 20.0
RECIPE = make_recipe(
    {
        "seed": 21,
        "revolution": 2559,
        "duration_s": 1500,
        "pointings": [{"ra": 200.0, "dec": 40.0, "roll": 10}],
        "sources": [{"name": "S", "ra": SOURCE[1], "dec": SOURCE[2], "flux": {"value": FLUX, "band": tuple(BAND)}}],
        "detector": {
            "low_threshold_kev": 36,
            "low_threshold_spread_kev": 4,
            "dead_fraction": 0.05,
            "dead_time": 0.3,
            "context": True,
        },
    }
)
TRUE_KEV = draw_detector(RECIPE).low_threshold_kev


@pytest.fixture(scope="module")
def window(tmp_path_factory):
    """Event file, dead-time file and context of a simulated window."""
    root = tmp_path_factory.mktemp("archive")
    (scw,) = simulate(RECIPE, root)
    archive = Archive(root)
    context = calibration_files(archive, scw)["context"]
    return archive.events_file(scw), archive.find(scw, "isgri_dead.fits"), context


def changed(context, folder, change):
    """A copy of the context whose threshold steps of pixels that are on are changed."""
    path = folder / "context.fits"
    shutil.copy(context, path)
    with fits.open(path, mode="update") as hdus:
        step = hdus["ISGR-PXLP-CFG"].data[1]
        on = step < OFF_STEP
        step[on] = change(step[on])
    return {"context": path}


def measured(window, raw):
    """Flux and error of the source in 28-80 keV, and the efficiency of the pixels."""
    events = Cor().compute([], {}, {"events": window[0], **raw})
    good = Gti().compute([events], {}, {})
    dead = Dead().compute([events, good], {}, {"dead": window[1]})
    field = CatI().compute([events], {"extra": [SOURCE], "only": True}, {})
    efficiency = Effi().compute([events, good, dead, field], {}, {})
    shadowgram = BinI().compute([events, good, dead, efficiency, field], {"band": list(BAND)}, {})
    widths = BkgI().compute([shadowgram, field], {"band": list(BAND)}, {})
    model = FieldModel(Covariance(shadowgram, widths), band_energy_kev(BAND))
    fluxes, covariance = model.fit(field.tangents)
    return float(fluxes[0]), float(covariance[0, 0] ** 0.5), efficiency, events.header


def error_kev(efficiency):
    return efficiency.threshold_kev - TRUE_KEV[efficiency.usable]


@pytest.fixture(scope="module")
def without(window):
    return measured(window, {})


@pytest.fixture(scope="module")
def known(window):
    return measured(window, {"context": window[2]})


def test_thresholds_are_known_to_the_steps_of_the_context(without, known):
    assert without[3]["THRORIG"] == "events"
    assert known[3]["THRORIG"] == "context + events"
    assert error_kev(known[2]).std() < 0.5 < 1.7 < error_kev(without[2]).std()
    assert error_kev(known[2]).mean() == pytest.approx(0, abs=0.4)


def test_the_flux_is_that_of_the_recipe_with_a_smaller_error(without, known):
    assert known[1] < 0.93 * without[1]
    for flux, error, *_ in (without, known):
        assert flux / error > 12
        assert flux == pytest.approx(FLUX, abs=3 * error)


def test_a_context_that_is_off_as_a_whole_gives_the_same(window, known, tmp_path):
    flux, error, efficiency, _ = measured(window, changed(window[2], tmp_path, lambda step: step + 2))
    assert flux == pytest.approx(known[0], rel=0.01)
    assert error == pytest.approx(known[1], rel=0.01)
    assert error_kev(efficiency).std() < 0.5


def test_a_context_of_nonsense_does_no_harm(window, without, tmp_path):
    shuffle = np.random.default_rng(3).permutation
    flux, error, efficiency, _ = measured(window, changed(window[2], tmp_path, shuffle))
    assert efficiency.stretch < 0.1
    assert efficiency.width_kev == pytest.approx(without[2].width_kev, rel=0.03)
    assert error == pytest.approx(without[1], rel=0.03)
    assert flux == pytest.approx(FLUX, abs=3 * error)
    assert flux == pytest.approx(without[0], rel=0.03)


def test_a_context_of_equal_thresholds_tells_nothing_of_them(window, without, tmp_path):
    path = changed(window[2], tmp_path, lambda step: step)["context"]
    with fits.open(path, mode="update") as hdus:
        _, step, status = hdus["ISGR-PXLP-CFG"].data
        step[:] = np.where(status == 1, 20, OFF_STEP)
        # Module 4 has a law of its own: without it the others have equal thresholds.
        step[96:, :64] = OFF_STEP
    events = Cor().compute([], {}, {"events": window[0], "context": path})
    assert events.header["THRORIG"] == "events"
    assert not events.context_threshold_kev.any()
    again = measured(window, {"context": path})[2]
    assert not len(again.offset_kev)
    assert again.centre_kev == pytest.approx(without[2].centre_kev, abs=0.1)


def write_efficiencies(path):
    """Table of turn-ons by threshold step, far from the law: 1.5 times the steps' distance, 10 keV higher."""
    edges, steps = osa_channel_edges_kev()[:-1], np.arange(15, 48)
    law = threshold_kev(np.full((134, 130), 2), np.full((134, 130), 1))[0, 129] + 1.0929 * (steps - 1)
    rows = norm.cdf((edges - (10 + 36 + 1.5 * (law - 36))[:, None]) / 3.9)
    columns = {
        "PIXEL_GROUPING": ("1I", np.ones(len(steps))),
        "PIXEL_GROUP": ("1I", steps),
        "EFFICIENCY": ("256E", rows),
    }
    write_table(path, "ISGR-EFFC-MOD", columns)


def test_efficiencies_of_the_tree_take_the_place_of_the_law(window, tmp_path):
    write_efficiencies(tmp_path / "isgr_effc_mod_0003.fits")
    raw = {"events": window[0], "context": window[2], "ic_effc": tmp_path / "isgr_effc_mod_0003.fits"}
    events = Cor().compute([], {}, raw)
    assert events.header["THRORIG"] == "context, effc + events"
    assert events.header["IC_EFFC"] == "isgr_effc_mod_0003"
    spread = events.context_threshold_kev[events.good_pixels].std()
    assert spread == pytest.approx(1.5 * TRUE_KEV[events.good_pixels].std(), rel=0.1)
    alone = Cor().compute([], {}, {name: path for name, path in raw.items() if name != "context"})
    assert (alone.header["IC_EFFC"], alone.header["THRORIG"]) == ("nominal", "events")


@pytest.mark.slow
def test_products_say_where_thresholds_come_from_and_follow_the_file(window, tmp_path, monkeypatch):
    monkeypatch.setenv("INTEGRAL_ODA_IC", str(tmp_path))
    root, scw = window[0].parents[3], str(Archive(window[0].parents[3]).windows()[0])
    image = make_query(ImageQuery, scw_list=scw)
    made = analyse(image, root, tmp_path / "store")
    with fits.open(made.folder / "mosaic.fits") as hdus:
        assert hdus[2].header["THRORIG"] == "context + events"
    assert analyse(image, root, tmp_path / "store").summary["nodes"]["computed"] == 0
    write_efficiencies(tmp_path / "ic/ibis/mod/isgr_effc_mod_0003.fits")
    again = analyse(image, root, tmp_path / "store")
    assert again.summary["nodes"]["computed"] > 0
    with fits.open(again.folder / "mosaic.fits") as hdus:
        assert hdus[2].header["THRORIG"] == "context, effc + events"
        assert hdus[2].header["IC_EFFC"] == "isgr_effc_mod_0003"
    asked = {"scw_list": scw, "RA": SOURCE[1], "DEC": SOURCE[2]}
    curves = analyse(make_query(LightCurveQuery, **asked, time_bin=500.0), root, tmp_path / "store")
    spectra = analyse(make_query(SpectrumQuery, **asked), root, tmp_path / "store")
    for products, pattern in ((curves, "isgri_lc_*.fits"), (spectra, "isgri_spectrum_*.fits")):
        (path,) = products.folder.glob(pattern)
        with fits.open(path) as hdus:
            assert "context, effc + events" in {hdu.header.get("THRORIG") for hdu in hdus}
