"""A bright source that no catalogue has, in a window of late years: high low thresholds, fitted to its light too."""

from __future__ import annotations

import json
from functools import partial

import numpy as np
import pytest

from integral_oda.analysis import analyse
from integral_oda.archive.events import read_events
from integral_oda.archive.tree import Archive
from integral_oda.engines.native.events import Dead, Gti, select_events
from integral_oda.engines.native.field import CatI, Effi
from integral_oda.engines.native.image import BinI, BkgI, band_energy_kev
from integral_oda.imaging.search import FieldModel
from integral_oda.imaging.structure import Covariance
from integral_oda.instrument.energy import EnergyBand
from integral_oda.products.spectrum import read_spectrum
from integral_oda.query import LightCurveQuery, SpectrumQuery
from integral_oda.simulation.recipe import make_recipe
from integral_oda.simulation.window import simulate

BAND = EnergyBand(28.0, 80.0)
RECIPE = {
    "seed": 8,
    "revolution": 2559,
    "pointings": [{"ra": 200.0, "dec": 40.0, "roll": 10}],
    "duration_s": 900,
    "sources": [{"name": "U", "ra": 201.5, "dec": 41.0, "flux": {"value": 200, "band": BAND}, "catalogued": False}],
    "detector": {"low_threshold_kev": 36, "low_threshold_spread_kev": 4, "dead_fraction": 0.05, "dead_time": 0.3},
}


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    root = tmp_path_factory.mktemp("archive")
    (scw,) = simulate(make_recipe(RECIPE), root)
    (truth,) = json.loads((root / "truth.json").read_text())["windows"][0]["sources"]
    archive = Archive(root)
    selected = select_events(read_events(archive.events_file(str(scw))))
    good = Gti().compute([selected], {}, {})
    dead = Dead().compute([selected, good], {}, {"dead": archive.find(str(scw), "isgri_dead.fits")})
    return [selected, good, dead], truth


def efficiency_of(events, extra):
    field = CatI().compute(events[:1], {"extra": extra}, {})
    return [*events, Effi().compute([*events, field], {}, {}), field]


@pytest.fixture(scope="module")
def unknown(simulated):
    return efficiency_of(simulated[0], [])


def test_it_is_found_before_the_thresholds_are_fitted_for_good(simulated, unknown):
    efficiency = unknown[3]
    (place,) = efficiency.bright
    assert np.rad2deg(np.hypot(*(place - simulated[1]["tangents"]))) * 60 < 0.5
    assert efficiency.thresholds.amplitude().max() > 1.5


def test_its_flux_is_that_of_a_source_of_the_catalogue(simulated, unknown):
    events, truth = simulated
    known = efficiency_of(events, [["U", 201.5, 41.0]])
    assert not len(known[3].bright)
    measured = []
    for base in (unknown, known):
        shadowgram = BinI().compute(base, {"band": list(BAND)}, {})
        widths = BkgI().compute([shadowgram, base[-1]], {"band": list(BAND)}, {})
        model = FieldModel(Covariance(shadowgram, widths), band_energy_kev(BAND))
        fluxes, covariance = model.fit([tuple(truth["tangents"])])
        measured.append((fluxes[0], covariance[0, 0] ** 0.5))
    assert measured[0] == pytest.approx(measured[1], rel=0.01)
    assert measured[0][0] == pytest.approx(200, rel=0.05)


# -- spectra and light curves of other sources beside it ---------------------------------------------------------------

FAINT = {"name": "F", "ra": 198.7, "dec": 39.0, "flux": {"value": 25, "band": BAND}, "catalogued": False}
BESIDE = {**RECIPE, "seed": 9, "revolution": 60, "sources": [*RECIPE["sources"], FAINT],
          "detector": {"low_threshold_kev": 18, "low_threshold_spread_kev": 1.5, "dead_time": 0.3}}  # fmt: skip


@pytest.fixture(scope="module")
def beside(tmp_path_factory):
    """Archive of both sources, and lists of the faint one alone and of both."""
    root = tmp_path_factory.mktemp("beside")
    (scw,) = simulate(make_recipe(BESIDE), root)
    head = "# %ECSV 1.0\n# ---\n# datatype:\n# - {name: name, datatype: string}\n"
    head += "# - {name: ra, datatype: float64}\n# - {name: dec, datatype: float64}\nname ra dec\n"
    for name, rows in (("faint", "F 198.7 39.0\n"), ("both", "F 198.7 39.0\nU 201.5 41.0\n")):
        (root / f"{name}.ecsv").write_text(head + rows)
    return root, str(scw)


def of_lists(beside, query, tmp_path):
    root, scw = beside
    made = (query(scw_list=(scw,), src_name="F", catalog=root / f"{name}.ecsv") for name in ("faint", "both"))
    return [analyse(asked, root, tmp_path / "store") for asked in made]


def test_a_source_beside_it_has_the_light_curve_that_it_has_when_all_are_listed(beside, tmp_path):
    own, all_listed = of_lists(beside, partial(LightCurveQuery, time_bin=100.0), tmp_path)
    ((curve,), (wanted,)) = own.curves, all_listed.curves
    pulls = (curve.rate - wanted.rate) / wanted.error
    assert np.abs(pulls).max() < 0.05
    np.testing.assert_allclose(curve.error, wanted.error, rtol=0.01)


def test_a_source_beside_it_has_the_spectrum_that_it_has_when_all_are_listed(beside, tmp_path):
    own, all_listed = of_lists(beside, partial(SpectrumQuery, channels=16), tmp_path)
    assert [s["name"] for s in own.summary["sources"]] == ["F"]
    spectrum, wanted = (read_spectrum(p.folder / "isgri_spectrum_F.fits") for p in (own, all_listed))
    good = wanted.quality == 0
    pulls = (spectrum.rate - wanted.rate)[good] / wanted.stat_error[good]
    assert np.abs(pulls).max() < 0.1
